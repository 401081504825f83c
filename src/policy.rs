//! The compiled configuration, and the decision about a request.
//!
//! A [`Policy`] cannot be wrong: a configuration that would make it wrong is refused. The order of the checks is what
//! makes them safe: nothing of an identity is parsed before it is proven.

use std::{fmt, rc::Rc};

use crate::{
    claims::{ClaimSet, NoPayload},
    config::{
        Config, OnMissing,
        field::{Environment, ErrorKind, Field, Report},
    },
    identity::{
        IdentityReader,
        sources::{Identity, MAX_IDENTITY_BYTES, Unreadable},
    },
    jwt::{Overrides, hs256::SigningKey, keys::KeyRing},
    rejection::{Code, Flaw, Rejection},
    request::{Facts, Removals, Request, names::Names},
    rules::{Effect, Rules},
    telemetry::Outcome,
    token::{
        TokenHeader,
        reuse::{Issued, TokenCache},
    },
    trust::{Entry, Trust, signature::FieldLines},
};

/// Everything it takes to decide about requests, validated and ready.
#[derive(Debug)]
pub struct Policy {
    names: Names,
    identity: IdentityReader,
    trust: Trust,
    rules: Rules<ClaimSet>,
    keys: KeyRing,
    /// The claims of tokens whose rule has none of its own.
    claims: ClaimSet,
    token: TokenHeader,
    /// Tokens that may be handed out again. They are this policy's, so none survives a change of configuration.
    reuse: Option<TokenCache>,
    on_missing: OnMissing,
    forward_identity: bool,
    tells_filter_state: bool,
}

/// What becomes of a request, why, and what has to be done.
#[derive(Debug)]
pub struct Decision<'p, 'r> {
    /// What becomes of it.
    pub verdict: Verdict<'p>,
    /// What the verdict rests on.
    pub grounds: Grounds<'p>,
    /// The headers to remove.
    pub remove: Removals<'r>,
    /// The signatures of other parties, which are set again after the headers are removed.
    pub signatures: Option<FieldLines>,
    /// The token's header, which is set last.
    pub token: Option<(&'p str, Rc<str>)>,
    /// The subject of the token, if it goes into filter state.
    pub subject: Option<Rc<str>>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'p> {
    /// It goes on with a token.
    Issue {
        /// Whether the token was handed out before.
        is_reused: bool,
    },
    /// It goes on without a token.
    Pass,
    /// It ends here.
    Deny(Rejection<'p>),
}

/// What a verdict rests on: parts of the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grounds<'p> {
    /// The position in `rules` of the first one that matches.
    pub rule: Option<usize>,
    /// The first entry of `trust` that proves the request, if a proof was needed.
    pub proof: Option<&'p Entry>,
    /// The key that signed the token.
    pub key: Option<&'p SigningKey>,
}

impl fmt::Display for Grounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some(position) => write!(f, "rules[{position}]")?,
            None => write!(f, "no rule")?,
        }
        if let Some(Entry { position, kind, .. }) = self.proof {
            write!(f, ", trust[{position}] {kind}")?;
        }
        if let Some(kid) = self.key.and_then(SigningKey::kid) {
            write!(f, ", key {kid:?}")?;
        }
        Ok(())
    }
}

impl Verdict<'_> {
    /// The verdict without its details.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Issue { is_reused: false } => Outcome::Issued,
            Self::Issue { is_reused: true } => Outcome::Reused,
            Self::Pass => Outcome::Passed,
            Self::Deny(rejection) => Outcome::Denied(rejection.code),
        }
    }
}

impl<'p> Decision<'p, '_> {
    fn new(verdict: Verdict<'p>, grounds: Grounds<'p>) -> Self {
        Self { verdict, grounds, remove: Removals::default(), signatures: None, token: None, subject: None }
    }

    fn deny(grounds: Grounds<'p>, rejection: Rejection<'p>) -> Self {
        Self::new(Verdict::Deny(rejection), grounds)
    }

    /// The headers to set. Each replaces all lines of that name.
    pub fn set(&self) -> impl Iterator<Item = (&str, &str)> {
        let signatures = self.signatures.iter().flatten().map(|(name, value)| (*name, value.as_str()));
        signatures.chain(self.token.iter().map(|(name, value)| (*name, &**value)))
    }
}

// === compiling ===

impl Policy {
    /// Reads and compiles a plugin configuration. `None` if it cannot be used; everything that is wrong is reported.
    #[must_use]
    pub fn from_json(json: &[u8], environment: Environment<'_>, report: &Report) -> Option<Self> {
        Self::compile(&Config::from_json(json, report), environment, report)
    }

    /// Validates and compiles `config`, as [`Policy::from_json`] does.
    #[must_use]
    pub fn compile(config: &Config, environment: Environment<'_>, report: &Report) -> Option<Self> {
        let section = |name| Field::section(report, name);
        let mut names = Names::default();
        let token = config.token.0.as_ref().and_then(|token| token.compile(&section("token"), &mut names));
        let identity =
            config.identity.0.as_ref().and_then(|identity| identity.compile(&section("identity"), &mut names));
        let trust = config.trust.0.as_ref();
        let trust = trust.and_then(|trust| Trust::compile(trust, &section("trust"), &mut names, environment));
        if let Some(identity) = &config.identity.0 {
            identity.own_defaults(&mut names);
        }
        let jwt = config.jwt.0.as_ref().and_then(|jwt| jwt.compile(&section("jwt"), environment));
        let claims = config.claims.0.as_ref();
        let max_bytes = token.as_ref().map(|token| token.max_bytes);
        let claims = claims.and_then(|claims| claims.compile(&section("claims"), jwt.as_ref(), max_bytes));
        let reuse = token.as_ref().map(|token| token.reuse);
        let rules = config.rules.0.as_ref();
        let rules = rules.and_then(|rules| {
            Rules::compile(rules, &section("rules"), &|overrides, field| {
                outlives_reuse(overrides, reuse?, field)?;
                Some(claims.as_ref()?.overridden(overrides))
            })
        });
        if let (Some(jwt), Some(reuse)) = (&jwt, reuse)
            && reuse >= jwt.lifetime
        {
            let words = format!("found {reuse}, expected less than jwt.exp");
            section("token").name("reuse").refuse::<()>(ErrorKind::Contradiction, words);
        }
        let (token, claims) = (token?, claims?);
        // With `jti` every token must be unique, so none is reused unless that is asked for.
        let reuse = (token.reuse > 0 || !claims.has_id()).then(|| TokenCache::new(token.reuse));
        let policy = Self {
            names,
            identity: identity?,
            trust: trust?,
            rules: rules?,
            keys: jwt?.keys,
            claims,
            token,
            reuse,
            on_missing: config.on_missing.0?,
            forward_identity: config.forward_identity.0?,
            tells_filter_state: config.telemetry.0.as_ref()?.filter_state,
        };
        (!report.has_errors()).then_some(policy)
    }
}

/// A token must not be handed out again after it has expired.
fn outlives_reuse(overrides: &Overrides, reuse: i64, field: &Field<'_>) -> Option<()> {
    match overrides.exp {
        Some(exp) if exp <= reuse => {
            let words = format!("found {exp}, expected more seconds than token.reuse");
            field.name("exp").refuse(ErrorKind::Contradiction, words)
        }
        _ => Some(()),
    }
}

// === deciding ===

impl Policy {
    /// The names that [`Request::scan`] looks for.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// Who may assert an identity.
    #[must_use]
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Whether there are any rules.
    #[must_use]
    pub const fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether filter state tells what became of a request.
    #[must_use]
    pub const fn tells_filter_state(&self) -> bool {
        self.tells_filter_state
    }

    /// Decides about `request`. It fetches `facts` only if something depends on them.
    #[must_use]
    pub fn decide<'p, 'r>(&'p self, request: &'r Request<'_>, facts: &Facts<'_>) -> Decision<'p, 'r> {
        if let Some(id) = request.nomination() {
            let header = Some(self.names.text(id));
            let rejection = Rejection::new(Code::IdentityMalformed, "connection", Flaw::Nominated);
            return Decision::deny(Grounds::default(), Rejection { header, ..rejection });
        }
        let rule = self.rules.first_that_matches(request, facts);
        let grounds = Grounds { rule: rule.map(|(position, _)| position), ..Grounds::default() };
        let claims = match rule.map(|(_, effect)| effect) {
            Some(Effect::Pass) => return self.pass(request, grounds),
            Some(Effect::Deny) => {
                return Decision::deny(grounds, Rejection::new(Code::DeniedByRule, "rules", Flaw::Denied));
            }
            Some(Effect::Issue(Some(claims))) => claims,
            Some(Effect::Issue(None)) | None => &self.claims,
        };
        if !request.has_identity() {
            return match self.on_missing {
                OnMissing::Pass => self.pass(request, grounds),
                OnMissing::Deny => {
                    Decision::deny(grounds, Rejection::new(Code::IdentityMissing, "identity", Flaw::Missing))
                }
            };
        }
        if let Err(rejection) = self.check_scan(request) {
            return Decision::deny(grounds, rejection);
        }
        let Some(entry) = self.trust.first_that_proves(request, facts) else {
            return Decision::deny(grounds, Rejection::new(Code::IdentityUntrusted, "trust", Flaw::Unproven));
        };
        let grounds = Grounds { proof: Some(entry), ..grounds };
        let (since, key) = self.keys.at(facts.now);
        let lookup = self.reuse.as_ref().map(|cache| (cache, cache_key(request, grounds.rule, entry, since)));
        if let Some(issued) = lookup.as_ref().and_then(|(cache, lookup)| cache.get(lookup, facts.now)) {
            return self.issue(request, Grounds { key: Some(key), ..grounds }, issued, true);
        }
        match self.sign(request, claims, entry, key, facts.now) {
            Ok((issued, expiry)) => {
                if let Some((cache, lookup)) = lookup {
                    cache.keep(lookup, issued.clone(), facts.now, expiry);
                }
                self.issue(request, Grounds { key: Some(key), ..grounds }, issued, false)
            }
            Err(rejection) => Decision::deny(grounds, rejection),
        }
    }

    fn pass<'p, 'r>(&'p self, request: &'r Request<'_>, grounds: Grounds<'p>) -> Decision<'p, 'r> {
        Decision {
            remove: request.removals(false),
            signatures: self.trust.foreign_signatures(request),
            ..Decision::new(Verdict::Pass, grounds)
        }
    }

    fn issue<'p, 'r>(
        &'p self,
        request: &'r Request<'_>,
        grounds: Grounds<'p>,
        Issued { value, subject }: Issued,
        is_reused: bool,
    ) -> Decision<'p, 'r> {
        Decision {
            remove: request.removals(self.forward_identity),
            signatures: self.trust.foreign_signatures(request),
            token: Some((&self.token.name, value)),
            subject,
            ..Decision::new(Verdict::Issue { is_reused }, grounds)
        }
    }

    /// Refuses what two readers of the same request could read differently, and what is too long.
    fn check_scan(&self, request: &Request<'_>) -> Result<(), Rejection<'_>> {
        let malformed = |flaw| Rejection::new(Code::IdentityMalformed, "identity", flaw);
        if let Some((id, flaw)) = request.ambiguity() {
            return Err(Rejection { header: Some(self.names.text(id)), ..malformed(flaw) });
        }
        if request.identity_bytes() > MAX_IDENTITY_BYTES {
            return Err(malformed(Flaw::TooLong(MAX_IDENTITY_BYTES)));
        }
        Ok(())
    }

    /// A new token, and when it expires.
    fn sign(
        &self,
        request: &Request<'_>,
        claims: &ClaimSet,
        entry: &Entry,
        key: &SigningKey,
        now: i64,
    ) -> Result<(Issued, i64), Rejection<'_>> {
        let identity =
            self.identity.read(request, claims.scopes_form()).map_err(|Unreadable { part, header, flaw }| {
                let header = header.map(|id| self.names.text(id));
                Rejection { header, ..Rejection::new(Code::IdentityMalformed, part, flaw) }
            })?;
        if !entry.may_assert(identity.realm) {
            return Err(Rejection::new(Code::RealmNotAllowed, "realm", Flaw::NotAssertable));
        }
        if !self.identity.accepts_realm(identity.realm) {
            return Err(Rejection::new(Code::RealmNotAllowed, "realm", Flaw::NotAllowed));
        }
        let expiry = claims.expiry(own_expiry(&identity, now)?, now);
        let subject = identity.subject();
        let payload = claims.payload(&identity, &subject, expiry, now).map_err(|NoPayload| {
            Rejection::new(Code::Internal, "token", Flaw::Host("there are no random numbers for `jti`"))
        })?;
        let TokenHeader { prefix, max_bytes, .. } = &self.token;
        let value = key.sign(prefix, &payload);
        if value.len().saturating_sub(prefix.len()) > *max_bytes {
            return Err(Rejection::new(Code::IdentityMalformed, "token", Flaw::TooLong(*max_bytes)));
        }
        let subject = self.tells_filter_state.then(|| subject.into());
        Ok((Issued { value: value.into(), subject }, expiry))
    }
}

/// Everything that a token depends on except the time, which the cache checks: the rule, the key in use, the entry that
/// proves, and the identity, each value preceded by its length.
fn cache_key(request: &Request<'_>, rule: Option<usize>, entry: &Entry, key_in_use_since: i64) -> Vec<u8> {
    let mut key = Vec::with_capacity(request.identity_bytes().saturating_add(128));
    key.extend_from_slice(&rule.unwrap_or(usize::MAX).to_le_bytes());
    key.extend_from_slice(&key_in_use_since.to_le_bytes());
    key.extend_from_slice(&entry.position.to_le_bytes());
    for (name, value) in request.identity() {
        key.extend_from_slice(&name.to_bytes());
        key.extend_from_slice(&value.len().to_le_bytes());
        key.extend_from_slice(value);
    }
    key
}

/// The user's own expiry, which must lie ahead: by RFC 7519, section 4.1.4 a token is refused on or after its `exp`.
fn own_expiry(identity: &Identity<'_>, now: i64) -> Result<Option<i64>, Rejection<'static>> {
    let part = "attribute exp";
    let expiry = identity.expiry().map_err(|flaw| Rejection::new(Code::IdentityMalformed, part, flaw))?;
    if expiry.is_some_and(|expiry| expiry <= now) {
        return Err(Rejection::new(Code::IdentityExpired, part, Flaw::InThePast));
    }
    Ok(expiry)
}
