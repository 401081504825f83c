//! Configurations that the filter refuses, and some that it accepts, as changes to the one that the demo ships:
//! `tests/envoy_config.rs` shows them to Envoy, `tests/otron.rs` to the command, `tests/schema.rs` to the schema.

use serde_json::{Value, json};

/// A secret that is written where it does not belong, or is no good. It must never be shown.
pub const TYPED_SECRET: &str = "hunter2 is too short";

/// Changes to the configuration that the demo ships: pointer → value, where null removes → the line expected.
#[allow(clippy::too_many_lines, reason = "it is a table")]
pub fn refused() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        // Missing.
        ("/jwt", Value::Null, "jwt: missing, expected as it is required"),
        ("/jwt/iss", Value::Null, "jwt.iss: missing, expected as it is required"),
        ("/jwt/exp", Value::Null, "jwt.exp: missing, expected as it is required"),
        ("/jwt/secret_env", Value::Null, "jwt: found neither `secret` nor `secret_env`, expected one of them"),
        ("/trust", Value::Null, "trust: empty or missing, expected at least one entry"),
        ("/trust", json!([]), "trust: empty or missing, expected at least one entry"),
        ("/trust/0/shared_secret", Value::Null, "trust[0]: found no proof, expected one of `shared_secret`, "),
        ("/trust/0/shared_secret/header", Value::Null, "trust[0].shared_secret.header: missing"),
        ("/trust/0/shared_secret/secret_env", Value::Null, "trust[0].shared_secret: found neither `secret` nor"),
        // Secrets.
        (
            "/jwt",
            json!({"iss": "a", "exp": 1, "secret": TYPED_SECRET}),
            "jwt.secret: found 20 bytes, expected at least 32 (RFC 7518, section 3.2)",
        ),
        ("/jwt/secret_env", json!("SHORT"), "jwt.secret_env: found 20 bytes, expected at least 32"),
        ("/jwt/secret", json!(TYPED_SECRET), "jwt: found both `secret` and `secret_env`, expected one of them"),
        (
            "/jwt/secret_env",
            json!("ABSENT"),
            "jwt.secret_env: environment variable \"ABSENT\" is not set for the filter",
        ),
        (
            "/trust/0/shared_secret/secret_env",
            json!("ABSENT"),
            "trust[0].shared_secret.secret_env: environment variable",
        ),
        (
            "/trust/0/shared_secret/secret_env",
            json!("EMPTY"),
            "trust[0].shared_secret.secret_env: found an empty secret",
        ),
        (
            "/trust/0/shared_secret/secret_env",
            json!("BLANK"),
            "trust[0].shared_secret.secret_env: found blanks at an end",
        ),
        // Types.
        ("", json!([]), "configuration: found a list, expected an object"),
        ("/jwt", json!(TYPED_SECRET), "jwt: found a string, expected an object"),
        ("/jwt/iss", json!(5), "jwt.iss: found an integer, expected a string"),
        ("/jwt/exp", json!("3600"), "jwt.exp: found a string, expected an integer"),
        ("/jwt/exp", json!(0.5), "jwt.exp: found a fraction, expected an integer"),
        ("/jwt/secret", json!([TYPED_SECRET]), "jwt.secret: found a list, expected a string"),
        ("/trust", json!({"shared_secret": TYPED_SECRET}), "trust: found an object, expected a list"),
        ("/trust/0/shared_secret", json!(TYPED_SECRET), "trust[0].shared_secret: found a string, expected an object"),
        ("/on_missing", json!("allow"), "on_missing: unknown variant `allow`, expected `deny` or `pass`"),
        ("/forward_identity", json!("yes"), "forward_identity: found a string, expected a boolean"),
        ("/identity", json!({"roles": {"format": "xml"}}), "identity.roles.format: unknown variant `xml`"),
        ("/identity", json!({"required": ["username"]}), "identity.required[0]: unknown variant `username`"),
        ("/claims", json!({"scopes": "string"}), "claims.scopes: unknown variant `string`, expected `list` or `map`"),
        // Unknown fields.
        ("/secret", json!(TYPED_SECRET), "secret: unknown field `secret`, expected one of `jwt`, `identity`, `trust`"),
        ("/jwt/issuer", json!("a"), "jwt.issuer: unknown field `issuer`, expected one of `iss`, `aud`, `exp`"),
        ("/trust/0/jwks", json!({}), "trust[0].jwks: unknown field `jwks`, expected one of `shared_secret`"),
        // A signature.
        (
            "/trust/0/signature",
            json!({"keys": [{"keyid": "a", "secret_env": "AUTH_O_TRON_SECRET"}]}),
            "trust[0]: found both `shared_secret` and `signature`, expected exactly one proof",
        ),
        ("/trust", signature(&json!({})), "trust[0].signature.keys: missing"),
        ("/trust", signature(&json!({"keys": []})), "trust[0].signature.keys: found an empty list, expected"),
        ("/trust", signed_by("", "AUTH_O_TRON_SECRET"), "trust[0].signature.keys[0].keyid: found text that is empty"),
        (
            "/trust",
            signed_by("ä", "AUTH_O_TRON_SECRET"),
            "trust[0].signature.keys[0].keyid: found \"ä\", expected ASCII",
        ),
        ("/trust", signed_by("a", "SHORT"), "trust[0].signature.keys[0].secret_env: found 20 bytes, expected at least"),
        ("/trust", signed_by("a", "ABSENT"), "trust[0].signature.keys[0].secret_env: environment variable \"ABSENT\""),
        (
            "/trust",
            signature(&json!({"keys": [{"keyid": "a"}]})),
            "trust[0].signature.keys[0]: found neither `secret` nor `secret_env`",
        ),
        (
            "/trust",
            signature(&json!({"keys": [
                {"keyid": "a", "secret_env": "AUTH_O_TRON_SECRET"}, {"keyid": "a", "secret_env": "AUTH_O_TRON_SECRET"},
            ]})),
            "trust[0].signature.keys[1].keyid: found \"a\" a second time",
        ),
        (
            "/trust",
            signed_with("max_age", &json!(0)),
            "trust[0].signature.max_age: found 0, expected 1 to 86400 seconds",
        ),
        ("/trust", signed_with("max_age", &json!(86_401)), "trust[0].signature.max_age: found 86401, expected 1 to"),
        (
            "/trust",
            signed_with("components", &json!(["@method", "@status"])),
            "trust[0].signature.components[1]: found \"@status\", expected a header name in lower case or one of `@method`",
        ),
        (
            "/trust",
            signed_with("components", &json!(["Date"])),
            "trust[0].signature.components[0]: found \"Date\", expected a header name in lower case",
        ),
        // The other proofs.
        (
            "/trust/0/peer",
            json!({"cidrs": ["10.0.0.0/8"]}),
            "trust[0]: found both `shared_secret` and `peer`, expected exactly one proof",
        ),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["10.0.0.0/8"]}, "mtls": {"dns_sans": ["a.example"]}}),
            "trust[0]: found both `mtls` and `peer`, expected exactly one proof",
        ),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["10.0.0.0/8"]}, "filter_state": {"key": "a", "value": "b"}}),
            "trust[0]: found both `peer` and `filter_state`, expected exactly one proof",
        ),
        ("/trust/0", json!({"mtls": {}}), "trust[0].mtls: found nothing to match, expected at least one of `uri_sans`"),
        ("/trust/0", json!({"mtls": {"sans": []}}), "trust[0].mtls.sans: unknown field `sans`, expected one of"),
        ("/trust/0", json!({"mtls": {"uri_sans": "a"}}), "trust[0].mtls.uri_sans: found a string, expected a list"),
        ("/trust/0", json!({"mtls": {"uri_sans": [""]}}), "trust[0].mtls.uri_sans[0]: found text that is empty"),
        ("/trust/0", json!({"mtls": {"dns_sans": ["a", ""]}}), "trust[0].mtls.dns_sans[1]: found text that is empty"),
        (
            "/trust/0",
            json!({"mtls": {"dns_sans": ["*.example.com"]}}),
            "trust[0].mtls.dns_sans[0]: found \"*.example.com\", expected a whole name",
        ),
        (
            "/trust/0",
            json!({"mtls": {"fingerprints": ["0a:0b"]}}),
            "trust[0].mtls.fingerprints[0]: found \"0a:0b\", expected a SHA-256 digest of 64 hexadecimal digits",
        ),
        ("/trust/0", json!({"mtls": {"fingerprints": ["0x".repeat(32)]}}), "trust[0].mtls.fingerprints[0]: found \"0x"),
        ("/trust/0", json!({"peer": {}}), "trust[0].peer.cidrs: missing, expected as it is required"),
        ("/trust/0", json!({"peer": {"cidrs": []}}), "trust[0].peer.cidrs: found an empty list, expected at least one"),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["10.0.0.0/8", "10.0.0.0/33"]}}),
            "trust[0].peer.cidrs[1]: found \"10.0.0.0/33\", expected an address and the length of its prefix",
        ),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["10.0.0.1"]}}),
            "trust[0].peer.cidrs[0]: found \"10.0.0.1\", expected an address and the length of its prefix",
        ),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["10.0.0.1/8"]}}),
            "trust[0].peer.cidrs[0]: found \"10.0.0.1/8\", expected \"10.0.0.0/8\", without bits after the prefix",
        ),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["::ffff:10.0.0.0/104"]}}),
            "trust[0].peer.cidrs[0]: found \"::ffff:10.0.0.0/104\", expected the range in IPv4",
        ),
        ("/trust/0", json!({"filter_state": {"key": "a"}}), "trust[0].filter_state.value: missing"),
        ("/trust/0", json!({"filter_state": {"value": "a"}}), "trust[0].filter_state.key: missing"),
        (
            "/trust/0",
            json!({"filter_state": {"key": "", "value": "a"}}),
            "trust[0].filter_state.key: found text that is empty",
        ),
        (
            "/trust/0",
            json!({"filter_state": {"key": "a\u{0}b", "value": "a"}}),
            "trust[0].filter_state.key: found text that",
        ),
        (
            "/trust/0",
            json!({"filter_state": {"key": "a", "value": ""}}),
            "trust[0].filter_state.value: found text that is empty",
        ),
        // Ranges.
        ("/jwt/iss", json!(""), "jwt.iss: found text that is empty, expected 1 to 256 bytes"),
        ("/jwt/exp", json!(0), "jwt.exp: found 0, expected 1 to 315360000 seconds"),
        ("/jwt/exp", json!(-1), "jwt.exp: found -1, expected 1 to 315360000 seconds"),
        ("/jwt/exp", json!(315_360_001), "jwt.exp: found 315360001, expected 1 to 315360000 seconds"),
        ("/token", json!({"max_bytes": 0}), "token.max_bytes: found 0, expected 1 to 61440 bytes"),
        ("/token", json!({"max_bytes": 61441}), "token.max_bytes: found 61441, expected 1 to 61440 bytes"),
        ("/identity", json!({"realms": []}), "identity.realms: found an empty list, expected at least one realm"),
        ("/identity", json!({"realms": [""]}), "identity.realms[0]: found text that is empty"),
        ("/trust/0/realms", json!([]), "trust[0].realms: found an empty list, expected at least one realm"),
        // Header names, and what goes into a header.
        ("/token", json!({"header": "x token"}), "token.header: found \"x token\", expected a header name"),
        ("/token", json!({"header": ""}), "token.header: found \"\", expected a header name"),
        ("/token", json!({"header": ":path"}), "token.header: found \":path\", expected a header name"),
        ("/token", json!({"header": "x\r\ny"}), "token.header: found \"x\\r\\ny\", expected a header name"),
        ("/token", json!({"header": "Host"}), "token.header: found \"host\", which frames the message"),
        (
            "/token",
            json!({"header": "content_length"}),
            "token.header: found \"content_length\", which frames the message",
        ),
        ("/token", json!({"header": "-path"}), "token.header: found \"-path\", which frames the message"),
        (
            "/token",
            json!({"header": "x-auth-realm"}),
            "identity.realm.header: found \"x-auth-realm\", which serves another",
        ),
        ("/token", json!({"prefix": "Bearer\r\nx: "}), "token.prefix: found byte 6 outside printable ASCII"),
        ("/token", json!({"prefix": " Bearer"}), "token.prefix: found a leading space"),
        (
            "/trust/0/shared_secret/header",
            json!("x-auth-realm"),
            "trust[0].shared_secret.header: found \"x-auth-realm\", which",
        ),
        (
            "/trust/0/shared_secret/header",
            json!("x_auth_realm"),
            "trust[0].shared_secret.header: found \"x_auth_realm\", another spelling",
        ),
        ("/identity", json!({"username": {"header": []}}), "identity.username.header: found an empty list"),
        (
            "/identity",
            json!({"username": {"header": "x y"}}),
            "identity.username.header: found \"x y\", expected a header",
        ),
        (
            "/identity",
            json!({"realm": {"header": "x", "value": "y"}}),
            "identity.realm: found both `header` and `value`",
        ),
        ("/identity", json!({"realm": {"value": "a\nb"}}), "identity.realm.value: found text that"),
        (
            "/identity",
            json!({"attributes": {"from": {"a": "x y"}}}),
            "identity.attributes.from.a: found \"x y\", expected",
        ),
        // Older fields, in their rarer ways to be wrong.
        ("/jwt/aud", json!(""), "jwt.aud: found text that is empty, expected 1 to 256 bytes"),
        ("/jwt/aud", json!(5), "jwt.aud: found an integer, expected a string"),
        ("/jwt/kid", json!(""), "jwt.kid: found text that is empty, expected 1 to 256 bytes"),
        ("/jwt/kid", json!("a\nb"), "jwt.kid: found text that holds a control character, expected 1 to 256 bytes"),
        ("/jwt/iss", json!("a".repeat(257)), "jwt.iss: found text that is too long, expected 1 to 256 bytes"),
        ("/jwt/exp", json!(u64::MAX), "jwt.exp: found an integer, expected one of 64 bits"),
        ("/jwt/secret_env", json!(5), "jwt.secret_env: found an integer, expected a string"),
        ("/trust/0", json!(TYPED_SECRET), "trust[0]: found a string, expected an object"),
        ("/trust/0/realms", json!([""]), "trust[0].realms[0]: found text that is empty"),
        (
            "/trust/0/shared_secret/header",
            json!(""),
            "trust[0].shared_secret.header: found \"\", expected a header name",
        ),
        ("/trust/0/shared_secret/header", json!("TE"), "trust[0].shared_secret.header: found \"te\", which frames"),
        (
            "/trust/0/shared_secret/header",
            json!("authorization"),
            "trust[0].shared_secret.header: found \"authorization\", which serves another purpose",
        ),
        ("/trust/0/shared_secret/secret", json!(TYPED_SECRET), "trust[0].shared_secret: found both `secret` and"),
        ("/trust/0/shared_secret/value", json!(TYPED_SECRET), "trust[0].shared_secret.value: unknown field `value`"),
        ("/trust", signed_with("nonce", &json!(true)), "trust[0].signature.nonce: unknown field `nonce`, expected"),
        ("/trust", signed_with("max_age", &json!("60")), "trust[0].signature.max_age: found a string, expected an int"),
        (
            "/token",
            json!({"name": "a"}),
            "token.name: unknown field `name`, expected one of `header`, `prefix`, `reuse`",
        ),
        ("/token", json!({"max_bytes": "1"}), "token.max_bytes: found a string, expected an integer"),
        ("/token", json!({"prefix": null}), "token.prefix: found a null, expected a string"),
        ("/token", json!({"header": "h".repeat(128)}), "token.header: found \"hhh"),
        (
            "/claims",
            json!({"sub": "a"}),
            "claims.sub: unknown field `sub`, expected one of `scopes`, `aud`, `jti`, `ex",
        ),
        ("/claims", json!({"aud": "a"}), "claims.aud: found a string, expected a boolean"),
        ("/identity", json!({"user": {}}), "identity.user: unknown field `user`, expected one of `preset`, `username`"),
        ("/identity", json!({"username": "a"}), "identity.username: found a string, expected an object"),
        (
            "/identity",
            json!({"roles": {"headers": []}}),
            "identity.roles.headers: unknown field `headers`, expected `header` or `format`",
        ),
        ("/identity", json!({"scopes": {"header": "x y"}}), "identity.scopes.header: found \"x y\", expected a header"),
        (
            "/identity",
            json!({"attributes": {"header": []}}),
            "identity.attributes.header: found an empty list, expected",
        ),
        ("/identity", json!({"attributes": {"from": {"": "x"}}}), "identity.attributes.from: found text that is empty"),
        (
            "/identity",
            json!({"attributes": {"from": many_attributes()}}),
            "identity.attributes.from: found 65 attributes, expected at most 64",
        ),
        ("/identity", json!({"required": "roles"}), "identity.required: found a string, expected a list"),
    ]
}

/// As [`refused`], for what a configuration says beside its oldest parts.
#[allow(clippy::too_many_lines, reason = "it is a table")]
pub fn refused_additions() -> Vec<(&'static str, Value, &'static str)> {
    let good = "AUTH_O_TRON_SECRET";
    let time = "2026-12-01T00:00:00Z";
    let key = |kid: &str, not_before: &str| json!({"kid": kid, "secret_env": good, "not_before": not_before});
    let rfc_3339 = |found: &str| json!([key("a", found)]);
    vec![
        // Keys that take over later.
        ("/jwt/rotation", key("a", time), "jwt.rotation: found an object, expected a list"),
        ("/jwt/rotation", json!([TYPED_SECRET]), "jwt.rotation[0]: found a string, expected an object"),
        ("/jwt/rotation", json!([{"secret_env": good, "not_before": time}]), "jwt.rotation[0].kid: missing, expected"),
        ("/jwt/rotation", json!([{"secret_env": good, "kid": "a"}]), "jwt.rotation[0].not_before: missing, expected"),
        (
            "/jwt/rotation",
            json!([{"kid": "a", "secret_env": good, "not_before": time, "not_after": time}]),
            "jwt.rotation[0].not_after: unknown field `not_after`, expected one of `kid`, `secret`, `secret_env`, `not_be",
        ),
        ("/jwt/rotation", json!([key("", time)]), "jwt.rotation[0].kid: found text that is empty, expected 1 to 256"),
        (
            "/jwt/rotation",
            json!([key("a", time), key("a", "2027-01-01T00:00:00Z")]),
            "jwt.rotation[1].kid: found \"a\" a second time, expected one key of that name",
        ),
        (
            "/jwt",
            json!({"iss": "a", "exp": 1, "secret_env": good, "kid": "a", "rotation": [key("a", time)]}),
            "jwt.rotation[0].kid: found \"a\" a second time, expected one key of that name",
        ),
        (
            "/jwt/rotation",
            json!([key("a", time), key("b", "2026-12-01T01:00:00+01:00")]),
            "jwt.rotation[1].not_before: found the time of another key, expected each key to take over at a time of its",
        ),
        (
            "/jwt/rotation",
            rfc_3339("2026-12-01"),
            "jwt.rotation[0].not_before: found \"2026-12-01\", expected a time of RFC 3339 such as \"2026-12-01T00:00:00Z\"",
        ),
        (
            "/jwt/rotation",
            rfc_3339("2026-12-01T00:00:00"),
            "jwt.rotation[0].not_before: found \"2026-12-01T00:00:00\",",
        ),
        (
            "/jwt/rotation",
            rfc_3339("2026-02-30T00:00:00Z"),
            "jwt.rotation[0].not_before: found \"2026-02-30T00:00:00Z\"",
        ),
        (
            "/jwt/rotation",
            rfc_3339("1796083200"),
            "jwt.rotation[0].not_before: found \"1796083200\", expected a time of",
        ),
        (
            "/jwt/rotation",
            rfc_3339("2026-12-01T00:00:00.5Z"),
            "jwt.rotation[0].not_before: found \"2026-12-01T00:00:00.5Z\", expected a time of RFC 3339",
        ),
        (
            "/jwt/rotation",
            json!([{"kid": "a", "secret_env": good, "not_before": 1_796_083_200}]),
            "jwt.rotation[0].not_before: found an integer, expected a string",
        ),
        (
            "/jwt/rotation",
            json!([{"kid": "a", "secret_env": "SHORT", "not_before": time}]),
            "jwt.rotation[0].secret_env: found 20 bytes, expected at least 32 (RFC 7518, section 3.2)",
        ),
        (
            "/jwt/rotation",
            json!([key("b", "2027-01-01T00:00:00Z"), {"kid": "a", "secret": TYPED_SECRET, "not_before": time}]),
            "jwt.rotation[1].secret: found 20 bytes, expected at least 32 (RFC 7518, section 3.2)",
        ),
        (
            "/jwt/rotation",
            json!([{"kid": "a", "secret_env": "ABSENT", "not_before": time}]),
            "jwt.rotation[0].secret_env: environment variable \"ABSENT\" is not set for the filter",
        ),
        (
            "/jwt/rotation",
            json!([{"kid": "a", "secret_env": good, "secret": TYPED_SECRET, "not_before": time}]),
            "jwt.rotation[0]: found both `secret` and `secret_env`, expected one of them",
        ),
        (
            "/jwt/rotation",
            json!([{"kid": "a", "not_before": time}]),
            "jwt.rotation[0]: found neither `secret` nor `secret_env`, expected one of them",
        ),
        // Presets.
        (
            "/identity",
            json!({"preset": "keycloak"}),
            "identity.preset: unknown variant `keycloak`, expected one of `auth-o-tron`, `oauth2-proxy`, \
             `oauth2-proxy-auth-request`, `authelia`, `authentik`, `kubernetes`",
        ),
        (
            "/identity",
            json!({"preset": ["authelia"]}),
            "identity.preset: found a value of another type, expected a string",
        ),
        ("/identity", json!({"preset": "oauth2-proxy"}), NO_REALM),
        ("/identity", json!({"preset": "oauth2-proxy-auth-request"}), NO_REALM),
        ("/identity", json!({"preset": "authelia", "realm": {}}), NO_REALM),
        ("/identity", json!({"preset": "authentik"}), NO_REALM),
        ("/identity", json!({"preset": "kubernetes"}), NO_REALM),
        (
            "/identity",
            json!({"preset": "authelia", "realm": {"value": "a", "header": "b"}}),
            "identity.realm: found both `header` and `value`, expected one of them",
        ),
        (
            "/identity",
            json!({"preset": "authelia", "realm": {"value": ""}}),
            "identity.realm.value: found text that is",
        ),
        (
            "/identity",
            json!({"preset": "authelia", "realm": {"header": "remote_user"}}),
            "identity.realm.header: found \"remote_user\", another spelling of \"remote-user\", expected one spelling",
        ),
        (
            "",
            json!({
                "jwt": {"iss": "a", "exp": 1, "secret_env": good}, "token": {"header": "remote-user"},
                "identity": {"preset": "authelia", "realm": {"value": "a"}},
                "trust": [{"shared_secret": {"header": "x", "secret_env": "PROXY_SECRET"}}],
            }),
            "identity.username.header: found \"remote-user\", which serves another purpose already",
        ),
        // How long a token may be handed out again.
        ("/token", json!({"reuse": -1}), "token.reuse: found -1, expected 0 or more seconds, less than jwt.exp"),
        ("/token", json!({"reuse": 3600}), "token.reuse: found 3600, expected 0 or more seconds, less than jwt.exp"),
        ("/token", json!({"reuse": true}), "token.reuse: found a boolean, expected an integer"),
        ("/token", json!({"reuse": 0.5}), "token.reuse: found a fraction, expected an integer"),
        // Claims.
        ("/claims", json!({"jti": "uuid"}), "claims.jti: found a string, expected a boolean"),
        ("/claims", json!({"extra": ["a"]}), "claims.extra: found a list, expected an object"),
        ("/claims", json!({"extra": TYPED_SECRET}), "claims.extra: found a string, expected an object"),
        ("/claims", json!({"extra": {"": 1}}), "claims.extra: found text that is empty, expected 1 to 256 bytes"),
        ("/claims", json!({"extra": {" ": 1}}), "claims.extra: found text that is empty, expected 1 to 256 bytes"),
        ("/claims", json!({"extra": {"a\nb": 1}}), "claims.extra: found text that holds a control character"),
        ("/claims", json!({"extra": {"n".repeat(257): 1}}), "claims.extra: found text that is too long, expected 1 to"),
        (
            "/claims",
            json!({"extra": {"text": "a".repeat(8192)}}),
            "claims.extra: found 8203 bytes of JSON, expected at most token.max_bytes",
        ),
        // Rules.
        ("/rules", json!({}), "rules: found an object, expected a list"),
        ("/rules", json!(["pass"]), "rules[0]: found a string, expected an object"),
        ("/rules", json!([{"action": "pass"}]), "rules[0].match: missing, expected as it is required"),
        ("/rules", json!([{"match": "/a"}]), "rules[0].match: found a string, expected an object"),
        (
            "/rules",
            matching(&json!({})),
            "rules[0].match: found no condition, expected at least one of `hosts`, `path_prefix`, `path`, `methods`, `rou",
        ),
        (
            "/rules",
            json!([{"match": {"path": "/a"}}, {"match": {}}]),
            "rules[1].match: found no condition, expected at least one of",
        ),
        (
            "/rules",
            matching(&json!({"prefix": "/a"})),
            "rules[0].match.prefix: unknown field `prefix`, expected one of `hosts`, `path_prefix`, `path`, `methods`, `r",
        ),
        (
            "/rules",
            json!([{"match": {"path": "/a"}, "if": true}]),
            "rules[0].if: unknown field `if`, expected one of `match`, `action`, `jwt`",
        ),
        (
            "/rules",
            json!([{"match": {"path": "/a"}, "action": "allow"}]),
            "rules[0].action: unknown variant `allow`, expected one of `issue`, `pass`, `deny`",
        ),
        (
            "/rules",
            matching(&json!({"path": "/a", "path_prefix": "/a"})),
            "rules[0].match: found both `path_prefix` and `path`, expected one of them",
        ),
        (
            "/rules",
            matching(&json!({"path": "a"})),
            "rules[0].match.path: found \"a\", expected a path that begins with \"/\", without query or fragment",
        ),
        ("/rules", matching(&json!({"path": ""})), "rules[0].match.path: found \"\", expected a path that begins with"),
        (
            "/rules",
            matching(&json!({"path": "/a?b"})),
            "rules[0].match.path: found \"/a?b\", expected a path that begins",
        ),
        (
            "/rules",
            matching(&json!({"path": "/a\n"})),
            "rules[0].match.path: found \"/a\\n\", expected a path that begins",
        ),
        ("/rules", matching(&json!({"path": ["/a"]})), "rules[0].match.path: found a list, expected a string"),
        (
            "/rules",
            matching(&json!({"path_prefix": "a/"})),
            "rules[0].match.path_prefix: found \"a/\", expected a path that begins with \"/\", without query or fragment",
        ),
        (
            "/rules",
            matching(&json!({"path_prefix": ""})),
            "rules[0].match.path_prefix: found \"\", expected a path that",
        ),
        ("/rules", matching(&json!({"path_prefix": "/a#b"})), "rules[0].match.path_prefix: found \"/a#b\", expected a"),
        ("/rules", matching(&json!({"hosts": []})), "rules[0].match.hosts: found an empty list, expected at least one"),
        ("/rules", matching(&json!({"methods": []})), "rules[0].match.methods: found an empty list, expected at least"),
        ("/rules", matching(&json!({"hosts": "a"})), "rules[0].match.hosts: found a string, expected a list"),
        (
            "/rules",
            matching(&json!({"hosts": ["a", "example.com:80"]})),
            "rules[0].match.hosts[1]: found \"example.com:80\", expected a host without port such as \"example.com\", or \
             \"*.example.com\" for all below it",
        ),
        (
            "/rules",
            matching(&json!({"hosts": [""]})),
            "rules[0].match.hosts[0]: found \"\", expected a host without port",
        ),
        ("/rules", matching(&json!({"hosts": [" "]})), "rules[0].match.hosts[0]: found \" \", expected a host without"),
        ("/rules", matching(&json!({"hosts": ["*"]})), "rules[0].match.hosts[0]: found \"*\", expected a host without"),
        (
            "/rules",
            matching(&json!({"hosts": ["*."]})),
            "rules[0].match.hosts[0]: found \"*.\", expected a host without",
        ),
        ("/rules", matching(&json!({"hosts": ["a.*.b"]})), "rules[0].match.hosts[0]: found \"a.*.b\", expected a host"),
        ("/rules", matching(&json!({"hosts": ["*a.b"]})), "rules[0].match.hosts[0]: found \"*a.b\", expected a host"),
        ("/rules", matching(&json!({"hosts": ["a.b."]})), "rules[0].match.hosts[0]: found \"a.b.\", expected a host"),
        ("/rules", matching(&json!({"hosts": ["*..b"]})), "rules[0].match.hosts[0]: found \"*..b\", expected a host"),
        (
            "/rules",
            matching(&json!({"hosts": [".b"]})),
            "rules[0].match.hosts[0]: found \".b\", expected a host without",
        ),
        (
            "/rules",
            matching(&json!({"hosts": ["[::1]:80"]})),
            "rules[0].match.hosts[0]: found \"[::1]:80\", expected a",
        ),
        (
            "/rules",
            matching(&json!({"hosts": ["a_b", "a b"]})),
            "rules[0].match.hosts[1]: found \"a b\", expected a host",
        ),
        ("/rules", matching(&json!({"hosts": ["*.[::1]"]})), "rules[0].match.hosts[0]: found \"*.[::1]\", expected a"),
        ("/rules", matching(&json!({"hosts": ["[a b]"]})), "rules[0].match.hosts[0]: found \"[a b]\", expected a host"),
        (
            "/rules",
            matching(&json!({"hosts": ["http://a"]})),
            "rules[0].match.hosts[0]: found \"http://a\", expected a",
        ),
        (
            "/rules",
            matching(&json!({"methods": ["GET", "post"]})),
            "rules[0].match.methods[1]: found \"post\", expected a method such as \"GET\"",
        ),
        (
            "/rules",
            matching(&json!({"methods": [""]})),
            "rules[0].match.methods[0]: found \"\", expected a method such",
        ),
        (
            "/rules",
            matching(&json!({"methods": ["*"]})),
            "rules[0].match.methods[0]: found \"*\", expected a method such",
        ),
        (
            "/rules",
            matching(&json!({"route": ""})),
            "rules[0].match.route: found text that is empty, expected 1 to 256",
        ),
        (
            "/rules",
            matching(&json!({"route": " "})),
            "rules[0].match.route: found text that is empty, expected 1 to 256",
        ),
        (
            "/rules",
            json!([{"match": {"path": "/a"}, "action": "pass", "jwt": {"aud": "a"}}]),
            "rules[0].jwt: found it beside an action that issues no token, expected the action `issue`",
        ),
        (
            "/rules",
            json!([{"match": {"path": "/a"}, "action": "deny", "jwt": {}}]),
            "rules[0].jwt: found it beside an action that issues no token, expected the action `issue`",
        ),
        ("/rules", overriding(&json!("a")), "rules[0].jwt: found a string, expected an object"),
        (
            "/rules",
            overriding(&json!({"secret": TYPED_SECRET})),
            "rules[0].jwt.secret: unknown field `secret`, expected one of `iss`, `aud`, `exp`",
        ),
        (
            "/rules",
            overriding(&json!({"iss": ""})),
            "rules[0].jwt.iss: found text that is empty, expected 1 to 256 bytes",
        ),
        (
            "/rules",
            overriding(&json!({"aud": ""})),
            "rules[0].jwt.aud: found text that is empty, expected 1 to 256 bytes",
        ),
        ("/rules", overriding(&json!({"exp": 0})), "rules[0].jwt.exp: found 0, expected 1 to 315360000 seconds"),
        (
            "/rules",
            overriding(&json!({"exp": 315_360_001})),
            "rules[0].jwt.exp: found 315360001, expected 1 to 3153600",
        ),
        ("/rules", overriding(&json!({"exp": "1"})), "rules[0].jwt.exp: found a string, expected an integer"),
        (
            "",
            json!({
                "jwt": {"iss": "a", "exp": 3600, "secret_env": good}, "token": {"reuse": 300},
                "trust": [{"shared_secret": {"header": "x", "secret_env": "PROXY_SECRET"}}],
                "rules": overriding(&json!({"exp": 300})),
            }),
            "rules[0].jwt.exp: found 300, expected more seconds than token.reuse",
        ),
        // Telemetry.
        ("/telemetry", json!(true), "telemetry: found a boolean, expected an object"),
        ("/telemetry", json!({"filter_state": "yes"}), "telemetry.filter_state: found a string, expected a boolean"),
        ("/telemetry", json!({"metrics": true}), "telemetry.metrics: unknown field `metrics`, expected `filter_state`"),
    ]
}

/// What a preset without realms needs.
const NO_REALM: &str =
    "identity.realm: missing, expected `value` or `header`, as the headers of the preset tell no realm";

/// The claims that only the filter sets.
pub const RESERVED: &[&str] =
    &["sub", "iss", "aud", "exp", "nbf", "iat", "jti", "roles", "username", "realm", "scopes", "attributes"];

/// A `rules` of one rule.
fn matching(conditions: &Value) -> Value {
    json!([{"match": conditions, "action": "pass"}])
}

fn overriding(jwt: &Value) -> Value {
    json!([{"match": {"path": "/a"}, "jwt": jwt}])
}

/// One attribute too many.
fn many_attributes() -> Value {
    (0..65).map(|n| (format!("a{n}"), json!(format!("x-{n}")))).collect::<serde_json::Map<_, _>>().into()
}

/// Changes as in [`refused`] that are fine, and at the edge of what is.
pub fn accepted() -> Vec<(&'static str, Value)> {
    let good = "AUTH_O_TRON_SECRET";
    vec![
        (
            "/jwt/rotation",
            json!([
                {"kid": "a", "secret_env": good, "not_before": "2026-12-01T00:00:00Z"},
                {"kid": "b", "secret_env": good, "not_before": "2026-12-01T00:00:00.0+00:01"},
            ]),
        ),
        ("/jwt/rotation", json!([])),
        ("/identity", json!({"preset": "auth-o-tron"})),
        ("/identity", json!({"preset": "oauth2-proxy", "realm": {"value": "corp"}})),
        ("/identity", json!({"preset": "kubernetes", "realm": {"header": "x-remote-extra-realm"}})),
        ("/token", json!({"reuse": 3599})),
        ("/claims", json!({"jti": true, "extra": {"env": "prod", "n".repeat(256): {"aud": null}, "Aud": 1}})),
        ("/claims", json!({"extra": {"text": "a".repeat(8192 - 11)}})),
        ("/rules", json!([])),
        (
            "/rules",
            json!([
                {"match": {"hosts": ["Example.com", "*.example.com", "[::1]", "10.0.0.1"]}, "action": "issue", "jwt": {}},
                {"match": {"path_prefix": "/"}, "jwt": {"iss": "a", "aud": "b", "exp": 315_360_000}},
                {"match": {"path": "/", "methods": ["GET", "VERSION-CONTROL"], "route": "a route"}, "action": "pass"},
                {"match": {"path": "/"}, "action": "deny"},
            ]),
        ),
        ("/telemetry", json!({"filter_state": true})),
        ("/telemetry", json!({})),
    ]
}

/// A `trust` of one entry, a signature.
fn signature(proof: &Value) -> Value {
    json!([{"signature": proof}])
}

fn signed_by(keyid: &str, variable: &str) -> Value {
    signature(&json!({"keys": [{"keyid": keyid, "secret_env": variable}]}))
}

fn signed_with(field: &str, value: &Value) -> Value {
    signature(&json!({"keys": [{"keyid": "a", "secret_env": "AUTH_O_TRON_SECRET"}], field: value}))
}

/// The demo's plugin configuration with `value` at `pointer`; null removes what is there.
pub fn changed(pointer: &str, value: &Value) -> Value {
    let mut configuration = super::demo_configuration();
    if let Some(present) = configuration.pointer_mut(pointer).filter(|_| !value.is_null()) {
        *present = value.clone();
        return configuration;
    }
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = configuration.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(field).expect("something to remove");
    } else {
        parent.insert(field.to_owned(), value.clone());
    }
    configuration
}
