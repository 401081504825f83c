//! One pass over the header pairs: which are identity, proof, token, alias, duplicate.

pub mod names;

use std::{cell::RefCell, rc::Rc};

use sfv::{Dictionary, Parser};

use crate::{pairs::Pair, rejection::Flaw};
use names::{NameId, Names, Purpose};

/// What the proxy itself knows about a request, besides its headers.
pub struct Facts<'a> {
    /// The proxy's clock, in epoch seconds.
    pub now: i64,
    properties: &'a dyn Properties,
}

/// The properties of a request's stream. Each is fetched only when something asks for it.
pub trait Properties {
    /// The value of a property, by its path; `None` if there is none, or if it cannot be read.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;
}

/// No properties at all.
impl Properties for () {
    fn property(&self, _path: &[&str]) -> Option<Vec<u8>> {
        None
    }
}

impl<F: Fn(&[&str]) -> Option<Vec<u8>>> Properties for F {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self(path)
    }
}

impl<'a> Facts<'a> {
    /// What is known at `now`, in epoch seconds.
    #[must_use]
    pub const fn new(now: i64, properties: &'a dyn Properties) -> Self {
        Self { now, properties }
    }

    /// The value of a property, by its path.
    #[must_use]
    pub fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.properties.property(path)
    }
}

/// Room for our headers in most requests with an identity.
const USUAL_HITS: usize = 8;

/// A header line of the request with a name that we own.
#[derive(Clone, Copy, Debug)]
struct Hit<'a> {
    id: NameId,
    /// As the request spells it.
    name: &'a [u8],
    value: &'a [u8],
    purpose: Purpose,
}

impl Hit<'_> {
    const fn is_identity(&self) -> bool {
        matches!(self.purpose, Purpose::Identity { .. })
    }
}

/// A request's headers (or trailers), classified by what they are to us. It borrows everything.
#[derive(Debug, Default)]
pub struct Request<'a> {
    pairs: &'a [Pair<'a>],
    hits: Vec<Hit<'a>>,
    has_identity: bool,
    identity_bytes: usize,
    ambiguity: Option<(NameId, Flaw)>,
    nominated: Option<NameId>,
    dictionaries: RefCell<Vec<(NameId, Option<Rc<Dictionary>>)>>,
}

impl<'a> Request<'a> {
    /// Reads every pair once.
    #[must_use]
    pub fn scan(names: &Names, pairs: &'a [Pair<'a>]) -> Self {
        let mut request = Self { pairs, ..Self::default() };
        for &(name, value) in pairs {
            if let Some((id, own)) = names.find(name) {
                request.note(Hit { id, name, value, purpose: own.purpose }, own.is_alias(name));
            } else if name == b"connection" {
                request.nominated = request.nominated.or_else(|| nominated(names, value));
            }
        }
        request
    }

    fn note(&mut self, hit: Hit<'a>, is_alias: bool) {
        let seen_before = self.hits.iter().any(|other| other.id == hit.id);
        match hit.purpose {
            Purpose::Identity { repeatable } => {
                self.has_identity = true;
                self.identity_bytes = self.identity_bytes.saturating_add(hit.value.len());
                self.note_ambiguity(hit.id, seen_before && !repeatable, is_alias);
            }
            Purpose::Proof { repeatable } => self.note_ambiguity(hit.id, seen_before && !repeatable, is_alias),
            // A client may send whatever it likes here: it is replaced or removed.
            Purpose::Token => {}
        }
        if self.hits.is_empty() {
            // Allocated at once: most requests have a few, or none.
            self.hits.reserve(USUAL_HITS);
        }
        self.hits.push(hit);
    }

    fn note_ambiguity(&mut self, id: NameId, is_duplicate: bool, is_alias: bool) {
        // Of an alias beside the name itself, that it is one says more.
        if is_alias {
            self.ambiguity = Some((id, Flaw::Aliased));
        } else if is_duplicate {
            self.ambiguity = Some((id, Flaw::Repeated));
        }
    }

    /// Whether any identity header is present, under its own name or an alias.
    #[must_use]
    pub const fn has_identity(&self) -> bool {
        self.has_identity
    }

    /// The length of all identity values together, in bytes.
    #[must_use]
    pub const fn identity_bytes(&self) -> usize {
        self.identity_bytes
    }

    /// Why two readers could read the identity or proof headers differently, if they could.
    #[must_use]
    pub const fn ambiguity(&self) -> Option<(NameId, Flaw)> {
        self.ambiguity
    }

    /// The name we own that `Connection` nominates for removal (RFC 9110, section 7.6.1).
    #[must_use]
    pub const fn nomination(&self) -> Option<NameId> {
        self.nominated
    }

    /// The first value of a header.
    #[must_use]
    pub fn value(&self, id: NameId) -> Option<&'a [u8]> {
        self.values(id).next()
    }

    /// Every value of a header, in the order of the request.
    pub fn values(&self, id: NameId) -> impl Iterator<Item = &'a [u8]> {
        self.hits.iter().filter(move |hit| hit.id == id).map(|hit| hit.value)
    }

    fn identity_hits(&self) -> impl Iterator<Item = &Hit<'a>> {
        self.hits.iter().filter(|hit| hit.is_identity())
    }

    /// The identity headers that are present, with their values, in the order of the request.
    pub fn identity(&self) -> impl Iterator<Item = (NameId, &'a [u8])> {
        self.identity_hits().map(|hit| (hit.id, hit.value))
    }

    /// All lines of a header as one dictionary (RFC 9651, section 4.2), parsed once. `None` if it is not a dictionary,
    /// or is longer than `max` bytes.
    #[must_use]
    pub fn dictionary(&self, id: NameId, max: usize) -> Option<Rc<Dictionary>> {
        let mut parsed = self.dictionaries.try_borrow_mut().ok()?;
        if let Some((_, dictionary)) = parsed.iter().find(|(own, _)| *own == id) {
            return dictionary.clone();
        }
        let value = self.values(id).collect::<Vec<_>>().join(&b", "[..]);
        let is_readable = !value.is_empty() && value.len() <= max;
        let dictionary = is_readable.then(|| Parser::new(&value).parse().ok()).flatten().map(Rc::new);
        parsed.push((id, dictionary.clone()));
        dictionary
    }

    /// Whether no other lines of the identity headers have the same combined values (RFC 9110, section 5.3), which are
    /// what signatures cover: no line has blanks at its ends, and no line of a list has a comma, which would read as
    /// two lines.
    #[must_use]
    pub fn has_unique_combined_values(&self) -> bool {
        self.identity_hits().all(|hit| {
            let is_list = hit.purpose == Purpose::Identity { repeatable: true };
            hit.value.trim_ascii().len() == hit.value.len() && !(is_list && hit.value.contains(&b','))
        })
    }

    /// The names of all identity headers, in the order of the request.
    pub fn identity_names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.identity_hits().map(|hit| hit.name)
    }

    /// The values of any header, ours or foreign, in the order of the request.
    pub fn all_values(&self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        self.pairs.iter().filter(move |(own, _)| *own == name).map(|(_, value)| *value)
    }

    /// The value of a pseudo-header, such as `:path` (RFC 9113, section 8.3.1).
    #[must_use]
    pub fn pseudo_header(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.all_values(name).next()
    }

    /// The headers that we own, for removal. `keep_identity` spares those of the identity.
    #[must_use]
    pub fn removals(&self, keep_identity: bool) -> Removals<'_> {
        Removals { hits: &self.hits, keep_identity }
    }
}

/// Headers to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct Removals<'a> {
    hits: &'a [Hit<'a>],
    keep_identity: bool,
}

impl<'a> Removals<'a> {
    /// Their names as the request spells them, one for each line.
    pub fn names(self) -> impl Iterator<Item = &'a [u8]> {
        self.hits.iter().filter(move |hit| !(self.keep_identity && hit.is_identity())).map(|hit| hit.name)
    }
}

fn nominated(names: &Names, connection: &[u8]) -> Option<NameId> {
    connection.split(|&byte| byte == b',').find_map(|option| names.find(option.trim_ascii())).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::field::{Field, Report};

    const IDENTITY: Purpose = Purpose::Identity { repeatable: false };

    fn own(names: &mut Names, name: &str, purpose: Purpose) -> NameId {
        let report = Report::default();
        names.own(&Field::section(&report, "test"), name, purpose).unwrap()
    }

    fn names() -> (Names, NameId, NameId) {
        let mut names = Names::default();
        let user = own(&mut names, "x-auth-username", IDENTITY);
        let roles = own(&mut names, "x-auth-roles", Purpose::Identity { repeatable: true });
        own(&mut names, "x-auth-proof", Purpose::Proof { repeatable: false });
        own(&mut names, "authorization", Purpose::Token);
        (names, user, roles)
    }

    fn scan<'a>(names: &Names, pairs: &[(&'a str, &'a str)]) -> Request<'a> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        Request::scan(names, pairs.leak())
    }

    #[test]
    fn every_spelling_a_backend_may_fold_is_an_alias() {
        let (names, ..) = names();
        for name in ["x_auth_username", "x.auth.username", "x-auth_username", "x~auth-username"] {
            let request = scan(&names, &[(name, "alice")]);
            assert_eq!(request.ambiguity().map(|(_, flaw)| flaw), Some(Flaw::Aliased), "{name}");
            assert!(request.has_identity(), "{name}");
            assert_eq!(request.removals(true).names().count(), 0, "{name}");
            assert_eq!(request.removals(false).names().collect::<Vec<_>>(), [name.as_bytes()]);
        }
        for name in ["x-auth-usernam", "x-auth-username-", "xauthusername--", "y-auth-username"] {
            assert!(!scan(&names, &[(name, "alice")]).has_identity(), "{name}");
        }
    }

    #[test]
    fn a_prefix_stands_for_every_name_that_begins_with_it() {
        let (mut names, ..) = names();
        names.own_prefix("x-remote-extra-", Purpose::Identity { repeatable: true });
        let long = format!("x-remote-extra-{}", "a".repeat(200));
        for name in ["x-remote-extra-", "x-remote-extra-a", "x-remote-extra-example.org%2fproject", &long] {
            let request = scan(&names, &[(name, "a"), (name, "b")]);
            assert!(request.has_identity() && request.ambiguity().is_none(), "{name}");
            assert_eq!(request.removals(false).names().collect::<Vec<_>>(), [name.as_bytes(); 2]);
        }
        for name in ["x_remote_extra_a", "x-remote.extra-a", &long.replace('-', "_")] {
            assert!(scan(&names, &[(name, "a")]).ambiguity().is_some(), "{name}");
        }
        for name in ["x-remote-extra", "x-remote-extr-a", &"a".repeat(200)] {
            assert!(!scan(&names, &[(name, "a")]).has_identity(), "{name}");
        }
    }

    #[test]
    fn a_second_line_is_a_duplicate_unless_it_is_repeatable() {
        let (names, user, roles) = names();
        let request = scan(&names, &[("x-auth-username", "a"), ("x-auth-username", "b")]);
        assert_eq!(request.ambiguity(), Some((user, Flaw::Repeated)));
        assert_eq!(request.value(user), Some(&b"a"[..]));
        let request = scan(&names, &[("x-auth-proof", "a"), ("x-auth-proof", "a")]);
        assert!(request.ambiguity().is_some());
        let request = scan(&names, &[("x-auth-roles", "a"), ("x-auth-roles", "b")]);
        assert!(request.ambiguity().is_none());
        assert_eq!(request.values(roles).collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn connection_nominations_are_seen_under_any_spelling() {
        let (names, ..) = names();
        for (value, expected) in [
            ("close, x-auth-roles", true),
            ("X-Auth-Username", true),
            ("x_auth_proof ,upgrade", true),
            ("authorization", true),
            ("keep-alive, upgrade", false),
            ("", false),
        ] {
            assert_eq!(scan(&names, &[("connection", value)]).nomination().is_some(), expected, "{value}");
        }
    }

    #[test]
    fn a_header_that_is_single_for_one_claim_is_single_for_all() {
        let (mut names, ..) = names();
        own(&mut names, "x-auth-roles", IDENTITY);
        assert!(scan(&names, &[("x-auth-roles", "a"), ("x-auth-roles", "b")]).ambiguity().is_some());
    }
}
