//! Section `token`: the header that carries the token, the longest token, and how long it may be handed out again.

pub mod reuse;

use serde::Deserialize;

use crate::{
    config::field::{ErrorKind, Field},
    request::names::{Names, Purpose},
};

/// The largest `max_bytes`: Envoy's default limit for all headers of a request together, in bytes.
const MAX_TOKEN_BYTES: i64 = 60 * 1024;

/// How the token travels to the service.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Token"))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The header that carries the token to the service. What a client sends in it never reaches the service.
    header: String,
    /// What comes before the token in the header: printable ASCII, no leading space. It may be empty.
    prefix: String,
    /// How long a token is reused for the same identity, in seconds after that of its `iat`. 0: in that second only.
    #[cfg_attr(feature = "cli", schemars(range(min = 0)))]
    reuse: i64,
    /// The longest token, in bytes, without the prefix. A request with a longer one is denied.
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = MAX_TOKEN_BYTES)))]
    max_bytes: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self { header: "authorization".to_owned(), prefix: "Bearer ".to_owned(), reuse: 0, max_bytes: 8192 }
    }
}

/// The section, compiled.
#[derive(Debug)]
pub struct TokenHeader {
    /// The name of the header, in lower case.
    pub name: String,
    /// What comes before the token.
    pub prefix: String,
    /// The longest token, in bytes.
    pub max_bytes: usize,
    /// How long a token may be handed out again, in seconds after the second of its `iat`.
    pub reuse: i64,
}

impl Config {
    /// Compiles the section at `field`, and owns its header.
    pub fn compile(&self, field: &Field<'_>, names: &mut Names) -> Option<TokenHeader> {
        let header = names.own(&field.name("header"), &self.header, Purpose::Token);
        let prefix = check_prefix(&field.name("prefix"), &self.prefix);
        let max_bytes = field.name("max_bytes").range(self.max_bytes, MAX_TOKEN_BYTES, "bytes");
        if self.reuse < 0 {
            return field
                .name("reuse")
                .refuse(ErrorKind::Range, format!("found {}, expected 0 or more seconds", self.reuse));
        }
        prefix?;
        Some(TokenHeader {
            name: names.text(header?).to_owned(),
            prefix: self.prefix.clone(),
            max_bytes: usize::try_from(max_bytes?).ok()?,
            reuse: self.reuse,
        })
    }
}

fn check_prefix(field: &Field<'_>, prefix: &str) -> Option<()> {
    if let Some(position) = prefix.bytes().position(|byte| !(b' '..=b'~').contains(&byte)) {
        return field
            .refuse(ErrorKind::Malformed, format!("found byte {position} outside printable ASCII, expected none"));
    }
    if prefix.starts_with(' ') {
        let words = "found a space at the beginning, which no header value keeps, expected none";
        return field.refuse(ErrorKind::Malformed, words);
    }
    Some(())
}
