//! `rules`: which request a rule is about.

use crate::{claims::ClaimSet, request::Request, trust::Evidence};

/// Where Envoy tells the name of the route that it chose.
const ROUTE_NAME: &[&str] = &["xds", "route_name"];

/// What happens to requests that match.
#[derive(Debug)]
pub struct Rule {
    /// All must hold.
    pub conditions: Conditions,
    /// What happens.
    pub action: Action,
}

/// What happens to a request.
#[derive(Debug)]
pub enum Action {
    /// It needs an identity and gets a token, of these claims where the rule has its own.
    Issue(Option<ClaimSet>),
    /// It goes on without a token.
    Pass,
    /// It is denied.
    Deny,
}

/// The conditions of a rule. `None` holds always.
#[derive(Debug, Default)]
pub struct Conditions {
    /// Any of these.
    pub hosts: Option<Vec<Host>>,
    /// The path.
    pub path: Option<PathCondition>,
    /// Any of these.
    pub methods: Option<Vec<String>>,
    /// The name of Envoy's route.
    pub route: Option<String>,
}

/// A condition on the path without its query.
#[derive(Debug)]
pub enum PathCondition {
    /// This one and no other.
    Exact(String),
    /// This one and all below it. It has no slash at its end.
    Prefix(String),
}

/// A host in lower case, without port.
#[derive(Debug)]
pub enum Host {
    /// This one.
    Exact(String),
    /// All that end so: a dot and a domain, of which something must stand before it.
    Below(String),
}

/// The first rule that matches, with its position.
#[must_use]
pub fn first_that_matches<'r>(
    rules: &'r [Rule],
    request: &Request<'_>,
    evidence: &dyn Evidence,
) -> Option<(usize, &'r Rule)> {
    if rules.is_empty() {
        return None;
    }
    let target = Target::of(request);
    rules.iter().enumerate().find(|(_, rule)| rule.matches(&target, evidence))
}

/// What rules compare, read once for all of them.
struct Target<'a> {
    host: Vec<u8>,
    path: &'a [u8],
    method: &'a [u8],
}

impl<'a> Target<'a> {
    fn of(request: &Request<'a>) -> Self {
        let path = request.pseudo_header(b":path").unwrap_or_default();
        Self {
            host: host(request.pseudo_header(b":authority").unwrap_or_default()),
            path: path.split(|&byte| byte == b'?').next().unwrap_or_default(),
            method: request.pseudo_header(b":method").unwrap_or_default(),
        }
    }
}

/// The host of an authority in lower case, without port, and without the dot that ends a fully qualified name.
fn host(authority: &[u8]) -> Vec<u8> {
    let is_port = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let mut parts = authority.rsplitn(2, |&byte| byte == b':');
    let host = match (parts.next(), parts.next()) {
        // The last colon of `[::1]` is inside of the brackets.
        (Some(port), Some(host)) if is_port(port) => host,
        _ => authority,
    };
    host.strip_suffix(b".").unwrap_or(host).to_ascii_lowercase()
}

impl Rule {
    /// The route is asked for last, as it costs a call to the host.
    fn matches(&self, target: &Target<'_>, evidence: &dyn Evidence) -> bool {
        let Conditions { hosts, path, methods, route } = &self.conditions;
        methods.as_ref().is_none_or(|methods| methods.iter().any(|method| method.as_bytes() == target.method))
            && path.as_ref().is_none_or(|path| path.matches(target.path))
            && hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|host| host.matches(&target.host)))
            && !(matches!(self.action, Action::Pass) && is_ambiguous(target.path))
            && route
                .as_ref()
                .is_none_or(|route| evidence.property(ROUTE_NAME).is_some_and(|name| name == route.as_bytes()))
    }
}

impl PathCondition {
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(own) => path == own.as_bytes(),
            Self::Prefix(own) => {
                path.strip_prefix(own.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            }
        }
    }
}

impl Host {
    fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(own) => host == own.as_bytes(),
            Self::Below(domain) => host.len() > domain.len() && host.ends_with(domain.as_bytes()),
        }
    }
}

/// Whether a backend could read the path differently: as another one, or as one that ends elsewhere.
#[must_use]
pub fn is_ambiguous(path: &[u8]) -> bool {
    let Some(below_root) = path.strip_prefix(b"/") else { return true };
    let mut segments = below_root.split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_inner = segments.peek().is_some();
        if matches!(segment, b"." | b"..") || (segment.is_empty() && is_inner) {
            return true;
        }
    }
    !is_plain(below_root)
}

/// Whether the path has no character that means more to some servers, and no escape that could have been spared.
fn is_plain(mut path: &[u8]) -> bool {
    let mut decoded = Vec::with_capacity(path.len());
    while let Some((&byte, rest)) = path.split_first() {
        let unescaped = match byte {
            b'%' => rest.split_first_chunk().and_then(|(digits, rest)| Some((unescape(*digits)?, rest))),
            b'\\' | b';' | b'#' | ..=b' ' | 0x7f.. => None,
            _ => Some((byte, rest)),
        };
        let Some((byte, rest)) = unescaped else { return false };
        decoded.push(byte);
        path = rest;
    }
    // An overlong form of a byte is another byte to some servers.
    str::from_utf8(&decoded).is_ok()
}

/// The byte of an escape that can only be written so. `None` is no escape, or one of a control character, or one of
/// printable ASCII: `%2f` may be another path, and `%61` is a way around a rule that says `a`.
fn unescape(digits: [u8; 2]) -> Option<u8> {
    let byte = u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?;
    matches!(byte, b' ' | 0x80..).then_some(byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_that_two_servers_could_read_differently_is_ambiguous() {
        for path in [
            "//",
            "/a//b",
            "//healthz",
            "/../healthz",
            "/healthz/..",
            "/healthz/../admin",
            "/./healthz",
            "/healthz/.",
            "/healthz;a=b",
            "/healthz%2e",
            "/%2E%2e/admin",
            "/healthz%2fadmin",
            "/healthz%2Fadmin",
            "/healthz%5cadmin",
            "/healthz\\admin",
            "/healthz%",
            "/healthz%2",
            "/healthz%zz",
            "/healthz%+1",
            "/healthz%252e",
            "/healthz%00",
            "/healthz%3badmin",
            "/healthz#",
            "/healthz%23",
            "/healthz%3f",
            "/healthz%c0%ae",
            "/healthz%e0%80%ae",
            "/healthz%c3",
            "/healthz%41",
            "/%68ealthz",
            "/healthz%2d",
            "/healthz%7E",
            "/healthz%40",
            "/health\tz",
            "/h\u{e9}",
            "",
            "*",
            "healthz",
            "http://a/healthz",
        ] {
            assert!(is_ambiguous(path.as_bytes()), "{path}");
        }
        for path in ["/", "/healthz", "/healthz/", "/a/b.c/..d", "/a..b", "/%c3%a9", "/a%20b", "/~a/b:c@d,e=f&g"] {
            assert!(!is_ambiguous(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_host_is_without_port_and_case() {
        for (authority, expected) in [
            ("Example.COM", "example.com"),
            ("example.com:8443", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(host(authority.as_bytes()), expected.as_bytes(), "{authority}");
        }
    }

    /// A rule as its author thinks of it, over text.
    #[derive(Debug)]
    struct Reference {
        host: Option<&'static str>,
        path: Option<&'static str>,
        is_prefix: bool,
        method: Option<&'static str>,
        route: Option<&'static str>,
        action: u8,
    }

    impl Reference {
        fn compiled(&self) -> Rule {
            let host = |host: &str| match host.strip_prefix('*') {
                Some(domain) => Host::Below(domain.to_owned()),
                None => Host::Exact(host.to_owned()),
            };
            let path = |path: &str| {
                if self.is_prefix {
                    PathCondition::Prefix(path.trim_end_matches('/').to_owned())
                } else {
                    PathCondition::Exact(path.to_owned())
                }
            };
            let conditions = Conditions {
                hosts: self.host.map(|own| vec![host(own)]),
                path: self.path.map(path),
                methods: self.method.map(|own| vec![own.to_owned()]),
                route: self.route.map(str::to_owned),
            };
            let action = match self.action {
                0 => Action::Issue(None),
                1 => Action::Pass,
                _ => Action::Deny,
            };
            Rule { conditions, action }
        }

        /// Segment by segment, without a look at how the filter does it.
        fn matches(&self, authority: &str, path: &str, method: &str, route: Option<&str>) -> bool {
            let host = authority.to_lowercase();
            let host = host.split(':').next().unwrap();
            let path = path.split('?').next().unwrap();
            let segments = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            let host_holds = self.host.is_none_or(|own| match own.strip_prefix("*.") {
                Some(domain) => host
                    .split_once(domain)
                    .is_some_and(|(below, rest)| below.ends_with('.') && below.len() > 1 && rest.is_empty()),
                None => own == host,
            });
            let path_holds = self.path.is_none_or(|own| {
                let mut own_segments = segments(own);
                if self.is_prefix && own_segments.last().is_some_and(String::is_empty) {
                    own_segments.pop();
                }
                if self.is_prefix { segments(path).starts_with(&own_segments) } else { path == own }
            });
            let is_doubtful = ["//", "/.", ";", "%", "\\"].iter().any(|part| path.contains(part));
            host_holds
                && path_holds
                && self.method.is_none_or(|own| own == method)
                && self.route.is_none_or(|own| Some(own) == route)
                && !(self.action == 1 && is_doubtful)
        }
    }

    fn optional(values: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
        prop::option::of(prop::sample::select(values))
    }

    fn reference() -> impl Strategy<Value = Reference> {
        let host = optional(&["a.example.com", "example.com", "*.example.com", "*.com"]);
        let path = optional(&["/", "/a", "/a/", "/a/b", "/ab"]);
        let method = optional(&["GET", "POST"]);
        let route = optional(&["main", "other"]);
        (host, path, any::<bool>(), method, route, 0_u8..3).prop_map(
            |(host, path, is_prefix, method, route, action)| Reference { host, path, is_prefix, method, route, action },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_first_rule_that_matches_is_the_references(
            rules in prop::collection::vec(reference(), 0..6),
            authority in prop::sample::select(vec![
                "example.com", "a.example.com", "A.Example.com:8080", "b.a.example.com", ".example.com", "xexample.com", "com", "",
            ]),
            path in prop::sample::select(vec![
                "/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/a?b", "/a/b?x=/../", "/a//b", "/a/../b", "/a;b", "/a%2fb",
                "/a\\b", "/a/%2e%2e", "/b/./a",
            ]),
            method in prop::sample::select(vec!["GET", "POST", "get"]),
            route in optional(&["main", "other"]),
        ) {
            let pairs: [(&[u8], &[u8]); 3] = [
                (b":authority", authority.as_bytes()), (b":path", path.as_bytes()), (b":method", method.as_bytes()),
            ];
            let request = Request::scan(&crate::request::Names::default(), &pairs);
            let evidence = |asked: &[&str]| {
                assert_eq!(asked, ROUTE_NAME);
                route.map(|route| route.as_bytes().to_vec())
            };
            let compiled: Vec<_> = rules.iter().map(Reference::compiled).collect();
            let found = first_that_matches(&compiled, &request, &evidence).map(|(position, _)| position);
            prop_assert_eq!(found, rules.iter().position(|rule| rule.matches(authority, path, method, route)));
        }
    }
}
