//! The header names that the filter owns, and how others may spell them.

use std::fmt;

use crate::config::field::{ErrorKind, Field};

/// What an owned header is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
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

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity { .. } => "an identity",
            Self::Proof { .. } => "a proof",
            Self::Token => "the token",
        })
    }
}

/// An owned header name, as an index into [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameId(usize);

impl NameId {
    /// The index as bytes, for use in a key.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; size_of::<usize>()] {
        self.0.to_le_bytes()
    }
}

/// Every header name that the filter owns, in lower case.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<OwnName>,
    /// Bit `n` is set if some name is `n` bytes long: this alone rules out most foreign headers.
    lengths: u64,
}

#[derive(Debug)]
pub(super) struct OwnName {
    text: String,
    /// Whether it stands for all names that begin with it.
    is_prefix: bool,
    pub(super) purpose: Purpose,
}

impl OwnName {
    /// Whether a backend may take `name` for this one.
    fn is_spelt(&self, name: &[u8]) -> bool {
        let comparable = if self.is_prefix { name.get(..self.text.len()) } else { Some(name) };
        comparable.is_some_and(|name| is_spelling_of(name, &self.text))
    }

    /// Whether `name`, which a backend may take for this one, is written differently.
    pub(super) fn is_alias(&self, name: &[u8]) -> bool {
        !name.starts_with(self.text.as_bytes())
    }
}

/// The longest header name that can be configured, in bytes.
pub const MAX_HEADER_NAME_BYTES: usize = 127;

/// Headers that frame or route the message: setting or removing one would break the request itself.
const MESSAGE_HEADERS: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":protocol",
    ":scheme",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Names {
    /// Owns the header named at `field`, a field name as in RFC 9110, section 5.1. Letter case does not matter.
    pub fn own(&mut self, field: &Field<'_>, name: &str, purpose: Purpose) -> Option<NameId> {
        let is_token_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || name.len() > MAX_HEADER_NAME_BYTES || !name.bytes().all(is_token_char) {
            let expected =
                format!("a header name of letters, digits and hyphens, at most {MAX_HEADER_NAME_BYTES} bytes");
            return field.malformed(name, expected);
        }
        let name = name.to_ascii_lowercase();
        // In any spelling: the filter removes all spellings of its names.
        if MESSAGE_HEADERS.iter().any(|own| is_spelling_of(name.as_bytes(), own)) {
            let words = format!("found {name:?}, which frames the message, expected another header");
            return field.refuse(ErrorKind::Malformed, words);
        }
        match self.add(&name, purpose) {
            Ok(id) => Some(id),
            Err(NameConflict::OtherPurpose(other)) => field.refuse(
                ErrorKind::Contradiction,
                format!("found {name:?}, which carries {other} already, expected another header"),
            ),
            Err(NameConflict::AliasOf(other)) => field.refuse(
                ErrorKind::Contradiction,
                format!("found {name:?}, another spelling of {other:?}, expected one spelling"),
            ),
        }
    }

    /// Owns a name unless it, or another spelling of it, is already owned.
    pub fn own_default(&mut self, name: &str, purpose: Purpose) {
        if self.find(name.as_bytes()).is_none() {
            self.push(name, false, purpose);
        }
    }

    /// Owns all names that begin with `prefix`, except those that are already owned.
    pub fn own_prefix(&mut self, prefix: &str, purpose: Purpose) {
        self.push(prefix, true, purpose);
    }

    /// The name itself, in lower case.
    #[must_use]
    pub fn text(&self, id: NameId) -> &str {
        self.names.get(id.0).map_or("", |own| &own.text)
    }

    fn add(&mut self, name: &str, purpose: Purpose) -> Result<NameId, NameConflict> {
        for (index, own) in self.names.iter_mut().enumerate() {
            if !own.is_spelt(name.as_bytes()) {
                continue;
            }
            if own.is_alias(name.as_bytes()) {
                return Err(NameConflict::AliasOf(own.text.clone()));
            }
            match (own.purpose, purpose) {
                (Purpose::Identity { repeatable: a }, Purpose::Identity { repeatable: b }) => {
                    own.purpose = Purpose::Identity { repeatable: a && b };
                }
                (Purpose::Proof { repeatable: a }, Purpose::Proof { repeatable: b }) if a == b => {}
                _ => return Err(NameConflict::OtherPurpose(own.purpose)),
            }
            return Ok(NameId(index));
        }
        let id = NameId(self.names.len());
        self.push(name, false, purpose);
        Ok(id)
    }

    fn push(&mut self, name: &str, is_prefix: bool, purpose: Purpose) {
        let length = length_bit(name.as_bytes());
        // A prefix stands for its own length and all longer ones.
        self.lengths |= if is_prefix { length.wrapping_neg() } else { length };
        self.names.push(OwnName { text: name.to_owned(), is_prefix, purpose });
    }

    /// The owned name, if any, that `name` spells: itself, or as an alias.
    pub(super) fn find(&self, name: &[u8]) -> Option<(NameId, &OwnName)> {
        if self.lengths & length_bit(name) == 0 {
            return None;
        }
        self.names.iter().enumerate().find(|(_, own)| own.is_spelt(name)).map(|(index, own)| (NameId(index), own))
    }
}

/// Why a name cannot be owned.
#[derive(Debug, PartialEq, Eq)]
enum NameConflict {
    /// The name is already in use for this purpose.
    OtherPurpose(Purpose),
    /// The name is another spelling of this one, so each would be an alias of the other.
    AliasOf(String),
}

/// The bit for a name's length. Long names share the last one.
fn length_bit(name: &[u8]) -> u64 {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX).min(u64::BITS - 1);
    1_u64.checked_shl(length).unwrap_or_default()
}

/// Whether a backend may take `name` for `own`: CGI, WSGI, PHP and Rack fold letter case and replace every
/// character that is neither letter nor digit with `_` (RFC 3875, section 4.1.18).
fn is_spelling_of(name: &[u8], own: &str) -> bool {
    let fold = |byte: u8| {
        if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
    };
    name.len() == own.len() && name.iter().zip(own.bytes()).all(|(&a, b)| a == b || fold(a) == fold(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::field::Report;

    const IDENTITY: Purpose = Purpose::Identity { repeatable: false };

    fn names() -> Names {
        let mut names = Names::default();
        names.add("x-auth-username", IDENTITY).unwrap();
        names.add("authorization", Purpose::Token).unwrap();
        names
    }

    #[test]
    fn one_name_has_one_purpose_and_one_spelling() {
        let mut names = names();
        let proof = Purpose::Proof { repeatable: false };
        assert_eq!(names.add("x-auth-username", IDENTITY), Ok(NameId(0)));
        assert_eq!(names.add("x-auth-username", proof), Err(NameConflict::OtherPurpose(IDENTITY)));
        assert_eq!(names.add("authorization", IDENTITY), Err(NameConflict::OtherPurpose(Purpose::Token)));
        assert_eq!(names.add("x_auth_username", IDENTITY), Err(NameConflict::AliasOf("x-auth-username".to_owned())));
    }

    #[test]
    fn a_default_never_takes_the_place_of_a_configured_name() {
        let mut names = names();
        for name in ["authorization", "x-auth-username", "x_auth.username"] {
            names.own_default(name, Purpose::Proof { repeatable: true });
        }
        assert_eq!(names.names.len(), 2);
        names.own_default("x-auth-realm", IDENTITY);
        assert_eq!(names.text(NameId(2)), "x-auth-realm");
    }

    /// The filter removes every spelling of its names: `content_length` would take `content-length` with it.
    #[test]
    fn no_spelling_of_what_frames_the_message_is_a_name() {
        let refused = |name: &str| {
            let report = Report::default();
            let owned = Names::default().own(&Field::section(&report, "token").name("header"), name, Purpose::Token);
            assert_eq!(owned.is_none(), !report.errors().is_empty(), "{name}");
            owned.is_none()
        };
        for name in ["host", "Content_Length", "transfer.encoding", "-path", "_method", ".authority", "!scheme"] {
            assert!(refused(name), "{name}");
        }
        for name in ["", "a b", "a:b", "\u{e9}", "x\r\ny", &"a".repeat(MAX_HEADER_NAME_BYTES + 1)] {
            assert!(refused(name), "{name}");
        }
        for name in ["x-path", "path", "x-content-length", &"a".repeat(MAX_HEADER_NAME_BYTES)] {
            assert!(!refused(name), "{name}");
        }
    }
}
