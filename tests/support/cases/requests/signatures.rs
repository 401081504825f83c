//! `trust[].signature`, as Envoy hands it over.

use auth_o_tron_envoy::rejection::Code;
use serde_json::json;

use crate::support::{
    SIGNING_SECRET,
    cases::{Table, alice, now, with, without},
    http::Lines,
    token::signature_fields,
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

/// A signature is for method, host and path without being told so. What else it must be is in `attacks`, and all ways to
/// fail are in `tests/core`.
pub fn signatures(table: &mut Table) {
    let good = || signed(LINES, now());
    table.issued("what another implementation signs", "signed", good(), json!({"sub": "internal-alice"}));
    table.denied("replayed by another method", "signed", good(), Code::IdentityUntrusted).method = "DELETE".into();
    for (index, line, what) in [(1, r#""@authority": elsewhere"#, "host"), (2, r#""@path": /orders"#, "path")] {
        let mut lines = LINES.to_vec();
        lines[index] = line;
        let name = format!("replayed at another {what}");
        table.denied(name, "signed", signed(&lines, now()), Code::IdentityUntrusted);
    }
    let foreign = with(good(), "signature-input", r#"client=("@method");keyid="client""#);
    let foreign = with(foreign, "signature", "client=:AAAA:");
    table.issued("a client's own signature goes on, ours does not", "signed", foreign, json!({}));
}
