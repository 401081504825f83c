//! What the JSON Schema says beyond types.

use serde_json::{Value, json};

/// An object has exactly one of these fields.
pub fn exactly_one(fields: &[&str]) -> Value {
    fields.iter().map(|field| all_of(&[field])).collect()
}

/// An object has either the secret itself or the variable that holds it.
pub fn one_secret() -> Value {
    exactly_one(&["secret", "secret_env"])
}

/// An object has all of these fields.
pub fn all_of(fields: &[&str]) -> Value {
    json!({"required": fields})
}
