//! The message itself: its token, framing, target, protocol, trailers and pseudo-headers.

use std::collections::BTreeSet;

use serde_json::json;

use super::{MALFORMED, MISSING, ROLES, UNTRUSTED, alice, forging, honest, proven, signatures::signed};
use crate::support::{
    PROOF,
    cases::{
        Expected::{Passed, Refused, RefusedSince},
        NAMES, Table, before, lines, with,
    },
    http::Lines,
};

/// The pseudo-headers of `GET http://test/`.
const HTTP2_GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "test")];

/// The same, with another value for one of them.
pub fn but(name: &str, value: &'static str) -> [(&'static str, &'static str); 4] {
    HTTP2_GET.map(|(own, old)| (own, if own == name { value } else { old }))
}

/// Tokens of a client's own never arrive.
pub fn token_header(t: &mut Table) {
    let none = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJpbnRlcm5hbC1yb290In0.";
    let none_in_capitals = "Bearer eyJhbGciOiJOT05FIn0.eyJzdWIiOiJpbnRlcm5hbC1yb290In0.";
    let name = "authorization";
    for (what, value) in [
        ("a token with alg none", none),
        ("a token with alg NONE", none_in_capitals),
        ("a password", "Basic cm9vdDpyb290"),
        ("an empty token", ""),
        ("half a bearer", "Bearer"),
    ] {
        for gateway in ["shipped", "forward"] {
            t.get(&format!("{what} after a proof"), gateway, with(proven(), name, value), honest());
            t.get(&format!("{what} before a proof"), gateway, before(proven(), name, value), honest());
        }
        t.get(what, "pass", lines(&[(name, value)]), Passed);
        t.get(what, "shipped", lines(&[(name, value)]), MISSING);
        t.get(&format!("{what} and an identity"), "shipped", with(alice(), name, value), UNTRUSTED);
    }
    t.get("two tokens", "shipped", with(before(proven(), name, none), name, none), honest());
    t.get("two tokens", "pass", lines(&[(name, none), (name, none)]), Passed);
    t.h1("a token in upper case", "shipped", "GET /", with(proven(), "AUTHORIZATION", none), honest());
    t.h2("a token in upper case", "shipped", "GET /", with(proven(), "AUTHORIZATION", none), Refused);
    t.get("a proof of nothing", "pass", lines(&[("x-auth-proof", PROOF)]), Passed);
    t.get("two proofs of nothing", "pass", lines(&[("x-auth-proof", PROOF), ("x_auth_proof", "x")]), Passed);
}

/// Request smuggling: whatever is behind the request must not be taken for another one.
pub fn framing(t: &mut Table) {
    const INNER: &str =
        "0\r\n\r\nGET / HTTP/1.1\r\nhost: test\r\nx-case: smuggled\r\nauthorization: Bearer forged\r\n\r\n";
    for (what, fields) in [
        ("two lengths", &[("content-length", "5"), ("content-length", "6")][..]),
        ("a list of lengths", &[("content-length", "5, 6")]),
        ("a signed length", &[("content-length", "+5")]),
        ("a negative length", &[("content-length", "-5")]),
        ("a length beyond 64 bits", &[("content-length", "18446744073709551621")]),
        ("a length, then chunks", &[("content-length", "5"), ("transfer-encoding", "chunked")]),
        ("chunks, then a length", &[("transfer-encoding", "chunked"), ("content-length", "5")]),
        ("chunks in other words", &[("transfer-encoding", "xchunked")]),
        ("chunks that are not last", &[("transfer-encoding", "chunked, identity")]),
        ("chunks and a length under an alias", &[("transfer-encoding", "chunked"), ("content-length ", "5")]),
    ] {
        t.h1(what, "shipped", "POST /", [proven(), lines(fields)].concat(), Refused).body = INNER;
        t.h1(what, "pass", "POST /", lines(fields), Refused).body = INNER;
    }
    t.h1("a request behind a denied one", "shipped", "GET /", alice(), UNTRUSTED).body =
        "GET / HTTP/1.1\r\nhost: test\r\nx-case: smuggled\r\nx-auth-username: root\r\n\r\n";
    let chunked = || with(alice(), "transfer-encoding", "chunked");
    let sized = |headers| with(headers, "content-length", INNER.len().to_string());
    for (what, headers, expected) in [
        ("behind the chunks of a denied one", chunked(), UNTRUSTED),
        ("inside the body of a denied one", sized(alice()), UNTRUSTED),
        ("inside the body of a proven one", sized(proven()), honest()),
    ] {
        t.h1(&format!("a request {what}"), "shipped", "POST /", headers, expected).body = INNER;
    }
    t.h1("a chunk of no size", "shipped", "POST /", chunked(), UNTRUSTED).body = "zz\r\n";
    for (what, fields) in [
        ("two lengths", &[("content-length", "0"), ("content-length", "6")][..]),
        ("a length of what is not there", &[("content-length", "60")]),
        ("chunks", &[("transfer-encoding", "chunked")]),
        ("an upgrade by header", &[("connection", "upgrade"), ("upgrade", "websocket")]),
        ("keep-alive", &[("keep-alive", "1")]),
    ] {
        t.h2(what, "shipped", "GET /", [proven(), lines(fields)].concat(), Refused);
    }
}

/// No target and no method makes an identity proven.
pub fn targets(t: &mut Table) {
    let healthz = ["/a/../healthz", "/%2fhealthz", "/healthz;a=b", "/\\healthz"];
    for target in [&["//", "/../", "/./", "/%2e%2e/", "/;x", "/%5c", "/%00", "/?", "/%ff", "*"][..], &healthz].concat()
    {
        let line = format!("GET {target}");
        let (unproven, signed_for_root) = match target {
            "*" => (Refused, Refused),
            // An empty query is none.
            "/?" => (UNTRUSTED, honest()),
            _ => (UNTRUSTED, UNTRUSTED),
        };
        t.both(&format!("{target} without proof"), "pass", &line, alice(), unproven);
        t.both(&format!("{target} by a signature of /"), "signature", &line, signed(), signed_for_root);
    }
    t.h1("an absolute target without proof", "shipped", "GET http://test/", alice(), UNTRUSTED);
    t.h1("an absolute target at another host", "signature", "GET http://elsewhere/", signed(), UNTRUSTED);
    t.h1("an absolute target of another scheme", "signature", "GET https://test/", signed(), Refused);
    // Envoy drops the user, so that neither the filter nor the service sees one.
    t.h1("an absolute target with a user", "signature", "GET http://root@test/", signed(), honest());
    t.h1("OPTIONS * without proof", "shipped", "OPTIONS *", alice(), Refused);
    // Of HTTP/1 Envoy refuses both. A filter must not take the one for the other, nor be asked less of by the second.
    for (what, gateway, line, headers) in [
        ("a method in lower case", "signature", "get /", signed()),
        ("a method that nobody knows", "shipped", "ROOT /", alice()),
    ] {
        t.h1(what, gateway, line, headers.clone(), Refused);
        t.h2(what, gateway, line, headers, UNTRUSTED);
    }
}

pub fn upgrades_and_trailers(t: &mut Table) {
    let websocket = |headers| [headers, lines(&[("connection", "upgrade"), ("upgrade", "websocket")])].concat();
    t.h1("a WebSocket without proof", "shipped", "GET /", websocket(alice()), UNTRUSTED);
    t.h1("a WebSocket with a forged token", "shipped", "GET /", websocket(forging(proven())), honest());
    t.h1("a WebSocket with a forged token", "pass", "GET /", websocket(forging(Lines::new())), Passed);
    let h2c = [("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")];
    t.h1("an upgrade to h2c without proof", "shipped", "GET /", [alice(), lines(&h2c)].concat(), UNTRUSTED);
    t.both("CONNECT without proof", "shipped", "CONNECT test:80", alice(), UNTRUSTED);
    t.both("CONNECT with a forged token", "shipped", "CONNECT test:80", forging(proven()), honest());
    t.both("CONNECT by a signature of GET", "signature", "CONNECT test:80", signed(), UNTRUSTED);
    let extended = &[&[(":method", "CONNECT"), (":protocol", "websocket")], &HTTP2_GET[1..]].concat();
    t.pseudo("an extended CONNECT without proof", extended, alice(), UNTRUSTED);
    t.pseudo("an extended CONNECT with a duplicate", extended, with(proven(), "x-auth-username", "root"), MALFORMED);
    t.pseudo("an extended CONNECT with a forged token", extended, forging(proven()), honest());
    for name in [&NAMES[..], &["x-auth-proof", "authorization"]].concat() {
        for spelling in BTreeSet::from([name.to_owned(), name.replace('-', "_"), name.replace('-', ".")]) {
            let trailer = with(Lines::new(), &spelling, "root");
            t.trailers(&format!("{spelling} in the trailers"), "forward", proven(), &trailer, honest());
            t.trailers(&format!("{spelling} in the trailers"), "pass", Lines::new(), &trailer, Passed);
        }
    }
    t.trailers("the identity in the trailers alone", "shipped", Lines::new(), &proven(), MISSING);
    t.trailers("the proof in the trailers", "shipped", alice(), &lines(&[("x-auth-proof", PROOF)]), UNTRUSTED);
    t.trailers("\\xff in the trailers", "shipped", proven(), &with(Lines::new(), "x-auth-username", b"\xff"), honest());
    t.h2("a pseudo-header in the trailers", "shipped", "POST /", alice(), Refused).trailers = lines(&[(":path", "/")]);
}

pub fn pseudo_headers(t: &mut Table) {
    let get = HTTP2_GET;
    let and = |name, value| [&get[..], &[(name, value)]].concat();
    for (name, value) in [(":path", "/admin"), (":method", "POST"), (":authority", "evil"), (":scheme", "https")] {
        t.pseudo(&format!("two {name}"), &and(name, value), proven(), Refused);
    }
    t.pseudo("a pseudo-header of our name", &and(":x-auth-username", "root"), proven(), Refused);
    t.pseudo("the status of a reply", &and(":status", "200"), proven(), Refused);
    t.pseudo("no path", &[get[0], get[1], get[3]], proven(), Refused);
    t.pseudo("no method", &get[1..], proven(), Refused);
    for (what, name, value) in [
        ("an empty path", ":path", ""),
        ("a path that holds a request line", ":path", "/ HTTP/1.1\r\nx-auth-username: root\r\n"),
        ("a method that holds a request line", ":method", "GET / HTTP/1.1\r\nx: y"),
        ("an authority that holds a line", ":authority", "test\r\nx-auth-username: root"),
    ] {
        t.pseudo(what, &but(name, value), proven(), Refused);
    }
    t.pseudo("no pseudo-header", &[], proven(), Refused);
    // RFC 9113, section 8.3.
    let late = RefusedSince((1, 37), json!({"roles": ROLES}));
    t.pseudo("a pseudo-header after the headers", &get[..3], with(proven(), ":authority", "test"), late);
}
