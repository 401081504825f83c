//! What errors say about words and values the filter does not know. One that may be a secret is not shown.

use serde::de::Unexpected;

/// What a value is, in a word or two.
#[must_use]
pub fn noun(value: Unexpected<'_>) -> &'static str {
    match value {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Signed(_) => "an integer",
        Unexpected::Unsigned(_) => "an integer above 9223372036854775807",
        Unexpected::Float(_) => "a fraction",
        Unexpected::Str(_) => "a string",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        _ => "null",
    }
}

/// The longest unknown word that is shown, in bytes. A misspelt word is hardly ever longer, a secret hardly ever
/// shorter.
const MAX_SHOWN_BYTES: usize = 20;

/// The longest text that passes for a number or a boolean gone wrong, such as `1h`, in bytes.
pub const MAX_SLIP_BYTES: usize = 8;

/// An unknown word, if it does not look like a secret.
#[must_use]
pub fn shown(word: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    Some(word).filter(|word| word.len() <= MAX_SHOWN_BYTES && word.chars().all(is_plain))
}

/// The expected words, as an error lists them.
#[must_use]
pub fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [one, other] => format!("{one} or {other}"),
        [one] => one.clone(),
        all => format!("one of {}", all.join(", ")),
    }
}

/// The word that was probably meant, if one is close enough.
#[must_use]
pub fn suggestion(word: &str, words: &[&str]) -> String {
    let folded = |word: &str| word.to_ascii_lowercase().replace('_', "-");
    let distance = |other: &&str| strsim::osa_distance(&folded(word), &folded(other));
    let closest = words.iter().copied().map(|other| (distance(&other), other)).min();
    closest
        .filter(|(distance, other)| shown(word).is_some() && *distance <= 2.min(other.len() / 3))
        .map(|(_, other)| format!("; did you mean `{other}`?"))
        .unwrap_or_default()
}
