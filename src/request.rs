//! One pass over the header pairs: which are identity, proof, token, alias, duplicate.

use std::{cell::RefCell, rc::Rc};

use sfv::{Dictionary, Parser};

use crate::pairs::Pair;

/// What a configured header name is for. Roles are ordered: where one header serves twice, the stricter role counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Carries a part of the identity.
    Identity {
        /// Whether several header lines of this name are one list (`format: repeated`).
        repeatable: bool,
    },
    /// Carries a proof.
    Proof {
        /// Whether several header lines of this name are one value, as a dictionary's are.
        repeatable: bool,
    },
    /// Receives the token.
    Token,
}

/// A configured header name, as an index into [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameId(usize);

impl NameId {
    /// The index, for keys made of bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; size_of::<usize>()] {
        self.0.to_le_bytes()
    }
}

/// Every header name that the filter owns, in lower case.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<OwnName>,
    /// Bit `n` is set where some name is `n` bytes long: most foreign headers fall through on this alone.
    lengths: u64,
}

#[derive(Debug)]
struct OwnName {
    text: String,
    /// Whether it stands for all names that begin with it.
    is_prefix: bool,
    role: Role,
}

impl OwnName {
    /// Whether a backend may take `name` for this one.
    fn is_spelt(&self, name: &[u8]) -> bool {
        let comparable = if self.is_prefix { name.get(..self.text.len()) } else { Some(name) };
        comparable.is_some_and(|name| is_spelling_of(name, &self.text))
    }

    /// Whether `name`, which is spelt as this one, is written otherwise.
    fn is_alias(&self, name: &[u8]) -> bool {
        !name.starts_with(self.text.as_bytes())
    }
}

/// Why a name cannot join [`Names`].
#[derive(Debug, PartialEq, Eq)]
pub enum NameConflict {
    /// The name is in use for something else.
    OtherRole,
    /// The name is another spelling of this one, so each would be an alias of the other.
    AliasOf(String),
}

/// The longest header name that can be configured, in bytes.
pub const MAX_NAME_BYTES: usize = 127;

impl Names {
    /// Adds a lower-case name of at most [`MAX_NAME_BYTES`], or finds it if it is there.
    ///
    /// # Errors
    /// When the name has another role already, or is an alias of another name.
    pub fn add(&mut self, name: &str, role: Role) -> Result<NameId, NameConflict> {
        for (index, own) in self.names.iter_mut().enumerate() {
            if !own.is_spelt(name.as_bytes()) {
                continue;
            }
            if own.is_alias(name.as_bytes()) {
                return Err(NameConflict::AliasOf(own.text.clone()));
            }
            match (own.role, role) {
                (Role::Identity { repeatable: a }, Role::Identity { repeatable: b }) => {
                    own.role = Role::Identity { repeatable: a && b };
                }
                (Role::Proof { repeatable: a }, Role::Proof { repeatable: b }) if a == b => {}
                _ => return Err(NameConflict::OtherRole),
            }
            return Ok(NameId(index));
        }
        let id = NameId(self.names.len());
        self.add_missing(name, role);
        Ok(id)
    }

    /// Adds a name unless it, or another spelling of it, is there already.
    pub fn add_missing(&mut self, name: &str, role: Role) {
        if self.find(name.as_bytes()).is_none() {
            self.names.push(OwnName { text: name.to_owned(), is_prefix: false, role });
            self.lengths |= length_bit(name.as_bytes());
        }
    }

    /// Adds all names that begin with `prefix`, but for those that are there already.
    pub fn add_prefix(&mut self, prefix: &str, role: Role) {
        self.names.push(OwnName { text: prefix.to_owned(), is_prefix: true, role });
        // Every length from that of the prefix on.
        self.lengths |= length_bit(prefix.as_bytes()).wrapping_neg();
    }

    /// The name, if any, that `name` spells: itself, or as an alias.
    fn find(&self, name: &[u8]) -> Option<(NameId, &OwnName)> {
        if self.lengths & length_bit(name) == 0 {
            return None;
        }
        self.names.iter().enumerate().find(|(_, own)| own.is_spelt(name)).map(|(index, own)| (NameId(index), own))
    }
}

/// The bit of a name's length. Long names share the last one.
fn length_bit(name: &[u8]) -> u64 {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX).min(u64::BITS - 1);
    1_u64.checked_shl(length).unwrap_or_default()
}

/// Whether a backend may take `name` for `own`: CGI, WSGI, PHP and Rack fold letter case and replace every
/// character that is neither letter nor digit by `_` (RFC 3875, section 4.1.18).
#[must_use]
pub fn is_spelling_of(name: &[u8], own: &str) -> bool {
    let fold = |byte: u8| {
        if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
    };
    name.len() == own.len() && name.iter().zip(own.bytes()).all(|(&a, b)| a == b || fold(a) == fold(b))
}

/// How many headers of ours a request with an identity usually has, at most.
const USUAL_HITS: usize = 8;

/// A header line of the request whose name is ours.
#[derive(Clone, Copy, Debug)]
struct Hit<'a> {
    id: NameId,
    /// As the request spells it.
    name: &'a [u8],
    value: &'a [u8],
    role: Role,
}

impl Hit<'_> {
    const fn is_identity(&self) -> bool {
        matches!(self.role, Role::Identity { .. })
    }
}

/// A request's headers (or trailers), sorted by what they are to us. It borrows everything.
#[derive(Debug, Default)]
pub struct Request<'a> {
    pairs: &'a [Pair<'a>],
    hits: Vec<Hit<'a>>,
    has_identity: bool,
    identity_bytes: usize,
    ambiguity: Option<&'static str>,
    nominated: bool,
    dictionaries: RefCell<Vec<(NameId, Option<Rc<Dictionary>>)>>,
}

impl<'a> Request<'a> {
    /// Reads every pair once.
    #[must_use]
    pub fn scan(names: &Names, pairs: &'a [Pair<'a>]) -> Self {
        let mut request = Self { pairs, ..Self::default() };
        for &(name, value) in pairs {
            if let Some((id, own)) = names.find(name) {
                request.note(Hit { id, name, value, role: own.role }, own.is_alias(name));
            } else if name == b"connection" && nominates(names, value) {
                request.nominated = true;
            }
        }
        request
    }

    fn note(&mut self, hit: Hit<'a>, is_alias: bool) {
        let seen_before = self.hits.iter().any(|other| other.id == hit.id);
        match hit.role {
            Role::Identity { repeatable } => {
                self.has_identity = true;
                self.identity_bytes = self.identity_bytes.saturating_add(hit.value.len());
                self.note_ambiguity(seen_before && !repeatable, is_alias);
            }
            Role::Proof { repeatable } => self.note_ambiguity(seen_before && !repeatable, is_alias),
            // A client may send what it likes here: it is replaced, or removed.
            Role::Token => {}
        }
        if self.hits.is_empty() {
            // In one piece: most requests have a few, or none.
            self.hits.reserve(USUAL_HITS);
        }
        self.hits.push(hit);
    }

    fn note_ambiguity(&mut self, is_duplicate: bool, is_alias: bool) {
        if is_duplicate {
            self.ambiguity = Some("a header comes more than once");
        } else if is_alias {
            self.ambiguity = Some("a header comes under an alias");
        }
    }

    /// Whether any identity header is present, under its own name or an alias.
    #[must_use]
    pub const fn has_identity(&self) -> bool {
        self.has_identity
    }

    /// The length of all identity values together.
    #[must_use]
    pub const fn identity_bytes(&self) -> usize {
        self.identity_bytes
    }

    /// Why two readers of the identity or proof headers could read them differently, where they could.
    #[must_use]
    pub const fn ambiguity(&self) -> Option<&'static str> {
        self.ambiguity
    }

    /// Whether `Connection` nominates one of our names for removal (RFC 9110, section 7.6.1).
    #[must_use]
    pub const fn has_nomination(&self) -> bool {
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

    /// A header as a dictionary, all its lines together (RFC 9651, section 4.2): `None` where it is none, or longer than
    /// `max` bytes. It is parsed once.
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

    /// Whether a field's combined value (RFC 9110, section 5.3), as signatures cover it, tells the identity to the byte:
    /// it has no blanks at the ends of a line, and a comma in one line reads as two lines.
    #[must_use]
    pub fn is_told_by_combined_values(&self) -> bool {
        self.identity_hits().all(|hit| {
            let is_list = hit.role == Role::Identity { repeatable: true };
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

    /// The names to remove, as the request spells them. `keep_identity` spares the identity headers.
    pub fn removals(&self, keep_identity: bool) -> impl Iterator<Item = &'a [u8]> {
        self.hits.iter().filter(move |hit| !(keep_identity && hit.is_identity())).map(|hit| hit.name)
    }
}

fn nominates(names: &Names, connection: &[u8]) -> bool {
    connection.split(|&byte| byte == b',').any(|option| names.find(option.trim_ascii()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Role = Role::Identity { repeatable: false };

    fn names() -> (Names, NameId, NameId) {
        let mut names = Names::default();
        let user = names.add("x-auth-username", IDENTITY).unwrap();
        let roles = names.add("x-auth-roles", Role::Identity { repeatable: true }).unwrap();
        names.add("x-auth-proof", Role::Proof { repeatable: false }).unwrap();
        names.add("authorization", Role::Token).unwrap();
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
            assert_eq!(request.ambiguity(), Some("a header comes under an alias"), "{name}");
            assert!(request.has_identity(), "{name}");
            assert_eq!(request.removals(true).count(), 0, "{name}");
            assert_eq!(request.removals(false).collect::<Vec<_>>(), [name.as_bytes()]);
        }
        for name in ["x-auth-usernam", "x-auth-username-", "xauthusername--", "y-auth-username"] {
            assert!(!scan(&names, &[(name, "alice")]).has_identity(), "{name}");
        }
    }

    #[test]
    fn a_prefix_stands_for_every_name_that_begins_with_it() {
        let (mut names, ..) = names();
        names.add_prefix("x-remote-extra-", Role::Identity { repeatable: true });
        let long = format!("x-remote-extra-{}", "a".repeat(200));
        for name in ["x-remote-extra-", "x-remote-extra-a", "x-remote-extra-example.org%2fproject", &long] {
            let request = scan(&names, &[(name, "a"), (name, "b")]);
            assert!(request.has_identity() && request.ambiguity().is_none(), "{name}");
            assert_eq!(request.removals(false).collect::<Vec<_>>(), [name.as_bytes(); 2]);
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
        assert!(request.ambiguity().is_some());
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
            assert_eq!(scan(&names, &[("connection", value)]).has_nomination(), expected, "{value}");
        }
    }

    #[test]
    fn one_name_has_one_role_and_one_spelling() {
        let (mut names, user, _) = names();
        assert_eq!(names.add("x-auth-username", IDENTITY), Ok(user));
        assert_eq!(names.add("x-auth-username", Role::Proof { repeatable: false }), Err(NameConflict::OtherRole));
        assert_eq!(names.add("authorization", Role::Token), Err(NameConflict::OtherRole));
        assert_eq!(names.add("x_auth_username", IDENTITY), Err(NameConflict::AliasOf("x-auth-username".to_owned())));
    }

    #[test]
    fn a_header_that_is_single_for_one_claim_is_single_for_all() {
        let (mut names, ..) = names();
        names.add("x-auth-roles", IDENTITY).unwrap();
        assert!(scan(&names, &[("x-auth-roles", "a"), ("x-auth-roles", "b")]).ambiguity().is_some());
    }
}
