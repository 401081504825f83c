//! What is shipped under `envoy/`, as data.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::top;

/// Every YAML file below `envoy/`.
pub fn shipped_yaml() -> Vec<PathBuf> {
    fn files(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    files(&top().join("envoy")).into_iter().filter(is_yaml).collect()
}

/// The shipped demo as data.
pub fn shipped() -> Value {
    serde_yaml_ng::from_str(&fs::read_to_string(top().join("envoy/envoy.yaml")).unwrap()).unwrap()
}

/// The plugin configuration of the shipped demo.
pub fn shipped_configuration() -> Value {
    let mut shipped = shipped();
    let manager = &mut shipped["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    serde_json::from_str(plugin(manager)["configuration"]["value"].as_str().unwrap()).unwrap()
}

/// The shipped demo with one gateway for each plugin configuration, on free ports, in front of `upstream`.
pub fn gateways(configurations: &[(&str, Value)], upstream: u16) -> Value {
    let mut bootstrap = shipped();
    on_free_ports(&mut bootstrap, upstream);
    let cluster = &mut bootstrap["static_resources"]["clusters"][0];
    cluster["typed_extension_protocol_options"] = json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
    }});
    let template = bootstrap["static_resources"]["listeners"][0].take();
    let listeners = configurations.iter().map(|(name, configuration)| {
        let mut listener = template.clone();
        listener["name"] = json!(name);
        listener["address"]["socket_address"]["port_value"] = json!(0);
        let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        manager["always_set_request_id_in_response"] = json!(true);
        manager["http_protocol_options"] = json!({"enable_trailers": true});
        manager["upgrade_configs"] = json!([{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}]);
        manager["route_config"]["virtual_hosts"][0]["routes"] = json!([
            {"name": "orders", "match": {"prefix": "/orders"}, "route": {"cluster": "service"}},
            {"match": {"prefix": "/"}, "route": {"cluster": "service"}},
            {"match": {"connect_matcher": {}}, "route": {"cluster": "service"}},
        ]);
        let plugin = plugin(manager);
        plugin["configuration"]["value"] = json!(configuration.to_string());
        // As in production: Envoy shows its whole configuration in its log at debug level.
        plugin["vm_config"]["environment_variables"] = json!({"host_env_keys": ["AUTH_O_TRON_SECRET", "PROXY_SECRET"]});
        listener
    });
    bootstrap["static_resources"]["listeners"] = listeners.collect();
    bootstrap
}

/// Moves a shipped bootstrap to free ports, in front of `upstream`.
pub fn on_free_ports(bootstrap: &mut Value, upstream: u16) {
    bootstrap["admin"]["address"]["socket_address"]["port_value"] = json!(0);
    for listener in bootstrap["static_resources"]["listeners"].as_array_mut().unwrap() {
        listener["address"]["socket_address"]["port_value"] = json!(0);
    }
    let endpoints = &mut bootstrap["static_resources"]["clusters"][0]["load_assignment"]["endpoints"];
    let endpoint = &mut endpoints[0]["lb_endpoints"][0]["endpoint"];
    endpoint["address"]["socket_address"]["port_value"] = json!(upstream);
}

/// The Wasm plugin of an HTTP connection manager.
pub fn plugin(manager: &mut Value) -> &mut Value {
    &mut manager["http_filters"][0]["typed_config"]["config"]
}
