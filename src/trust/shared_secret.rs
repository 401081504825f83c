//! `shared_secret`: the authenticator sends a secret in a header of its own.

use std::fmt;

use serde::Deserialize;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    config::field::{Environment, ErrorKind, Field, Secret, read_secret},
    request::{
        Facts, Request,
        names::{NameId, Names, Purpose},
    },
};

/// A secret that the authenticator sends in a header.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(rename = "SharedSecret", extend("oneOf" = crate::config::schema::one_secret()))
)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The header that carries the secret.
    header: String,
    /// The secret itself. Envoy's `/config_dump` shows it: prefer `secret_env`.
    secret: Option<Secret>,
    /// The environment variable that holds the secret.
    secret_env: Option<String>,
}

/// A secret, and the header that must carry it.
pub struct SharedSecret {
    header: NameId,
    secret: Zeroizing<String>,
}

impl Config {
    pub(super) fn compile(
        &self,
        field: &Field<'_>,
        names: &mut Names,
        environment: Environment<'_>,
    ) -> Option<SharedSecret> {
        let header = names.own(&field.name("header"), &self.header, Purpose::Proof { repeatable: false });
        let (name, secret) = read_secret(field, self.secret.as_ref(), self.secret_env.as_deref(), environment)?;
        let field = field.name(name);
        if secret.is_empty() {
            return field.refuse(ErrorKind::Secret, "found an empty secret, expected a long random one");
        }
        if secret.trim() != secret.as_str() || secret.contains(char::is_control) {
            return field.refuse(
                ErrorKind::Secret,
                "found blanks at an end, or a control character, expected what a header value can carry",
            );
        }
        Some(SharedSecret { header: header?, secret })
    }
}

impl SharedSecret {
    /// Compares in constant time: only the secret's length can be measured, and that is not secret.
    pub(super) fn proves(&self, request: &Request<'_>, _: &Facts<'_>) -> bool {
        request.value(self.header).is_some_and(|value| value.ct_eq(self.secret.as_bytes()).into())
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::field::Report;

    fn compile(config: serde_json::Value) -> (Names, Option<SharedSecret>, Vec<String>) {
        let config: Config = serde_json::from_value(config).unwrap();
        let (mut names, report) = (Names::default(), Report::default());
        let environment = |name: &str| (name == "PROOF").then(|| "known to the gateway".to_owned());
        let field = Field::section(&report, "shared_secret");
        let proof = config.compile(&field, &mut names, &environment);
        (names, proof, report.errors().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_the_very_secret_in_its_header_proves() {
        let (names, proof, _) = compile(serde_json::json!({"header": "X-Proof", "secret_env": "PROOF"}));
        let proof = proof.unwrap();
        for (name, value, expected) in [
            ("x-proof", "known to the gateway", true),
            ("x-proof", "known to the gatewa", false),
            ("x-proof", "known to the gateway!", false),
            ("x-proof", "Known to the gateway", false),
            ("x-proof", "", false),
            ("x-other", "known to the gateway", false),
        ] {
            let pairs = [(name.as_bytes(), value.as_bytes())];
            let request = Request::scan(&names, &pairs);
            assert_eq!(proof.proves(&request, &Facts::new(0, &())), expected, "{name}: {value}");
        }
        assert!(!proof.proves(&Request::default(), &Facts::new(0, &())));
    }

    #[test]
    fn a_secret_is_one_that_a_header_can_carry() {
        for (secret, expected) in [
            ("", "shared_secret.secret: found an empty secret"),
            (" known", "shared_secret.secret: found blanks at an end"),
            ("known\n", "shared_secret.secret: found blanks at an end"),
            ("kno\u{7f}wn", "shared_secret.secret: found blanks at an end, or a control character"),
        ] {
            let (_, proof, errors) = compile(serde_json::json!({"header": "x-proof", "secret": secret}));
            assert!(proof.is_none());
            let [error] = &errors[..] else { panic!("{errors:?}") };
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn every_error_is_reported_and_none_shows_the_secret() {
        let (_, proof, errors) = compile(serde_json::json!({"header": "x proof", "secret": "hunter2 "}));
        assert!(proof.is_none());
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(!errors.concat().contains("hunter2"));
        let (_, proof, _) = compile(serde_json::json!({"header": "x-proof", "secret": "hunter2"}));
        assert!(!format!("{proof:?}").contains("hunter2"));
    }
}
