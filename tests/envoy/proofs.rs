//! Who may assert an identity, beside who knows a secret: each kind of proof as its shipped YAML has it, in real Envoy.
//! The functions that take a file are what `shipped` runs it by.

use auth_o_tron_envoy::rejection::Code;
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    cases::now,
    python, run,
    scene::Scene,
    shipped::{manager, plugin},
    tls::{Authority, dns, uri},
    trials::plain,
};

const ALICE: &[(&str, &str)] = &[("x-auth-username", "alice"), ("x-auth-realm", "internal")];

/// With `trust` as the filter's.
fn trusting(file: &str, trust: &Value) -> Scene {
    Scene::shipped(file, |bootstrap, _| set(bootstrap, "trust", trust))
}

/// Sets a field of the plugin configuration.
fn set(bootstrap: &mut Value, field: &str, to: &Value) {
    let text = &mut plugin(manager(bootstrap))["configuration"]["value"];
    let mut configuration: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    configuration[field] = to.clone();
    *text = json!(configuration.to_string());
}

fn remove_filter(bootstrap: &mut Value, name: &str) {
    let filters = manager(bootstrap)["http_filters"].as_array_mut().unwrap();
    let before = filters.len();
    filters.retain(|filter| filter["name"] != name);
    assert_eq!(filters.len(), before - 1);
}

// === peer ===

pub fn peer_in_a_range_gets_a_token(file: &str) {
    let scene = trusting(file, &json!([{"peer": {"cidrs": ["192.0.2.0/24", "127.0.0.0/8"]}}]));
    assert_eq!(scene.send("gateway", ALICE).issued()["sub"], "internal-alice");
}

fn peer_elsewhere_gets_none_whatever_it_says_of_itself() {
    let fakes: &[(&str, &str)] = &[
        ("x-forwarded-for", "10.9.9.9"),
        ("x-forwarded-for", "10.9.9.9, 10.9.9.9"),
        ("x-real-ip", "10.9.9.9"),
        ("forwarded", "for=10.9.9.9"),
        ("x-envoy-external-address", "10.9.9.9"),
    ];
    // Whether or not Envoy believes `x-forwarded-for`.
    for use_remote_address in [true, false] {
        let scene = Scene::shipped("peer.yaml", |bootstrap, _| {
            manager(bootstrap)["use_remote_address"] = json!(use_remote_address);
        });
        scene.send("gateway", ALICE).denied(Code::IdentityUntrusted);
        for &fake in fakes {
            scene.send("gateway", &[ALICE, &[fake]].concat()).denied(Code::IdentityUntrusted);
        }
    }
}

fn peer_without_the_native_filter_is_unknown() {
    let scene = Scene::shipped("peer.yaml", |bootstrap, _| {
        set(bootstrap, "trust", &json!([{"peer": {"cidrs": ["0.0.0.0/0", "::/0"]}}]));
        remove_filter(bootstrap, "envoy.filters.http.set_filter_state");
    });
    scene.send("gateway", ALICE).denied(Code::IdentityUntrusted);
    scene.send("gateway", &[ALICE, &[("x-forwarded-for", "10.9.9.9")]].concat()).denied(Code::IdentityUntrusted);
}

// === signature ===

/// The header lines of `envoy/sign.py`, the authenticator's side, for a request of `method` to `path`.
fn signed(method: &str, path: &str) -> Vec<(String, String)> {
    let mut command = python("envoy/sign.py");
    command.args([method, &format!("http://test{path}")]);
    command.args(ALICE.iter().map(|(name, value)| format!("{name}: {value}")));
    let lines = run(command.env("AUTHENTICATOR_SECRET", "demo-signing-key-of-the-authenticator"));
    let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    lines.lines().map(split).collect()
}

fn borrowed(lines: &[(String, String)]) -> Vec<(&str, &str)> {
    lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

pub fn signature_of_the_authenticator_is_good_for_its_request_only(file: &str) {
    let scene = Scene::shipped(file, |_, _| {});
    let good = signed("GET", "/");
    let seen = scene.send("gateway", &borrowed(&good));
    let arrived = seen.arrived.as_ref().expect("it arrived");
    assert!(arrived.value("signature").is_none() && arrived.value("signature-input").is_none());
    assert_eq!(seen.issued()["sub"], "internal-alice");

    scene.send("gateway", ALICE).denied(Code::IdentityUntrusted);
    for other in [signed("POST", "/"), signed("GET", "/elsewhere")] {
        scene.send("gateway", &borrowed(&other)).denied(Code::IdentityUntrusted);
    }
    let more = [borrowed(&good), vec![("x-auth-roles", "admin")]].concat();
    scene.send("gateway", &more).denied(Code::IdentityUntrusted);
}

// === several entries ===

fn the_first_entry_that_proves_decides_which_realms() {
    let here = json!({"cidrs": ["127.0.0.1/32"]});
    let elsewhere = json!({"cidrs": ["192.0.2.0/24"]});
    let scene = trusting(
        "peer.yaml",
        &json!([
            {"peer": elsewhere, "realms": ["internal"]},
            {"filter_state": {"key": "absent", "value": "yes"}, "realms": ["internal"]},
            {"peer": here, "realms": ["partners"]},
            {"peer": here},
        ]),
    );
    scene.send("gateway", ALICE).denied(Code::RealmNotAllowed);
    let partner = [("x-auth-username", "bob"), ("x-auth-realm", "partners")];
    assert_eq!(scene.send("gateway", &partner).issued()["sub"], "partners-bob");
}

// === filter_state ===

/// A token of the identity provider that `in-chain.yaml` trusts; null removes a claim.
fn provider_token(changes: &Value) -> String {
    let pem = include_str!("idp-demo-key.pem");
    let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let mut claims = json!({
        "iss": "https://idp.example.com", "aud": "gateway", "sub": "7", "exp": now() + 60,
        "preferred_username": "alice", "groups": ["admin", "Größe, L"], "email": "alice@example.com",
    });
    for (claim, value) in changes.as_object().unwrap() {
        claims[claim] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let header = Header { kid: Some("demo".to_owned()), ..Header::new(Algorithm::RS256) };
    format!("Bearer {}", jsonwebtoken::encode(&header, &claims, &EncodingKey::from_rsa_der(&der)).unwrap())
}

/// What a client may try to be with headers of its own.
const FORGED: &[(&str, &str)] = &[
    ("x-auth-username", "root"),
    ("x-auth-realm", "internal"),
    ("x-auth-roles", "WyJyb290Il0="),
    ("x-auth-scopes", "all"),
    ("x-auth-attributes", r#"{"a":"b"}"#),
    ("x-auth-email", "root@example.com"),
];

pub fn a_token_of_the_provider_goes_in_and_one_of_ours_comes_out(file: &str) {
    let scene = Scene::shipped(file, |_, _| {});
    let bearer = provider_token(&json!({}));
    let claims = scene.send("gateway", &[("authorization", &bearer)]).issued();
    assert_eq!(claims["sub"], "corp-alice");
    assert_eq!(claims["roles"], json!(["admin", "Größe, L"]));
    assert_eq!(claims["attributes"], json!({"email": "alice@example.com"}));
    assert_eq!(claims.get("scopes"), None);

    // The client's own headers change nothing, before or after its token.
    let timeless = |mut claims: Value| {
        claims.as_object_mut().unwrap().retain(|claim, _| claim != "iat" && claim != "exp");
        claims
    };
    for headers in [[&[("authorization", &*bearer)], FORGED], [FORGED, &[("authorization", &*bearer)]]] {
        assert_eq!(timeless(scene.send("gateway", &headers.concat()).issued()), timeless(claims.clone()));
    }

    // Not even where the provider says nothing that would replace them.
    let bearer = provider_token(&json!({"groups": null, "email": null}));
    let claims = scene.send("gateway", &[&[("authorization", &*bearer)], FORGED].concat()).issued();
    assert_eq!((&claims["roles"], &claims["attributes"]), (&json!([]), &json!({})));
    let bearer = provider_token(&json!({"preferred_username": null, "groups": null, "email": null}));
    scene.send("gateway", &[&[("authorization", &*bearer)], FORGED].concat()).denied(Code::IdentityMissing);
}

fn without_a_valid_token_of_the_provider_nothing_comes_out() {
    let scene = Scene::shipped("in-chain.yaml", |_, _| {});
    scene.send("gateway", &[]).denied(Code::IdentityMissing);
    scene.send("gateway", FORGED).denied(Code::IdentityMissing);
    scene.send("gateway", &[FORGED, &[("authorization", "Basic cm9vdDo=")]].concat()).denied(Code::IdentityMissing);
    // An alias is no header that the early mutation removes: the filter itself refuses it.
    scene.send("gateway", &[("x_auth_username", "root")]).denied(Code::IdentityMalformed);
    let mut bad_signature = provider_token(&json!({}));
    bad_signature.replace_range(bad_signature.len() - 8.., "AAAAAAAA");
    for bearer in [
        bad_signature,
        provider_token(&json!({"iss": "https://other.example.com"})),
        provider_token(&json!({"aud": "other"})),
        provider_token(&json!({"exp": 1})),
        "Bearer forged".to_owned(),
    ] {
        let seen = scene.send("gateway", &[FORGED, &[("authorization", &*bearer)]].concat());
        assert!(seen.arrived.is_none(), "{bearer}: {seen:?}");
        let reply = seen.reply.expect("a reply");
        assert!(matches!(reply.status, 401 | 403), "{bearer}: {reply:?}");
        assert_eq!(reply.value("content-type").unwrap(), "text/plain", "jwt_authn itself refuses it");
    }
}

fn a_request_that_may_pass_without_a_token_passes_without_the_headers_of_the_client() {
    // jwt_authn removes the headers that it sets, too: without it, each must still be gone.
    for authenticates in [true, false] {
        let scene = Scene::shipped("in-chain.yaml", |bootstrap, _| {
            set(bootstrap, "on_missing", &json!("pass"));
            if !authenticates {
                remove_filter(bootstrap, "envoy.filters.http.jwt_authn");
            }
        });
        assert_eq!(scene.send("gateway", FORGED).passed().value("authorization"), None);
    }
}

/// The evidence alone holds too: even if nothing removed the client's headers, they would be proven by nothing.
fn evidence_is_there_only_when_a_token_was_verified() {
    let scene = Scene::shipped("in-chain.yaml", |bootstrap, _| {
        let manager = manager(bootstrap).as_object_mut().unwrap();
        manager.remove("early_header_mutation_extensions").unwrap();
    });
    scene.send("gateway", FORGED).denied(Code::IdentityUntrusted);
    assert_eq!(scene.send("gateway", &[("authorization", &provider_token(&json!({})))]).issued()["sub"], "corp-alice");
}

// === mtls ===

const SPIFFE: &str = "spiffe://cluster.local/ns/auth/sa/authenticator";

pub fn mtls_by_uri_san(file: &str) {
    let scene = Scene::shipped(file, |_, _| {});
    let client = scene.authority.client(&[uri(SPIFFE), dns("authenticator.example.com")]);
    assert_eq!(scene.send_tls("gateway", Some(&client), ALICE).issued()["sub"], "internal-alice");

    for names in [
        vec![uri("spiffe://cluster.local/ns/auth/sa/other")],
        vec![uri(&format!("{SPIFFE}/x"))],
        vec![dns("authenticator.example.com")],
        vec![],
    ] {
        let other = scene.authority.client(&names);
        scene.send_tls("gateway", Some(&other), ALICE).denied(Code::IdentityUntrusted);
        let fake = format!("By=spiffe://gateway;Hash=00;Subject=\"\";URI={SPIFFE}");
        let faking = [ALICE, &[("x-forwarded-client-cert", &*fake)]].concat();
        scene.send_tls("gateway", Some(&other), &faking).denied(Code::IdentityUntrusted);
    }
}

fn mtls_sees_the_first_name_of_a_certificate_only() {
    let scene = Scene::shipped("mtls.yaml", |_, _| {});
    let client = scene.authority.client(&[uri("spiffe://cluster.local/ns/auth/sa/other"), uri(SPIFFE)]);
    scene.send_tls("gateway", Some(&client), ALICE).denied(Code::IdentityUntrusted);
}

fn mtls_by_dns_san() {
    let scene = trusting("mtls.yaml", &json!([{"mtls": {"dns_sans": ["Authenticator.example.com"]}}]));
    let client = scene.authority.client(&[dns("authenticator.example.com")]);
    assert_eq!(scene.send_tls("gateway", Some(&client), ALICE).issued()["sub"], "internal-alice");
    for name in ["other.example.com", "*.example.com", "x.authenticator.example.com"] {
        scene.send_tls("gateway", Some(&scene.authority.client(&[dns(name)])), ALICE).denied(Code::IdentityUntrusted);
    }
}

fn mtls_by_fingerprint() {
    let mut client = None;
    let scene = Scene::shipped("mtls.yaml", |bootstrap, authority| {
        let client = client.insert(authority.client(&[]));
        // As `openssl x509 -fingerprint -sha256` shows it.
        let digest = Sha256::digest(client.certificate.der());
        let fingerprint = digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
        set(bootstrap, "trust", &json!([{"mtls": {"fingerprints": [fingerprint]}}]));
    });
    assert_eq!(scene.send_tls("gateway", client.as_ref(), ALICE).issued()["sub"], "internal-alice");
    let other = scene.authority.client(&[]);
    scene.send_tls("gateway", Some(&other), ALICE).denied(Code::IdentityUntrusted);
}

fn mtls_needs_a_certificate_of_the_right_authority() {
    let scene = Scene::shipped("mtls.yaml", |_, _| {});
    let stranger = Authority::new().client(&[uri(SPIFFE)]);
    for client in [None, Some(&stranger)] {
        scene.send_tls("gateway", client, ALICE).refused();
    }
    // No TLS at all.
    scene.send("gateway", ALICE).refused();
}

/// A listener that only asks for a certificate, and a client that shows none.
fn mtls_without_a_certificate_proves_nothing() {
    let scene = Scene::shipped("mtls.yaml", |bootstrap, _| {
        let chain = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0];
        chain["transport_socket"]["typed_config"]["require_client_certificate"] = json!(false);
    });
    let fake = format!("URI={SPIFFE}");
    let faking = [ALICE, &[("x-forwarded-client-cert", &*fake)]].concat();
    scene.send_tls("gateway", None, &faking).denied(Code::IdentityUntrusted);
}

pub fn trials() -> Vec<Trial> {
    plain![
        peer_elsewhere_gets_none_whatever_it_says_of_itself,
        peer_without_the_native_filter_is_unknown,
        the_first_entry_that_proves_decides_which_realms,
        without_a_valid_token_of_the_provider_nothing_comes_out,
        a_request_that_may_pass_without_a_token_passes_without_the_headers_of_the_client,
        evidence_is_there_only_when_a_token_was_verified,
        mtls_sees_the_first_name_of_a_certificate_only,
        mtls_by_dns_san,
        mtls_by_fingerprint,
        mtls_needs_a_certificate_of_the_right_authority,
        mtls_without_a_certificate_proves_nothing,
    ]
}
