//! Section `rules`: which requests a rule matches, and what happens to them.

pub mod path;

use std::net::Ipv6Addr;

use serde::Deserialize;

use crate::{
    config::field::{ErrorKind, Field, MAX_TEXT_BYTES, all},
    jwt::Overrides,
    request::{Facts, Request},
};
use path::{PathCondition, is_ambiguous};

/// An exception for the requests that match.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Rule"))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The requests that the rule is for: all conditions must hold.
    #[serde(rename = "match")]
    conditions: MatchConfig,
    /// What happens to the requests that match.
    #[serde(default)]
    action: Action,
    /// Values for the tokens of these requests, in place of those in `jwt`. Only with the action `issue`.
    jwt: Option<Overrides>,
}

/// Conditions on a request: at least one, and all of them must hold.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(
        rename = "Match",
        extend("minProperties" = 1, "not" = crate::config::schema::all_of(&["path_prefix", "path"]))
    )
)]
#[serde(deny_unknown_fields, default, expecting = "an object such as {\"path_prefix\": \"/healthz\"}")]
pub struct MatchConfig {
    /// The host, without port, is one of these: `example.com`, or `*.example.com` for every host below it.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    hosts: Option<Vec<String>>,
    /// The path begins with these whole segments: `/a` matches `/a` and `/a/b`, not `/ab`. Not together with `path`.
    path_prefix: Option<String>,
    /// The path is exactly this one, without the query. Not together with `path_prefix`.
    path: Option<String>,
    /// The method is one of these, in capitals. `GET` does not include `HEAD`.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    methods: Option<Vec<String>>,
    /// Envoy chose the route of this name.
    route: Option<String>,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A proven identity gets a token, as without a rule.
    #[default]
    Issue,
    /// The request goes on without a token, whether it has an identity or not.
    Pass,
    /// The request is denied: 403 `denied_by_rule`.
    Deny,
}

/// The section, compiled. The first rule that matches counts.
#[derive(Debug)]
pub struct Rules<C>(Vec<Rule<C>>);

/// What happens to requests that match.
#[derive(Debug)]
struct Rule<C> {
    conditions: Conditions,
    effect: Effect<C>,
}

/// What happens to a request.
#[derive(Debug)]
pub enum Effect<C> {
    /// A proven identity gets a token, with these claims if the rule has its own.
    Issue(Option<C>),
    /// It goes on without a token.
    Pass,
    /// It is denied.
    Deny,
}

/// The conditions of a rule.
#[derive(Debug)]
struct Conditions {
    /// Any of these; if empty, any host at all.
    hosts: Vec<Host>,
    path: PathCondition,
    /// Any of these; if empty, any method at all.
    methods: Vec<String>,
    /// The name of Envoy's route.
    route: Option<String>,
}

/// A host in lower case, without port.
#[derive(Debug)]
enum Host {
    /// This host.
    Exact(String),
    /// Every host that ends like this: a dot and a domain, with something before the dot.
    Below(String),
}

/// The property with the name of the route that Envoy chose.
const ROUTE_NAME: &[&str] = &["xds", "route_name"];

// === impl Rules ===

impl<C> Rules<C> {
    /// Compiles the section at `field`. `claims` makes the claims of a rule that changes them.
    pub fn compile(
        rules: &[Config],
        field: &Field<'_>,
        claims: &dyn Fn(&Overrides, &Field<'_>) -> Option<C>,
    ) -> Option<Self> {
        let compile = |(position, rule): (usize, &Config)| rule.compile(&field.index(position), claims);
        all(rules.iter().enumerate().map(compile)).map(Self)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first rule that matches: its position, and what happens.
    #[must_use]
    pub fn first_that_matches(&self, request: &Request<'_>, facts: &Facts<'_>) -> Option<(usize, &Effect<C>)> {
        if self.0.is_empty() {
            return None;
        }
        let target = Target::of(request);
        let found = self.0.iter().enumerate().find(|(_, rule)| rule.matches(&target, facts));
        found.map(|(position, rule)| (position, &rule.effect))
    }
}

/// What the rules compare, read once for all of them.
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
        // The last colon of `[::1]` is inside the brackets.
        (Some(port), Some(host)) if is_port(port) => host,
        _ => authority,
    };
    host.strip_suffix(b".").unwrap_or(host).to_ascii_lowercase()
}

impl<C> Rule<C> {
    /// The route comes last, because asking for it costs a call to the host.
    fn matches(&self, target: &Target<'_>, facts: &Facts<'_>) -> bool {
        let Conditions { hosts, path, methods, route } = &self.conditions;
        (methods.is_empty() || methods.iter().any(|method| method.as_bytes() == target.method))
            && path.matches(target.path)
            && (hosts.is_empty() || hosts.iter().any(|host| host.matches(&target.host)))
            && !(matches!(self.effect, Effect::Pass) && is_ambiguous(target.path))
            && route
                .as_ref()
                .is_none_or(|route| facts.property(ROUTE_NAME).is_some_and(|name| name == route.as_bytes()))
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

// === impl Config ===

impl Config {
    fn compile<C>(&self, field: &Field<'_>, claims: &dyn Fn(&Overrides, &Field<'_>) -> Option<C>) -> Option<Rule<C>> {
        let match_field = field.name("match");
        let conditions = self.conditions.compile(&match_field);
        let passable = match &conditions {
            Some(conditions) if self.action == Action::Pass => conditions.path.check_passable(&match_field),
            _ => Some(()),
        };
        let jwt_field = field.name("jwt");
        let effect = match (self.action, &self.jwt) {
            (Action::Issue, None) => Some(Effect::Issue(None)),
            (Action::Issue, Some(jwt)) => {
                jwt.check(&jwt_field).and_then(|()| claims(jwt, &jwt_field)).map(|claims| Effect::Issue(Some(claims)))
            }
            (Action::Pass, None) => Some(Effect::Pass),
            (Action::Deny, None) => Some(Effect::Deny),
            (Action::Pass | Action::Deny, Some(_)) => jwt_field.refuse(
                ErrorKind::Contradiction,
                "found it beside an action that issues no token, expected the action `issue`",
            ),
        };
        passable?;
        Some(Rule { conditions: conditions?, effect: effect? })
    }
}

impl MatchConfig {
    fn compile(&self, field: &Field<'_>) -> Option<Conditions> {
        let Self { hosts, path_prefix, path, methods, route } = self;
        if hosts.is_none() && path_prefix.is_none() && path.is_none() && methods.is_none() && route.is_none() {
            return field.refuse(
                ErrorKind::Empty,
                "found no condition, expected at least one of `hosts`, `path_prefix`, `path`, `methods`, `route`",
            );
        }
        let hosts = compile_any(&field.name("hosts"), hosts.as_deref(), compile_host);
        let path = PathCondition::compile(field, path_prefix.as_deref(), path.as_deref());
        let methods = compile_any(&field.name("methods"), methods.as_deref(), compile_method);
        if let Some(route) = route {
            field.name("route").text(route, MAX_TEXT_BYTES)?;
        }
        Some(Conditions { hosts: hosts?, path: path?, methods: methods?, route: route.clone() })
    }
}

/// A list of which any item may hold. An empty list is refused: nothing could match it.
fn compile_any<T>(
    field: &Field<'_>,
    values: Option<&[String]>,
    compile: impl Fn(&Field<'_>, &str) -> Option<T>,
) -> Option<Vec<T>> {
    match values {
        None => Some(Vec::new()),
        Some([]) => field.empty("at least one value"),
        Some(values) => all(values.iter().enumerate().map(|(index, value)| compile(&field.index(index), value))),
    }
}

fn compile_host(field: &Field<'_>, host: &str) -> Option<Host> {
    let lower = host.to_ascii_lowercase();
    let (domain, is_below) = lower.strip_prefix("*.").map_or((lower.as_str(), false), |domain| (domain, true));
    let address = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_address = !is_below && address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    let is_host_char = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_name = domain.split('.').all(|label| !label.is_empty() && label.bytes().all(is_host_char));
    if !is_address && !is_name {
        let expected = "a host without port such as \"example.com\", or \"*.example.com\" for all below it";
        return field.malformed(host, expected);
    }
    Some(if is_below { Host::Below(format!(".{domain}")) } else { Host::Exact(lower) })
}

fn compile_method(field: &Field<'_>, method: &str) -> Option<String> {
    // Methods are case-sensitive (RFC 9110, section 9.1), so "get" would match nothing.
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(&byte)) {
        return field.malformed(method, "a method such as \"GET\"");
    }
    Some(method.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    /// A rule as its author thinks of it, in plain text.
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
        fn compiled(&self) -> Rule<()> {
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
                hosts: self.host.map(host).into_iter().collect(),
                path: self.path.map_or(PathCondition::Any, path),
                methods: self.method.map(str::to_owned).into_iter().collect(),
                route: self.route.map(str::to_owned),
            };
            let effect = match self.action {
                0 => Effect::Issue(None),
                1 => Effect::Pass,
                _ => Effect::Deny,
            };
            Rule { conditions, effect }
        }

        /// Segment by segment, independent of how the filter does it.
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
            let request = Request::scan(&crate::request::names::Names::default(), &pairs);
            let properties = |asked: &[&str]| {
                assert_eq!(asked, ROUTE_NAME);
                route.map(|route| route.as_bytes().to_vec())
            };
            let compiled = Rules(rules.iter().map(Reference::compiled).collect());
            let found = compiled.first_that_matches(&request, &Facts::new(0, &properties)).map(|(position, _)| position);
            prop_assert_eq!(found, rules.iter().position(|rule| rule.matches(authority, path, method, route)));
        }
    }
}
