//! The other verbs as people meet them: beside real Envoy, `explain` has the rest in JSON.

use std::fs;

use jsonwebtoken::Header;
use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    command::{PLAIN, otron, run},
    support::{PROOF, SIGNING_SECRET, cases::now, configurations::TYPED_SECRET, shipped_text, trials::plain},
};

fn exit_codes_are_those_of_the_help() {
    let directory = TempDir::new().unwrap();
    let good = directory.path().join("good.yaml");
    fs::write(&good, PLAIN).unwrap();
    let good = good.to_str().unwrap();
    let bad = directory.path().join("trailing-comma.json");
    fs::write(&bad, r#"{"jwt": {"iss": "a", "exp": 1, "secret_env": "AUTH_O_TRON_SECRET"},}"#).unwrap();
    let binary = directory.path().join("binary.yaml");
    fs::write(&binary, b"\xff\xfe").unwrap();
    let absent = directory.path().join("absent.yaml");
    let proof = format!("x-proof: {PROOF}");
    let alice = ["-H", "x-auth-username: alice", "-H", "x-auth-realm: a", "-H", &proof];
    let (bad, binary, absent) = (bad.to_str().unwrap(), binary.to_str().unwrap(), absent.to_str().unwrap());
    for (code, args) in [
        (0, &["--help"][..]),
        (0, &["check", good]),
        (1, &["check", good, bad]),
        (2, &["check", good, absent]),
        (2, &["check", binary]),
        (2, &["check", directory.path().to_str().unwrap()]),
        (2, &["check"]),
        (2, &["chekc", good]),
        (0, &[&["explain", good][..], &alice].concat()),
        (1, &["explain", good]),
        (1, &["explain", bad]),
        (2, &["explain", absent]),
        (2, &["explain", good, "-H", "no colon"]),
        (2, &["explain", good, "--at", "yesterday"]),
        (2, &["explain", good, "--property", "a"]),
        (2, &["explain", good, "--filter", "another"]),
        (2, &["sign", good, "--keyid", "a"]),
        (2, &["sign", good]),
        (1, &["verify", "a.b.c", "--secret-env", "AUTH_O_TRON_SECRET"]),
        (2, &["verify", "a.b.c", "--secret-env", "ABSENT"]),
        (0, &["schema"]),
    ] {
        let said = otron(args, "");
        assert_eq!(said.code, code, "{args:?}: {said:?}");
        assert_ne!(format!("{}{}", said.out, said.err), "", "{args:?}");
        let said = otron(&[&["--json"], args].concat(), "");
        assert_eq!(said.code, code, "{args:?}: {said:?}");
    }
    let said = otron(&["sign", good, "--keyid", "a"], "");
    assert!(said.err.contains("found no `signature` in the configuration"), "{said:?}");
}

/// What only people who ask by hand get to see: `explain` has the rest in JSON.
fn an_explanation_says_rule_proof_claims_and_headers() {
    let rules = format!("{PLAIN}rules:\n- {{match: {{path: /open}}, action: pass}}\n- {{match: {{path_prefix: /}}}}\n");
    let proof = format!("x-proof: {PROOF}");
    let alice = ["explain", "-", "-H", "x-auth-username: alice", "-H", "x-auth-realm: internal", "-H", &proof];
    let at = ["--at", "2026-12-01T00:00:00Z"];
    let said = otron(&[&alice[..], &at].concat(), &rules);
    for line in [
        "issued: the request goes on with a token",
        "rule     rules[1]",
        "proof    trust[0], shared_secret",
        "sets     authorization: Bearer eyJ",
        "removes  x-proof",
        "header   {\"typ\":\"JWT\",\"alg\":\"HS256\"}",
        // In the token's own order.
        "claims   {\n             \"sub\": \"internal-alice\",\n             \"iss\": \"a\",\n             \"exp\": ",
        "exp      2026-12-01T01:00:00Z",
    ] {
        assert!(said.out.contains(line), "{line} in {}", said.out);
    }
    let said = otron(&[&alice[..6], &["--path", "/a"]].concat(), &rules);
    for line in ["denied: 401 identity_untrusted", "rule     rules[1]", "proof    not by trust[0], shared_secret"] {
        assert!(said.out.contains(line), "{line} in {}", said.out);
    }
    let said = otron(&[&alice[..], &["--path", "/open"]].concat(), &rules);
    for line in ["passed: the request goes on without a token", "rule     rules[0]"] {
        assert!(said.out.contains(line), "{line} in {}", said.out);
    }
    // Without the secrets, the answer is not the proxy's, and it says so.
    let said = run(&alice, &rules, &[]);
    assert!(said.err.contains("\"PROXY_SECRET\" is not set here"), "{said:?}");
    let trust = "trust: [{signature: {keys: [{keyid: a, secret_env: PROXY_SECRET}]}}]";
    let signed = format!("jwt: {{iss: a, exp: 1, secret_env: AUTH_O_TRON_SECRET}}\n{trust}\n");
    let said = run(&["sign", "-", "--keyid", "a", "-H", "x-auth-username: a"], &signed, &[]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
}

/// Also as JSON the JOSE header and the claims are as they stand in the token.
fn claims_are_in_the_tokens_own_order() {
    let args = ["explain", "--json", "-", "-H", "x-auth-username: alice", "-H", "x-auth-realm: internal"];
    let said = otron(&[&args[..], &["-H", &format!("x-proof: {PROOF}")]].concat(), PLAIN);
    let expected = r#""header":{"typ":"JWT","alg":"HS256"},"claims":{"sub":"internal-alice","iss":"a","exp":"#;
    assert!(said.out.contains(expected), "{said:?}");
}

/// Whoever misspells the name of a filter is told the names.
fn a_filter_that_is_not_there_is_told_from_those_that_are() {
    let said = otron(&["explain", "-", "--filter", "foo"], &shipped_text("envoy.yaml"));
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("-: found no filter \"foo\", expected one of: auth_o_tron"), "{said:?}");
}

fn properties_and_filter_state_are_evidence() {
    let jwt = "jwt: {iss: a, exp: 1, secret_env: AUTH_O_TRON_SECRET}\n";
    let uri = "connection.uri_san_peer_certificate=spiffe://a/b";
    for (trust, evidence, code) in [
        ("mtls: {uri_sans: ['spiffe://a/b']}", &["--property", "connection.mtls=true", "--property", uri][..], 0),
        ("mtls: {uri_sans: ['spiffe://a/b']}", &["--property", "connection.mtls=false", "--property", uri], 1),
        ("peer: {cidrs: [10.0.0.0/8]}", &["--filter-state", "auth_o_tron.peer=10.1.2.3"], 0),
        ("peer: {cidrs: [10.0.0.0/8]}", &["--filter-state", "auth_o_tron.peer=11.1.2.3"], 1),
        ("filter_state: {key: a.b, value: c}", &["--filter-state", "a.b=c"], 0),
        ("filter_state: {key: a.b, value: c}", &[], 1),
    ] {
        let args = ["explain", "-", "-H", "x-auth-username: alice", "-H", "x-auth-realm: a"];
        let said = otron(&[&args[..], evidence].concat(), &format!("{jwt}trust: [{{{trust}}}]\n"));
        assert_eq!(said.code, code, "{trust} {evidence:?}: {said:?}");
    }
}

/// A token that is signed with a secret that the filter refuses proves nothing: with an empty one, anybody can sign.
fn a_token_is_verified_with_no_secret_that_is_too_short() {
    let long = "x".repeat(32);
    for (secret, code) in [("", 2), (TYPED_SECRET, 2), (&long[1..], 2), (&long, 0)] {
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&Header::default(), &json!({"exp": 4_102_444_800_u64}), &key).unwrap();
        let said = run(&["verify", &token, "--secret-env", "SECRET"], "", &[("SECRET", secret)]);
        assert_eq!(said.code, code, "{said:?}");
        let found = format!("--secret-env: found {} bytes in \"SECRET\", expected at least 32", secret.len());
        assert_eq!(said.err.contains(&found), code == 2, "{said:?}");
    }
}

/// In time to the second, and with what is asked for.
fn a_token_is_verified_as_a_service_does() {
    let key = jsonwebtoken::EncodingKey::from_secret(SIGNING_SECRET.as_bytes());
    let now = i64::try_from(now()).unwrap();
    let later = now + 600;
    let aud = &["--aud", "a"][..];
    for (claims, more, reason) in [
        (json!({"exp": later, "nbf": now - 5, "aud": "a"}), aud, ""),
        (json!({"exp": later, "aud": "a"}), &[], ""),
        (json!({"exp": now - 2}), &[], "its `exp` has passed"),
        (json!({"exp": later, "nbf": now + 300}), &[], "its `nbf` is ahead"),
        (json!({"exp": later, "nbf": now + 50}), &[], "its `nbf` is ahead"),
        (json!({"iss": "a"}), &[], "it has no `exp`"),
        (json!({"exp": later}), aud, "it has no `aud`"),
        (json!({"exp": later}), &["--iss", "a"], "it has no `iss`"),
        (json!({"exp": later, "aud": "b"}), aud, "its `aud` is \"b\", and --aud is \"a\""),
        (json!({"exp": later, "iss": "b"}), &["--iss", "a"], "its `iss` is \"b\", and --iss is \"a\""),
    ] {
        let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
        let said = otron(&[&["verify", &token, "--secret-env", "AUTH_O_TRON_SECRET"], more].concat(), "");
        assert_eq!(said.code, i32::from(!reason.is_empty()), "{claims} {more:?}: {said:?}");
        assert!(said.out.contains(reason), "{claims} {more:?}: {said:?}");
    }
}

/// As for Envoy, a `host` header is the authority.
fn a_host_header_chooses_the_rule() {
    let rules = format!("{PLAIN}rules: [{{match: {{hosts: [open.example]}}, action: pass}}]\n");
    for (args, code) in [(&["-H", "Host: open.example:80"][..], 0), (&["--host", "open.example"], 0), (&[], 1)] {
        assert_eq!(otron(&[&["explain", "-"], args].concat(), &rules).code, code, "{args:?}");
    }
}

fn colour_is_for_terminals() {
    let colours = |environment: &[(&str, &str)]| run(&["check", "-"], PLAIN, environment).out.contains('\u{1b}');
    assert!(!colours(&[]));
    assert!(colours(&[("CLICOLOR_FORCE", "1")]));
    assert!(!colours(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

pub fn trials() -> Vec<Trial> {
    plain![
        exit_codes_are_those_of_the_help,
        an_explanation_says_rule_proof_claims_and_headers,
        claims_are_in_the_tokens_own_order,
        a_filter_that_is_not_there_is_told_from_those_that_are,
        properties_and_filter_state_are_evidence,
        a_token_is_verified_with_no_secret_that_is_too_short,
        a_token_is_verified_as_a_service_does,
        a_host_header_chooses_the_rule,
        colour_is_for_terminals,
    ]
}
