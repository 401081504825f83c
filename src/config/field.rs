//! Where a value is in the configuration, and what is wrong with it.

use std::{cell::Cell, fmt};

use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

/// The longest text in the configuration, in bytes, unless a field has its own limit.
pub const MAX_TEXT_BYTES: usize = 256;

/// The VM's environment: the value of a variable, if it is set and valid UTF-8.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// A kind of error in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not JSON.
    Syntax,
    /// A required field is missing.
    Missing,
    /// There is no such field.
    UnknownField,
    /// A value has the wrong JSON type.
    Type,
    /// A word is not one of those allowed.
    UnknownWord,
    /// A field or an entry is given twice.
    Duplicate,
    /// A list or an object is empty, and must not be.
    Empty,
    /// Too many or too few of the fields that exclude each other are given.
    Choice,
    /// A number is out of range.
    Range,
    /// A text is not in the right form.
    Malformed,
    /// Two parts of the configuration contradict each other.
    Contradiction,
    /// A secret cannot be used.
    Secret,
    /// An environment variable is not available to the filter.
    Variable,
}

/// Why a configuration is refused. It never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    path: String,
    kind: ErrorKind,
    words: String,
    hides: bool,
}

impl ConfigError {
    /// An error of `kind` at `path`. The words say what was found and what was expected.
    #[must_use]
    pub fn new(path: String, kind: ErrorKind, words: impl Into<String>) -> Self {
        Self { path, kind, words: words.into(), hides: false }
    }

    /// The same error, marked as one whose words leave out what was found: it may be a secret in the wrong place.
    #[must_use]
    pub const fn hiding(mut self, hides: bool) -> Self {
        self.hides = hides;
        self
    }

    /// Which field it is about, such as `trust[0].peer`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What kind of error it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was found, and what was expected.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Whether the words leave out what was found, because it may be a secret.
    #[must_use]
    pub const fn hides(&self) -> bool {
        self.hides
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.words)
    }
}

impl std::error::Error for ConfigError {}

/// A risk in a configuration that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which field it is about.
    pub path: String,
    /// What was found, and what would be better.
    pub words: &'static str,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.words)
    }
}

/// Everything there is to say about a configuration.
#[derive(Default)]
pub struct Report {
    errors: Cell<Vec<ConfigError>>,
    warnings: Cell<Vec<Warning>>,
}

impl Report {
    /// Adds an error.
    pub fn error(&self, error: ConfigError) {
        push(&self.errors, error);
    }

    /// Whether there are any errors.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        let errors = self.errors.take();
        let has_errors = !errors.is_empty();
        self.errors.set(errors);
        has_errors
    }

    /// The errors, in the order they were found.
    #[must_use]
    pub fn errors(self) -> Vec<ConfigError> {
        self.errors.into_inner()
    }

    /// The errors and the warnings.
    #[must_use]
    pub fn into_parts(self) -> (Vec<ConfigError>, Vec<Warning>) {
        (self.errors.into_inner(), self.warnings.into_inner())
    }
}

fn push<T>(list: &Cell<Vec<T>>, item: T) {
    let mut items = list.take();
    items.push(item);
    list.set(items);
}

/// A place in the configuration. Its path is built only when something is wrong.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    report: &'a Report,
    above: Option<&'a Self>,
    step: Step<'a>,
}

/// One step from an object or a list to something in it.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// To the field of that name.
    Name(&'a str),
    /// To the item at that position.
    Index(usize),
}

impl Step<'_> {
    /// Appends this step to a path.
    pub fn append_to(self, path: &mut String) {
        use fmt::Write;
        let _ = match self {
            Self::Name(name) if path.is_empty() => path.write_str(name),
            Self::Name(name) => write!(path, ".{name}"),
            Self::Index(index) => write!(path, "[{index}]"),
        };
    }
}

impl<'a> Field<'a> {
    /// A section, by its name.
    #[must_use]
    pub const fn section(report: &'a Report, name: &'a str) -> Self {
        Self { report, above: None, step: Step::Name(name) }
    }

    /// The field of that name in the object at this place.
    #[must_use]
    pub const fn name(&'a self, name: &'a str) -> Self {
        Self { report: self.report, above: Some(self), step: Step::Name(name) }
    }

    /// The item at that position in the list at this place.
    #[must_use]
    pub const fn index(&'a self, index: usize) -> Self {
        Self { report: self.report, above: Some(self), step: Step::Index(index) }
    }

    /// The path, such as `trust[0].peer`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = self.above.map(Self::path).unwrap_or_default();
        self.step.append_to(&mut path);
        path
    }

    /// Where errors and warnings go.
    #[must_use]
    pub const fn report(&self) -> &'a Report {
        self.report
    }

    /// Reports an error, and returns `None`: there is nothing to go on with.
    pub fn refuse<T>(&self, kind: ErrorKind, words: impl Into<String>) -> Option<T> {
        self.report.error(ConfigError::new(self.path(), kind, words));
        None
    }

    /// Reports that `found` is not what was `expected`. The error shows it, so it must not be a secret.
    pub fn malformed<T>(&self, found: &str, expected: impl fmt::Display) -> Option<T> {
        self.refuse(ErrorKind::Malformed, format!("found {found:?}, expected {expected}"))
    }

    /// Reports an empty list or object.
    #[must_use]
    pub fn empty<T>(&self, expected: &str) -> Option<T> {
        self.refuse(ErrorKind::Empty, format!("found an empty list, expected {expected}"))
    }

    /// Reports a risk.
    pub fn warn(&self, words: &'static str) {
        push(&self.report.warnings, Warning { path: self.path(), words });
    }

    /// Accepts a text of at most `max` bytes that is not blank and has no control characters.
    pub fn text(&self, text: &str, max: usize) -> Option<()> {
        let flaw = if text.trim().is_empty() {
            "an empty text".to_owned()
        } else if text.len() > max {
            format!("a text of {} bytes", text.len())
        } else if text.contains(char::is_control) {
            "a text with a control character".to_owned()
        } else {
            return Some(());
        };
        self.refuse(ErrorKind::Malformed, format!("found {flaw}, expected 1 to {max} bytes without control characters"))
    }

    /// Accepts each text as [`Field::text`] does.
    #[must_use]
    pub fn texts(&self, texts: &[String], max: usize) -> Option<()> {
        all(texts.iter().enumerate().map(|(index, text)| self.index(index).text(text, max)))
    }

    /// Accepts at least one text, each as [`Field::text`] does.
    #[must_use]
    pub fn some_texts(&self, texts: &[String], expected: &str) -> Option<()> {
        if texts.is_empty() {
            return self.empty(expected);
        }
        self.texts(texts, MAX_TEXT_BYTES)
    }

    /// Accepts a whole number from 1 to `max`.
    #[must_use]
    pub fn range(&self, number: i64, max: i64, unit: &str) -> Option<i64> {
        if (1..=max).contains(&number) {
            return Some(number);
        }
        self.refuse(ErrorKind::Range, format!("found {number}, expected 1 to {max} {unit}"))
    }
}

/// The whole list, if every part is fine. It looks at every part, so that every error is reported.
pub fn all<T, C: FromIterator<T>>(parts: impl IntoIterator<Item = Option<T>>) -> Option<C> {
    parts.into_iter().collect::<Vec<_>>().into_iter().collect()
}

// === secrets ===

/// A secret in the configuration itself, where Envoy's `/config_dump` shows it.
// It is wiped when dropped, and no debug output shows it.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The shortest key allowed for HMAC-SHA-256, in bytes (RFC 7518, section 3.2).
pub const MIN_KEY_BYTES: usize = 32;

/// The name of the field that gives a secret, `secret` or `secret_env`, and the secret, untrimmed.
pub type Given = (&'static str, Zeroizing<String>);

/// Reads `secret` or `secret_env` of the object at `field`, which must be long enough for HMAC-SHA-256.
pub fn read_key(
    field: &Field<'_>,
    secret: Option<&Secret>,
    variable: Option<&str>,
    environment: Environment<'_>,
) -> Option<Zeroizing<String>> {
    let (name, secret) = read_secret(field, secret, variable, environment)?;
    if secret.len() >= MIN_KEY_BYTES {
        return Some(secret);
    }
    let expected = format!("expected at least {MIN_KEY_BYTES} (RFC 7518, section 3.2)");
    field.name(name).refuse(ErrorKind::Secret, format!("found {} bytes, {expected}", secret.len()))
}

/// Reads `secret` or `secret_env` of the object at `field`.
pub fn read_secret(
    field: &Field<'_>,
    secret: Option<&Secret>,
    variable: Option<&str>,
    environment: Environment<'_>,
) -> Option<Given> {
    match (secret, variable) {
        (Some(_), Some(_)) => {
            field.refuse(ErrorKind::Choice, "found both `secret` and `secret_env`, expected one of them")
        }
        (None, None) => {
            field.refuse(ErrorKind::Choice, "found neither `secret` nor `secret_env`, expected one of them")
        }
        (Some(secret), None) => {
            let name = "secret";
            field.name(name).warn("found a secret in the configuration, where /config_dump shows it; use `secret_env`");
            Some((name, secret.0.clone().into()))
        }
        (None, Some(variable)) => {
            let name = "secret_env";
            Some((name, read_variable(&field.name(name), variable, environment)?))
        }
    }
}

fn read_variable(field: &Field<'_>, variable: &str, environment: Environment<'_>) -> Option<Zeroizing<String>> {
    if !is_variable(variable) {
        let words = format!("found {} bytes, expected the name of an environment variable", variable.len());
        field.report.error(ConfigError::new(field.path(), ErrorKind::Variable, words).hiding(true));
        return None;
    }
    let Some(value) = environment(variable) else {
        return field.refuse(
            ErrorKind::Variable,
            format!(
                "environment variable {variable:?} is not set for the filter, or not UTF-8, expected it in host_env_keys \
                 and in Envoy's own environment"
            ),
        );
    };
    Some(value.into())
}

/// Whether this can be the name of a variable, and not a secret put in its place by mistake.
fn is_variable(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    // Long names of variables are in capitals; long random text seldom is.
    let is_long = name.len() >= 32 && name.bytes().any(|byte| byte.is_ascii_lowercase());
    !name.is_empty() && !is_long && name.bytes().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit())
}
