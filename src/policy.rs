//! The compiled configuration, and the decision about a request.
//!
//! A [`Policy`] cannot be wrong: [`compile`] refuses every configuration that could make one so. Order is safety:
//! the proof comes before anything that a sender could make costly or ambiguous to read.

pub mod compile;

use crate::{
    claims::ClaimSet,
    config::{Format, OnMissing, OptionalClaim, ScopesForm},
    identity::{self, Attributes, Flaw, Identity, MAX_IDENTITY_BYTES, MAX_NAME_BYTES, Scopes, add_attribute},
    jwt::SigningKey,
    rejection::{Code, Rejection},
    request::{NameId, Names, Request},
    trust::{self, Entry, Evidence},
};

/// Everything that decides about requests, validated and ready.
#[derive(Debug)]
pub struct Policy {
    names: Names,
    identity: IdentitySources,
    trust: Vec<Entry>,
    key: SigningKey,
    claims: ClaimSet,
    token: TokenHeader,
    on_missing: OnMissing,
    forward_identity: bool,
}

/// Where each part of the identity comes from.
#[derive(Debug)]
struct IdentitySources {
    username: Vec<NameId>,
    realm: RealmSource,
    roles: (Vec<NameId>, Format),
    scopes: (Vec<NameId>, Format),
    attributes: Vec<NameId>,
    /// Attribute → the header that carries it.
    attributes_from: Vec<(String, NameId)>,
    required: Vec<OptionalClaim>,
    /// The only realms accepted; `None` is all.
    realms: Option<Vec<String>>,
}

#[derive(Debug)]
enum RealmSource {
    Header(Vec<NameId>),
    Fixed(String),
}

/// How the token travels to the service.
#[derive(Debug)]
struct TokenHeader {
    name: String,
    prefix: String,
    max_bytes: usize,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on with this value in [`Policy::token_header`].
    Issue(String),
    /// It goes on without a token.
    Pass,
    /// It ends here.
    Deny(Rejection),
}

impl Policy {
    /// The names that [`Request::scan`] looks for.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// The header that carries the token.
    #[must_use]
    pub fn token_header(&self) -> &str {
        &self.token.name
    }

    /// The headers of `request` that must not go on to the service, given its verdict.
    pub fn removals<'a>(&self, request: &Request<'a>, verdict: &Verdict) -> impl Iterator<Item = &'a [u8]> {
        request.removals(self.forward_identity && matches!(verdict, Verdict::Issue(_)))
    }

    /// The headers that take the place of removed ones: signatures that other parties made for the service.
    #[must_use]
    pub fn replacements(&self, request: &Request<'_>) -> Option<[(&'static str, String); 2]> {
        let [input, signature] = trust::foreign_signatures(&self.trust, request)?;
        let [input_name, signature_name] = trust::signature::FIELDS;
        Some([(input_name, input), (signature_name, signature)])
    }

    /// Decides about `request` at `now`, in epoch seconds, by `evidence` where a proof asks for it.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>, evidence: &dyn Evidence, now: i64) -> Verdict {
        if request.has_nomination() {
            let flaw = "nominates a header of ours for removal";
            return Verdict::Deny(Rejection::malformed("connection", flaw));
        }
        if !request.has_identity() {
            return match self.on_missing {
                OnMissing::Pass => Verdict::Pass,
                OnMissing::Deny => {
                    Verdict::Deny(Rejection::new(Code::IdentityMissing, "identity", "no header of it is present"))
                }
            };
        }
        self.issue(request, evidence, now).map_or_else(Verdict::Deny, Verdict::Issue)
    }

    fn issue(&self, request: &Request<'_>, evidence: &dyn Evidence, now: i64) -> Result<String, Rejection> {
        check_scan(request)?;
        let prover = trust::first_that_proves(&self.trust, request, evidence, now).ok_or(Rejection::new(
            Code::IdentityUntrusted,
            "trust",
            "no entry proves the identity",
        ))?;
        let identity = self.identity.read(request, self.claims.scopes)?;
        self.identity.check_realm(identity.realm, prover)?;
        let expiry = check_expiry(&identity, now)?;
        self.sign(&identity, expiry, now)
    }

    fn sign(&self, identity: &Identity<'_>, expiry: Option<i64>, now: i64) -> Result<String, Rejection> {
        let payload = self
            .claims
            .payload(identity, expiry, now)
            .map_err(|_| Rejection::new(Code::Internal, "token", "its claims are not JSON"))?;
        let mut value = self.token.prefix.clone();
        self.key.sign_into(&payload, &mut value);
        if value.len().saturating_sub(self.token.prefix.len()) > self.token.max_bytes {
            return Err(Rejection::malformed("token", "longer than token.max_bytes"));
        }
        Ok(value)
    }
}

/// Refuses what two readers of the same request could read differently, and what is too much to read.
fn check_scan(request: &Request<'_>) -> Result<(), Rejection> {
    if let Some(ambiguity) = request.ambiguity() {
        return Err(Rejection::malformed("identity", ambiguity));
    }
    if request.identity_bytes() > MAX_IDENTITY_BYTES {
        return Err(Rejection::malformed("identity", "its headers are too long together"));
    }
    Ok(())
}

/// The user's own expiry, which must be ahead: RFC 7519, section 4.1.4 refuses a token on or after its `exp`.
fn check_expiry(identity: &Identity<'_>, now: i64) -> Result<Option<i64>, Rejection> {
    let part = "attribute exp";
    let expiry = identity.expiry().map_err(|flaw| Rejection::malformed(part, flaw))?;
    if expiry.is_some_and(|expiry| expiry <= now) {
        return Err(Rejection::new(Code::IdentityExpired, part, "in the past"));
    }
    Ok(expiry)
}

impl IdentitySources {
    fn read<'a>(&'a self, request: &Request<'a>, form: ScopesForm) -> Result<Identity<'a>, Rejection> {
        // Also those that no claim is read from, such as the second of a list: they may be forwarded.
        for value in request.identity_values() {
            identity::text(value, MAX_IDENTITY_BYTES).map_err(malformed("a header"))?;
        }
        let identity = Identity {
            username: read_name(request, &self.username).map_err(malformed("username"))?,
            realm: match &self.realm {
                RealmSource::Fixed(realm) => realm,
                RealmSource::Header(ids) => read_name(request, ids).map_err(malformed("realm"))?,
            },
            roles: identity::list(self.roles.1, first_present(request, &self.roles.0)).map_err(malformed("roles"))?,
            scopes: self.read_scopes(request, form).map_err(malformed("scopes"))?,
            attributes: self.read_attributes(request).map_err(malformed("attributes"))?,
        };
        self.check_required(&identity)?;
        Ok(identity)
    }

    fn read_scopes<'a>(&self, request: &Request<'a>, form: ScopesForm) -> Result<Scopes<'a>, Flaw> {
        let (ids, format) = &self.scopes;
        let values = first_present(request, ids);
        match form {
            ScopesForm::List => identity::list(*format, values).map(Scopes::List),
            ScopesForm::Map => identity::scopes(*format, values),
        }
    }

    fn read_attributes<'a>(&'a self, request: &Request<'a>) -> Result<Attributes<'a>, Flaw> {
        let mut attributes = match first_present(request, &self.attributes).next() {
            Some(value) => identity::attributes(value)?,
            None => Attributes::new(),
        };
        for (key, id) in &self.attributes_from {
            if let Some(value) = request.value(*id) {
                add_attribute(&mut attributes, key, value)?;
            }
        }
        Ok(attributes)
    }

    fn check_required(&self, identity: &Identity<'_>) -> Result<(), Rejection> {
        for claim in &self.required {
            let (part, is_empty) = match claim {
                OptionalClaim::Roles => ("roles", identity.roles.is_empty()),
                OptionalClaim::Scopes => ("scopes", identity.scopes.is_empty()),
                OptionalClaim::Attributes => ("attributes", identity.attributes.is_empty()),
            };
            if is_empty {
                return Err(Rejection::malformed(part, "missing, but required"));
            }
        }
        Ok(())
    }

    fn check_realm(&self, realm: &str, prover: &Entry) -> Result<(), Rejection> {
        let denied = |flaw| Err(Rejection::new(Code::RealmNotAllowed, "realm", flaw));
        if !prover.may_assert(realm) {
            return denied("not one that the proving party may assert");
        }
        if self.realms.as_ref().is_some_and(|realms| !realms.iter().any(|own| own == realm)) {
            return denied("not one of identity.realms");
        }
        Ok(())
    }
}

fn malformed(part: &'static str) -> impl Fn(Flaw) -> Rejection {
    move |flaw| Rejection::malformed(part, flaw)
}

fn read_name<'a>(request: &Request<'a>, ids: &[NameId]) -> Result<&'a str, Flaw> {
    let value = first_present(request, ids).next().ok_or("missing")?;
    identity::text(value, MAX_NAME_BYTES)
}

/// The values of the first of these headers that is present.
fn first_present<'r, 'a>(request: &'r Request<'a>, ids: &[NameId]) -> impl Iterator<Item = &'a [u8]> + use<'r, 'a> {
    let first = ids.iter().copied().find(|id| request.value(*id).is_some());
    first.into_iter().flat_map(|id| request.values(id))
}
