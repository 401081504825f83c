//! What happens to a request, as a table: headers in → outcome, headers at the service, log. All in real Envoy.
//!
//! One Envoy of one worker has a gateway for each of the plugin configurations of `tests/support/cases.rs`. Every case is followed by a
//! proven request on the same worker, which must get its token.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
    time::{Duration, Instant},
};

use crate::support::{
    self, Envoy, Lines, Message, Reply, SIGNING_SECRET, Upstream,
    cases::{Case, Expected, OURS, PARTNER, alice, configurations, lines, proven, set, table, token, with, without},
    check_denied,
    trials::{Shared, trial},
    verify, verify_from,
};
use auth_o_tron_envoy::{policy::Outcome, rejection::Code};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// Everything that the cases share.
pub struct World {
    envoy: Envoy,
    upstream: Upstream,
    access_log: NamedTempFile,
    /// Values that must not be in the filter's log lines.
    sent: Vec<Vec<u8>>,
}

impl World {
    fn start() -> Self {
        let upstream = Upstream::start();
        let access_log = NamedTempFile::new().unwrap();
        let mut bootstrap = support::gateways(&configurations(), upstream.port);
        for listener in bootstrap["static_resources"]["listeners"].as_array_mut().unwrap() {
            let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
            manager["access_log"] = json!([{"name": "file", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": access_log.path(),
                "log_format": {"text_format_source": {"inline_string": ACCESS_LOG_LINE}},
            }}]);
        }
        let envoy = Envoy::start(&bootstrap);
        Self { envoy, upstream, access_log, sent: Vec::new() }
    }

    /// Runs a case; then the worker must still issue.
    fn check(&mut self, case: &Case) {
        let (reply, arrived) = self.exchange(case);
        match &case.expected {
            Expected::Issued { claims, beside } => self.check_issued(case, &reply, arrived, claims, beside),
            Expected::Passed => check_ours(&arrived.expect("it arrived"), &[]),
            Expected::Denied(code) => {
                check_denied(*code, &reply);
                assert!(arrived.is_none(), "it reached the service: {arrived:?}");
                self.check_log(*code, &reply);
            }
            Expected::RefusedByEnvoy(status) => {
                assert_eq!(reply.status, *status, "{arrived:?}");
                assert!(arrived.is_none(), "it reached the service: {arrived:?}");
            }
        }
        let name = format!("after {}", case.name);
        let after = Case::new(name, case.gateway, proven(case.gateway), Expected::Passed);
        let (reply, arrived) = self.exchange(&after);
        assert_eq!(reply.status, 200, "the worker no longer issues: {reply:?}");
        verify(&token(case.gateway, &arrived.unwrap()));
    }

    fn exchange(&mut self, case: &Case) -> (Reply, Option<Message>) {
        self.sent.extend(case.headers.iter().chain(&case.trailers).map(|(_, value)| value.clone()));
        let reply = support::send(self.envoy.port(case.gateway), &case.wire()).expect("a reply");
        (reply, self.upstream.take(&case.name))
    }

    fn check_issued(&mut self, case: &Case, reply: &Reply, arrived: Option<Message>, claims: &Value, beside: &[&str]) {
        let success = if case.headers.iter().any(|(name, _)| name == "upgrade") { 101 } else { 200 };
        assert_eq!(reply.status, success, "{reply:?}");
        let arrived = arrived.expect("it arrived");
        let token_header = if case.gateway == "rich" { "x-auth-token" } else { "authorization" };
        check_ours(&arrived, &[&[token_header], beside].concat());
        // Signatures of other parties go on, and no other.
        let foreign = case.headers.iter().filter(|(_, value)| value.starts_with(b"client=")).map(|(_, value)| &**value);
        assert!(
            ["signature-input", "signature"].iter().flat_map(|name| arrived.values(name)).eq(foreign),
            "{arrived:?}"
        );
        let token = token(case.gateway, &arrived);
        let mut issued = verify_from(claims["iss"].as_str().unwrap_or("auth-o-tron.example.com"), &token);
        issued["lifetime"] = json!(issued["exp"].as_i64().unwrap() - issued["iat"].as_i64().unwrap());
        issued["kid"] = jose_header(&token)["kid"].take();
        for (claim, expected) in claims.as_object().unwrap() {
            assert_eq!(issued.get(claim).unwrap_or(&Value::Null), expected, "claim {claim} of {issued}");
        }
        if !case.trailers.is_empty() {
            assert_eq!(arrived.body, b"hi");
            assert_eq!(arrived.trailers, lines(&[("x-other", "1")]));
        }
        self.sent.push(token.into_bytes());
    }

    /// The token of a proven request.
    fn issue(&mut self, gateway: &'static str, target: &'static str, headers: Lines) -> String {
        let mut case = Case::new("a token".to_owned(), gateway, headers, Expected::Passed);
        case.target = target;
        let (reply, arrived) = self.exchange(&case);
        token(gateway, &arrived.unwrap_or_else(|| panic!("{reply:?}")))
    }

    /// `claims.jti`: 128 bits, and others for each of two requests that are alike.
    fn check_jti(&mut self) {
        let ids: BTreeSet<_> = (0..100)
            .map(|_| verify(&self.issue("extended", "/", alice()))["jti"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| URL_SAFE_NO_PAD.decode(id).unwrap().len() == 16), "{ids:?}");
    }

    /// `token.reuse: 0`: the same identity gets the same token in the second of its `iat`, and another one later.
    fn check_same_second(&mut self) {
        let issued = |token: &str| verify(token)["iat"].as_i64().unwrap();
        let mut same = 0;
        let mut first = self.issue("shipped", "/", alice());
        for _ in 0..40 {
            let second = self.issue("shipped", "/", alice());
            assert_eq!(first == second, issued(&first) == issued(&second), "{first} {second}");
            same += u32::from(first == second);
            first = second;
            thread::sleep(Duration::from_millis(40));
        }
        assert!(same > 10 && same < 40, "the clock moved, and stood still: {same}");
    }

    /// `token.reuse: 60`: a token is handed out again in another second, yet never for another identity, rule or proof.
    fn check_reuse(&mut self) {
        let first = self.issue("reuse", "/", alice());
        thread::sleep(Duration::from_millis(1100));
        assert_eq!(self.issue("reuse", "/", alice()), first);
        assert_eq!(self.issue("reuse", "/elsewhere", with(alice(), "x-other", "1")), first);
        let partner = with(without(alice(), "x-auth-proof"), PARTNER.0, PARTNER.1);
        for (target, headers) in [
            ("/other", alice()),
            ("/", set(alice(), "x-auth-username", "bob")),
            ("/", with(alice(), "x-auth-roles", "r")),
            ("/", partner),
        ] {
            assert_ne!(self.issue("reuse", target, headers.clone()), first, "{target} {headers:?}");
        }
        let unproven = Expected::Denied(Code::IdentityUntrusted);
        self.check(&Case::new("unproven".to_owned(), "reuse", without(alice(), "x-auth-proof"), unproven));
        let twice = with(alice(), "x-auth-username", "alice");
        let malformed = Expected::Denied(Code::IdentityMalformed);
        self.check(&Case::new("twice".to_owned(), "reuse", twice, malformed));
    }

    /// The counters of the filter, as Envoy's admin shows them.
    fn counters(&self) -> BTreeMap<String, u64> {
        let stats = support::get(self.envoy.port("admin"), "/stats?filter=wasmcustom").unwrap();
        let counter = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.strip_prefix("wasmcustom.auth_o_tron.")?.to_owned(), value.parse().ok()?))
        };
        String::from_utf8(stats.message.body).unwrap().lines().filter_map(counter).collect()
    }

    /// Each outcome moves its own counter by one, and no other.
    fn check_counters(&mut self) {
        self.issue("reuse", "/", alice());
        let expired = with(alice(), "x-auth-attributes", r#"{"exp":"1"}"#);
        let partner = with(set(alice(), "x-auth-realm", "partners"), "x-auth-roles", r#"["r"]"#);
        let cases = [
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
        ];
        for (name, gateway, target, headers) in cases {
            let mut expected = self.counters();
            *expected.get_mut(name).expect(name) += 1;
            let mut case = Case::new(name.to_owned(), gateway, headers, Expected::Passed);
            case.target = target;
            self.exchange(&case);
            assert_eq!(self.counters(), expected, "{name}");
        }
        let name = |outcome| match outcome {
            Outcome::Denied(code) => format!("denied.{code}"),
            other => other.as_str().to_owned(),
        };
        assert!(self.counters().into_keys().eq(Outcome::all().map(name).collect::<BTreeSet<_>>()));
        assert_eq!(self.counters()["denied.internal"], 0);
    }

    /// `telemetry.filter_state`: an access log tells the outcome, and the subject of an issued token, where it is asked for.
    fn check_telemetry(&mut self) {
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
            let line = format!("{name}: {expected}\n");
            let mut case = Case::new(name, gateway, headers, Expected::Passed);
            case.target = target;
            self.exchange(&case);
            let is_logged = || fs::read_to_string(self.access_log.path()).unwrap().contains(&line);
            let deadline = Instant::now() + Duration::from_secs(10);
            while !is_logged() {
                assert!(Instant::now() < deadline, "{line}{:?}", fs::read_to_string(self.access_log.path()));
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// The denial is in the log once, with its code and the id of the request.
    fn check_log(&self, code: Code, reply: &Reply) {
        let id = reply.value("x-request-id").expect("Envoy's id of the request");
        let log = self.envoy.log();
        let line = filter_lines(&log).filter(|line| line.ends_with(&format!(", request {id}"))).collect::<Vec<_>>();
        assert!(matches!(line[..], [line] if line.contains(&format!("denied: {code} ("))), "{line:?}");
    }

    /// Nothing panicked, and nothing that was sent or issued is in a line of the filter's. Envoy's own lines show
    /// headers at debug level, as they do without the filter; the signing secret is in none.
    fn check_whole_log(&self) {
        let log = self.envoy.log();
        assert!(!log.contains(SIGNING_SECRET), "the signing secret is in Envoy's log");
        assert!(filter_lines(&log).count() > 100, "the filter logs at debug level");
        for line in filter_lines(&log) {
            assert!(!line.contains("panicked"), "{line}");
            // Not the short ones, which are in words of the log such as `identity`.
            for value in self.sent.iter().filter(|value| value.len() > 8 && *value != b"internal") {
                let leaks = line.as_bytes().windows(value.len()).any(|window| window == value);
                assert!(!leaks, "{:?} in {line}", String::from_utf8_lossy(value));
            }
            assert!(!line.contains("alice"), "{line}");
        }
    }
}

/// What the module itself logs.
fn filter_lines(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.contains("[wasm]") && line.contains("wasm log"))
}

/// Of the names that could be ours, in whatever spelling, exactly `expected` arrived.
fn check_ours(arrived: &Message, expected: &[&str]) {
    let ours = |name: &str| {
        let folded = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        OURS.iter().any(|own| folded.starts_with(own))
    };
    let mut names: Vec<_> = arrived.headers.iter().map(|(name, _)| name.as_str()).filter(|name| ours(name)).collect();
    names.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert!(!arrived.trailers.iter().any(|(name, _)| ours(name)), "{:?}", arrived.trailers);
}

fn jose_header(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

pub static WORLD: Shared<World> = Shared::new(World::start);

const ACCESS_LOG_LINE: &str =
    "%REQ(X-CASE)%: %FILTER_STATE(wasm.auth_o_tron.result:PLAIN)% %FILTER_STATE(wasm.auth_o_tron.subject:PLAIN)%\n";

pub fn trials() -> Vec<Trial> {
    let named = |name: &str, check: fn(&mut World)| trial(module_path!(), name, move || WORLD.with(check));
    let rows = table()
        .into_iter()
        .map(|case| trial(module_path!(), &case.name.clone(), move || WORLD.with(|world| world.check(&case))));
    // In this order, so that the log is read last.
    rows.chain([
        named("every token has a jti of its own", World::check_jti),
        named("the same identity gets the same token in the same second", World::check_same_second),
        named("a token is handed out again for the same identity only", World::check_reuse),
        named("each outcome is counted once", World::check_counters),
        named("an access log tells outcome and subject", World::check_telemetry),
        named("nothing of a request, no secret and no panic in the log", |world| world.check_whole_log()),
    ])
    .collect()
}
