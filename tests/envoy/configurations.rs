//! What Envoy says to a configuration: to every wrong one, in one readable line, that it does not take it.
//!
//! All are given to one Envoy while it runs, which takes milliseconds where a start takes a second of both CPUs. That a wrong
//! configuration stops an Envoy which starts is shown by one of each section.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    process::Output,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::support::{
    PROOF, SIGNING_SECRET,
    cases::honest,
    configurations::{RESERVED, Refused, TYPED_SECRET, VARIABLES, accepted, changed, refused},
    discovery::{self, Discovery, Update, plugin_of},
    envoy, send,
    shipped::{demo_configuration, manager, on_free_ports, plugin, shipped, without_service},
    trials::{self, Shared},
};

pub static RUNNING: Shared<Discovery> =
    Shared::new(|| Discovery::start(&resource(&string_value(&demo_configuration().to_string()))));

fn string_value(text: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text})
}

fn change(pointer: &str, value: &Value) -> Value {
    string_value(&changed(pointer, value).to_string())
}

/// Gives a plugin this `configuration`, and the variables that the wrong ones name.
fn configure(plugin: &mut Value, configuration: &Value) {
    plugin["configuration"] = configuration.clone();
    let variables = plugin["vm_config"]["environment_variables"]["key_values"].as_object_mut().unwrap();
    variables.extend(VARIABLES.map(|(name, value)| (name.to_owned(), json!(value))));
}

fn resource(configuration: &Value) -> Value {
    let mut resource = discovery::resource();
    configure(plugin_of(&mut resource), configuration);
    resource
}

/// A start of the demo's gateway with this configuration.
fn validate(configuration: &Value) -> Output {
    let mut bootstrap = shipped("envoy.yaml");
    without_service(&mut bootstrap);
    on_free_ports(&mut bootstrap, 1);
    configure(plugin(manager(&mut bootstrap)), configuration);
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("envoy.json");
    fs::write(&config, bootstrap.to_string()).unwrap();
    envoy::validate(&config)
}

/// The filter says why in exactly one line, which shows no secret.
fn check_line(log: &str, expected: &str) {
    let lines: Vec<_> = log.lines().filter_map(|line| line.split_once("configuration refused: ")).collect();
    let [(_, line)] = lines[..] else { panic!("expected one line: {log}") };
    assert!(line.starts_with(expected), "found    {line}\nexpected {expected}");
    assert!(!log.contains("panicked"), "{log}");
    for secret in [TYPED_SECRET, SIGNING_SECRET, PROOF] {
        assert!(!line.contains(secret), "{line}");
    }
}

/// Envoy does not take it, and goes on with the one before.
fn check_refused(running: &mut Discovery, configuration: &Value, expected: &str) {
    running.envoy.new_log();
    assert_eq!(running.update(&resource(configuration)), Update::Rejected);
    check_line(&running.envoy.new_log(), expected);
    check_issues(running);
}

/// Envoy takes it; then the demo's again.
fn check_accepted(running: &mut Discovery, configuration: &Value) {
    for configuration in [configuration, &string_value(&demo_configuration().to_string())] {
        assert_eq!(running.update(&resource(configuration)), Update::Success, "{}", running.envoy.log());
    }
    check_issues(running);
}

fn check_issues(running: &Discovery) {
    let reply = send(running.envoy.port("gateway"), &honest("shipped").wire()).expect("a reply");
    assert!(reply.value("x-token").is_some_and(|token| token.starts_with("Bearer ")), "{reply:?}");
}

/// Envoy stops.
fn check_stopped(configuration: &Value, expected: &str) {
    let output = validate(configuration);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    check_line(&log, expected);
}

fn trial(name: &str, check: impl FnOnce() + Send + 'static) -> Trial {
    trials::trial(module_path!(), &shortened(name), check)
}

fn refused_trials() -> Vec<Trial> {
    let named = |name: &str, configuration: Value, expected: String| {
        trial(&format!("refused: {name}"), move || {
            RUNNING.with(|running| check_refused(running, &configuration, &expected));
        })
    };
    let changes = refused().into_iter().map(|(pointer, value, expected)| {
        named(&described(pointer, &value), change(pointer, &value), expected.to_owned())
    });
    let reserved = RESERVED.iter().map(|claim| {
        let expected = format!("claims.extra.{claim}: found a claim that the filter sets, expected another name");
        named(&format!("claims.extra.{claim}"), change("/claims", &json!({"extra": {*claim: "a"}})), expected)
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
    let whole = whole.map(|(name, configuration, expected)| named(name, configuration, expected.to_owned()));
    changes.chain(reserved).chain(whole).collect()
}

/// One of each section.
fn stopped_trials() -> Vec<Trial> {
    let mut sections = HashSet::new();
    let is_first = |(pointer, ..): &Refused| sections.insert(pointer.split('/').nth(1));
    let rows = refused().into_iter().filter(is_first).collect::<Vec<_>>().into_iter();
    rows.map(|(pointer, value, expected)| {
        trial(&format!("stops Envoy: {}", described(pointer, &value)), move || {
            check_stopped(&change(pointer, &value), expected);
        })
    })
    .collect()
}

fn accepted_trials() -> impl Iterator<Item = Trial> {
    accepted().into_iter().map(|(pointer, value)| {
        trial(&format!("accepted: {}", described(pointer, &value)), move || {
            RUNNING.with(|running| check_accepted(running, &change(pointer, &value)));
        })
    })
}

fn described(pointer: &str, value: &Value) -> String {
    if value.is_null() { format!("no {pointer}") } else { format!("{pointer} {value}") }
}

/// A name of a trial that fits a line.
fn shortened(name: &str) -> String {
    if name.chars().count() <= 110 { name.to_owned() } else { name.chars().take(110).chain(['…']).collect() }
}

/// The control: what all are changes of is accepted, so it is the change that is refused.
fn check_unchanged() {
    let output = validate(&string_value(&demo_configuration().to_string()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Whoever wrote it learns of every error at once, a line each.
fn check_every_error_has_a_line(running: &mut Discovery) {
    let wrong =
        json!({"jwt": {"iss": "", "exp": "1h"}, "trust": [{}, {"peer": {"cidrs": ["x"]}}], "on_missing": "allow"});
    running.envoy.new_log();
    assert_eq!(running.update(&resource(&string_value(&wrong.to_string()))), Update::Rejected);
    let log = running.envoy.new_log();
    let lines = log.lines().filter_map(|line| line.split_once("configuration refused: ")).map(|(_, line)| line);
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "jwt.exp: found \"1h\", expected an integer",
            "on_missing: found `allow`, expected `deny` or `pass`",
            "trust[0]: found no proof, expected one of `shared_secret`, `signature`, `mtls`, `peer`, `filter_state`",
            "trust[1].peer.cidrs[0]: found \"x\", expected an address and the length of its prefix, such as \"10.0.0.0/8\"",
        ]
    );
    check_issues(running);
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
        let output = validate(&string_value(&configuration.to_string()));
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
    let mut trials: Vec<_> =
        [refused_trials(), stopped_trials(), accepted_trials().collect()].into_iter().flatten().collect();
    trials.push(trial("refused: several errors at once", || RUNNING.with(check_every_error_has_a_line)));
    trials.push(trial("accepted: the unchanged configuration", check_unchanged));
    trials.push(trial("accepted: a secret in the configuration, with a warning", check_warned));
    trials
}
