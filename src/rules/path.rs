//! Conditions on the path, and paths that a backend could read differently.

use crate::config::field::{ErrorKind, Field};

/// A condition on the path without its query.
#[derive(Debug)]
pub enum PathCondition {
    /// Any path.
    Any,
    /// This path and no other.
    Exact(String),
    /// This path and everything below it, without a slash at its end.
    Prefix(String),
}

impl PathCondition {
    /// Compiles `path_prefix` or `path` of the object at `field`, if one is given.
    #[must_use]
    pub fn compile(field: &Field<'_>, prefix: Option<&str>, exact: Option<&str>) -> Option<Self> {
        match (prefix, exact) {
            (None, None) => Some(Self::Any),
            (Some(_), Some(_)) => {
                field.refuse(ErrorKind::Choice, "found both `path_prefix` and `path`, expected one of them")
            }
            (Some(prefix), None) => {
                check(&field.name("path_prefix"), prefix)?;
                Some(Self::Prefix(prefix.strip_suffix('/').unwrap_or(prefix).to_owned()))
            }
            (None, Some(exact)) => {
                check(&field.name("path"), exact)?;
                Some(Self::Exact(exact.to_owned()))
            }
        }
    }

    /// Refuses a path that never matches `pass`: its rule would never do what it says.
    #[must_use]
    pub fn check_passable(&self, field: &Field<'_>) -> Option<()> {
        let (name, path, is_ambiguous) = match self {
            Self::Any => return Some(()),
            Self::Exact(exact) => ("path", exact, is_ambiguous(exact.as_bytes())),
            // Its last slash is gone. Put back, it shows an empty segment before it.
            Self::Prefix(prefix) => ("path_prefix", prefix, is_ambiguous(format!("{prefix}/").as_bytes())),
        };
        if !is_ambiguous {
            return Some(());
        }
        let words = format!("found {path:?}, which a backend could read differently, expected a plain path");
        field.name(name).refuse(ErrorKind::Malformed, words)
    }

    /// Whether it holds for a path without its query.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => path == own.as_bytes(),
            Self::Prefix(own) => {
                path.strip_prefix(own.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            }
        }
    }
}

fn check(field: &Field<'_>, path: &str) -> Option<()> {
    if path.starts_with('/') && !path.contains(['?', '#']) && !path.contains(char::is_control) {
        return Some(());
    }
    field.malformed(path, "a path that begins with \"/\", without query or fragment")
}

/// Whether a backend could read the path differently: as another path, or as one that ends elsewhere.
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

/// Whether the path has no character that is special to some servers, and no escape that it does not need.
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
    // Some servers decode overlong UTF-8, such as `%c0%ae` for a dot.
    str::from_utf8(&decoded).is_ok()
}

/// The byte of an escape that cannot be written plainly. `None` if it is not an escape, or one of a control character
/// or of printable ASCII: `%2f` may make another path, and `%61` is a way around a rule that says `a`.
fn unescape(digits: [u8; 2]) -> Option<u8> {
    let byte = u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?;
    matches!(byte, b' ' | 0x80..).then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::field::Report;

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
    fn a_path_that_never_matches_pass_is_no_path_of_such_a_rule() {
        let errors = |prefix, exact| {
            let report = Report::default();
            let field = Field::section(&report, "match");
            let is_passable = PathCondition::compile(&field, prefix, exact).unwrap().check_passable(&field).is_some();
            let errors: Vec<_> = report.errors().iter().map(|error| error.path().to_owned()).collect();
            assert_eq!(is_passable, errors.is_empty());
            errors
        };
        for path in ["//", "/a//", "/a;b", "/a/../b", "/%61", "/a b", "/\u{e9}"] {
            assert_eq!(errors(Some(path), None), ["match.path_prefix"], "{path}");
            assert_eq!(errors(None, Some(path)), ["match.path"], "{path}");
        }
        for path in ["/", "/a", "/a/", "/a%20b", "/%c3%a9"] {
            assert_eq!(errors(Some(path), None), [""; 0], "{path}");
            assert_eq!(errors(None, Some(path)), [""; 0], "{path}");
        }
    }
}
