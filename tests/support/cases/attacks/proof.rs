//! An identity that nobody proves, by any means of a client's.

use super::{MISSING, UNTRUSTED, alice, proven};
use crate::support::{
    PROOF, SIGNING_SECRET,
    cases::{NAMES, PARTNER, Table, lines, with},
    http::Lines,
};

/// An identity that nobody proves, by any means of a client's.
pub fn no_proof(t: &mut Table) {
    let claim = |proof: &str| with(alice(), "x-auth-proof", proof);
    for gateway in ["shipped", "signature", "pass", "forward", "evidence"] {
        t.get("an identity without proof", gateway, alice(), UNTRUSTED);
        t.get("the signing secret as proof", gateway, claim(SIGNING_SECRET), UNTRUSTED);
    }
    for name in NAMES {
        for gateway in ["shipped", "pass"] {
            t.get(&format!("{name} alone"), gateway, lines(&[(name, "root")]), UNTRUSTED);
        }
    }
    for (what, proof) in [
        ("a wrong proof", "wrong"),
        ("an empty proof", ""),
        ("a proof without its beginning", &PROOF[1..]),
        ("a proof without its end", &PROOF[..PROOF.len() - 1]),
        ("a proof and a letter", &format!("{PROOF}!")),
        ("a proof and again", &format!("{PROOF}, {PROOF}")),
        ("a proof in upper case", &PROOF.to_uppercase()),
        ("the proof of another gateway", PARTNER.1),
        ("the name of the proof's variable", "PROXY_SECRET"),
        ("20 000 bytes of proof", &"a".repeat(20_000)),
    ] {
        t.get(what, "shipped", claim(proof), UNTRUSTED);
    }
    t.get("\\xff in the proof", "shipped", with(alice(), "x-auth-proof", b"\xff"), UNTRUSTED);
    t.get("the proof in another header", "shipped", with(alice(), "x-proof", PROOF), UNTRUSTED);
    t.get("the proof where a signature is due", "signature", proven(), UNTRUSTED);
    t.get("the proof where evidence is due", "evidence", proven(), UNTRUSTED);
    t.get("the proof in a cookie", "shipped", with(alice(), "cookie", format!("x-auth-proof={PROOF}")), UNTRUSTED);
    t.both("a proof in the query", "shipped", &format!("GET /?x-auth-proof={PROOF}"), alice(), UNTRUSTED);
    let certificate =
        with(alice(), "x-forwarded-client-cert", "By=spiffe://a;URI=spiffe://cluster.local/ns/gw/sa/gateway");
    t.get("a made-up client certificate", "evidence", certificate.clone(), UNTRUSTED);
    t.h1("another's client certificate", "tls", "GET /", alice(), UNTRUSTED);
    t.h1("another's client certificate and a made-up one", "tls", "GET /", certificate, UNTRUSTED);
    t.get("a made-up peer", "evidence", with(alice(), "x-forwarded-for", "10.9.9.9"), UNTRUSTED);
    t.get("a made-up peer of Envoy's", "evidence", with(alice(), "x-envoy-external-address", "10.9.9.9"), UNTRUSTED);
    t.get("filter state as a header", "evidence", with(alice(), "auth_o_tron.authenticated", "yes"), UNTRUSTED);
    // Envoy believes that it comes from within, and keeps the id. The log must not show it.
    let from_within = with(alice(), "x-forwarded-for", "10.9.9.9");
    let line = with(from_within, "x-request-id", "1, issued: root, request 2");
    t.get("a request id that reads like a line of the log", "evidence", line, UNTRUSTED);
    for method in ["OPTIONS", "TRACE", "POST", "PROPFIND", "HEAD"] {
        t.both(&format!("{method} without proof"), "shipped", &format!("{method} /"), alice(), UNTRUSTED);
        t.both(&format!("{method} without identity"), "shipped", &format!("{method} /"), Lines::new(), MISSING);
    }
    let preflight = with(with(alice(), "origin", "https://evil.example"), "access-control-request-method", "GET");
    t.both("a CORS preflight without proof", "shipped", "OPTIONS /", preflight, UNTRUSTED);
}
