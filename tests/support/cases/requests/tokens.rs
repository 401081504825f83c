//! A token, and what it says.

use auth_o_tron_envoy::rejection::Code;
use serde_json::json;

use crate::support::{
    PROOF,
    cases::{Expected, PARTNER, Table, alice, lines, now, set, with, without},
};

/// Row: identity proven and well formed.
pub fn well_formed(table: &mut Table) {
    let all = with(alice(), "x-auth-roles", "admin,developer");
    let all = with(all, "x-auth-scopes", "read write");
    let all = with(all, "x-auth-attributes", r#"{"team":"platform","department":"engineering"}"#);
    let claims = json!({
        "sub": "internal-alice", "iss": "auth-o-tron.example.com", "aud": null,
        "roles": ["admin", "developer"], "username": "alice", "realm": "internal", "scopes": ["read", "write"],
        "attributes": {"department": "engineering", "team": "platform"},
    });
    table.issued("a token for all claims", "shipped", all.clone(), claims.clone());
    table.issued(
        "a token for username and realm alone",
        "shipped",
        alice(),
        json!({"roles": [], "scopes": null, "attributes": {}}),
    );
    table.issued(
        "header names in upper case are the same names",
        "shipped",
        lines(&[("X-Auth-Username", "alice"), ("X-AUTH-REALM", "internal"), ("X-Auth-Proof", PROOF)]),
        json!({"sub": "internal-alice"}),
    );
    table.issued(
        "UTF-8 is kept",
        "shipped",
        set(alice(), "x-auth-username", "Jürgen O'Néill"),
        json!({"username": "Jürgen O'Néill"}),
    );
    table.issued("proven identity headers go on, the proof does not", "forward", all, claims);

    let rich = with(alice(), "x-auth-roles", r#"["admin","a,b"]"#);
    let rich = with(rich, "x-auth-scopes", r#"{"s3":["get"],"mars":[]}"#);
    let rich = with(rich, "x-auth-email", "alice@example.com");
    let (scopes, attributes) = (json!({"s3": ["get"], "mars": []}), json!({"email": "alice@example.com"}));
    table.issued(
        "JSON, an attribute's own header, a scope map, aud, another token header",
        "rich",
        rich.clone(),
        json!({
            "aud": "my-application", "roles": ["admin", "a,b"], "scopes": scopes, "attributes": attributes,
        }),
    );
    table.issued(
        "the first of several headers counts",
        "rich",
        with(rich.clone(), "x-auth-preferred-username", "Alice A."),
        json!({"username": "Alice A.", "roles": ["admin", "a,b"], "scopes": scopes, "attributes": attributes}),
    );
    table.issued(
        "an alias of the token header is removed",
        "rich",
        with(with(rich, "x_auth_token", "forged"), "x.auth.token", "forged"),
        json!({"roles": ["admin", "a,b"], "scopes": scopes, "attributes": attributes}),
    );

    let lists = with(with(alice(), "x-auth-role", "b"), "x-auth-role", "a");
    let lists = with(without(lists, "x-auth-realm"), "x-auth-scopes", "WyJyZWFkIl0=");
    table.issued(
        "one role a line, scopes in base64, a fixed realm",
        "lists",
        lists,
        json!({"sub": "corp-alice", "realm": "corp", "roles": ["b", "a"], "scopes": ["read"]}),
    );
    let pipe = with(with(alice(), "x-auth-roles", "b|two words"), "x-auth-scopes", "read, write");
    table.issued(
        "roles between pipes, scopes between commas",
        "pipe",
        pipe,
        json!({"roles": ["b", "two words"], "scopes": ["read", "write"]}),
    );
}

/// A header of the preset stays ours where the configuration reads another one, or a fixed value, in its place.
pub fn replaced_defaults(table: &mut Table) {
    let lists = || without(alice(), "x-auth-realm");
    table.issued(
        "the default realm header is removed beside a fixed realm",
        "lists",
        with(lists(), "x-auth-realm", "evil"),
        json!({"realm": "corp"}),
    );
    table.issued(
        "the default roles header is removed beside another one",
        "lists",
        with(with(lists(), "x-auth-roles", "admin"), "x-auth-role", "r"),
        json!({"roles": ["r"]}),
    );
    table.denied(
        "the default realm header alone is an identity",
        "lists",
        lines(&[("x-auth-realm", "evil")]),
        Code::IdentityUntrusted,
    );
    let alias = with(lists(), "x_auth_realm", "evil");
    table.denied("an alias of the default realm header", "lists", alias, Code::IdentityMalformed);
}

/// Row: a realm the proving entry may not assert, or not in the allow-list.
pub fn realms(table: &mut Table) {
    let with_role = || with(alice(), "x-auth-roles", r#"["r"]"#);
    let partner = || with(without(with_role(), "x-auth-proof"), PARTNER.0, PARTNER.1);
    table.issued(
        "each party asserts its own realm",
        "rich",
        set(partner(), "x-auth-realm", "partners"),
        json!({"realm": "partners", "roles": ["r"]}),
    );
    table.denied("the partner asserts the gateway's realm", "rich", partner(), Code::RealmNotAllowed);
    table.denied(
        "the gateway asserts the partner's realm",
        "rich",
        set(with_role(), "x-auth-realm", "partners"),
        Code::RealmNotAllowed,
    );
    table.denied(
        "nobody may assert this realm",
        "rich",
        set(with_role(), "x-auth-realm", "federated"),
        Code::RealmNotAllowed,
    );
    table.denied(
        "a realm outside identity.realms",
        "rich",
        set(with_role(), "x-auth-realm", "guests"),
        Code::RealmNotAllowed,
    );
    let both = with(set(with_role(), "x-auth-realm", "partners"), PARTNER.0, PARTNER.1);
    table.denied("the first entry that proves decides", "rich", both, Code::RealmNotAllowed);
    let swapped = with(set(alice(), "x-auth-proof", PARTNER.1), PARTNER.0, PROOF);
    table.denied("each proof in the other's header", "rich", swapped, Code::IdentityUntrusted);
}

/// Row: the user's `exp`, which a token never outlives.
pub fn expiry(table: &mut Table) {
    let own = |exp: &str| with(alice(), "x-auth-attributes", json!({"exp": exp}).to_string());
    let far = "99999999999";
    let claims = json!({"attributes": {"exp": far}, "lifetime": 3600});
    table.get("an own exp far ahead", "shipped", own(far), Expected::Issued(claims));
    let soon = now() + 1800;
    let claims = json!({"attributes": {"exp": soon.to_string()}, "exp": soon});
    table.get("an own exp before the token's", "shipped", own(&soon.to_string()), Expected::Issued(claims));
    table.denied("an own exp in the past", "shipped", own("1704063600"), Code::IdentityExpired);
}

/// `claims.extra` and `jwt.rotation`.
pub fn extended(table: &mut Table) {
    let claims = json!({
        "username": "alice", "env": "prod", "limits": {"requests": 10}, "tags": ["a", null], "kid": "now",
    });
    table.issued("more claims, by the key of now", "extended", alice(), claims);
}
