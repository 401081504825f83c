//! Section `jwt`: who issues tokens, how long they live, and the keys that sign them.

pub mod hs256;
pub mod keys;

use serde::Deserialize;

use crate::config::field::{Environment, Field, MAX_TEXT_BYTES, Secret};
use keys::{KeyConfig, KeyRing, RotationConfig};

/// The longest lifetime of a token, in seconds: ten years.
pub const MAX_LIFETIME_SECONDS: i64 = 315_360_000;

/// How tokens are signed: the fields of Auth-O-Tron's own `jwt` section, and a few more.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Jwt", extend("oneOf" = crate::config::schema::one_secret())))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The issuer, in the claim `iss`.
    iss: String,
    /// The audience. Tokens carry it, as the claim `aud`, only if `claims.aud` is true.
    aud: Option<String>,
    /// The lifetime of a token, in seconds.
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = MAX_LIFETIME_SECONDS)))]
    exp: i64,
    /// The signing secret itself, at least 32 bytes. Envoy's `/config_dump` shows it: prefer `secret_env`.
    secret: Option<Secret>,
    /// The environment variable that holds the signing secret.
    secret_env: Option<String>,
    /// The key's name: `kid` in the JOSE header of the tokens it signs.
    kid: Option<String>,
    /// Keys that take over later, each at its own time, and in the same second on all proxies.
    #[serde(default)]
    rotation: Vec<RotationConfig>,
}

/// What a rule changes in the tokens it issues.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "JwtOverrides"))]
#[serde(deny_unknown_fields, default)]
pub struct Overrides {
    /// The issuer, in place of `jwt.iss`.
    pub iss: Option<String>,
    /// The audience, in place of `jwt.aud`. Tokens carry it only if `claims.aud` is true.
    pub aud: Option<String>,
    /// The lifetime in seconds, in place of `jwt.exp`.
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = MAX_LIFETIME_SECONDS)))]
    pub exp: Option<i64>,
}

/// The section, compiled.
#[derive(Debug)]
pub struct Jwt {
    /// The issuer.
    pub issuer: String,
    /// The audience, whether or not tokens carry it.
    pub audience: Option<String>,
    /// From `iat` to the latest possible `exp`, in seconds.
    pub lifetime: i64,
    /// The keys, one of which is in use.
    pub keys: KeyRing,
}

impl Config {
    /// Compiles the section at `field`.
    pub fn compile(&self, field: &Field<'_>, environment: Environment<'_>) -> Option<Jwt> {
        let issuer = field.name("iss").text(&self.iss, MAX_TEXT_BYTES);
        let audience = check_audience(field, self.aud.as_deref());
        let lifetime = field.name("exp").range(self.exp, MAX_LIFETIME_SECONDS, "seconds");
        let first =
            KeyConfig { kid: self.kid.as_deref(), secret: self.secret.as_ref(), variable: self.secret_env.as_deref() };
        let keys = keys::compile(field, &first, &self.rotation, environment);
        issuer.and(audience)?;
        Some(Jwt { issuer: self.iss.clone(), audience: self.aud.clone(), lifetime: lifetime?, keys: keys? })
    }
}

impl Overrides {
    /// Checks the overrides at `field`.
    #[must_use]
    pub fn check(&self, field: &Field<'_>) -> Option<()> {
        let issuer = self.iss.as_deref().map_or(Some(()), |iss| field.name("iss").text(iss, MAX_TEXT_BYTES));
        let lifetime = self.exp.map_or(Some(0), |exp| field.name("exp").range(exp, MAX_LIFETIME_SECONDS, "seconds"));
        check_audience(field, self.aud.as_deref()).and(issuer).and(lifetime).map(|_| ())
    }
}

fn check_audience(field: &Field<'_>, aud: Option<&str>) -> Option<()> {
    aud.map_or(Some(()), |aud| field.name("aud").text(aud, MAX_TEXT_BYTES))
}
