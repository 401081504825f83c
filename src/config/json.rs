//! JSON as a tree that keeps duplicate names.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Unexpected, Visitor},
};

use super::field::Step;

/// A JSON value. It keeps duplicate names, and marks what must not be read again.
pub enum Json<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// An integer beyond 63 bits.
    Large(u64),
    Fraction(f64),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Vec<(Cow<'a, str>, Self)>),
    /// Taken out, because an error was about it.
    TakenOut,
}

impl Json<'_> {
    /// Whether it was taken out, because an error was about it.
    pub const fn is_taken_out(&self) -> bool {
        matches!(self, Self::TakenOut)
    }

    /// The part at the end of a path. Of parts with the same name it is the first; `last` makes the final step
    /// take the last one.
    pub fn at(&mut self, path: &[Step<'_>], last: bool) -> Option<&mut Self> {
        let Some((step, rest)) = path.split_first() else { return Some(self) };
        let part = match (self, step) {
            (Self::List(items), Step::Index(index)) => items.get_mut(*index),
            (Self::Object(members), Step::Name(name)) => {
                let mut named = members.iter_mut().filter(|(own, _)| own == name).map(|(_, value)| value);
                if last && rest.is_empty() { named.next_back() } else { named.next() }
            }
            _ => None,
        };
        part?.at(rest, last)
    }

    /// What it is, in serde's terms.
    pub const fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Null | Self::TakenOut => Unexpected::Unit,
            Self::Boolean(value) => Unexpected::Bool(*value),
            Self::Integer(value) => Unexpected::Signed(*value),
            Self::Large(value) => Unexpected::Unsigned(*value),
            Self::Fraction(value) => Unexpected::Float(*value),
            Self::Text(Cow::Borrowed(text)) => Unexpected::Str(text),
            Self::Text(Cow::Owned(text)) => Unexpected::Str(text.as_str()),
            Self::List(_) => Unexpected::Seq,
            Self::Object(_) => Unexpected::Map,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

/// A name or a text, borrowed if it has no escapes, so that a secret is not copied.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(value).map_or(Json::Large(value), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Fraction(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((Text(name), value)) = object.next_entry()? {
            members.push((name, value));
        }
        Ok(Json::Object(members))
    }
}
