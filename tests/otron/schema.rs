//! The JSON Schema of the plugin configuration: it is current, and an independent validator says what the filter says, as
//! far as a schema can.

use std::{fs, process::Command};

use auth_o_tron_envoy::config::field::{ConfigError, ErrorKind};
use jsonschema::Validator;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::support::{
    cases::gateways,
    configurations::{accepted, changed, environment, refused},
    demo_configuration,
    policy::refusals,
    shipped_documents, shipped_text, shipped_yaml, top,
    trials::plain,
};

fn schema() -> Value {
    serde_json::from_str(&shipped_text("plugin-config.schema.json")).unwrap()
}

fn validator() -> Validator {
    let schema = schema();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn it_is_what_otron_schema_prints() {
    let printed = Command::new(env!("CARGO_BIN_EXE_otron")).arg("schema").output().unwrap().stdout;
    let committed = fs::read(top().join("envoy/plugin-config.schema.json")).unwrap();
    assert!(printed == committed, "envoy/plugin-config.schema.json is out of date: run `make schema`");
}

/// What is a plugin configuration in a document: an object with `jwt` and `trust`, or a text of such JSON.
fn plugin_configurations(document: &Value, found: &mut Vec<Value>) {
    match document {
        Value::Object(fields) if fields.contains_key("jwt") && fields.contains_key("trust") => {
            found.push(document.clone());
        }
        Value::Object(fields) => fields.values().for_each(|value| plugin_configurations(value, found)),
        Value::Array(items) => items.iter().for_each(|item| plugin_configurations(item, found)),
        Value::String(text) if text.contains("\"jwt\"") => {
            plugin_configurations(&serde_json::from_str(text).unwrap(), found);
        }
        _ => {}
    }
}

fn every_shipped_configuration_is_valid() {
    let mut found = Vec::new();
    for file in shipped_yaml() {
        for document in shipped_documents(&file) {
            plugin_configurations(&document, &mut found);
        }
    }
    assert!(found.len() >= 7, "{}", found.len());
    let tables = gateways::configurations().into_iter().map(|(_, configuration)| configuration);
    let changes = accepted().into_iter().map(|(pointer, value)| changed(pointer, &value));
    for configuration in found.into_iter().chain(tables).chain(changes) {
        let errors: Vec<_> = validator().iter_errors(&configuration).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {configuration}");
    }
}

/// Whether an error is about the structure: a field that is missing, unknown, of another type or out of its range.
fn is_structural(error: &ConfigError) -> bool {
    use ErrorKind::{Choice, Empty, Missing, Range, Type, UnknownField, UnknownWord};
    let is_kind = matches!(error.kind(), Missing | UnknownField | Type | UnknownWord | Empty | Choice | Range);
    // Which depends on the preset; and a map may have any number of members in JSON.
    is_kind && error.path() != "identity.realm" && error.path() != "identity.attributes.from"
}

fn it_refuses_what_is_wrong_in_structure() {
    let validator = validator();
    let mut checked = 0;
    for (pointer, value, _) in refused() {
        let configuration = changed(pointer, &value);
        for error in refusals(&configuration, &environment).iter().filter(|error| is_structural(error)) {
            assert!(!validator.is_valid(&configuration), "{error}");
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

fn the_control_is_valid() {
    assert!(validator().is_valid(&demo_configuration()));
    assert!(!validator().is_valid(&json!({})));
}

pub fn trials() -> Vec<Trial> {
    plain![
        it_is_what_otron_schema_prints,
        every_shipped_configuration_is_valid,
        it_refuses_what_is_wrong_in_structure,
        the_control_is_valid,
    ]
}
