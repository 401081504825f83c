//! The reference, `envoy/plugin-config/README.md`, has every field of the schema, with its default.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use serde_json::{Map, Value};

use crate::support::{shipped_text, trials::plain};

/// A field of the schema: its default as the reference writes it, or none where that says nothing.
type Fields = BTreeMap<String, Option<String>>;

/// Every field below `schema`, whose path begins with `path`.
fn fields(root: &Value, schema: &Value, path: &str, found: &mut Fields) {
    let schema = resolve(root, schema);
    if let Some(items) = schema.get("items") {
        fields(root, items, &format!("{path}[]"), found);
    }
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().unwrap_or(&Map::new()) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let default = if required.contains(&name.as_str()) {
            Some("required".to_owned())
        } else {
            field.get("default").filter(|default| !default.is_null()).map(|default| spaced(&default.to_string()))
        };
        found.insert(path.clone(), default);
        fields(root, field, &path, found);
    }
}

/// What a `$ref` stands for, also where null is allowed beside it.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let schema =
        schema.get("anyOf").and_then(|any| any.get(0)).filter(|one| one.get("$ref").is_some()).unwrap_or(schema);
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// A list as people write it.
fn spaced(json: &str) -> String {
    json.replace("\",\"", "\", \"")
}

/// The rows of the reference's tables of fields: each a path, and its default.
fn rows(reference: &str) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut lines = reference.lines();
    while lines.any(|line| line == "| field | type | default | meaning |") {
        for line in lines.by_ref().skip(1).take_while(|line| line.starts_with('|')) {
            let cells: Vec<_> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            rows.push((cells[1].to_owned(), cells[3].to_owned()));
        }
    }
    rows
}

fn the_reference_has_every_field_with_its_default() {
    let schema: Value = serde_json::from_str(&shipped_text("plugin-config.schema.json")).unwrap();
    let mut expected = Fields::new();
    fields(&schema, &schema, "", &mut expected);
    let reference = shipped_text("plugin-config/README.md");
    let mut seen = BTreeMap::new();
    for (path, default) in rows(&reference) {
        let expected = expected.get(&path).unwrap_or_else(|| panic!("{path}: the schema has no such field"));
        // Where the schema has no default, that of a header depends on the preset, and a list or an object is empty.
        let is_of_preset = path.starts_with("identity.") && (path.ends_with(".header") || path.ends_with(".format"));
        match expected {
            Some(expected) => assert_eq!(default, *expected, "{path}"),
            None => assert!(is_of_preset || ["", "[]", "{}"].contains(&default.as_str()), "{path}: {default}"),
        }
        assert!(seen.insert(path.clone(), default).is_none(), "{path} has two rows");
    }
    let missing: Vec<_> = expected.keys().filter(|path| !seen.contains_key(*path)).collect();
    assert!(missing.is_empty(), "the reference does not have {missing:?}");
}

pub fn trials() -> Vec<Trial> {
    plain![the_reference_has_every_field_with_its_default]
}
