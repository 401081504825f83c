//! From what was written to a [`Policy`] that cannot be wrong.

use std::{collections::BTreeMap, net::Ipv6Addr};

use ipnet::IpNet;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

use super::{IdentitySources, Policy, RealmSource, TokenHeader};
use crate::{
    claims::{ClaimSet, Json, RESERVED},
    config::{self, Config, ConfigError, Format, HeaderNames, Preset, Secret},
    identity::{self, MAX_ATTRIBUTE_KEY_BYTES, MAX_ATTRIBUTES, MAX_NAME_BYTES},
    jwt::{KeyRing, MIN_SECRET_BYTES, SecretTooShort, SigningKey},
    request::{MAX_NAME_BYTES as MAX_HEADER_NAME_BYTES, NameConflict, NameId, Names, Role, is_spelling_of},
    rules::{Action, Conditions, Host, PathCondition, Rule, is_ambiguous},
    token::reuse::TokenCache,
    trust::{
        Entry, Proof,
        filter_state::FilterState,
        mtls::{FINGERPRINT_DIGITS, Mtls},
        peer::Peer,
        shared_secret::SharedSecret,
        signature::{Component, FIELDS, Key, Signature},
    },
};

/// The environment of the VM: the value of a variable, where it is set to valid UTF-8.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The longest lifetime of a token, in seconds: ten years.
pub const MAX_LIFETIME_SECONDS: i64 = 315_360_000;

/// The largest `token.max_bytes`: Envoy's default limit for all headers of a request together.
pub const MAX_TOKEN_BYTES: i64 = 60 * 1024;

/// The longest `max_age` of a signature, in seconds: a day. Within it, whoever sees a request can send it again.
pub const MAX_SIGNATURE_AGE_SECONDS: i64 = 86_400;

/// The derived components of RFC 9421, section 2.2 that a request has and the filter supports.
const DERIVED_COMPONENTS: &str = "`@method`, `@target-uri`, `@authority`, `@scheme`, `@path`, `@query`";

/// The longest name in a certificate that can be configured, in bytes: that of a SPIFFE ID.
const MAX_SAN_BYTES: usize = 2048;

/// Headers that frame or route the message: setting or removing one would break the request itself.
const MESSAGE_HEADERS: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":protocol",
    ":scheme",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

type Result<T> = std::result::Result<T, ConfigError>;

impl Policy {
    /// Reads and compiles a plugin configuration.
    ///
    /// # Errors
    /// When the configuration cannot be used; the error names the field and never shows a secret.
    pub fn from_json(json: &[u8], environment: Environment<'_>) -> Result<Self> {
        Self::compile(Config::from_json(json)?, environment)
    }

    /// Validates and compiles `config`.
    ///
    /// # Errors
    /// As [`Policy::from_json`].
    pub fn compile(config: Config, environment: Environment<'_>) -> Result<Self> {
        let mut names = Names::default();
        let preset = config.identity.preset.preset();
        let reuse = compile_reuse(&config)?;
        let reuse_seconds = config.token.reuse;
        let token = compile_token(config.token, &mut names)?;
        let claims = compile_claims(&config.jwt, &config.claims, token.max_bytes)?;
        let rules = compile_rules(config.rules, &claims, reuse_seconds)?;
        let keys = compile_keys(&config.jwt, environment)?;
        let identity = compile_identity(config.identity, preset, &mut names)?;
        let trust = compile_trust(config.trust, &mut names, environment)?;
        // Also those that the configuration reads no claim from: a service may still believe them.
        for (name, repeatable) in preset.headers() {
            let role = Role::Identity { repeatable };
            match name.strip_suffix('*') {
                Some(prefix) => names.add_prefix(prefix, role),
                None => names.add_missing(name, role),
            }
        }
        Ok(Self {
            names,
            identity,
            trust,
            rules,
            keys,
            claims,
            token,
            reuse,
            on_missing: config.on_missing,
            forward_identity: config.forward_identity,
            tells_filter_state: config.telemetry.filter_state,
        })
    }
}

/// The paths of the secrets that stand in the configuration itself, where whoever sees it sees them.
#[must_use]
pub fn inline_secrets(config: &Config) -> Vec<String> {
    let mut paths = Vec::new();
    let mut note = |path: String, secret: &Option<Secret>| paths.extend(secret.is_some().then_some(path));
    note("jwt.secret".to_owned(), &config.jwt.secret);
    for (index, key) in config.jwt.rotation.iter().enumerate() {
        note(format!("jwt.rotation[{index}].secret"), &key.secret);
    }
    for (index, entry) in config.trust.iter().enumerate() {
        if let Some(proof) = &entry.shared_secret {
            note(format!("trust[{index}].shared_secret.secret"), &proof.secret);
        }
        for (key_index, key) in entry.signature.iter().flat_map(|proof| proof.keys.iter().enumerate()) {
            note(format!("trust[{index}].signature.keys[{key_index}].secret"), &key.secret);
        }
    }
    paths
}

fn compile_keys(jwt: &config::Jwt, environment: Environment<'_>) -> Result<KeyRing> {
    let first = compile_key("jwt", jwt.kid.as_deref(), jwt.secret.as_ref(), jwt.secret_env.as_deref(), environment)?;
    let mut kids: Vec<&str> = jwt.kid.iter().map(String::as_str).collect();
    let mut later = Vec::<(i64, SigningKey)>::new();
    for (index, key) in jwt.rotation.iter().enumerate() {
        let path = format!("jwt.rotation[{index}]");
        if kids.contains(&key.kid.as_str()) {
            let problem = format!("found {:?} a second time, expected one key of that name", key.kid);
            return Err(ConfigError::new(format!("{path}.kid"), problem));
        }
        kids.push(&key.kid);
        let not_before = compile_time(&format!("{path}.not_before"), &key.not_before)?;
        if later.iter().any(|(other, _)| *other == not_before) {
            let problem = "found the time of another key, expected each key to take over at a time of its own";
            return Err(ConfigError::new(format!("{path}.not_before"), problem));
        }
        let secret = (key.secret.as_ref(), key.secret_env.as_deref());
        later.push((not_before, compile_key(&path, Some(&key.kid), secret.0, secret.1, environment)?));
    }
    Ok(KeyRing::new(first, later))
}

fn compile_key(
    path: &str,
    kid: Option<&str>,
    secret: Option<&Secret>,
    variable: Option<&str>,
    environment: Environment<'_>,
) -> Result<SigningKey> {
    if let Some(kid) = kid {
        check_text(&format!("{path}.kid"), kid, MAX_NAME_BYTES)?;
    }
    let (path, secret) = read_secret(path, secret, variable, environment)?;
    SigningKey::new(secret.as_bytes(), kid).map_err(|SecretTooShort| too_short(path, &secret))
}

/// A time of RFC 3339 in epoch seconds.
fn compile_time(path: &str, time: &str) -> Result<i64> {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok().filter(|time| time.nanosecond() == 0).ok_or_else(|| {
        let problem = format!("found {time:?}, expected a time of RFC 3339 such as \"2026-12-01T00:00:00Z\"");
        ConfigError::new(path, problem)
    })?;
    Ok(time.unix_timestamp())
}

fn too_short(path: String, secret: &str) -> ConfigError {
    let problem = format!("found {} bytes, expected at least {MIN_SECRET_BYTES} (RFC 7518, section 3.2)", secret.len());
    ConfigError::new(path, problem)
}

/// `None` where every token must be another: with `jti`, unless reuse is asked for.
fn compile_reuse(config: &Config) -> Result<Option<TokenCache>> {
    let seconds = config.token.reuse;
    if !(0..config.jwt.exp.max(1)).contains(&seconds) {
        let problem = format!("found {seconds}, expected 0 or more seconds, less than jwt.exp");
        return Err(ConfigError::new("token.reuse", problem));
    }
    let is_on = seconds > 0 || !config.claims.jti;
    Ok(is_on.then(|| TokenCache::new(seconds)))
}

fn compile_claims(jwt: &config::Jwt, claims: &config::Claims, max_token_bytes: usize) -> Result<ClaimSet> {
    check_jwt("jwt", Some(&jwt.iss), jwt.aud.as_deref(), Some(jwt.exp))?;
    if claims.aud && jwt.aud.is_none() {
        return Err(ConfigError::new("claims.aud", "found true, expected jwt.aud beside it"));
    }
    check_extra(&claims.extra, max_token_bytes)?;
    Ok(ClaimSet {
        issuer: Json::string(&jwt.iss),
        audience: jwt.aud.as_deref().filter(|_| claims.aud).map(Json::string),
        lifetime: jwt.exp,
        scopes: claims.scopes,
        has_id: claims.jti,
        extra: Json::members(&claims.extra),
    })
}

/// The fields that `jwt` and the overrides of rules share, where they are given.
fn check_jwt(path: &str, iss: Option<&str>, aud: Option<&str>, exp: Option<i64>) -> Result<()> {
    if let Some(iss) = iss {
        check_text(&format!("{path}.iss"), iss, MAX_NAME_BYTES)?;
    }
    if let Some(aud) = aud {
        check_text(&format!("{path}.aud"), aud, MAX_NAME_BYTES)?;
    }
    if let Some(exp) = exp {
        check_range(&format!("{path}.exp"), exp, MAX_LIFETIME_SECONDS, "seconds")?;
    }
    Ok(())
}

fn check_extra(extra: &Map<String, Value>, max_token_bytes: usize) -> Result<()> {
    for name in extra.keys() {
        check_text("claims.extra", name, MAX_NAME_BYTES)?;
        if RESERVED.contains(&name.as_str()) {
            let problem = "found a claim that is the filter's to set, expected another name";
            return Err(ConfigError::new(format!("claims.extra.{name}"), problem));
        }
    }
    let bytes = Value::from(extra.clone()).to_string().len();
    if bytes > max_token_bytes {
        let problem = format!("found {bytes} bytes of JSON, expected at most token.max_bytes");
        return Err(ConfigError::new("claims.extra", problem));
    }
    Ok(())
}

fn compile_rules(rules: Vec<config::Rule>, claims: &ClaimSet, reuse: i64) -> Result<Vec<Rule>> {
    rules
        .into_iter()
        .enumerate()
        .map(|(index, rule)| {
            let path = format!("rules[{index}]");
            let conditions = compile_conditions(&format!("{path}.match"), rule.conditions)?;
            if rule.action == config::Action::Pass {
                check_passable(&format!("{path}.match"), &conditions)?;
            }
            let action = match (rule.action, rule.jwt) {
                (config::Action::Issue, None) => Action::Issue(None),
                (config::Action::Issue, Some(jwt)) => {
                    Action::Issue(Some(compile_override(&format!("{path}.jwt"), jwt, claims, reuse)?))
                }
                (config::Action::Pass, None) => Action::Pass,
                (config::Action::Deny, None) => Action::Deny,
                (config::Action::Pass | config::Action::Deny, Some(_)) => {
                    let problem = "found it beside an action that issues no token, expected the action `issue`";
                    return Err(ConfigError::new(format!("{path}.jwt"), problem));
                }
            };
            Ok(Rule { conditions, action })
        })
        .collect()
}

fn compile_override(path: &str, jwt: config::JwtOverride, claims: &ClaimSet, reuse: i64) -> Result<ClaimSet> {
    check_jwt(path, jwt.iss.as_deref(), jwt.aud.as_deref(), jwt.exp)?;
    let mut claims = claims.clone();
    if let Some(iss) = jwt.iss {
        claims.issuer = Json::string(&iss);
    }
    if let Some(aud) = jwt.aud {
        // Tokens have an audience where `claims.aud` asks for it.
        claims.audience = claims.audience.map(|_| Json::string(&aud));
    }
    if let Some(exp) = jwt.exp {
        if exp <= reuse {
            return Err(ConfigError::new(
                format!("{path}.exp"),
                format!("found {exp}, expected more seconds than token.reuse"),
            ));
        }
        claims.lifetime = exp;
    }
    Ok(claims)
}

fn compile_conditions(path: &str, conditions: config::Match) -> Result<Conditions> {
    let config::Match { hosts, path_prefix, path: exact, methods, route } = conditions;
    if hosts.is_none() && path_prefix.is_none() && exact.is_none() && methods.is_none() && route.is_none() {
        let problem = "found no condition, expected at least one of `hosts`, `path_prefix`, `path`, `methods`, `route`";
        return Err(ConfigError::new(path, problem));
    }
    if let Some(route) = &route {
        check_text(&format!("{path}.route"), route, MAX_NAME_BYTES)?;
    }
    Ok(Conditions {
        hosts: compile_any(&format!("{path}.hosts"), hosts, compile_host)?,
        path: compile_path(path, path_prefix, exact)?,
        methods: compile_any(&format!("{path}.methods"), methods, compile_method)?,
        route,
    })
}

/// A path that never matches `pass` would make a rule that says what it never does.
fn check_passable(path: &str, conditions: &Conditions) -> Result<()> {
    let (name, value, is_passable) = match &conditions.path {
        None => return Ok(()),
        Some(PathCondition::Exact(exact)) => ("path", exact, !is_ambiguous(exact.as_bytes())),
        // Without its last slash, so that one more is an empty segment.
        Some(PathCondition::Prefix(prefix)) => ("path_prefix", prefix, !is_ambiguous(format!("{prefix}/").as_bytes())),
    };
    if is_passable {
        return Ok(());
    }
    let problem = format!("found {value:?}, which a backend could read differently, expected a plain path");
    Err(ConfigError::new(format!("{path}.{name}"), problem))
}

/// A list of which any may hold: with none in it, none could.
fn compile_any<T>(
    path: &str,
    values: Option<Vec<String>>,
    compile: impl Fn(&str, &str) -> Result<T>,
) -> Result<Option<Vec<T>>> {
    let Some(values) = values else { return Ok(None) };
    if values.is_empty() {
        return Err(ConfigError::new(path, "found an empty list, expected at least one value"));
    }
    let compiled = values.iter().enumerate().map(|(index, value)| compile(&format!("{path}[{index}]"), value.as_str()));
    compiled.collect::<Result<_>>().map(Some)
}

fn compile_host(path: &str, host: &str) -> Result<Host> {
    let lower = host.to_ascii_lowercase();
    let (domain, is_below) = lower.strip_prefix("*.").map_or((lower.as_str(), false), |domain| (domain, true));
    let address = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_address = !is_below && address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    let is_host_char = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_name = domain.split('.').all(|label| !label.is_empty() && label.bytes().all(is_host_char));
    if !is_address && !is_name {
        let problem = format!(
            "found {host:?}, expected a host without port such as \"example.com\", or \"*.example.com\" for all below it"
        );
        return Err(ConfigError::new(path, problem));
    }
    Ok(if is_below { Host::Below(format!(".{domain}")) } else { Host::Exact(lower) })
}

fn compile_method(path: &str, method: &str) -> Result<String> {
    // Methods are case-sensitive (RFC 9110, section 9.1), and "get" would match nothing.
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(&byte)) {
        return Err(ConfigError::new(path, format!("found {method:?}, expected a method such as \"GET\"")));
    }
    Ok(method.to_owned())
}

fn compile_path(path: &str, prefix: Option<String>, exact: Option<String>) -> Result<Option<PathCondition>> {
    let check = |name: &str, value: &str| {
        if value.starts_with('/') && !value.contains(['?', '#']) && !value.contains(char::is_control) {
            return Ok(());
        }
        let problem = format!("found {value:?}, expected a path that begins with \"/\", without query or fragment");
        Err(ConfigError::new(format!("{path}.{name}"), problem))
    };
    match (prefix, exact) {
        (Some(_), Some(_)) => Err(ConfigError::new(path, "found both `path_prefix` and `path`, expected one of them")),
        (Some(prefix), None) => {
            check("path_prefix", &prefix)?;
            Ok(Some(PathCondition::Prefix(prefix.strip_suffix('/').unwrap_or(&prefix).to_owned())))
        }
        (None, Some(exact)) => {
            check("path", &exact)?;
            Ok(Some(PathCondition::Exact(exact)))
        }
        (None, None) => Ok(None),
    }
}

fn compile_token(token: config::Token, names: &mut Names) -> Result<TokenHeader> {
    let name = header_name("token.header", &token.header)?;
    add_name(names, "token.header", &name, Role::Token)?;
    if let Some(position) = token.prefix.bytes().position(|byte| !(b' '..=b'~').contains(&byte)) {
        let problem = format!("found byte {position} outside printable ASCII, expected none");
        return Err(ConfigError::new("token.prefix", problem));
    }
    if token.prefix.starts_with(' ') {
        let problem = "found a leading space, which no header value keeps, expected none";
        return Err(ConfigError::new("token.prefix", problem));
    }
    let max_bytes = check_range("token.max_bytes", token.max_bytes, MAX_TOKEN_BYTES, "bytes")?;
    Ok(TokenHeader { name, prefix: token.prefix, max_bytes })
}

fn compile_identity(identity: config::Identity, preset: &Preset, names: &mut Names) -> Result<IdentitySources> {
    let single = Role::Identity { repeatable: false };
    if let Some(realms) = &identity.realms {
        check_realms("identity.realms", realms)?;
    }
    Ok(IdentitySources {
        username: add_headers(names, "identity.username.header", identity.username.header, preset.username, single)?,
        realm: compile_realm(identity.realm, preset.realm, names)?,
        roles: compile_list("identity.roles", identity.roles, preset.roles, names)?,
        scopes: compile_list("identity.scopes", identity.scopes, preset.scopes, names)?,
        attributes: add_headers(
            names,
            "identity.attributes.header",
            identity.attributes.header,
            preset.attributes,
            single,
        )?,
        attributes_from: compile_attributes_from(identity.attributes.from, preset.attributes_from, names)?,
        empty_is_absent: preset.sends_empty,
        required: identity.required,
        realms: identity.realms,
    })
}

fn compile_realm(realm: config::Realm, default: &[&str], names: &mut Names) -> Result<RealmSource> {
    match (realm.header, realm.value) {
        (Some(_), Some(_)) => {
            Err(ConfigError::new("identity.realm", "found both `header` and `value`, expected one of them"))
        }
        (None, Some(value)) => {
            check_text("identity.realm.value", &value, MAX_NAME_BYTES)?;
            Ok(RealmSource::Fixed(value))
        }
        (None, None) if default.is_empty() => {
            let problem = "missing, expected `value` or `header`, as the headers of the preset tell no realm";
            Err(ConfigError::new("identity.realm", problem))
        }
        (header, None) => {
            let role = Role::Identity { repeatable: false };
            add_headers(names, "identity.realm.header", header, default, role).map(RealmSource::Header)
        }
    }
}

fn compile_list(
    path: &str,
    list: config::List,
    (header, format): (&[&str], Format),
    names: &mut Names,
) -> Result<(Vec<NameId>, Format)> {
    let format = list.format.unwrap_or(format);
    let role = Role::Identity { repeatable: format == Format::Repeated };
    let ids = add_headers(names, &format!("{path}.header"), list.header, header, role)?;
    Ok((ids, format))
}

fn compile_attributes_from(
    from: Option<BTreeMap<String, String>>,
    default: &[(&str, &str)],
    names: &mut Names,
) -> Result<Vec<(String, NameId)>> {
    let path = "identity.attributes.from";
    let from: Vec<_> = match from {
        Some(from) => from.into_iter().collect(),
        None => default.iter().map(|(attribute, header)| ((*attribute).to_owned(), (*header).to_owned())).collect(),
    };
    if from.len() > MAX_ATTRIBUTES {
        let problem = format!("found {} attributes, expected at most {MAX_ATTRIBUTES}", from.len());
        return Err(ConfigError::new(path, problem));
    }
    from.into_iter()
        .map(|(attribute, header)| {
            check_text(path, &attribute, MAX_ATTRIBUTE_KEY_BYTES)?;
            let path = format!("{path}.{attribute}");
            let name = header_name(&path, &header)?;
            let id = add_name(names, &path, &name, Role::Identity { repeatable: false })?;
            Ok((attribute, id))
        })
        .collect()
}

fn compile_trust(entries: Vec<config::Trust>, names: &mut Names, environment: Environment<'_>) -> Result<Vec<Entry>> {
    if entries.is_empty() {
        let problem = "empty or missing, expected at least one entry that says who may assert an identity";
        return Err(ConfigError::new("trust", problem));
    }
    entries
        .into_iter()
        .enumerate()
        .map(|(index, entry)| compile_entry(&format!("trust[{index}]"), entry, names, environment))
        .collect()
}

fn compile_entry(path: &str, entry: config::Trust, names: &mut Names, environment: Environment<'_>) -> Result<Entry> {
    if let Some(realms) = &entry.realms {
        check_realms(&format!("{path}.realms"), realms)?;
    }
    let mut proofs = Vec::new();
    if let Some(proof) = entry.shared_secret {
        let path = format!("{path}.shared_secret");
        let proof = compile_shared_secret(&path, &proof, names, environment)?;
        proofs.push(("shared_secret", Proof::SharedSecret(proof)));
    }
    if let Some(proof) = entry.signature {
        let path = format!("{path}.signature");
        proofs.push(("signature", Proof::Signature(compile_signature(&path, &proof, names, environment)?)));
    }
    if let Some(proof) = entry.mtls {
        proofs.push(("mtls", Proof::Mtls(compile_mtls(&format!("{path}.mtls"), proof)?)));
    }
    if let Some(proof) = entry.peer {
        proofs.push(("peer", Proof::Peer(compile_peer(&format!("{path}.peer"), &proof)?)));
    }
    if let Some(proof) = entry.filter_state {
        let proof = compile_filter_state(&format!("{path}.filter_state"), proof)?;
        proofs.push(("filter_state", Proof::FilterState(proof)));
    }
    let mut proofs = proofs.into_iter();
    match (proofs.next(), proofs.next()) {
        (Some((_, proof)), None) => Ok(Entry { proof, realms: entry.realms }),
        (Some((first, _)), Some((second, _))) => {
            let problem = format!("found both `{first}` and `{second}`, expected exactly one proof");
            Err(ConfigError::new(path, problem))
        }
        (None, _) => {
            let problem =
                "found no proof, expected one of `shared_secret`, `signature`, `mtls`, `peer`, `filter_state`";
            Err(ConfigError::new(path, problem))
        }
    }
}

fn compile_signature(
    path: &str,
    proof: &config::Signature,
    names: &mut Names,
    environment: Environment<'_>,
) -> Result<Signature> {
    let keys_path = format!("{path}.keys");
    if proof.keys.is_empty() {
        return Err(ConfigError::new(keys_path, "found an empty list, expected at least one key"));
    }
    let mut keys = Vec::<Key>::new();
    for (index, key) in proof.keys.iter().enumerate() {
        let path = format!("{keys_path}[{index}]");
        let keyid_path = format!("{path}.keyid");
        check_text(&keyid_path, &key.keyid, MAX_NAME_BYTES)?;
        if !key.keyid.is_ascii() {
            let problem = format!("found {:?}, expected ASCII, which is all that a `keyid` can hold", key.keyid);
            return Err(ConfigError::new(keyid_path, problem));
        }
        if keys.iter().any(|other| other.id() == key.keyid) {
            let problem = format!("found {:?} a second time, expected one key of that name", key.keyid);
            return Err(ConfigError::new(keyid_path, problem));
        }
        let (path, secret) = read_secret(&path, key.secret.as_ref(), key.secret_env.as_deref(), environment)?;
        keys.push(Key::new(key.keyid.clone(), secret.as_bytes()).map_err(|SecretTooShort| too_short(path, &secret))?);
    }
    let max_age_path = format!("{path}.max_age");
    check_range(&max_age_path, proof.max_age, MAX_SIGNATURE_AGE_SECONDS, "seconds")?;
    for (index, name) in proof.components.iter().enumerate() {
        if Component::parse(name).is_none() {
            let problem =
                format!("found {name:?}, expected a header name in lower case or one of {DERIVED_COMPONENTS}");
            return Err(ConfigError::new(format!("{path}.components[{index}]"), problem));
        }
    }
    let [input, signature] = FIELDS.map(|name| add_name(names, path, name, Role::Proof { repeatable: true }));
    Ok(Signature {
        input: input?,
        signature: signature?,
        keys,
        max_age: proof.max_age,
        components: proof.components.clone(),
    })
}

fn compile_mtls(path: &str, proof: config::Mtls) -> Result<Mtls> {
    let config::Mtls { uri_sans, dns_sans, fingerprints } = proof;
    if uri_sans.is_empty() && dns_sans.is_empty() && fingerprints.is_empty() {
        let problem = "found nothing to match, expected at least one of `uri_sans`, `dns_sans`, `fingerprints`";
        return Err(ConfigError::new(path, problem));
    }
    for (index, san) in uri_sans.iter().enumerate() {
        check_text(&format!("{path}.uri_sans[{index}]"), san, MAX_SAN_BYTES)?;
    }
    for (index, san) in dns_sans.iter().enumerate() {
        let path = format!("{path}.dns_sans[{index}]");
        check_text(&path, san, MAX_SAN_BYTES)?;
        if san.contains('*') {
            return Err(ConfigError::new(path, format!("found {san:?}, expected a whole name without wildcards")));
        }
    }
    let fingerprints = fingerprints.iter().enumerate().map(|(index, fingerprint)| {
        let digits = fingerprint.replace(':', "");
        if digits.len() == FINGERPRINT_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(digits);
        }
        let problem = format!(
            "found {fingerprint:?}, expected a SHA-256 digest of {FINGERPRINT_DIGITS} hexadecimal digits, \
             with or without colons"
        );
        Err(ConfigError::new(format!("{path}.fingerprints[{index}]"), problem))
    });
    Ok(Mtls { fingerprints: fingerprints.collect::<Result<_>>()?, uri_sans, dns_sans })
}

fn compile_peer(path: &str, proof: &config::Peer) -> Result<Peer> {
    let path = format!("{path}.cidrs");
    if proof.cidrs.is_empty() {
        return Err(ConfigError::new(path, "found an empty list, expected at least one range of addresses"));
    }
    let cidrs = proof.cidrs.iter().enumerate().map(|(index, cidr)| {
        compile_cidr(cidr).map_err(|expected| {
            ConfigError::new(format!("{path}[{index}]"), format!("found {cidr:?}, expected {expected}"))
        })
    });
    Ok(Peer { cidrs: cidrs.collect::<Result<_>>()? })
}

/// A range of addresses, or what is expected instead.
fn compile_cidr(cidr: &str) -> std::result::Result<IpNet, String> {
    let net: IpNet =
        cidr.parse().map_err(|_| "an address and the length of its prefix, such as \"10.0.0.0/8\"".to_owned())?;
    if net.network() != net.addr() {
        return Err(format!("\"{}\", without bits after the prefix", net.trunc()));
    }
    // Addresses are compared as IPv4 where they stand for it, so this range would be a riddle: it matches nothing.
    if net.addr().to_canonical() != net.addr() {
        return Err("the range in IPv4, as IPv4-mapped peers count as IPv4".to_owned());
    }
    Ok(net)
}

fn compile_filter_state(path: &str, proof: config::FilterState) -> Result<FilterState> {
    check_text(&format!("{path}.key"), &proof.key, MAX_NAME_BYTES)?;
    check_text(&format!("{path}.value"), &proof.value, MAX_NAME_BYTES)?;
    Ok(FilterState { key: proof.key, value: proof.value })
}

fn compile_shared_secret(
    path: &str,
    proof: &config::SharedSecret,
    names: &mut Names,
    environment: Environment<'_>,
) -> Result<SharedSecret> {
    let header_path = format!("{path}.header");
    let name = header_name(&header_path, &proof.header)?;
    let header = add_name(names, &header_path, &name, Role::Proof { repeatable: false })?;
    let (path, secret) = read_secret(path, proof.secret.as_ref(), proof.secret_env.as_deref(), environment)?;
    if secret.is_empty() {
        return Err(ConfigError::new(path, "found an empty secret, expected a long random one"));
    }
    if secret.trim() != secret.as_str() || secret.contains(char::is_control) {
        let problem = "found blanks at an end, or a control character, expected what a header value can carry";
        return Err(ConfigError::new(path, problem));
    }
    Ok(SharedSecret::new(header, secret))
}

/// Reads `secret` or `secret_env` of the object at `path`; returns the path of the one that is given.
fn read_secret(
    path: &str,
    secret: Option<&Secret>,
    variable: Option<&str>,
    environment: Environment<'_>,
) -> Result<(String, Zeroizing<String>)> {
    match (secret, variable) {
        (Some(_), Some(_)) => {
            let problem = "found both `secret` and `secret_env`, expected one of them";
            Err(ConfigError::new(path, problem))
        }
        (None, None) => Err(ConfigError::new(path, "found neither `secret` nor `secret_env`, expected one of them")),
        (Some(secret), None) => Ok((format!("{path}.secret"), secret.0.clone().into())),
        (None, Some(variable)) => {
            let path = format!("{path}.secret_env");
            let value = environment(variable).ok_or_else(|| {
                let problem = format!(
                    "environment variable {variable:?} is not set for the filter, or not UTF-8, \
                     expected it in the VM's environment_variables"
                );
                ConfigError::new(path.clone(), problem)
            })?;
            Ok((path, value.into()))
        }
    }
}

fn add_headers(
    names: &mut Names,
    path: &str,
    headers: Option<HeaderNames>,
    default: &[&str],
    role: Role,
) -> Result<Vec<NameId>> {
    let Some(HeaderNames(headers)) = headers else {
        return default.iter().map(|name| add_name(names, path, name, role)).collect();
    };
    if headers.is_empty() {
        return Err(ConfigError::new(path, "found an empty list, expected at least one header name"));
    }
    headers.iter().map(|header| add_name(names, path, &header_name(path, header)?, role)).collect()
}

/// A field name of RFC 9110, section 5.1, in lower case.
fn header_name(path: &str, name: &str) -> Result<String> {
    let is_token_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_HEADER_NAME_BYTES || !name.bytes().all(is_token_char) {
        let problem = format!(
            "found {name:?}, expected a header name of letters, digits and hyphens, \
             at most {MAX_HEADER_NAME_BYTES} bytes"
        );
        return Err(ConfigError::new(path, problem));
    }
    let name = name.to_ascii_lowercase();
    // Under any spelling: the filter removes all spellings of its names.
    if MESSAGE_HEADERS.iter().any(|own| is_spelling_of(name.as_bytes(), own)) {
        let problem = format!("found {name:?}, which frames the message, expected another header");
        return Err(ConfigError::new(path, problem));
    }
    Ok(name)
}

fn add_name(names: &mut Names, path: &str, name: &str, role: Role) -> Result<NameId> {
    names.add(name, role).map_err(|conflict| {
        let problem = match conflict {
            NameConflict::OtherRole => {
                format!("found {name:?}, which serves another purpose already, expected another header")
            }
            NameConflict::AliasOf(other) => {
                format!("found {name:?}, another spelling of {other:?}, expected one spelling")
            }
        };
        ConfigError::new(path, problem)
    })
}

fn check_realms(path: &str, realms: &[String]) -> Result<()> {
    if realms.is_empty() {
        let problem = "found an empty list, expected at least one realm (leave it out to allow all)";
        return Err(ConfigError::new(path, problem));
    }
    realms
        .iter()
        .enumerate()
        .try_for_each(|(index, realm)| check_text(&format!("{path}[{index}]"), realm, MAX_NAME_BYTES))
}

fn check_text(path: &str, value: &str, max: usize) -> Result<()> {
    identity::text(value.as_bytes(), max).map(|_| ()).map_err(|flaw| {
        let is = if flaw.starts_with("holds") { "" } else { "is " };
        let problem = format!("found text that {is}{flaw}, expected 1 to {max} bytes without control characters");
        ConfigError::new(path, problem)
    })
}

/// A whole number from 1 to `max`.
fn check_range(path: &str, value: i64, max: i64, unit: &str) -> Result<usize> {
    usize::try_from(value)
        .ok()
        .filter(|_| (1..=max).contains(&value))
        .ok_or_else(|| ConfigError::new(path, format!("found {value}, expected 1 to {max} {unit}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_never_matches_pass_is_no_path_of_such_a_rule() {
        let compile = |action: &str, name: &str, path: &str| {
            let rule = serde_json::json!({"match": {name: path}, "action": action});
            let claims = ClaimSet {
                issuer: Json::string("a"),
                audience: None,
                lifetime: 1,
                scopes: config::ScopesForm::List,
                has_id: false,
                extra: Json::members(&Map::new()),
            };
            compile_rules(vec![serde_json::from_value(rule).unwrap()], &claims, 0).map(|_| ())
        };
        for name in ["path_prefix", "path"] {
            for path in ["//", "/a//", "/a;b", "/a/../b", "/%61", "/a b", "/\u{e9}"] {
                let error = compile("pass", name, path).unwrap_err().to_string();
                assert!(error.starts_with(&format!("rules[0].match.{name}: found")), "{error}");
                assert!(compile("deny", name, path).is_ok(), "{path}");
            }
            for path in ["/", "/a", "/a/", "/a%20b", "/%c3%a9"] {
                assert!(compile("pass", name, path).is_ok(), "{path}");
            }
        }
    }

    /// The filter removes every spelling of its names: `content_length` would take `content-length` with it.
    #[test]
    fn no_spelling_of_what_frames_the_message_is_a_name() {
        for name in ["host", "Content_Length", "transfer.encoding", "-path", "_method", ".authority", "!scheme"] {
            let error = header_name("token.header", name).unwrap_err().to_string();
            assert!(error.contains("frames the message"), "{error}");
        }
        for name in ["x-path", "path", "x-content-length"] {
            assert!(header_name("token.header", name).is_ok(), "{name}");
        }
    }
}
