//! What the user writes: the plugin configuration's types, defaults and presets. No logic.
//!
//! The README's configuration reference says what each field means.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value},
};
use zeroize::Zeroize;

use crate::identity::UniqueMap;
#[cfg(feature = "cli")]
use crate::policy::compile::{MAX_LIFETIME_SECONDS, MAX_SIGNATURE_AGE_SECONDS, MAX_TOKEN_BYTES};

/// The plugin configuration.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
// A list that is left out is as empty as one that is, so that one error tells of both.
#[cfg_attr(feature = "cli", schemars(extend("required" = ["jwt", "trust"])))]
pub struct Config {
    /// Auth-O-Tron's own section: how tokens are signed.
    pub jwt: Jwt,
    /// Which headers carry the identity.
    #[serde(default)]
    pub identity: Identity,
    /// Who may assert an identity.
    #[serde(default)]
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub trust: Vec<Trust>,
    /// Where the token goes.
    #[serde(default)]
    pub token: Token,
    /// What the token says beside the identity.
    #[serde(default)]
    pub claims: Claims,
    /// What happens to a request with no identity at all.
    #[serde(default)]
    pub on_missing: OnMissing,
    /// Whether proven identity headers go on to the service beside the token.
    #[serde(default)]
    pub forward_identity: bool,
    /// What happens to which request; the first rule that matches counts.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What access logs are told.
    #[serde(default)]
    pub telemetry: Telemetry,
}

/// `jwt`: how tokens are signed.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
#[cfg_attr(feature = "cli", schemars(extend("oneOf" = exactly_one(&["secret", "secret_env"]))))]
pub struct Jwt {
    /// The issuer.
    pub iss: String,
    /// The audience, in tokens only with `claims.aud`.
    pub aud: Option<String>,
    /// The lifetime of a token, in seconds.
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = MAX_LIFETIME_SECONDS)))]
    pub exp: i64,
    /// The signing secret itself.
    pub secret: Option<Secret>,
    /// The environment variable that holds it.
    pub secret_env: Option<String>,
    /// The key's name in the JOSE header.
    pub kid: Option<String>,
    /// Keys that take over later.
    #[serde(default)]
    pub rotation: Vec<RotationKey>,
}

/// `jwt.rotation[]`: a key that takes over at a time.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
#[cfg_attr(feature = "cli", schemars(extend("oneOf" = exactly_one(&["secret", "secret_env"]))))]
pub struct RotationKey {
    /// The key's name in the JOSE header.
    pub kid: String,
    /// The signing secret itself.
    pub secret: Option<Secret>,
    /// The environment variable that holds it.
    pub secret_env: Option<String>,
    /// From when on it signs (RFC 3339).
    #[cfg_attr(feature = "cli", schemars(extend("format" = "date-time")))]
    pub not_before: String,
}

/// `identity`: which headers carry it. What is left out comes from the preset.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Identity {
    /// The product whose headers are the defaults.
    pub preset: PresetName,
    /// The username.
    pub username: Username,
    /// The realm.
    pub realm: Realm,
    /// The roles.
    pub roles: List,
    /// The scopes.
    pub scopes: List,
    /// Further attributes.
    pub attributes: Attributes,
    /// Optional claims that every identity must have.
    pub required: Vec<OptionalClaim>,
    /// The only realms accepted; `None` is all.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub realms: Option<Vec<String>>,
}

/// `identity.username`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Username {
    /// The header, or headers of which the first one present counts.
    pub header: Option<HeaderNames>,
}

/// `identity.realm`: from a header, or the same for every request.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", schemars(extend("not" = all_of(&["header", "value"]))))]
pub struct Realm {
    /// The header, or headers of which the first one present counts.
    pub header: Option<HeaderNames>,
    /// The realm of every identity, where the authenticator knows no realms.
    pub value: Option<String>,
}

/// `identity.roles` and `identity.scopes`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct List {
    /// The header, or headers of which the first one present counts.
    pub header: Option<HeaderNames>,
    /// How the header lists its items.
    pub format: Option<Format>,
}

/// `identity.attributes`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Attributes {
    /// The header, or headers of which the first one present counts: a JSON object of strings.
    pub header: Option<HeaderNames>,
    /// Attribute → the one header that carries it.
    #[serde(deserialize_with = "optional_unique")]
    pub from: Option<BTreeMap<String, String>>,
}

/// How a header lists its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Separated by commas; blanks around an item do not count.
    Csv,
    /// Separated by single spaces.
    Space,
    /// Separated by `|`.
    Pipe,
    /// A JSON list of strings.
    Json,
    /// [`Format::Json`] in base64, either alphabet.
    Base64Json,
    /// One header line an item.
    Repeated,
}

/// A claim that an identity may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OptionalClaim {
    /// At least one role.
    Roles,
    /// At least one scope.
    Scopes,
    /// At least one attribute.
    Attributes,
}

/// One entry of `trust`: exactly one kind of proof.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
#[cfg_attr(feature = "cli", schemars(extend("oneOf" = exactly_one(PROOFS))))]
pub struct Trust {
    /// A secret that the authenticator sends in a header.
    pub shared_secret: Option<SharedSecret>,
    /// A signature of the authenticator over the identity headers (RFC 9421).
    pub signature: Option<Signature>,
    /// The client certificate of the connection.
    pub mtls: Option<Mtls>,
    /// The address that the connection comes from.
    pub peer: Option<Peer>,
    /// What an earlier filter of the chain left.
    pub filter_state: Option<FilterState>,
    /// The only realms that this party may assert; `None` is all.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub realms: Option<Vec<String>>,
}

/// `trust[].shared_secret`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
#[cfg_attr(feature = "cli", schemars(extend("oneOf" = exactly_one(&["secret", "secret_env"]))))]
pub struct SharedSecret {
    /// The header that carries the secret.
    pub header: String,
    /// The secret itself.
    pub secret: Option<Secret>,
    /// The environment variable that holds it.
    pub secret_env: Option<String>,
}

/// `trust[].signature`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Signature {
    /// The keys that the authenticator signs with.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub keys: Vec<SignatureKey>,
    /// How old a signature may be, in seconds.
    #[serde(default = "Signature::default_max_age")]
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = MAX_SIGNATURE_AGE_SECONDS)))]
    pub max_age: i64,
    /// What a signature must cover beside the identity headers.
    #[serde(default = "Signature::default_components")]
    pub components: Vec<String>,
}

impl Signature {
    const fn default_max_age() -> i64 {
        60
    }

    fn default_components() -> Vec<String> {
        ["@method", "@authority", "@path"].map(str::to_owned).to_vec()
    }
}

/// `trust[].signature.keys[]`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
#[cfg_attr(feature = "cli", schemars(extend("oneOf" = exactly_one(&["secret", "secret_env"]))))]
pub struct SignatureKey {
    /// The name that a signature calls the key by.
    pub keyid: String,
    /// The secret itself.
    pub secret: Option<Secret>,
    /// The environment variable that holds it.
    pub secret_env: Option<String>,
}

/// `trust[].mtls`: one match in any of the lists suffices.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", schemars(extend("minProperties" = 1)))]
pub struct Mtls {
    /// URI subject alternative names.
    pub uri_sans: Vec<String>,
    /// DNS subject alternative names.
    pub dns_sans: Vec<String>,
    /// SHA-256 digests of certificates, in hexadecimal, with or without colons.
    pub fingerprints: Vec<String>,
}

/// `trust[].peer`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Peer {
    /// The ranges of addresses.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub cidrs: Vec<String>,
}

/// `trust[].filter_state`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct FilterState {
    /// The name of the object.
    pub key: String,
    /// What it must be.
    pub value: String,
}

/// `token`: where the token goes.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Token {
    /// The header that carries the token to the service.
    pub header: String,
    /// What stands before the token.
    pub prefix: String,
    /// How long a token may be handed out again for the same identity, in seconds; 0 is within the second of its `iat`.
    #[cfg_attr(feature = "cli", schemars(range(min = 0)))]
    pub reuse: i64,
    /// The longest token, in bytes.
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = MAX_TOKEN_BYTES)))]
    pub max_bytes: i64,
}

impl Default for Token {
    fn default() -> Self {
        Self { header: "authorization".to_owned(), prefix: "Bearer ".to_owned(), reuse: 0, max_bytes: 8192 }
    }
}

/// `claims`: what the token says beside the identity.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Claims {
    /// How scopes are written.
    pub scopes: ScopesForm,
    /// Whether tokens carry `jwt.aud`.
    pub aud: bool,
    /// Whether every token has an identifier of its own, `jti`.
    pub jti: bool,
    /// More claims, the same in every token.
    #[serde(deserialize_with = "unique")]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// How the `scopes` claim is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ScopesForm {
    /// A list of strings, as Auth-O-Tron documents it.
    #[default]
    List,
    /// A map of service → scopes, as the Auth-O-Tron 0.3 server writes it.
    Map,
}

/// What happens to a request with no identity at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// It is denied.
    #[default]
    Deny,
    /// It goes on without a token.
    Pass,
}

/// `rules[]`: what happens to a request that matches.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Rule {
    /// Which requests; all conditions that are given must hold.
    #[serde(rename = "match")]
    pub conditions: Match,
    /// What happens to them.
    #[serde(default)]
    pub action: Action,
    /// What their tokens say otherwise.
    pub jwt: Option<JwtOverride>,
}

/// `rules[].match`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", schemars(extend("minProperties" = 1)))]
#[cfg_attr(feature = "cli", schemars(extend("not" = all_of(&["path_prefix", "path"]))))]
pub struct Match {
    /// Hosts without port: `example.com`, or `*.example.com` for all below it.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub hosts: Option<Vec<String>>,
    /// The first segments of the path.
    pub path_prefix: Option<String>,
    /// The whole path, without query.
    pub path: Option<String>,
    /// Request methods.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub methods: Option<Vec<String>>,
    /// The name of Envoy's route.
    pub route: Option<String>,
}

/// `rules[].action`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It needs an identity and gets a token.
    #[default]
    Issue,
    /// It goes on without a token.
    Pass,
    /// It is denied.
    Deny,
}

/// `rules[].jwt`: what is given takes the place of `jwt`'s.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct JwtOverride {
    /// The issuer.
    pub iss: Option<String>,
    /// The audience, in tokens only with `claims.aud`.
    pub aud: Option<String>,
    /// The lifetime of a token, in seconds.
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = MAX_LIFETIME_SECONDS)))]
    pub exp: Option<i64>,
}

/// `telemetry`: what access logs are told.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Telemetry {
    /// Whether filter state tells the outcome and the token's subject.
    pub filter_state: bool,
}

/// One header name, or a list of names of which the first one present counts.
#[derive(Debug)]
pub struct HeaderNames(pub Vec<String>);

/// A secret in the configuration. It is never shown, and wiped when dropped.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Secret(pub String);

/// A product whose headers are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PresetName {
    /// Auth-O-Tron and its proxies.
    #[default]
    AuthOTron,
    /// oauth2-proxy as a reverse proxy.
    Oauth2Proxy,
    /// oauth2-proxy behind another proxy's external authorization.
    Oauth2ProxyAuthRequest,
    /// Authelia.
    Authelia,
    /// authentik.
    Authentik,
    /// Kubernetes' authenticating proxies.
    Kubernetes,
}

/// The headers that a product sets.
pub struct Preset {
    /// Default of `identity.username.header`.
    pub username: &'static [&'static str],
    /// Default of `identity.realm.header`; none where the product knows no realms.
    pub realm: &'static [&'static str],
    /// Default of `identity.roles`.
    pub roles: (&'static [&'static str], Format),
    /// Default of `identity.scopes`.
    pub scopes: (&'static [&'static str], Format),
    /// Default of `identity.attributes.header`.
    pub attributes: &'static [&'static str],
    /// Default of `identity.attributes.from`.
    pub attributes_from: &'static [(&'static str, &'static str)],
    /// Headers that no claim is read from. A `*` at the end stands for any.
    pub others: &'static [&'static str],
    /// Whether the product sends a header without a value for what a user has nothing of, such as groups.
    pub sends_empty: bool,
}

/// What the presets of the products are written over: no headers at all.
const PLAIN: Preset = Preset {
    username: &[],
    realm: &[],
    roles: (&[], Format::Csv),
    scopes: (&[], Format::Space),
    attributes: &[],
    attributes_from: &[],
    others: &[],
    sends_empty: false,
};

const AUTH_O_TRON: Preset = Preset {
    username: &["x-auth-username"],
    realm: &["x-auth-realm"],
    roles: (&["x-auth-roles"], Format::Csv),
    scopes: (&["x-auth-scopes"], Format::Space),
    attributes: &["x-auth-attributes"],
    ..PLAIN
};

/// See <https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#header-options>: `--pass-user-headers`.
const OAUTH2_PROXY: Preset = Preset {
    username: &["x-forwarded-preferred-username", "x-forwarded-user"],
    roles: (&["x-forwarded-groups"], Format::Csv),
    attributes_from: &[("email", "x-forwarded-email")],
    others: &["x-forwarded-access-token"],
    ..PLAIN
};

/// As [`OAUTH2_PROXY`]: `--set-xauthrequest`.
const OAUTH2_PROXY_AUTH_REQUEST: Preset = Preset {
    username: &["x-auth-request-preferred-username", "x-auth-request-user"],
    roles: (&["x-auth-request-groups"], Format::Csv),
    attributes_from: &[("email", "x-auth-request-email")],
    others: &["x-auth-request-access-token"],
    ..PLAIN
};

/// See <https://www.authelia.com/integration/trusted-header-sso/introduction/#response-headers>.
const AUTHELIA: Preset = Preset {
    username: &["remote-user"],
    roles: (&["remote-groups"], Format::Csv),
    attributes_from: &[("name", "remote-name"), ("email", "remote-email")],
    sends_empty: true,
    ..PLAIN
};

/// See <https://docs.goauthentik.io/add-secure-apps/providers/proxy>.
const AUTHENTIK: Preset = Preset {
    username: &["x-authentik-username"],
    roles: (&["x-authentik-groups"], Format::Pipe),
    attributes_from: &[("email", "x-authentik-email"), ("name", "x-authentik-name"), ("uid", "x-authentik-uid")],
    others: &["x-authentik-jwt", "x-authentik-entitlements"],
    sends_empty: true,
    ..PLAIN
};

/// See <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy>.
const KUBERNETES: Preset = Preset {
    username: &["x-remote-user"],
    roles: (&["x-remote-group"], Format::Repeated),
    others: &["x-remote-uid", "x-remote-extra-*"],
    ..PLAIN
};

impl PresetName {
    /// The headers of the product.
    #[must_use]
    pub const fn preset(self) -> &'static Preset {
        match self {
            Self::AuthOTron => &AUTH_O_TRON,
            Self::Oauth2Proxy => &OAUTH2_PROXY,
            Self::Oauth2ProxyAuthRequest => &OAUTH2_PROXY_AUTH_REQUEST,
            Self::Authelia => &AUTHELIA,
            Self::Authentik => &AUTHENTIK,
            Self::Kubernetes => &KUBERNETES,
        }
    }
}

impl Preset {
    /// Every header that the product sets, and whether it may come on several lines.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let single = [self.username, self.realm, self.scopes.0, self.attributes].into_iter().flatten().copied();
        let single = single.chain(self.attributes_from.iter().map(|(_, header)| *header));
        let roles = self.roles.0.iter().map(|name| (*name, self.roles.1 == Format::Repeated));
        let others = self.others.iter().map(|name| (*name, name.ends_with('*')));
        single.map(|name| (name, false)).chain(roles).chain(others)
    }
}

/// Why a configuration is refused: the path of a field, what was found and what is expected. Never a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    path: String,
    problem: String,
}

impl ConfigError {
    /// The error that the field at `path` has `problem`.
    #[must_use]
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }

    /// Which field it is about, such as `trust[0].peer`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was found, and what is expected.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl std::error::Error for ConfigError {}

// === impl Config ===

impl Config {
    /// Reads the plugin configuration as Envoy hands it over.
    ///
    /// # Errors
    /// When it is not JSON, or not of these types.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        if json.trim_ascii().is_empty() {
            return Err(ConfigError::new(
                "configuration",
                "found nothing, expected JSON in a google.protobuf.StringValue",
            ));
        }
        if is_protobuf_struct(json) {
            return Err(ConfigError::new(
                "configuration",
                "found a google.protobuf.Struct, expected JSON in a google.protobuf.StringValue",
            ));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let config = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let error = error.into_inner();
            // Of a word that is no string, serde says that it is no JSON.
            if !error.is_data() && serde_json::from_slice::<IgnoredAny>(json).is_ok() {
                return ConfigError::new(path, "found a value of another type, expected a string");
            }
            describe(&path, &error)
        })?;
        deserializer.end().map_err(|error| describe(".", &error))?;
        Ok(config)
    }
}

/// A non-empty `Struct` opens with the tag of its first entry (a line feed, which JSON permits there) and holds the
/// tag of that entry's value (0x12, which JSON permits nowhere).
/// See <https://protobuf.dev/programming-guides/encoding/#maps>.
fn is_protobuf_struct(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\n") && bytes.contains(&0x12)
}

/// Says what serde found without the value, which may be a secret in the wrong place.
fn describe(path: &str, error: &serde_json::Error) -> ConfigError {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&position).unwrap_or(&message);
    let child = |field: &str| if path == "." { field.to_owned() } else { format!("{path}.{field}") };
    if !error.is_data() {
        return ConfigError::new("configuration", format!("not JSON: {message}{position}"));
    }
    if let Some(field) = message.strip_prefix("missing field ") {
        return ConfigError::new(child(field.trim_matches('`')), "missing, expected as it is required");
    }
    if let Some((_, mismatch)) = message.split_once("invalid ").filter(|(before, _)| before.is_empty())
        && let Some((found, expected)) = mismatch.rsplit_once(", expected ")
        && let Some((_, found)) = found.split_once(": ")
    {
        let kind = match found.split(['"', '`']).next().unwrap_or_default().trim_end() {
            "sequence" => "list",
            "map" => "object",
            "floating point" => "fraction",
            other => other,
        };
        let expected = match expected {
            "i64" if mismatch.starts_with("value") => "one of 64 bits",
            "i64" => "an integer",
            "a map" => "an object",
            "a sequence" => "a list",
            other => other,
        };
        let path = if path == "." { "configuration" } else { path };
        return ConfigError::new(path, format!("found {} {kind}, expected {expected}", article(kind)));
    }
    hide_long_word(path, message)
}

/// The longest unknown word that is shown, in bytes. A misspelt one is hardly longer; a secret hardly shorter.
const MAX_SHOWN_WORD_BYTES: usize = 20;

/// Says what is wrong with a value or a field that is none of ours, and shows it where it is no secret by its looks.
fn hide_long_word(path: &str, message: &str) -> ConfigError {
    for unknown in ["unknown field ", "unknown variant "] {
        let quoted = message.strip_prefix(unknown).and_then(|rest| rest.strip_prefix('`'));
        if let Some((word, expected)) = quoted.and_then(|quoted| quoted.rsplit_once("`, expected "))
            && word.len() > MAX_SHOWN_WORD_BYTES
        {
            // The path of an unknown field ends in it.
            let path = path.strip_suffix(word).unwrap_or(path).trim_end_matches('.');
            let path = if path.is_empty() { "configuration" } else { path };
            return ConfigError::new(path, format!("{unknown}of {} bytes, expected {expected}", word.len()));
        }
    }
    ConfigError::new(path, message)
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// Reads each type from a JSON object only: what serde derives would also take a list of the fields' values.
macro_rules! only_from_objects {
    ($($type:ident)+) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor;

                impl<'de> Visitor<'de> for ObjectVisitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$type, A::Error> {
                        // The inherent function that `remote = "Self"` derives.
                        $type::deserialize(value::MapAccessDeserializer::new(map))
                    }
                }

                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    )+};
}

only_from_objects!(
    Config Jwt RotationKey Identity Username Realm List Attributes Trust SharedSecret Signature SignatureKey Mtls Peer
    FilterState Token Claims Rule Match JwtOverride Telemetry
);

/// Of a name that comes twice, only one value would count, and the other would be lost without a word.
fn unique<'de, D: Deserializer<'de>>(deserializer: D) -> Result<serde_json::Map<String, serde_json::Value>, D::Error> {
    let UniqueMap(map) = UniqueMap::deserialize(deserializer)?;
    // Not collected: that would sort, by 14 KB of code, what is sorted already.
    let mut unique = serde_json::Map::new();
    unique.extend(map);
    Ok(unique)
}

fn optional_unique<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    Option::deserialize(deserializer).map(|map| map.map(|UniqueMap(map)| map))
}

// === the JSON Schema ===

/// The kinds of proof, of which an entry of `trust` has one.
#[cfg(feature = "cli")]
const PROOFS: &[&str] = &["shared_secret", "signature", "mtls", "peer", "filter_state"];

/// `oneOf`: an object has exactly one of these fields.
#[cfg(feature = "cli")]
fn exactly_one(fields: &[&str]) -> serde_json::Value {
    fields.iter().map(|field| all_of(&[field])).collect()
}

/// An object has all of these fields.
#[cfg(feature = "cli")]
fn all_of(fields: &[&str]) -> serde_json::Value {
    serde_json::json!({"required": fields})
}

#[cfg(feature = "cli")]
impl schemars::JsonSchema for HeaderNames {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HeaderNames".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "One header name, or a list of names of which the first one present counts.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        })
    }
}

// === impl HeaderNames ===

impl<'de> Deserialize<'de> for HeaderNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderNamesVisitor;

        impl<'de> Visitor<'de> for HeaderNamesVisitor {
            type Value = HeaderNames;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header name or a list of header names")
            }

            fn visit_str<E>(self, name: &str) -> Result<HeaderNames, E> {
                Ok(HeaderNames(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<HeaderNames, A::Error> {
                Vec::deserialize(value::SeqAccessDeserializer::new(names)).map(HeaderNames)
            }
        }

        deserializer.deserialize_any(HeaderNamesVisitor)
    }
}

// === impl Secret ===

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> String {
        Config::from_json(json.as_bytes()).unwrap_err().to_string()
    }

    /// The leaf types only: `tests/envoy_config.rs` shows every refused configuration to Envoy.
    #[test]
    fn errors_name_the_path_what_was_found_and_what_is_expected() {
        for (json, expected) in [
            ("", "configuration: found nothing, expected JSON in a google.protobuf.StringValue"),
            ("[]", "configuration: found a list, expected an object"),
            ("{", "configuration: not JSON: EOF while parsing an object at line 1 column 1"),
            (r#"{"jwt":{"iss":"a","exp":1}} x"#, "configuration: not JSON: trailing characters at line 1 column 29"),
            (r#"{"jwt":{"exp":1}}"#, "jwt.iss: missing, expected as it is required"),
            ("{}", "jwt: missing, expected as it is required"),
            (r#"{"jwt":{"exp":"1"}}"#, "jwt.exp: found a string, expected an integer"),
            (r#"{"jwt":{"exp":1.5}}"#, "jwt.exp: found a fraction, expected an integer"),
            (r#"{"jwt":{"secret":12345678}}"#, "jwt.secret: found an integer, expected a string"),
            (r#"{"jwt":"hunter2, expected"}"#, "jwt: found a string, expected an object"),
            (r#"{"jwt":["a",null,1]}"#, "jwt: found a list, expected an object"),
            (r#"{"trust":"hunter2"}"#, "trust: found a string, expected a list"),
            (
                r#"{"trust":[{"shared_secret":"hunter2: x"}]}"#,
                "trust[0].shared_secret: found a string, expected an object",
            ),
            (
                r#"{"identity":{"username":{"header":["a",5]}}}"#,
                "identity.username.header[1]: found an integer, expected a string",
            ),
            (
                r#"{"identity":{"username":{"header":5}}}"#,
                "identity.username.header: found an integer, expected a header name or a list of header names",
            ),
            (
                r#"{"identity":{"roles":{"format":"xml"}}}"#,
                "identity.roles.format: unknown variant `xml`, expected one of `csv`, `space`, `pipe`, `json`, \
                 `base64-json`, `repeated`",
            ),
            (
                r#"{"identity":{"roles":{"format":["csv"]}}}"#,
                "identity.roles.format: found a value of another type, expected a string",
            ),
            (r#"{"on_missing":5}"#, "on_missing: found a value of another type, expected a string"),
            (r#"{"jwt":{"exp":9223372036854775808}}"#, "jwt.exp: found an integer, expected one of 64 bits"),
            (r#"{"claims":{"extra":[]}}"#, "claims.extra: found a list, expected an object"),
            (r#"{"claims":{"aud":true,"aud":true}}"#, "claims: duplicate field `aud`"),
            (r#"{"claims":{"extra":{"a":1,"a":2}}}"#, "claims.extra: a name comes twice"),
            (
                r#"{"identity":{"attributes":{"from":{"a":"x","a":"y"}}}}"#,
                "identity.attributes.from: a name comes twice",
            ),
            (
                r#"{"jwt":{"issuer":"a"}}"#,
                "jwt.issuer: unknown field `issuer`, expected one of `iss`, `aud`, `exp`, `secret`, `secret_env`, `kid`, \
                 `rotation`",
            ),
            (
                r#"{"on_missing":"a long random word that looks like a secret` x"}"#,
                "on_missing: unknown variant of 46 bytes, expected `deny` or `pass`",
            ),
            (
                r#"{"on_missing":"a long random word, `, expected `hunter2`"}"#,
                "on_missing: unknown variant of 41 bytes, expected `deny` or `pass`",
            ),
            (
                r#"{"telemetry":{"a-long-random-word-that-looks-like-a-secret":1}}"#,
                "telemetry: unknown field of 43 bytes, expected `filter_state`",
            ),
            (
                r#"{"a.long.random.word.that.looks.like.a.secret":1}"#,
                "configuration: unknown field of 43 bytes, expected one of `jwt`, `identity`, `trust`, `token`, `claims`, \
                 `on_missing`, `forward_identity`, `rules`, `telemetry`",
            ),
        ] {
            assert_eq!(error(json), expected, "{json}");
        }
    }

    #[test]
    fn a_struct_is_recognised_and_json_is_not_taken_for_one() {
        let fields = b"\n\x0e\n\x03jwt\x12\x07*\x05\n\x03\n\x01a";
        let message = Config::from_json(fields).unwrap_err().to_string();
        assert!(message.contains("found a google.protobuf.Struct"), "{message}");
        assert!(error("\n{}").starts_with("jwt: missing"));
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let json = br#"{"jwt":{"iss":"a","exp":1,"secret":"hunter2"}}"#;
        let shown = format!("{:?}", Config::from_json(json).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
