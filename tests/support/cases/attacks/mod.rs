//! Attacks, most over HTTP/1.1 and HTTP/2.

pub mod ambiguity;
pub mod proof;
pub mod signatures;
pub mod values;
pub mod wire;

use auth_o_tron_envoy::rejection::Code;
use serde_json::json;

use crate::support::{
    PROOF,
    cases::{
        Case,
        Expected::{self, Denied},
        Table, lines, with,
    },
    http::Lines,
};

pub const ROLES: &[&str] = &["reader"];
pub const MISSING: Expected = Denied(Code::IdentityMissing);
pub const MALFORMED: Expected = Denied(Code::IdentityMalformed);
pub const UNTRUSTED: Expected = Denied(Code::IdentityUntrusted);
pub const EXPIRED: Expected = Denied(Code::IdentityExpired);
pub const WRONG_REALM: Expected = Denied(Code::RealmNotAllowed);

/// The attack is harmless: a token for this username with these roles, and nothing of the attacker's.
pub fn issued_to(username: &str, roles: &[&str]) -> Expected {
    Expected::Issued(json!({"username": username, "roles": roles}))
}

/// The attack is harmless: alice's token, and nothing of the attacker's.
pub fn honest() -> Expected {
    issued_to("alice", ROLES)
}

/// What an authenticator asserts of alice.
pub fn alice() -> Lines {
    lines(&[("x-auth-username", "alice"), ("x-auth-realm", "internal"), ("x-auth-roles", "reader")])
}

pub fn proven() -> Lines {
    with(alice(), "x-auth-proof", PROOF)
}

/// With a token of the client's own.
pub fn forging(headers: Lines) -> Lines {
    with(headers, "authorization", "Bearer forged")
}

pub fn table() -> Vec<Case> {
    let mut table = Table::default();
    for add in [
        proof::no_proof,
        ambiguity::ambiguity,
        values::values,
        values::limits,
        values::claims,
        wire::token_header,
        wire::framing,
        wire::targets,
        wire::upgrades_and_trailers,
        wire::pseudo_headers,
        signatures::signatures,
        signatures::signature_parameters,
    ] {
        add(&mut table);
    }
    table.0
}
