//! Arbitrary `signature-input` and `signature` on a good request: no panic, and no token, as nobody here has the key.

use auth_o_tron_envoy::{
    config::field::Report,
    pairs::Pair,
    policy::{Policy, Verdict},
    request::{Facts, Request},
    trust::signature::MAX_FIELD_BYTES,
};

const NOW: i64 = 1_704_063_600;

thread_local! {
    static POLICY: &'static Policy = Box::leak(Box::new(policy()));
}

fn policy() -> Policy {
    let configuration = br#"{
        "jwt": {"iss": "fuzz", "exp": 3600, "secret": "the secret that signs the tokens"},
        "trust": [{"signature": {"keys": [{"keyid": "gw-1", "secret": "a secret that no input is made with"}]}}]
    }"#;
    Policy::from_json(configuration, &|_| None, &Report::default()).unwrap()
}

const REQUEST: [Pair<'_>; 6] = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"example.com"),
    (b":path", b"/orders?page=2"),
    (b"x-auth-username", b"alice"),
    (b"x-auth-realm", b"internal"),
];

/// Lines are what stands between zero bytes: in turn one of `signature-input` and one of `signature`.
pub fn run(data: &[u8]) {
    let lines = data.split(|&byte| byte == 0).zip([&b"signature-input"[..], b"signature"].into_iter().cycle());
    let mut pairs = REQUEST.to_vec();
    pairs.extend(lines.map(|(line, name)| (name, line)));
    let policy = POLICY.with(|policy| *policy);
    let request = Request::scan(policy.names(), &pairs);
    let decision = policy.decide(&request, &Facts::new(NOW, &()));
    assert!(matches!(decision.verdict, Verdict::Deny(_)), "{decision:?}");
    let Some(left) = policy.trust().foreign_signatures(&request) else { return };
    if left.iter().any(|(_, value)| value.len() > MAX_FIELD_BYTES) {
        return;
    }
    // What is left is nobody's we know, so taking ours out of it again changes nothing.
    let mut pairs = REQUEST.to_vec();
    pairs.extend(left.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let again = Request::scan(policy.names(), &pairs);
    assert_eq!(policy.trust().foreign_signatures(&again).as_ref(), Some(&left));
}
