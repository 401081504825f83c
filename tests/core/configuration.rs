//! Every wrong configuration is refused in lines that show no secret, and what is at the edge is not. `tests/envoy` shows
//! the same table to Envoy, `tests/otron` to the command.

use auth_o_tron_envoy::config::field::{ConfigError, ErrorKind};
use serde_json::{Value, json};

use crate::support::{
    PROOF, SIGNING_SECRET,
    configurations::{RESERVED, TYPED_SECRET, accepted, changed, environment, refused},
    policy::refusals,
};

fn lines(configuration: &Value) -> Vec<String> {
    let lines: Vec<_> = refusals(configuration, &environment).iter().map(ToString::to_string).collect();
    for line in &lines {
        assert!(!line.contains('\n'), "{line}");
        for secret in [TYPED_SECRET, SIGNING_SECRET, PROOF] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    lines
}

/// What is wrong in one place is refused in one line: no error follows from another.
#[test]
fn what_is_wrong_is_refused_in_one_line() {
    for (pointer, value, expected) in refused() {
        let lines = lines(&changed(pointer, &value));
        let [line] = &lines[..] else { panic!("{pointer} {value}: {lines:?}") };
        assert!(line.starts_with(expected), "found    {line}\nexpected {expected}");
    }
}

#[test]
fn claims_of_the_filter_are_no_extra_claims() {
    for claim in RESERVED {
        let expected = format!("claims.extra.{claim}: found a claim that the filter sets, expected another name");
        assert_eq!(lines(&changed("/claims", &json!({"extra": {*claim: "a"}}))), [expected]);
    }
}

#[test]
fn what_is_at_the_edge_is_accepted() {
    for (pointer, value) in accepted() {
        assert_eq!(lines(&changed(pointer, &value)), [""; 0], "{pointer} {value}");
    }
}

/// All errors are told at once, each as data: what is of the wrong type, and in the other sections what is wrong besides.
#[test]
fn every_error_is_told_at_once() {
    use ErrorKind::{
        Choice, Contradiction, Malformed, Missing, Range, Secret, Type, UnknownField, UnknownWord, Variable,
    };
    for (configuration, expected) in [
        (json!({}), vec![("jwt", Missing), ("trust", Missing)]),
        (
            json!({
                "jwt": {"iss": "", "exp": 0, "kid": " ", "secret": TYPED_SECRET},
                "identity": {"username": {"header": "a b"}, "realms": [], "roles": {"header": "host"}},
                "trust": [{}, {"peer": {"cidrs": ["x", "10.0.0.0/8", "y"]}}],
                "token": {"header": "x-auth-realm", "prefix": " x", "max_bytes": 0},
                "claims": {"aud": true, "extra": {"iss": 1, "": 2}},
                "rules": [{"match": {"hosts": ["a:1"], "methods": ["get"]}, "jwt": {"exp": 0}}, {"match": {}}],
            }),
            vec![
                ("token.prefix", Malformed),
                ("token.max_bytes", Range),
                ("identity.realms", ErrorKind::Empty),
                ("identity.username.header", Malformed),
                ("identity.realm.header", Contradiction),
                ("identity.roles.header", Malformed),
                ("trust[0]", Choice),
                ("trust[1].peer.cidrs[0]", Malformed),
                ("trust[1].peer.cidrs[2]", Malformed),
                ("jwt.iss", Malformed),
                ("jwt.exp", Range),
                ("jwt.kid", Malformed),
                ("jwt.secret", Secret),
                ("claims.extra", Malformed),
                ("claims.extra.iss", Contradiction),
                ("rules[0].match.hosts[0]", Malformed),
                ("rules[0].match.methods[0]", Malformed),
                ("rules[0].jwt.exp", Range),
                ("rules[1].match", ErrorKind::Empty),
            ],
        ),
        // A section that cannot be read is not compiled, and the others are.
        (
            json!({
                "jwt": {"iss": 5, "exp": "1h", "secret_env": "ABSENT", "x": 1},
                "on_missing": "allow",
                "trust": [{"shared_secret": {"header": "x-auth-proof", "secret_env": "ABSENT"}}],
            }),
            vec![
                ("jwt.exp", Type),
                ("jwt.iss", Type),
                ("jwt.x", UnknownField),
                ("on_missing", UnknownWord),
                ("trust[0].shared_secret.secret_env", Variable),
            ],
        ),
    ] {
        let errors = refusals(&configuration, &environment);
        let found: Vec<_> = errors.iter().map(|error: &ConfigError| (error.path(), error.kind())).collect();
        assert_eq!(found, expected, "{configuration}");
        lines(&configuration);
    }
}
