//! `token`: where it goes, and how long it is handed out again.

use serde_json::{Value, json};

use super::Refused;

#[allow(clippy::too_many_lines, reason = "it is a table")]
pub fn refused() -> Vec<Refused> {
    vec![
        ("/token", json!({"max_bytes": 0}), "token.max_bytes: found 0, expected 1 to 61440 bytes"),
        ("/token", json!({"max_bytes": 61441}), "token.max_bytes: found 61441, expected 1 to 61440 bytes"),
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
            "identity.realm.header: found \"x-auth-realm\", which carries the token already, expected another header",
        ),
        ("/token", json!({"prefix": "Bearer\r\nx: "}), "token.prefix: found byte 6 outside printable ASCII"),
        (
            "/token",
            json!({"prefix": " Bearer"}),
            "token.prefix: found a space at the beginning, which no header value keeps, expected none",
        ),
        (
            "/token",
            json!({"name": "a"}),
            "token.name: unknown field, expected one of `header`, `prefix`, `reuse`, `max_bytes`",
        ),
        ("/token", json!({"max_bytes": "1"}), "token.max_bytes: found \"1\", expected an integer"),
        ("/token", json!({"prefix": null}), "token.prefix: found null, expected a string"),
        ("/token", json!({"header": "h".repeat(128)}), "token.header: found \"hhh"),
        ("/token", json!({"reuse": -1}), "token.reuse: found -1, expected 0 or more seconds"),
        ("/token", json!({"reuse": 3600}), "token.reuse: found 3600, expected less than jwt.exp"),
        ("/token", json!({"reuse": true}), "token.reuse: found a boolean, expected an integer"),
        ("/token", json!({"reuse": 0.5}), "token.reuse: found a fraction, expected an integer"),
    ]
}
