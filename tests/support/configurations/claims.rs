//! `claims`.

use serde_json::{Value, json};

use super::{Refused, TYPED_SECRET};

pub fn refused() -> Vec<Refused> {
    vec![
        ("/claims", json!({"scopes": "string"}), "claims.scopes: unknown variant `string`, expected `list` or `map`"),
        (
            "/claims",
            json!({"sub": "a"}),
            "claims.sub: unknown field `sub`, expected one of `scopes`, `aud`, `jti`, `ex",
        ),
        ("/claims", json!({"aud": "a"}), "claims.aud: found a string, expected a boolean"),
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
    ]
}
