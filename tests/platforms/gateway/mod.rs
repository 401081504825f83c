//! The manifests under `envoy/gateway` in real Envoy, as Envoy Gateway gives them to a proxy. `tests/manifests` checks
//! their fields.

use crate::manifest::{host_variables, of_kind, secret_variables, wasm_filter};
use crate::support::{self, Envoy, PROOF, Upstream, check_denied, trials::plain, verify};
use auth_o_tron_envoy::rejection::Code;
use libtest_mimic::Trial;
use serde_json::{Value, json};

const FILE: &str = "gateway/gateway.yaml";

fn who_has_the_proof_gets_a_token() {
    let upstream = Upstream::start();
    let mut bootstrap = support::gateways(&[("gateway", json!({}))], upstream.port);
    let manager = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    manager["http_filters"][0] = wasm_filter(&of_kind(FILE, "EnvoyExtensionPolicy"));
    let envoy = Envoy::start(&bootstrap);
    let send = |proof: &str| {
        let headers = [("x-auth-username", "alice"), ("x-auth-realm", "internal"), ("x-auth-proof", proof)];
        let request = support::request(&headers);
        (support::send(envoy.port("gateway"), &request).expect("a reply"), upstream.take("case"))
    };
    let (reply, arrived) = send(PROOF);
    assert_eq!(reply.status, 200, "{reply:?}");
    let arrived = arrived.expect("it arrived");
    assert!(!arrived.headers.iter().any(|(name, _)| name.starts_with("x-auth")), "{arrived:?}");
    let authorization = arrived.value("authorization").expect("a token");
    assert_eq!(verify(authorization.strip_prefix("Bearer ").unwrap())["sub"], "internal-alice");

    let (reply, arrived) = send("forged");
    check_denied(Code::IdentityUntrusted, &reply);
    assert!(arrived.is_none(), "{arrived:?}");
}

/// The policy is about the gateway, whose proxies have the secrets that the policy gives to the filter.
fn the_resources_refer_to_one_another() {
    let [policy, proxy, gateway] = ["EnvoyExtensionPolicy", "EnvoyProxy", "Gateway"].map(|kind| of_kind(FILE, kind));
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

pub fn trials() -> Vec<Trial> {
    plain![who_has_the_proof_gets_a_token, the_resources_refer_to_one_another,]
}
