//! What errors say of words and values that are none of ours. One that may be a secret is not shown.

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

/// The longest word that is shown though it is none of ours, in bytes. A misspelt one is hardly longer, a secret hardly
/// shorter.
const MAX_SHOWN_BYTES: usize = 20;

/// The longest text that is taken for a number or a boolean in quotes, in bytes, such as `1h`.
pub const MAX_SLIP_BYTES: usize = 8;

/// A word that is none of ours, if it is no secret by its looks.
#[must_use]
pub fn shown(word: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    Some(word).filter(|word| word.len() <= MAX_SHOWN_BYTES && word.chars().all(is_plain))
}

/// The words of which one is expected.
#[must_use]
pub fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [one, other] => format!("{one} or {other}"),
        [one] => one.clone(),
        all => format!("one of {}", all.join(", ")),
    }
}

/// The word that was probably meant, if one is close.
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
