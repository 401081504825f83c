//! Configurations that the filter refuses, a file for each section, and some that it accepts: changes to the one that the
//! demo ships. `tests/envoy` shows them to Envoy, `tests/otron` to the command and to the schema.

mod claims;
mod document;
mod identity;
mod jwt;
mod rules;
mod token;
mod trust;

use serde_json::{Value, json};

use super::{PROOF, SIGNING_SECRET, shipped::demo_configuration};

/// A secret that is written where it does not belong, or is no good. It must never be shown.
pub const TYPED_SECRET: &str = "hunter2 is too short";

/// The variables of a filter that meets these configurations.
pub const VARIABLES: [(&str, &str); 5] = [
    ("AUTH_O_TRON_SECRET", SIGNING_SECRET),
    ("PROXY_SECRET", PROOF),
    ("SHORT", TYPED_SECRET),
    ("EMPTY", ""),
    ("BLANK", "a proof that ends in a space "),
];

pub fn environment(name: &str) -> Option<String> {
    VARIABLES.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned())
}

/// A pointer into the demo's configuration → the value there, where null removes it → how the line begins that is said.
pub type Refused = (&'static str, Value, &'static str);

pub fn refused() -> Vec<Refused> {
    [
        document::refused(),
        jwt::refused(),
        identity::refused(),
        trust::refused(),
        token::refused(),
        claims::refused(),
        rules::refused(),
    ]
    .concat()
}

/// The claims that only the filter sets.
pub const RESERVED: &[&str] =
    &["sub", "iss", "aud", "exp", "nbf", "iat", "jti", "roles", "username", "realm", "scopes", "attributes"];

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

/// The demo's plugin configuration with `value` at `pointer`; null removes what is there.
pub fn changed(pointer: &str, value: &Value) -> Value {
    let mut configuration = demo_configuration();
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
