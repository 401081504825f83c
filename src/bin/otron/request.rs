//! A request as the command line describes it, and as the filter would see it.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use auth_o_tron_envoy::pairs::Pair;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::UsageError;

/// A request
#[derive(clap::Args)]
pub struct RequestArgs {
    /// A header of the request as the filter sees it; any bytes. May be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<OsString>,
    /// The request's method.
    #[arg(short = 'X', long, default_value = "GET")]
    method: String,
    /// The path, with the query.
    #[arg(long, default_value = "/")]
    path: OsString,
    /// The host, with the port if the URL has one.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// What Envoy's listener speaks: http or https.
    #[arg(long, default_value = "http")]
    scheme: String,
    /// The time on the proxy's clock: epoch seconds, or RFC 3339 such as 2026-12-01T00:00:00Z [default: now]
    #[arg(long, value_parser = time)]
    at: Option<i64>,
}

/// What Envoy knows besides the headers
#[derive(clap::Args)]
pub struct FactsArgs {
    /// A property of Envoy, such as `connection.mtls=true` or
    /// `connection.uri_san_peer_certificate=spiffe://cluster.local/ns/a/sa/b`.
    #[arg(long = "property", value_name = "PATH=VALUE")]
    properties: Vec<String>,
    /// A filter state object that an earlier filter set, such as `auth_o_tron.peer=10.0.0.1`.
    #[arg(long = "filter-state", value_name = "KEY=VALUE")]
    filter_state: Vec<String>,
    /// The name of Envoy's route, for rules that match by it.
    #[arg(long)]
    route: Option<String>,
}

/// The header pairs of a request.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

impl RequestArgs {
    /// The pairs as Envoy hands them over: names in lower case, the target in pseudo-headers.
    pub fn pairs(&self) -> Result<Pairs, UsageError> {
        let mut authority = self.host.clone().into_bytes();
        let mut headers = Pairs::new();
        for header in &self.headers {
            let bytes = header.clone().into_vec();
            let colon = bytes.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0);
            let (name, value) = colon
                .and_then(|colon| Some((bytes.get(..colon)?, bytes.get(colon + 1..)?)))
                .ok_or_else(|| format!("--header: found {:?}, expected 'name: value'", first_word(&bytes)))?;
            let (name, value) = (name.trim_ascii().to_ascii_lowercase(), value.trim_ascii().to_vec());
            if name == b"host" {
                authority = value;
            } else {
                headers.push((name, value));
            }
        }
        let mut pairs = vec![pair(":authority", authority), pair(":method", self.method.clone())];
        // CONNECT has neither (RFC 9113, section 8.5).
        if self.method != "CONNECT" {
            pairs.extend([pair(":path", self.path.clone().into_vec()), pair(":scheme", self.scheme.clone())]);
        }
        pairs.append(&mut headers);
        Ok(pairs)
    }

    /// The time of the request, in epoch seconds.
    pub fn now(&self) -> i64 {
        self.at.unwrap_or_else(|| OffsetDateTime::now_utc().unix_timestamp())
    }
}

fn pair(name: &str, value: impl Into<Vec<u8>>) -> (Vec<u8>, Vec<u8>) {
    (name.into(), value.into())
}

/// What can be shown of a header that has no colon: nothing that may be a secret.
fn first_word(bytes: &[u8]) -> String {
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-';
    let word: Vec<u8> = bytes.iter().take_while(is_name).take(16).copied().collect();
    if word.len() < bytes.len() { "…".to_owned() } else { String::from_utf8_lossy(&word).into_owned() }
}

pub fn borrowed(pairs: &Pairs) -> Vec<Pair<'_>> {
    pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}

impl FactsArgs {
    /// The properties, each by its dotted path.
    pub fn properties(&self) -> Result<Vec<(String, Vec<u8>)>, UsageError> {
        let split = |option: &str, text: &str| {
            let (name, value) = text.split_once('=').ok_or_else(|| format!("--{option}: expected NAME=VALUE"))?;
            Ok::<_, UsageError>((name.to_owned(), value.to_owned()))
        };
        let mut properties = Vec::new();
        for text in &self.properties {
            let (name, value) = split("property", text)?;
            // Envoy's booleans are one byte each.
            let value = match (name.as_str(), value.as_str()) {
                ("connection.mtls", "true") => vec![1],
                ("connection.mtls", "false") => vec![0],
                _ => value.into_bytes(),
            };
            properties.push((name, value));
        }
        for text in &self.filter_state {
            let (key, value) = split("filter-state", text)?;
            properties.push((format!("filter_state.{key}"), value.into_bytes()));
        }
        properties.extend(self.route.iter().map(|route| ("xds.route_name".to_owned(), route.clone().into_bytes())));
        Ok(properties)
    }
}

/// Epoch seconds, given as such or as RFC 3339.
pub fn time(text: &str) -> Result<i64, String> {
    let rfc_3339 = || OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp);
    let expected = "expected epoch seconds, or RFC 3339 such as 2026-12-01T00:00:00Z";
    text.parse().ok().or_else(rfc_3339).ok_or_else(|| expected.to_owned())
}

/// A time for people.
pub fn rfc_3339(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| seconds.to_string())
}
