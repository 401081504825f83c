//! The manifests of Istio and Envoy Gateway under `envoy/`, read with the types of the resources: a field that the type
//! does not have, a value of the wrong type and an unknown name of a value are errors.
//!
//! Istio's types are those of `istio-api-rs`, Kubernetes' and the Gateway API's those of `k8s-openapi` and
//! `gateway-api`. No package has Envoy Gateway's own kinds and Istio's `TrafficExtension`: their types are below, as
//! the documentation describes the fields that the manifests use.

#![cfg(test)]

use std::{collections::BTreeMap, fs, path::Path};

use gateway_api::apis::standard::gateways::GatewaySpec as GatewayApiGateway;
use istio_api_rs::{
    extensions::v1alpha1::wasm_plugin::WasmPluginSpec,
    networking::v1::{destination_rule::DestinationRuleSpec, gateway::GatewaySpec},
    security::v1::{authorization_policy::AuthorizationPolicySpec, request_authentication::RequestAuthenticationSpec},
};
use k8s_openapi::{
    api::core::v1::{Container, EnvVar},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// What is the user's own in a manifest: labels, and the configuration of the plugin, which `istio` and
/// `gateway` beside this folder give to the filter itself.
const FREE: &[&str] = &["config", "matchLabels", "pluginConfig"];

#[derive(Deserialize)]
#[allow(dead_code)]
struct Document {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    metadata: ObjectMeta,
    spec: Map<String, Value>,
}

/// `spec.template.spec.containers`, and nothing else.
type Patch = BTreeMap<String, BTreeMap<String, BTreeMap<String, BTreeMap<String, Vec<Container>>>>>;

// === kinds that no package has ===

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct EnvoyExtensionPolicySpec {
    target_refs: Vec<TargetRef>,
    wasm: Vec<Wasm>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct TargetRef {
    group: String,
    kind: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Wasm {
    name: Option<String>,
    #[serde(rename = "rootID")]
    root_id: Option<String>,
    code: Code,
    config: Option<Value>,
    fail_open: Option<bool>,
    env: Option<Env>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Code {
    r#type: CodeType,
    image: Image,
    pull_policy: Option<PullPolicy>,
}

#[derive(Deserialize)]
enum CodeType {
    Image,
}

#[derive(Deserialize)]
enum PullPolicy {
    IfNotPresent,
    Always,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Image {
    url: String,
    sha256: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Env {
    host_keys: Vec<String>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct EnvoyProxySpec {
    provider: Provider,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Provider {
    r#type: ProviderType,
    kubernetes: Kubernetes,
}

#[derive(Deserialize)]
enum ProviderType {
    Kubernetes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Kubernetes {
    envoy_deployment: EnvoyDeployment,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct EnvoyDeployment {
    container: EnvoyContainer,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct EnvoyContainer {
    env: Vec<EnvVar>,
}

/// A `TrafficExtension` is a `WasmPlugin` whose fields about the module are under `wasm`.
fn wasm_plugin(traffic_extension: &Value) -> Result<Value, String> {
    let mut spec = traffic_extension.as_object().cloned().unwrap_or_default();
    let Some(Value::Object(wasm)) = spec.remove("wasm") else { return Err("found no `wasm`".to_owned()) };
    let is_about_the_place =
        |field: &String| ["selector", "targetRefs", "phase", "priority", "match"].contains(&&**field);
    if let Some(field) = spec.keys().find(|field| !is_about_the_place(field)) {
        return Err(format!("unknown field `{field}`"));
    }
    if let Some(field) = wasm.keys().find(|field| is_about_the_place(field)) {
        return Err(format!("unknown field `wasm.{field}`"));
    }
    spec.extend(wasm);
    Ok(Value::Object(spec))
}

// === checking ===

fn check(manifest: &Value) -> Result<(), String> {
    // The only manifest that is no resource: a patch of a Deployment.
    if manifest.get("kind").is_none() {
        read::<Patch>(manifest)?;
        let container = &manifest["spec"]["template"]["spec"]["containers"][0]["name"];
        return if container == "istio-proxy" { Ok(()) } else { Err(format!("found the container {container}")) };
    }
    read::<Document>(manifest)?;
    let spec = &manifest["spec"];
    let kind = format!("{} {}", manifest["apiVersion"], manifest["kind"]).replace('"', "");
    match &*kind {
        "extensions.istio.io/v1alpha1 WasmPlugin" => read::<WasmPluginSpec>(spec),
        "extensions.istio.io/v1alpha1 TrafficExtension" => read::<WasmPluginSpec>(&wasm_plugin(spec)?),
        "networking.istio.io/v1 DestinationRule" => read::<DestinationRuleSpec>(spec),
        "networking.istio.io/v1 Gateway" => read::<GatewaySpec>(spec),
        "security.istio.io/v1 AuthorizationPolicy" => read::<AuthorizationPolicySpec>(spec),
        "security.istio.io/v1 RequestAuthentication" => read::<RequestAuthenticationSpec>(spec),
        "gateway.envoyproxy.io/v1alpha1 EnvoyExtensionPolicy" => read::<EnvoyExtensionPolicySpec>(spec),
        "gateway.envoyproxy.io/v1alpha1 EnvoyProxy" => read::<EnvoyProxySpec>(spec),
        "gateway.networking.k8s.io/v1 Gateway" => read::<GatewayApiGateway>(spec),
        _ => Err(format!("found the kind {kind}, expected one that is listed here")),
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<(), String> {
    let mut unknown = Vec::new();
    let _: T = serde_ignored::deserialize(value, |path| unknown.push(path.to_string())).map_err(|e| e.to_string())?;
    if unknown.is_empty() { Ok(()) } else { Err(format!("unknown: {}", unknown.join(", "))) }
}

fn manifests() -> Vec<(String, Value)> {
    let envoy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../envoy");
    let files = ["istio", "gateway"].into_iter().flat_map(|directory| fs::read_dir(envoy.join(directory)).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    let manifests = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let documents = manifests.flat_map(|path| {
        let yaml = fs::read_to_string(&path).unwrap();
        let documents =
            serde_yaml_ng::Deserializer::from_str(&yaml).map(|document| Value::deserialize(document).unwrap());
        documents.map(|document| (path.display().to_string(), document)).collect::<Vec<_>>()
    });
    documents.collect()
}

/// The JSON pointers of every object whose fields are the type's to name.
fn objects(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(pointer.to_owned());
            for (name, field) in fields.iter().filter(|(name, _)| !FREE.contains(&&***name)) {
                objects(field, &format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(item, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_manifest_is_what_its_kind_allows() {
    let manifests = manifests();
    assert!(manifests.len() >= 10, "{}", manifests.len());
    for (file, manifest) in manifests {
        check(&manifest).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

#[test]
fn a_field_that_the_type_does_not_have_is_refused_wherever_it_is() {
    for (file, manifest) in manifests() {
        let mut pointers = Vec::new();
        objects(&manifest, "", &mut pointers);
        for pointer in pointers {
            let mut changed = manifest.clone();
            // An Istio Gateway's selector is labels.
            if pointer == "/spec/selector" && manifest["kind"] == "Gateway" {
                continue;
            }
            changed.pointer_mut(&pointer).unwrap()["typo"] = json!(1);
            assert!(check(&changed).is_err(), "{file}: `{pointer}/typo` is accepted");
        }
    }
}

#[test]
fn a_value_that_the_type_does_not_have_is_refused() {
    for (kind, pointer, value) in [
        ("WasmPlugin", "/spec/phase", json!("AUTHX")),
        ("WasmPlugin", "/spec/priority", json!("100")),
        ("WasmPlugin", "/spec/failStrategy", json!("FAIL_CLOSED")),
        ("WasmPlugin", "/spec/vmConfig/env/0/valueFrom", json!("SECRET")),
        ("TrafficExtension", "/spec/phase", json!("AUTHX")),
        ("TrafficExtension", "/spec/wasm/imagePullPolicy", json!("Never")),
        ("TrafficExtension", "/spec/wasm", Value::Null),
        ("DestinationRule", "/spec/trafficPolicy/tls/mode", json!("MESH")),
        ("AuthorizationPolicy", "/spec/action", json!("PERMIT")),
        ("RequestAuthentication", "/spec/jwtRules/0/jwks", json!({})),
        ("EnvoyExtensionPolicy", "/spec/wasm/0/code/type", json!("OCI")),
        ("EnvoyExtensionPolicy", "/spec/wasm/0/failOpen", json!("no")),
        ("EnvoyProxy", "/spec/provider/type", json!("Docker")),
        ("EnvoyProxy", "/apiVersion", json!("gateway.envoyproxy.io/v1")),
    ] {
        let manifests = manifests();
        let (_, manifest) = manifests.iter().find(|(_, manifest)| manifest["kind"] == kind).unwrap();
        let mut changed = manifest.clone();
        *changed.pointer_mut(pointer).unwrap() = value.clone();
        assert!(check(&changed).is_err(), "{kind}: {value} in {pointer} is accepted");
    }
}
