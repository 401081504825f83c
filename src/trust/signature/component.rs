//! The components of a request that a signature can cover (RFC 9421, section 2).

use crate::request::Request;

/// The derived components that a request has and the filter supports (section 2.2).
pub const DERIVED: &str = "`@method`, `@target-uri`, `@authority`, `@scheme`, `@path`, `@query`";

/// A covered component without parameters (section 2).
#[derive(Clone, Copy, Debug)]
pub enum Component<'a> {
    /// A header field, by its name in lower case (section 2.1).
    Field(&'a str),
    /// `@method` (section 2.2.1).
    Method,
    /// `@target-uri` (section 2.2.2).
    TargetUri,
    /// `@authority` (section 2.2.3).
    Authority,
    /// `@scheme` (section 2.2.4).
    Scheme,
    /// `@path` (section 2.2.6).
    Path,
    /// `@query` (section 2.2.7).
    Query,
}

impl<'a> Component<'a> {
    /// Reads a component name. `None` if the filter does not support it.
    #[must_use]
    pub fn parse(name: &'a str) -> Option<Self> {
        Some(match name {
            "@method" => Self::Method,
            "@target-uri" => Self::TargetUri,
            "@authority" => Self::Authority,
            "@scheme" => Self::Scheme,
            "@path" => Self::Path,
            "@query" => Self::Query,
            _ if is_field_name(name) => Self::Field(name),
            _ => return None,
        })
    }

    /// Appends the component's value. `None` if the request has none.
    pub fn write_value(self, request: &Request<'_>, base: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Field(name) => return write_field(request, name.as_bytes(), base),
            Self::Method => base.extend(request.pseudo_header(b":method")?),
            Self::Authority => base.extend(authority(request)?),
            Self::Scheme => base.extend(scheme(request)?),
            Self::Path => base.extend(path_and_query(request)?.0),
            Self::Query => {
                base.push(b'?');
                base.extend(path_and_query(request)?.1.unwrap_or_default());
            }
            Self::TargetUri => {
                base.extend(scheme(request)?);
                base.extend(b"://");
                base.extend(authority(request)?);
                let (path, query) = path_and_query(request)?;
                base.extend(path);
                if let Some(query) = query {
                    base.push(b'?');
                    base.extend(query);
                }
            }
        }
        Some(())
    }
}

/// Whether this is a field name in lower case, as section 2.1 asks for: a token of RFC 9110, which needs no escaping.
fn is_field_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Appends the lines of a field as one value (section 2.1). A line break in one would forge more lines of the base.
fn write_field(request: &Request<'_>, name: &[u8], base: &mut Vec<u8>) -> Option<()> {
    let mut lines = request.all_values(name).peekable();
    lines.peek()?;
    for (index, line) in lines.enumerate() {
        if line.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            return None;
        }
        if index > 0 {
            base.extend(b", ");
        }
        base.extend(line.trim_ascii());
    }
    Some(())
}

fn scheme(request: &Request<'_>) -> Option<Vec<u8>> {
    request.pseudo_header(b":scheme").map(<[u8]>::to_ascii_lowercase)
}

/// In lower case and without the scheme's default port (section 2.2.3; RFC 9110, section 4.2.3).
fn authority(request: &Request<'_>) -> Option<Vec<u8>> {
    let authority = request.pseudo_header(b":authority")?.to_ascii_lowercase();
    let port: &[u8] = match scheme(request).as_deref() {
        Some(b"https") => b":443",
        Some(b"http") => b":80",
        _ => return Some(authority),
    };
    Some(authority.strip_suffix(port).map(<[u8]>::to_vec).unwrap_or(authority))
}

/// An empty path is `/` (section 2.2.6); neither part is decoded.
fn path_and_query<'a>(request: &Request<'a>) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let mut parts = request.pseudo_header(b":path")?.splitn(2, |&byte| byte == b'?');
    let path = parts.next().filter(|path| !path.is_empty()).unwrap_or(b"/");
    Some((path, parts.next()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::names::Names;

    /// The values of RFC 9421, section 2.2, for its own request, and for the corner cases of ours.
    #[test]
    fn each_component_has_the_value_of_its_section() {
        let requests: [&[(&str, &str)]; 4] = [
            &[
                (":method", "POST"),
                (":scheme", "https"),
                (":authority", "www.example.com"),
                (":path", "/path?param=value"),
                ("x-list", " a "),
                ("x-list", "b, c"),
            ],
            &[(":method", "GET"), (":scheme", "HTTP"), (":authority", "WWW.Example.com:80"), (":path", "")],
            &[(":scheme", "https"), (":authority", "example.com:80"), (":path", "/%7Ea?")],
            &[("x-list", "a\nb")],
        ];
        for (request, name, expected) in [
            (0, "@method", Some("POST")),
            (0, "@target-uri", Some("https://www.example.com/path?param=value")),
            (0, "@authority", Some("www.example.com")),
            (0, "@scheme", Some("https")),
            (0, "@path", Some("/path")),
            (0, "@query", Some("?param=value")),
            (0, "x-list", Some("a, b, c")),
            (0, "x-other", None),
            (1, "@authority", Some("www.example.com")),
            (1, "@scheme", Some("http")),
            (1, "@path", Some("/")),
            (1, "@query", Some("?")),
            (2, "@authority", Some("example.com:80")),
            (2, "@path", Some("/%7Ea")),
            (2, "@query", Some("?")),
            (2, "@target-uri", Some("https://example.com:80/%7Ea?")),
            (2, "@method", None),
            (3, "x-list", None),
            (3, "@path", None),
        ] {
            let pairs: Vec<_> =
                requests[request].iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            let mut value = Vec::new();
            let written =
                Component::parse(name).unwrap().write_value(&Request::scan(&Names::default(), &pairs), &mut value);
            let found = written.map(|()| String::from_utf8(value).unwrap());
            assert_eq!(found.as_deref(), expected, "{name} of {request}");
        }
    }

    #[test]
    fn what_is_not_supported_is_no_component() {
        for name in ["", "@status", "@query-param", "@request-target", "Date", "a b", "a\"b", "\u{e4}"] {
            assert!(Component::parse(name).is_none(), "{name}");
        }
    }
}
