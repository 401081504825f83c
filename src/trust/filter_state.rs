//! `filter_state`: a filter earlier in the same chain left word that it authenticated the request.

use super::Evidence;

/// The filter state, and the value that it must have.
#[derive(Debug)]
pub struct FilterState {
    /// The name of the object.
    pub key: String,
    /// What it must be, to the byte.
    pub value: String,
}

impl FilterState {
    pub(super) fn proves(&self, evidence: &dyn Evidence) -> bool {
        evidence.property(&["filter_state", &self.key]).is_some_and(|value| value == self.value.as_bytes())
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
            let evidence = |path: &[&str]| (path == ["filter_state", key]).then(|| value.into());
            assert_eq!(proof.proves(&evidence), expected, "{key} {value}");
        }
        assert!(!proof.proves(&()));
    }
}
