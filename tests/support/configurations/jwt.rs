//! `jwt`, and the keys that take over later.

use serde_json::{Value, json};

use super::{Refused, TYPED_SECRET};

#[allow(clippy::too_many_lines, reason = "it is a table")]
pub fn refused() -> Vec<Refused> {
    let good = "AUTH_O_TRON_SECRET";
    let time = "2026-12-01T00:00:00Z";
    let key = |kid: &str, not_before: &str| json!({"kid": kid, "secret_env": good, "not_before": not_before});
    let rfc_3339 = |found: &str| json!([key("a", found)]);
    vec![
        ("/jwt", Value::Null, "jwt: missing required field"),
        ("/jwt/iss", Value::Null, "jwt.iss: missing required field"),
        ("/jwt/exp", Value::Null, "jwt.exp: missing required field"),
        ("/jwt/secret_env", Value::Null, "jwt: found neither `secret` nor `secret_env`, expected one of them"),
        (
            "/jwt",
            json!({"iss": "a", "exp": 1, "secret": TYPED_SECRET}),
            "jwt.secret: found 20 bytes, expected at least 32 (RFC 7518, section 3.2)",
        ),
        ("/jwt/secret_env", json!("SHORT"), "jwt.secret_env: found 20 bytes, expected at least 32"),
        ("/jwt/secret", json!(TYPED_SECRET), "jwt: found both `secret` and `secret_env`, expected one of them"),
        (
            "/jwt/secret_env",
            json!("${AUTH_O_TRON_SECRET}"),
            "jwt.secret_env: found 21 bytes, expected the name of an environment variable",
        ),
        (
            "/jwt/secret_env",
            json!("4f9ac0b2c1d2e3f4a5b6c7d8e9f0a1b2"),
            "jwt.secret_env: found 32 bytes, expected the name of an environment variable",
        ),
        (
            "/jwt/secret_env",
            json!("a".repeat(32)),
            "jwt.secret_env: found 32 bytes, expected the name of an environment variable",
        ),
        (
            "/jwt/secret_env",
            json!("ABSENT"),
            "jwt.secret_env: environment variable \"ABSENT\" is not set for the filter",
        ),
        ("/jwt", json!(TYPED_SECRET), "jwt: found a string, expected an object"),
        ("/jwt/iss", json!(5), "jwt.iss: found an integer, expected a string"),
        ("/jwt/exp", json!("3600"), "jwt.exp: found \"3600\", expected an integer"),
        ("/jwt/exp", json!(0.5), "jwt.exp: found a fraction, expected an integer"),
        ("/jwt/secret", json!([TYPED_SECRET]), "jwt.secret: found a list, expected a string"),
        (
            "/jwt/issuer",
            json!("a"),
            "jwt.issuer: unknown field, expected one of `iss`, `aud`, `exp`, `secret`, `secret_env`, `kid`, `rotation`",
        ),
        ("/jwt/iss", json!(""), "jwt.iss: found an empty text, expected 1 to 256 bytes without control characters"),
        ("/jwt/exp", json!(0), "jwt.exp: found 0, expected 1 to 315360000 seconds"),
        ("/jwt/exp", json!(-1), "jwt.exp: found -1, expected 1 to 315360000 seconds"),
        ("/jwt/exp", json!(315_360_001), "jwt.exp: found 315360001, expected 1 to 315360000 seconds"),
        ("/jwt/aud", json!(""), "jwt.aud: found an empty text, expected 1 to 256 bytes without control characters"),
        ("/jwt/aud", json!(5), "jwt.aud: found an integer, expected a string"),
        ("/jwt/kid", json!(""), "jwt.kid: found an empty text, expected 1 to 256 bytes without control characters"),
        (
            "/jwt/kid",
            json!("a\nb"),
            "jwt.kid: found a text with a control character, expected 1 to 256 bytes without control characters",
        ),
        (
            "/jwt/iss",
            json!("a".repeat(257)),
            "jwt.iss: found a text of 257 bytes, expected 1 to 256 bytes without control characters",
        ),
        ("/jwt/exp", json!(u64::MAX), "jwt.exp: found an integer above 9223372036854775807, expected an integer"),
        ("/jwt/secret_env", json!(5), "jwt.secret_env: found an integer, expected a string"),
        ("/jwt/rotation", key("a", time), "jwt.rotation: found an object, expected a list"),
        ("/jwt/rotation", json!([TYPED_SECRET]), "jwt.rotation[0]: found a string, expected an object"),
        (
            "/jwt/rotation",
            json!([{"secret_env": good, "not_before": time}]),
            "jwt.rotation[0].kid: missing required field",
        ),
        (
            "/jwt/rotation",
            json!([{"secret_env": good, "kid": "a"}]),
            "jwt.rotation[0].not_before: missing required field",
        ),
        (
            "/jwt/rotation",
            json!([{"kid": "a", "secret_env": good, "not_before": time, "not_after": time}]),
            "jwt.rotation[0].not_after: unknown field, expected one of `kid`, `secret`, `secret_env`, `not_before`",
        ),
        (
            "/jwt/rotation",
            json!([key("", time)]),
            "jwt.rotation[0].kid: found an empty text, expected 1 to 256 bytes without control characters",
        ),
        (
            "/jwt/rotation",
            json!([key("a", time), key("a", "2027-01-01T00:00:00Z")]),
            "jwt.rotation[1].kid: found \"a\" a second time, expected another name",
        ),
        (
            "/jwt",
            json!({"iss": "a", "exp": 1, "secret_env": good, "kid": "a", "rotation": [key("a", time)]}),
            "jwt.rotation[0].kid: found \"a\" a second time, expected another name",
        ),
        (
            "/jwt/rotation",
            json!([key("a", time), key("b", "2026-12-01T01:00:00+01:00")]),
            "jwt.rotation[1].not_before: found the time of another key, expected a time of its own",
        ),
        (
            "/jwt/rotation",
            rfc_3339("2026-12-01"),
            "jwt.rotation[0].not_before: found \"2026-12-01\", expected a time of RFC 3339 in whole seconds, such as \"2026-12",
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
    ]
}
