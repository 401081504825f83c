//! No token, and what may be as it likes all the same. What somebody could send on purpose is in `attacks`.

use auth_o_tron_envoy::rejection::Code;
use serde_json::json;

use crate::support::{
    PROOF,
    cases::{Expected, Table, alice, lines, set, with, without},
    http::Lines,
};

/// Row: no identity header at all.
pub fn no_identity(table: &mut Table) {
    table.denied("no header at all", "shipped", Lines::new(), Code::IdentityMissing);
    table.denied("a proof of nothing", "shipped", lines(&[("x-auth-proof", PROOF)]), Code::IdentityMissing);
    table.passed("no header at all", "pass", Lines::new());
}

/// Row: missing, over a limit, not to be parsed.
pub fn malformed(table: &mut Table) {
    for name in ["x-auth-username", "x-auth-realm"] {
        table.denied(format!("{name} missing"), "shipped", without(alice(), name), Code::IdentityMalformed);
        let longest = "a".repeat(256);
        let claims = json!({name["x-auth-".len()..]: longest});
        table.issued(format!("{name} of 256 bytes"), "shipped", set(alice(), name, &longest), claims);
    }
    for (name, gateway, header, value) in [
        ("two spaces between scopes", "shipped", "x-auth-scopes", "a  b"),
        ("attributes that are a list", "shipped", "x-auth-attributes", "[]"),
        ("attributes cut short", "shipped", "x-auth-attributes", r#"{"a":"1"#),
        ("roles that are no JSON", "rich", "x-auth-roles", "admin"),
        ("roles that are a JSON object", "rich", "x-auth-roles", r#"{"a":["b"]}"#),
        ("roles with a number", "rich", "x-auth-roles", r#"["a",1]"#),
        ("no role where one is required", "rich", "x-auth-roles", "[]"),
        ("a token over token.max_bytes", "rich", "x-auth-email", &"e".repeat(900)),
        ("scopes that are no base64", "lists", "x-auth-scopes", "!"),
        ("scopes that are a JSON object in list form", "lists", "x-auth-scopes", "eyJhIjpbImIiXX0="),
        ("an empty role between pipes", "pipe", "x-auth-roles", "a||b"),
    ] {
        let headers = if gateway == "rich" { with(alice(), "x-auth-roles", r#"["r"]"#) } else { alice() };
        table.denied(name, gateway, set(headers, header, value), Code::IdentityMalformed);
    }
    for header in ["x-auth-roles", "x-auth-scopes", "x-auth-attributes"] {
        let headers = |value| set(with(alice(), "x-auth-roles", r#"["r"]"#), header, value);
        for (what, value) in
            [("3 000 nested lists", "[".repeat(3000)), ("1 000 nested objects", r#"{"a":"#.repeat(1000))]
        {
            table.denied(format!("{header} of {what}"), "rich", headers(value), Code::IdentityMalformed);
        }
    }
    // 6 KiB of roles and 2 KiB of scopes are each within their own limits.
    let roles = vec!["r".repeat(255); 24].join("|");
    let room = 8192 - "alice".len() - "internal".len() - roles.len();
    let scopes = |bytes: usize| vec!["s".repeat(255); 7].join(",") + "," + &"s".repeat(bytes - 7 * 256);
    let together = |bytes: usize| with(with(alice(), "x-auth-roles", &roles), "x-auth-scopes", scopes(bytes));
    let split = |value: &str, by| json!(value.split(by).collect::<Vec<_>>());
    let claims = json!({"roles": split(&roles, '|'), "scopes": split(&scopes(room), ',')});
    table.issued("8192 bytes of identity together", "pipe", together(room), claims);
    table.denied("8193 bytes of identity together", "pipe", together(room + 1), Code::IdentityMalformed);
}

/// Upgrades are requests like any other. Of trailers, only our names are lost.
pub fn upgrades_and_trailers(table: &mut Table) {
    let websocket = lines(&[("connection", "upgrade"), ("upgrade", "websocket")]);
    table.issued("a WebSocket", "shipped", [alice(), websocket].concat(), json!({}));
    table.issued("CONNECT", "shipped", alice(), json!({})).method = "CONNECT".into();
    let ours = [("x-auth-username", "root"), ("x_auth_roles", "admin"), ("x-auth-proof", PROOF)];
    let beside = [("authorization", "Bearer forged"), ("x-other", "1")];
    let trailers = table.issued("trailers of ours", "shipped", alice(), json!({}));
    trailers.trailers = [lines(&ours), lines(&beside)].concat();
}

/// A foreign header may hold what it likes.
pub fn foreign_headers(table: &mut Table) {
    table.issued("\\xff in the client's token", "shipped", with(alice(), "authorization", b"Bearer \xff"), json!({}));
    for name in ["x-other", "cookie", "user-agent", "x-request-id", "x-forwarded-for", "accept"] {
        let headers = with(alice(), name, b"a\xff");
        let unproven = without(headers.clone(), "x-auth-proof");
        table.issued(format!("\\xff in {name}"), "shipped", headers, json!({}));
        table.denied(format!("\\xff in {name}, unproven"), "shipped", unproven, Code::IdentityUntrusted);
    }
    let long = with(alice(), "x-other", "a".repeat(20_000));
    table.issued("20 000 bytes in a foreign header", "shipped", long, json!({}));
    table.add("\\xff in a header name", "shipped", with(alice(), "x-\u{ff}", "a"), Expected::RefusedWith(400));
}
