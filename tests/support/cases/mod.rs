//! What happens to a request, as tables: a request in → what the client gets, and what reaches the service.
//!
//! A row has one owner. `requests` shows each outcome that is promised, `attacks` what somebody could try in order to get
//! another one. `tests/envoy` sends them through the filter in real Envoy, `tests/otron` asks the command, too.

pub mod attacks;
pub mod gateways;
pub mod requests;

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use auth_o_tron_envoy::rejection::Code;
use serde_json::{Value, json};

use super::{PROOF, http::Lines};

/// The header that only the partner of the `rich` gateway sends, and its value.
pub const PARTNER: (&str, &str) = ("x-partner-proof", "the partner's proof, unlike the gateway's");

/// The gateways of a product's headers.
pub const PRODUCTS: &[&str] =
    &["oauth2-proxy", "oauth2-proxy-auth-request", "authelia", "authentik", "kubernetes", "adapted"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// One row of a table.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub gateway: &'static str,
    pub protocol: Protocol,
    pub method: String,
    pub host: String,
    pub target: String,
    /// In HTTP/2, in place of what method, host and target say.
    pub pseudo: Option<Lines>,
    pub headers: Lines,
    pub trailers: Lines,
    /// What follows the header section, in HTTP/1.
    pub body: &'static str,
    pub expected: Expected,
}

#[derive(Clone, Debug)]
pub enum Expected {
    /// The service gets a token that says what [`gateways::claims`] says, but for these claims, and of our headers only
    /// those that [go on](gateways::goes_on).
    Issued(Value),
    /// The service gets the request with none of our headers.
    Passed,
    /// The client gets this code, the service nothing.
    Denied(Code),
    /// Envoy itself refuses, by a 4xx, a 501 or a closed connection: the service gets nothing.
    Refused,
    /// Envoy itself refuses by this status.
    RefusedWith(u16),
    /// Envoy itself refuses since this version. To an older one it says nothing else than this, as in `Issued`.
    RefusedSince((u32, u32), Value),
}

impl Expected {
    /// What is expected on Envoy of this version.
    pub fn on(self, version: (u32, u32)) -> Self {
        match self {
            Self::RefusedSince(since, _) if version >= since => Self::Refused,
            Self::RefusedSince(_, claims) => Self::Issued(claims),
            other => other,
        }
    }
}

impl Case {
    /// `GET /` in HTTP/1.1.
    pub fn new(name: impl Into<String>, gateway: &'static str, headers: Lines, expected: Expected) -> Self {
        Self {
            name: name.into(),
            gateway,
            protocol: Protocol::Http1,
            method: "GET".to_owned(),
            host: "test:80".to_owned(),
            target: "/".to_owned(),
            pseudo: None,
            headers,
            trailers: Lines::new(),
            body: "",
            expected,
        }
    }

    /// The request as HTTP/1.1 has it on the wire.
    pub fn wire(&self) -> Vec<u8> {
        let target = if self.method == "CONNECT" { &self.host } else { &self.target };
        let start = format!("{} {target} HTTP/1.1\r\nhost: {}\r\nx-case: {}\r\n", self.method, self.host, self.name);
        let mut request = start.into_bytes();
        let mut write = |headers: &Lines| {
            for (name, value) in headers {
                // Latin-1, so that a case can hold a name that is not UTF-8.
                request.extend(name.chars().map(|c| u8::try_from(u32::from(c)).unwrap()));
                request.extend([b": ", value.as_slice(), b"\r\n"].concat());
            }
        };
        write(&self.headers);
        if !self.trailers.is_empty() {
            write(&lines(&[("transfer-encoding", "chunked\r\n\r\n2\r\nhi\r\n0")]));
            write(&self.trailers);
        }
        [request.as_slice(), b"\r\n", self.body.as_bytes()].concat()
    }

    /// The headers as HTTP/2 has them, with the pseudo-headers.
    pub fn http2_headers(&self) -> Lines {
        let pseudo = self.pseudo.clone().unwrap_or_else(|| match &*self.method {
            "CONNECT" => lines(&[(":method", "CONNECT"), (":authority", &self.host)]),
            method => {
                let target = [(":method", method), (":scheme", "http"), (":path", &self.target)];
                [lines(&target), lines(&[(":authority", &self.host)])].concat()
            }
        });
        [pseudo, lines(&[("x-case", &self.name)]), self.headers.clone()].concat()
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    }
}

/// A row has one owner: no request stands in the tables twice.
pub fn check_owners() {
    let mut owners = BTreeMap::new();
    for case in [requests::table(), attacks::table()].concat() {
        let (name, gateway, protocol) = (case.name.clone(), case.gateway, case.protocol);
        let nameless = Case { name: String::new(), ..case };
        let sent = (gateway, protocol == Protocol::Http1, nameless.wire(), nameless.http2_headers());
        let other = owners.insert(sent, name.clone());
        assert_eq!(other, None, "`{name}` is the same request");
    }
}

/// A request that must be served, by the worker that also serves `gateway`.
pub fn honest(gateway: &'static str) -> Case {
    let reader = |headers| (headers, json!({"roles": ["r"]}));
    let (headers, claims) = match gateway {
        // Nothing is proven there.
        "evidence" | "tls" => return honest("shipped"),
        "rich" => reader(with(alice(), "x-auth-roles", r#"["r"]"#)),
        "strict" => reader(with(alice(), "x-auth-roles", "r")),
        "lists" => (without(alice(), "x-auth-realm"), Value::Null),
        "signed" => (requests::signatures::signed(requests::signatures::LINES, now()), Value::Null),
        "signature" => (attacks::signatures::signed(), json!({"roles": ["reader"]})),
        product if PRODUCTS.contains(&product) => (requests::presets::product(product), Value::Null),
        _ => (alice(), Value::Null),
    };
    Case::new(format!("honest at {gateway}"), gateway, headers, Expected::Issued(claims))
}

/// Headers of a proven request.
pub fn alice() -> Lines {
    lines(&[("x-auth-username", "alice"), ("x-auth-realm", "internal"), ("x-auth-proof", PROOF)])
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn lines(pairs: &[(&str, &str)]) -> Lines {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
}

pub fn with(mut headers: Lines, name: &str, value: impl AsRef<[u8]>) -> Lines {
    headers.push((name.to_owned(), value.as_ref().to_vec()));
    headers
}

pub fn before(headers: Lines, name: &str, value: impl AsRef<[u8]>) -> Lines {
    [with(Lines::new(), name, value), headers].concat()
}

pub fn without(mut headers: Lines, name: &str) -> Lines {
    headers.retain(|(own, _)| own != name);
    headers
}

pub fn set(headers: Lines, name: &str, value: impl AsRef<[u8]>) -> Lines {
    with(without(headers, name), name, value)
}

/// The names of the identity headers of Auth-O-Tron.
pub const NAMES: [&str; 5] = ["x-auth-username", "x-auth-realm", "x-auth-roles", "x-auth-scopes", "x-auth-attributes"];

/// A table that is being written down. A row's name begins with its gateway.
#[derive(Default)]
pub struct Table(Vec<Case>);

impl Table {
    fn add(&mut self, name: impl Into<String>, gateway: &'static str, headers: Lines, expected: Expected) -> &mut Case {
        self.0.push(Case::new(format!("{gateway}: {}", name.into()), gateway, headers, expected));
        self.0.last_mut().unwrap()
    }

    fn issued(&mut self, name: impl Into<String>, gateway: &'static str, headers: Lines, claims: Value) -> &mut Case {
        self.add(name, gateway, headers, Expected::Issued(claims))
    }

    fn denied(&mut self, name: impl Into<String>, gateway: &'static str, headers: Lines, code: Code) -> &mut Case {
        self.add(name, gateway, headers, Expected::Denied(code))
    }

    fn passed(&mut self, name: impl Into<String>, gateway: &'static str, headers: Lines) -> &mut Case {
        self.add(name, gateway, headers, Expected::Passed)
    }

    /// By this protocol, which the name says first. `line` is method and target.
    fn by(
        &mut self,
        protocol: Protocol,
        name: &str,
        gateway: &'static str,
        line: &str,
        headers: Lines,
        expected: Expected,
    ) -> &mut Case {
        let mut case = Case::new(format!("{protocol:?} {gateway}: {name}"), gateway, headers, expected);
        let (method, target) = line.split_once(' ').unwrap();
        (case.protocol, case.method) = (protocol, method.to_owned());
        target.clone_into(if method == "CONNECT" { &mut case.host } else { &mut case.target });
        self.0.push(case);
        self.0.last_mut().unwrap()
    }

    fn h1(&mut self, name: &str, gateway: &'static str, line: &str, headers: Lines, expected: Expected) -> &mut Case {
        self.by(Protocol::Http1, name, gateway, line, headers, expected)
    }

    fn h2(&mut self, name: &str, gateway: &'static str, line: &str, headers: Lines, expected: Expected) -> &mut Case {
        self.by(Protocol::Http2, name, gateway, line, headers, expected)
    }

    /// By both protocols.
    fn both(&mut self, name: &str, gateway: &'static str, line: &str, headers: Lines, expected: Expected) {
        self.h1(name, gateway, line, headers.clone(), expected.clone());
        self.h2(name, gateway, line, headers, expected);
    }

    /// `GET /` by both protocols, as most attacks are.
    fn get(&mut self, name: &str, gateway: &'static str, headers: Lines, expected: Expected) {
        self.both(name, gateway, "GET /", headers, expected);
    }

    fn trailers(&mut self, name: &str, gateway: &'static str, headers: Lines, trailers: &Lines, expected: Expected) {
        self.h1(name, gateway, "POST /", headers.clone(), expected.clone()).trailers.clone_from(trailers);
        self.h2(name, gateway, "POST /", headers, expected).trailers.clone_from(trailers);
    }

    fn pseudo(&mut self, name: &str, pseudo: &[(&str, &str)], headers: Lines, expected: Expected) {
        self.h2(name, "shipped", "GET /", headers, expected).pseudo = Some(lines(pseudo));
    }
}
