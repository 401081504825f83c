//! The payload: the claims of Auth-O-Tron's documented token, in its order.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    config::ScopesForm,
    identity::{Attributes, Identity, Scopes},
};

/// What every token of a configuration has in common.
#[derive(Clone, Debug)]
pub struct ClaimSet {
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim, where tokens carry one.
    pub audience: Option<String>,
    /// From `iat` to the latest possible `exp`, in seconds.
    pub lifetime: i64,
    /// How `scopes` is written.
    pub scopes: ScopesForm,
    /// Whether every token has a `jti`.
    pub has_id: bool,
    /// Further claims, of none of the names in [`RESERVED`].
    pub extra: Map<String, Value>,
}

/// The claims that `claims.extra` cannot set: those of the documented token, and the rest of RFC 7519, section 4.1.
pub const RESERVED: &[&str] =
    &["sub", "iss", "aud", "exp", "nbf", "iat", "jti", "roles", "username", "realm", "scopes", "attributes"];

/// How long a payload usually is, at most, in bytes.
const USUAL_PAYLOAD_BYTES: usize = 1024;

/// Why claims cannot be written. No identity that was read from headers causes it.
#[derive(Debug)]
pub enum ClaimsError {
    /// JSON cannot hold them.
    Json(serde_json::Error),
    /// The system has no random numbers for `jti`.
    Random(getrandom::Error),
}

/// RFC 7519's claims and Auth-O-Tron's own; fields are written in this order.
#[derive(Serialize)]
struct Claims<'a> {
    sub: Subject<'a>,
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

/// The `sub` claim: `{realm}-{username}`.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The realm that authenticated the user.
    pub realm: &'a str,
    /// The authenticated username.
    pub username: &'a str,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.realm, self.username)
    }
}

impl Serialize for Subject<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum ScopesClaim<'a> {
    List(&'a [Cow<'a, str>]),
    OfRealm(BTreeMap<&'a str, &'a [Cow<'a, str>]>),
    Map(&'a BTreeMap<String, Vec<String>>),
}

/// 128 random bits in base64url (RFC 7519, section 4.1.7 asks for a negligible chance of a collision).
fn token_id() -> Result<String, getrandom::Error> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

impl ClaimSet {
    /// When a token of `now` expires: no later than the user's own expiry. All are epoch seconds.
    #[must_use]
    pub fn expiry(&self, own: Option<i64>, now: i64) -> i64 {
        let latest = now.saturating_add(self.lifetime);
        own.map_or(latest, |own| own.min(latest))
    }

    /// The claims about `identity`, as JSON. Both `exp` and `now` are epoch seconds.
    ///
    /// # Errors
    /// When JSON cannot hold the claims, or the system has no random numbers.
    pub fn payload(&self, identity: &Identity<'_>, exp: i64, now: i64) -> Result<Vec<u8>, ClaimsError> {
        // In one piece: to grow step by step costs as much as to write.
        let mut payload = Vec::with_capacity(USUAL_PAYLOAD_BYTES);
        let claims = Claims {
            sub: Subject { realm: identity.realm, username: identity.username },
            iss: &self.issuer,
            aud: self.audience.as_deref(),
            exp,
            iat: now,
            roles: &identity.roles,
            username: identity.username,
            realm: identity.realm,
            scopes: self.scopes_claim(identity),
            attributes: &identity.attributes,
            jti: self.has_id.then(token_id).transpose().map_err(ClaimsError::Random)?,
            extra: &self.extra,
        };
        serde_json::to_writer(&mut payload, &claims).map_err(ClaimsError::Json)?;
        Ok(payload)
    }

    /// The documented list is absent when it is empty. The map of the Auth-O-Tron 0.3 server is always present.
    fn scopes_claim<'a>(&self, identity: &'a Identity<'_>) -> Option<ScopesClaim<'a>> {
        match (&identity.scopes, self.scopes) {
            (Scopes::Map(services), _) => Some(ScopesClaim::Map(services)),
            (Scopes::List(scopes), ScopesForm::Map) => Some(ScopesClaim::OfRealm(
                (!scopes.is_empty()).then_some((identity.realm, scopes.as_slice())).into_iter().collect(),
            )),
            (Scopes::List(scopes), ScopesForm::List) => (!scopes.is_empty()).then_some(ScopesClaim::List(scopes)),
        }
    }
}
