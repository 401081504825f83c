//! `identity`: headers, formats, presets, limits.

use serde_json::{Value, json};

use super::Refused;

#[allow(clippy::too_many_lines, reason = "it is a table")]
pub fn refused() -> Vec<Refused> {
    let good = "AUTH_O_TRON_SECRET";
    vec![
        (
            "/identity",
            json!({"roles": {"format": "xml"}}),
            "identity.roles.format: found `xml`, expected one of `csv`, `space`, `pipe`, `json`, `base64-json`, `repeated`",
        ),
        (
            "/identity",
            json!({"required": ["username"]}),
            "identity.required[0]: found `username`, expected one of `roles`, `scopes`, `attributes`",
        ),
        ("/identity", json!({"realms": []}), "identity.realms: found an empty list, expected at least one realm"),
        (
            "/identity",
            json!({"realms": [""]}),
            "identity.realms[0]: found an empty text, expected 1 to 256 bytes without control characters",
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
        (
            "/identity",
            json!({"realm": {"value": "a\nb"}}),
            "identity.realm.value: found a text with a control character, expected 1 to 256 bytes without control characters",
        ),
        (
            "/identity",
            json!({"attributes": {"from": {"a": "x y"}}}),
            "identity.attributes.from.a: found \"x y\", expected",
        ),
        (
            "/identity",
            json!({"user": {}}),
            "identity.user: unknown field, expected one of `preset`, `username`, `realm`, `roles`, `scopes`, `attributes`, ",
        ),
        ("/identity", json!({"username": "a"}), "identity.username: found a string, expected an object"),
        (
            "/identity",
            json!({"roles": {"headers": []}}),
            "identity.roles.headers: unknown field, expected `header` or `format`; did you mean `header`?",
        ),
        ("/identity", json!({"scopes": {"header": "x y"}}), "identity.scopes.header: found \"x y\", expected a header"),
        (
            "/identity",
            json!({"attributes": {"header": []}}),
            "identity.attributes.header: found an empty list, expected",
        ),
        (
            "/identity",
            json!({"attributes": {"from": {"": "x"}}}),
            "identity.attributes.from: found an empty text, expected 1 to 128 bytes without control characters",
        ),
        (
            "/identity",
            json!({"attributes": {"from": many_attributes()}}),
            "identity.attributes.from: found 65 attributes, expected at most 64",
        ),
        ("/identity", json!({"required": "roles"}), "identity.required: found a string, expected a list"),
        (
            "/identity",
            json!({"preset": "keycloak"}),
            "identity.preset: found `keycloak`, expected one of `auth-o-tron`, `oauth2-proxy`, `oauth2-proxy-auth-request`,",
        ),
        (
            "/identity",
            json!({"preset": ["authelia"]}),
            "identity.preset: found a list, expected one of `auth-o-tron`, `oauth2-proxy`, `oauth2-proxy-auth-request`, `au",
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
            "identity.realm.value: found an empty text, expected 1 to 256 bytes without control characters",
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
            "identity.username.header: found \"remote-user\", which carries the token already, expected another header",
        ),
    ]
}

/// One attribute too many.
fn many_attributes() -> Value {
    (0..65).map(|n| (format!("a{n}"), json!(format!("x-{n}")))).collect::<serde_json::Map<_, _>>().into()
}

/// What a preset without realms needs.
const NO_REALM: &str = "identity.realm: missing, and the preset has no header for it; expected {\"value\": \"corp\"} or {\"header\": \"x-auth-realm\"}";
