//! Who may assert an identity, beside who knows a secret: the shipped YAML of each kind of proof, in real Envoy.

use std::{
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use auth_o_tron_envoy::rejection::Code;
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    self, Envoy, Message, Reply, Upstream, check_denied, request,
    tls::{Authority, Client, dns, uri},
    trials::plain,
    verify,
};

const ALICE: &[(&str, &str)] = &[("x-auth-username", "alice"), ("x-auth-realm", "internal")];

/// A shipped YAML file in an Envoy of its own, with a recording service behind it.
struct World {
    authority: Authority,
    envoy: Envoy,
    upstream: Upstream,
}

impl World {
    fn start(file: &str, change: impl FnOnce(&mut Value)) -> Self {
        Self::of(Authority::new(), file, change)
    }

    fn of(authority: Authority, file: &str, change: impl FnOnce(&mut Value)) -> Self {
        let upstream = Upstream::start();
        let yaml = authority.place(&support::top().join("envoy").join(file));
        let mut bootstrap = serde_yaml_ng::from_str(&yaml).unwrap();
        support::on_free_ports(&mut bootstrap, upstream.port);
        change(&mut bootstrap);
        Self { authority, envoy: Envoy::start(&bootstrap), upstream }
    }

    /// With `trust` as the filter's.
    fn trusting(file: &str, trust: &Value) -> Self {
        Self::start(file, |bootstrap| set_trust(bootstrap, trust))
    }

    fn send(&self, headers: &[(&str, &str)]) -> (Reply, Option<Message>) {
        let reply = support::send(self.envoy.port("gateway"), &request(headers)).expect("a reply");
        (reply, self.upstream.take("case"))
    }

    fn send_tls(&self, client: &Client, headers: &[(&str, &str)]) -> (Reply, Option<Message>) {
        let port = self.envoy.port("gateway");
        let reply = self.authority.send(port, Some(client), &request(headers)).expect("a reply");
        (reply, self.upstream.take("case"))
    }
}

fn manager(bootstrap: &mut Value) -> &mut Value {
    &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
}

fn set_trust(bootstrap: &mut Value, trust: &Value) {
    set(bootstrap, "trust", trust);
}

/// Sets a field of the plugin configuration.
fn set(bootstrap: &mut Value, field: &str, to: &Value) {
    let filters = manager(bootstrap)["http_filters"].as_array_mut().unwrap();
    let filter = filters.iter_mut().find(|filter| filter["name"] == "auth_o_tron").unwrap();
    let value = &mut filter["typed_config"]["config"]["configuration"]["value"];
    let mut configuration: Value = serde_json::from_str(value.as_str().unwrap()).unwrap();
    configuration[field] = to.clone();
    *value = json!(configuration.to_string());
}

fn remove_filter(bootstrap: &mut Value, name: &str) {
    let filters = manager(bootstrap)["http_filters"].as_array_mut().unwrap();
    let before = filters.len();
    filters.retain(|filter| filter["name"] != name);
    assert_eq!(filters.len(), before - 1);
}

/// The claims of the token that reached the service, which none of the identity headers did.
fn issued((reply, arrived): (Reply, Option<Message>)) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    let arrived = arrived.expect("it arrived");
    assert!(!arrived.headers.iter().any(|(name, _)| name.starts_with("x-auth")), "{arrived:?}");
    verify(arrived.value("authorization").expect("a token").strip_prefix("Bearer ").unwrap())
}

fn denied((reply, arrived): (Reply, Option<Message>), code: Code) {
    check_denied(code, &reply);
    assert!(arrived.is_none(), "it reached the service: {arrived:?}");
}

// === peer ===

fn peer_in_a_range_gets_a_token() {
    let world = World::trusting("peer.yaml", &json!([{"peer": {"cidrs": ["192.0.2.0/24", "127.0.0.0/8"]}}]));
    assert_eq!(issued(world.send(ALICE))["sub"], "internal-alice");
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
        let world = World::start("peer.yaml", |bootstrap| {
            manager(bootstrap)["use_remote_address"] = json!(use_remote_address);
        });
        denied(world.send(ALICE), Code::IdentityUntrusted);
        for &fake in fakes {
            denied(world.send(&[ALICE, &[fake]].concat()), Code::IdentityUntrusted);
        }
    }
}

fn peer_without_the_native_filter_is_unknown() {
    let world = World::start("peer.yaml", |bootstrap| {
        set_trust(bootstrap, &json!([{"peer": {"cidrs": ["0.0.0.0/0", "::/0"]}}]));
        remove_filter(bootstrap, "envoy.filters.http.set_filter_state");
    });
    denied(world.send(ALICE), Code::IdentityUntrusted);
    denied(world.send(&[ALICE, &[("x-forwarded-for", "10.9.9.9")]].concat()), Code::IdentityUntrusted);
}

// === signature ===

/// The header lines of `envoy/sign.py`, the authenticator's side, for a request of `method` to `path`.
fn signed(method: &str, path: &str) -> Vec<(String, String)> {
    let mut command = Command::new("python3");
    command.arg(support::top().join("envoy/sign.py")).args([method, &format!("http://test{path}")]);
    command.args(ALICE.iter().map(|(name, value)| format!("{name}: {value}")));
    let output = command.env("AUTHENTICATOR_SECRET", "demo-signing-key-of-the-authenticator").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    lines.lines().map(split).collect()
}

fn borrowed(lines: &[(String, String)]) -> Vec<(&str, &str)> {
    lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn signature_of_the_authenticator_is_good_for_its_request_only() {
    let world = World::start("signature.yaml", |_| {});
    let good = signed("GET", "/");
    let (reply, arrived) = world.send(&borrowed(&good));
    let arrived = arrived.expect("it arrived");
    assert!(arrived.value("signature").is_none() && arrived.value("signature-input").is_none());
    assert_eq!(issued((reply, Some(arrived)))["sub"], "internal-alice");

    denied(world.send(ALICE), Code::IdentityUntrusted);
    for other in [signed("POST", "/"), signed("GET", "/elsewhere")] {
        denied(world.send(&borrowed(&other)), Code::IdentityUntrusted);
    }
    let more = [borrowed(&good), vec![("x-auth-roles", "admin")]].concat();
    denied(world.send(&more), Code::IdentityUntrusted);
}

// === several entries ===

fn the_first_entry_that_proves_decides_which_realms() {
    let here = json!({"cidrs": ["127.0.0.1/32"]});
    let elsewhere = json!({"cidrs": ["192.0.2.0/24"]});
    let world = World::trusting(
        "peer.yaml",
        &json!([
            {"peer": elsewhere, "realms": ["internal"]},
            {"filter_state": {"key": "absent", "value": "yes"}, "realms": ["internal"]},
            {"peer": here, "realms": ["partners"]},
            {"peer": here},
        ]),
    );
    denied(world.send(ALICE), Code::RealmNotAllowed);
    let partner = [("x-auth-username", "bob"), ("x-auth-realm", "partners")];
    assert_eq!(issued(world.send(&partner))["sub"], "partners-bob");
}

// === filter_state ===

/// A token of the identity provider that `in-chain.yaml` trusts; null removes a claim.
fn provider_token(changes: &Value) -> String {
    let pem = include_str!("idp-demo-key.pem");
    let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({
        "iss": "https://idp.example.com", "aud": "gateway", "sub": "7", "exp": now + 60,
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

fn a_token_of_the_provider_goes_in_and_one_of_ours_comes_out() {
    let world = World::start("in-chain.yaml", |_| {});
    let bearer = provider_token(&json!({}));
    let claims = issued(world.send(&[("authorization", &bearer)]));
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
        assert_eq!(timeless(issued(world.send(&headers.concat()))), timeless(claims.clone()));
    }

    // Not even where the provider says nothing that would replace them.
    let bearer = provider_token(&json!({"groups": null, "email": null}));
    let claims = issued(world.send(&[&[("authorization", &*bearer)], FORGED].concat()));
    assert_eq!((&claims["roles"], &claims["attributes"]), (&json!([]), &json!({})));
    let bearer = provider_token(&json!({"preferred_username": null, "groups": null, "email": null}));
    denied(world.send(&[&[("authorization", &*bearer)], FORGED].concat()), Code::IdentityMissing);
}

fn without_a_valid_token_of_the_provider_nothing_comes_out() {
    let world = World::start("in-chain.yaml", |_| {});
    denied(world.send(&[]), Code::IdentityMissing);
    denied(world.send(FORGED), Code::IdentityMissing);
    denied(world.send(&[FORGED, &[("authorization", "Basic cm9vdDo=")]].concat()), Code::IdentityMissing);
    // An alias is no header that the early mutation removes: the filter itself refuses it.
    denied(world.send(&[("x_auth_username", "root")]), Code::IdentityMalformed);
    let mut bad_signature = provider_token(&json!({}));
    bad_signature.replace_range(bad_signature.len() - 8.., "AAAAAAAA");
    for bearer in [
        bad_signature,
        provider_token(&json!({"iss": "https://other.example.com"})),
        provider_token(&json!({"aud": "other"})),
        provider_token(&json!({"exp": 1})),
        "Bearer forged".to_owned(),
    ] {
        let (reply, arrived) = world.send(&[FORGED, &[("authorization", &*bearer)]].concat());
        assert!(matches!(reply.status, 401 | 403), "{bearer}: {reply:?}");
        assert_eq!(reply.value("content-type").unwrap(), "text/plain", "jwt_authn itself refuses it");
        assert!(arrived.is_none(), "{bearer}: {arrived:?}");
    }
}

fn a_request_that_may_pass_without_a_token_passes_without_the_headers_of_the_client() {
    // jwt_authn removes the headers that it sets, too: without it, each must still be gone.
    for authenticates in [true, false] {
        let world = World::start("in-chain.yaml", |bootstrap| {
            set(bootstrap, "on_missing", &json!("pass"));
            if !authenticates {
                remove_filter(bootstrap, "envoy.filters.http.jwt_authn");
            }
        });
        let (reply, arrived) = world.send(FORGED);
        assert_eq!(reply.status, 200, "{reply:?}");
        let arrived = arrived.expect("it arrived");
        let ours = |name: &str| name.starts_with("x-auth") || name == "authorization";
        assert!(!arrived.headers.iter().any(|(name, _)| ours(name)), "{arrived:?}");
    }
}

/// The evidence alone holds too: even if nothing removed the client's headers, they would be proven by nothing.
fn evidence_is_there_only_when_a_token_was_verified() {
    let world = World::start("in-chain.yaml", |bootstrap| {
        let manager = manager(bootstrap).as_object_mut().unwrap();
        manager.remove("early_header_mutation_extensions").unwrap();
    });
    denied(world.send(FORGED), Code::IdentityUntrusted);
    assert_eq!(issued(world.send(&[("authorization", &provider_token(&json!({})))]))["sub"], "corp-alice");
}

// === mtls ===

const SPIFFE: &str = "spiffe://cluster.local/ns/auth/sa/authenticator";

fn mtls_by_uri_san() {
    let world = World::start("mtls.yaml", |_| {});
    let client = world.authority.client(&[uri(SPIFFE), dns("authenticator.example.com")]);
    assert_eq!(issued(world.send_tls(&client, ALICE))["sub"], "internal-alice");

    for names in [
        vec![uri("spiffe://cluster.local/ns/auth/sa/other")],
        vec![uri(&format!("{SPIFFE}/x"))],
        vec![dns("authenticator.example.com")],
        vec![],
    ] {
        let other = world.authority.client(&names);
        denied(world.send_tls(&other, ALICE), Code::IdentityUntrusted);
        let fake = format!("By=spiffe://gateway;Hash=00;Subject=\"\";URI={SPIFFE}");
        denied(
            world.send_tls(&other, &[ALICE, &[("x-forwarded-client-cert", &*fake)]].concat()),
            Code::IdentityUntrusted,
        );
    }
}

fn mtls_sees_the_first_name_of_a_certificate_only() {
    let world = World::start("mtls.yaml", |_| {});
    let client = world.authority.client(&[uri("spiffe://cluster.local/ns/auth/sa/other"), uri(SPIFFE)]);
    denied(world.send_tls(&client, ALICE), Code::IdentityUntrusted);
}

fn mtls_by_dns_san() {
    let world = World::trusting("mtls.yaml", &json!([{"mtls": {"dns_sans": ["Authenticator.example.com"]}}]));
    let client = world.authority.client(&[dns("authenticator.example.com")]);
    assert_eq!(issued(world.send_tls(&client, ALICE))["sub"], "internal-alice");
    for name in ["other.example.com", "*.example.com", "x.authenticator.example.com"] {
        denied(world.send_tls(&world.authority.client(&[dns(name)]), ALICE), Code::IdentityUntrusted);
    }
}

fn mtls_by_fingerprint() {
    let authority = Authority::new();
    let client = authority.client(&[]);
    let other = authority.client(&[]);
    // As `openssl x509 -fingerprint -sha256` shows it.
    let digest = Sha256::digest(client.certificate.der());
    let fingerprint = digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
    let trust = json!([{"mtls": {"fingerprints": [fingerprint]}}]);
    let world = World::of(authority, "mtls.yaml", |bootstrap| set_trust(bootstrap, &trust));
    assert_eq!(issued(world.send_tls(&client, ALICE))["sub"], "internal-alice");
    denied(world.send_tls(&other, ALICE), Code::IdentityUntrusted);
}

fn mtls_needs_a_certificate_of_the_right_authority() {
    let world = World::start("mtls.yaml", |_| {});
    let port = world.envoy.port("gateway");
    let stranger = Authority::new().client(&[uri(SPIFFE)]);
    for client in [None, Some(&stranger)] {
        assert!(world.authority.send(port, client, &request(ALICE)).is_none());
        assert!(world.upstream.take("case").is_none());
    }
    assert!(support::send(port, &request(ALICE)).is_none(), "no TLS at all");
}

/// A listener that only asks for a certificate, and a client that shows none.
fn mtls_without_a_certificate_proves_nothing() {
    let world = World::start("mtls.yaml", |bootstrap| {
        let chain = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0];
        chain["transport_socket"]["typed_config"]["require_client_certificate"] = json!(false);
    });
    let fake = format!("URI={SPIFFE}");
    let request = request(&[ALICE, &[("x-forwarded-client-cert", &*fake)]].concat());
    let reply = world.authority.send(world.envoy.port("gateway"), None, &request).expect("a reply");
    denied((reply, world.upstream.take("case")), Code::IdentityUntrusted);
}

pub fn trials() -> Vec<Trial> {
    plain![
        peer_in_a_range_gets_a_token,
        peer_elsewhere_gets_none_whatever_it_says_of_itself,
        peer_without_the_native_filter_is_unknown,
        signature_of_the_authenticator_is_good_for_its_request_only,
        the_first_entry_that_proves_decides_which_realms,
        a_token_of_the_provider_goes_in_and_one_of_ours_comes_out,
        without_a_valid_token_of_the_provider_nothing_comes_out,
        a_request_that_may_pass_without_a_token_passes_without_the_headers_of_the_client,
        evidence_is_there_only_when_a_token_was_verified,
        mtls_by_uri_san,
        mtls_sees_the_first_name_of_a_certificate_only,
        mtls_by_dns_san,
        mtls_by_fingerprint,
        mtls_needs_a_certificate_of_the_right_authority,
        mtls_without_a_certificate_proves_nothing,
    ]
}
