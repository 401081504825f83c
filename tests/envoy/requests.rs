//! What happens to a request: the table, and what takes several requests to see.

use std::{collections::BTreeSet, thread, time::Duration};

use auth_o_tron_envoy::{rejection::Code, telemetry::Outcome};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use libtest_mimic::Trial;

use crate::{
    JUDGE,
    support::{
        Lines,
        cases::{self, Case, Expected, PARTNER, alice, requests, set, with, without},
        judge::Judge,
        trials::{self, trial},
        verify, wait_until,
    },
};

pub fn trials() -> Vec<Trial> {
    let named = |name: &str, check: fn(&mut Judge)| trial(module_path!(), name, move || JUDGE.with(check));
    let several = [
        named("every token has a jti of its own", every_token_has_a_jti),
        named("the same identity gets the same token in the same second", same_second_same_token),
        named("a token is handed out again for the same identity only", reuse_is_for_the_same_identity),
        named("each outcome is counted once", each_outcome_is_counted_once),
        named("an access log tells outcome and subject", an_access_log_tells_outcome_and_subject),
        named("the log says why a request goes on", the_log_says_why_a_request_goes_on),
    ];
    let owners = [trial(module_path!(), "no request stands in the tables twice", cases::check_owners)];
    let rows = trials::rows(module_path!(), &JUDGE, requests::table(), Judge::check);
    owners.into_iter().chain(rows).chain(several).collect()
}

/// A request whose outcome its sender looks at.
fn case(name: &str, gateway: &'static str, target: &str, headers: Lines) -> Case {
    let mut case = Case::new(name, gateway, headers, Expected::Passed);
    target.clone_into(&mut case.target);
    case
}

fn issue(judge: &mut Judge, gateway: &'static str, target: &str, headers: Lines) -> String {
    judge.issue(&case("a token", gateway, target, headers))
}

/// `claims.jti`: 128 bits, and others for each of two requests that are alike.
fn every_token_has_a_jti(judge: &mut Judge) {
    let mut id = |_| verify(&issue(judge, "extended", "/", alice()))["jti"].as_str().unwrap().to_owned();
    let ids: BTreeSet<_> = (0..100).map(&mut id).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|id| URL_SAFE_NO_PAD.decode(id).unwrap().len() == 16), "{ids:?}");
}

/// `token.reuse: 0`: the same identity gets the same token in the second of its `iat`, and another one later.
fn same_second_same_token(judge: &mut Judge) {
    let issued = |token: &str| verify(token)["iat"].as_i64().unwrap();
    let mut same = 0;
    let mut first = issue(judge, "shipped", "/", alice());
    for _ in 0..40 {
        let second = issue(judge, "shipped", "/", alice());
        assert_eq!(first == second, issued(&first) == issued(&second), "{first} {second}");
        same += u32::from(first == second);
        first = second;
        thread::sleep(Duration::from_millis(40));
    }
    assert!(same > 10 && same < 40, "the clock moved, and stood still: {same}");
}

/// `token.reuse: 60`: a token is handed out again in another second, yet never for another identity, rule or proof.
fn reuse_is_for_the_same_identity(judge: &mut Judge) {
    let first = issue(judge, "reuse", "/", alice());
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(issue(judge, "reuse", "/", alice()), first);
    assert_eq!(issue(judge, "reuse", "/elsewhere", with(alice(), "x-other", "1")), first);
    let partner = with(without(alice(), "x-auth-proof"), PARTNER.0, PARTNER.1);
    for (target, headers) in [
        ("/other", alice()),
        ("/", set(alice(), "x-auth-username", "bob")),
        ("/", with(alice(), "x-auth-roles", "r")),
        ("/", partner),
    ] {
        assert_ne!(issue(judge, "reuse", target, headers.clone()), first, "{target} {headers:?}");
    }
    for (name, headers, code) in [
        ("unproven", without(alice(), "x-auth-proof"), Code::IdentityUntrusted),
        ("twice", with(alice(), "x-auth-username", "alice"), Code::IdentityMalformed),
    ] {
        judge.check(&Case::new(name, "reuse", headers, Expected::Denied(code)));
    }
}

/// Each outcome moves its own counter by one, and no other.
fn each_outcome_is_counted_once(judge: &mut Judge) {
    issue(judge, "reuse", "/", alice());
    let expired = with(alice(), "x-auth-attributes", r#"{"exp":"1"}"#);
    let partner = with(set(alice(), "x-auth-realm", "partners"), "x-auth-roles", r#"["r"]"#);
    for (name, gateway, target, headers) in [
        ("issued", "extended", "/", alice()),
        ("reused", "reuse", "/", alice()),
        ("passed", "rules", "/open", alice()),
        ("passed", "pass", "/", Lines::new()),
        ("denied.identity_missing", "shipped", "/", Lines::new()),
        ("denied.identity_untrusted", "shipped", "/", without(alice(), "x-auth-proof")),
        ("denied.identity_expired", "shipped", "/", expired),
        ("denied.realm_not_allowed", "rich", "/", partner),
        ("denied.denied_by_rule", "rules", "/admin", alice()),
        ("denied.identity_malformed", "shipped", "/", with(alice(), "x-auth-realm", "internal")),
    ] {
        let mut expected = judge.counters();
        *expected.get_mut(name).expect(name) += 1;
        judge.exchange(&case(name, gateway, target, headers));
        assert_eq!(judge.counters(), expected, "{name}");
    }
    let name = |outcome| match outcome {
        Outcome::Denied(code) => format!("denied.{code}"),
        other => other.as_str().to_owned(),
    };
    assert!(judge.counters().into_keys().eq(Outcome::all().map(name).collect::<BTreeSet<_>>()));
    assert_eq!(judge.counters()["denied.internal"], 0);
}

/// `telemetry.filter_state`: an access log tells the outcome, and the subject of an issued token, where it is asked for.
fn an_access_log_tells_outcome_and_subject(judge: &mut Judge) {
    let unproven = without(alice(), "x-auth-proof");
    for (gateway, target, headers, expected) in [
        ("open", "/", set(alice(), "x-auth-username", "carol"), "issued internal-carol"),
        ("open", "/", Lines::new(), "passed -"),
        ("open", "/", unproven, "identity_untrusted -"),
        ("open", "/admin", alice(), "denied_by_rule -"),
        ("pass", "/", alice(), "- -"),
        ("forward", "/", Lines::new(), "- -"),
    ] {
        let name = format!("telemetry of {gateway}, {expected}");
        judge.exchange(&case(&name, gateway, target, headers));
        let line = format!("{name}: {expected}\n");
        wait_until(&line, || judge.access_log().contains(&line));
    }
}

/// At debug level: the rule, the proof and the key that the decision stands on, and no value of the request.
fn the_log_says_why_a_request_goes_on(judge: &mut Judge) {
    let partner = set(without(alice(), "x-auth-proof"), PARTNER.0, PARTNER.1);
    for (gateway, target, headers, expected) in [
        ("shipped", "/", set(alice(), "x-auth-username", "dave"), "issued: no rule, trust[0] shared_secret, request "),
        (
            "reuse",
            "/",
            set(partner.clone(), "x-auth-username", "dave"),
            "issued: no rule, trust[1] shared_secret, request ",
        ),
        ("reuse", "/", set(partner, "x-auth-username", "dave"), "reused: no rule, trust[1] shared_secret, request "),
        (
            "reuse",
            "/other",
            set(alice(), "x-auth-username", "erin"),
            "issued: rules[0], trust[0] shared_secret, request ",
        ),
        (
            "extended",
            "/",
            set(alice(), "x-auth-username", "erin"),
            "issued: no rule, trust[0] shared_secret, key \"now\", request ",
        ),
        ("rules", "/open/a", Lines::new(), "passed: rules[2], request "),
        ("pass", "/", Lines::new(), "passed: no rule, request "),
    ] {
        judge.read_log(None);
        let case = case(&format!("why {expected}"), gateway, target, headers);
        judge.exchange(&case);
        let decisions = judge.read_log(Some(&case));
        let [line] = &decisions[..] else { panic!("{decisions:?}") };
        assert!(line.contains(expected), "{expected} in {line}");
    }
}
