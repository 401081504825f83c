//! What two readers of the same request could read differently.

use super::{MALFORMED, UNTRUSTED, honest, issued_to, proven, signatures::signed};
use crate::support::cases::{Expected::Refused, NAMES, Table, before, lines, with, without};

/// What two readers of the same request could read differently.
pub fn ambiguity(t: &mut Table) {
    let full = || with(with(proven(), "x-auth-scopes", "read"), "x-auth-attributes", "{}");
    for name in [&NAMES[..], &["x-auth-proof"]].concat() {
        for gateway in ["shipped", "pass", "forward"] {
            t.get(&format!("{name} again, after"), gateway, with(full(), name, "root"), MALFORMED);
            t.get(&format!("{name} again, before"), gateway, before(full(), name, "root"), MALFORMED);
            let first = name.replacen('-', "_", 1);
            for alias in [name.replace('-', "_"), name.replace('-', "."), first, name.replace('-', "~")] {
                t.get(&format!("{alias} after"), gateway, with(full(), &alias, "root"), MALFORMED);
            }
            let alias = name.replacen("auth-", "auth_", 1);
            t.get(&format!("{alias} before"), gateway, before(full(), &alias, "root"), MALFORMED);
        }
        let (_, value) = full().into_iter().find(|(own, _)| own == name).unwrap();
        t.get(&format!("{name} again, alike"), "shipped", with(full(), name, value), MALFORMED);
        if name != "x-auth-proof" {
            let alias = name.replace('-', "_");
            t.get(&format!("{alias} instead"), "shipped", with(without(full(), name), &alias, "root"), MALFORMED);
        }
        let (again, headers) = (format!("{name} again in upper case"), with(full(), &name.to_uppercase(), "root"));
        t.h1(&again, "shipped", "GET /", headers.clone(), MALFORMED);
        t.h2(&again, "shipped", "GET /", headers, Refused);
        t.h2(&format!("Connection nominates {name}"), "shipped", "GET /", with(full(), "connection", name), Refused);
    }
    t.get("an alias instead of the username", "pass", lines(&[("x_auth_username", "root")]), MALFORMED);
    // Envoy drops what is nominated before the filter runs: less of an identity, never another one.
    for (what, gateway, headers, nominated, expected) in [
        ("the username", "shipped", proven(), "x-auth-username", MALFORMED),
        ("the realm", "shipped", proven(), "close, x-auth-realm", MALFORMED),
        ("the proof", "shipped", proven(), "x-auth-proof", UNTRUSTED),
        ("the roles", "shipped", proven(), "x-auth-roles", issued_to("alice", &[])),
        ("the roles that are required", "strict", proven(), "x-auth-roles", MALFORMED),
        ("signed roles", "signature", signed(), "x-auth-roles", UNTRUSTED),
        ("the token", "shipped", proven(), "authorization", honest()),
    ] {
        let headers = with(headers, "connection", nominated);
        t.h1(&format!("Connection nominates {what}"), gateway, "GET /", headers, expected);
    }
    for name in ["x-auth-username", "x-auth-roles", "x_auth_roles", "X-Auth-Proof", "authorization"] {
        let upgrade = with(with(proven(), "connection", format!("upgrade, {name}")), "upgrade", "websocket");
        t.h1(&format!("an upgrade whose Connection nominates {name}"), "shipped", "GET /", upgrade, MALFORMED);
    }
}
