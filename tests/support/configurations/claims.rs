//! `claims`.

use serde_json::{Value, json};

use super::{Refused, TYPED_SECRET};

pub fn refused() -> Vec<Refused> {
    vec![
        ("/claims", json!({"scopes": "string"}), "claims.scopes: found `string`, expected `list` or `map`"),
        ("/claims", json!({"sub": "a"}), "claims.sub: unknown field, expected one of `scopes`, `aud`, `jti`, `extra`"),
        ("/claims", json!({"aud": "a"}), "claims.aud: found \"a\", expected a boolean"),
        ("/claims", json!({"jti": "uuid"}), "claims.jti: found \"uuid\", expected a boolean"),
        ("/claims", json!({"extra": ["a"]}), "claims.extra: found a list, expected an object"),
        ("/claims", json!({"extra": TYPED_SECRET}), "claims.extra: found a string, expected an object"),
        (
            "/claims",
            json!({"extra": {"": 1}}),
            "claims.extra: found an empty text, expected 1 to 256 bytes without control characters",
        ),
        (
            "/claims",
            json!({"extra": {" ": 1}}),
            "claims.extra: found an empty text, expected 1 to 256 bytes without control characters",
        ),
        (
            "/claims",
            json!({"extra": {"a\nb": 1}}),
            "claims.extra: found a text with a control character, expected 1 to 256 bytes without control characters",
        ),
        (
            "/claims",
            json!({"extra": {"n".repeat(257): 1}}),
            "claims.extra: found a text of 257 bytes, expected 1 to 256 bytes without control characters",
        ),
        (
            "/claims",
            json!({"extra": {"text": "a".repeat(8192)}}),
            "claims.extra: found 8203 bytes of JSON, expected at most token.max_bytes",
        ),
    ]
}
