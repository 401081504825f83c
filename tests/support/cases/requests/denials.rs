//! No token, and why.

use auth_o_tron_envoy::rejection::Code;
use serde_json::{Value, json};

use super::super::{
    super::{PROOF, http::Lines},
    Expected, NAMES, PARTNER, Table, alice, lines, set, with, without,
};

/// A JSON list nested deeper than any stack.
fn nested_json() -> String {
    "[".repeat(3000)
}

/// Row: no identity header at all.
pub fn no_identity(table: &mut Table) {
    let proof_only = lines(&[("x-auth-proof", PROOF)]);
    table.denied("no header at all", "shipped", Lines::new(), Code::IdentityMissing);
    table.denied("a proof of nothing", "shipped", proof_only.clone(), Code::IdentityMissing);
    table.denied(
        "a token of the client's own",
        "shipped",
        lines(&[("authorization", "Bearer forged")]),
        Code::IdentityMissing,
    );
    table.passed("no header at all", "pass", Lines::new());
    table.passed(
        "the client's own token is removed",
        "pass",
        lines(&[("authorization", "Bearer forged"), ("x-other", "1")]),
    );
    table.passed("a proof of nothing is removed", "pass", proof_only);
    table.denied(
        "an identity is never passed unproven",
        "pass",
        without(alice(), "x-auth-proof"),
        Code::IdentityUntrusted,
    );
    table.denied(
        "an alias is an identity too",
        "pass",
        lines(&[("x_auth_username", "alice")]),
        Code::IdentityMalformed,
    );
}

/// Row: identity headers, but no trust entry proves them.
pub fn not_proven(table: &mut Table) {
    for (name, proof) in [
        ("a wrong proof", "wrong"),
        ("an empty proof", ""),
        ("a proof cut short", &PROOF[..PROOF.len() - 1]),
        ("a proof with more after it", &format!("{PROOF}!")),
        ("a proof in upper case", &PROOF.to_uppercase()),
        ("the proof of another gateway", PARTNER.1),
    ] {
        table.denied(name, "shipped", set(alice(), "x-auth-proof", proof), Code::IdentityUntrusted);
    }
    table.denied("no proof", "shipped", without(alice(), "x-auth-proof"), Code::IdentityUntrusted);
    table.denied(
        "a forged token beside it",
        "shipped",
        with(without(alice(), "x-auth-proof"), "authorization", "Bearer forged"),
        Code::IdentityUntrusted,
    );
    table.denied(
        "the proof in another header",
        "shipped",
        with(without(alice(), "x-auth-proof"), "x-proof", PROOF),
        Code::IdentityUntrusted,
    );
    for name in ["x-auth-username", "x-auth-realm", "x-auth-roles", "x-auth-scopes", "x-auth-attributes"] {
        table.denied(format!("{name} alone"), "shipped", lines(&[(name, "alice")]), Code::IdentityUntrusted);
    }
    let swapped = with(set(alice(), "x-auth-proof", PARTNER.1), PARTNER.0, PROOF);
    table.denied("each proof in the other's header", "rich", swapped, Code::IdentityUntrusted);
}

/// Row: duplicated, aliased, empty, over a limit, not to be parsed; and what `Connection` nominates.
#[allow(clippy::too_many_lines, reason = "it is a table")]
pub fn malformed(table: &mut Table) {
    let full = || with(with(with(alice(), "x-auth-roles", "r"), "x-auth-scopes", "s"), "x-auth-attributes", "{}");
    for name in
        ["x-auth-username", "x-auth-realm", "x-auth-roles", "x-auth-scopes", "x-auth-attributes", "x-auth-proof"]
    {
        let value = String::from_utf8(full().iter().find(|(own, _)| own == name).unwrap().1.clone()).unwrap();
        table.denied(format!("{name} twice, alike"), "shipped", with(full(), name, &value), Code::IdentityMalformed);
        table.denied(
            format!("{name} twice, another first"),
            "shipped",
            [lines(&[(name, "x")]), full()].concat(),
            Code::IdentityMalformed,
        );
        for alias in
            [name.replace('-', "_"), name.replace('-', "."), name.replacen('-', "_", 1), name.replace('-', "~")]
        {
            table.denied(
                format!("{alias} beside {name}"),
                "shipped",
                with(full(), &alias, &value),
                Code::IdentityMalformed,
            );
        }
        if name != "x-auth-proof" {
            let alias = name.replace('-', "_");
            table.denied(
                format!("{alias} instead of {name}"),
                "shipped",
                with(without(full(), name), &alias, &value),
                Code::IdentityMalformed,
            );
            table.denied(format!("{name} empty"), "shipped", set(full(), name, ""), Code::IdentityMalformed);
            table.denied(format!("{name} blank"), "shipped", set(full(), name, "  \u{a0}"), Code::IdentityMalformed);
        }
    }
    for name in ["x-auth-username", "x-auth-realm"] {
        table.denied(format!("{name} missing"), "shipped", without(alice(), name), Code::IdentityMalformed);
        table.denied(
            format!("{name} over 256 bytes"),
            "shipped",
            set(alice(), name, "a".repeat(257)),
            Code::IdentityMalformed,
        );
        let longest = "a".repeat(256);
        let claims = json!({name["x-auth-".len()..]: longest});
        table.issued(format!("{name} of 256 bytes"), "shipped", set(alice(), name, &longest), claims);
    }
    let many = |count: usize, separator: &str| vec!["r"; count].join(separator);
    for (name, gateway, header, value) in [
        ("a role over 256 bytes", "shipped", "x-auth-roles", "r".repeat(257)),
        ("257 roles", "shipped", "x-auth-roles", many(257, ",")),
        ("257 scopes", "shipped", "x-auth-scopes", many(257, " ")),
        ("an empty role", "shipped", "x-auth-roles", "a,,b".to_owned()),
        ("two spaces between scopes", "shipped", "x-auth-scopes", "a  b".to_owned()),
        ("attributes that are a list", "shipped", "x-auth-attributes", "[]".to_owned()),
        ("attributes with a number", "shipped", "x-auth-attributes", r#"{"a":1}"#.to_owned()),
        ("an attribute twice", "shipped", "x-auth-attributes", r#"{"a":"1","a":"2"}"#.to_owned()),
        ("an attribute over 2048 bytes", "shipped", "x-auth-attributes", format!(r#"{{"a":"{}"}}"#, "v".repeat(2049))),
        ("attributes cut short", "shipped", "x-auth-attributes", r#"{"a":"1"#.to_owned()),
        ("roles that are no JSON", "rich", "x-auth-roles", "admin".to_owned()),
        ("roles that are a JSON object", "rich", "x-auth-roles", r#"{"a":["b"]}"#.to_owned()),
        ("roles with a number", "rich", "x-auth-roles", r#"["a",1]"#.to_owned()),
        ("no role where one is required", "rich", "x-auth-roles", "[]".to_owned()),
        ("a token over token.max_bytes", "rich", "x-auth-email", "e".repeat(900)),
        ("scopes that are no base64", "lists", "x-auth-scopes", "!".to_owned()),
        ("scopes that are a JSON object in list form", "lists", "x-auth-scopes", "eyJhIjpbImIiXX0=".to_owned()),
        ("an empty role between pipes", "pipe", "x-auth-roles", "a||b".to_owned()),
    ] {
        let headers = if gateway == "rich" { with(alice(), "x-auth-roles", r#"["r"]"#) } else { alice() };
        table.denied(name, gateway, set(headers, header, value), Code::IdentityMalformed);
    }
    table.denied("a required header missing", "rich", alice(), Code::IdentityMalformed);
    let twice = with(with(alice(), "x-auth-roles", r#"["r"]"#), "x-auth-attributes", r#"{"email":"a"}"#);
    table.denied("an attribute from two headers", "rich", with(twice, "x-auth-email", "b"), Code::IdentityMalformed);
    // 6 KiB of roles and 2 KiB of scopes are each within their own limits.
    let roles = vec!["r".repeat(255); 24].join("|");
    let room = 8192 - "alice".len() - "internal".len() - roles.len();
    let scopes = |bytes: usize| vec!["s".repeat(255); 7].join(",") + "," + &"s".repeat(bytes - 7 * 256);
    let together = |bytes: usize| with(with(alice(), "x-auth-roles", &roles), "x-auth-scopes", scopes(bytes));
    let split = |value: &str, by| json!(value.split(by).collect::<Vec<_>>());
    let claims = json!({"roles": split(&roles, '|'), "scopes": split(&scopes(room), ',')});
    table.issued("8192 bytes of identity together", "pipe", together(room), claims);
    table.denied("8193 bytes of identity together", "pipe", together(room + 1), Code::IdentityMalformed);

    let upgrade =
        |nominated: &str| lines(&[("connection", &format!("upgrade, {nominated}")), ("upgrade", "websocket")]);
    table.denied(
        "Connection nominates the username",
        "shipped",
        [alice(), lines(&[("connection", "x-auth-username")])].concat(),
        Code::IdentityMalformed,
    );
    table.issued(
        "Connection nominates roles: Envoy drops them unseen",
        "shipped",
        [with(alice(), "x-auth-roles", "r"), lines(&[("connection", "x-auth-roles")])].concat(),
        json!({"roles": []}),
    );
    table.denied(
        "an upgrade whose Connection nominates roles",
        "shipped",
        [alice(), upgrade("x-auth-roles")].concat(),
        Code::IdentityMalformed,
    );
}

/// Upgrades are requests like any other; trailers lose our names.
pub fn upgrades_and_trailers(table: &mut Table) {
    let websocket = || lines(&[("connection", "upgrade"), ("upgrade", "websocket")]);
    table.issued("a WebSocket", "shipped", [alice(), websocket()].concat(), json!({"username": "alice"}));
    table.denied(
        "a WebSocket without proof",
        "shipped",
        without([alice(), websocket()].concat(), "x-auth-proof"),
        Code::IdentityUntrusted,
    );
    table.issued("CONNECT", "shipped", alice(), json!({"username": "alice"})).method = "CONNECT".into();
    table
        .denied("CONNECT without proof", "shipped", without(alice(), "x-auth-proof"), Code::IdentityUntrusted)
        .method = "CONNECT".into();
    table.denied("OPTIONS without identity", "shipped", Lines::new(), Code::IdentityMissing).method = "OPTIONS".into();
    let trailers = || {
        let ours = [("x-auth-username", "root"), ("x_auth_roles", "admin"), ("x-auth-proof", PROOF)];
        [lines(&ours), lines(&[("authorization", "Bearer forged"), ("x-other", "1")])].concat()
    };
    table.issued("trailers of ours", "shipped", alice(), json!({"username": "alice"})).trailers = trailers();
    table.passed("trailers of ours without an identity", "pass", Lines::new()).trailers = trailers();
    let forwarded =
        table.issued("trailers of ours, identity forwarded", "forward", alice(), json!({"username": "alice"}));
    forwarded.trailers = trailers();
}

/// Bytes that break parsers. A foreign header may hold what it likes; ours is refused; nothing panics.
pub fn hostile_bytes(table: &mut Table) {
    let overlong_slash = &b"a\xc0\xaf"[..];
    let surrogate = &b"a\xed\xa0\x80"[..];
    let ours = ["x-auth-username", "x-auth-realm", "x-auth-roles", "x-auth-scopes", "x-auth-attributes"];
    for name in ours {
        for (what, value) in [
            ("\\xff", &b"a\xff"[..]),
            ("an overlong slash", overlong_slash),
            ("a surrogate", surrogate),
            ("a TAB", b"a\tb"),
            ("a C1 control", "a\u{85}b".as_bytes()),
        ] {
            table.denied(format!("{what} in {name}"), "shipped", set(alice(), name, value), Code::IdentityMalformed);
        }
        for (what, byte) in [("NUL", 0), ("DEL", 0x7f), ("\\x01", 1)] {
            let value = [b'a', byte, b'b'];
            table.add(format!("{what} in {name}"), "shipped", set(alice(), name, value), Expected::RefusedWith(400));
        }
        table.denied(
            format!("20 000 bytes in {name}"),
            "shipped",
            set(alice(), name, "a".repeat(20_000)),
            Code::IdentityMalformed,
        );
        table.denied(
            format!("6 000 items in {name}"),
            "shipped",
            set(alice(), name, vec!["r"; 6000].join(",")),
            Code::IdentityMalformed,
        );
    }
    table.denied("\\xff in the proof", "shipped", set(alice(), "x-auth-proof", b"\xff"), Code::IdentityUntrusted);
    table.denied(
        "20 000 bytes of proof",
        "shipped",
        set(alice(), "x-auth-proof", "a".repeat(20_000)),
        Code::IdentityUntrusted,
    );
    table.issued("\\xff in the client's token", "shipped", with(alice(), "authorization", b"Bearer \xff"), json!({}));
    for name in ["x-other", "cookie", "user-agent", "x-request-id", "x-forwarded-for", "accept"] {
        table.issued(
            format!("\\xff in {name}"),
            "shipped",
            with(alice(), name, b"a\xff"),
            json!({"username": "alice"}),
        );
        table.denied(
            format!("\\xff in {name}, unproven"),
            "shipped",
            with(without(alice(), "x-auth-proof"), name, b"a\xff"),
            Code::IdentityUntrusted,
        );
    }
    table.issued(
        "20 000 bytes in a foreign header",
        "shipped",
        with(alice(), "x-other", "a".repeat(20_000)),
        json!({}),
    );
    table.add("\\xff in a header name", "shipped", with(alice(), "x-\u{ff}", "a"), Expected::RefusedWith(400));
    table.add(
        "a space in a header name",
        "shipped",
        with(alice(), "x-auth-username ", "a"),
        Expected::RefusedWith(400),
    );
    for header in ["x-auth-roles", "x-auth-scopes", "x-auth-attributes"] {
        table.denied(
            format!("{header} of 3 000 nested lists"),
            "rich",
            set(with(alice(), "x-auth-roles", r#"["r"]"#), header, nested_json()),
            Code::IdentityMalformed,
        );
        let objects = r#"{"a":"#.repeat(1000);
        table.denied(
            format!("{header} of 1 000 nested objects"),
            "rich",
            set(with(alice(), "x-auth-roles", r#"["r"]"#), header, objects),
            Code::IdentityMalformed,
        );
    }
}
