//! Every wrong configuration is refused in one line that shows no secret, and what is at the edge is not. `tests/envoy`
//! shows the same table to Envoy, `tests/otron` to the command.

use serde_json::json;

use crate::support::{
    PROOF, SIGNING_SECRET,
    configurations::{RESERVED, TYPED_SECRET, accepted, changed, environment, refused},
    policy::refusal,
};

#[test]
fn what_is_wrong_is_refused_in_one_line() {
    for (pointer, value, expected) in refused() {
        let line = refusal(&changed(pointer, &value), &environment).expect("it is refused");
        assert!(line.starts_with(expected), "found    {line}\nexpected {expected}");
        assert!(!line.contains('\n'), "{line}");
        for secret in [TYPED_SECRET, SIGNING_SECRET, PROOF] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[test]
fn claims_of_the_filter_are_no_extra_claims() {
    for claim in RESERVED {
        let line = refusal(&changed("/claims", &json!({"extra": {*claim: "a"}})), &environment).expect("it is refused");
        assert!(
            line.starts_with(&format!("claims.extra.{claim}: found a claim that is the filter's to set")),
            "{line}"
        );
    }
}

#[test]
fn what_is_at_the_edge_is_accepted() {
    for (pointer, value) in accepted() {
        assert_eq!(refusal(&changed(pointer, &value), &environment), None, "{pointer} {value}");
    }
}
