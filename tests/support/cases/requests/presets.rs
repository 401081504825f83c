//! `identity.preset`.

use std::collections::BTreeSet;

use auth_o_tron_envoy::rejection::Code;
use serde_json::json;

use crate::support::{
    PROOF,
    cases::{Expected, Table, lines, set, with, without},
    http::Lines,
};

/// The hash by which authentik names a user.
pub const UID: &str = "900347b8a29876b45ca6f75722635ecfedf0e931c6022e3a29a8aa13fb5516fb";

/// A token of the product's own provider, which no service may take for ours.
pub const FOREIGN_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI5MDAzNDdiOCJ9.c2lnbmF0dXJl";

/// A proven request as the product sends it, in its own spelling.
pub fn product(name: &str) -> Lines {
    let own: &[(&str, &str)] = match name {
        "oauth2-proxy" => &[
            ("X-Forwarded-User", "9a3c51b2-7f0e"),
            ("X-Forwarded-Groups", "admin,role:developer"),
            ("X-Forwarded-Email", "alice@example.com"),
            ("X-Forwarded-Preferred-Username", "alice"),
            ("X-Forwarded-Access-Token", FOREIGN_TOKEN),
            ("Authorization", FOREIGN_TOKEN),
        ],
        "oauth2-proxy-auth-request" => &[
            ("X-Auth-Request-User", "9a3c51b2-7f0e"),
            ("X-Auth-Request-Email", "alice@example.com"),
            ("X-Auth-Request-Preferred-Username", "alice"),
            ("X-Auth-Request-Groups", "admin,role:developer"),
            ("X-Auth-Request-Access-Token", FOREIGN_TOKEN),
        ],
        "authelia" => &[
            ("Remote-User", "alice"),
            ("Remote-Groups", "admin,role:developer"),
            ("Remote-Name", "Alice Adams"),
            ("Remote-Email", "alice@example.com"),
        ],
        "authentik" => &[
            ("X-authentik-username", "alice"),
            ("X-authentik-groups", "admin|role:developer"),
            ("X-authentik-entitlements", "read|write"),
            ("X-authentik-email", "alice@example.com"),
            ("X-authentik-name", "Alice Adams"),
            ("X-authentik-uid", UID),
            ("X-authentik-jwt", FOREIGN_TOKEN),
            ("X-authentik-meta-jwks", "https://login.example.com/application/o/app/jwks/"),
            ("X-authentik-meta-outpost", "authentik Embedded Outpost"),
            ("X-authentik-meta-provider", "app"),
            ("X-authentik-meta-app", "app"),
            ("X-authentik-meta-version", "goauthentik.io/outpost/2026.10.1"),
        ],
        "kubernetes" => &[
            ("X-Remote-User", "alice"),
            ("X-Remote-Uid", "06f6ce97-e2c5-4ab8-7ba5-7654dd08d52b"),
            ("X-Remote-Group", "admin"),
            ("X-Remote-Group", "role:developer"),
            ("X-Remote-Extra-Acme.com%2fproject", "some-project"),
            ("X-Remote-Extra-Scopes", "openid"),
            ("X-Remote-Extra-Scopes", "profile"),
        ],
        _ => &[
            ("X-Forwarded-Email", "alice@example.com"),
            ("X-Forwarded-Tenant", "internal"),
            ("X-Forwarded-Groups", "admin|role:developer"),
            ("X-Forwarded-Access-Token", FOREIGN_TOKEN),
        ],
    };
    with(lines(own), "x-auth-proof", PROOF)
}

/// `identity.preset`: the headers that a product sends become claims, and none of them reaches the service.
pub fn presets(table: &mut Table) {
    let email = json!({"email": "alice@example.com"});
    let named = json!({"email": "alice@example.com", "name": "Alice Adams"});
    let whole = json!({"email": "alice@example.com", "name": "Alice Adams", "uid": UID});
    // The attributes; headers that are proven as all others are, though no claim is read from them; an alias.
    for (gateway, attributes, others, alias) in [
        ("oauth2-proxy", email.clone(), &["X-Forwarded-Access-Token"][..], "x_forwarded_user"),
        ("oauth2-proxy-auth-request", email, &["X-Auth-Request-Access-Token"], "x_auth_request_groups"),
        ("authelia", named, &[], "remote_user"),
        ("authentik", whole, &["X-authentik-jwt", "X-authentik-entitlements"], "x_authentik_jwt"),
        ("kubernetes", json!({}), &["X-Remote-Uid", "X-Remote-Extra-Scopes", "X-Remote-Extra-"], "x_remote_extra_a"),
    ] {
        let claims = json!({
            "sub": "corp-alice", "username": "alice", "realm": "corp", "roles": ["admin", "role:developer"],
            "scopes": null, "attributes": attributes,
        });
        table.issued("what the product sends", gateway, product(gateway), claims);
        let unproven = without(product(gateway), "x-auth-proof");
        let sent = unproven.iter().map(|(name, _)| name.as_str());
        let sent = sent.filter(|name| *name != "Authorization" && !name.contains("-meta-"));
        for name in sent.chain(others.iter().copied()).collect::<BTreeSet<_>>() {
            let alone = lines(&[(name, "forged")]);
            table.denied(format!("{name} alone"), gateway, alone, Code::IdentityUntrusted);
        }
        table.denied("what the product sends, unproven", gateway, unproven, Code::IdentityUntrusted);
        let aliased = with(product(gateway), alias, "root");
        table.denied(format!("{alias} beside it"), gateway, aliased, Code::IdentityMalformed);
        table.denied(format!("{alias} alone"), gateway, lines(&[(alias, "root")]), Code::IdentityMalformed);
    }
    for (gateway, name) in [
        ("oauth2-proxy", "x-forwarded-access-token"),
        ("authentik", "x-authentik-entitlements"),
        ("kubernetes", "x-remote-uid"),
    ] {
        let twice = with(product(gateway), name, "another");
        table.denied(format!("{name} twice"), gateway, twice, Code::IdentityMalformed);
    }
    for (gateway, name) in [
        ("oauth2-proxy", "X-Forwarded-Preferred-Username"),
        ("oauth2-proxy-auth-request", "X-Auth-Request-Preferred-Username"),
    ] {
        let fallback = without(product(gateway), name);
        let claims = json!({"sub": "corp-9a3c51b2-7f0e", "username": "9a3c51b2-7f0e"});
        table.issued("the user without a preferred name", gateway, fallback, claims);
    }
    table.denied(
        "what authentik says about itself is no identity",
        "authentik",
        lines(&[("X-authentik-meta-app", "app")]),
        Code::IdentityMissing,
    );
    // Both send a header without value for what a user has nothing of. Nobody else's empty header is that.
    for (gateway, names, attributes) in [
        ("authelia", &["Remote-Groups", "Remote-Name", "Remote-Email"][..], json!({})),
        (
            "authentik",
            &["X-authentik-groups", "X-authentik-entitlements", "X-authentik-email"],
            json!({"name": "Alice Adams", "uid": UID}),
        ),
    ] {
        let bare = names.iter().fold(product(gateway), |headers, name| set(headers, name, ""));
        let claims = json!({"sub": "corp-alice", "roles": [], "attributes": attributes});
        table.issued("a user without groups", gateway, bare, claims);
        let name = if gateway == "authelia" { "Remote-User" } else { "X-authentik-username" };
        table.denied("an empty username", gateway, set(product(gateway), name, ""), Code::IdentityMalformed);
        let alone = lines(&[(names[0], "")]);
        table.denied(format!("{} empty, alone", names[0]), gateway, alone, Code::IdentityUntrusted);
    }
    let empty = set(product("oauth2-proxy"), "X-Forwarded-Groups", "");
    table.denied("empty groups", "oauth2-proxy", empty, Code::IdentityMalformed);
    let plain = without(without(product("kubernetes"), "X-Remote-Group"), "X-Remote-Extra-Scopes");
    table.issued("no group, one extra", "kubernetes", plain, json!({"sub": "corp-alice", "roles": []}));

    let adapted = json!({
        "sub": "internal-alice@example.com", "roles": ["admin", "role:developer"], "attributes": {"token": FOREIGN_TOKEN},
    });
    table.issued("fields beside the preset win", "adapted", product("adapted"), adapted.clone());
    let replaced = lines(&[("X-Forwarded-User", "root"), ("X-Forwarded-Preferred-Username", "root")]);
    table.issued("replaced headers are removed", "adapted", [product("adapted"), replaced].concat(), adapted);
    let name = "x-forwarded-preferred-username";
    table.denied("a replaced header alone", "adapted", lines(&[(name, "root")]), Code::IdentityUntrusted);
    let no_realm = without(product("adapted"), "X-Forwarded-Tenant");
    table.denied("the added realm header missing", "adapted", no_realm, Code::IdentityMalformed);
}
