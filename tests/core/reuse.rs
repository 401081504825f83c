//! Reuse of tokens, on the core: a token is handed out again only to the very same identity, and only in its time.

use std::collections::HashSet;

use auth_o_tron_envoy::{policy::Policy, telemetry::Outcome};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::policy::{decide, policy};

const NOW: i64 = 1_704_063_600;
/// 1704063610, ten seconds later.
const ROTATION: &str = "2023-12-31T23:00:10Z";

fn reusing(reuse: i64, claims: &Value) -> Policy {
    let configuration = json!({
        "jwt": {
            "iss": "a", "aud": "b", "exp": 60, "kid": "first", "secret": "the first secret that signs the tokens",
            "rotation": [
                {"kid": "second", "secret": "the second secret that signs the tokens", "not_before": ROTATION},
            ],
        },
        "identity": {"attributes": {"from": {"email": "x-email"}}},
        "trust": [
            {"shared_secret": {"header": "x-proof", "secret": "internal"}, "realms": ["r", "br"]},
            {"shared_secret": {"header": "x-proof", "secret": "partner"}},
        ],
        "rules": [
            {"match": {"path_prefix": "/other-issuer"}, "jwt": {"iss": "other"}},
            {"match": {"path_prefix": "/other-audience"}, "jwt": {"aud": "other"}},
            {"match": {"path_prefix": "/other-lifetime"}, "jwt": {"exp": 50}},
        ],
        "token": {"reuse": reuse},
        "claims": claims,
    });
    policy(&configuration)
}

type Headers = Vec<(&'static str, &'static str)>;

fn alice() -> Headers {
    vec![(":path", "/"), ("x-auth-username", "alice"), ("x-auth-realm", "r"), ("x-proof", "internal")]
}

fn with(mut headers: Headers, name: &'static str, value: &'static str) -> Headers {
    headers.retain(|(own, _)| *own != name);
    headers.push((name, value));
    headers
}

fn part(token: &str, index: usize) -> Value {
    let part = token.strip_prefix("Bearer ").unwrap().split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// What is handed out again: `reuse`, what comes second and how many seconds later → the outcome.
#[test]
fn a_token_is_handed_out_again_to_the_same_identity_in_its_time() {
    let own_expiry = || with(alice(), "x-auth-attributes", r#"{"exp":"1704063603"}"#);
    for (name, reuse, first, second, later, expected) in [
        ("the same second", 0, alice(), alice(), 0, Outcome::Reused),
        ("the next second", 0, alice(), alice(), 1, Outcome::Issued),
        ("the last second", 5, alice(), alice(), 5, Outcome::Reused),
        ("after the last second", 5, alice(), alice(), 6, Outcome::Issued),
        ("a clock that went back", 5, alice(), alice(), -1, Outcome::Issued),
        ("another rule", 5, alice(), with(alice(), ":path", "/other-issuer"), 0, Outcome::Issued),
        ("another path", 5, alice(), with(alice(), ":path", "/elsewhere"), 0, Outcome::Reused),
        ("another client token", 5, alice(), with(alice(), "authorization", "x"), 0, Outcome::Reused),
        ("another prover", 5, alice(), with(alice(), "x-proof", "partner"), 0, Outcome::Issued),
        ("the second before the rotation", 30, alice(), alice(), 9, Outcome::Reused),
        ("the second of the rotation", 30, alice(), alice(), 10, Outcome::Issued),
        ("the second before the user's expiry", 30, own_expiry(), own_expiry(), 2, Outcome::Reused),
    ] {
        let policy = reusing(reuse, &json!({}));
        assert_eq!(decide(&policy, &first, NOW).outcome, Outcome::Issued, "{name}");
        assert_eq!(decide(&policy, &second, NOW + later).outcome, expected, "{name}");
    }
}

#[test]
fn what_was_handed_out_needs_its_proof_and_its_user_as_ever() {
    let policy = reusing(30, &json!({}));
    let headers = with(alice(), "x-auth-attributes", r#"{"exp":"1704063603"}"#);
    assert!(decide(&policy, &headers, NOW).is_issued());
    for (headers, now, code) in [
        (with(headers.clone(), "x-proof", "wrong"), NOW, "identity_untrusted"),
        (with(headers.clone(), "connection", "x-proof"), NOW, "identity_malformed"),
        (headers, NOW + 3, "identity_expired"),
    ] {
        assert_eq!(decide(&policy, &headers, now).outcome.as_str(), code);
    }
}

#[test]
fn a_realm_that_one_party_may_assert_is_none_of_another_partys() {
    let policy = reusing(30, &json!({}));
    let partner = with(with(alice(), "x-proof", "partner"), "x-auth-realm", "partners");
    assert!(decide(&policy, &partner, NOW).is_issued());
    let internal = with(partner, "x-proof", "internal");
    assert_eq!(decide(&policy, &internal, NOW).outcome.as_str(), "realm_not_allowed");
}

#[test]
fn with_jti_every_token_is_another_unless_reuse_is_asked_for() {
    let (one_each, reused) = (reusing(0, &json!({"jti": true})), reusing(5, &json!({"jti": true})));
    let ids: HashSet<_> =
        (0..100).map(|_| part(decide(&one_each, &alice(), NOW).value(), 1)["jti"].to_string()).collect();
    assert_eq!(ids.len(), 100);
    let token = |now| decide(&reused, &alice(), now).value().to_owned();
    let first = token(NOW);
    assert_eq!(token(NOW + 5), first);
    assert_ne!(token(NOW + 6), first);
}

/// A request whose parts may differ from another's in one byte, or in where one part ends and the next begins.
fn any_request() -> impl Strategy<Value = Headers> {
    let header = |name: &'static str, values: &'static [&'static str]| {
        prop::option::weighted(0.7, prop::sample::select(values))
            .prop_map(move |value| value.map(|value| (name, value)))
    };
    let parts = (
        prop::sample::select(vec!["/", "/", "/", "/other-issuer", "/other-audience", "/other-lifetime"]),
        header("x-auth-username", &["a", "ab"]),
        header("x-auth-realm", &["r", "br"]),
        header("x-auth-roles", &["a"]),
        header("x-auth-scopes", &["a"]),
        header("x-auth-attributes", &[r#"{"exp":"1704063604"}"#, r#"{"exp":"1704063630"}"#]),
        header("x-email", &["a"]),
        prop::sample::select(vec!["internal", "internal", "partner"]),
    );
    parts.prop_map(|(path, a, b, c, d, e, f, proof)| {
        let always = [(":path", path), ("x-proof", proof)];
        always.into_iter().chain([a, b, c, d, e, f].into_iter().flatten()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever came before, an answer says what it would have said had nothing come before; with `reuse: 0` to the
    /// byte, else but for the second in which the token was made.
    #[test]
    fn no_two_requests_that_differ_in_the_token_share_one(
        reuse in prop::sample::select(vec![0, 3]),
        requests in prop::collection::vec((any_request(), prop::sample::select(vec![0_i64, 0, 0, 1])), 2..40),
    ) {
        let shared = reusing(reuse, &json!({"aud": true}));
        let mut now = NOW;
        for (headers, pause) in requests {
            now += pause;
            let verdict = decide(&shared, &headers, now);
            let alone = decide(&reusing(reuse, &json!({"aud": true})), &headers, now);
            if !verdict.is_issued() || !alone.is_issued() {
                prop_assert_eq!(verdict, alone);
                continue;
            }
            let (value, expected) = (verdict.value(), alone.value());
            prop_assert_eq!(part(value, 0), part(expected, 0), "the key in use");
            let (mut claims, mut expected_claims) = (part(value, 1), part(expected, 1));
            let made = claims["iat"].as_i64().unwrap();
            prop_assert!((now - reuse..=now).contains(&made) && now < claims["exp"].as_i64().unwrap());
            // The user's own expiry, where there is one, is that of every token; else it is counted from `iat`.
            let later = now - made;
            for claims in [&mut claims, &mut expected_claims] {
                let exp = claims["exp"].take().as_i64().unwrap();
                let lifetime = exp - claims["iat"].take().as_i64().unwrap();
                claims["exp"] = if claims["attributes"]["exp"].is_null() { json!(lifetime) } else { json!(exp) };
            }
            prop_assert_eq!(claims, expected_claims);
            prop_assert!(later > 0 || value == expected);
        }
    }
}
