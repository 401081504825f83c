//! What happens to a request, as a table: headers in → outcome, and what reaches the service. `tests/envoy.rs` shows it
//! to the filter in real Envoy, `tests/explain.rs` to the command as well.

use std::time::{SystemTime, UNIX_EPOCH};

use auth_o_tron_envoy::rejection::Code;
use serde_json::{Value, json};

use super::{Lines, Message, PROOF, SIGNING_SECRET};

/// The header that only the partner of the `rich` gateway sends, and its value.
pub const PARTNER: (&str, &str) = ("x-partner-proof", "the partner's proof, unlike the gateway's");

/// Plugin configurations: the shipped one, and what it leaves out.
#[allow(clippy::too_many_lines, reason = "it is a table")]
pub fn configurations() -> Vec<(&'static str, Value)> {
    let jwt = super::shipped_configuration()["jwt"].take();
    let trust = super::shipped_configuration()["trust"].take();
    vec![
        ("shipped", super::shipped_configuration()),
        ("pass", json!({"jwt": jwt, "trust": trust, "on_missing": "pass"})),
        ("forward", json!({"jwt": jwt, "trust": trust, "forward_identity": true})),
        (
            "rich",
            json!({
                "jwt": {
                    "iss": "auth-o-tron.example.com", "aud": "my-application", "exp": 60, "kid": "2026-11",
                    "secret_env": "AUTH_O_TRON_SECRET",
                },
                "identity": {
                    "username": {"header": ["X-Auth-Preferred-Username", "x-auth-username"]},
                    "roles": {"format": "json"},
                    "scopes": {"format": "json"},
                    "attributes": {"from": {"email": "x-auth-email"}},
                    "required": ["roles"],
                    "realms": ["internal", "partners", "federated"],
                },
                "trust": [
                    {
                        "shared_secret": {"header": "x-auth-proof", "secret_env": "PROXY_SECRET"},
                        "realms": ["internal", "guests"],
                    },
                    {"shared_secret": {"header": PARTNER.0, "secret": PARTNER.1}, "realms": ["partners"]},
                ],
                "token": {"header": "x-auth-token", "prefix": "", "max_bytes": 1024},
                "claims": {"scopes": "map", "aud": true},
            }),
        ),
        (
            "lists",
            json!({
                "jwt": jwt,
                "trust": trust,
                "identity": {
                    "realm": {"value": "corp"},
                    "roles": {"header": "x-auth-role", "format": "repeated"},
                    "scopes": {"format": "base64-json"},
                },
            }),
        ),
        (
            "signed",
            json!({
                "jwt": jwt,
                "trust": [{"signature": {
                    "keys": [{"keyid": "gw-1", "secret_env": "AUTH_O_TRON_SECRET"}],
                    // The table is signed when it is written down, however long it then takes to run.
                    "max_age": 3600,
                }}],
            }),
        ),
        (
            "pipe",
            json!({
                "jwt": jwt,
                "trust": trust,
                "identity": {"roles": {"format": "pipe"}, "scopes": {"format": "csv"}},
                "token": {"max_bytes": 61440},
            }),
        ),
        // Each product as it is, and one whose headers are replaced in part.
        ("oauth2-proxy", preset("oauth2-proxy")),
        ("oauth2-proxy-auth-request", preset("oauth2-proxy-auth-request")),
        ("authelia", preset("authelia")),
        ("authentik", preset("authentik")),
        ("kubernetes", preset("kubernetes")),
        (
            "adapted",
            json!({
                "jwt": jwt,
                "trust": trust,
                "identity": {
                    "preset": "oauth2-proxy",
                    "username": {"header": "x-forwarded-email"},
                    "realm": {"header": "x-forwarded-tenant"},
                    "roles": {"format": "pipe"},
                    "attributes": {"from": {"token": "x-forwarded-access-token"}},
                },
            }),
        ),
        (
            "rules",
            json!({
                "jwt": jwt,
                "trust": trust,
                "claims": {"aud": true},
                "rules": [
                    {"match": {"path_prefix": "/open/but/closed"}, "action": "deny"},
                    {"match": {"path": "/open/but/proven"}, "action": "issue"},
                    {"match": {"path_prefix": "/open/", "methods": ["GET", "OPTIONS"]}, "action": "pass"},
                    {"match": {"path": "/exact"}, "action": "pass"},
                    {"match": {"path_prefix": "/admin"}, "action": "deny"},
                    {"match": {"hosts": ["Billing.example.com", "[::1]"]}, "jwt": {"aud": "billing", "exp": 300}},
                    {"match": {"hosts": ["*.partners.example.com"]}, "jwt": {"iss": "partners.example.com"}},
                    {"match": {"hosts": ["status.example.com"], "path": "/"}, "action": "pass"},
                    {"match": {"route": "orders", "methods": ["GET"]}, "action": "pass"},
                    {"match": {"route": "orders", "methods": ["POST"]}, "jwt": {"aud": "orders"}},
                    {"match": {"route": "orders"}, "action": "deny"},
                ],
            }),
        ),
        (
            "open",
            json!({
                "jwt": jwt,
                "trust": trust,
                "on_missing": "pass",
                "rules": [
                    {"match": {"path_prefix": "/admin"}, "action": "deny"},
                    {"match": {"path_prefix": "/api"}, "jwt": {"aud": "api"}},
                ],
                "telemetry": {"filter_state": true},
            }),
        ),
        (
            "extended",
            json!({
                "jwt": {
                    "iss": "auth-o-tron.example.com", "exp": 3600,
                    "kid": "first", "secret": "a key whose time is over, and long enough",
                    "rotation": [
                        {"kid": "later", "secret": PROOF.repeat(3), "not_before": "2999-01-01T00:00:00Z"},
                        {"kid": "now", "secret_env": "AUTH_O_TRON_SECRET", "not_before": "2026-01-01T01:00:00+01:00"},
                        {"kid": "second", "secret": PROOF.repeat(2), "not_before": "2025-12-31T23:59:59Z"},
                    ],
                },
                "trust": trust,
                "claims": {"jti": true, "extra": {"env": "prod", "limits": {"requests": 10}, "tags": ["a", null]}},
            }),
        ),
        (
            "reuse",
            json!({
                "jwt": jwt,
                "trust": [trust[0], {"shared_secret": {"header": PARTNER.0, "secret": PARTNER.1}}],
                "claims": {"jti": true},
                "token": {"reuse": 60},
                "rules": [{"match": {"path_prefix": "/other"}, "action": "issue"}],
            }),
        ),
    ]
}

/// A product that knows no realms, behind the shipped proof.
fn preset(name: &str) -> Value {
    let mut configuration = super::shipped_configuration();
    configuration["identity"] = json!({"preset": name, "realm": {"value": "corp"}});
    configuration
}

/// One row of the table.
pub struct Case {
    pub name: String,
    pub gateway: &'static str,
    pub method: &'static str,
    pub host: &'static str,
    pub target: &'static str,
    pub headers: Lines,
    pub trailers: Lines,
    pub expected: Expected,
}

impl Case {
    pub fn new(name: String, gateway: &'static str, headers: Lines, expected: Expected) -> Self {
        let trailers = Lines::new();
        Self { name, gateway, method: "GET", host: "test:80", target: "/", headers, trailers, expected }
    }

    /// The request as it stands on the wire.
    pub fn wire(&self) -> Vec<u8> {
        let mut request = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\nx-case: {}\r\n",
            self.method,
            if self.method == "CONNECT" { self.host } else { self.target },
            self.host,
            self.name
        )
        .into_bytes();
        for (name, value) in &self.headers {
            // Latin-1, so that a case can hold a name that is not UTF-8.
            request.extend(name.chars().map(|c| u8::try_from(u32::from(c)).unwrap()));
            request.extend([b": ", value.as_slice(), b"\r\n"].concat());
        }
        if self.trailers.is_empty() {
            request.extend(b"\r\n");
        } else {
            request.extend(b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n");
            for (name, value) in &self.trailers {
                request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
            }
            request.extend(b"\r\n");
        }
        request
    }
}

pub enum Expected {
    /// The service gets a token with these claims, and of our headers only these beside it. Beside the claims there
    /// are `kid`, that of the JOSE header, and `lifetime`, which is `exp` without `iat`.
    Issued { claims: Value, beside: &'static [&'static str] },
    /// The service gets the request with none of our headers.
    Passed,
    /// The client gets this code, the service nothing.
    Denied(Code),
    /// Envoy itself refuses the request before any filter runs: the client gets this status, the service nothing.
    RefusedByEnvoy(u16),
}

/// Headers of a proven request.
pub fn alice() -> Lines {
    lines(&[("x-auth-username", "alice"), ("x-auth-realm", "internal"), ("x-auth-proof", PROOF)])
}

pub fn lines(pairs: &[(&str, &str)]) -> Lines {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
}

pub fn with(mut headers: Lines, name: &str, value: impl AsRef<[u8]>) -> Lines {
    headers.push((name.to_owned(), value.as_ref().to_vec()));
    headers
}

pub fn without(mut headers: Lines, name: &str) -> Lines {
    headers.retain(|(own, _)| own != name);
    headers
}

pub fn set(headers: Lines, name: &str, value: impl AsRef<[u8]>) -> Lines {
    with(without(headers, name), name, value)
}

/// A JSON list nested deeper than any stack.
fn nested_json() -> String {
    "[".repeat(3000)
}

#[derive(Default)]
struct Table(Vec<Case>);

impl Table {
    fn add(&mut self, name: impl Into<String>, gateway: &'static str, headers: Lines, expected: Expected) -> &mut Case {
        self.0.push(Case::new(format!("{gateway}: {}", name.into()), gateway, headers, expected));
        self.0.last_mut().unwrap()
    }

    fn issued(&mut self, name: impl Into<String>, gateway: &'static str, headers: Lines, claims: Value) -> &mut Case {
        self.add(name, gateway, headers, Expected::Issued { claims, beside: &[] })
    }

    fn denied(&mut self, name: impl Into<String>, gateway: &'static str, headers: Lines, code: Code) -> &mut Case {
        self.add(name, gateway, headers, Expected::Denied(code))
    }

    fn passed(&mut self, name: impl Into<String>, gateway: &'static str, headers: Lines) -> &mut Case {
        self.add(name, gateway, headers, Expected::Passed)
    }
}

pub fn table() -> Vec<Case> {
    let mut table = Table::default();
    well_formed(&mut table);
    replaced_defaults(&mut table);
    signatures(&mut table);
    no_identity(&mut table);
    not_proven(&mut table);
    realms(&mut table);
    malformed(&mut table);
    expiry(&mut table);
    upgrades_and_trailers(&mut table);
    hostile_bytes(&mut table);
    presets(&mut table);
    rules(&mut table);
    paths(&mut table);
    hosts_and_routes(&mut table);
    extended(&mut table);
    table.0
}

/// Row: identity proven and well formed.
fn well_formed(table: &mut Table) {
    let all = with(alice(), "x-auth-roles", "admin,developer");
    let all = with(all, "x-auth-scopes", "read write");
    let all = with(all, "x-auth-attributes", r#"{"team":"platform","department":"engineering"}"#);
    let claims = json!({
        "sub": "internal-alice", "iss": "auth-o-tron.example.com", "aud": null,
        "roles": ["admin", "developer"], "username": "alice", "realm": "internal", "scopes": ["read", "write"],
        "attributes": {"department": "engineering", "team": "platform"},
    });
    table.issued("a token for all claims", "shipped", all.clone(), claims.clone());
    table.issued(
        "a token for username and realm alone",
        "shipped",
        alice(),
        json!({"roles": [], "scopes": null, "attributes": {}}),
    );
    table.issued(
        "the client's own token is replaced",
        "shipped",
        with(alice(), "authorization", "Bearer forged"),
        json!({"username": "alice"}),
    );
    let twice = with(with(alice(), "authorization", "Bearer one"), "authorization", "Basic two");
    table.issued("the client's own tokens are replaced", "shipped", twice, json!({"username": "alice"}));
    table.issued(
        "header names in upper case are the same names",
        "shipped",
        lines(&[("X-Auth-Username", "alice"), ("X-AUTH-REALM", "internal"), ("X-Auth-Proof", PROOF)]),
        json!({"sub": "internal-alice"}),
    );
    table.issued(
        "UTF-8 is kept",
        "shipped",
        set(alice(), "x-auth-username", "Jürgen O'Néill"),
        json!({"username": "Jürgen O'Néill"}),
    );
    let beside = &["x-auth-attributes", "x-auth-realm", "x-auth-roles", "x-auth-scopes", "x-auth-username"];
    table.add("proven identity headers go on, the proof does not", "forward", all, Expected::Issued { claims, beside });

    let rich = with(alice(), "x-auth-roles", r#"["admin","a,b"]"#);
    let rich = with(rich, "x-auth-scopes", r#"{"s3":["get"],"mars":[]}"#);
    let rich = with(rich, "x-auth-email", "alice@example.com");
    table.issued(
        "JSON, an attribute's own header, a scope map, aud, another token header",
        "rich",
        rich.clone(),
        json!({
            "aud": "my-application", "roles": ["admin", "a,b"], "scopes": {"s3": ["get"], "mars": []},
            "attributes": {"email": "alice@example.com"},
        }),
    );
    table.issued(
        "the first of several headers counts",
        "rich",
        with(rich.clone(), "x-auth-preferred-username", "Alice A."),
        json!({"username": "Alice A."}),
    );
    table.issued(
        "an alias of the token header is removed",
        "rich",
        with(with(rich, "x_auth_token", "forged"), "x.auth.token", "forged"),
        json!({"username": "alice"}),
    );

    let lists = with(with(alice(), "x-auth-role", "b"), "x-auth-role", "a");
    let lists = with(without(lists, "x-auth-realm"), "x-auth-scopes", "WyJyZWFkIl0=");
    table.issued(
        "one role a line, scopes in base64, a fixed realm",
        "lists",
        lists,
        json!({"sub": "corp-alice", "realm": "corp", "roles": ["b", "a"], "scopes": ["read"]}),
    );
    let pipe = with(with(alice(), "x-auth-roles", "b|two words"), "x-auth-scopes", "read, write");
    table.issued(
        "roles between pipes, scopes between commas",
        "pipe",
        pipe,
        json!({"roles": ["b", "two words"], "scopes": ["read", "write"]}),
    );
}

/// A header of the preset stays ours where the configuration reads another one, or a fixed value, in its place.
fn replaced_defaults(table: &mut Table) {
    let lists = || without(alice(), "x-auth-realm");
    table.issued(
        "the default realm header is removed beside a fixed realm",
        "lists",
        with(lists(), "x-auth-realm", "evil"),
        json!({"realm": "corp"}),
    );
    table.issued(
        "the default roles header is removed beside another one",
        "lists",
        with(with(lists(), "x-auth-roles", "admin"), "x-auth-role", "r"),
        json!({"roles": ["r"]}),
    );
    table.denied(
        "the default realm header alone is an identity",
        "lists",
        lines(&[("x-auth-realm", "evil")]),
        Code::IdentityUntrusted,
    );
    let alias = with(lists(), "x_auth_realm", "evil");
    table.denied("an alias of the default realm header", "lists", alias, Code::IdentityMalformed);
}

/// The signature base of a request of alice's to the `signed` gateway, written by hand.
pub const LINES: &[&str] = &[
    r#""@method": GET"#,
    r#""@authority": test"#,
    r#""@path": /"#,
    r#""x-auth-username": alice"#,
    r#""x-auth-realm": internal"#,
];

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Alice's request, signed by the gateway.
pub fn signed(base: &[&str], created: u64) -> Lines {
    let params = format!(r#";created={created};keyid="gw-1""#);
    let fields = super::signature_fields("gw", base, &params, SIGNING_SECRET);
    let fields = fields.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    [without(alice(), "x-auth-proof"), fields].concat()
}

/// `trust[].signature`: `tests/signature.rs` has every way to fail, this is how Envoy hands it over.
fn signatures(table: &mut Table) {
    let good = || signed(LINES, now());
    table.issued("what another implementation signs", "signed", good(), json!({"sub": "internal-alice"}));
    table.denied("no signature", "signed", without(good(), "signature"), Code::IdentityUntrusted);
    table.denied("no signature-input", "signed", without(good(), "signature-input"), Code::IdentityUntrusted);
    table.denied("an hour too old", "signed", signed(LINES, now() - 7200), Code::IdentityUntrusted);
    table.denied("an hour ahead", "signed", signed(LINES, now() + 3600), Code::IdentityUntrusted);
    let changed = set(good(), "x-auth-username", "root");
    table.denied("another username", "signed", changed, Code::IdentityUntrusted);
    let added = with(good(), "x-auth-roles", "admin");
    table.denied("a role added", "signed", added, Code::IdentityUntrusted);
    table.denied("replayed by another method", "signed", good(), Code::IdentityUntrusted).method = "DELETE";
    table.denied("replayed by CONNECT", "signed", good(), Code::IdentityUntrusted).method = "CONNECT";
    let other_host: Vec<_> =
        [LINES[0], r#""@authority": elsewhere"#].into_iter().chain(LINES[2..].iter().copied()).collect();
    table.denied("replayed at another host", "signed", signed(&other_host, now()), Code::IdentityUntrusted);
    let other_path: Vec<_> =
        LINES[..2].iter().copied().chain([r#""@path": /orders"#]).chain(LINES[3..].iter().copied()).collect();
    table.denied("replayed at another path", "signed", signed(&other_path, now()), Code::IdentityUntrusted);
    let dropped = with(good(), "connection", "x-auth-realm");
    table.denied("a covered header nominated by Connection", "signed", dropped, Code::IdentityUntrusted);
    table.denied("\\xff in the signature", "signed", set(good(), "signature", b"gw=:\xff:"), Code::IdentityUntrusted);
    let aliased = with(good(), "signature_input", "gw=()");
    table.denied("an alias of signature-input", "signed", aliased, Code::IdentityMalformed);
    let foreign = with(good(), "signature-input", r#"client=("@method");keyid="client""#);
    let foreign = with(foreign, "signature", "client=:AAAA:");
    table.issued("a client's own signature goes on, ours does not", "signed", foreign, json!({"username": "alice"}));
}

/// Row: no identity header at all.
fn no_identity(table: &mut Table) {
    let proof_only = lines(&[("x-auth-proof", PROOF)]);
    table.denied("no header at all", "shipped", Lines::new(), Code::IdentityMissing);
    table.denied("a proof of nothing", "shipped", proof_only.clone(), Code::IdentityMissing);
    table.denied(
        "a token of the client's own",
        "shipped",
        lines(&[("authorization", "Bearer forged")]),
        Code::IdentityMissing,
    );
    table.passed("no header at all", "pass", Lines::new());
    table.passed(
        "the client's own token is removed",
        "pass",
        lines(&[("authorization", "Bearer forged"), ("x-other", "1")]),
    );
    table.passed("a proof of nothing is removed", "pass", proof_only);
    table.denied(
        "an identity is never passed unproven",
        "pass",
        without(alice(), "x-auth-proof"),
        Code::IdentityUntrusted,
    );
    table.denied(
        "an alias is an identity too",
        "pass",
        lines(&[("x_auth_username", "alice")]),
        Code::IdentityMalformed,
    );
}

/// Row: identity headers, but no trust entry proves them.
fn not_proven(table: &mut Table) {
    for (name, proof) in [
        ("a wrong proof", "wrong"),
        ("an empty proof", ""),
        ("a proof cut short", &PROOF[..PROOF.len() - 1]),
        ("a proof with more after it", &format!("{PROOF}!")),
        ("a proof in upper case", &PROOF.to_uppercase()),
        ("the proof of another gateway", PARTNER.1),
    ] {
        table.denied(name, "shipped", set(alice(), "x-auth-proof", proof), Code::IdentityUntrusted);
    }
    table.denied("no proof", "shipped", without(alice(), "x-auth-proof"), Code::IdentityUntrusted);
    table.denied(
        "a forged token beside it",
        "shipped",
        with(without(alice(), "x-auth-proof"), "authorization", "Bearer forged"),
        Code::IdentityUntrusted,
    );
    table.denied(
        "the proof in another header",
        "shipped",
        with(without(alice(), "x-auth-proof"), "x-proof", PROOF),
        Code::IdentityUntrusted,
    );
    for name in ["x-auth-username", "x-auth-realm", "x-auth-roles", "x-auth-scopes", "x-auth-attributes"] {
        table.denied(format!("{name} alone"), "shipped", lines(&[(name, "alice")]), Code::IdentityUntrusted);
    }
    let swapped = with(set(alice(), "x-auth-proof", PARTNER.1), PARTNER.0, PROOF);
    table.denied("each proof in the other's header", "rich", swapped, Code::IdentityUntrusted);
}

/// Row: a realm the proving entry may not assert, or not in the allow-list.
fn realms(table: &mut Table) {
    let with_role = || with(alice(), "x-auth-roles", r#"["r"]"#);
    let partner = || with(without(with_role(), "x-auth-proof"), PARTNER.0, PARTNER.1);
    table.issued(
        "each party asserts its own realm",
        "rich",
        set(partner(), "x-auth-realm", "partners"),
        json!({"realm": "partners"}),
    );
    table.denied("the partner asserts the gateway's realm", "rich", partner(), Code::RealmNotAllowed);
    table.denied(
        "the gateway asserts the partner's realm",
        "rich",
        set(with_role(), "x-auth-realm", "partners"),
        Code::RealmNotAllowed,
    );
    table.denied(
        "nobody may assert this realm",
        "rich",
        set(with_role(), "x-auth-realm", "federated"),
        Code::RealmNotAllowed,
    );
    table.denied(
        "a realm outside identity.realms",
        "rich",
        set(with_role(), "x-auth-realm", "guests"),
        Code::RealmNotAllowed,
    );
    table.denied(
        "a realm in other letters",
        "rich",
        set(with_role(), "x-auth-realm", "Internal"),
        Code::RealmNotAllowed,
    );
    let both = with(set(with_role(), "x-auth-realm", "partners"), PARTNER.0, PARTNER.1);
    table.denied("the first entry that proves decides", "rich", both, Code::RealmNotAllowed);
}

/// Row: duplicated, aliased, empty, over a limit, not to be parsed; and what `Connection` nominates.
fn malformed(table: &mut Table) {
    let full = || with(with(with(alice(), "x-auth-roles", "r"), "x-auth-scopes", "s"), "x-auth-attributes", "{}");
    for name in
        ["x-auth-username", "x-auth-realm", "x-auth-roles", "x-auth-scopes", "x-auth-attributes", "x-auth-proof"]
    {
        let value = String::from_utf8(full().iter().find(|(own, _)| own == name).unwrap().1.clone()).unwrap();
        table.denied(format!("{name} twice, alike"), "shipped", with(full(), name, &value), Code::IdentityMalformed);
        table.denied(
            format!("{name} twice, another first"),
            "shipped",
            [lines(&[(name, "x")]), full()].concat(),
            Code::IdentityMalformed,
        );
        for alias in
            [name.replace('-', "_"), name.replace('-', "."), name.replacen('-', "_", 1), name.replace('-', "~")]
        {
            table.denied(
                format!("{alias} beside {name}"),
                "shipped",
                with(full(), &alias, &value),
                Code::IdentityMalformed,
            );
        }
        if name != "x-auth-proof" {
            let alias = name.replace('-', "_");
            table.denied(
                format!("{alias} instead of {name}"),
                "shipped",
                with(without(full(), name), &alias, &value),
                Code::IdentityMalformed,
            );
            table.denied(format!("{name} empty"), "shipped", set(full(), name, ""), Code::IdentityMalformed);
            table.denied(format!("{name} blank"), "shipped", set(full(), name, "  \u{a0}"), Code::IdentityMalformed);
        }
    }
    for name in ["x-auth-username", "x-auth-realm"] {
        table.denied(format!("{name} missing"), "shipped", without(alice(), name), Code::IdentityMalformed);
        table.denied(
            format!("{name} over 256 bytes"),
            "shipped",
            set(alice(), name, "a".repeat(257)),
            Code::IdentityMalformed,
        );
        let longest = set(alice(), name, "a".repeat(256));
        table.issued(format!("{name} of 256 bytes"), "shipped", longest, json!({}));
    }
    let many = |count: usize, separator: &str| vec!["r"; count].join(separator);
    for (name, gateway, header, value) in [
        ("a role over 256 bytes", "shipped", "x-auth-roles", "r".repeat(257)),
        ("257 roles", "shipped", "x-auth-roles", many(257, ",")),
        ("257 scopes", "shipped", "x-auth-scopes", many(257, " ")),
        ("an empty role", "shipped", "x-auth-roles", "a,,b".to_owned()),
        ("two spaces between scopes", "shipped", "x-auth-scopes", "a  b".to_owned()),
        ("attributes that are a list", "shipped", "x-auth-attributes", "[]".to_owned()),
        ("attributes with a number", "shipped", "x-auth-attributes", r#"{"a":1}"#.to_owned()),
        ("an attribute twice", "shipped", "x-auth-attributes", r#"{"a":"1","a":"2"}"#.to_owned()),
        ("an attribute over 2048 bytes", "shipped", "x-auth-attributes", format!(r#"{{"a":"{}"}}"#, "v".repeat(2049))),
        ("attributes cut short", "shipped", "x-auth-attributes", r#"{"a":"1"#.to_owned()),
        ("roles that are no JSON", "rich", "x-auth-roles", "admin".to_owned()),
        ("roles that are a JSON object", "rich", "x-auth-roles", r#"{"a":["b"]}"#.to_owned()),
        ("roles with a number", "rich", "x-auth-roles", r#"["a",1]"#.to_owned()),
        ("no role where one is required", "rich", "x-auth-roles", "[]".to_owned()),
        ("a token over token.max_bytes", "rich", "x-auth-email", "e".repeat(900)),
        ("scopes that are no base64", "lists", "x-auth-scopes", "!".to_owned()),
        ("scopes that are a JSON object in list form", "lists", "x-auth-scopes", "eyJhIjpbImIiXX0=".to_owned()),
        ("an empty role between pipes", "pipe", "x-auth-roles", "a||b".to_owned()),
    ] {
        let headers = if gateway == "rich" { with(alice(), "x-auth-roles", r#"["r"]"#) } else { alice() };
        table.denied(name, gateway, set(headers, header, value), Code::IdentityMalformed);
    }
    table.denied("a required header missing", "rich", alice(), Code::IdentityMalformed);
    let twice = with(with(alice(), "x-auth-roles", r#"["r"]"#), "x-auth-attributes", r#"{"email":"a"}"#);
    table.denied("an attribute from two headers", "rich", with(twice, "x-auth-email", "b"), Code::IdentityMalformed);
    // 6 KiB of roles and 2 KiB of scopes are each within their own limits.
    let roles = vec!["r".repeat(255); 24].join("|");
    let room = 8192 - "alice".len() - "internal".len() - roles.len();
    let scopes = |bytes: usize| vec!["s".repeat(255); 7].join(",") + "," + &"s".repeat(bytes - 7 * 256);
    let together = |bytes: usize| with(with(alice(), "x-auth-roles", &roles), "x-auth-scopes", scopes(bytes));
    table.issued("8192 bytes of identity together", "pipe", together(room), json!({"username": "alice"}));
    table.denied("8193 bytes of identity together", "pipe", together(room + 1), Code::IdentityMalformed);

    let upgrade =
        |nominated: &str| lines(&[("connection", &format!("upgrade, {nominated}")), ("upgrade", "websocket")]);
    table.denied(
        "Connection nominates the username",
        "shipped",
        [alice(), lines(&[("connection", "x-auth-username")])].concat(),
        Code::IdentityMalformed,
    );
    table.issued(
        "Connection nominates roles: Envoy drops them unseen",
        "shipped",
        [with(alice(), "x-auth-roles", "r"), lines(&[("connection", "x-auth-roles")])].concat(),
        json!({"roles": []}),
    );
    table.denied(
        "an upgrade whose Connection nominates roles",
        "shipped",
        [alice(), upgrade("x-auth-roles")].concat(),
        Code::IdentityMalformed,
    );
}

/// Row: the user's `exp`.
fn expiry(table: &mut Table) {
    let exp = |exp: &str| with(alice(), "x-auth-attributes", json!({"exp": exp}).to_string());
    table.issued("an own exp far ahead", "shipped", exp("99999999999"), json!({"attributes": {"exp": "99999999999"}}));
    table.issued(
        "an own exp before the token's",
        "shipped",
        exp("1999999999"),
        json!({"attributes": {"exp": "1999999999"}}),
    );
    table.denied("an own exp in the past", "shipped", exp("1704063600"), Code::IdentityExpired);
    table.denied("an own exp that is no number", "shipped", exp("soon"), Code::IdentityMalformed);
    table.denied("an own exp beyond 64 bits", "shipped", exp("99999999999999999999"), Code::IdentityMalformed);
}

/// Upgrades are requests like any other; trailers lose our names.
fn upgrades_and_trailers(table: &mut Table) {
    let websocket = || lines(&[("connection", "upgrade"), ("upgrade", "websocket")]);
    table.issued("a WebSocket", "shipped", [alice(), websocket()].concat(), json!({"username": "alice"}));
    table.denied(
        "a WebSocket without proof",
        "shipped",
        without([alice(), websocket()].concat(), "x-auth-proof"),
        Code::IdentityUntrusted,
    );
    table.issued("CONNECT", "shipped", alice(), json!({"username": "alice"})).method = "CONNECT";
    table
        .denied("CONNECT without proof", "shipped", without(alice(), "x-auth-proof"), Code::IdentityUntrusted)
        .method = "CONNECT";
    table.denied("OPTIONS without identity", "shipped", Lines::new(), Code::IdentityMissing).method = "OPTIONS";
    let trailers = || {
        let ours = [("x-auth-username", "root"), ("x_auth_roles", "admin"), ("x-auth-proof", PROOF)];
        [lines(&ours), lines(&[("authorization", "Bearer forged"), ("x-other", "1")])].concat()
    };
    table.issued("trailers of ours", "shipped", alice(), json!({"username": "alice"})).trailers = trailers();
    table.passed("trailers of ours without an identity", "pass", Lines::new()).trailers = trailers();
    let beside = &["x-auth-realm", "x-auth-username"];
    let forwarded = Expected::Issued { claims: json!({"username": "alice"}), beside };
    table.add("trailers of ours, identity forwarded", "forward", alice(), forwarded).trailers = trailers();
}

/// Bytes that break parsers. A foreign header may hold what it likes; ours is refused; nothing panics.
fn hostile_bytes(table: &mut Table) {
    let overlong_slash = &b"a\xc0\xaf"[..];
    let surrogate = &b"a\xed\xa0\x80"[..];
    let ours = ["x-auth-username", "x-auth-realm", "x-auth-roles", "x-auth-scopes", "x-auth-attributes"];
    for name in ours {
        for (what, value) in [
            ("\\xff", &b"a\xff"[..]),
            ("an overlong slash", overlong_slash),
            ("a surrogate", surrogate),
            ("a TAB", b"a\tb"),
            ("a C1 control", "a\u{85}b".as_bytes()),
        ] {
            table.denied(format!("{what} in {name}"), "shipped", set(alice(), name, value), Code::IdentityMalformed);
        }
        for (what, byte) in [("NUL", 0), ("DEL", 0x7f), ("\\x01", 1)] {
            let value = [b'a', byte, b'b'];
            table.add(format!("{what} in {name}"), "shipped", set(alice(), name, value), Expected::RefusedByEnvoy(400));
        }
        table.denied(
            format!("20 000 bytes in {name}"),
            "shipped",
            set(alice(), name, "a".repeat(20_000)),
            Code::IdentityMalformed,
        );
        table.denied(
            format!("6 000 items in {name}"),
            "shipped",
            set(alice(), name, vec!["r"; 6000].join(",")),
            Code::IdentityMalformed,
        );
    }
    table.denied("\\xff in the proof", "shipped", set(alice(), "x-auth-proof", b"\xff"), Code::IdentityUntrusted);
    table.denied(
        "20 000 bytes of proof",
        "shipped",
        set(alice(), "x-auth-proof", "a".repeat(20_000)),
        Code::IdentityUntrusted,
    );
    table.issued("\\xff in the client's token", "shipped", with(alice(), "authorization", b"Bearer \xff"), json!({}));
    for name in ["x-other", "cookie", "user-agent", "x-request-id", "x-forwarded-for", "accept"] {
        table.issued(
            format!("\\xff in {name}"),
            "shipped",
            with(alice(), name, b"a\xff"),
            json!({"username": "alice"}),
        );
        table.denied(
            format!("\\xff in {name}, unproven"),
            "shipped",
            with(without(alice(), "x-auth-proof"), name, b"a\xff"),
            Code::IdentityUntrusted,
        );
    }
    table.issued(
        "20 000 bytes in a foreign header",
        "shipped",
        with(alice(), "x-other", "a".repeat(20_000)),
        json!({}),
    );
    table.add("\\xff in a header name", "shipped", with(alice(), "x-\u{ff}", "a"), Expected::RefusedByEnvoy(400));
    table.add(
        "a space in a header name",
        "shipped",
        with(alice(), "x-auth-username ", "a"),
        Expected::RefusedByEnvoy(400),
    );
    for header in ["x-auth-roles", "x-auth-scopes", "x-auth-attributes"] {
        table.denied(
            format!("{header} of 3 000 nested lists"),
            "rich",
            set(with(alice(), "x-auth-roles", r#"["r"]"#), header, nested_json()),
            Code::IdentityMalformed,
        );
        let objects = r#"{"a":"#.repeat(1000);
        table.denied(
            format!("{header} of 1 000 nested objects"),
            "rich",
            set(with(alice(), "x-auth-roles", r#"["r"]"#), header, objects),
            Code::IdentityMalformed,
        );
    }
}

/// The gateways of a product's headers.
const PRODUCTS: &[&str] =
    &["oauth2-proxy", "oauth2-proxy-auth-request", "authelia", "authentik", "kubernetes", "adapted"];

/// A token of the product's own provider, which no service may take for ours.
const FOREIGN_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI5MDAzNDdiOCJ9.c2lnbmF0dXJl";

/// A proven request as the product sends it, in its own spelling.
fn product(name: &str) -> Lines {
    let own: &[(&str, &str)] = match name {
        "oauth2-proxy" => &[
            ("X-Forwarded-User", "9a3c51b2-7f0e"),
            ("X-Forwarded-Groups", "admin,role:developer"),
            ("X-Forwarded-Email", "alice@example.com"),
            ("X-Forwarded-Preferred-Username", "alice"),
            ("X-Forwarded-Access-Token", FOREIGN_TOKEN),
            ("Authorization", FOREIGN_TOKEN),
        ],
        "oauth2-proxy-auth-request" => &[
            ("X-Auth-Request-User", "9a3c51b2-7f0e"),
            ("X-Auth-Request-Email", "alice@example.com"),
            ("X-Auth-Request-Preferred-Username", "alice"),
            ("X-Auth-Request-Groups", "admin,role:developer"),
            ("X-Auth-Request-Access-Token", FOREIGN_TOKEN),
        ],
        "authelia" => &[
            ("Remote-User", "alice"),
            ("Remote-Groups", "admin,role:developer"),
            ("Remote-Name", "Alice Adams"),
            ("Remote-Email", "alice@example.com"),
        ],
        "authentik" => &[
            ("X-authentik-username", "alice"),
            ("X-authentik-groups", "admin|role:developer"),
            ("X-authentik-entitlements", "read|write"),
            ("X-authentik-email", "alice@example.com"),
            ("X-authentik-name", "Alice Adams"),
            ("X-authentik-uid", "900347b8a29876b45ca6f75722635ecfedf0e931c6022e3a29a8aa13fb5516fb"),
            ("X-authentik-jwt", FOREIGN_TOKEN),
            ("X-authentik-meta-jwks", "https://login.example.com/application/o/app/jwks/"),
            ("X-authentik-meta-outpost", "authentik Embedded Outpost"),
            ("X-authentik-meta-provider", "app"),
            ("X-authentik-meta-app", "app"),
            ("X-authentik-meta-version", "goauthentik.io/outpost/2026.10.1"),
        ],
        "kubernetes" => &[
            ("X-Remote-User", "alice"),
            ("X-Remote-Uid", "06f6ce97-e2c5-4ab8-7ba5-7654dd08d52b"),
            ("X-Remote-Group", "admin"),
            ("X-Remote-Group", "role:developer"),
            ("X-Remote-Extra-Acme.com%2fproject", "some-project"),
            ("X-Remote-Extra-Scopes", "openid"),
            ("X-Remote-Extra-Scopes", "profile"),
        ],
        _ => &[
            ("X-Forwarded-Email", "alice@example.com"),
            ("X-Forwarded-Tenant", "internal"),
            ("X-Forwarded-Groups", "admin|role:developer"),
            ("X-Forwarded-Access-Token", FOREIGN_TOKEN),
        ],
    };
    with(lines(own), "x-auth-proof", PROOF)
}

/// `identity.preset`: the headers that a product sends become claims, and none of them reaches the service.
fn presets(table: &mut Table) {
    let uid = "900347b8a29876b45ca6f75722635ecfedf0e931c6022e3a29a8aa13fb5516fb";
    let email = json!({"email": "alice@example.com"});
    let named = json!({"email": "alice@example.com", "name": "Alice Adams"});
    let whole = json!({"email": "alice@example.com", "name": "Alice Adams", "uid": uid});
    // The attributes; headers that are proven as all others are, though no claim is read from them; an alias.
    for (gateway, attributes, others, alias) in [
        ("oauth2-proxy", email.clone(), &["X-Forwarded-Access-Token"][..], "x_forwarded_user"),
        ("oauth2-proxy-auth-request", email, &["X-Auth-Request-Access-Token"], "x_auth_request_groups"),
        ("authelia", named, &[], "remote_user"),
        ("authentik", whole, &["X-authentik-jwt", "X-authentik-entitlements"], "x_authentik_jwt"),
        ("kubernetes", json!({}), &["X-Remote-Uid", "X-Remote-Extra-Scopes", "X-Remote-Extra-"], "x_remote_extra_a"),
    ] {
        let claims = json!({
            "sub": "corp-alice", "username": "alice", "realm": "corp", "roles": ["admin", "role:developer"],
            "scopes": null, "attributes": attributes,
        });
        // What authentik says about itself is no identity.
        let beside: &[_] = if gateway == "authentik" { AUTHENTIK_META } else { &[] };
        table.add("what the product sends", gateway, product(gateway), Expected::Issued { claims, beside });
        let unproven = without(product(gateway), "x-auth-proof");
        for (name, _) in unproven.iter().filter(|(name, _)| *name != "Authorization" && !name.contains("-meta-")) {
            let alone = lines(&[(name, "forged")]);
            table.denied(format!("{name} alone"), gateway, alone, Code::IdentityUntrusted);
        }
        for name in others {
            let forged = lines(&[(name, "forged")]);
            table.denied(format!("{name}, of which no claim is, alone"), gateway, forged, Code::IdentityUntrusted);
        }
        table.denied("what the product sends, unproven", gateway, unproven, Code::IdentityUntrusted);
        let aliased = with(product(gateway), alias, "root");
        table.denied(format!("{alias} beside it"), gateway, aliased, Code::IdentityMalformed);
        table.denied(format!("{alias} alone"), gateway, lines(&[(alias, "root")]), Code::IdentityMalformed);
    }
    for (gateway, name) in [
        ("oauth2-proxy", "x-forwarded-access-token"),
        ("authentik", "x-authentik-entitlements"),
        ("kubernetes", "x-remote-uid"),
    ] {
        let twice = with(product(gateway), name, "another");
        table.denied(format!("{name} twice"), gateway, twice, Code::IdentityMalformed);
    }
    for (gateway, name) in [
        ("oauth2-proxy", "X-Forwarded-Preferred-Username"),
        ("oauth2-proxy-auth-request", "X-Auth-Request-Preferred-Username"),
    ] {
        let fallback = without(product(gateway), name);
        table.issued("the user without a preferred name", gateway, fallback, json!({"sub": "corp-9a3c51b2-7f0e"}));
    }
    table.denied(
        "what authentik says about itself is no identity",
        "authentik",
        lines(&[("X-authentik-meta-app", "app")]),
        Code::IdentityMissing,
    );
    // Both send a header without value for what a user has nothing of. Nobody else's empty header is that.
    for (gateway, names, attributes) in [
        ("authelia", &["Remote-Groups", "Remote-Name", "Remote-Email"][..], json!({})),
        (
            "authentik",
            &["X-authentik-groups", "X-authentik-entitlements", "X-authentik-email"],
            json!({"name": "Alice Adams", "uid": uid}),
        ),
    ] {
        let bare = names.iter().fold(product(gateway), |headers, name| set(headers, name, ""));
        let claims = json!({"sub": "corp-alice", "roles": [], "attributes": attributes});
        let beside: &[_] = if gateway == "authentik" { AUTHENTIK_META } else { &[] };
        table.add("a user without groups", gateway, bare, Expected::Issued { claims, beside });
        let name = if gateway == "authelia" { "Remote-User" } else { "X-authentik-username" };
        table.denied("an empty username", gateway, set(product(gateway), name, ""), Code::IdentityMalformed);
        let alone = lines(&[(names[0], "")]);
        table.denied(format!("{} empty, alone", names[0]), gateway, alone, Code::IdentityUntrusted);
    }
    let empty = set(product("oauth2-proxy"), "X-Forwarded-Groups", "");
    table.denied("empty groups", "oauth2-proxy", empty, Code::IdentityMalformed);
    let plain = without(without(product("kubernetes"), "X-Remote-Group"), "X-Remote-Extra-Scopes");
    table.issued("no group, one extra", "kubernetes", plain, json!({"sub": "corp-alice", "roles": []}));

    let adapted = json!({
        "sub": "internal-alice@example.com", "roles": ["admin", "role:developer"], "attributes": {"token": FOREIGN_TOKEN},
    });
    table.issued("fields beside the preset win", "adapted", product("adapted"), adapted.clone());
    let replaced = lines(&[("X-Forwarded-User", "root"), ("X-Forwarded-Preferred-Username", "root")]);
    table.issued("replaced headers are removed", "adapted", [product("adapted"), replaced].concat(), adapted);
    let name = "x-forwarded-preferred-username";
    table.denied("a replaced header alone", "adapted", lines(&[(name, "root")]), Code::IdentityUntrusted);
    let no_realm = without(product("adapted"), "X-Forwarded-Tenant");
    table.denied("the added realm header missing", "adapted", no_realm, Code::IdentityMalformed);
}

/// What the authentik outpost says about itself.
const AUTHENTIK_META: &[&str] = &[
    "x-authentik-meta-jwks",
    "x-authentik-meta-outpost",
    "x-authentik-meta-provider",
    "x-authentik-meta-app",
    "x-authentik-meta-version",
];

/// Headers that a client made up, with aliases, duplicates, and a proof that is none.
fn forged() -> Lines {
    let identity = [("x-auth-username", "root"), ("x-auth-username", "root"), ("x-auth-realm", "\u{a0}")];
    let rest = [("x_auth_roles", "admin"), ("x-auth-proof", "wrong"), ("x_auth_proof", PROOF)];
    [lines(&identity), lines(&rest), lines(&[("authorization", "Bearer forged"), ("x-other", "1")])].concat()
}

/// `rules`: what each action does, and which rule counts.
fn rules(table: &mut Table) {
    for (name, headers) in [
        ("passes without identity", Lines::new()),
        ("passes without what was forged", forged()),
        ("passes without a proven identity", alice()),
    ] {
        table.passed(name, "rules", headers).target = "/open/a";
    }
    let case = table.passed("passes without trailers of ours", "rules", forged());
    case.trailers = forged();
    case.target = "/open/a";
    let case = table.passed("passes another method of the list", "rules", Lines::new());
    case.method = "OPTIONS";
    case.target = "/open/a";
    let case = table.denied("a method that is not in the list", "rules", Lines::new(), Code::IdentityMissing);
    case.method = "POST";
    case.target = "/open/a";
    let case = table.issued("a method that is not in the list, proven", "rules", alice(), json!({"username": "alice"}));
    case.method = "POST";
    case.target = "/open/a";

    for (name, headers) in [("unproven", Lines::new()), ("proven", alice()), ("forged", forged())] {
        for target in ["/admin", "/admin/", "/admin/users?a=b", "/open/but/closed", "/open/but/closed/a"] {
            table.denied(format!("{target}, {name}"), "rules", headers.clone(), Code::DeniedByRule).target = target;
        }
    }
    let proven = || json!({"aud": "my-application", "lifetime": 3600});
    table.issued("/open/but/proven, proven", "rules", alice(), proven()).target = "/open/but/proven";
    table.denied("/open/but/proven, unproven", "rules", Lines::new(), Code::IdentityMissing).target =
        "/open/but/proven";
    table.denied("/open/but/proven, forged", "rules", forged(), Code::IdentityMalformed).target = "/open/but/proven";
    table.passed("/open/but/proven/a", "rules", Lines::new()).target = "/open/but/proven/a";
    table.issued("/administrator, proven", "rules", alice(), proven()).target = "/administrator";

    for target in ["/", "/administrator", "/api"] {
        table.passed(format!("{target}, no identity"), "open", Lines::new()).target = target;
    }
    table.denied("/admin, no identity", "open", Lines::new(), Code::DeniedByRule).target = "/admin";
    let unproven = without(alice(), "x-auth-proof");
    table.denied("/api, unproven", "open", unproven, Code::IdentityUntrusted).target = "/api";
    table.issued("no aud without claims.aud", "open", alice(), json!({"aud": null, "lifetime": 3600})).target = "/api";
}

/// The path is compared without query, by whole segments, and passes only where every server reads it alike.
fn paths(table: &mut Table) {
    for target in [
        "/open",
        "/open/",
        "/open?a",
        "/open/a/b.c/..d",
        "/open/%c3%a4%20b",
        "/open/a?b=/../%2e;\\%zz//",
        "/exact",
        "/exact?",
        "/exact?a=b",
        "http://elsewhere/open/a",
    ] {
        table.passed(format!("passes {target}"), "rules", Lines::new()).target = target;
    }
    for target in [
        // Other paths.
        "/",
        "/openadmin",
        "/ope",
        "/Open/a",
        "/a/open",
        "/?/open/a",
        "/exact/",
        "/exact/a",
        "/exactly",
        "/EXACT",
        // Paths that a service could read differently.
        "//open/a",
        "/open//a",
        "/open//",
        "/open/../admin",
        "/open/..",
        "/open/./a",
        "/open/.",
        "/./open/a",
        "/a/../open/a",
        "/open/a;b=c",
        "/open;/a",
        "/open/..;/admin",
        "/open/%2e%2e/admin",
        "/open/%2E%2E/admin",
        "/open/.%2e/admin",
        "/open/..%2fadmin",
        "/open%2fa",
        "/open/..%5cadmin",
        "/open/..\\admin",
        "/open\\..\\admin",
        "/open/%3ba",
        "/open/%3Fa",
        "/open/%23a",
        "/open/%252e%252e/admin",
        "/open/but/%63losed",
        "/open/but/%70roven",
        "/open/but%2Dclosed",
        "/open/%7ea",
        "/open/%40a",
        "/open/%c0%ae%c0%ae/admin",
        "/open/%e0%80%ae%e0%80%ae/admin",
        "/open/%ff",
        "/open/%c1%9cadmin",
        "/open/%00",
        "/open/%0d%0a",
        "/open/%7f",
        "/open/%",
        "/open/%2",
        "/open/%zz",
        "/open/%+2",
        "/open/%u002e",
        "http://elsewhere/open/../admin",
        "http://elsewhere//open/a",
    ] {
        table.denied(format!("does not pass {target}"), "rules", Lines::new(), Code::IdentityMissing).target = target;
    }
    for target in ["/open/a#b", "/open/\u{1}", "/open/\u{e4}", "/open/\ta", "open/a", "*"] {
        let name = format!("does not get {}", target.escape_default());
        table.add(name, "rules", Lines::new(), Expected::RefusedByEnvoy(400)).target = target;
    }
    let ambiguous = table.issued("a path that does not pass, proven", "rules", alice(), json!({"username": "alice"}));
    ambiguous.target = "/open/../admin";
    table.denied("CONNECT does not pass", "rules", Lines::new(), Code::IdentityMissing).method = "CONNECT";
}

/// Hosts are compared without port and case; routes by the name that Envoy gave them.
fn hosts_and_routes(table: &mut Table) {
    let billing = || json!({"aud": "billing", "lifetime": 300, "iss": "auth-o-tron.example.com"});
    let partners = || json!({"aud": "my-application", "lifetime": 3600, "iss": "partners.example.com"});
    let neither = || json!({"aud": "my-application", "lifetime": 3600, "iss": "auth-o-tron.example.com"});
    for (host, claims) in [
        ("billing.example.com", billing()),
        ("BILLING.example.COM:8443", billing()),
        ("billing.example.com.", billing()),
        ("billing.example.com.:80", billing()),
        ("[::1]", billing()),
        ("[::1]:8080", billing()),
        ("[::2]", neither()),
        ("a.partners.example.com", partners()),
        ("a.b.Partners.example.com.:80", partners()),
        ("partners.example.com", neither()),
        (".partners.example.com", neither()),
        ("apartners.example.com", neither()),
        ("a.partners.example.com.evil.example", neither()),
        ("a.billing.example.com", neither()),
        ("xbilling.example.com", neither()),
        ("billing.example.com.evil.example", neither()),
        ("billing.example.com..", neither()),
        ("billing.example.com:80:80", neither()),
        ("test", neither()),
    ] {
        table.issued(format!("at {host}"), "rules", alice(), claims).host = host;
    }
    let status = "status.example.com";
    table.passed("a host and a path that both hold", "rules", Lines::new()).host = status;
    let case =
        table.denied("a host that holds with a path that does not", "rules", Lines::new(), Code::IdentityMissing);
    case.host = status;
    case.target = "/a";

    for (method, target, headers, expected) in [
        ("GET", "/orders", Lines::new(), Expected::Passed),
        ("GET", "/orders/1?a", alice(), Expected::Passed),
        ("POST", "/orders", alice(), Expected::Issued { claims: json!({"aud": "orders"}), beside: &[] }),
        ("POST", "/orders", Lines::new(), Expected::Denied(Code::IdentityMissing)),
        ("DELETE", "/orders", alice(), Expected::Denied(Code::DeniedByRule)),
        // The next rule about the route counts.
        ("GET", "/orders//1", alice(), Expected::Denied(Code::DeniedByRule)),
        ("GET", "/order", Lines::new(), Expected::Denied(Code::IdentityMissing)),
    ] {
        let who = if headers.is_empty() { "unproven" } else { "proven" };
        let case = table.add(format!("by route, {method} {target}, {who}"), "rules", headers, expected);
        case.method = method;
        case.target = target;
    }
}

/// `claims.extra` and `jwt.rotation`.
fn extended(table: &mut Table) {
    let claims = json!({
        "username": "alice", "env": "prod", "limits": {"requests": 10}, "tags": ["a", null], "kid": "now",
    });
    table.issued("more claims, by the key of now", "extended", alice(), claims);
    table.issued("no kid without one", "shipped", alice(), json!({"kid": null}));
}

/// The headers of a request to `gateway` that gets a token.
pub fn proven(gateway: &str) -> Lines {
    match gateway {
        "rich" => with(alice(), "x-auth-roles", r#"["r"]"#),
        "lists" => without(alice(), "x-auth-realm"),
        "signed" => signed(LINES, now()),
        other if PRODUCTS.contains(&other) => product(other),
        _ => alice(),
    }
}

pub fn token(gateway: &str, arrived: &Message) -> String {
    if gateway == "rich" {
        return arrived.value("x-auth-token").expect("a token");
    }
    arrived.value("authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned)).expect("a token")
}

/// The beginnings of every header name that is the filter's in some gateway.
pub const OURS: &[&str] = &[
    "authorization",
    "remote-",
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
