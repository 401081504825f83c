//! Attacks, one line each, by raw bytes over HTTP/1.1 and HTTP/2 against a real Envoy of one worker.
//!
//! The judge is the service behind: whatever a client is told, nothing of an attacker's may arrive there. After each
//! attack an honest request of the same worker must get its token.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::support::{
    self, Envoy, Lines, Message, PROOF, SIGNING_SECRET, Upstream,
    tls::{Authority, uri},
    trials::{Shared, trial},
    verify,
};
use auth_o_tron_envoy::rejection::Code;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sha2::Sha256;

use Expected::{Denied, Issued, Passed, Refused};

const SHARED: &str = "shared_secret";
const SIGNED: &str = "signature";
const PASS: &str = "pass";
const FORWARD: &str = "forward";
/// Everything that `identity` can ask for, and identity headers that go on.
const STRICT: &str = "strict";
/// Proofs that no header can give: client certificate, direct peer, filter state. What the proxy knows is not enough.
const EVIDENCE: &str = "evidence";
/// The same by TLS, where the client shows somebody else's certificate.
const TLS: &str = "tls";

const GW_1: &str = "the first gateway's secret, 32 bytes";
const GW_2: &str = "the second gateway's secret, 32 bytes";

fn configurations() -> Vec<(&'static str, Value)> {
    let shipped = support::shipped_configuration();
    let (jwt, trust) = (&shipped["jwt"], &shipped["trust"]);
    let signature = json!({"signature": {
        "keys": [{"keyid": "gw-1", "secret": GW_1}, {"keyid": "gw-2", "secret": GW_2}],
        // The table is signed when it is written down, however long it then takes to run.
        "max_age": 3600,
        "components": ["@method", "@authority", "@path", "@scheme", "@query"],
    }});
    let shared = &trust[0]["shared_secret"];
    let strict = json!({
        "realm": {"header": ["x-auth-realm", "x-auth-tenant"]},
        "attributes": {"from": {"email": "x-auth-email"}},
        "required": ["roles"],
        "realms": ["internal", "guests"],
    });
    let strict_trust = json!([{"shared_secret": shared, "realms": ["internal", "partners"]}]);
    let evidence = json!([
        {"mtls": {"uri_sans": ["spiffe://cluster.local/ns/gw/sa/gateway"]}},
        {"peer": {"cidrs": ["10.0.0.0/8"]}},
        {"filter_state": {"key": "auth_o_tron.authenticated", "value": "yes"}},
    ]);
    vec![
        (SHARED, shipped.clone()),
        (SIGNED, json!({"jwt": jwt, "trust": [signature]})),
        // Which reads no claim from x-auth-scopes: it is an identity header all the same.
        (
            PASS,
            json!({"jwt": jwt, "identity": {"scopes": {"header": "x-scopes"}}, "trust": trust, "on_missing": "pass"}),
        ),
        (FORWARD, json!({"jwt": jwt, "trust": trust, "forward_identity": true})),
        (STRICT, json!({"jwt": jwt, "identity": strict, "trust": strict_trust, "forward_identity": true})),
        (EVIDENCE, json!({"jwt": jwt, "trust": evidence})),
        (TLS, json!({"jwt": jwt, "trust": evidence})),
    ]
}

/// The gateways, and beside the filter what an attack may need.
fn bootstrap(upstream: u16, authority: &Authority) -> Value {
    let mut bootstrap = support::gateways(&configurations(), upstream);
    for listener in bootstrap["static_resources"]["listeners"].as_array_mut().unwrap() {
        let name = listener["name"].clone();
        let chain = &mut listener["filter_chains"][0];
        let manager = &mut chain["filters"][0]["typed_config"];
        manager["http2_protocol_options"] = json!({"allow_connect": true});
        if name == EVIDENCE {
            // Envoy believes `x-forwarded-for`, and every proof finds a value, if not the right one.
            manager["use_remote_address"] = json!(false);
            let states = [
                ("auth_o_tron.peer", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"),
                ("auth_o_tron.authenticated", "no"),
            ];
            let states = states.map(|(key, value)| {
                json!({
                    "object_key": key, "factory_key": "envoy.string",
                    "format_string": {"text_format_source": {"inline_string": value}},
                })
            });
            let filter = json!({"name": "envoy.filters.http.set_filter_state", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
                "on_request_headers": states,
            }});
            manager["http_filters"].as_array_mut().unwrap().insert(0, filter);
        }
        if name == TLS {
            let yaml = authority.place(&support::top().join("envoy/mtls.yaml"));
            let shipped: Value = serde_yaml_ng::from_str(&yaml).unwrap();
            let shipped = &shipped["static_resources"]["listeners"][0]["filter_chains"][0];
            chain["transport_socket"] = shipped["transport_socket"].clone();
        }
    }
    bootstrap
}

// === the table ===

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The filter denies: the client gets this code, the service nothing.
    Denied(Code),
    /// Envoy refuses: the client gets a 4xx, a 501 or a closed connection, the service nothing.
    Refused,
    /// The attack is harmless: a token for this username with these roles, and nothing of the attacker's.
    Issued(&'static str, &'static [&'static str]),
    /// The attack is harmless: no token, and nothing of the attacker's.
    Passed,
}

const ROLES: &[&str] = &["reader"];
const HONEST: Expected = Issued("alice", ROLES);
const MISSING: Expected = Denied(Code::IdentityMissing);
const MALFORMED: Expected = Denied(Code::IdentityMalformed);
const UNTRUSTED: Expected = Denied(Code::IdentityUntrusted);
const EXPIRED: Expected = Denied(Code::IdentityExpired);
const WRONG_REALM: Expected = Denied(Code::RealmNotAllowed);

struct Attack {
    name: String,
    gateway: &'static str,
    protocol: Protocol,
    /// Method and target.
    line: String,
    /// Pseudo-headers in place of those of the line, in HTTP/2.
    pseudo: Option<Lines>,
    headers: Lines,
    trailers: Lines,
    /// What follows the header section, in HTTP/1.
    body: &'static str,
    expected: Expected,
}

#[derive(Default)]
struct Table(Vec<Attack>);

impl Table {
    fn add(
        &mut self,
        protocol: Protocol,
        name: &str,
        gateway: &'static str,
        line: &str,
        headers: Lines,
        expected: Expected,
    ) -> &mut Attack {
        let name = format!("{protocol:?} {gateway}: {name}");
        let line = line.to_owned();
        self.0.push(Attack {
            name,
            gateway,
            protocol,
            line,
            pseudo: None,
            headers,
            trailers: Lines::new(),
            body: "",
            expected,
        });
        self.0.last_mut().unwrap()
    }

    fn h1(&mut self, name: &str, gateway: &'static str, line: &str, headers: Lines, expected: Expected) -> &mut Attack {
        self.add(Protocol::Http1, name, gateway, line, headers, expected)
    }

    fn h2(&mut self, name: &str, gateway: &'static str, line: &str, headers: Lines, expected: Expected) -> &mut Attack {
        self.add(Protocol::Http2, name, gateway, line, headers, expected)
    }

    /// By both protocols.
    fn both(&mut self, name: &str, gateway: &'static str, line: &str, headers: Lines, expected: Expected) {
        self.h1(name, gateway, line, headers.clone(), expected);
        self.h2(name, gateway, line, headers, expected);
    }

    /// `GET /` by both protocols, as most attacks are.
    fn get(&mut self, name: &str, gateway: &'static str, headers: Lines, expected: Expected) {
        self.both(name, gateway, "GET /", headers, expected);
    }

    fn trailers(&mut self, name: &str, gateway: &'static str, headers: Lines, trailers: &Lines, expected: Expected) {
        self.h1(name, gateway, "POST /", headers.clone(), expected).trailers.clone_from(trailers);
        self.h2(name, gateway, "POST /", headers, expected).trailers.clone_from(trailers);
    }

    fn pseudo(&mut self, name: &str, pseudo: &[(&str, &str)], headers: Lines, expected: Expected) {
        self.h2(name, SHARED, "GET /", headers, expected).pseudo = Some(lines(pseudo));
    }
}

fn lines(pairs: &[(&str, &str)]) -> Lines {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
}

/// What an authenticator asserts of alice.
fn alice() -> Lines {
    lines(&[("x-auth-username", "alice"), ("x-auth-realm", "internal"), ("x-auth-roles", "reader")])
}

fn proven() -> Lines {
    with(alice(), "x-auth-proof", PROOF)
}

fn with(mut headers: Lines, name: &str, value: impl AsRef<[u8]>) -> Lines {
    headers.push((name.to_owned(), value.as_ref().to_vec()));
    headers
}

fn before(headers: Lines, name: &str, value: impl AsRef<[u8]>) -> Lines {
    [with(Lines::new(), name, value), headers].concat()
}

/// With a token of the client's own.
fn forging(headers: Lines) -> Lines {
    with(headers, "authorization", "Bearer forged")
}

fn without(mut headers: Lines, name: &str) -> Lines {
    headers.retain(|(own, _)| own != name);
    headers
}

fn set(headers: Lines, name: &str, value: impl AsRef<[u8]>) -> Lines {
    with(without(headers, name), name, value)
}

/// The signature base of alice's `GET http://test/`.
const BASE: &[&str] = &[
    r#""@method": GET"#,
    r#""@authority": test"#,
    r#""@path": /"#,
    r#""@scheme": http"#,
    r#""@query": ?"#,
    r#""x-auth-username": alice"#,
    r#""x-auth-realm": internal"#,
    r#""x-auth-roles": reader"#,
];

/// The parameter that names the first key.
const KEY: &str = r#";keyid="gw-1""#;

fn created() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sign(label: &str, base: &[&str], params: &str, secret: &str) -> Lines {
    sign_at(label, base, &format!(";created={}{params}", created()), secret)
}

/// As [`sign`], at whatever time the parameters name.
fn sign_at(label: &str, base: &[&str], params: &str, secret: &str) -> Lines {
    let fields = support::signature_fields(label, base, params, secret);
    fields.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
}

/// Alice's request with the gateway's right MAC, also over components that no implementation would sign.
fn signed_over(base: &[&str], components: &[&str]) -> Lines {
    let params = format!("({});created={}{KEY}", components.join(" "), created());
    let base = format!("{}\n\"@signature-params\": {params}", base.join("\n"));
    let mac = Hmac::<Sha256>::new_from_slice(GW_1.as_bytes()).unwrap().chain_update(base).finalize().into_bytes();
    let headers = with(alice(), "signature-input", format!("gw={params}"));
    with(headers, "signature", format!("gw=:{}:", STANDARD.encode(mac)))
}

/// Alice's request as the gateway signs it.
fn signed() -> Lines {
    [alice(), sign("gw", BASE, KEY, GW_1)].concat()
}

/// Alice's request, with a signature made as told.
fn signed_as(base: &[&str], params: &str, secret: &str) -> Lines {
    [alice(), sign("gw", base, params, secret)].concat()
}

/// Alice's request, whose signature was made for a request with another line of the base.
fn signed_for(line: &str) -> Lines {
    let component = line.split_once(':').unwrap().0;
    let base: Vec<_> = BASE.iter().map(|own| if own.starts_with(component) { line } else { own }).collect();
    signed_as(&base, KEY, GW_1)
}

const NAMES: [&str; 5] = ["x-auth-username", "x-auth-realm", "x-auth-roles", "x-auth-scopes", "x-auth-attributes"];

fn table() -> Vec<Attack> {
    let mut table = Table::default();
    no_proof(&mut table);
    ambiguity(&mut table);
    values(&mut table);
    limits(&mut table);
    claims(&mut table);
    token_header(&mut table);
    framing(&mut table);
    targets(&mut table);
    upgrades_and_trailers(&mut table);
    pseudo_headers(&mut table);
    signatures(&mut table);
    signature_parameters(&mut table);
    table.0
}

/// An identity that nobody proves, by any means of a client's.
fn no_proof(t: &mut Table) {
    let claim = |proof: &str| with(alice(), "x-auth-proof", proof);
    for gateway in [SHARED, SIGNED, PASS, FORWARD, EVIDENCE] {
        t.get("an identity without proof", gateway, alice(), UNTRUSTED);
        t.get("the signing secret as proof", gateway, claim(SIGNING_SECRET), UNTRUSTED);
    }
    for name in NAMES {
        t.get(&format!("{name} alone"), PASS, lines(&[(name, "root")]), UNTRUSTED);
    }
    t.get("a wrong proof", SHARED, claim("wrong"), UNTRUSTED);
    t.get("an empty proof", SHARED, claim(""), UNTRUSTED);
    t.get("a proof cut short", SHARED, claim(&PROOF[1..]), UNTRUSTED);
    t.get("a proof and more", SHARED, claim(&format!("{PROOF}, {PROOF}")), UNTRUSTED);
    t.get("the name of the proof's variable", SHARED, claim("PROXY_SECRET"), UNTRUSTED);
    t.get("the proof where a signature is due", SIGNED, proven(), UNTRUSTED);
    t.get("the proof where evidence is due", EVIDENCE, proven(), UNTRUSTED);
    t.get("the proof in a cookie", SHARED, with(alice(), "cookie", format!("x-auth-proof={PROOF}")), UNTRUSTED);
    t.both("a proof in the query", SHARED, &format!("GET /?x-auth-proof={PROOF}"), alice(), UNTRUSTED);
    let certificate =
        with(alice(), "x-forwarded-client-cert", "By=spiffe://a;URI=spiffe://cluster.local/ns/gw/sa/gateway");
    t.get("a made-up client certificate", EVIDENCE, certificate.clone(), UNTRUSTED);
    t.h1("another's client certificate", TLS, "GET /", alice(), UNTRUSTED);
    t.h1("another's client certificate and a made-up one", TLS, "GET /", certificate, UNTRUSTED);
    t.get("a made-up peer", EVIDENCE, with(alice(), "x-forwarded-for", "10.9.9.9"), UNTRUSTED);
    t.get("a made-up peer of Envoy's", EVIDENCE, with(alice(), "x-envoy-external-address", "10.9.9.9"), UNTRUSTED);
    t.get("filter state as a header", EVIDENCE, with(alice(), "auth_o_tron.authenticated", "yes"), UNTRUSTED);
    // Envoy believes that it comes from within, and keeps the id. The log must not show it.
    let from_within = with(alice(), "x-forwarded-for", "10.9.9.9");
    let line = with(from_within, "x-request-id", "1, issued: root, request 2");
    t.get("a request id that reads like a line of the log", EVIDENCE, line, UNTRUSTED);
    for method in ["OPTIONS", "TRACE", "POST", "PROPFIND", "HEAD"] {
        t.both(&format!("{method} without proof"), SHARED, &format!("{method} /"), alice(), UNTRUSTED);
        t.both(&format!("{method} without identity"), SHARED, &format!("{method} /"), Lines::new(), MISSING);
    }
    let preflight = with(with(alice(), "origin", "https://evil.example"), "access-control-request-method", "GET");
    t.both("a CORS preflight without proof", SHARED, "OPTIONS /", preflight, UNTRUSTED);
}

/// What two readers of the same request could read differently.
fn ambiguity(t: &mut Table) {
    let full = || with(with(proven(), "x-auth-scopes", "read"), "x-auth-attributes", "{}");
    for name in [&NAMES[..], &["x-auth-proof"]].concat() {
        for gateway in [SHARED, PASS, FORWARD] {
            t.get(&format!("{name} again, after"), gateway, with(full(), name, "root"), MALFORMED);
            t.get(&format!("{name} again, before"), gateway, before(full(), name, "root"), MALFORMED);
            let first = name.replacen('-', "_", 1);
            for alias in [name.replace('-', "_"), name.replace('-', "."), first, name.replace('-', "~")] {
                t.get(&format!("{alias} after"), gateway, with(full(), &alias, "root"), MALFORMED);
            }
            let alias = name.replacen("auth-", "auth_", 1);
            t.get(&format!("{alias} before"), gateway, before(full(), &alias, "root"), MALFORMED);
        }
        let (again, headers) = (format!("{name} again in upper case"), with(full(), &name.to_uppercase(), "root"));
        t.h1(&again, SHARED, "GET /", headers.clone(), MALFORMED);
        t.h2(&again, SHARED, "GET /", headers, Refused);
        t.h2(&format!("Connection nominates {name}"), SHARED, "GET /", with(full(), "connection", name), Refused);
    }
    t.get("an alias instead of the username", PASS, lines(&[("x_auth_username", "root")]), MALFORMED);
    t.get("a duplicate that says the same", SHARED, with(proven(), "x-auth-username", "alice"), MALFORMED);
    // Envoy drops what is nominated before the filter runs: less of an identity, never another one.
    for (what, gateway, headers, nominated, expected) in [
        ("the username", SHARED, proven(), "x-auth-username", MALFORMED),
        ("the realm", SHARED, proven(), "close, x-auth-realm", MALFORMED),
        ("the proof", SHARED, proven(), "x-auth-proof", UNTRUSTED),
        ("the roles", SHARED, proven(), "x-auth-roles", Issued("alice", &[])),
        ("the roles that are required", STRICT, proven(), "x-auth-roles", MALFORMED),
        ("signed roles", SIGNED, signed(), "x-auth-roles", UNTRUSTED),
        ("the token", SHARED, proven(), "authorization", HONEST),
    ] {
        let headers = with(headers, "connection", nominated);
        t.h1(&format!("Connection nominates {what}"), gateway, "GET /", headers, expected);
    }
    for name in ["x-auth-username", "x_auth_roles", "X-Auth-Proof", "authorization"] {
        let upgrade = with(with(proven(), "connection", format!("upgrade, {name}")), "upgrade", "websocket");
        t.h1(&format!("an upgrade whose Connection nominates {name}"), SHARED, "GET /", upgrade, MALFORMED);
    }
}

/// Values that break parsers, or that read as more than they are.
fn values(t: &mut Table) {
    let user = |value: &str| set(proven(), "x-auth-username", value);
    for name in NAMES {
        let mut bad = |what: &str, value: &[u8], expected| {
            t.get(&format!("{what} in {name}"), SHARED, set(proven(), name, value), expected);
        };
        bad("nothing", b"", MALFORMED);
        bad("spaces", b"   ", MALFORMED);
        bad("a no-break space", "\u{a0}".as_bytes(), MALFORMED);
        bad("\\xff", b"a\xff", MALFORMED);
        bad("an overlong slash", b"a\xc0\xaf", MALFORMED);
        bad("a surrogate", b"a\xed\xa0\x80", MALFORMED);
        bad("a TAB", b"a\tb", MALFORMED);
        bad("a C1 control", "a\u{85}b".as_bytes(), MALFORMED);
        bad("a DEL", b"a\x7fb", Refused);
        bad("a NUL", b"a\0b", Refused);
        t.h2(&format!("a bare CR in {name}"), SHARED, "GET /", set(proven(), name, b"a\rb"), Refused);
        t.get(&format!("20 000 bytes in {name}"), SHARED, set(proven(), name, "a".repeat(20_000)), MALFORMED);
    }
    let commas = [("leading", ",admin"), ("trailing", "admin,"), ("double", "a,,b"), ("lone", ","), ("blank", "a, ,b")];
    for (what, value) in commas {
        t.get(&format!("a {what} comma in the roles"), SHARED, set(proven(), "x-auth-roles", value), MALFORMED);
    }
    // One name with a comma in it, neither the one nor the other.
    t.get("a comma in the username", SHARED, user("alice,root"), Issued("alice,root", ROLES));
    t.get("257 bytes of username", SHARED, user(&"a".repeat(257)), MALFORMED);
    t.get("257 roles", SHARED, set(proven(), "x-auth-roles", vec!["r"; 257].join(",")), MALFORMED);
    for (what, json) in [
        ("an attribute twice", r#"{"a":"1","a":"2"}"#),
        ("attributes nested deeply", &r#"{"a":"#.repeat(1000)),
        ("a control by escape in attributes", r#"{"a":"\u0000"}"#),
    ] {
        t.get(what, SHARED, with(proven(), "x-auth-attributes", json), MALFORMED);
    }
    t.get("\\xff in the proof", SHARED, set(proven(), "x-auth-proof", b"\xff"), UNTRUSTED);
    t.get("\\xff in a foreign header", SHARED, with(proven(), "x-other", b"\xff"), HONEST);
    t.get("100 000 bytes of headers", SHARED, with(proven(), "x-auth-username", "a".repeat(100_000)), Refused);
    // A header name by way of a value. HTTP/1 parsers see one more line, which is a duplicate.
    for (what, value) in [("CR LF", "alice\r\nx-auth-username: root"), ("LF", "alice\nx-auth-username: root")] {
        t.get(&format!("{what} and the username again"), SHARED, user(value), Refused);
        t.h2(&format!("{what} by way of a foreign header"), SHARED, "GET /", with(proven(), "x-other", value), Refused);
    }
    t.h2("CR LF in a header name", SHARED, "GET /", with(proven(), "x-other: a\r\nx-auth-username", "root"), Refused);
    // Envoy itself unfolds the one and drops the other, before any filter and for every reader.
    t.h1("a folded line", SHARED, "GET /", user("alice\r\n root"), Issued("alice root", ROLES));
    t.h1("a bare CR", SHARED, "GET /", user("alice\rroot"), Issued("aliceroot", ROLES));
    t.h1("a folded line by TAB", SHARED, "GET /", user("alice\r\n\troot"), Refused);
    t.get("a space after the name", SHARED, with(proven(), "x-auth-username ", "root"), Refused);
    t.get("a TAB after the name", SHARED, with(proven(), "x-auth-username\t", "root"), Refused);
    t.get("a NUL after the name", SHARED, with(proven(), "x-auth-username\0", "root"), Refused);
    t.get("an empty name", SHARED, with(proven(), "", "root"), Refused);
}

/// What is over a limit is refused, never cut. Each is just over one limit, and within all others.
fn limits(t: &mut Table) {
    let attributes = |json: &Value| with(proven(), "x-auth-attributes", json.to_string());
    let many: BTreeMap<_, _> = (0..65).map(|n| (n.to_string(), "v")).collect();
    let long: BTreeMap<_, _> = (0..4).map(|n| (n.to_string(), "v".repeat(2000))).collect();
    for (name, headers) in [
        ("257 bytes of a role", set(proven(), "x-auth-roles", "r".repeat(257))),
        ("257 bytes of a scope", with(proven(), "x-auth-scopes", "s".repeat(257))),
        ("65 attributes", attributes(&json!(many))),
        ("129 bytes of an attribute's key", attributes(&json!({"k".repeat(129): "v"}))),
        ("2049 bytes of an attribute", attributes(&json!({"k": "v".repeat(2049)}))),
        // Blanks of JSON, of which the token would show nothing.
        ("8 KiB of headers together", with(proven(), "x-auth-attributes", format!("{{{}}}", " ".repeat(8180)))),
        ("8 KiB of token", attributes(&json!(long))),
    ] {
        t.get(name, SHARED, headers, MALFORMED);
    }
}

/// What a proven party may not say all the same.
fn claims(t: &mut Table) {
    let attributes = |json: &str| with(proven(), "x-auth-attributes", json);
    for (json, expected) in [
        (r#"{"admin":true}"#, MALFORMED),
        (r#"{"uid":0}"#, MALFORMED),
        (r#"{"groups":["admin"]}"#, MALFORMED),
        (r#"{"":"admin"}"#, MALFORMED),
        (r#"{"exp":"1"}"#, EXPIRED),
        (r#"{"exp":"-1"}"#, EXPIRED),
        (r#"{"exp":""}"#, MALFORMED),
        (r#"{"exp":"never"}"#, MALFORMED),
        (r#"{"exp":"1e99"}"#, MALFORMED),
        (r#"{"exp":"99999999999999999999"}"#, MALFORMED),
        // The end of 2099: no longer than any other token.
        (r#"{"exp":"4102444799"}"#, HONEST),
    ] {
        t.get(&format!("the attributes {json}"), SHARED, attributes(json), expected);
    }
    // The user's last minutes are the token's.
    let soon = format!(r#"{{"exp":"{}"}}"#, created() + 1800);
    t.get("an expiry before the token's", SHARED, attributes(&soon), HONEST);

    let mut strict = |name: &str, headers: Lines, expected| t.get(name, STRICT, headers, expected);
    let realm = |realm: &str| set(proven(), "x-auth-realm", realm);
    strict("a realm that the party may not assert", realm("guests"), WRONG_REALM);
    strict("a realm that is not accepted here", realm("partners"), WRONG_REALM);
    strict("a realm in other letter case", realm("Internal"), WRONG_REALM);
    strict("none of the roles that are required", without(proven(), "x-auth-roles"), MALFORMED);
    strict("a TAB where no claim is read from", with(proven(), "x-auth-tenant", "a\tb"), MALFORMED);
    let twice = with(attributes(r#"{"email":"root@example.com"}"#), "x-auth-email", "alice@example.com");
    strict("an attribute of two headers", twice, MALFORMED);
}

/// Tokens of a client's own never arrive.
fn token_header(t: &mut Table) {
    let none = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJpbnRlcm5hbC1yb290In0.";
    let none_in_capitals = "Bearer eyJhbGciOiJOT05FIn0.eyJzdWIiOiJpbnRlcm5hbC1yb290In0.";
    let name = "authorization";
    for (what, value) in [
        ("a token with alg none", none),
        ("a token with alg NONE", none_in_capitals),
        ("a password", "Basic cm9vdDpyb290"),
        ("an empty token", ""),
        ("half a bearer", "Bearer"),
    ] {
        for gateway in [SHARED, FORWARD] {
            t.get(&format!("{what} after a proof"), gateway, with(proven(), name, value), HONEST);
            t.get(&format!("{what} before a proof"), gateway, before(proven(), name, value), HONEST);
        }
        t.get(what, PASS, lines(&[(name, value)]), Passed);
        t.get(what, SHARED, lines(&[(name, value)]), MISSING);
        t.get(&format!("{what} and an identity"), SHARED, with(alice(), name, value), UNTRUSTED);
    }
    t.get("two tokens", SHARED, with(before(proven(), name, none), name, none), HONEST);
    t.get("two tokens", PASS, lines(&[(name, none), (name, none)]), Passed);
    t.h1("a token in upper case", SHARED, "GET /", with(proven(), "AUTHORIZATION", none), HONEST);
    t.h2("a token in upper case", SHARED, "GET /", with(proven(), "AUTHORIZATION", none), Refused);
    t.get("a proof of nothing", PASS, lines(&[("x-auth-proof", PROOF)]), Passed);
    t.get("two proofs of nothing", PASS, lines(&[("x-auth-proof", PROOF), ("x_auth_proof", "x")]), Passed);
}

/// Request smuggling: whatever is behind the request must not be taken for another one.
fn framing(t: &mut Table) {
    const INNER: &str =
        "0\r\n\r\nGET / HTTP/1.1\r\nhost: test\r\nx-case: smuggled\r\nauthorization: Bearer forged\r\n\r\n";
    for (what, fields) in [
        ("two lengths", &[("content-length", "5"), ("content-length", "6")][..]),
        ("a list of lengths", &[("content-length", "5, 6")]),
        ("a signed length", &[("content-length", "+5")]),
        ("a negative length", &[("content-length", "-5")]),
        ("a length beyond 64 bits", &[("content-length", "18446744073709551621")]),
        ("a length, then chunks", &[("content-length", "5"), ("transfer-encoding", "chunked")]),
        ("chunks, then a length", &[("transfer-encoding", "chunked"), ("content-length", "5")]),
        ("chunks in other words", &[("transfer-encoding", "xchunked")]),
        ("chunks that are not last", &[("transfer-encoding", "chunked, identity")]),
        ("chunks and a length under an alias", &[("transfer-encoding", "chunked"), ("content-length ", "5")]),
    ] {
        t.h1(what, SHARED, "POST /", [proven(), lines(fields)].concat(), Refused).body = INNER;
        t.h1(what, PASS, "POST /", lines(fields), Refused).body = INNER;
    }
    t.h1("a request behind a denied one", SHARED, "GET /", alice(), UNTRUSTED).body =
        "GET / HTTP/1.1\r\nhost: test\r\nx-case: smuggled\r\nx-auth-username: root\r\n\r\n";
    let chunked = || with(alice(), "transfer-encoding", "chunked");
    let sized = |headers| with(headers, "content-length", INNER.len().to_string());
    for (what, headers, expected) in [
        ("behind the chunks of a denied one", chunked(), UNTRUSTED),
        ("inside the body of a denied one", sized(alice()), UNTRUSTED),
        ("inside the body of a proven one", sized(proven()), HONEST),
    ] {
        t.h1(&format!("a request {what}"), SHARED, "POST /", headers, expected).body = INNER;
    }
    t.h1("a chunk of no size", SHARED, "POST /", chunked(), UNTRUSTED).body = "zz\r\n";
    for (what, fields) in [
        ("two lengths", &[("content-length", "0"), ("content-length", "6")][..]),
        ("a length of what is not there", &[("content-length", "60")]),
        ("chunks", &[("transfer-encoding", "chunked")]),
        ("an upgrade by header", &[("connection", "upgrade"), ("upgrade", "websocket")]),
        ("keep-alive", &[("keep-alive", "1")]),
    ] {
        t.h2(what, SHARED, "GET /", [proven(), lines(fields)].concat(), Refused);
    }
}

/// No target and no method makes an identity proven.
fn targets(t: &mut Table) {
    let healthz = ["/a/../healthz", "/%2fhealthz", "/healthz;a=b", "/\\healthz"];
    for target in [&["//", "/../", "/./", "/%2e%2e/", "/;x", "/%5c", "/%00", "/?", "/%ff", "*"][..], &healthz].concat()
    {
        let line = format!("GET {target}");
        let (unproven, signed_for_root) = match target {
            "*" => (Refused, Refused),
            // An empty query is none.
            "/?" => (UNTRUSTED, HONEST),
            _ => (UNTRUSTED, UNTRUSTED),
        };
        t.both(&format!("{target} without proof"), PASS, &line, alice(), unproven);
        t.both(&format!("{target} by a signature of /"), SIGNED, &line, signed(), signed_for_root);
    }
    t.h1("an absolute target without proof", SHARED, "GET http://test/", alice(), UNTRUSTED);
    t.h1("an absolute target at another host", SIGNED, "GET http://elsewhere/", signed(), UNTRUSTED);
    t.h1("an absolute target of another scheme", SIGNED, "GET https://test/", signed(), Refused);
    // Envoy drops the user, so that neither the filter nor the service sees one.
    t.h1("an absolute target with a user", SIGNED, "GET http://root@test/", signed(), HONEST);
    t.h1("OPTIONS * without proof", SHARED, "OPTIONS *", alice(), Refused);
    t.both("a method in lower case", SIGNED, "get /", signed(), Refused);
    t.both("a method that nobody knows", SHARED, "ROOT /", alice(), Refused);
}

fn upgrades_and_trailers(t: &mut Table) {
    let websocket = |headers| [headers, lines(&[("connection", "upgrade"), ("upgrade", "websocket")])].concat();
    t.h1("a WebSocket without proof", SHARED, "GET /", websocket(alice()), UNTRUSTED);
    t.h1("a WebSocket with a forged token", SHARED, "GET /", websocket(forging(proven())), HONEST);
    t.h1("a WebSocket with a forged token", PASS, "GET /", websocket(forging(Lines::new())), Passed);
    let h2c = [("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")];
    t.h1("an upgrade to h2c without proof", SHARED, "GET /", [alice(), lines(&h2c)].concat(), Refused);
    t.both("CONNECT without proof", SHARED, "CONNECT test:80", alice(), UNTRUSTED);
    t.both("CONNECT with a forged token", SHARED, "CONNECT test:80", forging(proven()), HONEST);
    t.both("CONNECT by a signature of GET", SIGNED, "CONNECT test:80", signed(), UNTRUSTED);
    let extended = &[&[(":method", "CONNECT"), (":protocol", "websocket")], &HTTP2_GET[1..]].concat();
    t.pseudo("an extended CONNECT without proof", extended, alice(), UNTRUSTED);
    t.pseudo("an extended CONNECT with a duplicate", extended, with(proven(), "x-auth-username", "root"), MALFORMED);
    t.pseudo("an extended CONNECT with a forged token", extended, forging(proven()), HONEST);
    for name in [&NAMES[..], &["x-auth-proof", "authorization"]].concat() {
        for spelling in [name.to_owned(), name.replace('-', "_"), name.replace('-', ".")] {
            let trailer = with(Lines::new(), &spelling, "root");
            t.trailers(&format!("{spelling} in the trailers"), FORWARD, proven(), &trailer, HONEST);
            t.trailers(&format!("{spelling} in the trailers"), PASS, Lines::new(), &trailer, Passed);
        }
    }
    t.trailers("the identity in the trailers alone", SHARED, Lines::new(), &proven(), MISSING);
    t.trailers("the proof in the trailers", SHARED, alice(), &lines(&[("x-auth-proof", PROOF)]), UNTRUSTED);
    t.trailers("\\xff in the trailers", SHARED, proven(), &with(Lines::new(), "x-auth-username", b"\xff"), HONEST);
    t.h2("a pseudo-header in the trailers", SHARED, "POST /", alice(), Refused).trailers = lines(&[(":path", "/")]);
}

/// The pseudo-headers of `GET http://test/`.
const HTTP2_GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "test")];

/// The same, with another value for one of them.
fn but(name: &str, value: &'static str) -> [(&'static str, &'static str); 4] {
    HTTP2_GET.map(|(own, old)| (own, if own == name { value } else { old }))
}

fn pseudo_headers(t: &mut Table) {
    let get = HTTP2_GET;
    let and = |name, value| [&get[..], &[(name, value)]].concat();
    for (name, value) in [(":path", "/admin"), (":method", "POST"), (":authority", "evil"), (":scheme", "https")] {
        t.pseudo(&format!("two {name}"), &and(name, value), proven(), Refused);
    }
    t.pseudo("a pseudo-header of our name", &and(":x-auth-username", "root"), proven(), Refused);
    t.pseudo("the status of a reply", &and(":status", "200"), proven(), Refused);
    t.pseudo("no path", &[get[0], get[1], get[3]], proven(), Refused);
    t.pseudo("no method", &get[1..], proven(), Refused);
    for (what, name, value) in [
        ("an empty path", ":path", ""),
        ("a path that holds a request line", ":path", "/ HTTP/1.1\r\nx-auth-username: root\r\n"),
        ("a method that holds a request line", ":method", "GET / HTTP/1.1\r\nx: y"),
        ("an authority that holds a line", ":authority", "test\r\nx-auth-username: root"),
    ] {
        t.pseudo(what, &but(name, value), proven(), Refused);
    }
    t.pseudo("no pseudo-header", &[], proven(), Refused);
    t.pseudo("a pseudo-header after the headers", &get[..3], with(proven(), ":authority", "test"), Refused);
}

/// A signature is good for the one request that it was made for, by the key that made it.
fn signatures(t: &mut Table) {
    let mut both = |name: &str, line: &str, headers: Lines| t.both(name, SIGNED, line, headers, UNTRUSTED);
    both("replayed by another method", "DELETE /", signed());
    both("replayed by HEAD", "HEAD /", signed());
    both("replayed at another path", "GET /admin", signed());
    both("replayed with a query", "GET /?admin=1", signed());
    both("made for another host", "GET /", signed_for(r#""@authority": elsewhere"#));
    both("made for another port", "GET /", signed_for(r#""@authority": test:8080"#));
    both("made for another path", "GET /", signed_for(r#""@path": /admin"#));
    both("made for another scheme", "GET /", signed_for(r#""@scheme": https"#));
    both("made for another query", "GET /", signed_for(r#""@query": ?a=b"#));
    both("made for another user", "GET /", signed_for(r#""x-auth-username": bob"#));
    for name in NAMES {
        both(&format!("{name} changed or added"), "GET /", set(signed(), name, "root"));
    }
    for name in ["x-auth-username", "x-auth-realm", "x-auth-roles", "signature", "signature-input"] {
        both(&format!("{name} dropped"), "GET /", without(signed(), name));
    }
    let covers = |skipped: &str| BASE.iter().copied().filter(|line| !line.contains(skipped)).collect::<Vec<_>>();
    for skipped in ["@method", "@authority", "@path", "@scheme", "@query", "username", "realm", "roles"] {
        both(&format!("{skipped} is not covered"), "GET /", signed_as(&covers(skipped), KEY, GW_1));
    }
    // Two signatures that each cover a half prove nothing together.
    let halves = [sign("a", &covers("username"), KEY, GW_1), sign("b", &covers("realm"), KEY, GW_1)].concat();
    both("two labels of a half each", "GET /", [alice(), halves].concat());
    let five: Lines =
        (0..5).flat_map(|n| sign(&format!("l{n}"), BASE, KEY, if n == 4 { GW_1 } else { GW_2 })).collect();
    both("the good one behind four bad ones", "GET /", [alice(), five].concat());
    // Beside the gateway's own label, a client's neither helps nor harms, and goes on as its own.
    let beside = [signed(), sign("gw", BASE, KEY, "a secret of the attacker's own, 32 bytes")].concat();
    both("the label again with another MAC", "GET /", beside);
    t.get("an alias of signature-input", SIGNED, with(signed(), "signature_input", "gw=()"), MALFORMED);
    t.get("an alias of the signed username", SIGNED, with(signed(), "x_auth_username", "root"), MALFORMED);
    t.get("the signed username again", SIGNED, with(signed(), "x-auth-username", "root"), MALFORMED);
    t.get("a forged token beside a signature", SIGNED, forging(signed()), HONEST);
    let failing = [sign("a", BASE, KEY, GW_2), signed()].concat();
    t.get("a failing label beside the good one", SIGNED, failing, HONEST);
    let mut sent = |what: &str, name: &str, value| {
        t.h2(what, SIGNED, "GET /", signed(), UNTRUSTED).pseudo = Some(lines(&but(name, value)));
    };
    sent("made for http, sent as https", ":scheme", "https");
    sent("sent to another host", ":authority", "evil");
    t.h2("sent to another host in Host", SIGNED, "GET /", with(signed(), "host", "evil"), HONEST);
}

/// A signature is one of a known key, in its time, over what the filter understands.
fn signature_parameters(t: &mut Table) {
    let mut untrusted = |name: &str, headers: Lines| t.get(name, SIGNED, headers, UNTRUSTED);
    untrusted("the first key under the second's name", signed_as(BASE, r#";keyid="gw-2""#, GW_1));
    untrusted("a key of no name", signed_as(BASE, "", GW_1));
    untrusted("an unknown keyid", signed_as(BASE, r#";keyid="gw-3""#, GW_1));
    untrusted("an empty keyid", signed_as(BASE, r#";keyid="""#, GW_1));
    untrusted("signed by the signing secret", signed_as(BASE, KEY, SIGNING_SECRET));
    untrusted("signed by the proof", signed_as(BASE, KEY, PROOF));
    untrusted("signed by the keyid", signed_as(BASE, KEY, "gw-1"));
    for alg in ["none", "NONE", "", "hmac-sha512", "rsa-v1_5-sha256", "ed25519", "HMAC-SHA256"] {
        untrusted(&format!("alg {alg:?}"), signed_as(BASE, &format!(r#"{KEY};alg="{alg}""#), GW_1));
    }
    for (name, params) in [
        ("as old as a day", format!(";created={}", created() - 86_400)),
        ("of tomorrow", format!(";created={}", created() + 86_400)),
        ("of no time", String::new()),
        ("that has expired", format!(";created={};expires={}", created() - 60, created() - 1)),
    ] {
        untrusted(name, [alice(), sign_at("gw", BASE, &format!("{params}{KEY}"), GW_1)].concat());
    }
    let names: Vec<_> = BASE.iter().map(|line| line.split_once(": ").unwrap().0).collect();
    let twice = signed_over(&[BASE, &BASE[2..3]].concat(), &[&names[..], &names[2..3]].concat());
    untrusted("a component twice", twice);
    let absent = signed_over(&[BASE, &[r#""x-absent": "#]].concat(), &[&names[..], &[r#""x-absent""#]].concat());
    untrusted("a component that is absent", absent);
    for parameter in [";bs", ";sf", ";req", ";tr", ";key=\"a\""] {
        let last = format!("{}{parameter}", names[7]);
        let components = [&names[..7], &[&*last]].concat();
        untrusted(&format!("a component with {parameter}"), signed_over(BASE, &components));
    }
    let line = format!(r#""x-long": {}"#, "a".repeat(17_000));
    let long = with(signed_as(&[BASE, &[&line]].concat(), KEY, GW_1), "x-long", "a".repeat(17_000));
    untrusted("16 KiB of signature base", long);
    let long = format!(r#"other=();a="{}""#, "a".repeat(8192));
    untrusted("8 KiB of signature-input", with(signed(), "signature-input", &long));
    let mac = String::from_utf8(signed().pop().unwrap().1).unwrap();
    for digits in [4, 20, 40] {
        let short = format!("{}:", &mac["gw=:".len()..][..digits]);
        untrusted(&format!("{digits} digits of the MAC"), set(signed(), "signature", format!("gw=:{short}")));
    }
    untrusted("no MAC", set(signed(), "signature", "gw=::"));
    untrusted("a MAC of nothing", set(signed(), "signature", "gw=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"));
    untrusted("a MAC as a string", set(signed(), "signature", "gw=\"x\""));
    untrusted("\\xff in the MAC", set(signed(), "signature", b"gw=:\xff:"));
    let (a, b) = (sign("a", BASE, KEY, GW_1), sign("b", BASE, KEY, GW_1));
    untrusted("the MAC of another label", [&alice(), &a[..1], &b[1..]].concat());
    // As some of these are made: it is not their MAC that refuses them.
    t.get("the right MAC by hand", SIGNED, signed_over(BASE, &names), HONEST);
}

// === the wire ===

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reply {
    Status(u16, Vec<u8>),
    Closed,
}

const TIMEOUT: Duration = Duration::from_secs(5);

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    // Frames are written one by one.
    stream.set_nodelay(true).unwrap();
    stream
}

/// A closed connection is an answer; silence is not.
fn answered<T>(read: std::io::Result<T>) -> Option<T> {
    if let Err(error) = &read {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "no answer in time");
    }
    read.ok()
}

fn http1_bytes(attack: &Attack) -> Vec<u8> {
    let mut bytes = format!("{} HTTP/1.1\r\nhost: test\r\nx-case: {}\r\n", attack.line, attack.name).into_bytes();
    let mut write = |headers: &Lines| {
        for (name, value) in headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
    };
    write(&attack.headers);
    if !attack.trailers.is_empty() {
        write(&lines(&[("transfer-encoding", "chunked\r\n\r\n2\r\nhi\r\n0")]));
        write(&attack.trailers);
    }
    bytes.extend(b"\r\n");
    bytes.extend(attack.body.bytes());
    bytes
}

fn read_http1(stream: &mut impl BufRead, is_head: bool) -> Option<Reply> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if answered(stream.read_line(&mut head))? == 0 {
            return None;
        }
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; if is_head { 0 } else { length }];
    answered(stream.read_exact(&mut body))?;
    Some(Reply::Status(status, body))
}

/// HTTP/2 by hand (RFC 9113): a library would not let the attacks out.
struct Http2 {
    stream: TcpStream,
}

impl Http2 {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    const GO_AWAY: u8 = 7;
    const CONTINUATION: u8 = 9;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    fn connect(port: u16) -> Self {
        let mut http2 = Self { stream: connect(port) };
        let _ = http2.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        // No dynamic table, so that a status is an index or a literal.
        http2.frame(Self::SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
        http2
    }

    /// What cannot be written is noticed when reading.
    fn frame(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let _ = self.stream.write_all(&[&length[1..], &[kind, flags], &id.to_be_bytes(), payload].concat());
    }

    /// Literals that are never indexed and not compressed (RFC 7541, section 6.2.3), so that any byte can be sent.
    fn headers(&mut self, id: u32, fields: &Lines, end_stream: bool) {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0x10);
            for string in [name.as_bytes(), value] {
                let mut rest = string.len();
                if rest < 127 {
                    block.push(u8::try_from(rest).unwrap());
                } else {
                    block.push(127);
                    rest -= 127;
                    while rest >= 128 {
                        block.push(u8::try_from(rest % 128 + 128).unwrap());
                        rest /= 128;
                    }
                    block.push(u8::try_from(rest).unwrap());
                }
                block.extend(string);
            }
        }
        let chunks: Vec<_> = if block.is_empty() { vec![&block[..]] } else { block.chunks(16_384).collect() };
        for (index, chunk) in chunks.iter().enumerate() {
            let kind = if index == 0 { Self::HEADERS } else { Self::CONTINUATION };
            let end_stream = if index == 0 && end_stream { Self::END_STREAM } else { 0 };
            let end_headers = if index + 1 == chunks.len() { Self::END_HEADERS } else { 0 };
            self.frame(kind, end_stream | end_headers, id, chunk);
        }
    }

    fn send(&mut self, id: u32, attack: &Attack) {
        let (method, target) = attack.line.split_once(' ').unwrap();
        let pseudo = attack.pseudo.clone().unwrap_or_else(|| match method {
            "CONNECT" => lines(&[(":method", method), (":authority", target)]),
            _ => lines(&[(":method", method), (":scheme", "http"), (":path", target), (":authority", "test")]),
        });
        let case = lines(&[("x-case", &attack.name)]);
        let is_connect = pseudo.iter().any(|(_, value)| value == b"CONNECT");
        self.headers(id, &[pseudo, case, attack.headers.clone()].concat(), attack.trailers.is_empty() && !is_connect);
        if !attack.trailers.is_empty() {
            self.frame(Self::DATA, 0, id, b"hi");
            self.headers(id, &attack.trailers, true);
        }
    }

    /// The replies to these streams. A CONNECT that succeeds has no end.
    fn replies(mut self, ids: &[u32]) -> BTreeMap<u32, Reply> {
        let mut open: BTreeMap<u32, Reply> = ids.iter().map(|id| (*id, Reply::Closed)).collect();
        let mut done = BTreeMap::new();
        while !open.is_empty() {
            let mut head = [0; 9];
            if answered(self.stream.read_exact(&mut head)).is_none() {
                break;
            }
            let [a, b, c, kind, flags, id @ ..] = head;
            let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
            if answered(self.stream.read_exact(&mut payload)).is_none() || kind == Self::GO_AWAY {
                break;
            }
            let id = u32::from_be_bytes(id);
            if kind == Self::SETTINGS && flags == 0 {
                self.frame(Self::SETTINGS, 1, 0, &[]);
            }
            let Some(reply) = open.get_mut(&id) else { continue };
            let is_reset = kind == Self::RESET;
            match (kind, &mut *reply) {
                (Self::HEADERS, Reply::Closed) => {
                    *reply = Reply::Status(read_status(&payload), Vec::new());
                }
                (Self::DATA, Reply::Status(_, body)) => body.extend(payload),
                _ => {}
            }
            let is_ended = matches!(kind, Self::HEADERS | Self::DATA) && flags & Self::END_STREAM != 0;
            // Of a reply that goes on without end, the status is enough.
            let is_tunnel = matches!(reply, Reply::Status(200, body) if body.is_empty()) && kind == Self::HEADERS;
            if is_reset || is_ended || is_tunnel {
                done.extend(open.remove_entry(&id));
            }
        }
        done.extend(open);
        done
    }
}

/// The `:status` at the beginning of a header block (RFC 7541, section 6 and appendices A and B).
fn read_status(block: &[u8]) -> u16 {
    let block = &block[block.iter().take_while(|&&byte| byte & 0xe0 == 0x20).count()..];
    match block[0] {
        index @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        0x48 | 0x08 | 0x18 => {
            let length = usize::from(block[1] & 0x7f);
            let value = &block[2..2 + length];
            if block[1] & 0x80 == 0 {
                return std::str::from_utf8(value).unwrap().parse().unwrap();
            }
            // Digits take 5 bits up to 2, and 6 bits from 3 on.
            let mut bits = value.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
            let mut digit = || {
                let five = (0..5).fold(0, |code, _| code << 1 | bits.next().unwrap());
                if five < 3 { five } else { (five << 1 | bits.next().unwrap()) - 0b01_1001 + 3 }
            };
            digit() * 100 + digit() * 10 + digit()
        }
        first => panic!("no status begins with {first:#x}"),
    }
}

// === the judge ===

pub struct World {
    envoy: Envoy,
    upstream: Upstream,
    authority: Authority,
    /// Values that must not be in the filter's log lines.
    sent: Vec<Vec<u8>>,
}

impl World {
    fn start() -> Self {
        let upstream = Upstream::start();
        let authority = Authority::new();
        let envoy = Envoy::start(&bootstrap(upstream.port, &authority));
        Self { envoy, upstream, authority, sent: Vec::new() }
    }

    fn exchange(&mut self, attack: &Attack) -> Reply {
        self.sent.extend(attack.headers.iter().chain(&attack.trailers).map(|(_, value)| value.clone()));
        let port = self.envoy.port(attack.gateway);
        match attack.protocol {
            Protocol::Http1 if attack.gateway == TLS => {
                let client = self.authority.client(&[uri("spiffe://cluster.local/ns/gw/sa/other")]);
                let reply = self.authority.send(port, Some(&client), &http1_bytes(attack)).expect("a reply");
                Reply::Status(reply.status, reply.message.body)
            }
            Protocol::Http1 => {
                let mut stream = connect(port);
                let _ = stream.write_all(&http1_bytes(attack));
                let is_head = attack.line.starts_with("HEAD");
                read_http1(&mut BufReader::new(stream), is_head).unwrap_or(Reply::Closed)
            }
            Protocol::Http2 => {
                let mut http2 = Http2::connect(port);
                http2.send(1, attack);
                http2.replies(&[1]).remove(&1).unwrap()
            }
        }
    }

    fn check(&mut self, attack: &Attack) {
        let reply = self.exchange(attack);
        let honest = honest(attack.gateway);
        let after = self.exchange(&honest);
        // After the honest request, so that what comes late is seen as well.
        let mut arrived = self.upstream.take_all();
        assert!(matches!(after, Reply::Status(200, _)), "the worker no longer issues: {after:?}");
        check_issued(&arrived.remove(&honest.name).expect("the honest request arrived"), &honest);
        match attack.expected {
            Denied(code) => {
                assert_eq!(arrived.len(), 0, "it reached the service: {arrived:?}");
                let body = if attack.line.starts_with("HEAD") { "" } else { code.body() };
                assert_eq!(reply, Reply::Status(code.status(), body.as_bytes().to_vec()));
            }
            Refused => {
                assert_eq!(arrived.len(), 0, "it reached the service: {arrived:?}");
                assert!(matches!(reply, Reply::Status(400..=499 | 501, _) | Reply::Closed), "{reply:?}");
            }
            Issued(..) => {
                let message = arrived.remove(&attack.name).unwrap_or_else(|| panic!("it did not arrive: {reply:?}"));
                check_issued(&message, attack);
                assert_eq!(arrived.len(), 0, "more reached the service: {arrived:?}");
            }
            Passed => {
                let message = arrived.remove(&attack.name).unwrap_or_else(|| panic!("it did not arrive: {reply:?}"));
                assert_eq!(ours(&message), []);
                assert_eq!(arrived.len(), 0, "more reached the service: {arrived:?}");
            }
        }
    }

    /// Requests of two identities and of a liar, one after the other on one connection.
    fn check_mix(&mut self, protocol: Protocol) {
        let requests: Vec<_> = (0..60).map(|n| mixed(n, protocol)).collect();
        let port = self.envoy.port(SHARED);
        let replies: Vec<_> = match protocol {
            Protocol::Http1 => {
                let mut reader = BufReader::new(connect(port));
                let exchange = |request| {
                    reader.get_mut().write_all(&http1_bytes(request)).unwrap();
                    read_http1(&mut reader, false).expect("a reply")
                };
                requests.iter().map(exchange).collect()
            }
            Protocol::Http2 => {
                let mut http2 = Http2::connect(port);
                let ids: Vec<_> = (0..60).map(|n| 2 * n + 1).collect();
                ids.iter().zip(&requests).for_each(|(id, request)| http2.send(*id, request));
                http2.replies(&ids).into_values().collect()
            }
        };
        let mut arrived = self.upstream.take_all();
        for (request, reply) in requests.iter().zip(replies) {
            match request.expected {
                Issued(..) => check_issued(&arrived.remove(&request.name).expect("it arrived"), request),
                _ => assert!(matches!(reply, Reply::Status(401, _)), "{reply:?}"),
            }
        }
        assert_eq!(arrived.len(), 0, "more reached the service: {arrived:?}");
    }

    /// Nothing panicked, and nothing that was sent is in a line of the filter's.
    fn check_log(&self) {
        let log = self.envoy.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("[wasm]") && line.contains("wasm log")).collect();
        assert!(!lines.is_empty(), "the filter logs at debug level");
        assert!(!log.contains("panicked"), "the filter panicked");
        // Not the short ones, which are in words of the log such as `identity`.
        let is_telling = |value: &&Vec<u8>| value.len() > 8;
        let values: std::collections::BTreeSet<_> = self.sent.iter().filter(is_telling).collect();
        let names = [&NAMES[..], &["x-auth-proof", "authorization", "close, x-auth-realm"]].concat();
        for line in lines {
            assert!(!line.contains("alice"), "{line}");
            for value in values.iter().filter_map(|value| std::str::from_utf8(value).ok()) {
                assert!(names.contains(&value) || !line.contains(value), "{value:?} in {line}");
            }
        }
    }
}

/// A request that must be served, on the worker that just saw an attack.
fn honest(gateway: &'static str) -> Attack {
    let (gateway, headers) = match gateway {
        SIGNED => (SIGNED, signed()),
        // All gateways share the worker, and nothing is proven here.
        EVIDENCE | TLS => (SHARED, proven()),
        _ => (gateway, proven()),
    };
    let mut table = Table::default();
    table.h1("honest", gateway, "GET /", headers, HONEST);
    table.0.remove(0)
}

fn mixed(n: u32, protocol: Protocol) -> Attack {
    let bob = || set(set(proven(), "x-auth-username", "bob"), "x-auth-roles", "writer");
    let (headers, expected) = match n % 3 {
        0 => (proven(), HONEST),
        1 => (bob(), Issued("bob", &["writer"])),
        _ => (without(bob(), "x-auth-proof"), UNTRUSTED),
    };
    let mut table = Table::default();
    table.add(protocol, &format!("mixed {n}"), SHARED, "GET /", headers, expected);
    table.0.remove(0)
}

/// Every header and trailer that a service could take for one of ours, whatever its spelling.
fn ours(message: &Message) -> Vec<(&str, &[u8])> {
    let is_ours = |name: &str| {
        let folded = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        folded.starts_with("x-auth-") || ["authorization", "signature", "signature-input"].contains(&folded.as_str())
    };
    let all = message.headers.iter().chain(&message.trailers);
    all.filter(|(name, _)| is_ours(name)).map(|(name, value)| (name.as_str(), value.as_slice())).collect()
}

/// Exactly one token, for exactly this identity, and no other header of ours but those that are forwarded.
fn check_issued(arrived: &Message, attack: &Attack) {
    let Issued(username, roles) = attack.expected else { panic!("no token is expected") };
    let token = arrived.value("authorization").expect("a token");
    let claims = verify(token.strip_prefix("Bearer ").expect("a bearer token"));
    let attributes = attack.headers.iter().find(|(name, _)| name == "x-auth-attributes");
    let attributes: Value = attributes.map_or(json!({}), |(_, value)| serde_json::from_slice(value).unwrap());
    // An hour, and never longer than the user's own expiry.
    let latest = claims["iat"].as_u64().unwrap() + 3600;
    let own = attributes["exp"].as_str().map_or(latest, |own| own.parse().unwrap());
    let expected = json!({
        "sub": format!("internal-{username}"), "iss": "auth-o-tron.example.com", "exp": own.min(latest),
        "iat": claims["iat"], "roles": roles, "username": username, "realm": "internal", "attributes": attributes,
    });
    assert_eq!(claims, expected);
    let mut rest: Vec<_> = ours(arrived).into_iter().filter(|(name, _)| *name != "authorization").collect();
    rest.sort_unstable();
    let roles = roles.join(",");
    let forwarded = [("x-auth-realm", "internal"), ("x-auth-roles", &roles), ("x-auth-username", username)]
        .map(|(name, value)| (name, value.as_bytes()));
    assert_eq!(rest, if [FORWARD, STRICT].contains(&attack.gateway) { &forwarded[..] } else { &[] });
}

pub static WORLD: Shared<World> = Shared::new(World::start);

pub fn trials() -> Vec<Trial> {
    let named = |name: &str, check: Box<dyn FnOnce(&mut World) + Send>| {
        trial(module_path!(), name, move || {
            WORLD.with(|world| {
                // What a failed trial left behind is not this one's.
                world.upstream.take_all();
                check(world);
            });
        })
    };
    let mut trials: Vec<_> = table()
        .into_iter()
        .map(|attack| named(&attack.name.clone(), Box::new(move |world| world.check(&attack))))
        .collect();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let name = format!("{protocol:?} {SHARED}: two identities and a liar on one connection");
        trials.push(named(&name, Box::new(move |world| world.check_mix(protocol))));
    }
    // In this order, so that the log is read last.
    trials.push(named("nothing of a request and no panic in the log", Box::new(|world| world.check_log())));
    trials
}
