//! What Envoy says to a configuration: every wrong one stops Envoy with one readable line.

use std::{collections::BTreeSet, fs, process::Output};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::support::{
    PROOF, SIGNING_SECRET,
    configurations::{RESERVED, TYPED_SECRET, VARIABLES, accepted, changed, refused},
    envoy,
    shipped::{demo_configuration, manager, on_free_ports, plugin, shipped, without_service},
    trials,
};

/// The demo's bootstrap with `given` as the filter's `configuration`, and some variables for the wrong ones.
fn bootstrap(given: Value) -> Value {
    let mut bootstrap = shipped("envoy.yaml");
    without_service(&mut bootstrap);
    on_free_ports(&mut bootstrap, 1);
    let filter = plugin(manager(&mut bootstrap));
    filter["configuration"] = given;
    let variables = filter["vm_config"]["environment_variables"]["key_values"].as_object_mut().unwrap();
    variables.extend(VARIABLES.map(|(name, value)| (name.to_owned(), json!(value))));
    bootstrap
}

fn string_value(text: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text})
}

fn validate(bootstrap: &Value) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("envoy.json");
    fs::write(&config, bootstrap.to_string()).unwrap();
    envoy::validate(&config)
}

/// Envoy stops, and the filter says why in exactly one line, which shows no secret.
fn check_refused(plugin: Value, expected: &str) {
    let output = validate(&bootstrap(plugin));
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    let lines: Vec<_> = log.lines().filter_map(|line| line.split_once("configuration refused: ")).collect();
    let [(_, line)] = lines[..] else { panic!("expected one line: {log}") };
    assert!(line.starts_with(expected), "found    {line}\nexpected {expected}");
    assert!(!log.contains("panicked"), "{log}");
    for secret in [TYPED_SECRET, SIGNING_SECRET, PROOF] {
        assert!(!line.contains(secret), "{line}");
    }
}

fn trial(name: &str, check: impl FnOnce() + Send + 'static) -> Trial {
    trials::trial(module_path!(), &shortened(name), check)
}

fn refused_trials() -> Vec<Trial> {
    let changes = refused().into_iter().map(|(pointer, value, expected)| {
        let name =
            if value.is_null() { format!("refused: no {pointer}") } else { format!("refused: {pointer} {value}") };
        trial(&name, move || check_refused(string_value(&changed(pointer, &value).to_string()), expected))
    });
    let reserved = RESERVED.iter().map(|claim| {
        let plugin = changed("/claims", &json!({"extra": {*claim: "a"}}));
        let expected =
            format!("claims.extra.{claim}: found a claim that is the filter's to set, expected another name");
        trial(&format!("refused: claims.extra.{claim}"), move || {
            check_refused(string_value(&plugin.to_string()), &expected);
        })
    });
    let structure = json!({
        "@type": "type.googleapis.com/google.protobuf.Struct", "value": demo_configuration(),
    });
    let whole = [
        (
            "a Struct",
            structure,
            "configuration: found a google.protobuf.Struct, expected JSON in a google.protobuf.StringValue",
        ),
        ("nothing", string_value(""), "configuration: found nothing, expected JSON"),
        ("no JSON", string_value("jwt: {}"), "configuration: not JSON: expected value at line 1 column 1"),
        ("JSON cut short", string_value("{\"jwt\": {"), "configuration: not JSON: EOF"),
    ];
    let whole = whole
        .map(|(name, plugin, expected)| trial(&format!("refused: {name}"), move || check_refused(plugin, expected)));
    changes.chain(reserved).chain(whole).collect()
}

fn accepted_trials() -> impl Iterator<Item = Trial> {
    accepted().into_iter().map(|(pointer, value)| {
        trial(&format!("accepted: {pointer} {value}"), move || {
            let output = validate(&bootstrap(string_value(&changed(pointer, &value).to_string())));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        })
    })
}

/// A name of a trial that fits a line.
fn shortened(name: &str) -> String {
    if name.chars().count() <= 110 { name.to_owned() } else { name.chars().take(110).chain(['…']).collect() }
}

/// The control: what `check_refused` starts from is accepted, so it is the change that is refused.
fn check_unchanged() {
    let output = validate(&bootstrap(string_value(&demo_configuration().to_string())));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A secret in the configuration itself is taken, with a warning that names its place and not the secret. In the
/// environment it warns of nothing.
fn check_warned() {
    const INLINE: &str = "an inline secret, as long as it must be";
    let key = |kid: &str| json!({"kid": kid, "not_before": "2026-12-01T00:00:00Z", "secret": INLINE});
    let mut inline = demo_configuration();
    inline["jwt"] = json!({"iss": "a", "exp": 60, "secret": INLINE, "rotation": [key("next")]});
    inline["trust"] = json!([
        {"shared_secret": {"header": "x-auth-proof", "secret_env": "PROXY_SECRET"}},
        {"shared_secret": {"header": "x-partner-proof", "secret": INLINE}},
        {"signature": {"keys": [{"keyid": "a", "secret_env": "AUTH_O_TRON_SECRET"}, {"keyid": "b", "secret": INLINE}]}},
    ]);
    for (configuration, expected) in [
        (demo_configuration(), vec![]),
        (
            inline,
            vec![
                "jwt.secret",
                "jwt.rotation[0].secret",
                "trust[1].shared_secret.secret",
                "trust[2].signature.keys[1].secret",
            ],
        ),
    ] {
        let output = validate(&bootstrap(string_value(&configuration.to_string())));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
        let warnings: Vec<_> = log.lines().filter_map(|line| line.split_once(": found a secret in the ")).collect();
        // Each VM warns, and Envoy has several.
        let paths: BTreeSet<_> = warnings.iter().map(|(before, _)| before.rsplit(' ').next().unwrap()).collect();
        assert_eq!(paths, expected.into_iter().collect(), "{log}");
        assert!(!warnings.iter().any(|(_, rest)| rest.contains(INLINE)), "{log}");
    }
}

pub fn trials() -> Vec<Trial> {
    let mut trials: Vec<_> = refused_trials().into_iter().chain(accepted_trials()).collect();
    trials.push(trial("accepted: the unchanged configuration", check_unchanged));
    trials.push(trial("accepted: a secret in the configuration, with a warning", check_warned));
    trials
}
