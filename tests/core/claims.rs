//! The token: every line of the claims table, on the core, with `jsonwebtoken` as the independent verifier.
//!
//! The table is the seed page of Auth-O-Tron's JWT signing with this project's stricter lines; see the README.

use auth_o_tron_envoy::{policy::Policy, rejection::Code};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::policy::{Decided, decide, policy};

/// The configuration and the payload of the seed page.
const SECRET: &str = "your-256-bit-secret-key-here-minimum-32-characters";
const SEED_NOW: i64 = 1_704_063_600;
const SEED_PAYLOAD: &str = concat!(
    r#"{"sub":"internal-alice","iss":"auth-o-tron.example.com","exp":1704067200,"iat":1704063600,"#,
    r#""roles":["admin","developer"],"username":"alice","realm":"internal","scopes":["read","write"],"#,
    r#""attributes":{"department":"engineering","team":"platform"}}"#
);
const SEED_HEADERS: &[(&str, &str)] = &[
    ("x-auth-username", "alice"),
    ("x-auth-realm", "internal"),
    ("x-auth-roles", "admin,developer"),
    ("x-auth-scopes", "read write"),
    ("x-auth-attributes", r#"{"team":"platform","department":"engineering"}"#),
    PROOF,
];
const ALICE: &[(&str, &str)] = &[("x-auth-username", "alice"), ("x-auth-realm", "internal"), PROOF];
const PROOF: (&str, &str) = ("x-auth-proof", "the proof of the gateway");

/// The seed page's configuration with `changes` laid over it (RFC 7396, without its nulls).
fn changed(changes: &Value) -> Policy {
    let mut configuration = json!({
        "jwt": {"iss": "auth-o-tron.example.com", "aud": "my-application", "exp": 3600, "secret": SECRET},
        "trust": [{"shared_secret": {"header": PROOF.0, "secret": PROOF.1}}],
    });
    merge(&mut configuration, changes);
    policy(&configuration)
}

fn merge(target: &mut Value, changes: &Value) {
    match (target, changes) {
        (Value::Object(target), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(target.entry(key).or_insert(Value::Null), change);
            }
        }
        (target, change) => *target = change.clone(),
    }
}

fn at_seed(changes: &Value, headers: &[(&str, &str)]) -> Decided {
    decide(&changed(changes), headers, SEED_NOW)
}

fn issue(changes: &Value, headers: &[(&str, &str)]) -> String {
    at_seed(changes, headers).token().to_owned()
}

fn part(token: &str, index: usize) -> String {
    let part = token.split('.').nth(index).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn claims(changes: &Value, headers: &[(&str, &str)]) -> Value {
    serde_json::from_str(&part(&issue(changes, headers), 1)).unwrap()
}

/// `headers` with one more.
fn with<'a>(headers: &[(&'a str, &'a str)], name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    headers.iter().copied().chain([(name, value)]).collect()
}

/// What `jsonwebtoken` reads from a token whose signature it has verified.
fn verify(token: &str, secret: &str) -> jsonwebtoken::errors::Result<Value> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode(token, &DecodingKey::from_secret(secret.as_bytes()), &validation).map(|data| data.claims)
}

#[test]
fn the_seed_example_reproduces_claim_by_claim_in_its_order() {
    assert_eq!(part(&issue(&json!({}), SEED_HEADERS), 1), SEED_PAYLOAD);
}

#[test]
fn an_independent_verifier_accepts_the_token_and_no_other_secret() {
    let token = issue(&json!({}), SEED_HEADERS);
    assert_eq!(verify(&token, SECRET).unwrap(), serde_json::from_str::<Value>(SEED_PAYLOAD).unwrap());
    assert!(verify(&token, &SECRET.to_uppercase()).is_err());
}

#[test]
fn jose_header_is_typ_and_alg() {
    assert_eq!(part(&issue(&json!({}), ALICE), 0), r#"{"typ":"JWT","alg":"HS256"}"#);
}

#[test]
fn jose_header_has_kid_when_the_key_has_one() {
    let changes = json!({"jwt": {"kid": "2026-11"}});
    assert_eq!(part(&issue(&changes, ALICE), 0), r#"{"typ":"JWT","alg":"HS256","kid":"2026-11"}"#);
}

#[test]
fn sub_is_realm_and_username() {
    assert_eq!(claims(&json!({}), ALICE)["sub"], "internal-alice");
}

#[test]
fn iss_is_jwt_iss() {
    assert_eq!(claims(&json!({"jwt": {"iss": "https://idp"}}), ALICE)["iss"], "https://idp");
}

#[test]
fn aud_is_there_only_with_claims_aud() {
    assert_eq!(claims(&json!({}), ALICE).get("aud"), None);
    let payload = part(&issue(&json!({"claims": {"aud": true}}), ALICE), 1);
    let expected = r#"{"sub":"internal-alice","iss":"auth-o-tron.example.com","aud":"my-application","exp":"#;
    assert!(payload.starts_with(expected), "{payload}");
}

#[test]
fn exp_is_now_plus_jwt_exp() {
    assert_eq!(claims(&json!({"jwt": {"exp": 60}}), ALICE)["exp"], SEED_NOW + 60);
}

#[test]
fn exp_is_the_users_own_where_that_is_sooner_and_stays_an_attribute() {
    for (own, expected) in
        [(SEED_NOW + 1, SEED_NOW + 1), (SEED_NOW + 3600, SEED_NOW + 3600), (i64::MAX, SEED_NOW + 3600)]
    {
        let attributes = json!({"exp": own.to_string()}).to_string();
        let claims = claims(&json!({}), &with(ALICE, "x-auth-attributes", &attributes));
        assert_eq!(claims["exp"], expected);
        assert_eq!(claims["attributes"]["exp"], own.to_string());
    }
}

#[test]
fn exp_in_the_past_or_unreadable_is_denied() {
    for (own, expected) in [
        (SEED_NOW.to_string().as_str(), Code::IdentityExpired),
        ("0", Code::IdentityExpired),
        ("-1", Code::IdentityExpired),
        ("tomorrow", Code::IdentityMalformed),
        ("1704067200.5", Code::IdentityMalformed),
        ("", Code::IdentityMalformed),
        ("99999999999999999999", Code::IdentityMalformed),
    ] {
        let attributes = json!({"exp": own}).to_string();
        let verdict = at_seed(&json!({}), &with(ALICE, "x-auth-attributes", &attributes));
        assert_eq!(verdict.code(), expected, "{own}");
    }
}

/// With Authelia's headers an empty one says nothing, but nobody has no name, and a limit that says nothing is no limit
/// that anybody can read.
#[test]
fn an_empty_username_or_exp_is_denied_also_where_other_headers_may_be_empty() {
    let preset = json!({"identity": {
        "preset": "authelia", "realm": {"value": "corp"}, "attributes": {"from": {"exp": "x-exp", "email": "x-email"}},
    }});
    let headers = [("remote-user", "alice"), ("remote-groups", ""), ("x-email", ""), PROOF];
    assert_eq!(claims(&preset, &headers)["attributes"], json!({}));
    assert_eq!(claims(&preset, &headers)["roles"], json!([]));
    for (username, flaw) in [("", "empty"), (&*"a".repeat(257), "longer than 256 bytes")] {
        let decided = at_seed(&preset, &with(&headers[1..], "remote-user", username));
        assert_eq!(decided.code(), Code::IdentityMalformed);
        assert_eq!(decided.reason.unwrap(), format!("username in remote-user: {flaw}"));
    }
    assert_eq!(at_seed(&preset, &with(&headers, "x-exp", "")).code(), Code::IdentityMalformed);
}

#[test]
fn iat_is_now() {
    assert_eq!(claims(&json!({}), ALICE)["iat"], SEED_NOW);
}

#[test]
fn roles_keep_their_order_and_are_always_there() {
    assert_eq!(claims(&json!({}), &with(ALICE, "x-auth-roles", "b,a,b"))["roles"], json!(["b", "a", "b"]));
    assert_eq!(claims(&json!({}), ALICE)["roles"], json!([]));
}

#[test]
fn username_and_realm_are_as_asserted() {
    let headers = [("x-auth-username", "Jürgen \"J\" O'Neill"), ("x-auth-realm", "Ä-realm"), PROOF];
    let claims = claims(&json!({}), &headers);
    assert_eq!(claims["username"], "Jürgen \"J\" O'Neill");
    assert_eq!(claims["realm"], "Ä-realm");
}

#[test]
fn scopes_list_is_absent_when_there_are_none() {
    assert_eq!(claims(&json!({}), &with(ALICE, "x-auth-scopes", "read write"))["scopes"], json!(["read", "write"]));
    assert_eq!(claims(&json!({}), ALICE).get("scopes"), None);
}

#[test]
fn scopes_map_has_the_realm_as_service_and_is_always_there() {
    let map = json!({"claims": {"scopes": "map"}});
    assert_eq!(
        claims(&map, &with(ALICE, "x-auth-scopes", "read write"))["scopes"],
        json!({"internal": ["read", "write"]})
    );
    assert_eq!(claims(&map, ALICE)["scopes"], json!({}));
}

#[test]
fn scopes_map_passes_a_json_object_through_and_scopes_list_refuses_it() {
    let scopes = json!({"s3": ["get", "put"], "mars": []});
    let headers = &with(ALICE, "x-auth-scopes", r#"{"s3":["get","put"],"mars":[]}"#);
    let format = json!({"scopes": {"format": "json"}});
    assert_eq!(claims(&json!({"identity": format, "claims": {"scopes": "map"}}), headers)["scopes"], scopes);
    assert_eq!(at_seed(&json!({"identity": format}), headers).code(), Code::IdentityMalformed);
}

#[test]
fn attributes_are_strings_by_sorted_key_and_always_there() {
    assert_eq!(claims(&json!({}), ALICE)["attributes"], json!({}));
    let from = json!({"identity": {"attributes": {"from": {"email": "x-email", "a": "x-a"}}}});
    let headers = with(ALICE, "x-auth-attributes", r#"{"z":"1","b":"2"}"#);
    let token = issue(&from, &with(&headers, "x-email", "alice@example.com"));
    let expected = r#""attributes":{"b":"2","email":"alice@example.com","z":"1"}}"#;
    assert!(part(&token, 1).ends_with(expected), "{}", part(&token, 1));
}

#[test]
fn equal_identities_give_equal_tokens() {
    let other_order: Vec<_> = SEED_HEADERS.iter().rev().copied().collect();
    assert_eq!(issue(&json!({}), SEED_HEADERS), issue(&json!({}), &other_order));
}

#[test]
fn a_token_over_max_bytes_is_denied() {
    let length = issue(&json!({}), SEED_HEADERS).len();
    let limit = |max_bytes: usize| json!({"token": {"max_bytes": max_bytes}});
    assert_eq!(issue(&limit(length), SEED_HEADERS).len(), length);
    assert_eq!(at_seed(&limit(length - 1), SEED_HEADERS).code(), Code::IdentityMalformed);
}

#[test]
fn extra_claims_follow_the_others_and_are_the_same_in_every_token() {
    let changes = json!({"claims": {"extra": {"z": [1, {"b": null}], "env": "prod"}}});
    let payload = part(&issue(&changes, SEED_HEADERS), 1);
    let common = SEED_PAYLOAD.strip_suffix('}').unwrap();
    assert_eq!(payload, format!(r#"{common},"env":"prod","z":[1,{{"b":null}}]}}"#));
}

/// RFC 7519, section 4.1.7: 128 random bits, another in every token.
#[test]
fn jti_is_128_bits_and_another_in_every_token() {
    let ids = [(); 2].map(|()| claims(&json!({"claims": {"jti": true}}), ALICE)["jti"].as_str().unwrap().to_owned());
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        assert_eq!(URL_SAFE_NO_PAD.decode(id).unwrap().len(), 16);
    }
    assert_eq!(claims(&json!({}), ALICE).get("jti"), None);
}

/// The key in use signs, and its name is in the JOSE header.
#[test]
fn keys_take_over_at_their_second() {
    const NEXT: &str = "the next secret, as long as any has to be";
    // In another time zone; the seed page's now plus ten seconds.
    let rotation = json!([{"kid": "next", "secret": NEXT, "not_before": "2024-01-01T00:00:10+01:00"}]);
    for (now, secret, header) in [
        (SEED_NOW + 9, SECRET, r#"{"typ":"JWT","alg":"HS256"}"#),
        (SEED_NOW + 10, NEXT, r#"{"typ":"JWT","alg":"HS256","kid":"next"}"#),
    ] {
        let verdict = decide(&changed(&json!({"jwt": {"rotation": rotation}})), ALICE, now);
        let token = verdict.token();
        assert!(verify(token, secret).is_ok());
        assert_eq!(part(token, 0), header);
    }
}

/// One header of any bytes, under a name that is ours, an alias of it, or foreign.
fn any_header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = prop_oneof![
        4 => prop::sample::select(vec!["x-auth-username", "x-auth-realm", "x-auth-roles", "x-auth-scopes",
            "x-auth-attributes", "x-auth-proof", "authorization", "connection", "x_auth_realm", "x-request-id"])
            .prop_map(str::to_owned),
        1 => "[a-z-]{1,20}",
    ];
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[a-z,| {}\":\\[\\]]{0,40}".prop_map(String::into_bytes),
        Just(PROOF.1.as_bytes().to_vec()),
        Just(b"alice".to_vec()),
    ];
    (name, value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever arrives, nothing panics, and a token means that the one proof header held the secret.
    #[test]
    fn no_token_without_proof(headers in prop::collection::vec(any_header(), 0..8)) {
        let verdict = decide(&changed(&json!({"on_missing": "pass"})), &headers, SEED_NOW);
        if verdict.is_issued() {
            let proofs: Vec<_> = headers.iter().filter(|(name, _)| name == PROOF.0).collect();
            prop_assert_eq!(proofs.len(), 1);
            prop_assert_eq!(&*proofs[0].1, PROOF.1.as_bytes());
            prop_assert!(verify(verdict.token(), SECRET).is_ok());
        }
    }

    /// Whatever a name holds, the token says exactly that.
    #[test]
    fn what_is_asserted_is_what_the_token_says(
        username in "[^\\p{Cc}]{1,60}",
        roles in prop::collection::vec("[^\\p{Cc}]{1,20}", 0..20),
    ) {
        prop_assume!(!username.trim().is_empty() && roles.iter().all(|role| !role.trim().is_empty()));
        let roles_json = serde_json::to_string(&roles).unwrap();
        let headers = [("x-auth-username", &*username), ("x-auth-realm", "r"), ("x-auth-roles", &*roles_json), PROOF];
        let token = issue(&json!({"identity": {"roles": {"format": "json"}}}), &headers);
        let claims = verify(&token, SECRET).unwrap();
        prop_assert_eq!(&claims["username"], &json!(username));
        prop_assert_eq!(&claims["sub"], &json!(format!("r-{username}")));
        prop_assert_eq!(&claims["roles"], &json!(roles));
    }
}

/// The log says which header is at fault, by the name that the configuration has, and no value.
#[test]
fn a_denial_names_the_part_the_header_and_the_limit() {
    let changes = json!({"identity": {
        "username": {"header": ["x-auth-name", "x-auth-username"]},
        "attributes": {"from": {"email": "x-auth-email"}},
    }});
    let long = "a".repeat(257);
    for (name, value, expected) in [
        ("x-auth-username", "", "username in x-auth-username: empty"),
        ("x-auth-name", "", "username in x-auth-name: empty"),
        ("x-auth-name", &long, "username in x-auth-name: longer than 256 bytes"),
        ("x-auth-realm", "", "realm in x-auth-realm: empty"),
        ("x-auth-realm", &long, "realm in x-auth-realm: longer than 256 bytes"),
        ("x-auth-roles", "", "roles in x-auth-roles: empty"),
        ("x-auth-roles", &"r,".repeat(256), "roles in x-auth-roles: more than 256 items"),
        ("x-auth-roles", &long, "roles in x-auth-roles: longer than 256 bytes"),
        ("x-auth-scopes", "", "scopes in x-auth-scopes: empty"),
        ("x-auth-attributes", "", "attributes in x-auth-attributes: empty"),
        ("x-auth-attributes", "{", "attributes in x-auth-attributes: not a JSON object of strings"),
        ("x-auth-email", "", "attributes in x-auth-email: empty"),
        ("x-auth-email", &"e".repeat(2049), "attributes in x-auth-email: longer than 2048 bytes"),
    ] {
        let mut headers: Vec<_> = SEED_HEADERS.iter().copied().filter(|(own, _)| *own != name).collect();
        headers.push((name, value));
        assert_eq!(at_seed(&changes, &headers).reason.unwrap(), expected);
    }
    for (name, value, expected) in [
        ("x-auth-roles", "b", "identity in x-auth-roles: comes more than once"),
        ("x_auth_roles", "b", "identity in x-auth-roles: comes under an alias, such as with `_` for `-`"),
        ("connection", "x-auth-roles", "connection in x-auth-roles: nominated for removal by Connection"),
        ("x-auth-email", &"e".repeat(8192), "identity: longer than 8192 bytes"),
    ] {
        assert_eq!(at_seed(&changes, &with(SEED_HEADERS, name, value)).reason.unwrap(), expected);
    }
    let headers = [ALICE, &[("x-remote-uid", "")]].concat();
    let kubernetes = json!({"identity": {
        "preset": "kubernetes", "username": {"header": "x-auth-username"}, "realm": {"header": "x-auth-realm"},
    }});
    assert_eq!(at_seed(&kubernetes, &headers).reason.unwrap(), "identity in x-remote-uid: empty");
}
