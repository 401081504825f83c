//! Kubernetes manifests, and what Envoy gets of them from istiod and from Envoy Gateway.
//!
//! istiod: `pilot/pkg/model/extensions.go` and its successor for `TrafficExtension`, `pilot/pkg/security/authn`,
//! `pilot/pkg/security/authz`. Envoy Gateway: `internal/xds/translator/wasm.go`. Both fetch the module themselves, and
//! hand it to Envoy as a file or by HTTP: here it is the built one.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::support::{module, shipped::shipped_documents};

/// The document of a kind, in a YAML file under `envoy/`.
pub fn of_kind(file: &str, kind: &str) -> Value {
    shipped_documents(file).into_iter().find(|document| document["kind"] == kind).expect(kind)
}

/// The Wasm filter of a `WasmPlugin`, a `TrafficExtension` or an `EnvoyExtensionPolicy`.
pub fn wasm_filter(manifest: &Value) -> Value {
    let spec = &manifest["spec"];
    let name = format!("{}.{}", text(&manifest["metadata"]["namespace"]), text(&manifest["metadata"]["name"]));
    match text(&manifest["kind"]) {
        "WasmPlugin" => istio_filter(&name, spec),
        "TrafficExtension" => istio_filter(&name, &spec["wasm"]),
        "EnvoyExtensionPolicy" => envoy_gateway_filter(&spec["wasm"][0]),
        kind => panic!("{kind} is no kind with a module"),
    }
}

fn istio_filter(name: &str, wasm: &Value) -> Value {
    let variables = wasm["vmConfig"]["env"].as_array().unwrap().iter().filter(|variable| !is_from_host(variable));
    let values: Map<_, _> = variables.map(|it| (text(&it["name"]).to_owned(), it["value"].clone())).collect();
    let mut filter = filter(name, &wasm["pluginName"], &wasm["pluginConfig"], &host_variables(wasm));
    let config = &mut filter["typed_config"]["config"];
    config["vm_config"]["environment_variables"]["key_values"] = json!(values);
    config["failure_policy"] = match wasm["failStrategy"].as_str() {
        None | Some("FAIL_CLOSE") => json!("FAIL_CLOSED"),
        Some(policy) => json!(policy),
    };
    filter
}

fn envoy_gateway_filter(wasm: &Value) -> Value {
    let name = text(&wasm["name"]);
    let mut filter = filter(name, &wasm["rootID"], &wasm["config"], &host_variables(wasm));
    let config = &mut filter["typed_config"]["config"];
    config["vm_config"]["vm_id"] = json!(name);
    config["fail_open"] = json!(wasm["failOpen"] == true);
    filter
}

fn filter(name: &str, root_id: &Value, configuration: &Value, host_variables: &BTreeSet<&str>) -> Value {
    json!({"name": name, "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": name,
            "root_id": root_id,
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": module()}},
                "environment_variables": {"host_env_keys": host_variables},
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": configuration.to_string(),
            },
        },
    }})
}

/// The variables of the proxy's environment that a module is given.
pub fn host_variables(wasm: &Value) -> BTreeSet<&str> {
    if let Some(keys) = wasm["env"]["hostKeys"].as_array() {
        return keys.iter().map(text).collect();
    }
    let variables = wasm["vmConfig"]["env"].as_array().unwrap();
    variables.iter().filter(|variable| is_from_host(variable)).map(|variable| text(&variable["name"])).collect()
}

fn is_from_host(variable: &Value) -> bool {
    variable["valueFrom"] == "HOST"
}

/// The variables that a container has from the Secret `auth-o-tron`, under keys of their own names.
pub fn secret_variables(container: &Value) -> BTreeSet<&str> {
    let variables = container["env"].as_array().unwrap().iter().map(|variable| {
        let name = text(&variable["name"]);
        assert_eq!(variable["valueFrom"]["secretKeyRef"], json!({"name": "auth-o-tron", "key": name}));
        name
    });
    variables.collect()
}

/// The filters of Istio for a `RequestAuthentication` of one rule and an `AuthorizationPolicy` of request principals:
/// the subset that the manifest uses.
pub fn jwt_authn_and_rbac(authentication: &Value, authorization: &Value) -> [Value; 2] {
    let [rule] = &authentication["spec"]["jwtRules"].as_array().unwrap()[..] else { panic!("expected one rule") };
    let jwt_authn = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "bypass_cors_preflight": true,
        "providers": {"origins-0": {
            "issuer": rule["issuer"],
            "audiences": rule.get("audiences").cloned().unwrap_or(json!([])),
            "forward": rule["forwardOriginalToken"],
            "payload_in_metadata": "payload",
            "local_jwks": {"inline_string": rule["jwks"]},
        }},
        // Istio lets a missing token pass here: to demand one is the policy's.
        "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [
            {"provider_name": "origins-0"}, {"allow_missing": {}},
        ]}}}],
    });
    let rules = authorization["spec"]["rules"].as_array().unwrap().iter();
    let sources = rules.flat_map(|rule| rule["from"].as_array().unwrap());
    let principals =
        sources.flat_map(|from| from["source"]["requestPrincipals"].as_array().unwrap()).map(|principal| {
            let (issuer, subject) = text(principal).rsplit_once('/').unwrap();
            json!({"and_ids": {"ids": [claim("iss", issuer), claim("sub", subject)]}})
        });
    let rbac = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {"action": authorization["spec"]["action"], "policies": {"rule[0]": {
            "permissions": [{"any": true}], "principals": principals.collect::<Vec<_>>(),
        }}},
    });
    [("envoy.filters.http.jwt_authn", jwt_authn), ("envoy.filters.http.rbac", rbac)]
        .map(|(name, config)| json!({"name": name, "typed_config": config}))
}

fn claim(name: &str, value: &str) -> Value {
    let matcher = if value == "*" { json!({"safe_regex": {"regex": ".+"}}) } else { json!({"exact": value}) };
    json!({"metadata": {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "payload"}, {"key": name}],
        "value": {"string_match": matcher},
    }})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
