//! The compiled configuration, and the decision about a request.
//!
//! A [`Policy`] cannot be wrong: [`compile`] refuses every configuration that could make one so. Order is safety:
//! the proof comes before anything that a sender could make costly or ambiguous to read.

pub mod compile;

use std::{borrow::Cow, rc::Rc};

use crate::{
    claims::{ClaimSet, subject},
    config::{Format, OnMissing, OptionalClaim, ScopesForm},
    identity::{self, Attributes, Flaw, Identity, MAX_IDENTITY_BYTES, MAX_NAME_BYTES, Scopes},
    jwt::KeyRing,
    rejection::{Code, Rejection},
    request::{NameId, Names, Request},
    rules::{self, Action, Rule},
    token::reuse::TokenCache,
    trust::{self, Entry, Evidence, Proof, signature::FieldLines},
};

/// Everything that decides about requests, validated and ready.
#[derive(Debug)]
pub struct Policy {
    names: Names,
    identity: IdentitySources,
    trust: Vec<Entry>,
    rules: Vec<Rule>,
    keys: KeyRing,
    /// Of tokens whose rule has none of its own.
    claims: ClaimSet,
    token: TokenHeader,
    /// Tokens that may be handed out again: of this policy, so that none outlives a new configuration.
    reuse: Option<TokenCache>,
    on_missing: OnMissing,
    forward_identity: bool,
    tells_filter_state: bool,
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
    /// Whether an empty header says that there is nothing of what it carries.
    empty_is_absent: bool,
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
    /// It goes on with a token.
    Issue {
        /// The value of [`Policy::token_header`].
        value: Rc<str>,
        /// Whether the token was handed out before.
        is_reused: bool,
    },
    /// It goes on without a token.
    Pass,
    /// It ends here.
    Deny(Rejection),
}

/// What a verdict stands on, for people: positions in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grounds {
    /// In `rules`: the first that matches.
    pub rule: Option<usize>,
    /// In `trust`: the first that proves, where a proof was asked for.
    pub proof: Option<usize>,
}

/// What became of a request, for counters and access logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A token was signed.
    Issued,
    /// A token was handed out again.
    Reused,
    /// It went on without a token.
    Passed,
    /// It was denied.
    Denied(Code),
}

impl Outcome {
    /// Every outcome.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Issued, Self::Reused, Self::Passed].into_iter().chain(Code::ALL.iter().copied().map(Self::Denied))
    }

    /// The outcome in a word, or its code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Reused => "reused",
            Self::Passed => "passed",
            Self::Denied(code) => code.as_str(),
        }
    }
}

impl Verdict {
    /// The verdict without its particulars.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Issue { is_reused: false, .. } => Outcome::Issued,
            Self::Issue { is_reused: true, .. } => Outcome::Reused,
            Self::Pass => Outcome::Passed,
            Self::Deny(rejection) => Outcome::Denied(rejection.code),
        }
    }
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
        request.removals(self.forward_identity && matches!(verdict, Verdict::Issue { .. }))
    }

    /// The headers that take the place of removed ones: signatures that other parties made for the service.
    #[must_use]
    pub fn replacements(&self, request: &Request<'_>) -> Option<FieldLines> {
        trust::foreign_signatures(&self.trust, request)
    }

    /// Decides about `request` at `now`, in epoch seconds, by `evidence` where a proof asks for it.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>, evidence: &dyn Evidence, now: i64) -> Verdict {
        self.decide_noting(request, evidence, now, &mut Grounds::default())
    }

    /// As [`Policy::decide`], and notes in `grounds` what the verdict stands on.
    #[must_use]
    pub fn decide_noting(
        &self,
        request: &Request<'_>,
        evidence: &dyn Evidence,
        now: i64,
        grounds: &mut Grounds,
    ) -> Verdict {
        if request.has_nomination() {
            let flaw = "nominates a header of ours for removal";
            return Verdict::Deny(Rejection::malformed("connection", flaw));
        }
        let rule = rules::first_that_matches(&self.rules, request, evidence);
        grounds.rule = rule.map(|(position, _)| position);
        match rule.map(|(_, rule)| &rule.action) {
            Some(Action::Pass) => return Verdict::Pass,
            Some(Action::Deny) => {
                return Verdict::Deny(Rejection::new(Code::DeniedByRule, "rules", "the first that matches denies"));
            }
            Some(Action::Issue(_)) | None => {}
        }
        if !request.has_identity() {
            return match self.on_missing {
                OnMissing::Pass => Verdict::Pass,
                OnMissing::Deny => {
                    Verdict::Deny(Rejection::new(Code::IdentityMissing, "identity", "no header of it is present"))
                }
            };
        }
        self.issue(request, rule, evidence, now, grounds).unwrap_or_else(Verdict::Deny)
    }

    /// The headers that prove `request` by the signature of `keyid`: the authenticator's side. `None` where no entry of
    /// `trust` has that key, or where no signature proves such a request.
    #[must_use]
    pub fn sign_request(&self, keyid: &str, request: &Request<'_>, now: i64) -> Option<FieldLines> {
        self.trust.iter().find_map(|entry| match &entry.proof {
            Proof::Signature(proof) => proof.sign(keyid, request, now),
            _ => None,
        })
    }

    /// The subject of the token that `request` gets, where filter state is to tell it.
    #[must_use]
    pub fn subject(&self, request: &Request<'_>) -> Option<String> {
        self.tells_filter_state.then(|| self.identity.read_subject(request).ok()).flatten()
    }

    /// Whether filter state is to tell what became of a request.
    #[must_use]
    pub const fn tells_filter_state(&self) -> bool {
        self.tells_filter_state
    }

    fn issue(
        &self,
        request: &Request<'_>,
        rule: Option<(usize, &Rule)>,
        evidence: &dyn Evidence,
        now: i64,
        grounds: &mut Grounds,
    ) -> Result<Verdict, Rejection> {
        check_scan(request)?;
        let (prover, entry) = trust::first_that_proves(&self.trust, request, evidence, now).ok_or(Rejection::new(
            Code::IdentityUntrusted,
            "trust",
            "no entry proves the identity",
        ))?;
        grounds.proof = Some(prover);
        let reuse = self.reuse.as_ref().map(|cache| (cache, self.cache_key(request, rule, prover, now)));
        if let Some(value) = reuse.as_ref().and_then(|(cache, key)| cache.get(key, now)) {
            return Ok(Verdict::Issue { value, is_reused: true });
        }
        let claims = match rule {
            Some((_, Rule { action: Action::Issue(Some(claims)), .. })) => claims,
            _ => &self.claims,
        };
        let identity = self.identity.read(request, claims.scopes)?;
        self.identity.check_realm(identity.realm, entry)?;
        let expiry = claims.expiry(check_expiry(&identity, now)?, now);
        let value: Rc<str> = self.sign(claims, &identity, expiry, now)?.into();
        if let Some((cache, key)) = reuse {
            cache.keep(key, Rc::clone(&value), now, expiry);
        }
        Ok(Verdict::Issue { value, is_reused: false })
    }

    fn sign(&self, claims: &ClaimSet, identity: &Identity<'_>, expiry: i64, now: i64) -> Result<String, Rejection> {
        let payload = claims
            .payload(identity, expiry, now)
            .map_err(|_| Rejection::new(Code::Internal, "token", "there are no random numbers for `jti`"))?;
        let prefix = &self.token.prefix;
        let (_, key) = self.keys.at(now);
        let value = key.sign(prefix, payload.as_bytes());
        if value.len().saturating_sub(prefix.len()) > self.token.max_bytes {
            return Err(Rejection::malformed("token", "longer than token.max_bytes"));
        }
        Ok(value)
    }

    /// Everything that a token depends on but the time: the rule, the key in use, who proves, and the identity, each
    /// value with its length before it. That the time is right is up to the cache.
    fn cache_key(&self, request: &Request<'_>, rule: Option<(usize, &Rule)>, prover: usize, now: i64) -> Vec<u8> {
        let rule = rule.map_or(usize::MAX, |(position, _)| position);
        let (key_in_use_since, _) = self.keys.at(now);
        let mut key = Vec::with_capacity(request.identity_bytes().saturating_add(128));
        key.extend(rule.to_le_bytes());
        key.extend(key_in_use_since.to_le_bytes());
        key.extend(prover.to_le_bytes());
        for (name, value) in request.identity() {
            key.extend(name.to_bytes());
            key.extend(value.len().to_le_bytes());
            key.extend(value);
        }
        key
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
        let headers = self.read_texts(request, |_| true)?;
        let identity = Identity {
            username: self.read_username(&headers).map_err(malformed("username"))?,
            realm: self.read_realm(&headers).map_err(malformed("realm"))?,
            roles: self.read_roles(&headers).map_err(malformed("roles"))?,
            scopes: self.read_scopes(&headers, form).map_err(malformed("scopes"))?,
            attributes: self.read_attributes(&headers).map_err(malformed("attributes"))?,
        };
        self.check_required(&identity)?;
        Ok(identity)
    }

    fn read_texts<'a>(&self, request: &Request<'a>, asks: impl Fn(NameId) -> bool) -> Result<Texts<'a>, Rejection> {
        let mut texts = Vec::with_capacity(USUAL_IDENTITY_HEADERS);
        for (id, value) in request.identity().filter(|(id, _)| asks(*id)) {
            let text = if self.empty_is_absent && value.is_empty() {
                Ok("")
            } else {
                identity::text(value, MAX_IDENTITY_BYTES)
            };
            texts.push((id, text.map_err(|flaw| Rejection::malformed(self.claim_of(id), flaw))?));
        }
        Ok(Texts(texts))
    }

    /// What a header is for, in words for people.
    fn claim_of(&self, id: NameId) -> &'static str {
        let realm = match &self.realm {
            RealmSource::Header(ids) => ids.as_slice(),
            RealmSource::Fixed(_) => &[],
        };
        let sources = [
            ("username", self.username.as_slice()),
            ("realm", realm),
            ("roles", &self.roles.0),
            ("scopes", &self.scopes.0),
            ("attributes", &self.attributes),
        ];
        let claim = sources.into_iter().find(|(_, ids)| ids.contains(&id)).map(|(claim, _)| claim);
        claim.unwrap_or(if self.attributes_from.iter().any(|(_, own)| *own == id) {
            "attributes"
        } else {
            "a header that no claim is read from"
        })
    }

    fn read_roles<'a>(&self, headers: &Texts<'a>) -> Result<Vec<Cow<'a, str>>, Flaw> {
        let (ids, format) = &self.roles;
        identity::list(*format, headers.filled(ids))
    }

    fn read_scopes<'a>(&self, headers: &Texts<'a>, form: ScopesForm) -> Result<Scopes<'a>, Flaw> {
        let (ids, format) = &self.scopes;
        match form {
            ScopesForm::List => identity::list(*format, headers.filled(ids)).map(Scopes::List),
            ScopesForm::Map => identity::scopes(*format, headers.filled(ids)),
        }
    }

    fn read_username<'a>(&self, headers: &Texts<'a>) -> Result<&'a str, Flaw> {
        headers.name(&self.username)
    }

    fn read_realm<'a>(&'a self, headers: &Texts<'a>) -> Result<&'a str, Flaw> {
        match &self.realm {
            RealmSource::Fixed(realm) => Ok(realm),
            RealmSource::Header(ids) => headers.name(ids),
        }
    }

    fn read_subject(&self, request: &Request<'_>) -> Result<String, Rejection> {
        let is_realm = |id| matches!(&self.realm, RealmSource::Header(ids) if ids.contains(&id));
        let headers = self.read_texts(request, |id| self.username.contains(&id) || is_realm(id))?;
        let realm = self.read_realm(&headers).map_err(malformed("realm"))?;
        let username = self.read_username(&headers).map_err(malformed("username"))?;
        Ok(subject(realm, username))
    }

    fn read_attributes<'a>(&'a self, headers: &Texts<'a>) -> Result<Attributes<'a>, Flaw> {
        let mut attributes = match headers.filled(&self.attributes).next() {
            Some(json) => identity::attributes(json)?,
            None => Attributes::default(),
        };
        for (key, id) in &self.attributes_from {
            // An `exp` that says nothing is one that nobody can read, not the longest lifetime.
            if let Some(value) = headers.of(*id).next().filter(|value| !value.is_empty() || key == "exp") {
                attributes.add(key, value)?;
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

/// The identity headers of a request, as [`identity::text`] read them. An empty one counts as absent.
struct Texts<'a>(Vec<(NameId, &'a str)>);

/// How many identity headers a request usually has, at most.
const USUAL_IDENTITY_HEADERS: usize = 8;

impl<'a> Texts<'a> {
    /// The values of a header, in the order of the request.
    fn of(&self, id: NameId) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| *own == id).map(|(_, text)| *text)
    }

    /// The values of the first of these headers that is present.
    fn of_first(&self, ids: &[NameId]) -> impl Iterator<Item = &'a str> {
        let first = ids.iter().copied().find(|id| self.of(*id).next().is_some());
        first.into_iter().flat_map(|id| self.of(id))
    }

    /// As [`Texts::of_first`], of which those that are not absent.
    fn filled(&self, ids: &[NameId]) -> impl Iterator<Item = &'a str> {
        self.of_first(ids).filter(|text| !text.is_empty())
    }

    /// The value of the first of these headers that is present, as a name.
    fn name(&self, ids: &[NameId]) -> Result<&'a str, Flaw> {
        let name = self.of_first(ids).next().ok_or("missing")?;
        identity::check_length(name, MAX_NAME_BYTES)?;
        Ok(name)
    }
}
