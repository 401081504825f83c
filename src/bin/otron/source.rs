//! Where things are: a YAML or JSON text as a tree whose parts know their place in the file.

use std::{cmp::Reverse, collections::BTreeMap, ops::Range};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde::de::IgnoredAny;
use serde_json::Value;

/// A place in a text, in characters.
pub type Place = Range<usize>;

/// Deeper than `serde_json` reads.
const MAX_DEPTH: usize = 128;

/// The most parts and bytes that anchors and aliases may copy in total.
const MAX_COPIED: usize = 1_000_000;

/// A part of a text.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it is.
    pub place: Place,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// Its text, and the JSON value that it stands for.
    Scalar(String, Value),
    List(Vec<Node>),
    /// In the order of the text, including duplicate names.
    Object(Vec<(Node, Node)>),
}

/// What makes a text unreadable, and where.
pub struct SyntaxError {
    pub problem: String,
    pub place: Place,
}

impl Node {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    pub fn fields(&self) -> &[(Self, Self)] {
        match &self.kind {
            Kind::Object(fields) => fields,
            _ => &[],
        }
    }

    /// The name and the value of the first field that has one of these names.
    pub fn field(&self, names: &[&str]) -> Option<(&Self, &Self)> {
        let field = self.fields().iter().find(|(key, _)| key.text().is_some_and(|text| names.contains(&text)))?;
        Some((&field.0, &field.1))
    }

    pub fn get(&self, name: &str) -> Option<&Self> {
        self.field(&[name]).map(|(_, value)| value)
    }

    /// The text of the scalar at the end of this path.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        path.iter().try_fold(self, |node, name| node.get(name))?.text()
    }

    /// As JSON, including duplicate names, so that the filter's own reader finds them.
    pub fn to_json(&self) -> String {
        let list = |parts: Vec<String>| parts.join(",");
        match &self.kind {
            Kind::Scalar(_, value) => value.to_string(),
            Kind::List(items) => format!("[{}]", list(items.iter().map(Self::to_json).collect())),
            Kind::Object(fields) => {
                let field = |(key, value): &(Self, Self)| {
                    format!("{}:{}", Value::from(key.text().unwrap_or_default()), value.to_json())
                };
                format!("{{{}}}", list(fields.iter().map(field).collect()))
            }
        }
    }

    /// Where the name of the field at `path` is, and its value; `path` is written as in the filter's errors. If the
    /// field is missing, those of the deepest one that is there. If it comes twice, those of the first, or of the
    /// `last`.
    pub fn find(&self, path: &str, last: bool) -> (Place, &Self) {
        let mut key = self.place.clone();
        let mut node = self;
        let mut rest = path;
        loop {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let step = if let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                let item = index.parse::<usize>().ok().and_then(|index| node.items().get(index));
                item.map(|item| (item.place.clone(), item, after))
            } else {
                let fields = node.fields().iter().filter_map(|(name, value)| {
                    let after = rest.strip_prefix(name.text()?)?;
                    let is_whole = after.is_empty() || after.starts_with(['.', '[']);
                    is_whole.then(|| (name.place.clone(), value, after))
                });
                // The longest name, because a name may itself contain dots.
                if last {
                    fields.max_by_key(|(.., after)| Reverse(after.len()))
                } else {
                    fields.min_by_key(|(.., after)| after.len())
                }
            };
            let Some((place, value, after)) = step else { return (key, node) };
            (key, node, rest) = (place, value, after);
        }
    }

    fn size(&self) -> usize {
        let fields = self.fields().iter().map(|(key, value)| key.size() + value.size());
        1 + self.text().map_or(0, str::len) + self.items().iter().map(Self::size).chain(fields).sum::<usize>()
    }

    /// Maps every place, for a text embedded in another.
    fn move_by(&mut self, place: &dyn Fn(&Place) -> Place) {
        self.place = place(&self.place);
        match &mut self.kind {
            Kind::Scalar(..) => {}
            Kind::List(items) => items.iter_mut().for_each(|item| item.move_by(place)),
            Kind::Object(fields) => fields.iter_mut().for_each(|(key, value)| {
                key.move_by(place);
                value.move_by(place);
            }),
        }
    }
}

/// Reads a JSON file, or a file of YAML documents. With `is_json` nothing but JSON will do.
pub fn read(text: &str, is_json: bool) -> Result<Vec<Node>, SyntaxError> {
    if text.trim().is_empty() {
        return Err(SyntaxError { problem: "found nothing, expected a configuration".to_owned(), place: 0..0 });
    }
    let Some(json_error) = json_error(text) else {
        // YAML forbids the tabs that JSON permits, and JSON permits them only between tokens.
        return documents(&text.replace('\t', " ")).or_else(|_| without_places(text));
    };
    let looks_like_json = is_json || text.trim_start().starts_with(['{', '[']);
    match documents(text) {
        Ok(documents) if !is_json => Ok(documents),
        Err(error) if !looks_like_json => Err(error),
        Ok(_) | Err(_) => Err(json_error),
    }
}

/// What keeps a text from being JSON.
pub fn json_error(text: &str) -> Option<SyntaxError> {
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    let line_start = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(|line| line.chars().count());
    let start = line_start.sum::<usize>() + error.column().saturating_sub(1);
    Some(SyntaxError { problem: format!("not JSON: {error}"), place: start..start + 1 })
}

/// The tree of a JSON text that is in the scalar `node` of `file`.
pub fn embedded(node: &Node, text: &str, file: &[char]) -> Option<Node> {
    let mut tree = read(text, true).ok()?.into_iter().next()?;
    let places = places_of(node, text, file);
    let whole = node.place.clone();
    tree.move_by(&|place| within(place, places.as_deref(), &whole));
    Some(tree)
}

/// Where in the file a place in the text of the scalar `node` is.
pub fn place_in(place: &Place, node: &Node, text: &str, file: &[char]) -> Place {
    within(place, places_of(node, text, file).as_deref(), &node.place)
}

fn within(place: &Place, places: Option<&[usize]>, whole: &Place) -> Place {
    let at = |index: usize| places.and_then(|places| places.get(index).or(places.last())).copied();
    match (at(place.start), at(place.end.saturating_sub(1))) {
        (Some(start), Some(end)) => start..(end + 1).max(start),
        _ => whole.clone(),
    }
}

/// The place in the file of each character of the text in a scalar: line by line, because a block is indented. `None`
/// if the scalar has escapes, or is folded.
fn places_of(node: &Node, text: &str, file: &[char]) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    // The indicator or quote before the text is not part of it.
    let mut at = node.place.start;
    for line in text.split_inclusive('\n') {
        let content: Vec<char> = line.trim_end_matches('\n').chars().collect();
        let is_margin = |gap: &[char]| places.is_empty() || gap.iter().all(|c| *c == ' ');
        let is_here = |start: usize| {
            let after = file.get(start..).and_then(|rest| rest.strip_prefix(content.as_slice()));
            let is_whole = |after: &[char]| !line.ends_with('\n') || matches!(after.first(), Some('\n' | '\r') | None);
            file.get(at..start).is_some_and(is_margin) && after.is_some_and(is_whole)
        };
        let start = (at..=at + MAX_MARGIN).find(|start| is_here(*start))?;
        let end = start + content.len();
        places.extend(start..end + usize::from(line.ends_with('\n')));
        at = end + file.get(end..)?.iter().position(|c| *c == '\n').map_or(0, |newline| newline + 1);
    }
    Some(places)
}

/// How far, at most, a line of a block is indented, or its first line is from the block's indicator.
const MAX_MARGIN: usize = 512;

/// The documents of a YAML text.
fn documents(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let start = indented_by_tab(text, error.marker().index());
            SyntaxError { problem: format!("not YAML: {}", error.info()), place: start..start + 1 }
        })?;
        tree.take(event, &span)?;
    }
    Ok(tree.documents)
}

/// The tab that indents the line after `at`, if there is one: the parser stops there, but points at what comes before.
fn indented_by_tab(text: &str, at: usize) -> usize {
    let mut rest = text.chars().enumerate().skip(at).skip_while(|(_, c)| *c != '\n').skip(1);
    rest.find(|(_, c)| *c != ' ').filter(|(_, c)| *c == '\t').map_or(at, |(tab, _)| tab)
}

/// JSON that the YAML parser does not understand, such as escaped surrogates.
fn without_places(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let value = serde_json::from_str(text)
        .map_err(|error| SyntaxError { problem: format!("not JSON: {error}"), place: 0..0 })?;
    Ok(vec![of_value(value)])
}

fn of_value(value: Value) -> Node {
    let kind = match value {
        Value::Array(items) => Kind::List(items.into_iter().map(of_value).collect()),
        Value::Object(fields) => {
            Kind::Object(fields.into_iter().map(|(key, value)| (of_value(key.into()), of_value(value))).collect())
        }
        Value::String(text) => Kind::Scalar(text.clone(), text.into()),
        other => Kind::Scalar(other.to_string(), other),
    };
    Node { place: 0..0, kind }
}

/// A tree that grows event by event.
#[derive(Default)]
struct Tree {
    documents: Vec<Node>,
    /// The lists and objects still open, each with its anchor and, in an object, the name whose value comes next.
    open: Vec<(Node, usize, Option<Node>)>,
    anchors: BTreeMap<usize, Node>,
    copied: usize,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), SyntaxError> {
        let place = span.start.index()..span.end.index();
        let error = |problem: &str| SyntaxError { problem: problem.to_owned(), place: place.clone() };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = resolve(&text, style, tag.as_deref());
                self.add(Node { place, kind: Kind::Scalar(text.into_owned(), value) }, anchor)?;
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) if self.open.len() < MAX_DEPTH => {
                let is_list = matches!(event, Event::SequenceStart(..));
                let kind = if is_list { Kind::List(Vec::new()) } else { Kind::Object(Vec::new()) };
                self.open.push((Node { place, kind }, anchor, None));
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => return Err(error("nested too deeply")),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((mut node, anchor, _)) = self.open.pop() {
                    node.place.end = place.end.max(node.place.start);
                    self.add(node, anchor)?;
                }
            }
            // What it stands for keeps its own place.
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).ok_or_else(|| error("an alias without an anchor"))?;
                count(&mut self.copied, node)?;
                let node = node.clone();
                self.add(node, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), SyntaxError> {
        if anchor != 0 {
            count(&mut self.copied, &node)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some((Node { kind: Kind::List(items), .. }, ..)) => items.push(node),
            Some((Node { kind: Kind::Object(fields), .. }, _, key)) => match key.take() {
                None => *key = Some(node),
                Some(name) => fields.push((name, node)),
            },
            Some((Node { kind: Kind::Scalar(..), .. }, ..)) => {}
        }
        Ok(())
    }
}

/// Counts a copy, before it is made.
fn count(copied: &mut usize, node: &Node) -> Result<(), SyntaxError> {
    *copied += node.size();
    if *copied > MAX_COPIED {
        let problem = "anchors and aliases copy too much".to_owned();
        return Err(SyntaxError { problem, place: node.place.clone() });
    }
    Ok(())
}

/// What a scalar stands for (YAML 1.2.2, section 10.3.2).
fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_string = tag.is_some_and(|tag| tag.suffix == "str" || tag.suffix == "!");
    if style != ScalarStyle::Plain || is_string {
        return text.into();
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    let radix = |prefix, radix| text.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok());
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => {
            let integer = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| digits.parse().ok()).map(Value::from);
            let is_number = digits.starts_with(|c: char| c.is_ascii_digit() || "-.".contains(c));
            let integer = integer.or_else(|| digits.parse::<u64>().ok().map(Value::from));
            let fraction =
                || digits.parse::<f64>().ok().filter(|number| is_number && number.is_finite()).map(Value::from);
            integer.or_else(fraction).unwrap_or_else(|| text.into())
        }
    }
}
