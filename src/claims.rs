//! The payload: the claims of Auth-O-Tron's documented token, in its order.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{
    config::ScopesForm,
    identity::{Attributes, Identity, Scopes},
};

/// What every token of a configuration has in common.
#[derive(Debug)]
pub struct ClaimSet {
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim, where tokens carry one.
    pub audience: Option<String>,
    /// From `iat` to the latest possible `exp`, in seconds.
    pub lifetime: i64,
    /// How `scopes` is written.
    pub scopes: ScopesForm,
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
}

/// `{realm}-{username}`.
struct Subject<'a> {
    realm: &'a str,
    username: &'a str,
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

impl ClaimSet {
    /// The claims about `identity` at `now`, as JSON. Both `now` and `expiry`, the user's own, are epoch seconds.
    ///
    /// # Errors
    /// When JSON cannot hold the identity, which no identity that was read from headers can cause.
    pub fn payload(
        &self,
        identity: &Identity<'_>,
        expiry: Option<i64>,
        now: i64,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let latest = now.saturating_add(self.lifetime);
        serde_json::to_vec(&Claims {
            sub: Subject { realm: identity.realm, username: identity.username },
            iss: &self.issuer,
            aud: self.audience.as_deref(),
            exp: expiry.map_or(latest, |own| own.min(latest)),
            iat: now,
            roles: &identity.roles,
            username: identity.username,
            realm: identity.realm,
            scopes: self.scopes_claim(identity),
            attributes: &identity.attributes,
        })
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
