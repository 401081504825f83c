//! Section `telemetry`: what became of a request, for counters and access logs.

use serde::Deserialize;

use crate::rejection::Code;

/// What the filter makes available to access logs.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Telemetry"))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether to set the filter state `wasm.auth_o_tron.result` and `wasm.auth_o_tron.subject`, for access logs.
    pub filter_state: bool,
}

/// The filter state with the outcome. Envoy prefixes the name with `wasm.`
pub const RESULT: &str = "auth_o_tron.result";
/// The filter state with the subject of the token. Envoy prefixes the name with `wasm.`
pub const SUBJECT: &str = "auth_o_tron.subject";

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A token was signed.
    Issued,
    /// A token was handed out again.
    Reused,
    /// It went on without a token.
    Passed,
    /// It was denied.
    Denied(Code),
}

impl Outcome {
    /// Every outcome.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Issued, Self::Reused, Self::Passed].into_iter().chain(Code::ALL.iter().copied().map(Self::Denied))
    }

    /// The outcome in one word; for a denial, its code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Reused => "reused",
            Self::Passed => "passed",
            Self::Denied(code) => code.as_str(),
        }
    }

    /// The name of the counter. Envoy prefixes it with `wasmcustom.`
    #[must_use]
    pub fn counter(self) -> String {
        match self {
            Self::Denied(code) => format!("auth_o_tron.denied.{code}"),
            other => format!("auth_o_tron.{}", other.as_str()),
        }
    }
}
