//! Reads JSON into the types of the sections, and finds every error in it, not just the first.
//!
//! Whatever an error is about is taken out, and the rest is read again. Errors are data from the start: serde hands
//! [`ReadError`] the parts of each.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
        value::BorrowedStrDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{
    field::{ConfigError, ErrorKind, Field, Step},
    json::Json,
    words::{MAX_SLIP_BYTES, alternatives, noun, shown, suggestion},
};

/// What an error says about a required field that is missing.
pub const MISSING: &str = "missing required field";

/// What an error says about a field that is given twice.
pub const TWICE: &str = "given twice, expected once";

/// How many errors to look for in one section, at most.
const MAX_ERRORS: usize = 32;

/// Reads the `json` at `field`. `None` if anything in it is wrong; every error is reported.
pub fn read<T: DeserializeOwned>(json: &mut Json<'_>, field: &Field<'_>) -> Option<T> {
    let mut is_fine = true;
    for _ in 0..MAX_ERRORS {
        let error = match T::deserialize(&*json) {
            Ok(value) => return is_fine.then_some(value),
            Err(error) => error,
        };
        is_fine = false;
        let mut path: Vec<_> = error.path.iter().rev().map(OwnedStep::borrowed).collect();
        // A field that was taken out is now missing, and its object may be next: both have been reported.
        if error.kind != ErrorKind::Missing || !json.at(&path, false).is_some_and(|part| part.is_taken_out()) {
            field.report().error(error.at(field));
        }
        if error.kind == ErrorKind::Missing {
            path.pop();
        }
        if path.is_empty() {
            return None;
        }
        *json.at(&path, error.kind == ErrorKind::Duplicate)? = Json::TakenOut;
    }
    None
}

// === errors ===

/// What is wrong, and where, seen from the part being read.
#[derive(Debug)]
pub struct ReadError {
    /// From the innermost step to the outermost.
    path: Vec<OwnedStep>,
    kind: ErrorKind,
    words: String,
    hides: bool,
}

#[derive(Debug)]
pub enum OwnedStep {
    Name(String),
    Index(usize),
}

impl OwnedStep {
    fn borrowed(&self) -> Step<'_> {
        match self {
            Self::Name(name) => Step::Name(name),
            Self::Index(index) => Step::Index(*index),
        }
    }
}

impl ReadError {
    fn new(kind: ErrorKind, words: impl Into<String>) -> Self {
        Self { path: Vec::new(), kind, words: words.into(), hides: false }
    }

    fn of_field(name: &str, kind: ErrorKind, words: &str) -> Self {
        Self::new(kind, words).within(OwnedStep::Name(name.to_owned()))
    }

    fn unknown(name: &str, expected: &[&str]) -> Self {
        let length = if shown(name).is_none() { format!(" of {} bytes", name.len()) } else { String::new() };
        let words = format!("unknown field{length}, expected {}{}", alternatives(expected), suggestion(name, expected));
        Self { hides: shown(name).is_none(), ..Self::of_field(name, ErrorKind::UnknownField, &words) }
    }

    fn within(mut self, step: OwnedStep) -> Self {
        self.path.push(step);
        self
    }

    /// The same error, for a part that is at `field`.
    fn at(&self, field: &Field<'_>) -> ConfigError {
        let mut path = field.path();
        // The last step to an unknown field is its name, which is not shown if it may be a secret.
        let hidden = usize::from(self.kind == ErrorKind::UnknownField && self.hides);
        for step in self.path.iter().skip(hidden).rev() {
            step.borrowed().append_to(&mut path);
        }
        ConfigError::new(path, self.kind, self.words.clone()).hiding(self.hides)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(words: T) -> Self {
        Self::new(ErrorKind::Malformed, words.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let slip = match found {
            // Where a number or a boolean belongs, a short word is a slip. Elsewhere it may be a secret.
            Unexpected::Str(text) if matches!(expected.as_str(), "an integer" | "a boolean") => {
                shown(text).filter(|text| text.len() <= MAX_SLIP_BYTES)
            }
            _ => None,
        };
        let words = match slip {
            Some(word) => format!("found {word:?}, expected {expected}"),
            None => format!("found {}, expected {expected}", noun(found)),
        };
        Self { hides: slip.is_none(), ..Self::new(ErrorKind::Type, words) }
    }

    fn unknown_variant(word: &str, expected: &'static [&'static str]) -> Self {
        let found = match shown(word) {
            Some(word) => format!("`{word}`"),
            None => format!("a word of {} bytes", word.len()),
        };
        let words = format!("found {found}, expected {}{}", alternatives(expected), suggestion(word, expected));
        Self { hides: shown(word).is_none(), ..Self::new(ErrorKind::UnknownWord, words) }
    }

    fn unknown_field(name: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown(name, expected)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::of_field(name, ErrorKind::Missing, MISSING)
    }
}

/// The error for a section that does not exist. It is at `whole` if the name may be a secret.
pub fn unknown_section(name: &str, sections: &[&str], whole: &str) -> ConfigError {
    let error = ReadError::unknown(name, sections);
    let path = if error.hides { whole } else { name };
    ConfigError::new(path.to_owned(), error.kind, error.words).hiding(error.hides)
}

// === from `Json` to a section ===

impl<'de> Deserializer<'de> for &'de Json<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Json::Null | Json::TakenOut => visitor.visit_unit(),
            Json::Boolean(value) => visitor.visit_bool(*value),
            Json::Integer(value) => visitor.visit_i64(*value),
            Json::Large(value) => visitor.visit_u64(*value),
            Json::Fraction(value) => visitor.visit_f64(*value),
            Json::Text(text) => visitor.visit_borrowed_str(text),
            Json::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Json::Object(members) => visitor.visit_map(Members { all: members, position: 0, value: None }),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Json::Integer(value) => visitor.visit_i64(*value),
            other => Err(de::Error::invalid_type(other.unexpected(), &"an integer")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Json::Null => visitor.visit_none(),
            present => visitor.visit_some(present),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Json::List(_) => self.deserialize_any(visitor),
            other => Err(de::Error::invalid_type(other.unexpected(), &"a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Json::Object(_) => self.deserialize_any(visitor),
            other => Err(de::Error::invalid_type(other.unexpected(), &"an object")),
        }
    }

    /// Objects only: serde's derived code would also take a list of the fields' values.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        // What a type expects is said in serde's words, unless the type has better ones.
        let expected = (&visitor as &dyn Expected).to_string();
        let default = format!("struct {name}");
        match self {
            Json::Object(_) => self.deserialize_any(visitor),
            other if expected == default => Err(de::Error::invalid_type(other.unexpected(), &"an object")),
            other => Err(de::Error::invalid_type(other.unexpected(), &expected.as_str())),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self {
            Json::Text(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            other => Err(de::Error::invalid_type(other.unexpected(), &alternatives(words).as_str())),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct identifier ignored_any
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Json<'de>>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let item = self.0.by_ref().find(|(_, item)| !item.is_taken_out());
        item.map(|(index, item)| seed.deserialize(item).map_err(|error| error.within(OwnedStep::Index(index))))
            .transpose()
    }
}

struct Members<'de> {
    all: &'de [(Cow<'de, str>, Json<'de>)],
    position: usize,
    value: Option<(&'de str, &'de Json<'de>)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        while let Some((name, value)) = self.all.get(self.position) {
            let before = self.all.get(..self.position).unwrap_or_default();
            self.position = self.position.saturating_add(1);
            if value.is_taken_out() {
                continue;
            }
            // Parsers disagree about which of the two counts (RFC 8259, section 4).
            if before.iter().any(|(other, value)| other == name && !value.is_taken_out()) {
                return Err(ReadError::of_field(name, ErrorKind::Duplicate, TWICE));
            }
            self.value = Some((name, value));
            let name: BorrowedStrDeserializer<'_, ReadError> = BorrowedStrDeserializer::new(name);
            return seed.deserialize(name).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let (name, value) = self.value.take().unwrap_or(("", &Json::Null));
        seed.deserialize(value).map_err(|error| error.within(OwnedStep::Name(name.to_owned())))
    }
}
