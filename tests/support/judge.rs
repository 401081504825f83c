//! The judge of the tables. Whatever a client is told, what reached the service counts; and after each row the same worker
//! must still issue.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use auth_o_tron_envoy::rejection::Code;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{
    SIGNING_SECRET,
    cases::{Case, Expected, NAMES, Protocol, gateways, honest, now},
    envoy::version,
    http::{Message, Reply, check_denied, check_denied_head, send},
    http2::Http2,
    scene::{Scene, Seen},
    tls::uri,
    token::{jose_header, verify_from},
};

/// The beginnings of every header name that is the filter's in some gateway.
const OURS: &[&str] = &[
    "authorization",
    "remote-",
    "signature",
    "x-auth-",
    "x-authentik-",
    "x-forwarded-access-token",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-tenant",
    "x-forwarded-user",
    "x-partner",
    "x-remote-",
];

pub struct Judge {
    pub scene: Scene,
    access_log: NamedTempFile,
    /// Values that must not be in the filter's log lines.
    sent: BTreeSet<String>,
}

impl Judge {
    /// The gateways of the tables in an Envoy that logs everything.
    pub fn start() -> Self {
        Self::of("debug", &gateways::configurations())
    }

    pub fn of(level: &str, configurations: &[(&str, Value)]) -> Self {
        let access_log = NamedTempFile::new().unwrap();
        let scene = Scene::start(level, |upstream, authority| {
            gateways::bootstrap(configurations, upstream, authority, access_log.path())
        });
        Self { scene, access_log, sent: BTreeSet::new() }
    }

    /// Everything in the access log so far.
    pub fn access_log(&self) -> String {
        fs::read_to_string(self.access_log.path()).unwrap()
    }

    /// Runs a row. Then the worker must still issue, and what comes late is seen as well.
    pub fn check(&mut self, case: &Case) {
        let case = &Case { expected: case.expected.clone().on(version()), ..case.clone() };
        // What a failed trial left behind is not this one's.
        self.scene.upstream.take_all();
        self.read_log(None);
        let (reply, seconds) = self.send(case);
        let decisions = self.read_log(Some(case));
        let honest = honest(case.gateway);
        let (after, honest_seconds) = self.send(&honest);
        self.read_log(Some(&honest));
        let mut arrived = self.scene.upstream.take_all();
        let served = Seen { reply: after, arrived: arrived.remove(&honest.name) };
        check_served(&honest, &served, honest_seconds);
        let seen = Seen { reply, arrived: arrived.remove(&case.name) };
        assert_eq!(arrived.len(), 0, "more reached the service: {arrived:?}");
        match &case.expected {
            Expected::Issued(_) | Expected::Passed => {
                check_served(case, &seen, seconds);
                let [line] = &decisions[..] else { panic!("one line says why it goes on: {decisions:?}") };
                assert!(!line.contains("denied: "), "{line}");
            }
            Expected::Denied(code) => {
                assert!(seen.arrived.is_none(), "it reached the service: {seen:?}");
                check_reply(case, *code, &seen);
                check_log(case, *code, seen.reply.as_ref(), &decisions);
            }
            Expected::Refused | Expected::RefusedWith(_) | Expected::RefusedSince(..) => {
                assert!(seen.arrived.is_none(), "it reached the service: {seen:?}");
                check_refused(&case.expected, seen.reply.as_ref());
            }
        }
    }

    /// Sends a case, and takes what arrived of it.
    pub fn exchange(&mut self, case: &Case) -> Seen {
        let (reply, _) = self.send(case);
        Seen { reply, arrived: self.scene.upstream.take(&case.name) }
    }

    /// The reply, and the seconds within which it came.
    fn send(&mut self, case: &Case) -> (Option<Reply>, [u64; 2]) {
        self.note_sent(case);
        let port = self.scene.envoy.port(case.gateway);
        let start = now();
        let reply = match case.protocol {
            Protocol::Http1 if case.gateway == "tls" => {
                let client = self.scene.authority.client(&[uri("spiffe://cluster.local/ns/gw/sa/other")]);
                self.scene.authority.send(port, Some(&client), &case.wire())
            }
            Protocol::Http1 => send(port, &case.wire()),
            Protocol::Http2 => {
                let mut http2 = Http2::connect(port);
                http2.send(1, &case.http2_headers(), &case.trailers);
                http2.replies(&[1]).remove(&1).unwrap()
            }
        };
        (reply, [start, now()])
    }

    pub fn note_sent(&mut self, case: &Case) {
        let values = case.headers.iter().chain(&case.trailers).map(|(_, value)| value);
        // Not the short ones, which are in words of the log such as `identity`; nor names, which are no secret.
        let is_telling = |value: &&str| value.len() > 8 && !NAMES.contains(value);
        let texts = values.filter_map(|value| str::from_utf8(value).ok()).filter(is_telling);
        self.sent.extend(
            texts.filter(|text| !["x-auth-proof", "authorization", "internal"].contains(text)).map(str::to_owned),
        );
    }

    /// Reads on in the log, and returns the filter's decisions. In Envoy's own lines there are headers at debug level, as there are
    /// without the filter, yet the signing secret is in none; in the filter's own there is nothing of a request.
    pub fn read_log(&mut self, sent: Option<&Case>) -> Vec<String> {
        let log = self.scene.envoy.new_log();
        let is_sent = sent.is_some_and(|case| case.headers.iter().any(|(_, value)| value == SIGNING_SECRET.as_bytes()));
        assert!(is_sent || !log.contains(SIGNING_SECRET), "the signing secret is in Envoy's log");
        assert!(!log.contains("panicked"), "the filter panicked");
        let lines: Vec<_> = log.lines().filter(|line| line.contains("[wasm]") && line.contains("wasm log")).collect();
        for line in &lines {
            assert!(!line.contains("alice"), "{line}");
            for value in &self.sent {
                assert!(!line.contains(value), "{value:?} in {line}");
            }
        }
        let is_decision =
            |line: &&str| ["issued: ", "reused: ", "passed: ", "denied: "].iter().any(|word| line.contains(word));
        lines.into_iter().filter(is_decision).map(str::to_owned).collect()
    }

    /// The token of a proven request.
    pub fn issue(&mut self, case: &Case) -> String {
        let seen = self.exchange(case);
        token(case.gateway, seen.arrived.as_ref().unwrap_or_else(|| panic!("{seen:?}")))
    }

    /// The counters of the filter, as Envoy's admin shows them.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let stats = self.scene.envoy.admin("/stats?filter=wasmcustom");
        let counter = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.strip_prefix("wasmcustom.auth_o_tron.")?.to_owned(), value.parse().ok()?))
        };
        stats.lines().filter_map(counter).collect()
    }
}

pub fn token(gateway: &str, arrived: &Message) -> String {
    let (name, prefix) = gateways::token_header(gateway);
    arrived.value(name).and_then(|value| value.strip_prefix(prefix).map(str::to_owned)).expect("a token")
}

/// It reached the service, as it should.
pub fn check_served(case: &Case, seen: &Seen, seconds: [u64; 2]) {
    let reply = seen.reply.as_ref().expect("a reply");
    let is_upgraded = case.protocol == Protocol::Http1 && case.has_header("upgrade");
    assert_eq!(reply.status, if is_upgraded { 101 } else { 200 }, "{reply:?}");
    let arrived = seen.arrived.as_ref().unwrap_or_else(|| panic!("it did not arrive: {reply:?}"));
    let Expected::Issued(claims) = &case.expected else {
        check_headers(case, arrived, None);
        return;
    };
    let (name, _) = gateways::token_header(case.gateway);
    check_headers(case, arrived, Some(name));
    check_claims(case, &token(case.gateway, arrived), claims, seconds);
}

/// Of the names that could be ours, in whatever spelling, the token arrived once, what goes on beside it as it was sent,
/// signatures of other parties, and no other; of the trailers, those that are not ours.
fn check_headers(case: &Case, arrived: &Message, token_header: Option<&str>) {
    let goes_on = |name: &str, value: &[u8]| gateways::goes_on(case.gateway, name) || value.starts_with(b"client=");
    let sent = case.headers.iter().map(|(name, value)| (name.to_lowercase(), &**value));
    let mut expected: Vec<_> = sent.filter(|(name, value)| token_header.is_some() && goes_on(name, value)).collect();
    let arrived_lines = arrived.headers.iter().map(|(name, value)| (name.clone(), &**value));
    let (mut tokens, mut beside): (Vec<_>, Vec<_>) =
        arrived_lines.filter(|(name, _)| is_ours(name)).partition(|(name, _)| Some(&**name) == token_header);
    expected.sort_unstable();
    beside.sort_unstable();
    assert_eq!(tokens.pop().is_some(), token_header.is_some());
    assert_eq!((tokens, beside), (vec![], expected));
    if !case.trailers.is_empty() {
        assert_eq!(arrived.body, b"hi");
        let mut foreign = case.trailers.clone();
        foreign.retain(|(name, _)| !is_ours(name));
        assert_eq!(arrived.trailers, foreign);
    }
}

/// Whether a service could take it for one of ours.
fn is_ours(name: &str) -> bool {
    let folded = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    OURS.iter().any(|own| folded.starts_with(own))
}

/// The whole token is what the gateway's is but for these claims, made in this time.
fn check_claims(case: &Case, token: &str, changes: &Value, [first, last]: [u64; 2]) {
    let mut expected = gateways::claims(case.gateway);
    expected.extend(changes.as_object().cloned().unwrap_or_default());
    let issued = verify_from(expected["iss"].as_str().unwrap(), token);
    let kid = expected.remove("kid").unwrap();
    assert_eq!(jose_header(token).get("kid"), kid.as_str().map(|kid| json!(kid)).as_ref());

    let iat = issued["iat"].as_u64().unwrap();
    // A token that is handed out again is older, by a minute at most.
    let earliest = if case.gateway == "reuse" { first - 60 } else { first };
    assert!((earliest..=last).contains(&iat), "made at {iat}, asked for from {first} to {last}");
    let lifetime = expected.remove("lifetime").unwrap().as_u64().unwrap();
    expected.entry("exp").or_insert(json!(iat + lifetime));
    expected.insert("iat".to_owned(), json!(iat));
    let [username, realm] = ["username", "realm"].map(|claim| expected[claim].as_str().unwrap());
    let subject = json!(format!("{realm}-{username}"));
    assert_eq!(expected.entry("sub").or_insert(subject.clone()), &subject);
    if expected.remove("jti").is_some() {
        let id = &issued["jti"];
        assert_eq!(URL_SAFE_NO_PAD.decode(id.as_str().expect("a jti")).unwrap().len(), 16, "{id}");
        expected.insert("jti".to_owned(), id.clone());
    }
    expected.retain(|_, value| !value.is_null());
    assert_eq!(issued, Value::Object(expected));
}

/// The client got the whole reply: of HTTP/2 there is status and body, of HEAD the head.
fn check_reply(case: &Case, code: Code, seen: &Seen) {
    let reply = seen.reply.as_ref().expect("a reply");
    let body = if case.method == "HEAD" { "" } else { code.body() };
    match case.protocol {
        Protocol::Http1 if case.method == "HEAD" => check_denied_head(code, reply),
        Protocol::Http1 => check_denied(code, reply),
        Protocol::Http2 => {
            assert_eq!((reply.status, String::from_utf8_lossy(&reply.body)), (code.status(), body.into()));
        }
    }
}

/// The denial is in the log once, with its code and the id of the request: Envoy's own, or one that looks like it.
fn check_log(case: &Case, code: Code, reply: Option<&Reply>, denials: &[String]) {
    let [denial, more @ ..] = denials else { panic!("no denial in the log") };
    // What is behind a request may be another one, and is denied, too.
    assert!(more.is_empty() || !case.body.is_empty(), "{denials:?}");
    assert!(denial.contains(&format!("denied: {code} (")), "{denial}");
    if let Some(id) = reply.and_then(|reply| reply.value("x-request-id")) {
        let is_one = id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        assert!(denial.ends_with(&format!(", request {}", if is_one { &id } else { "unknown" })), "{denial}");
    }
}

/// Envoy itself refused it.
fn check_refused(expected: &Expected, reply: Option<&Reply>) {
    let status = reply.map(|reply| reply.status);
    match expected {
        Expected::RefusedWith(wanted) => assert_eq!(status, Some(*wanted)),
        _ => assert!(matches!(status, None | Some(400..=499 | 501)), "{reply:?}"),
    }
    // Not by a problem of ours.
    let is_ours = reply.is_some_and(|reply| reply.body.starts_with(b"{\"type\":\"urn:auth-o-tron:"));
    assert!(!is_ours, "the filter saw it: {reply:?}");
}
