//! The gateways of the tables: a plugin configuration each, all in one Envoy of one worker.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::support::{
    PROOF,
    cases::{
        PARTNER, PRODUCTS,
        requests::presets::{FOREIGN_TOKEN, UID},
    },
    shipped::{demo_configuration, gateways, manager_of, shipped},
    tls::Authority,
};

/// The secrets of the two keys of the gateway `signature`.
pub const GW_1: &str = "the first gateway's secret, 32 bytes";
pub const GW_2: &str = "the second gateway's secret, 32 bytes";

/// Plugin configurations: the shipped one, and what it leaves out.
#[allow(clippy::too_many_lines, reason = "it is a table")]
pub fn configurations() -> Vec<(&'static str, Value)> {
    let jwt = demo_configuration()["jwt"].take();
    let trust = demo_configuration()["trust"].take();
    let mut configurations = vec![
        ("shipped", demo_configuration()),
        // Which reads no claim from x-auth-scopes: it is an identity header all the same.
        (
            "pass",
            json!({"jwt": jwt, "identity": {"scopes": {"header": "x-scopes"}}, "trust": trust, "on_missing": "pass"}),
        ),
        ("forward", json!({"jwt": jwt, "trust": trust, "forward_identity": true})),
        (
            "rich",
            json!({
                "jwt": {
                    "iss": "auth-o-tron.example.com", "aud": "my-application", "exp": 60, "kid": "2026-11",
                    "secret_env": "AUTH_O_TRON_SECRET",
                },
                "identity": {
                    "username": {"header": ["X-Auth-Preferred-Username", "x-auth-username"]},
                    "roles": {"format": "json"},
                    "scopes": {"format": "json"},
                    "attributes": {"from": {"email": "x-auth-email"}},
                    "required": ["roles"],
                    "realms": ["internal", "partners", "federated"],
                },
                "trust": [
                    {
                        "shared_secret": {"header": "x-auth-proof", "secret_env": "PROXY_SECRET"},
                        "realms": ["internal", "guests"],
                    },
                    {"shared_secret": {"header": PARTNER.0, "secret": PARTNER.1}, "realms": ["partners"]},
                ],
                "token": {"header": "x-auth-token", "prefix": "", "max_bytes": 1024},
                "claims": {"scopes": "map", "aud": true},
            }),
        ),
        (
            "lists",
            json!({
                "jwt": jwt,
                "trust": trust,
                "identity": {
                    "realm": {"value": "corp"},
                    "roles": {"header": "x-auth-role", "format": "repeated"},
                    "scopes": {"format": "base64-json"},
                },
            }),
        ),
        (
            "signed",
            json!({
                "jwt": jwt,
                "trust": [{"signature": {
                    "keys": [{"keyid": "gw-1", "secret_env": "AUTH_O_TRON_SECRET"}],
                    // The table is signed when it is written down, however long it then takes to run.
                    "max_age": 3600,
                }}],
            }),
        ),
        (
            "pipe",
            json!({
                "jwt": jwt,
                "trust": trust,
                "identity": {"roles": {"format": "pipe"}, "scopes": {"format": "csv"}},
                "token": {"max_bytes": 61440},
            }),
        ),
        // Each product as it is, and one whose headers are replaced in part.
        ("oauth2-proxy", preset("oauth2-proxy")),
        ("oauth2-proxy-auth-request", preset("oauth2-proxy-auth-request")),
        ("authelia", preset("authelia")),
        ("authentik", preset("authentik")),
        ("kubernetes", preset("kubernetes")),
        (
            "adapted",
            json!({
                "jwt": jwt,
                "trust": trust,
                "identity": {
                    "preset": "oauth2-proxy",
                    "username": {"header": "x-forwarded-email"},
                    "realm": {"header": "x-forwarded-tenant"},
                    "roles": {"format": "pipe"},
                    "attributes": {"from": {"token": "x-forwarded-access-token"}},
                },
            }),
        ),
        (
            "rules",
            json!({
                "jwt": jwt,
                "trust": trust,
                "claims": {"aud": true},
                "rules": [
                    {"match": {"path_prefix": "/open/but/closed"}, "action": "deny"},
                    {"match": {"path": "/open/but/proven"}, "action": "issue"},
                    {"match": {"path_prefix": "/open/", "methods": ["GET", "OPTIONS"]}, "action": "pass"},
                    {"match": {"path": "/exact"}, "action": "pass"},
                    {"match": {"path_prefix": "/admin"}, "action": "deny"},
                    {"match": {"hosts": ["Billing.example.com", "[::1]"]}, "jwt": {"aud": "billing", "exp": 300}},
                    {"match": {"hosts": ["*.partners.example.com"]}, "jwt": {"iss": "partners.example.com"}},
                    {"match": {"hosts": ["status.example.com"], "path": "/"}, "action": "pass"},
                    {"match": {"route": "orders", "methods": ["GET"]}, "action": "pass"},
                    {"match": {"route": "orders", "methods": ["POST"]}, "jwt": {"aud": "orders"}},
                    {"match": {"route": "orders"}, "action": "deny"},
                ],
            }),
        ),
        (
            "open",
            json!({
                "jwt": jwt,
                "trust": trust,
                "on_missing": "pass",
                "rules": [
                    {"match": {"path_prefix": "/admin"}, "action": "deny"},
                    {"match": {"path_prefix": "/api"}, "jwt": {"aud": "api"}},
                ],
                "telemetry": {"filter_state": true},
            }),
        ),
        (
            "extended",
            json!({
                "jwt": {
                    "iss": "auth-o-tron.example.com", "exp": 3600,
                    "kid": "first", "secret": "a key whose time is over, and long enough",
                    "rotation": [
                        {"kid": "later", "secret": PROOF.repeat(3), "not_before": "2999-01-01T00:00:00Z"},
                        {"kid": "now", "secret_env": "AUTH_O_TRON_SECRET", "not_before": "2026-01-01T01:00:00+01:00"},
                        {"kid": "second", "secret": PROOF.repeat(2), "not_before": "2025-12-31T23:59:59Z"},
                    ],
                },
                "trust": trust,
                "claims": {"jti": true, "extra": {"env": "prod", "limits": {"requests": 10}, "tags": ["a", null]}},
            }),
        ),
        (
            "reuse",
            json!({
                "jwt": jwt,
                "trust": [trust[0], {"shared_secret": {"header": PARTNER.0, "secret": PARTNER.1}}],
                "claims": {"jti": true},
                "token": {"reuse": 60},
                "rules": [{"match": {"path_prefix": "/other"}, "action": "issue"}],
            }),
        ),
    ];
    configurations.extend(hardened());
    configurations
}

/// A product that knows no realms, behind the shipped proof.
fn preset(name: &str) -> Value {
    let mut configuration = demo_configuration();
    configuration["identity"] = json!({"preset": name, "realm": {"value": "corp"}});
    configuration
}

/// What attacks need beside.
fn hardened() -> Vec<(&'static str, Value)> {
    let demo = demo_configuration();
    let (jwt, shared) = (&demo["jwt"], &demo["trust"][0]["shared_secret"]);
    let signature = json!({"signature": {
        "keys": [{"keyid": "gw-1", "secret": GW_1}, {"keyid": "gw-2", "secret": GW_2}],
        // The table is signed when it is written down, however long it then takes to run.
        "max_age": 3600,
        "components": ["@method", "@authority", "@path", "@scheme", "@query"],
    }});
    let strict = json!({
        "realm": {"header": ["x-auth-realm", "x-auth-tenant"]},
        "attributes": {"from": {"email": "x-auth-email"}},
        "required": ["roles"],
        "realms": ["internal", "guests"],
    });
    let strict_trust = json!([{"shared_secret": shared, "realms": ["internal", "partners"]}]);
    let evidence = json!([
        {"mtls": {"uri_sans": ["spiffe://cluster.local/ns/gw/sa/gateway"]}},
        {"peer": {"cidrs": ["10.0.0.0/8"]}},
        {"filter_state": {"key": "auth_o_tron.authenticated", "value": "yes"}},
    ]);
    vec![
        ("signature", json!({"jwt": jwt, "trust": [signature]})),
        // Everything that `identity` can ask for, and identity headers that go on.
        ("strict", json!({"jwt": jwt, "identity": strict, "trust": strict_trust, "forward_identity": true})),
        // Proofs that no header can give: client certificate, direct peer, filter state. What the proxy knows is not
        // enough.
        ("evidence", json!({"jwt": jwt, "trust": evidence})),
        // The same by TLS, where the client shows somebody else's certificate.
        ("tls", json!({"jwt": jwt, "trust": evidence})),
    ]
}

/// An access log tells the case, and what the filter says of it.
const ACCESS_LOG_LINE: &str =
    "%REQ(X-CASE)%: %FILTER_STATE(wasm.auth_o_tron.result:PLAIN)% %FILTER_STATE(wasm.auth_o_tron.subject:PLAIN)%\n";

/// An Envoy with these gateways, and what some of them need beside the filter.
pub fn bootstrap(configurations: &[(&str, Value)], upstream: u16, authority: &Authority, access_log: &Path) -> Value {
    let mut bootstrap = gateways(configurations, upstream);
    for listener in bootstrap["static_resources"]["listeners"].as_array_mut().unwrap() {
        let name = listener["name"].clone();
        let manager = manager_of(listener);
        manager["access_log"] = json!([{"name": "file", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": access_log,
            "log_format": {"text_format_source": {"inline_string": ACCESS_LOG_LINE}},
        }}]);
        if name == "evidence" {
            // Envoy believes `x-forwarded-for`, and every proof finds a value, if not the right one.
            manager["use_remote_address"] = json!(false);
            manager["http_filters"].as_array_mut().unwrap().insert(0, wrong_evidence());
        }
        if name == "tls" {
            let mut shipped = shipped("mtls.yaml");
            authority.place(&mut shipped);
            let chain = &mut shipped["static_resources"]["listeners"][0]["filter_chains"][0];
            listener["filter_chains"][0]["transport_socket"] = chain["transport_socket"].take();
        }
    }
    bootstrap
}

fn wrong_evidence() -> Value {
    let states =
        [("auth_o_tron.peer", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"), ("auth_o_tron.authenticated", "no")];
    let states = states.map(|(key, value)| {
        json!({
            "object_key": key, "factory_key": "envoy.string",
            "format_string": {"text_format_source": {"inline_string": value}},
        })
    });
    json!({"name": "envoy.filters.http.set_filter_state", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
        "on_request_headers": states,
    }})
}

/// The header that a gateway puts its token into, and what stands before it.
pub fn token_header(gateway: &str) -> (&'static str, &'static str) {
    if gateway == "rich" { ("x-auth-token", "") } else { ("authorization", "Bearer ") }
}

/// What of our headers goes on beside the token.
pub fn goes_on(gateway: &str, name: &str) -> bool {
    match gateway {
        "forward" | "strict" => name.starts_with("x-auth-") && name != "x-auth-proof",
        // What authentik says about itself is no identity.
        "authentik" => name.starts_with("x-authentik-meta-"),
        _ => false,
    }
}

/// What a product's headers say of alice beside her roles.
fn attributes(product: &str) -> Value {
    let (email, name) = ("alice@example.com", "Alice Adams");
    match product {
        "authelia" => json!({"email": email, "name": name}),
        "authentik" => json!({"email": email, "name": name, "uid": UID}),
        "kubernetes" => json!({}),
        _ => json!({"email": email}),
    }
}

/// What a gateway's token says of who is known by nothing but a name: a row of a table says what is different. Beside
/// the claims there are `kid`, that of the JOSE header, and `lifetime`, which is `exp` without `iat`; null is absent.
pub fn claims(gateway: &str) -> Map<String, Value> {
    let mut claims = json!({
        "iss": "auth-o-tron.example.com", "aud": null, "lifetime": 3600, "kid": null,
        "username": "alice", "realm": "internal", "roles": [], "scopes": null, "attributes": {},
    });
    let more = match gateway {
        "rich" => json!({"aud": "my-application", "lifetime": 60, "kid": "2026-11", "scopes": {}}),
        "rules" => json!({"aud": "my-application"}),
        "lists" => json!({"realm": "corp"}),
        "extended" => json!({
            "kid": "now", "jti": true, "env": "prod", "limits": {"requests": 10}, "tags": ["a", null],
        }),
        "reuse" => json!({"jti": true}),
        "adapted" => json!({
            "username": "alice@example.com", "roles": ["admin", "role:developer"],
            "attributes": {"token": FOREIGN_TOKEN},
        }),
        product if PRODUCTS.contains(&product) => json!({
            "realm": "corp", "roles": ["admin", "role:developer"], "attributes": attributes(product),
        }),
        _ => json!({}),
    };
    let claims = claims.as_object_mut().unwrap();
    claims.extend(more.as_object().unwrap().clone());
    claims.clone()
}
