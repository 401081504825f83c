//! The document as a whole, and its small sections.

use serde_json::{Value, json};

use super::{Refused, TYPED_SECRET};

pub fn refused() -> Vec<Refused> {
    vec![
        ("", json!([]), "configuration: found a list, expected an object"),
        ("/on_missing", json!("allow"), "on_missing: unknown variant `allow`, expected `deny` or `pass`"),
        ("/forward_identity", json!("yes"), "forward_identity: found a string, expected a boolean"),
        ("/secret", json!(TYPED_SECRET), "secret: unknown field `secret`, expected one of `jwt`, `identity`, `trust`"),
        ("/telemetry", json!(true), "telemetry: found a boolean, expected an object"),
        ("/telemetry", json!({"filter_state": "yes"}), "telemetry.filter_state: found a string, expected a boolean"),
        ("/telemetry", json!({"metrics": true}), "telemetry.metrics: unknown field `metrics`, expected `filter_state`"),
    ]
}
