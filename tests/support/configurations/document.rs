//! The document as a whole, and its small sections.

use serde_json::{Value, json};

use super::{Refused, TYPED_SECRET};

pub fn refused() -> Vec<Refused> {
    vec![
        ("", json!([]), "configuration: found a list, expected an object"),
        ("/on_missing", json!("allow"), "on_missing: found `allow`, expected `deny` or `pass`"),
        ("/forward_identity", json!("yes"), "forward_identity: found \"yes\", expected a boolean"),
        (
            "/secret",
            json!(TYPED_SECRET),
            "secret: unknown field, expected one of `jwt`, `identity`, `trust`, `token`, `claims`, `on_missing`, `forward_i",
        ),
        ("/telemetry", json!(true), "telemetry: found a boolean, expected an object"),
        ("/telemetry", json!({"filter_state": "yes"}), "telemetry.filter_state: found \"yes\", expected a boolean"),
        ("/telemetry", json!({"metrics": true}), "telemetry.metrics: unknown field, expected `filter_state`"),
    ]
}
