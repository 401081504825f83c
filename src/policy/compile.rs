//! From what was written to a [`Policy`] that cannot be wrong.

use ipnet::IpNet;

use super::{IdentitySources, Policy, RealmSource, TokenHeader};
use crate::{
    claims::ClaimSet,
    config::{self, AUTH_O_TRON, Config, ConfigError, Format, HeaderNames, Secret},
    identity::{self, MAX_ATTRIBUTE_KEY_BYTES, MAX_ATTRIBUTES, MAX_NAME_BYTES},
    jwt::{MIN_SECRET_BYTES, SecretTooShort, SigningKey},
    request::{MAX_NAME_BYTES as MAX_HEADER_NAME_BYTES, NameConflict, NameId, Names, Role},
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
        let token = compile_token(config.token, &mut names)?;
        let identity = compile_identity(config.identity, &mut names)?;
        let trust = compile_trust(config.trust, &mut names, environment)?;
        let key = compile_key(&config.jwt, environment)?;
        let claims = compile_claims(config.jwt, &config.claims)?;
        // Also those that the configuration reads no claim from: a service may still believe them.
        for name in AUTH_O_TRON.headers() {
            names.add_missing(name, Role::Identity { repeatable: false });
        }
        Ok(Self {
            names,
            identity,
            trust,
            key,
            claims,
            token,
            on_missing: config.on_missing,
            forward_identity: config.forward_identity,
        })
    }
}

fn compile_key(jwt: &config::Jwt, environment: Environment<'_>) -> Result<SigningKey> {
    if let Some(kid) = &jwt.kid {
        check_text("jwt.kid", kid, MAX_NAME_BYTES)?;
    }
    let (path, secret) = read_secret("jwt", jwt.secret.as_ref(), jwt.secret_env.as_deref(), environment)?;
    SigningKey::new(secret.as_bytes(), jwt.kid.as_deref()).map_err(|SecretTooShort| too_short(path, &secret))
}

fn too_short(path: String, secret: &str) -> ConfigError {
    let problem = format!("found {} bytes, expected at least {MIN_SECRET_BYTES} (RFC 7518, section 3.2)", secret.len());
    ConfigError::new(path, problem)
}

fn compile_claims(jwt: config::Jwt, claims: &config::Claims) -> Result<ClaimSet> {
    check_text("jwt.iss", &jwt.iss, MAX_NAME_BYTES)?;
    if let Some(aud) = &jwt.aud {
        check_text("jwt.aud", aud, MAX_NAME_BYTES)?;
    }
    check_range("jwt.exp", jwt.exp, MAX_LIFETIME_SECONDS, "seconds")?;
    if claims.aud && jwt.aud.is_none() {
        return Err(ConfigError::new("claims.aud", "found true, expected jwt.aud beside it"));
    }
    Ok(ClaimSet { issuer: jwt.iss, audience: jwt.aud.filter(|_| claims.aud), lifetime: jwt.exp, scopes: claims.scopes })
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

fn compile_identity(identity: config::Identity, names: &mut Names) -> Result<IdentitySources> {
    let single = Role::Identity { repeatable: false };
    let preset = &AUTH_O_TRON;
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
        attributes_from: compile_attributes_from(identity.attributes.from, names)?,
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
    from: std::collections::BTreeMap<String, String>,
    names: &mut Names,
) -> Result<Vec<(String, NameId)>> {
    let path = "identity.attributes.from";
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
    let components = proof.components.iter().enumerate().map(|(index, name)| {
        Component::parse(name).ok_or_else(|| {
            let problem =
                format!("found {name:?}, expected a header name in lower case or one of {DERIVED_COMPONENTS}");
            ConfigError::new(format!("{path}.components[{index}]"), problem)
        })
    });
    let components = components.collect::<Result<_>>()?;
    let [input, signature] = FIELDS.map(|name| add_name(names, path, name, Role::Proof { repeatable: true }));
    Ok(Signature { input: input?, signature: signature?, keys, max_age: proof.max_age, components })
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
    if secret.trim() != secret || secret.contains(char::is_control) {
        let problem = "found blanks at an end, or a control character, expected what a header value can carry";
        return Err(ConfigError::new(path, problem));
    }
    Ok(SharedSecret::new(header, secret.into_bytes()))
}

/// Reads `secret` or `secret_env` of the object at `path`; returns the path of the one that is given.
fn read_secret(
    path: &str,
    secret: Option<&Secret>,
    variable: Option<&str>,
    environment: Environment<'_>,
) -> Result<(String, String)> {
    match (secret, variable) {
        (Some(_), Some(_)) => {
            let problem = "found both `secret` and `secret_env`, expected one of them";
            Err(ConfigError::new(path, problem))
        }
        (None, None) => Err(ConfigError::new(path, "found neither `secret` nor `secret_env`, expected one of them")),
        (Some(secret), None) => Ok((format!("{path}.secret"), secret.0.clone())),
        (None, Some(variable)) => {
            let path = format!("{path}.secret_env");
            let value = environment(variable).ok_or_else(|| {
                let problem = format!(
                    "environment variable {variable:?} is not set for the filter, or not UTF-8, \
                     expected it in the VM's environment_variables"
                );
                ConfigError::new(path.clone(), problem)
            })?;
            Ok((path, value))
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
    if MESSAGE_HEADERS.contains(&name.as_str()) {
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
        let problem = format!("found text that is {flaw}, expected 1 to {max} bytes without control characters");
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
