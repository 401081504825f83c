//! What people read: findings with the lines they are about, with secrets masked.

use std::collections::BTreeSet;

use annotate_snippets::{AnnotationKind, Group, Level as Title, Renderer, Snippet};
use serde_json::{Value, json};

use auth_o_tron_envoy::config::words::shown;

use crate::source::{Kind, Node, Place};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
    /// All is well.
    Fine,
    /// There is nothing to say about it.
    Skipped,
}

/// Something to know about a file.
pub struct Finding {
    pub level: Level,
    /// The field of the plugin configuration; empty if it is about something else.
    pub path: String,
    pub message: String,
    /// What to do about it.
    pub help: Option<&'static str>,
    pub place: Option<Place>,
}

impl Finding {
    pub fn new(level: Level, message: impl Into<String>, place: Option<Place>) -> Self {
        Self { level, path: String::new(), message: message.into(), help: None, place }
    }

    fn title(&self) -> String {
        if self.path.is_empty() { self.message.clone() } else { format!("{}: {}", self.path, self.message) }
    }
}

/// A file that can be shown: its secrets are masked.
#[derive(Clone)]
pub struct Shown {
    name: String,
    masked: Vec<char>,
}

/// A shorter text is masked only where it is, and not wherever else it occurs.
const MIN_SECRET_CHARS: usize = 4;

/// Longer than any field name, and no longer than the shortest HS256 key.
const MAX_NAME_CHARS: usize = 32;

impl Shown {
    pub fn new(name: &str, text: &[char], documents: &[Node]) -> Self {
        // What belongs to none of the parts is a comment.
        let masked = text.iter().map(|c| if c.is_alphanumeric() { '*' } else { *c }).collect();
        let mut shown = Self { name: name.to_owned(), masked };
        for document in documents {
            shown.reveal(document, text);
        }
        // After all of them are revealed: a secret in one is masked in all the others, too.
        for document in documents {
            shown.mask_secrets(document);
        }
        shown
    }

    fn reveal(&mut self, node: &Node, text: &[char]) {
        if let (Kind::Scalar(..), Some(own), Some(masked)) =
            (&node.kind, text.get(node.place.clone()), self.masked.get_mut(node.place.clone()))
        {
            masked.copy_from_slice(own);
        }
        node.items().iter().for_each(|item| self.reveal(item, text));
        for (key, value) in node.fields() {
            self.reveal(key, text);
            self.reveal(value, text);
        }
    }

    /// A text that cannot be read, so anything in it may be a secret: only the names before colons are shown.
    pub fn unreadable(name: &str, text: &[char]) -> Self {
        let mut masked = Vec::with_capacity(text.len());
        for line in text.split_inclusive(|c| *c == '\n') {
            // The colon that ends a name, not one inside a value.
            let colon = line.windows(3).position(|window| match window {
                [before, ':', after] => after.is_whitespace() || *before == '"',
                _ => false,
            });
            let colon = colon.map(|before| before + 1).filter(|colon| *colon < MAX_NAME_CHARS).unwrap_or_default();
            let mask = |(at, c): (usize, &char)| if at >= colon && c.is_alphanumeric() { '*' } else { *c };
            masked.extend(line.iter().enumerate().map(mask));
        }
        Self { name: name.to_owned(), masked }
    }

    /// Masks a text wherever it occurs, unless it is so short that it occurs in other words.
    fn mask_text(&mut self, secret: &[char]) {
        if secret.len() < MIN_SECRET_CHARS {
            return;
        }
        let length = secret.len();
        let found = self.masked.windows(length).enumerate().filter(|(_, window)| *window == secret);
        for start in found.map(|(start, _)| start).collect::<Vec<_>>() {
            self.fill(start..start + length);
        }
    }

    fn fill(&mut self, place: Place) {
        for c in self.masked.get_mut(place).unwrap_or_default() {
            if *c != '\n' {
                *c = '*';
            }
        }
    }

    /// Masks every scalar in and below a node: it may be a secret in the wrong place.
    pub fn mask_all(&mut self, node: &Node) {
        match &node.kind {
            Kind::Scalar(text, _) => {
                self.fill(node.place.clone());
                self.mask_text(&text.chars().collect::<Vec<_>>());
            }
            Kind::List(items) => items.iter().for_each(|item| self.mask_all(item)),
            Kind::Object(fields) => fields.iter().for_each(|(key, value)| {
                self.mask_name(key);
                self.mask_all(value);
            }),
        }
    }

    /// Masks what is in a name's place, unless it looks like a name.
    fn mask_name(&mut self, key: &Node) {
        if key.text().is_none_or(|name| shown(name).is_none()) {
            self.mask_all(key);
        }
    }

    /// Masks the values of `secret` and of variables, and what Envoy has inline, such as keys.
    pub fn mask_secrets(&mut self, node: &Node) {
        node.items().iter().for_each(|item| self.mask_secrets(item));
        let is_variable = node.get("valueFrom").is_some() || node.get("name").is_some();
        for (key, value) in node.fields() {
            match key.text().unwrap_or_default() {
                "secret" | "key_values" | "keyValues" | "inline_string" | "inlineString" => self.mask_all(value),
                "value" if is_variable => self.mask_all(value),
                _ => self.mask_secrets(value),
            }
        }
    }

    /// Masks the values of fields that no plugin configuration has: one may be a misspelt `secret`. Claims for tokens
    /// and names of headers are not secrets.
    pub fn mask_unknown(&mut self, node: &Node, known: &BTreeSet<String>) {
        node.items().iter().for_each(|item| self.mask_unknown(item, known));
        for (key, value) in node.fields() {
            match key.text().unwrap_or_default() {
                "extra" | "from" => {}
                name if known.contains(name) => self.mask_unknown(value, known),
                _ => {
                    self.mask_name(key);
                    self.mask_all(value);
                }
            }
        }
    }

    /// A finding with the line it is about.
    pub fn render(&self, finding: &Finding) -> String {
        let title = finding.title();
        let Some((source, span)) = finding.place.as_ref().and_then(|place| self.span(place)) else {
            return format!("{}\n --> {}", self::title(finding.level, &title), self.name);
        };
        let annotation = AnnotationKind::Primary.span(span);
        let snippet = Snippet::source(source).path(&self.name).annotation(annotation);
        let mut group = level(finding.level).primary_title(title).element(snippet);
        if let Some(help) = finding.help {
            group = group.element(Title::HELP.message(help));
        }
        Renderer::styled().render(&[group])
    }

    /// The file, and a span of one line in it, in bytes.
    fn span(&self, place: &Place) -> Option<(String, std::ops::Range<usize>)> {
        if self.masked.is_empty() {
            return None;
        }
        let text: String = self.masked.iter().collect();
        let start = place.start.min(self.masked.len());
        let line = self.masked.get(start..)?.iter().take_while(|c| **c != '\n').count();
        let end = place.end.clamp(start, start + line);
        let byte = |at: usize| self.masked.iter().take(at).map(|c| c.len_utf8()).sum::<usize>();
        Some((text, byte(start)..byte(end)))
    }

    /// Line and column, both counted from 1.
    pub fn position(&self, place: &Place) -> (usize, usize) {
        let before = self.masked.get(..place.start.min(self.masked.len())).unwrap_or_default();
        let line = before.iter().filter(|c| **c == '\n').count() + 1;
        let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
        (line, column)
    }

    pub fn json(&self, finding: &Finding) -> Value {
        let position = finding.place.as_ref().map(|place| self.position(place));
        json!({
            "path": finding.path, "message": finding.message, "help": finding.help,
            "line": position.map(|(line, _)| line), "column": position.map(|(_, column)| column),
        })
    }
}

fn level(level: Level) -> Title<'static> {
    match level {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
        Level::Fine => Title::INFO.with_name("ok"),
        Level::Skipped => Title::NOTE.with_name("skipped"),
    }
}

/// A message on one line, in the colour of its level.
pub fn title(of: Level, message: &str) -> String {
    plain(level(of), message)
}

/// As [`title`], with another name for the level, such as `denied`.
pub fn named_title(of: Level, name: &'static str, message: &str) -> String {
    plain(level(of).with_name(name), message)
}

fn plain(level: Title<'_>, message: &str) -> String {
    Renderer::styled().render(&[Group::with_title(level.primary_title(message))])
}
