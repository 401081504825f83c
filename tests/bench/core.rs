//! What a decision costs in the core, natively: `make bench-core`. Denying must not cost more than issuing.

use std::cell::Cell;

use auth_o_tron_envoy::{
    config::field::Report,
    identity::formats::MAX_LIST_ITEMS,
    jwt::hs256::SigningKey,
    pairs::Pair,
    policy::Policy,
    request::{Facts, Request},
    telemetry::Outcome,
    trust::signature::MAX_LABELS,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use divan::{Bencher, black_box};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

const NOW: i64 = 1_704_063_600;
const SECRET: &str = "a secret of the gateway, long enough";

type Headers = Vec<(&'static str, String)>;

fn main() {
    divan::main();
}

fn identity() -> Headers {
    vec![
        (":method", "GET".to_owned()),
        (":scheme", "https".to_owned()),
        (":authority", "example.com".to_owned()),
        (":path", "/orders?page=2".to_owned()),
        ("user-agent", "curl/8.5.0".to_owned()),
        ("accept", "*/*".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
        ("x-request-id", "6efeaf53-5c1e-44fe-9e7e-3c86429e44c6".to_owned()),
        ("x-auth-username", "alice".to_owned()),
        ("x-auth-realm", "internal".to_owned()),
        ("x-auth-roles", "admin,developer".to_owned()),
        ("x-auth-scopes", "read write".to_owned()),
        ("x-auth-attributes", r#"{"department":"engineering","team":"platform"}"#.to_owned()),
    ]
}

fn with(mut headers: Headers, name: &'static str, value: impl Into<String>) -> Headers {
    headers.push((name, value.into()));
    headers
}

/// `count` labels, all wrong, except for the last one if `signed`.
fn signed(count: usize, signed: bool) -> Headers {
    let names = ["@method", "@authority", "@path"].into_iter().chain([
        "x-auth-username",
        "x-auth-realm",
        "x-auth-roles",
        "x-auth-scopes",
        "x-auth-attributes",
    ]);
    let names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    let params = format!(r#"({});created={NOW};keyid="gw-1""#, names.join(" "));
    let mut base = "\"@method\": GET\n\"@authority\": example.com\n\"@path\": /orders\n".to_owned();
    for (name, value) in identity().iter().filter(|(name, _)| name.starts_with("x-auth-")) {
        base.extend(["\"", name, "\": ", value, "\n"]);
    }
    base.extend(["\"@signature-params\": ", &params]);
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(base).finalize().into_bytes();
    let labels = |value: &dyn Fn(usize) -> String| {
        (0..count).map(|n| format!("sig{n}={}", value(n))).collect::<Vec<_>>().join(", ")
    };
    let is_right = |n: usize| signed && n + 1 == count;
    let macs = labels(&|n| format!(":{}:", STANDARD.encode(if is_right(n) { &mac[..] } else { &[7; 32] })));
    with(with(identity(), "signature-input", labels(&|_| params.clone())), "signature", macs)
}

/// How a request must end.
#[derive(Clone, Copy)]
enum End {
    Signed,
    Reused,
    Denied,
}

fn policy(trust: &serde_json::Value) -> Policy {
    let configuration = json!({
        "jwt": {"iss": "auth-o-tron.example.com", "exp": 3600, "secret": SECRET},
        "trust": [trust],
    });
    Policy::from_json(configuration.to_string().as_bytes(), &|_| None, &Report::default()).unwrap()
}

fn pairs(headers: &Headers) -> Vec<Pair<'_>> {
    headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
}

/// What the host says for those entries of [`proof`] that ask it.
fn property(path: &[&str]) -> Option<Vec<u8>> {
    match path {
        ["connection", "mtls"] => Some(vec![1]),
        ["connection", "uri_san_peer_certificate"] => Some(b"spiffe://example.com/authenticator".to_vec()),
        ["filter_state", "auth_o_tron.peer"] => Some(b"10.1.2.3".to_vec()),
        ["filter_state", "authenticated"] => Some(b"yes".to_vec()),
        _ => None,
    }
}

/// One entry of each kind.
const PROOFS: [&str; 5] = ["shared_secret", "signature", "mtls", "peer", "filter_state"];

/// An entry, and a request that it proves.
fn proof(kind: &str) -> (serde_json::Value, Headers) {
    match kind {
        "shared_secret" => (shared_secret(), with(identity(), "x-auth-proof", SECRET)),
        "signature" => (signature(), signed(1, true)),
        "mtls" => (json!({"mtls": {"uri_sans": ["spiffe://example.com/authenticator"]}}), identity()),
        "peer" => (json!({"peer": {"cidrs": ["10.0.0.0/8"]}}), identity()),
        "filter_state" => (json!({"filter_state": {"key": "authenticated", "value": "yes"}}), identity()),
        _ => unreachable!("{kind} is no kind of proof"),
    }
}

/// The least that any request costs.
#[divan::bench]
fn scan(bencher: Bencher<'_, '_>) {
    let (policy, headers) = (policy(&shared_secret()), with(identity(), "x-auth-proof", SECRET));
    let pairs = pairs(&headers);
    bencher.bench_local(|| black_box(Request::scan(policy.names(), black_box(&pairs))).has_identity());
}

#[divan::bench(args = PROOFS)]
fn reuse(bencher: Bencher<'_, '_>, kind: &str) {
    let (trust, headers) = proof(kind);
    measure(bencher, &trust, &headers, End::Reused);
}

#[divan::bench(args = PROOFS)]
fn issue(bencher: Bencher<'_, '_>, kind: &str) {
    let (trust, headers) = proof(kind);
    measure(bencher, &trust, &headers, End::Signed);
}

/// Measures a request, from header lines to verdict, after checking that it ends as it should.
fn measure(bencher: Bencher<'_, '_>, trust: &serde_json::Value, headers: &Headers, end: End) {
    let policy = policy(trust);
    let pairs = pairs(headers);
    let seconds = Cell::new(0);
    let decide = |pairs| {
        // A token of another second does not count in this one, so it is signed anew.
        seconds.set(if matches!(end, End::Reused) { 0 } else { 1 - seconds.get() });
        let request = Request::scan(policy.names(), pairs);
        policy.decide(&request, &Facts::new(NOW + seconds.get(), &property)).verdict.outcome()
    };
    decide(&pairs);
    let found = decide(&pairs);
    assert!(matches!(
        (end, found),
        (End::Signed, Outcome::Issued) | (End::Reused, Outcome::Reused) | (End::Denied, Outcome::Denied(_))
    ));
    bencher.bench_local(|| black_box(decide(black_box(&pairs))));
}

fn shared_secret() -> serde_json::Value {
    json!({"shared_secret": {"header": "x-auth-proof", "secret": SECRET}})
}

fn signature() -> serde_json::Value {
    json!({"signature": {"keys": [{"keyid": "gw-1", "secret": SECRET}]}})
}

#[divan::bench]
fn shared_secret_deny_untrusted(bencher: Bencher<'_, '_>) {
    measure(bencher, &shared_secret(), &with(identity(), "x-auth-proof", SECRET.to_uppercase()), End::Denied);
}

fn with_roles(count: usize) -> Headers {
    let mut headers = with(identity(), "x-auth-proof", SECRET);
    headers.retain(|(name, _)| *name != "x-auth-roles");
    with(headers, "x-auth-roles", vec!["r"; count].join(","))
}

#[divan::bench]
fn shared_secret_issue_most_roles(bencher: Bencher<'_, '_>) {
    measure(bencher, &shared_secret(), &with_roles(MAX_LIST_ITEMS), End::Signed);
}

#[divan::bench]
fn shared_secret_deny_one_role_more(bencher: Bencher<'_, '_>) {
    measure(bencher, &shared_secret(), &with_roles(MAX_LIST_ITEMS + 1), End::Denied);
}

#[divan::bench]
fn signature_deny_wrong_mac(bencher: Bencher<'_, '_>) {
    measure(bencher, &signature(), &signed(1, false), End::Denied);
}

/// The most expensive that an attacker can make it: every label that is tried has to be verified.
#[divan::bench]
fn signature_deny_most_labels(bencher: Bencher<'_, '_>) {
    measure(bencher, &signature(), &signed(MAX_LABELS, false), End::Denied);
}

/// What issuing costs with as many labels.
#[divan::bench]
fn signature_issue_most_labels(bencher: Bencher<'_, '_>) {
    measure(bencher, &signature(), &signed(MAX_LABELS, true), End::Signed);
}

/// The claims of one token, as given to `jsonwebtoken` and as the filter signs them.
fn claims() -> serde_json::Value {
    json!({
        "sub": "internal-alice", "iss": "auth-o-tron.example.com", "exp": NOW + 3600, "iat": NOW,
        "roles": ["admin", "developer"], "username": "alice", "realm": "internal", "scopes": ["read", "write"],
        "attributes": {"department": "engineering", "team": "platform"},
    })
}

#[divan::bench]
fn sign_ours(bencher: Bencher<'_, '_>) {
    let (key, claims) = (SigningKey::new(SECRET.as_bytes(), None).unwrap(), claims());
    bencher.bench_local(|| black_box(key.sign("", &serde_json::to_vec(black_box(&claims)).unwrap())));
}

#[divan::bench]
fn sign_jsonwebtoken(bencher: Bencher<'_, '_>) {
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let (header, claims) = (jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256), claims());
    bencher.bench_local(|| black_box(jsonwebtoken::encode(&header, black_box(&claims), &key).unwrap()));
}
