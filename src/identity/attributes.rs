//! Attributes of a user: named strings.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

use super::formats::{Members, check, check_filled, check_length};
use crate::rejection::Flaw;

/// The most attributes of one user.
pub const MAX_ATTRIBUTES: usize = 64;
/// The longest attribute key, in bytes.
pub const MAX_ATTRIBUTE_KEY_BYTES: usize = 128;
/// The longest attribute value, in bytes.
pub const MAX_ATTRIBUTE_VALUE_BYTES: usize = 2048;

/// Attributes, sorted by key, so that equal identities give equal tokens.
// They are few, so this is not a tree: inserting into one takes 10 KB of compiled code, and here 1 KB.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'a> Attributes<'a> {
    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let position = self.position(key).ok()?;
        self.0.get(position).map(|(_, value)| value.as_ref())
    }

    /// The attributes, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the key is, or where it belongs.
    fn position(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.as_ref().cmp(key))
    }

    fn insert(&mut self, key: Text<'a>, value: Text<'a>) -> Result<(), Flaw> {
        if self.0.len() >= MAX_ATTRIBUTES {
            return Err(Flaw::TooMany(MAX_ATTRIBUTES));
        }
        // Which of the two values counts would be a guess.
        let Err(position) = self.position(key.as_ref()) else { return Err(Flaw::AttributeTwice) };
        self.0.insert(position, (key, value));
        Ok(())
    }

    /// Adds an attribute that has a header of its own.
    ///
    /// # Errors
    /// When the value is empty or over a limit, or the attribute is there already.
    pub fn add(&mut self, key: &'a str, value: &'a str) -> Result<(), Flaw> {
        check_length(value, MAX_ATTRIBUTE_VALUE_BYTES)?;
        self.insert(Text(Cow::Borrowed(key)), Text(Cow::Borrowed(value)))
    }
}

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// The text of a JSON string, borrowed if it has no escapes.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Reads the attributes of a header whose value is a JSON object of strings. A value may be empty, a key may not.
///
/// # Errors
/// When it is not such an object, or an attribute is malformed, named twice or over a limit.
pub fn read(json: &str) -> Result<Attributes<'_>, Flaw> {
    let Members::<Text<'_>, Text<'_>>(members) = serde_json::from_str(json).map_err(|_| Flaw::NotObject)?;
    let mut attributes = Attributes::default();
    for (key, value) in members {
        check_filled(key.as_ref(), MAX_ATTRIBUTE_KEY_BYTES)?;
        check(value.as_ref(), MAX_ATTRIBUTE_VALUE_BYTES)?;
        attributes.insert(key, value)?;
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn attributes_are_one_json_object_of_strings() {
        let sorted = read(r#"{"team":"platform","department":""}"#).unwrap();
        let expected = [("department", ""), ("team", "platform")];
        assert!(sorted.iter().eq(expected));
        let many: BTreeMap<_, _> = (0..=MAX_ATTRIBUTES).map(|n| (n.to_string(), "v")).collect();
        for json in [
            r#"{"a":"1","a":"2"}"#,
            r#"{"a":1}"#,
            r#"{"a":{"b":"c"}}"#,
            r#"{"":"1"}"#,
            r#"{"a":"\n"}"#,
            "[]",
            "null",
            &"{\"a\":".repeat(1000),
            &format!(r#"{{"{}":"1"}}"#, "k".repeat(MAX_ATTRIBUTE_KEY_BYTES + 1)),
            &format!(r#"{{"a":"{}"}}"#, "v".repeat(MAX_ATTRIBUTE_VALUE_BYTES + 1)),
            &serde_json::to_string(&many).unwrap(),
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn an_attribute_of_its_own_header_is_asserted_once_within_its_limit() {
        let mut attributes = read(r#"{"email":"a@example.com"}"#).unwrap();
        assert!(attributes.add("name", "Alice").is_ok());
        assert!(attributes.add("email", "b@example.com").is_err());
        assert_eq!(attributes.add("x", ""), Err(Flaw::Empty));
        let long = "v".repeat(MAX_ATTRIBUTE_VALUE_BYTES + 1);
        assert_eq!(attributes.add("x", &long), Err(Flaw::TooLong(MAX_ATTRIBUTE_VALUE_BYTES)));
        assert!(attributes.add("x", &long[1..]).is_ok());
    }
}
