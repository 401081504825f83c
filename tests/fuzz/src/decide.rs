//! Arbitrary requests on a few configurations: never a token that a second, independent reading does not allow.
//!
//! The bytes are a little program that builds header pairs, biased to what the filter owns and to what is good. The
//! reference below shares no code with the filter, and is as simple as a specification.

use std::net::IpAddr;

use auth_o_tron_envoy::{
    config::field::Report,
    pairs::Pair,
    policy::{Policy, Verdict},
    request::{Facts, Request},
};
use base64::{Engine, engine::general_purpose::STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const NOW: i64 = 1_704_063_600;
const LIFETIME: i64 = 3600;
const TOKEN_SECRET: &str = "the secret that signs the tokens";
const PROOF: &str = "the secret of the proxy";
const KEYS: [(&str, &str); 2] =
    [("gw-1", "a secret of the gateway, long enough"), ("gw-2", "another secret of the gateway, long enough")];
const URI: &str = "spiffe://cluster.local/gateway";
const DNS: &str = "gateway.example.com";
const FINGERPRINT: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

/// What the reference knows about a configuration.
struct Setup {
    policy: Policy,
    trust: &'static [(Proof, Option<&'static str>)],
    roles: Roles,
    forward_identity: bool,
}

/// How a party proves; beside it, the only realm that it may assert.
#[derive(Clone, Copy)]
enum Proof {
    Secret,
    Signature(&'static [&'static str]),
    Mtls,
    Peer,
    FilterState,
}

#[derive(Clone, Copy, PartialEq)]
enum Roles {
    Csv,
    Json,
    Repeated,
}

const DERIVED: &[&str] = &["@method", "@authority", "@path"];

thread_local! {
    static SETUPS: &'static [Setup] = Vec::leak(setups());
}

fn setups() -> Vec<Setup> {
    let secret = json!({"shared_secret": {"header": "x-auth-proof", "secret": PROOF}});
    let keys = KEYS.map(|(id, secret)| json!({"keyid": id, "secret": secret}));
    let signature = json!({"signature": {"keys": keys}});
    let mtls = json!({"mtls": {"uri_sans": [URI], "dns_sans": [DNS], "fingerprints": [FINGERPRINT]}});
    let peer = json!({"peer": {"cidrs": ["10.0.0.0/8", "2001:db8::/32"]}});
    let state = json!({"filter_state": {"key": "verified", "value": "yes"}, "realms": ["internal"]});
    let of_partners = {
        let mut secret = secret.clone();
        secret["realms"] = json!(["partners"]);
        secret
    };
    let with_tenant = json!({"signature": {"keys": keys, "components": ["@target-uri", "x-tenant"]}});
    let json_lists = json!({"roles": {"format": "json"}, "scopes": {"format": "base64-json"}});
    let repeated = json!({"roles": {"format": "repeated"}});
    [
        (json!({"trust": [secret]}), &[(Proof::Secret, None)][..], Roles::Csv),
        (
            json!({"trust": [secret], "forward_identity": true, "identity": json_lists, "claims": {"scopes": "map"}}),
            &[(Proof::Secret, None)],
            Roles::Json,
        ),
        (json!({"trust": [signature]}), &[(Proof::Signature(DERIVED), None)], Roles::Csv),
        (
            json!({"trust": [with_tenant], "on_missing": "pass", "identity": repeated}),
            &[(Proof::Signature(&["@target-uri", "x-tenant"]), None)],
            Roles::Repeated,
        ),
        (json!({"trust": [mtls], "on_missing": "pass"}), &[(Proof::Mtls, None)], Roles::Csv),
        (json!({"trust": [peer], "forward_identity": true}), &[(Proof::Peer, None)], Roles::Csv),
        (json!({"trust": [state]}), &[(Proof::FilterState, Some("internal"))], Roles::Csv),
        (
            json!({"trust": [of_partners, signature]}),
            &[(Proof::Secret, Some("partners")), (Proof::Signature(DERIVED), None)],
            Roles::Csv,
        ),
    ]
    .map(|(mut configuration, trust, roles)| {
        configuration["jwt"] = json!({"iss": "fuzz", "exp": LIFETIME, "secret": TOKEN_SECRET});
        let policy = Policy::from_json(configuration.to_string().as_bytes(), &|_| None, &Report::default()).unwrap();
        Setup { policy, trust, roles, forward_identity: configuration["forward_identity"] == true }
    })
    .into()
}

/// How many configurations there are.
pub const SETUPS_LEN: usize = 8;

/// Checks one input; returns its configuration, and whether it got a token.
pub fn run(data: &[u8]) -> (usize, bool) {
    let mut bytes = Bytes(data);
    let index = usize::from(bytes.byte()) % SETUPS_LEN;
    // Its cache outlives the request: a token that was made for another one would not be this one's.
    let setup = &SETUPS.with(|setups| *setups)[index];
    let evidence = ConnectionFacts::read(&mut bytes);
    let message = Message::build(&mut bytes);
    let pairs: Vec<Pair<'_>> = message.pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
    let request = Request::scan(setup.policy.names(), &pairs);
    let property = |path: &[&str]| evidence.property(path);
    let decision = setup.policy.decide(&request, &Facts::new(NOW, &property));

    let reference = Reference { setup, message: &message, evidence: &evidence };
    let issued = match decision.verdict {
        Verdict::Issue { .. } => {
            reference.check_unambiguous();
            reference.check_proof();
            reference.check_token(&decision.token.as_ref().expect("a token").1);
            true
        }
        Verdict::Pass => {
            assert!(!message.pairs.iter().any(|(name, _)| reference.owned(name).is_some_and(Owned::is_identity)));
            false
        }
        Verdict::Deny(_) => {
            assert!(decision.remove.names().next().is_none() && decision.set().next().is_none(), "{decision:?}");
            return (index, false);
        }
    };
    let removed: Vec<_> = decision.remove.names().collect();
    for (name, _) in &message.pairs {
        let owned = reference.owned(name);
        let stays = owned.is_none_or(|owned| issued && setup.forward_identity && owned.is_identity());
        assert_eq!(!removed.contains(&&**name), stays, "removal of {}", name.escape_ascii());
    }
    (index, issued)
}

// === The request that the bytes describe ===

/// Reads choices from the input; at its end, every choice is the first.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    fn raw(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte() % 48).min(self.0.len());
        let (raw, rest) = self.0.split_at(length);
        self.0 = rest;
        raw
    }
}

/// What the proxy knows about the connection and from filters before.
#[derive(Default)]
struct ConnectionFacts {
    mtls: Option<Vec<u8>>,
    uri: Option<Vec<u8>>,
    dns: Option<Vec<u8>>,
    digest: Option<Vec<u8>>,
    peer: Option<Vec<u8>>,
    state: Option<Vec<u8>>,
}

impl ConnectionFacts {
    fn read(bytes: &mut Bytes<'_>) -> Self {
        let which = bytes.byte();
        let mut fact = |bit: u8, good: &[&[u8]]| {
            (which & 1 << bit != 0).then(|| {
                let choice = usize::from(bytes.byte());
                good.get(choice % (good.len() + 1)).map_or_else(|| bytes.raw().to_vec(), |good| good.to_vec())
            })
        };
        Self {
            mtls: fact(0, &[&[1], &[0], &[], &[1, 0]]),
            uri: fact(1, &[URI.as_bytes(), b"spiffe://cluster.local/gateway2", b"SPIFFE://cluster.local/gateway", b""]),
            dns: fact(2, &[DNS.as_bytes(), b"GATEWAY.example.com", b"x.gateway.example.com", b""]),
            digest: fact(3, &[FINGERPRINT.as_bytes(), FINGERPRINT.to_uppercase().as_bytes(), b"0a", b""]),
            peer: fact(4, &[b"10.1.2.3", b"::ffff:10.0.0.1", b"2001:db8::1", b"11.0.0.1", b"10.0.0.1:80", b""]),
            state: fact(5, &[b"yes", b"no", b"yes ", b""]),
        }
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        match path {
            ["connection", "mtls"] => self.mtls.clone(),
            ["connection", "uri_san_peer_certificate"] => self.uri.clone(),
            ["connection", "dns_san_peer_certificate"] => self.dns.clone(),
            ["connection", "sha256_peer_certificate_digest"] => self.digest.clone(),
            ["filter_state", "auth_o_tron.peer"] => self.peer.clone(),
            ["filter_state", "verified"] => self.state.clone(),
            _ => panic!("asks for {path:?}"),
        }
    }
}

/// A signature that was made on the way. The reference goes by these, and reads no signature field.
struct Signed {
    names: Vec<String>,
    is_acceptable: bool,
    base: Vec<u8>,
    input: String,
}

/// A name and its value.
type Header = (Vec<u8>, Vec<u8>);

#[derive(Default)]
struct Message {
    pairs: Vec<Header>,
    signed: Vec<Signed>,
}

const NAMES: &[&str] = &[
    "x-auth-username",
    "x-auth-realm",
    "x-auth-proof",
    "x-auth-roles",
    "x-auth-scopes",
    "x-auth-attributes",
    "signature-input",
    "signature",
    "authorization",
    "connection",
    "x-tenant",
    ":method",
    ":authority",
    ":path",
    ":scheme",
    "x-other",
];

const VALUES: &[&str] = &[
    "alice",
    "internal",
    PROOF,
    "admin,reader",
    "read write",
    r#"{"exp":"1704063700"}"#,
    r#"["admin","reader"]"#,
    r#"{"s3":["get"]}"#,
    "WyJhIl0=",
    "partners",
    "the secret of the proxy, the secret of the proxy",
    "",
    " ",
    "close, x-auth-username",
    "x_auth_proof",
    "root\r\nx-auth-username: alice",
    r#"{"exp":"1704063600"}"#,
    r#"{"email":"a@example.com"}"#,
    "GET",
    "https",
    "Example.com:443",
    "/orders?page=2",
    "acme",
    "keep-alive",
    "sig1=()",
];

impl Message {
    fn build(bytes: &mut Bytes<'_>) -> Self {
        let mut message = Self::default();
        for _ in 0..48 {
            if bytes.0.is_empty() {
                break;
            }
            match bytes.byte() % 10 {
                0 => message.add_good(bytes),
                1 => message.push(bytes.pick(NAMES), bytes.pick(VALUES)),
                2 => message.push(bytes.pick(NAMES), bytes.raw()),
                3 => message.push(alias(bytes), bytes.pick(VALUES)),
                4 => message.push(bytes.raw(), bytes.raw()),
                5 => message.sign(bytes),
                6 => message.edit(bytes, |pair, value| pair.1 = value),
                7 => message.edit(bytes, |pair, name| pair.0 = name),
                8 => message.copy(bytes),
                _ => message.remove(bytes),
            }
        }
        message
    }

    fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        // More only makes the fuzzer slow.
        if self.pairs.len() < 64 {
            self.pairs.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        }
    }

    /// A request that lacks nothing, but for the bits that leave something out.
    fn add_good(&mut self, bytes: &mut Bytes<'_>) {
        let without = bytes.byte();
        let good = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "Example.com:443"),
            (":path", "/orders?page=2"),
            ("x-auth-username", "alice"),
            ("x-auth-realm", "internal"),
            ("x-tenant", "acme"),
            ("x-auth-proof", PROOF),
        ];
        for (bit, (name, value)) in good.into_iter().enumerate() {
            if without & 1 << bit == 0 {
                self.push(name, value);
            }
        }
    }

    fn edit(&mut self, bytes: &mut Bytes<'_>, change: fn(&mut Header, Vec<u8>)) {
        let text = match bytes.byte() % 4 {
            0 => bytes.raw().to_vec(),
            1 => alias(bytes),
            2 => bytes.pick(NAMES).into(),
            _ => bytes.pick(VALUES).into(),
        };
        let index = usize::from(bytes.byte());
        let count = self.pairs.len().max(1);
        if let Some(pair) = self.pairs.get_mut(index % count) {
            change(pair, text);
        }
    }

    /// Also splits: the copy may take the place after any other pair.
    fn copy(&mut self, bytes: &mut Bytes<'_>) {
        let (from, to) = (usize::from(bytes.byte()), usize::from(bytes.byte()));
        let count = self.pairs.len();
        if (1..64).contains(&count) {
            self.pairs.insert(to % (count + 1), self.pairs[from % count].clone());
        }
    }

    fn remove(&mut self, bytes: &mut Bytes<'_>) {
        let count = self.pairs.len();
        let index = usize::from(bytes.byte());
        if count > 0 {
            self.pairs.remove(index % count);
        }
    }

    /// Signs the request as it is now, well or not quite.
    fn sign(&mut self, bytes: &mut Bytes<'_>) {
        let mut names: Vec<String> =
            ["@method", "@authority", "@path", "@target-uri", "x-tenant"].map(Into::into).into();
        names.retain(|name| name != "x-tenant" || self.pairs.iter().any(|(own, _)| own == b"x-tenant"));
        for (name, _) in &self.pairs {
            if let Ok(name) = str::from_utf8(name)
                && name.starts_with("x-auth-")
                && name != "x-auth-proof"
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
                && !names.iter().any(|own| own == name)
            {
                names.push(name.to_owned());
            }
        }
        match bytes.byte() % 4 {
            0 | 1 => {}
            2 => {
                names.remove(usize::from(bytes.byte()) % names.len());
            }
            _ => names.push(bytes.pick(&["x-other", "@path", "@query", "@scheme", "x-auth-realm", "@status"]).into()),
        }
        let (keyid, secret, is_ours) = bytes.pick(&[
            (KEYS[0].0, KEYS[0].1, true),
            (KEYS[1].0, KEYS[1].1, true),
            (KEYS[0].0, KEYS[1].1, false),
            ("gw-3", "a secret of somebody else", false),
        ]);
        let (parameters, is_current) = bytes.pick(&[
            (";created=1704063600", true),
            (";created=1704063540", true),
            (";created=1704063605", true),
            (";created=1704063600;expires=1704063601", true),
            (";created=1704063600;alg=\"hmac-sha256\"", true),
            (";created=1704063539", false),
            (";created=1704063606", false),
            (";created=1704063600;expires=1704063600", false),
            (";created=1704063600;alg=\"ed25519\"", false),
            ("", false),
        ]);
        let quoted: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let input = format!("({}){parameters};keyid=\"{keyid}\"", quoted.join(" "));
        let Some(base) = base(&self.pairs, &names, &input) else { return };
        let mac = STANDARD.encode(mac(secret, &base));
        let label = bytes.pick(&["sig1", "sig2", "a"]);
        self.push("signature-input", format!("{label}={input}"));
        self.push("signature", format!("{label}=:{mac}:"));
        self.signed.push(Signed { names, is_acceptable: is_ours && is_current, base, input });
    }
}

fn alias(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let by = bytes.pick(b"_._A");
    let mut name = bytes.pick(NAMES).as_bytes().to_vec();
    let which = bytes.byte();
    for (index, byte) in name.iter_mut().enumerate().filter(|(_, byte)| **byte == b'-') {
        if by == b'A' {
            *byte = *b"-_.~".get(usize::from(which) % 4 + index % 2).unwrap_or(&b'-');
        } else if which & 1 << (index % 8) == 0 {
            *byte = by;
        }
    }
    if by == b'A' && which & 1 == 0 {
        name.make_ascii_uppercase();
    }
    name
}

fn mac(secret: &str, base: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(base).finalize().into_bytes().to_vec()
}

/// The signature base of RFC 9421, section 2.5.
fn base(pairs: &[Header], names: &[String], input: &str) -> Option<Vec<u8>> {
    let mut lines = Vec::new();
    for name in names {
        lines.push([format!("\"{name}\": ").as_bytes(), &component(pairs, name)?].concat());
    }
    lines.push(format!("\"@signature-params\": {input}").into_bytes());
    Some(lines.join(&b'\n'))
}

fn component(pairs: &[Header], name: &str) -> Option<Vec<u8>> {
    let first = |wanted: &[u8]| pairs.iter().find(|(own, _)| own == wanted).map(|(_, value)| value.clone());
    let scheme = || Some(first(b":scheme")?.to_ascii_lowercase());
    let authority = || {
        let mut authority = first(b":authority")?.to_ascii_lowercase();
        let default: &[u8] = match first(b":scheme").map(|scheme| scheme.to_ascii_lowercase()).as_deref() {
            Some(b"https") => b":443",
            Some(b"http") => b":80",
            _ => b"",
        };
        if authority.ends_with(default) {
            authority.truncate(authority.len() - default.len());
        }
        Some(authority)
    };
    let target = || {
        let target = first(b":path")?;
        let query = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at(query);
        Some((if path.is_empty() { b"/".to_vec() } else { path.to_vec() }, query.to_vec()))
    };
    match name {
        "@method" => first(b":method"),
        "@scheme" => scheme(),
        "@authority" => authority(),
        "@path" => Some(target()?.0),
        "@query" => Some(target()?.1).map(|query| if query.is_empty() { b"?".to_vec() } else { query }),
        "@target-uri" => {
            let (path, query) = target()?;
            Some([scheme()?, b"://".to_vec(), authority()?, path, query].concat())
        }
        _ if name.starts_with('@') => None,
        _ => {
            let lines: Vec<_> =
                pairs.iter().filter(|(own, _)| own == name.as_bytes()).map(|(_, line)| line.trim_ascii()).collect();
            let value = lines.join(&b", "[..]);
            (!lines.is_empty() && !value.contains(&b'\r') && !value.contains(&b'\n')).then_some(value)
        }
    }
}

// === The reference ===

/// What an owned header is for, and whether it may come in several lines.
#[derive(Clone, Copy)]
enum Owned {
    Identity(bool),
    Proof(bool),
    Token,
}

impl Owned {
    const fn is_identity(self) -> bool {
        matches!(self, Self::Identity(_))
    }
}

struct Reference<'a> {
    setup: &'a Setup,
    message: &'a Message,
    evidence: &'a ConnectionFacts,
}

impl Reference<'_> {
    /// What a name stands for once a backend has folded it as CGI does.
    fn owned(&self, name: &[u8]) -> Option<Owned> {
        let uses = |wanted: fn(&Proof) -> bool| self.setup.trust.iter().any(|(proof, _)| wanted(proof));
        match &*fold(name) {
            "X_AUTH_USERNAME" | "X_AUTH_REALM" | "X_AUTH_SCOPES" | "X_AUTH_ATTRIBUTES" => Some(Owned::Identity(false)),
            "X_AUTH_ROLES" => Some(Owned::Identity(self.setup.roles == Roles::Repeated)),
            "X_AUTH_PROOF" if uses(|proof| matches!(proof, Proof::Secret)) => Some(Owned::Proof(false)),
            "SIGNATURE" | "SIGNATURE_INPUT" if uses(|proof| matches!(proof, Proof::Signature(_))) => {
                Some(Owned::Proof(true))
            }
            "AUTHORIZATION" => Some(Owned::Token),
            _ => None,
        }
    }

    fn values(&self, name: &str) -> Vec<&[u8]> {
        self.message.pairs.iter().filter(|(own, _)| own == name.as_bytes()).map(|(_, value)| &**value).collect()
    }

    /// Each owned header has one spelling, and one line unless its lines are one list; none is nominated for removal.
    fn check_unambiguous(&self) {
        for (name, value) in &self.message.pairs {
            if name == b"connection" {
                let mut options = value.split(|&byte| byte == b',');
                assert!(!options.any(|option| self.owned(option.trim_ascii()).is_some()), "nominated");
            }
            let Some(Owned::Identity(repeatable) | Owned::Proof(repeatable)) = self.owned(name) else { continue };
            let shown = name.escape_ascii();
            assert_eq!(fold(name).to_ascii_lowercase().replace('_', "-").as_bytes(), name, "an alias, {shown}");
            let lines = self.message.pairs.iter().filter(|(other, _)| fold(other) == fold(name)).count();
            assert!(lines == 1 || repeatable, "{lines} lines of {shown}");
        }
    }

    /// The first party that proves may assert this realm.
    fn check_proof(&self) {
        let prover = self.setup.trust.iter().find(|(proof, _)| self.proves(*proof)).expect("nobody proves");
        if let Some(realm) = prover.1 {
            assert_eq!(self.values("x-auth-realm"), [realm.as_bytes()], "realm");
        }
    }

    fn proves(&self, proof: Proof) -> bool {
        let facts = self.evidence;
        let is = |fact: &Option<Vec<u8>>, wanted: &str| fact.as_deref() == Some(wanted.as_bytes());
        let is_in_any_case =
            |fact: &Option<Vec<u8>>, wanted: &str| is(&fact.as_ref().map(|fact| fact.to_ascii_lowercase()), wanted);
        match proof {
            Proof::Secret => self.values("x-auth-proof") == [PROOF.as_bytes()],
            Proof::Signature(required) => self.message.signed.iter().any(|signed| self.verifies(signed, required)),
            Proof::Mtls => {
                facts.mtls.as_deref() == Some(&[1])
                    && (is(&facts.uri, URI)
                        || is_in_any_case(&facts.dns, DNS)
                        || is_in_any_case(&facts.digest, FINGERPRINT))
            }
            Proof::Peer => {
                let text = facts.peer.as_deref().and_then(|peer| str::from_utf8(peer).ok());
                match text.and_then(|text| text.parse().ok()) {
                    Some(IpAddr::V4(address)) => address.octets()[0] == 10,
                    Some(IpAddr::V6(address)) => {
                        let octets = address.octets();
                        octets.starts_with(&[0x20, 0x01, 0x0d, 0xb8])
                            || octets.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10])
                    }
                    None => false,
                }
            }
            Proof::FilterState => is(&facts.state, "yes"),
        }
    }

    /// Whether what was signed is this very request, and all of it that has to be.
    fn verifies(&self, signed: &Signed, required: &[&str]) -> bool {
        let covers = |name: &[u8]| signed.names.iter().filter(|own| own.as_bytes() == name).count() == 1;
        let is_identity = |name: &&Vec<u8>| self.owned(name).is_some_and(Owned::is_identity);
        signed.is_acceptable
            && signed.names.iter().all(|name| covers(name.as_bytes()))
            && required.iter().all(|name| covers(name.as_bytes()))
            && self.message.pairs.iter().map(|(name, _)| name).filter(is_identity).all(|name| covers(name))
            && base(&self.message.pairs, &signed.names, &signed.input).as_ref() == Some(&signed.base)
    }

    /// The token is ours, says what the headers say and ends in time.
    fn check_token(&self, value: &str) {
        let parts: Vec<_> = value.strip_prefix("Bearer ").unwrap().split('.').collect();
        let [header, payload, signature] = parts[..] else { panic!("{value}") };
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        assert_eq!(decode(signature), mac(TOKEN_SECRET, format!("{header}.{payload}").as_bytes()));
        assert_eq!(serde_json::from_slice::<Value>(&decode(header)).unwrap()["alg"], "HS256");
        let claims: Value = serde_json::from_slice(&decode(payload)).unwrap();
        let text = |name: &str| String::from_utf8(self.values(name).concat()).unwrap();
        let (username, realm) = (text("x-auth-username"), text("x-auth-realm"));
        assert_eq!(claims["username"], *username);
        assert_eq!(claims["realm"], *realm);
        assert_eq!(claims["sub"], *format!("{realm}-{username}"));
        assert_eq!(claims["iss"], "fuzz");
        assert_eq!(claims["iat"], NOW);
        assert!((NOW + 1..=NOW + LIFETIME).contains(&claims["exp"].as_i64().unwrap()));
        self.check_roles(&claims["roles"]);
    }

    fn check_roles(&self, roles: &Value) {
        let lines: Vec<_> = self.values("x-auth-roles").into_iter().map(|line| str::from_utf8(line).unwrap()).collect();
        let expected: Value = match (&lines[..], self.setup.roles) {
            ([], _) => json!([]),
            (lines, Roles::Repeated) => lines.into(),
            ([line], Roles::Csv) => line.split(',').map(|role| role.trim_matches(' ')).collect(),
            ([line], Roles::Json) => serde_json::from_str(line).unwrap(),
            _ => panic!("{lines:?}"),
        };
        assert_eq!(*roles, expected);
    }
}

/// As CGI names a header's variable (RFC 3875, section 4.1.18).
fn fold(name: &[u8]) -> String {
    let letter = |byte: &u8| if byte.is_ascii_alphanumeric() { char::from(*byte).to_ascii_uppercase() } else { '_' };
    name.iter().map(letter).collect()
}
