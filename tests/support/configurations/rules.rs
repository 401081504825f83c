//! `rules`: what they match, and what they say of a token.

use serde_json::{Value, json};

use super::{Refused, TYPED_SECRET};

#[allow(clippy::too_many_lines, reason = "it is a table")]
pub fn refused() -> Vec<Refused> {
    let good = "AUTH_O_TRON_SECRET";
    vec![
        ("/rules", json!({}), "rules: found an object, expected a list"),
        ("/rules", json!(["pass"]), "rules[0]: found a string, expected an object"),
        ("/rules", json!([{"action": "pass"}]), "rules[0].match: missing required field"),
        ("/rules", json!([{"match": "/a"}]), "rules[0].match: found a string, expected an object"),
        (
            "/rules",
            matching(&json!({})),
            "rules[0].match: found no condition, expected at least one of `hosts`, `path_prefix`, `path`, `methods`, `rou",
        ),
        (
            "/rules",
            json!([{"match": {"path": "/a"}}, {"match": {}}]),
            "rules[1].match: found no condition, expected at least one of",
        ),
        (
            "/rules",
            matching(&json!({"prefix": "/a"})),
            "rules[0].match.prefix: unknown field, expected one of `hosts`, `path_prefix`, `path`, `methods`, `route`",
        ),
        (
            "/rules",
            json!([{"match": {"path": "/a"}, "if": true}]),
            "rules[0].if: unknown field, expected one of `match`, `action`, `jwt`",
        ),
        (
            "/rules",
            json!([{"match": {"path": "/a"}, "action": "allow"}]),
            "rules[0].action: found `allow`, expected one of `issue`, `pass`, `deny`",
        ),
        (
            "/rules",
            matching(&json!({"path": "/a", "path_prefix": "/a"})),
            "rules[0].match: found both `path_prefix` and `path`, expected one of them",
        ),
        (
            "/rules",
            matching(&json!({"path": "a"})),
            "rules[0].match.path: found \"a\", expected a path that begins with \"/\", without query or fragment",
        ),
        ("/rules", matching(&json!({"path": ""})), "rules[0].match.path: found \"\", expected a path that begins with"),
        (
            "/rules",
            matching(&json!({"path": "/a?b"})),
            "rules[0].match.path: found \"/a?b\", expected a path that begins",
        ),
        (
            "/rules",
            matching(&json!({"path": "/a\n"})),
            "rules[0].match.path: found \"/a\\n\", expected a path that begins",
        ),
        ("/rules", matching(&json!({"path": ["/a"]})), "rules[0].match.path: found a list, expected a string"),
        (
            "/rules",
            matching(&json!({"path_prefix": "a/"})),
            "rules[0].match.path_prefix: found \"a/\", expected a path that begins with \"/\", without query or fragment",
        ),
        (
            "/rules",
            matching(&json!({"path_prefix": ""})),
            "rules[0].match.path_prefix: found \"\", expected a path that",
        ),
        ("/rules", matching(&json!({"path_prefix": "/a#b"})), "rules[0].match.path_prefix: found \"/a#b\", expected a"),
        ("/rules", matching(&json!({"hosts": []})), "rules[0].match.hosts: found an empty list, expected at least one"),
        ("/rules", matching(&json!({"methods": []})), "rules[0].match.methods: found an empty list, expected at least"),
        ("/rules", matching(&json!({"hosts": "a"})), "rules[0].match.hosts: found a string, expected a list"),
        (
            "/rules",
            matching(&json!({"hosts": ["a", "example.com:80"]})),
            "rules[0].match.hosts[1]: found \"example.com:80\", expected a host without port such as \"example.com\", or \
             \"*.example.com\" for all below it",
        ),
        (
            "/rules",
            matching(&json!({"hosts": [""]})),
            "rules[0].match.hosts[0]: found \"\", expected a host without port",
        ),
        ("/rules", matching(&json!({"hosts": [" "]})), "rules[0].match.hosts[0]: found \" \", expected a host without"),
        ("/rules", matching(&json!({"hosts": ["*"]})), "rules[0].match.hosts[0]: found \"*\", expected a host without"),
        (
            "/rules",
            matching(&json!({"hosts": ["*."]})),
            "rules[0].match.hosts[0]: found \"*.\", expected a host without",
        ),
        ("/rules", matching(&json!({"hosts": ["a.*.b"]})), "rules[0].match.hosts[0]: found \"a.*.b\", expected a host"),
        ("/rules", matching(&json!({"hosts": ["*a.b"]})), "rules[0].match.hosts[0]: found \"*a.b\", expected a host"),
        ("/rules", matching(&json!({"hosts": ["a.b."]})), "rules[0].match.hosts[0]: found \"a.b.\", expected a host"),
        ("/rules", matching(&json!({"hosts": ["*..b"]})), "rules[0].match.hosts[0]: found \"*..b\", expected a host"),
        (
            "/rules",
            matching(&json!({"hosts": [".b"]})),
            "rules[0].match.hosts[0]: found \".b\", expected a host without",
        ),
        (
            "/rules",
            matching(&json!({"hosts": ["[::1]:80"]})),
            "rules[0].match.hosts[0]: found \"[::1]:80\", expected a",
        ),
        (
            "/rules",
            matching(&json!({"hosts": ["a_b", "a b"]})),
            "rules[0].match.hosts[1]: found \"a b\", expected a host",
        ),
        ("/rules", matching(&json!({"hosts": ["*.[::1]"]})), "rules[0].match.hosts[0]: found \"*.[::1]\", expected a"),
        ("/rules", matching(&json!({"hosts": ["[a b]"]})), "rules[0].match.hosts[0]: found \"[a b]\", expected a host"),
        (
            "/rules",
            matching(&json!({"hosts": ["http://a"]})),
            "rules[0].match.hosts[0]: found \"http://a\", expected a",
        ),
        (
            "/rules",
            matching(&json!({"methods": ["GET", "post"]})),
            "rules[0].match.methods[1]: found \"post\", expected a method such as \"GET\"",
        ),
        (
            "/rules",
            matching(&json!({"methods": [""]})),
            "rules[0].match.methods[0]: found \"\", expected a method such",
        ),
        (
            "/rules",
            matching(&json!({"methods": ["*"]})),
            "rules[0].match.methods[0]: found \"*\", expected a method such",
        ),
        (
            "/rules",
            matching(&json!({"route": ""})),
            "rules[0].match.route: found an empty text, expected 1 to 256 bytes without control characters",
        ),
        (
            "/rules",
            matching(&json!({"route": " "})),
            "rules[0].match.route: found an empty text, expected 1 to 256 bytes without control characters",
        ),
        (
            "/rules",
            json!([{"match": {"path": "/a"}, "action": "pass", "jwt": {"aud": "a"}}]),
            "rules[0].jwt: found it beside an action that issues no token, expected the action `issue`",
        ),
        (
            "/rules",
            json!([{"match": {"path": "/a"}, "action": "deny", "jwt": {}}]),
            "rules[0].jwt: found it beside an action that issues no token, expected the action `issue`",
        ),
        ("/rules", overriding(&json!("a")), "rules[0].jwt: found a string, expected an object"),
        (
            "/rules",
            overriding(&json!({"secret": TYPED_SECRET})),
            "rules[0].jwt.secret: unknown field, expected one of `iss`, `aud`, `exp`",
        ),
        (
            "/rules",
            overriding(&json!({"iss": ""})),
            "rules[0].jwt.iss: found an empty text, expected 1 to 256 bytes without control characters",
        ),
        (
            "/rules",
            overriding(&json!({"aud": ""})),
            "rules[0].jwt.aud: found an empty text, expected 1 to 256 bytes without control characters",
        ),
        ("/rules", overriding(&json!({"exp": 0})), "rules[0].jwt.exp: found 0, expected 1 to 315360000 seconds"),
        (
            "/rules",
            overriding(&json!({"exp": 315_360_001})),
            "rules[0].jwt.exp: found 315360001, expected 1 to 3153600",
        ),
        ("/rules", overriding(&json!({"exp": "1"})), "rules[0].jwt.exp: found \"1\", expected an integer"),
        (
            "",
            json!({
                "jwt": {"iss": "a", "exp": 3600, "secret_env": good}, "token": {"reuse": 300},
                "trust": [{"shared_secret": {"header": "x", "secret_env": "PROXY_SECRET"}}],
                "rules": overriding(&json!({"exp": 300})),
            }),
            "rules[0].jwt.exp: found 300, expected more seconds than token.reuse",
        ),
    ]
}

/// A `rules` of one rule.
fn matching(conditions: &Value) -> Value {
    json!([{"match": conditions, "action": "pass"}])
}

fn overriding(jwt: &Value) -> Value {
    json!([{"match": {"path": "/a"}, "jwt": jwt}])
}
