//! What a request costs in the built module: instructions and calls to the host, exactly the same on every run.
//!
//! `tests/module/cost.json` holds the figures. A change that makes a request dearer by more than 2 % fails here; `make cost`
//! writes the new figures down, for the commit that explains them.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    support::{self, PROOF, SIGNING_SECRET},
    vm::{Vm, configuration, map},
};

/// Instructions, in the fuel of `wasmi`, and calls to the host.
type Cost = (u64, u64);

fn recorded() -> PathBuf {
    support::top().join("tests/module/cost.json")
}

/// A request as Envoy hands it over, with `more` headers.
fn request(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let common = [
        (":authority", "example.com"),
        (":path", path),
        (":method", "GET"),
        (":scheme", "https"),
        ("user-agent", "curl/8.5.0"),
        ("accept", "*/*"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "6efeaf53-5c1e-44fe-9e7e-3c86429e44c6"),
    ];
    map(&[&common, more].concat())
}

const ALICE: &[(&str, &str)] = &[
    ("x-auth-username", "alice"),
    ("x-auth-realm", "internal"),
    ("x-auth-roles", "admin,developer"),
    ("x-auth-scopes", "read write"),
    ("x-auth-attributes", r#"{"department":"engineering","team":"platform"}"#),
];

fn configured(changes: &Value) -> Vm {
    let mut configuration = configuration();
    configuration["rules"] = json!([{"match": {"path_prefix": "/healthz"}, "action": "pass"}]);
    for (field, value) in changes.as_object().unwrap() {
        configuration[field] = value.clone();
    }
    let mut vm = Vm::start();
    // As Envoy by default: `info`.
    vm.store.data_mut().log_level = 2;
    vm.store.data_mut().configuration = configuration.to_string().into_bytes();
    assert!(vm.configure(), "{}", vm.store.data().log);
    vm
}

/// The cost of `map` on a warm module, `seconds` after the same request before it.
fn cost(vm: &mut Vm, map: &[u8], seconds: u64, status: Option<u16>) -> Cost {
    let mut measured = (0, 0);
    // The first request makes what later ones find.
    for _ in 0..3 {
        vm.store.data_mut().time += seconds * 1_000_000_000;
        let before = (vm.store.get_fuel().unwrap(), vm.store.data().calls.get());
        assert_eq!(vm.request(map.to_vec()).1, status);
        measured = (before.0 - vm.store.get_fuel().unwrap(), vm.store.data().calls.get() - before.1);
    }
    measured
}

fn costs() -> BTreeMap<&'static str, Cost> {
    let proven = request("/", &[ALICE, &[("x-auth-proof", PROOF)]].concat());
    let mut vm = configured(&json!({}));
    let mut costs = BTreeMap::from([
        ("issue", cost(&mut vm, &proven, 1, None)),
        ("reuse", cost(&mut vm, &proven, 0, None)),
        ("deny: no proof", cost(&mut vm, &request("/", ALICE), 0, Some(401))),
        ("deny: no identity", cost(&mut vm, &request("/", &[]), 0, Some(401))),
        ("pass by a rule", cost(&mut vm, &request("/healthz", &[]), 0, None)),
    ]);
    let mut signature =
        configured(&json!({"trust": [{"signature": {"keys": [{"keyid": "gw-1", "secret": SIGNING_SECRET}]}}]}));
    let mut lines =
        vec!["\"@method\": GET".to_owned(), "\"@authority\": example.com".to_owned(), "\"@path\": /".to_owned()];
    lines.extend(ALICE.iter().map(|(name, value)| format!("\"{name}\": {value}")));
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let params = r#";created=1704063600;keyid="gw-1""#;
    let fields = support::signature_fields("gw", &lines, params, SIGNING_SECRET);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let signed = request("/", &[ALICE, &fields].concat());
    costs.insert("issue by signature", cost(&mut signature, &signed, 1, None));
    costs.insert("reuse by signature", cost(&mut signature, &signed, 0, None));
    costs
}

#[test]
fn no_request_costs_more_than_recorded() {
    let costs = costs();
    if std::env::var_os("RECORD_COST").is_some() {
        fs::write(recorded(), serde_json::to_string_pretty(&costs).unwrap() + "\n").unwrap();
    }
    let recorded: BTreeMap<String, Cost> = serde_json::from_slice(&fs::read(recorded()).unwrap()).unwrap();
    assert!(recorded.keys().eq(costs.keys()), "other requests are measured: run `make cost`");
    for (name, (fuel, calls)) in costs {
        let (recorded_fuel, recorded_calls) = recorded[name];
        assert!(fuel <= recorded_fuel + recorded_fuel / 50, "{name}: {fuel} instructions, {recorded_fuel} recorded");
        assert!(calls <= recorded_calls, "{name}: {calls} calls to the host, {recorded_calls} recorded");
    }
}
