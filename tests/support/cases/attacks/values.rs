//! Values that break parsers, read as more than they are, or are over a limit.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{EXPIRED, MALFORMED, ROLES, UNTRUSTED, WRONG_REALM, honest, issued_to, proven};
use crate::support::{
    cases::{
        Expected::{Refused, RefusedWith},
        NAMES, Table, now, set, with, without,
    },
    http::Lines,
};

/// Values that break parsers, or that read as more than they are.
pub fn values(t: &mut Table) {
    let user = |value: &str| set(proven(), "x-auth-username", value);
    for name in NAMES {
        for (what, value) in [
            ("nothing", &b""[..]),
            ("spaces", b"   "),
            ("a no-break space", "\u{a0}".as_bytes()),
            ("\\xff", b"a\xff"),
            ("an overlong slash", b"a\xc0\xaf"),
            ("a surrogate", b"a\xed\xa0\x80"),
            ("a TAB", b"a\tb"),
            ("a C1 control", "a\u{85}b".as_bytes()),
            ("20 000 bytes", "a".repeat(20_000).as_bytes()),
            ("6 000 items", vec!["r"; 6000].join(",").as_bytes()),
        ] {
            t.get(&format!("{what} in {name}"), "shipped", set(proven(), name, value), MALFORMED);
        }
        for (what, byte) in [("a NUL", 0), ("a DEL", 0x7f), ("a \\x01", 1)] {
            let (what, headers) = (format!("{what} in {name}"), set(proven(), name, [b'a', byte, b'b']));
            t.h1(&what, "shipped", "GET /", headers.clone(), RefusedWith(400));
            t.h2(&what, "shipped", "GET /", headers, Refused);
        }
        t.h2(&format!("a bare CR in {name}"), "shipped", "GET /", set(proven(), name, b"a\rb"), Refused);
    }
    let commas = [("leading", ",admin"), ("trailing", "admin,"), ("double", "a,,b"), ("lone", ","), ("blank", "a, ,b")];
    for (what, value) in commas {
        t.get(&format!("a {what} comma in the roles"), "shipped", set(proven(), "x-auth-roles", value), MALFORMED);
    }
    // One name with a comma in it, neither the one nor the other.
    t.get("a comma in the username", "shipped", user("alice,root"), issued_to("alice,root", ROLES));
    for (what, json) in [
        ("an attribute twice", r#"{"a":"1","a":"2"}"#),
        ("attributes nested deeply", &r#"{"a":"#.repeat(1000)),
        ("a control by escape in attributes", r#"{"a":"\u0000"}"#),
    ] {
        t.get(what, "shipped", with(proven(), "x-auth-attributes", json), MALFORMED);
    }
    t.get("100 000 bytes of headers", "shipped", with(proven(), "x-auth-username", "a".repeat(100_000)), Refused);
    // A header name by way of a value. HTTP/1 parsers see one more line, which is a duplicate.
    for (what, value) in [("CR LF", "alice\r\nx-auth-username: root"), ("LF", "alice\nx-auth-username: root")] {
        let again = format!("{what} and the username again");
        t.h1(&again, "shipped", "GET /", user(value), MALFORMED);
        t.h2(&again, "shipped", "GET /", user(value), Refused);
        t.h2(
            &format!("{what} by way of a foreign header"),
            "shipped",
            "GET /",
            with(proven(), "x-other", value),
            Refused,
        );
    }
    t.h2(
        "CR LF in a header name",
        "shipped",
        "GET /",
        with(proven(), "x-other: a\r\nx-auth-username", "root"),
        Refused,
    );
    // Envoy itself unfolds the one and drops the other, before any filter and for every reader.
    t.h1("a folded line", "shipped", "GET /", user("alice\r\n root"), issued_to("alice root", ROLES));
    t.h1("a bare CR", "shipped", "GET /", user("alice\rroot"), issued_to("aliceroot", ROLES));
    t.h1("a folded line by TAB", "shipped", "GET /", user("alice\r\n\troot"), MALFORMED);
    t.h2("\\xff in a foreign header", "shipped", "GET /", with(proven(), "x-other", b"\xff"), honest());
    let after_a_space = with(proven(), "x-auth-username ", "root");
    t.h1("a space after the name", "shipped", "GET /", after_a_space.clone(), RefusedWith(400));
    t.h2("a space after the name", "shipped", "GET /", after_a_space, Refused);
    t.get("a TAB after the name", "shipped", with(proven(), "x-auth-username\t", "root"), Refused);
    t.get("a NUL after the name", "shipped", with(proven(), "x-auth-username\0", "root"), Refused);
    t.get("an empty name", "shipped", with(proven(), "", "root"), Refused);
}

/// What is over a limit is refused, never cut. Each is just over one limit, and within all others.
pub fn limits(t: &mut Table) {
    let attributes = |json: &Value| with(proven(), "x-auth-attributes", json.to_string());
    let many: BTreeMap<_, _> = (0..65).map(|n| (n.to_string(), "v")).collect();
    let long: BTreeMap<_, _> = (0..4).map(|n| (n.to_string(), "v".repeat(2000))).collect();
    for (name, headers) in [
        ("257 bytes of username", set(proven(), "x-auth-username", "a".repeat(257))),
        ("257 bytes of realm", set(proven(), "x-auth-realm", "a".repeat(257))),
        ("257 roles", set(proven(), "x-auth-roles", vec!["r"; 257].join(","))),
        ("257 scopes", with(proven(), "x-auth-scopes", vec!["s"; 257].join(" "))),
        ("257 bytes of a role", set(proven(), "x-auth-roles", "r".repeat(257))),
        ("257 bytes of a scope", with(proven(), "x-auth-scopes", "s".repeat(257))),
        ("65 attributes", attributes(&json!(many))),
        ("129 bytes of an attribute's key", attributes(&json!({"k".repeat(129): "v"}))),
        ("2049 bytes of an attribute", attributes(&json!({"k": "v".repeat(2049)}))),
        // Blanks of JSON, of which the token would show nothing.
        ("8 KiB of headers together", with(proven(), "x-auth-attributes", format!("{{{}}}", " ".repeat(8180)))),
        ("8 KiB of token", attributes(&json!(long))),
    ] {
        t.get(name, "shipped", headers, MALFORMED);
    }
}

/// What a proven party may not say all the same.
pub fn claims(t: &mut Table) {
    let attributes = |json: &str| with(proven(), "x-auth-attributes", json);
    for (json, expected) in [
        (r#"{"admin":true}"#, MALFORMED),
        (r#"{"uid":0}"#, MALFORMED),
        (r#"{"groups":["admin"]}"#, MALFORMED),
        (r#"{"":"admin"}"#, MALFORMED),
        (r#"{"exp":"1"}"#, EXPIRED),
        (r#"{"exp":"-1"}"#, EXPIRED),
        (r#"{"exp":""}"#, MALFORMED),
        (r#"{"exp":"never"}"#, MALFORMED),
        (r#"{"exp":"1e99"}"#, MALFORMED),
        (r#"{"exp":"99999999999999999999"}"#, MALFORMED),
    ] {
        t.get(&format!("the attributes {json}"), "shipped", attributes(json), expected);
    }
    let mut strict = |name: &str, headers: Lines, expected| t.get(name, "strict", headers, expected);
    let realm = |realm: &str| set(proven(), "x-auth-realm", realm);
    strict("a realm in other letter case", realm("Internal"), WRONG_REALM);
    strict("none of the roles that are required", without(proven(), "x-auth-roles"), MALFORMED);
    strict("a TAB where no claim is read from", with(proven(), "x-auth-tenant", "a\tb"), MALFORMED);
    let twice = with(attributes(r#"{"email":"root@example.com"}"#), "x-auth-email", "alice@example.com");
    strict("an attribute of two headers", twice, MALFORMED);
}
