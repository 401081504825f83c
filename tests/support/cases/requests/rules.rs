//! `rules`, and what of a request they look at.

use auth_o_tron_envoy::rejection::Code;
use serde_json::json;

use crate::support::{
    PROOF,
    cases::{Expected, Table, alice, lines, without},
    http::Lines,
};

/// Headers that a client made up, with aliases, duplicates, and a proof that is none.
fn forged() -> Lines {
    let identity = [("x-auth-username", "root"), ("x-auth-username", "root"), ("x-auth-realm", "\u{a0}")];
    let rest = [("x_auth_roles", "admin"), ("x-auth-proof", "wrong"), ("x_auth_proof", PROOF)];
    [lines(&identity), lines(&rest), lines(&[("authorization", "Bearer forged"), ("x-other", "1")])].concat()
}

/// `rules`: what each action does, and which rule counts.
pub fn rules(table: &mut Table) {
    for (name, headers) in [
        ("passes without identity", Lines::new()),
        ("passes without what was forged", forged()),
        ("passes without a proven identity", alice()),
    ] {
        table.passed(name, "rules", headers).target = "/open/a".into();
    }
    let case = table.passed("passes without trailers of ours", "rules", forged());
    case.trailers = forged();
    case.target = "/open/a".into();
    let case = table.passed("passes another method of the list", "rules", Lines::new());
    case.method = "OPTIONS".into();
    case.target = "/open/a".into();
    let case = table.denied("a method that is not in the list", "rules", Lines::new(), Code::IdentityMissing);
    case.method = "POST".into();
    case.target = "/open/a".into();
    let case = table.issued("a method that is not in the list, proven", "rules", alice(), json!({"username": "alice"}));
    case.method = "POST".into();
    case.target = "/open/a".into();

    for (name, headers) in [("unproven", Lines::new()), ("proven", alice()), ("forged", forged())] {
        for target in ["/admin", "/admin/", "/admin/users?a=b", "/open/but/closed", "/open/but/closed/a"] {
            table.denied(format!("{target}, {name}"), "rules", headers.clone(), Code::DeniedByRule).target =
                target.into();
        }
    }
    let proven = || json!({"aud": "my-application", "lifetime": 3600});
    table.issued("/open/but/proven, proven", "rules", alice(), proven()).target = "/open/but/proven".into();
    table.denied("/open/but/proven, unproven", "rules", Lines::new(), Code::IdentityMissing).target =
        "/open/but/proven".into();
    table.denied("/open/but/proven, forged", "rules", forged(), Code::IdentityMalformed).target =
        "/open/but/proven".into();
    table.passed("/open/but/proven/a", "rules", Lines::new()).target = "/open/but/proven/a".into();
    table.issued("/administrator, proven", "rules", alice(), proven()).target = "/administrator".into();

    for target in ["/", "/administrator", "/api"] {
        table.passed(format!("{target}, no identity"), "open", Lines::new()).target = target.into();
    }
    table.denied("/admin, no identity", "open", Lines::new(), Code::DeniedByRule).target = "/admin".into();
    let unproven = without(alice(), "x-auth-proof");
    table.denied("/api, unproven", "open", unproven, Code::IdentityUntrusted).target = "/api".into();
    table.issued("no aud without claims.aud", "open", alice(), json!({"aud": null, "lifetime": 3600})).target =
        "/api".into();
}

/// The path is compared without query, by whole segments, and passes only where every server reads it alike.
pub fn paths(table: &mut Table) {
    for target in [
        "/open",
        "/open/",
        "/open?a",
        "/open/a/b.c/..d",
        "/open/%c3%a4%20b",
        "/open/a?b=/../%2e;\\%zz//",
        "/exact",
        "/exact?",
        "/exact?a=b",
        "http://elsewhere/open/a",
    ] {
        table.passed(format!("passes {target}"), "rules", Lines::new()).target = target.into();
    }
    for target in [
        // Other paths.
        "/",
        "/openadmin",
        "/ope",
        "/Open/a",
        "/a/open",
        "/?/open/a",
        "/exact/",
        "/exact/a",
        "/exactly",
        "/EXACT",
        // Paths that a service could read differently.
        "//open/a",
        "/open//a",
        "/open//",
        "/open/../admin",
        "/open/..",
        "/open/./a",
        "/open/.",
        "/./open/a",
        "/a/../open/a",
        "/open/a;b=c",
        "/open;/a",
        "/open/..;/admin",
        "/open/%2e%2e/admin",
        "/open/%2E%2E/admin",
        "/open/.%2e/admin",
        "/open/..%2fadmin",
        "/open%2fa",
        "/open/..%5cadmin",
        "/open/..\\admin",
        "/open\\..\\admin",
        "/open/%3ba",
        "/open/%3Fa",
        "/open/%23a",
        "/open/%252e%252e/admin",
        "/open/but/%63losed",
        "/open/but/%70roven",
        "/open/but%2Dclosed",
        "/open/%7ea",
        "/open/%40a",
        "/open/%c0%ae%c0%ae/admin",
        "/open/%e0%80%ae%e0%80%ae/admin",
        "/open/%ff",
        "/open/%c1%9cadmin",
        "/open/%00",
        "/open/%0d%0a",
        "/open/%7f",
        "/open/%",
        "/open/%2",
        "/open/%zz",
        "/open/%+2",
        "/open/%u002e",
        "http://elsewhere/open/../admin",
        "http://elsewhere//open/a",
    ] {
        table.denied(format!("does not pass {target}"), "rules", Lines::new(), Code::IdentityMissing).target =
            target.into();
    }
    for target in ["/open/a#b", "/open/\u{1}", "/open/\u{e4}", "/open/\ta", "open/a", "*"] {
        let name = format!("does not get {}", target.escape_default());
        table.add(name, "rules", Lines::new(), Expected::RefusedWith(400)).target = target.into();
    }
    let ambiguous = table.issued("a path that does not pass, proven", "rules", alice(), json!({"username": "alice"}));
    ambiguous.target = "/open/../admin".into();
    table.denied("CONNECT does not pass", "rules", Lines::new(), Code::IdentityMissing).method = "CONNECT".into();
}

/// Hosts are compared without port and case; routes by the name that Envoy gave them.
pub fn hosts_and_routes(table: &mut Table) {
    let billing = || json!({"aud": "billing", "lifetime": 300, "iss": "auth-o-tron.example.com"});
    let partners = || json!({"aud": "my-application", "lifetime": 3600, "iss": "partners.example.com"});
    let neither = || json!({"aud": "my-application", "lifetime": 3600, "iss": "auth-o-tron.example.com"});
    for (host, claims) in [
        ("billing.example.com", billing()),
        ("BILLING.example.COM:8443", billing()),
        ("billing.example.com.", billing()),
        ("billing.example.com.:80", billing()),
        ("[::1]", billing()),
        ("[::1]:8080", billing()),
        ("[::2]", neither()),
        ("a.partners.example.com", partners()),
        ("a.b.Partners.example.com.:80", partners()),
        ("partners.example.com", neither()),
        (".partners.example.com", neither()),
        ("apartners.example.com", neither()),
        ("a.partners.example.com.evil.example", neither()),
        ("a.billing.example.com", neither()),
        ("xbilling.example.com", neither()),
        ("billing.example.com.evil.example", neither()),
        ("billing.example.com..", neither()),
        ("billing.example.com:80:80", neither()),
        ("test", neither()),
    ] {
        table.issued(format!("at {host}"), "rules", alice(), claims).host = host.into();
    }
    let status = "status.example.com";
    table.passed("a host and a path that both hold", "rules", Lines::new()).host = status.into();
    let case =
        table.denied("a host that holds with a path that does not", "rules", Lines::new(), Code::IdentityMissing);
    case.host = status.into();
    case.target = "/a".into();

    for (method, target, headers, expected) in [
        ("GET", "/orders", Lines::new(), Expected::Passed),
        ("GET", "/orders/1?a", alice(), Expected::Passed),
        ("POST", "/orders", alice(), Expected::Issued(json!({"aud": "orders"}))),
        ("POST", "/orders", Lines::new(), Expected::Denied(Code::IdentityMissing)),
        ("DELETE", "/orders", alice(), Expected::Denied(Code::DeniedByRule)),
        // The next rule about the route counts.
        ("GET", "/orders//1", alice(), Expected::Denied(Code::DeniedByRule)),
        ("GET", "/order", Lines::new(), Expected::Denied(Code::IdentityMissing)),
    ] {
        let who = if headers.is_empty() { "unproven" } else { "proven" };
        let case = table.add(format!("by route, {method} {target}, {who}"), "rules", headers, expected);
        case.method = method.into();
        case.target = target.into();
    }
}
