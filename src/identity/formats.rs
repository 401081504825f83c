//! How headers list roles and scopes, and their limits.
//!
//! What is over a limit is refused, never cut: a shortened role is a different role.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor, value},
};

use crate::rejection::Flaw;

/// The longest username, realm, role, scope or service, in bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// The most roles, and the most scopes: of a map, both of its services and of all their scopes.
pub const MAX_LIST_ITEMS: usize = 256;
/// How a header lists its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Separated by commas: `admin, developer`. Spaces around an item do not count.
    Csv,
    /// Separated by single spaces: `admin developer`.
    Space,
    /// Separated by `|`: `admin|developer`. Spaces around an item do not count.
    Pipe,
    /// A JSON list of strings: `["admin","developer"]`.
    Json,
    /// A JSON list of strings in base64: standard or URL-safe, padded or not.
    Base64Json,
    /// One header line per item.
    Repeated,
}

/// How the claim `scopes` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum ScopesForm {
    /// A list of strings, as Auth-O-Tron documents it.
    #[default]
    List,
    /// An object, service to list of scopes, as the Auth-O-Tron 0.3 server writes it.
    Map,
}

/// The scopes of a user.
#[derive(Debug, PartialEq, Eq)]
pub enum Scopes<'a> {
    /// In the order of the header.
    List(Vec<Cow<'a, str>>),
    /// Service → scopes, from a JSON object.
    Map(BTreeMap<String, Vec<String>>),
}

impl Scopes<'_> {
    /// Whether there is no scope at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::List(scopes) => scopes.is_empty(),
            Self::Map(services) => services.values().all(Vec::is_empty),
        }
    }
}

/// Reads a header value as text.
///
/// # Errors
/// When it is blank, longer than `max` bytes, not UTF-8, or holds a control character (C0, DEL or C1).
pub fn text(value: &[u8], max: usize) -> Result<&str, Flaw> {
    let text = str::from_utf8(value).map_err(|_| Flaw::NotUtf8)?;
    check_filled(text, max)?;
    Ok(text)
}

/// Accepts a text that is not blank, has at most `max` bytes and no control characters.
///
/// # Errors
/// When it is not such a text.
// Once in the module, not once per caller: code that is not in the cache when a request comes costs more than a call.
#[inline(never)]
pub fn check_filled(text: &str, max: usize) -> Result<(), Flaw> {
    if text.trim_start().is_empty() {
        return Err(Flaw::Empty);
    }
    check(text, max)
}

/// Accepts a text of at most `max` bytes without control characters.
///
/// # Errors
/// When it is not such a text.
pub fn check(text: &str, max: usize) -> Result<(), Flaw> {
    if text.len() > max {
        return Err(Flaw::TooLong(max));
    }
    // Byte by byte: the C1 controls are C2 80 to C2 9F in UTF-8.
    let mut before = 0;
    for byte in text.bytes() {
        if byte.is_ascii_control() || (before == 0xc2 && byte < 0xa0) {
            return Err(Flaw::ControlCharacter);
        }
        before = byte;
    }
    Ok(())
}

/// Accepts a text of 1 to `max` bytes.
///
/// # Errors
/// When it is not such a text.
pub fn check_length(text: &str, max: usize) -> Result<(), Flaw> {
    match text.len() {
        0 => Err(Flaw::Empty),
        length if length > max => Err(Flaw::TooLong(max)),
        _ => Ok(()),
    }
}

/// Reads the header values of one list, each accepted by [`text`]. Only [`Format::Repeated`] has several.
///
/// # Errors
/// When a value or an item is malformed or over a limit, or when the value is a JSON object.
pub fn list<'a>(format: Format, values: impl Iterator<Item = &'a str>) -> Result<Vec<Cow<'a, str>>, Flaw> {
    match scopes(format, values)? {
        Scopes::List(items) => Ok(items),
        Scopes::Map(_) => Err(Flaw::ObjectForList),
    }
}

/// Reads scopes as [`list`] does; the JSON formats also take an object of service → scopes.
///
/// # Errors
/// As [`list`].
pub fn scopes<'a>(format: Format, values: impl Iterator<Item = &'a str>) -> Result<Scopes<'a>, Flaw> {
    let mut items = Vec::new();
    for text in values {
        match format {
            Format::Csv => split(text, ',', &mut items)?,
            Format::Space => split(text, ' ', &mut items)?,
            Format::Pipe => split(text, '|', &mut items)?,
            Format::Repeated => push_item(text, &mut items)?,
            Format::Json => return json_scopes(text.as_bytes()),
            Format::Base64Json => return json_scopes(&decode_base64(text)?),
        }
    }
    Ok(Scopes::List(items))
}

fn split<'a>(text: &'a str, separator: char, items: &mut Vec<Cow<'a, str>>) -> Result<(), Flaw> {
    text.split(separator).try_for_each(|item| push_item(item.trim_matches(' '), items))
}

fn push_item<'a>(item: &'a str, items: &mut Vec<Cow<'a, str>>) -> Result<(), Flaw> {
    if items.len() >= MAX_LIST_ITEMS {
        return Err(Flaw::TooMany(MAX_LIST_ITEMS));
    }
    check_filled(item, MAX_NAME_BYTES)?;
    items.push(Cow::Borrowed(item));
    Ok(())
}

/// Either alphabet of RFC 4648, padded or not: products differ, and no text can be read in two ways.
fn decode_base64(text: &str) -> Result<Vec<u8>, Flaw> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    engine.decode(text).map_err(|_| Flaw::NotBase64)
}

fn json_scopes(json: &[u8]) -> Result<Scopes<'static>, Flaw> {
    match serde_json::from_slice(json) {
        Ok(ListOrMap::List(items)) => {
            check_names(&items)?;
            Ok(Scopes::List(items.into_iter().map(Cow::Owned).collect()))
        }
        Ok(ListOrMap::Map(UniqueMap(services))) => {
            if services.len() > MAX_LIST_ITEMS || services.values().map(Vec::len).sum::<usize>() > MAX_LIST_ITEMS {
                return Err(Flaw::TooMany(MAX_LIST_ITEMS));
            }
            for (service, scopes) in &services {
                check_filled(service, MAX_NAME_BYTES)?;
                check_names(scopes)?;
            }
            Ok(Scopes::Map(services))
        }
        Err(_) => Err(Flaw::NotList),
    }
}

fn check_names(names: &[String]) -> Result<(), Flaw> {
    if names.len() > MAX_LIST_ITEMS {
        return Err(Flaw::TooMany(MAX_LIST_ITEMS));
    }
    names.iter().try_for_each(|name| check_filled(name, MAX_NAME_BYTES))
}

/// A JSON list of strings, or a JSON object of such lists.
enum ListOrMap {
    List(Vec<String>),
    Map(UniqueMap<Vec<String>>),
}

impl<'de> Deserialize<'de> for ListOrMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrMapVisitor;

        impl<'de> Visitor<'de> for ListOrMapVisitor {
            type Value = ListOrMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or an object")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ListOrMap, A::Error> {
                Vec::deserialize(value::SeqAccessDeserializer::new(list)).map(ListOrMap::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ListOrMap, A::Error> {
                UniqueMap::deserialize(value::MapAccessDeserializer::new(map)).map(ListOrMap::Map)
            }
        }

        deserializer.deserialize_any(ListOrMapVisitor)
    }
}

/// The members of a JSON object, in order.
pub struct Members<K, V>(pub Vec<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Members<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for MembersVisitor<K, V> {
            type Value = Members<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor(PhantomData))
    }
}

/// A JSON object without duplicate names: parsers disagree about which one counts (RFC 8259, section 4).
pub struct UniqueMap<V>(pub BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut unique = BTreeMap::new();
        for (name, value) in Members::deserialize(deserializer)?.0 {
            if unique.insert(name, value).is_some() {
                return Err(de::Error::custom("a name comes twice"));
            }
        }
        Ok(Self(unique))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, value: &str) -> Result<Vec<String>, Flaw> {
        let items = list(format, std::iter::once(value))?;
        Ok(items.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn each_format_reads_its_list_in_order() {
        for (format, value, expected) in [
            (Format::Csv, "b, a,c", vec!["b", "a", "c"]),
            (Format::Csv, "two words", vec!["two words"]),
            (Format::Space, "read write", vec!["read", "write"]),
            (Format::Pipe, "b|a, c", vec!["b", "a, c"]),
            (Format::Json, r#"["b","a","\u00e9"]"#, vec!["b", "a", "é"]),
            (Format::Json, "[]", vec![]),
            (Format::Base64Json, "WyJiIiwiYSJd", vec!["b", "a"]),
            (Format::Base64Json, "WyJhYj8_Il0=", vec!["ab??"]),
            (Format::Base64Json, "WyJhYj8/Il0", vec!["ab??"]),
            (Format::Repeated, "a,b", vec!["a,b"]),
        ] {
            assert_eq!(read(format, value).unwrap(), expected, "{format:?} {value}");
        }
    }

    #[test]
    fn repeated_takes_one_item_a_line() {
        let lines = ["b", "a"].into_iter();
        assert_eq!(list(Format::Repeated, lines).unwrap(), ["b", "a"]);
    }

    #[test]
    fn a_list_that_does_not_parse_is_a_flaw() {
        let long = "r".repeat(MAX_NAME_BYTES + 1);
        let many = vec!["r"; MAX_LIST_ITEMS + 1];
        let nested = "[".repeat(4000);
        for (format, value) in [
            (Format::Csv, ""),
            (Format::Csv, "  "),
            (Format::Csv, "a,,b"),
            (Format::Csv, "a,"),
            (Format::Csv, "a, ,b"),
            (Format::Csv, "a\tb"),
            (Format::Csv, "a\u{7f}b"),
            (Format::Csv, "a\u{85}b"),
            (Format::Csv, &long),
            (Format::Csv, &many.join(",")),
            (Format::Space, "a  b"),
            (Format::Pipe, "a||b"),
            (Format::Json, "a,b"),
            (Format::Json, r#"["a""#),
            (Format::Json, r#"["a"] x"#),
            (Format::Json, r#"["a",1]"#),
            (Format::Json, r#"["a",null]"#),
            (Format::Json, r#"["a",""]"#),
            (Format::Json, r#"["a\u0000"]"#),
            (Format::Json, r#"["a\ud800"]"#),
            (Format::Json, r#"{"a":["b"]}"#),
            (Format::Json, &nested),
            (Format::Json, &serde_json::to_string(&many).unwrap()),
            (Format::Base64Json, "["),
            (Format::Base64Json, "////"),
            (Format::Base64Json, r#"["a"]"#),
        ] {
            assert!(read(format, value).is_err(), "{format:?} {value}");
        }
    }

    #[test]
    fn scopes_may_be_an_object_of_lists() {
        let read = |json: &'static str| scopes(Format::Json, std::iter::once(json));
        let expected = BTreeMap::from([("s3".to_owned(), vec!["get".to_owned(), "put".to_owned()])]);
        assert_eq!(read(r#"{"s3":["get","put"]}"#), Ok(Scopes::Map(expected)));
        assert_eq!(read("{}"), Ok(Scopes::Map(BTreeMap::new())));
        for json in [r#"{"a":["b"],"a":["c"]}"#, r#"{"a":"b"}"#, r#"{"":["b"]}"#, r#"{"a":[""]}"#] {
            assert!(read(json).is_err(), "{json}");
        }
        let many = serde_json::json!({"a": vec!["s"; 200], "b": vec!["s"; 57]}).to_string();
        assert_eq!(scopes(Format::Json, std::iter::once(&*many)), Err(Flaw::TooMany(MAX_LIST_ITEMS)));
    }

    #[test]
    fn text_is_utf_8_without_controls_within_its_limit() {
        assert_eq!(text("Jürgen O'Neill".as_bytes(), 256), Ok("Jürgen O'Neill"));
        assert!(text(&[b'a'; 256], 256).is_ok());
        let overlong_slash = b"a\xc0\xaf";
        let surrogate = b"a\xed\xa0\x80";
        for value in [&b"a\xff"[..], overlong_slash, surrogate, b"", b" ", b"a\0", b"a\x1f", &[b'a'; 257]] {
            assert!(text(value, 256).is_err(), "{value:?}");
        }
    }

    #[test]
    fn control_characters_are_those_of_unicode() {
        for character in '\0'..='\u{3000}' {
            let value = format!("a{character}b");
            assert_eq!(text(value.as_bytes(), 256).is_err(), character.is_control(), "{character:?}");
        }
    }
}
