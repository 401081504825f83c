//! The core, as the tests ask it: nowhere else do they name what it answers by.

use auth_o_tron_envoy::{
    config::field::{ConfigError, Report},
    policy::{Policy, Verdict},
    rejection::Code,
    request::{Facts, Request},
    telemetry::Outcome,
};
use serde_json::Value;

/// What becomes of a request.
#[derive(Debug, PartialEq)]
pub struct Decided {
    pub outcome: Outcome,
    /// The value of the token's header.
    pub value: Option<String>,
    /// Why the request ends here.
    pub reason: Option<String>,
}

/// A policy whose secrets are in the configuration itself.
pub fn policy(configuration: &Value) -> Policy {
    let report = Report::default();
    let policy = Policy::from_json(configuration.to_string().as_bytes(), &|_| None, &report);
    policy.unwrap_or_else(|| panic!("{:?}", report.errors()))
}

/// Everything that is wrong with a configuration.
pub fn refusals(configuration: &Value, environment: &dyn Fn(&str) -> Option<String>) -> Vec<ConfigError> {
    let report = Report::default();
    let policy = Policy::from_json(configuration.to_string().as_bytes(), environment, &report);
    let errors = report.errors();
    assert_eq!(policy.is_none(), !errors.is_empty(), "{errors:?}");
    errors
}

/// What becomes of a request with these headers.
pub fn decide<N: AsRef<[u8]>, V: AsRef<[u8]>>(policy: &Policy, headers: &[(N, V)], now: i64) -> Decided {
    let pairs: Vec<_> = headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    let request = Request::scan(policy.names(), &pairs);
    let decision = policy.decide(&request, &Facts::new(now, &()));
    Decided {
        outcome: decision.verdict.outcome(),
        value: decision.token.map(|(_, value)| value.to_string()),
        reason: match decision.verdict {
            Verdict::Deny(rejection) => Some(rejection.reason()),
            Verdict::Issue { .. } | Verdict::Pass => None,
        },
    }
}

/// What is left of the fields of a signature once the filter has taken its own labels out.
pub fn foreign_signatures<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    policy: &Policy,
    headers: &[(N, V)],
) -> Option<Vec<(String, String)>> {
    let pairs: Vec<_> = headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    let left = policy.trust().foreign_signatures(&Request::scan(policy.names(), &pairs))?;
    Some(left.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

impl Decided {
    /// Whether the request goes on with a token.
    pub fn is_issued(&self) -> bool {
        matches!(self.outcome, Outcome::Issued | Outcome::Reused)
    }

    /// The value of the token's header.
    pub fn value(&self) -> &str {
        self.value.as_deref().unwrap_or_else(|| panic!("{self:?}"))
    }

    /// The token behind the prefix of its header.
    pub fn token(&self) -> &str {
        self.value().strip_prefix("Bearer ").unwrap()
    }

    /// The code of the denial.
    pub fn code(&self) -> Code {
        match self.outcome {
            Outcome::Denied(code) => code,
            other => panic!("{other:?}"),
        }
    }
}
