//! `trust[].signature`, as Envoy hands it over.

use auth_o_tron_envoy::rejection::Code;
use serde_json::json;

use super::super::{
    super::{SIGNING_SECRET, http::Lines, token::signature_fields},
    Table, alice, now, set, with, without,
};

/// The signature base of a request of alice's to the `signed` gateway, written by hand.
pub const LINES: &[&str] = &[
    r#""@method": GET"#,
    r#""@authority": test"#,
    r#""@path": /"#,
    r#""x-auth-username": alice"#,
    r#""x-auth-realm": internal"#,
];

/// Alice's request, signed by the gateway.
pub fn signed(base: &[&str], created: u64) -> Lines {
    let params = format!(r#";created={created};keyid="gw-1""#);
    let fields = signature_fields("gw", base, &params, SIGNING_SECRET);
    let fields = fields.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    [without(alice(), "x-auth-proof"), fields].concat()
}

/// `trust[].signature`: `tests/signature.rs` has every way to fail, this is how Envoy hands it over.
pub fn signatures(table: &mut Table) {
    let good = || signed(LINES, now());
    table.issued("what another implementation signs", "signed", good(), json!({"sub": "internal-alice"}));
    table.denied("no signature", "signed", without(good(), "signature"), Code::IdentityUntrusted);
    table.denied("no signature-input", "signed", without(good(), "signature-input"), Code::IdentityUntrusted);
    table.denied("an hour too old", "signed", signed(LINES, now() - 7200), Code::IdentityUntrusted);
    table.denied("an hour ahead", "signed", signed(LINES, now() + 3600), Code::IdentityUntrusted);
    let changed = set(good(), "x-auth-username", "root");
    table.denied("another username", "signed", changed, Code::IdentityUntrusted);
    let added = with(good(), "x-auth-roles", "admin");
    table.denied("a role added", "signed", added, Code::IdentityUntrusted);
    table.denied("replayed by another method", "signed", good(), Code::IdentityUntrusted).method = "DELETE".into();
    table.denied("replayed by CONNECT", "signed", good(), Code::IdentityUntrusted).method = "CONNECT".into();
    let other_host: Vec<_> =
        [LINES[0], r#""@authority": elsewhere"#].into_iter().chain(LINES[2..].iter().copied()).collect();
    table.denied("replayed at another host", "signed", signed(&other_host, now()), Code::IdentityUntrusted);
    let other_path: Vec<_> =
        LINES[..2].iter().copied().chain([r#""@path": /orders"#]).chain(LINES[3..].iter().copied()).collect();
    table.denied("replayed at another path", "signed", signed(&other_path, now()), Code::IdentityUntrusted);
    let dropped = with(good(), "connection", "x-auth-realm");
    table.denied("a covered header nominated by Connection", "signed", dropped, Code::IdentityUntrusted);
    table.denied("\\xff in the signature", "signed", set(good(), "signature", b"gw=:\xff:"), Code::IdentityUntrusted);
    let aliased = with(good(), "signature_input", "gw=()");
    table.denied("an alias of signature-input", "signed", aliased, Code::IdentityMalformed);
    let foreign = with(good(), "signature-input", r#"client=("@method");keyid="client""#);
    let foreign = with(foreign, "signature", "client=:AAAA:");
    table.issued("a client's own signature goes on, ours does not", "signed", foreign, json!({"username": "alice"}));
}
