//! `filter_state`: a filter earlier in the same chain left word that it authenticated the request.

use serde::Deserialize;

use crate::{
    config::field::{Environment, Field, MAX_TEXT_BYTES},
    request::{Facts, Request, names::Names},
};

/// A filter state object, left by a filter earlier in the same chain when it authenticated the request.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "FilterState"))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name of the filter state object.
    key: String,
    /// The value that it must have, compared exactly.
    value: String,
}

/// The filter state, and the value that it must have.
#[derive(Debug)]
pub struct FilterState {
    key: String,
    value: String,
}

impl Config {
    pub(super) fn compile(&self, field: &Field<'_>, _: &mut Names, _: Environment<'_>) -> Option<FilterState> {
        let key = field.name("key").text(&self.key, MAX_TEXT_BYTES);
        field.name("value").text(&self.value, MAX_TEXT_BYTES).and(key)?;
        Some(FilterState { key: self.key.clone(), value: self.value.clone() })
    }
}

impl FilterState {
    pub(super) fn proves(&self, _: &Request<'_>, facts: &Facts<'_>) -> bool {
        facts.property(&["filter_state", &self.key]).is_some_and(|value| value == self.value.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_value_of_the_very_key_proves() {
        let proof = FilterState { key: "example.verified".to_owned(), value: "yes".to_owned() };
        for (key, value, expected) in [
            ("example.verified", "yes", true),
            ("example.verified", "", false),
            ("example.verified", "ye", false),
            ("example.verified", "yes ", false),
            ("example.verified", "YES", false),
            ("example.other", "yes", false),
        ] {
            let properties = |path: &[&str]| (path == ["filter_state", key]).then(|| value.into());
            assert_eq!(proof.proves(&Request::default(), &Facts::new(0, &properties)), expected, "{key} {value}");
        }
        assert!(!proof.proves(&Request::default(), &Facts::new(0, &())));
    }
}
