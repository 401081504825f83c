//! `trust`: each kind of proof.

use serde_json::{Value, json};

use super::{Refused, TYPED_SECRET};

#[allow(clippy::too_many_lines, reason = "it is a table")]
pub fn refused() -> Vec<Refused> {
    vec![
        ("/trust", Value::Null, "trust: empty or missing, expected at least one entry"),
        ("/trust", json!([]), "trust: empty or missing, expected at least one entry"),
        ("/trust/0/shared_secret", Value::Null, "trust[0]: found no proof, expected one of `shared_secret`, "),
        ("/trust/0/shared_secret/header", Value::Null, "trust[0].shared_secret.header: missing"),
        ("/trust/0/shared_secret/secret_env", Value::Null, "trust[0].shared_secret: found neither `secret` nor"),
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
        ("/trust", json!({"shared_secret": TYPED_SECRET}), "trust: found an object, expected a list"),
        ("/trust/0/shared_secret", json!(TYPED_SECRET), "trust[0].shared_secret: found a string, expected an object"),
        (
            "/trust/0/jwks",
            json!({}),
            "trust[0].jwks: unknown field, expected one of `shared_secret`, `signature`, `mtls`, `peer`, `filter_state`, `realms`",
        ),
        (
            "/trust/0/signature",
            json!({"keys": [{"keyid": "a", "secret_env": "AUTH_O_TRON_SECRET"}]}),
            "trust[0]: found both `shared_secret` and `signature`, expected exactly one proof",
        ),
        ("/trust", signature(&json!({})), "trust[0].signature.keys: missing"),
        ("/trust", signature(&json!({"keys": []})), "trust[0].signature.keys: found an empty list, expected"),
        (
            "/trust",
            signed_by("", "AUTH_O_TRON_SECRET"),
            "trust[0].signature.keys[0].keyid: found an empty text, expected 1 to 256 bytes without control characters",
        ),
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
        (
            "/trust/0",
            json!({"mtls": {"sans": []}}),
            "trust[0].mtls.sans: unknown field, expected one of `uri_sans`, `dns_sans`, `fingerprints`",
        ),
        ("/trust/0", json!({"mtls": {"uri_sans": "a"}}), "trust[0].mtls.uri_sans: found a string, expected a list"),
        (
            "/trust/0",
            json!({"mtls": {"uri_sans": [""]}}),
            "trust[0].mtls.uri_sans[0]: found an empty text, expected 1 to 2048 bytes without control characters",
        ),
        (
            "/trust/0",
            json!({"mtls": {"dns_sans": ["a", ""]}}),
            "trust[0].mtls.dns_sans[1]: found an empty text, expected 1 to 2048 bytes without control characters",
        ),
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
        ("/trust/0", json!({"peer": {}}), "trust[0].peer.cidrs: missing required field"),
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
            "trust[0].filter_state.key: found an empty text, expected 1 to 256 bytes without control characters",
        ),
        (
            "/trust/0",
            json!({"filter_state": {"key": "a\u{0}b", "value": "a"}}),
            "trust[0].filter_state.key: found a text with a control character, expected 1 to 256 bytes without control characters",
        ),
        (
            "/trust/0",
            json!({"filter_state": {"key": "a", "value": ""}}),
            "trust[0].filter_state.value: found an empty text, expected 1 to 256 bytes without control characters",
        ),
        ("/trust/0/realms", json!([]), "trust[0].realms: found an empty list, expected at least one realm"),
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
        ("/trust/0", json!(TYPED_SECRET), "trust[0]: found a string, expected an object"),
        (
            "/trust/0/realms",
            json!([""]),
            "trust[0].realms[0]: found an empty text, expected 1 to 256 bytes without control characters",
        ),
        (
            "/trust/0/shared_secret/header",
            json!(""),
            "trust[0].shared_secret.header: found \"\", expected a header name",
        ),
        ("/trust/0/shared_secret/header", json!("TE"), "trust[0].shared_secret.header: found \"te\", which frames"),
        (
            "/trust/0/shared_secret/header",
            json!("authorization"),
            "trust[0].shared_secret.header: found \"authorization\", which carries the token already, expected another header",
        ),
        ("/trust/0/shared_secret/secret", json!(TYPED_SECRET), "trust[0].shared_secret: found both `secret` and"),
        (
            "/trust/0/shared_secret/value",
            json!(TYPED_SECRET),
            "trust[0].shared_secret.value: unknown field, expected one of `header`, `secret`, `secret_env`",
        ),
        (
            "/trust",
            signed_with("nonce", &json!(true)),
            "trust[0].signature.nonce: unknown field, expected one of `keys`, `max_age`, `components`",
        ),
        (
            "/trust",
            signed_with("max_age", &json!("60")),
            "trust[0].signature.max_age: found \"60\", expected an integer",
        ),
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
