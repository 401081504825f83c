//! Arbitrary `signature-input` and `signature` on a good request: no panic, and no token, as nobody here has the key.

use auth_o_tron_envoy::{
    pairs::Pair,
    policy::{Policy, Verdict},
    request::Request,
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
    Policy::from_json(configuration, &|_| None).unwrap()
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
    let verdict = policy.decide(&request, &(), NOW);
    assert!(matches!(verdict, Verdict::Deny(_)), "{verdict:?}");
    check_removed(policy, &request, &verdict);
    let Some(left) = policy.replacements(&request) else { return };
    if left.iter().any(|(_, value)| value.len() > MAX_FIELD_BYTES) {
        return;
    }
    // What is left is nobody's we know, so taking ours out of it again changes nothing.
    let mut pairs = REQUEST.to_vec();
    pairs.extend(left.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    assert_eq!(policy.replacements(&Request::scan(policy.names(), &pairs)).as_ref(), Some(&left));
}

fn check_removed(policy: &Policy, request: &Request<'_>, verdict: &Verdict) {
    let removed: Vec<_> = policy.removals(request, verdict).collect();
    for name in ["signature", "signature-input", "x-auth-username", "x-auth-realm"] {
        let present = request.all_values(name.as_bytes()).next().is_some();
        assert_eq!(removed.contains(&name.as_bytes()), present, "{name}");
    }
}
