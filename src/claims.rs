//! Section `claims`: the payload, with the claims of Auth-O-Tron's documented token in the same order.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{
    config::field::{ErrorKind, Field, MAX_TEXT_BYTES, all},
    identity::{
        attributes::Attributes,
        formats::{Scopes, ScopesForm},
        sources::Identity,
    },
    jwt::{Jwt, Overrides},
};

/// What the token says besides the identity.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Claims"))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How the claim `scopes` is written.
    scopes: ScopesForm,
    /// Whether tokens carry `jwt.aud` as the claim `aud`. `jwt.aud` is then required.
    aud: bool,
    /// Whether each token has an identifier of its own, the claim `jti`: 128 random bits in base64url.
    jti: bool,
    /// More claims, the same in every token: any JSON. They cannot be `nbf` or a claim that the filter sets.
    extra: Map<String, Value>,
}

/// What the tokens of a configuration, or of one of its rules, have in common.
#[derive(Clone, Debug)]
pub struct ClaimSet {
    /// The `iss` claim.
    issuer: String,
    /// The `aud` claim, if tokens carry one.
    audience: Option<String>,
    /// From `iat` to the latest possible `exp`, in seconds.
    lifetime: i64,
    /// How `scopes` is written.
    scopes: ScopesForm,
    /// Whether every token has a `jti`.
    has_id: bool,
    /// Further claims, none of them in [`RESERVED`].
    extra: Map<String, Value>,
}

/// The claims that `claims.extra` cannot set: those of the documented token, and the rest of RFC 7519, section 4.1.
const RESERVED: &[&str] =
    &["sub", "iss", "aud", "exp", "nbf", "iat", "jti", "roles", "username", "realm", "scopes", "attributes"];

impl Config {
    /// Compiles the section at `field`, for tokens of at most `max_bytes`. If `jwt` or `max_bytes` is missing, because
    /// it was refused, it still checks what it can.
    #[must_use]
    pub fn compile(&self, field: &Field<'_>, jwt: Option<&Jwt>, max_bytes: Option<usize>) -> Option<ClaimSet> {
        let aud = if self.aud && jwt.is_some_and(|jwt| jwt.audience.is_none()) {
            field.name("aud").refuse(ErrorKind::Contradiction, "found true, expected jwt.aud beside it")
        } else {
            Some(())
        };
        check_extra(&field.name("extra"), &self.extra, max_bytes.unwrap_or(usize::MAX)).and(aud)?;
        let jwt = jwt?;
        Some(ClaimSet {
            issuer: jwt.issuer.clone(),
            audience: jwt.audience.clone().filter(|_| self.aud),
            lifetime: jwt.lifetime,
            scopes: self.scopes,
            has_id: self.jti,
            extra: self.extra.clone(),
        })
    }
}

fn check_extra(field: &Field<'_>, extra: &Map<String, Value>, max_bytes: usize) -> Option<()> {
    let names: Option<()> = all(extra.keys().map(|name| {
        field.text(name, MAX_TEXT_BYTES)?;
        if RESERVED.contains(&name.as_str()) {
            let words = "found a claim that the filter sets, expected another name";
            return field.name(name).refuse(ErrorKind::Contradiction, words);
        }
        Some(())
    }));
    let bytes = Value::from(extra.clone()).to_string().len();
    if bytes > max_bytes {
        let words = format!("found {bytes} bytes of JSON, expected at most token.max_bytes");
        return field.refuse(ErrorKind::Contradiction, words);
    }
    names
}

/// What most payloads fit into, in bytes.
const USUAL_PAYLOAD_BYTES: usize = 1024;

/// The payload, in the order of Auth-O-Tron's documented token.
#[derive(Serialize)]
struct Payload<'a> {
    sub: &'a str,
    iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    exp: i64,
    iat: i64,
    roles: &'a [Cow<'a, str>],
    username: &'a str,
    realm: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<ScopesClaim<'a>>,
    attributes: &'a Attributes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

/// The claim `scopes` in one of its forms.
#[derive(Serialize)]
#[serde(untagged)]
enum ScopesClaim<'a> {
    List(&'a [Cow<'a, str>]),
    /// A list written as a map with one service, the realm. Without scopes the map is empty.
    OfRealm(#[serde(serialize_with = "as_map")] Option<(&'a str, &'a [Cow<'a, str>])>),
    Map(&'a BTreeMap<String, Vec<String>>),
}

#[allow(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn as_map<S: Serializer>(entry: &Option<(&str, &[Cow<'_, str>])>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(*entry)
}

/// No payload could be made.
#[derive(Debug)]
pub struct NoPayload;

impl ClaimSet {
    /// The same claims, with a rule's overrides.
    #[must_use]
    pub fn overridden(&self, by: &Overrides) -> Self {
        let mut claims = self.clone();
        if let Some(iss) = &by.iss {
            claims.issuer.clone_from(iss);
        }
        if let Some(aud) = &by.aud {
            // Tokens carry an audience only if `claims.aud` asks for it.
            claims.audience = claims.audience.map(|_| aud.clone());
        }
        claims.lifetime = by.exp.unwrap_or(claims.lifetime);
        claims
    }

    /// How `scopes` is written.
    #[must_use]
    pub const fn scopes_form(&self) -> ScopesForm {
        self.scopes
    }

    /// Whether every token is unique, because it has a `jti`.
    #[must_use]
    pub const fn has_id(&self) -> bool {
        self.has_id
    }

    /// When a token issued `now` expires: no later than the user's `own` expiry. All are epoch seconds.
    #[must_use]
    pub fn expiry(&self, own: Option<i64>, now: i64) -> i64 {
        let latest = now.saturating_add(self.lifetime);
        own.map_or(latest, |own| own.min(latest))
    }

    /// The claims about `identity`, whose subject is `sub`, as JSON. Both `exp` and `now` are epoch seconds.
    ///
    /// # Errors
    /// When the system has no random numbers for `jti`.
    pub fn payload(&self, identity: &Identity<'_>, sub: &str, exp: i64, now: i64) -> Result<Vec<u8>, NoPayload> {
        let payload = Payload {
            sub,
            iss: &self.issuer,
            aud: self.audience.as_deref(),
            exp,
            iat: now,
            roles: &identity.roles,
            username: identity.username,
            realm: identity.realm,
            scopes: self.scopes_claim(identity),
            attributes: &identity.attributes,
            jti: if self.has_id { Some(token_id()?) } else { None },
            extra: &self.extra,
        };
        // Allocated at once: growing step by step costs as much as writing.
        let mut json = Vec::with_capacity(USUAL_PAYLOAD_BYTES);
        serde_json::to_writer(&mut json, &payload).map_err(|_| NoPayload)?;
        Ok(json)
    }

    /// The documented list is left out when it is empty. The Auth-O-Tron 0.3 server's map is always there.
    fn scopes_claim<'a>(&self, identity: &'a Identity<'_>) -> Option<ScopesClaim<'a>> {
        match (&identity.scopes, self.scopes) {
            (Scopes::List(scopes), ScopesForm::List) if scopes.is_empty() => None,
            (Scopes::List(scopes), ScopesForm::List) => Some(ScopesClaim::List(scopes)),
            (Scopes::List(scopes), ScopesForm::Map) => {
                Some(ScopesClaim::OfRealm((!scopes.is_empty()).then_some((identity.realm, scopes))))
            }
            (Scopes::Map(services), _) => Some(ScopesClaim::Map(services)),
        }
    }
}

/// 128 random bits in base64url (RFC 7519, section 4.1.7 asks for a negligible chance of a collision).
fn token_id() -> Result<String, NoPayload> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|_| NoPayload)?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}
