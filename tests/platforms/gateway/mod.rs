//! The manifests under `envoy/gateway` in real Envoy, as Envoy Gateway gives them to a proxy.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    manifest::{host_variables, of_kind, secret_variables, wasm_filter},
    support::{
        PROOF,
        scene::Scene,
        shipped::{gateways, manager},
        trials::plain,
    },
};

pub fn trials() -> Vec<Trial> {
    plain![the_resources_refer_to_one_another]
}

pub fn who_has_the_proof_gets_a_token(file: &str) {
    let scene = Scene::start("debug", |upstream, _| {
        let mut bootstrap = gateways(&[("gateway", json!({}))], upstream);
        manager(&mut bootstrap)["http_filters"][0] = wasm_filter(&of_kind(file, "EnvoyExtensionPolicy"));
        bootstrap
    });
    scene.check_secret(PROOF);
}

/// The policy is about the gateway, whose proxies have the secrets that the policy gives to the filter.
fn the_resources_refer_to_one_another() {
    let [policy, proxy, gateway] =
        ["EnvoyExtensionPolicy", "EnvoyProxy", "Gateway"].map(|kind| of_kind("gateway/gateway.yaml", kind));
    let name = |manifest: &Value| manifest["metadata"]["name"].clone();
    let namespace = |manifest: &Value| manifest["metadata"]["namespace"].clone();
    let group = |manifest: &Value| manifest["apiVersion"].as_str().unwrap().split('/').next().unwrap().to_owned();
    assert_eq!(
        policy["spec"]["targetRefs"],
        json!([{"group": group(&gateway), "kind": "Gateway", "name": name(&gateway)}])
    );
    let parameters = json!({"group": group(&proxy), "kind": "EnvoyProxy", "name": name(&proxy)});
    assert_eq!(gateway["spec"]["infrastructure"]["parametersRef"], parameters);
    assert_eq!([namespace(&policy), namespace(&proxy)], [namespace(&gateway), namespace(&gateway)]);

    let container = &proxy["spec"]["provider"]["kubernetes"]["envoyDeployment"]["container"];
    assert_eq!(host_variables(&policy["spec"]["wasm"][0]), secret_variables(container));
    assert_eq!(policy["spec"]["wasm"][0]["failOpen"], false);
}
