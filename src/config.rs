//! The plugin configuration as written: one section for each module of that name.

pub mod field;
mod json;
mod read;
#[cfg(feature = "cli")]
pub(crate) mod schema;
pub mod words;

use serde::{Deserialize, de::DeserializeOwned};

use crate::{claims, identity, jwt, rules, telemetry, token, trust};
use field::{ConfigError, ErrorKind, Field, Report};
use json::Json;

/// The plugin configuration of the filter.
// The default is one of which no section could be read.
#[derive(Debug, Default)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", schemars(default, deny_unknown_fields, extend("required" = ["jwt", "trust"])))]
pub struct Config {
    /// How tokens are signed: the fields of Auth-O-Tron's own `jwt` section, and a few more.
    pub jwt: Section<jwt::Config>,
    /// Which headers carry the identity.
    pub identity: Section<identity::Config>,
    /// Who may assert an identity. Entries are tried in order, and the first one that proves the request decides.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub trust: Section<Vec<trust::Config>>,
    /// How the token travels to the service.
    pub token: Section<token::Config>,
    /// What the token says besides the identity.
    pub claims: Section<claims::Config>,
    /// What happens to a request that has no identity header at all.
    #[cfg_attr(feature = "cli", schemars(extend("default" = "deny")))]
    pub on_missing: Section<OnMissing>,
    /// Whether the service gets the proven identity headers along with the token.
    #[cfg_attr(feature = "cli", schemars(extend("default" = false)))]
    pub forward_identity: Section<bool>,
    /// Exceptions for some requests. The first rule that matches decides; if none does, the action is `issue`.
    pub rules: Section<Vec<rules::Config>>,
    /// What the filter makes available to access logs.
    pub telemetry: Section<telemetry::Config>,
}

/// What happens to a request that has no identity header at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// The request is denied: 401 `identity_missing`.
    #[default]
    Deny,
    /// The request goes on without a token.
    Pass,
}

/// A section, or `None` if it cannot be read; the report says why.
#[derive(Debug)]
pub struct Section<T>(pub Option<T>);

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// The names of the sections.
pub const SECTIONS: &[&str] =
    &["jwt", "identity", "trust", "token", "claims", "on_missing", "forward_identity", "rules", "telemetry"];

/// The path of errors about the configuration as a whole.
const WHOLE: &str = "configuration";

impl Config {
    /// Reads the plugin configuration as Envoy hands it over, and reports everything that does not fit these types.
    #[must_use]
    pub fn from_json(json: &[u8], report: &Report) -> Self {
        let Some(mut sections) = Sections::parse(json, report) else { return Self::default() };
        let config = Self {
            jwt: sections.required("jwt"),
            identity: sections.optional("identity"),
            trust: sections.optional("trust"),
            token: sections.optional("token"),
            claims: sections.optional("claims"),
            on_missing: sections.optional("on_missing"),
            forward_identity: sections.optional("forward_identity"),
            rules: sections.optional("rules"),
            telemetry: sections.optional("telemetry"),
        };
        sections.refuse_others();
        config
    }
}

/// The members of the document. Sections are taken out one by one.
struct Sections<'a> {
    members: Vec<(String, Json<'a>)>,
    report: &'a Report,
}

impl<'a> Sections<'a> {
    fn parse(json: &'a [u8], report: &'a Report) -> Option<Self> {
        let refuse = |kind, words: String| {
            report.error(ConfigError::new(WHOLE.to_owned(), kind, words));
            None
        };
        let expected = "expected JSON in a google.protobuf.StringValue";
        if json.trim_ascii().is_empty() {
            return refuse(ErrorKind::Missing, format!("found nothing, {expected}"));
        }
        if is_protobuf_struct(json) {
            return refuse(ErrorKind::Syntax, format!("found a google.protobuf.Struct, {expected}"));
        }
        match serde_json::from_slice(json) {
            Ok(Json::Object(members)) => {
                let members = members.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
                Some(Self { members, report })
            }
            Ok(other) => {
                refuse(ErrorKind::Type, format!("found {}, expected an object", words::noun(other.unexpected())))
            }
            Err(error) => refuse(ErrorKind::Syntax, format!("not JSON: {error}")),
        }
    }

    fn required<T: DeserializeOwned>(&mut self, name: &str) -> Section<T> {
        self.section(name, |field| field.refuse(ErrorKind::Missing, read::MISSING))
    }

    fn optional<T: DeserializeOwned + Default>(&mut self, name: &str) -> Section<T> {
        self.section(name, |_| Some(T::default()))
    }

    fn section<T: DeserializeOwned>(&mut self, name: &str, absent: impl FnOnce(&Field<'_>) -> Option<T>) -> Section<T> {
        let field = Field::section(self.report, name);
        let members = std::mem::take(&mut self.members).into_iter();
        let (mut named, others): (Vec<_>, _) = members.partition(|(own, _)| own == name);
        self.members = others;
        Section(match named.as_mut_slice() {
            [] => absent(&field),
            [(_, json)] => read::read(json, &field),
            _ => field.refuse(ErrorKind::Duplicate, read::TWICE),
        })
    }

    /// Refuses what is left: no section has such a name.
    fn refuse_others(self) {
        for (name, _) in &self.members {
            self.report.error(read::unknown_section(name, SECTIONS, WHOLE));
        }
    }
}

/// A non-empty `Struct` opens with the tag of its first entry (a line feed, which JSON permits there) and holds the
/// tag of that entry's value (0x12, which JSON permits nowhere).
/// See <https://protobuf.dev/programming-guides/encoding/#maps>.
fn is_protobuf_struct(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\n") && bytes.contains(&0x12)
}

#[cfg(feature = "cli")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Section<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(json: &str) -> Vec<String> {
        let report = Report::default();
        let _ = Config::from_json(json.as_bytes(), &report);
        report.errors().iter().map(ToString::to_string).collect()
    }

    /// Types only: `tests/envoy` hands every refused configuration to Envoy.
    #[test]
    fn errors_name_the_path_what_was_found_and_what_is_expected() {
        for (json, expected) in [
            ("", &["configuration: found nothing, expected JSON in a google.protobuf.StringValue"][..]),
            ("[]", &["configuration: found a list, expected an object"]),
            ("{", &["configuration: not JSON: EOF while parsing an object at line 1 column 1"]),
            (r#"{"jwt":{}} x"#, &["configuration: not JSON: trailing characters at line 1 column 12"]),
            ("{}", &["jwt: missing required field"]),
            (r#"{"jwt":{"exp":1}}"#, &["jwt.iss: missing required field"]),
            (
                r#"{"jwt":{"exp":"1h"}}"#,
                &[r#"jwt.exp: found "1h", expected an integer"#, "jwt.iss: missing required field"],
            ),
            (r#"{"jwt":{"iss":"a","exp":1.5}}"#, &["jwt.exp: found a fraction, expected an integer"]),
            (
                r#"{"jwt":{"iss":"a","exp":9223372036854775808}}"#,
                &["jwt.exp: found an integer above 9223372036854775807, expected an integer"],
            ),
            (r#"{"jwt":{"iss":"a","exp":1,"secret":12345678}}"#, &["jwt.secret: found an integer, expected a string"]),
            (r#"{"jwt":"hunter2"}"#, &["jwt: found a string, expected an object"]),
            (r#"{"jwt":["a",null,1]}"#, &["jwt: found a list, expected an object"]),
            (
                r#"{"jwt":{"iss":"a","issuer":"a","exp":1}}"#,
                &["jwt.issuer: unknown field, expected one of `iss`, `aud`, `exp`, `secret`, `secret_env`, `kid`, \
                   `rotation`"],
            ),
            (
                r#"{"jwt":{"iss":"a","exp":1,"secret_Env":"a"}}"#,
                &[
                    "jwt.secret_Env: unknown field, expected one of `iss`, `aud`, `exp`, `secret`, `secret_env`, `kid`, \
                   `rotation`; did you mean `secret_env`?",
                ],
            ),
            (r#"{"jwt":{"iss":"a","exp":1},"jwt":{}}"#, &["jwt: given twice, expected once"]),
            (
                r#"{"jwt":{"iss":"a","exp":1},"claims":{"aud":true,"aud":true}}"#,
                &["claims.aud: given twice, expected once"],
            ),
            (
                r#"{"jwt":{"iss":"a","exp":1},"claims":{"extra":{"a":{"b":1,"b":2},"a":3}}}"#,
                &["claims.extra.a.b: given twice, expected once", "claims.extra.a: given twice, expected once"],
            ),
            (
                r#"{"jwt":{"iss":"a","exp":1},"identity":{"realm":"corp"}}"#,
                &[
                    r#"identity.realm: found a string, expected an object such as {"value": "corp"} or {"header": "x-auth-realm"}"#,
                ],
            ),
            (
                r#"{"jwt":{"iss":"a","exp":1},"identity":{"username":{"header":["a",5]}}}"#,
                &["identity.username.header[1]: found an integer, expected a string"],
            ),
            (
                r#"{"jwt":{"iss":"a","exp":1},"identity":{"username":{"header":5}}}"#,
                &["identity.username.header: found an integer, expected a header name or a list of header names"],
            ),
            (
                r#"{"jwt":{"iss":"a","exp":1},"identity":{"preset":"oauth2_proxi"}}"#,
                &["identity.preset: found `oauth2_proxi`, expected one of `auth-o-tron`, `oauth2-proxy`, \
                   `oauth2-proxy-auth-request`, `authelia`, `authentik`, `kubernetes`; did you mean `oauth2-proxy`?"],
            ),
            (
                r#"{"jwt":{"iss":"a","exp":1},"identity":{"roles":{"format":["csv"]}}}"#,
                &[
                    "identity.roles.format: found a list, expected one of `csv`, `space`, `pipe`, `json`, `base64-json`, \
                   `repeated`",
                ],
            ),
            (
                r#"{"jwt":{"iss":"a","exp":1},"trust":[{"peer":{}},{"mtls":{"uri_sans":5,"x":1}},{"peer":{"cidrs":[1]}}]}"#,
                &[
                    "trust[0].peer.cidrs: missing required field",
                    "trust[1].mtls.uri_sans: found an integer, expected a list",
                    "trust[1].mtls.x: unknown field, expected one of `uri_sans`, `dns_sans`, `fingerprints`",
                    "trust[2].peer.cidrs[0]: found an integer, expected a string",
                ],
            ),
            (
                r#"{"jwt":{"iss":"a","exp":1},"forward_identity":"yes","on_missing":5,"trsut":[]}"#,
                &[
                    "on_missing: found an integer, expected `deny` or `pass`",
                    r#"forward_identity: found "yes", expected a boolean"#,
                    "trsut: unknown field, expected one of `jwt`, `identity`, `trust`, `token`, `claims`, `on_missing`, \
                     `forward_identity`, `rules`, `telemetry`; did you mean `trust`?",
                ],
            ),
        ] {
            assert_eq!(errors(json), expected, "{json}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for (json, expected) in [
            (
                r#"{"on_missing":"a long random word that looks like a secret` x"}"#,
                "on_missing: found a word of 46 bytes, expected `deny` or `pass`",
            ),
            (r#"{"on_missing":"two words"}"#, "on_missing: found a word of 9 bytes, expected `deny` or `pass`"),
            (
                r#"{"telemetry":{"a-long-random-word-that-looks-like-a-secret":1}}"#,
                "telemetry: unknown field of 43 bytes, expected `filter_state`",
            ),
            (
                r#"{"a.long.random.word.that.looks.like.a.secret":1}"#,
                "configuration: unknown field of 43 bytes, expected one of `jwt`, `identity`, `trust`, `token`, `claims`, \
                 `on_missing`, `forward_identity`, `rules`, `telemetry`",
            ),
            (r#"{"forward_identity":"a secret"}"#, "forward_identity: found a string, expected a boolean"),
            (r#"{"forward_identity":"123456789"}"#, "forward_identity: found a string, expected a boolean"),
        ] {
            let report = Report::default();
            let _ = Config::from_json(json.as_bytes(), &report);
            let errors = report.errors();
            let error = errors.iter().find(|error| error.path() != "jwt").unwrap();
            assert_eq!(error.to_string(), expected, "{json}");
            assert!(error.hides(), "{json}");
        }
    }

    #[test]
    fn a_struct_is_recognised_and_json_is_not_taken_for_one() {
        let fields = "\n\x0e\n\x03jwt\x12\x07*\x05\n\x03\n\x01a";
        let expected =
            ["configuration: found a google.protobuf.Struct, expected JSON in a google.protobuf.StringValue"];
        assert_eq!(errors(fields), expected);
        assert_eq!(errors("\n{}"), ["jwt: missing required field"]);
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let json = br#"{"jwt":{"iss":"a","exp":1,"secret":"hunter2"}}"#;
        let shown = format!("{:?}", Config::from_json(json, &Report::default()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
