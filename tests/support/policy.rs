//! The core, as the tests ask it: nowhere else do they name what it answers by.

use auth_o_tron_envoy::{
    policy::{Policy, Verdict},
    rejection::{Code, Rejection},
    request::Request,
};
use serde_json::Value;

/// A policy whose secrets are in the configuration itself.
pub fn policy(configuration: &Value) -> Policy {
    Policy::from_json(configuration.to_string().as_bytes(), &|_| None).unwrap()
}

/// Why a configuration is refused, in a line, where it is.
pub fn refusal(configuration: &Value, environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    Policy::from_json(configuration.to_string().as_bytes(), environment).err().map(|error| error.to_string())
}

/// What becomes of a request with these headers.
pub fn decide<N: AsRef<[u8]>, V: AsRef<[u8]>>(policy: &Policy, headers: &[(N, V)], now: i64) -> Verdict {
    let pairs: Vec<_> = headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    policy.decide(&Request::scan(policy.names(), &pairs), &(), now)
}

/// What is left of the fields of a signature once the filter has taken its own labels out.
pub fn replacements<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    policy: &Policy,
    headers: &[(N, V)],
) -> Option<Vec<(String, String)>> {
    let pairs: Vec<_> = headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    let left = policy.replacements(&Request::scan(policy.names(), &pairs))?;
    Some(left.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Whether the request goes on with a token.
pub fn is_issued(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Issue { .. })
}

/// The value of the token's header.
pub fn issued_value(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Issue { value, .. } => value,
        other => panic!("{other:?}"),
    }
}

/// The token behind the prefix of its header.
pub fn issued_token(verdict: &Verdict) -> &str {
    issued_value(verdict).strip_prefix("Bearer ").unwrap()
}

/// Why the request ends here.
pub fn rejection(verdict: &Verdict) -> Rejection {
    match verdict {
        Verdict::Deny(rejection) => *rejection,
        other => panic!("{other:?}"),
    }
}

pub fn denied_code(verdict: &Verdict) -> Code {
    rejection(verdict).code
}
