//! What is shipped under `envoy/`, as data. Tests read it here.

use std::{fs, path::Path};

use libtest_mimic::Trial;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{top, trials::trial};

/// The text of a file under `envoy/`.
pub fn shipped_text(file: &str) -> String {
    fs::read_to_string(top().join("envoy").join(file)).unwrap_or_else(|error| panic!("envoy/{file}: {error}"))
}

/// The only document of a YAML file under `envoy/`.
pub fn shipped(file: &str) -> Value {
    serde_yaml_ng::from_str(&shipped_text(file)).unwrap()
}

/// All documents of a YAML file under `envoy/`.
pub fn shipped_documents(file: &str) -> Vec<Value> {
    let text = shipped_text(file);
    serde_yaml_ng::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
}

/// Every YAML file under `envoy/`, by its path there.
pub fn shipped_yaml() -> Vec<String> {
    fn find(directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                find(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                found.push(path.strip_prefix(top().join("envoy")).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    find(&top().join("envoy"), &mut found);
    found.sort();
    found
}

/// A shipped YAML file, and what runs it.
pub type Run = (&'static str, fn(&str));

/// Grafana's own: it is in no package registry, so nothing here can run it.
const NOT_RUN: [&str; 2] = ["observability/dashboards.yaml", "observability/datasource.yaml"];

/// The test binary whose table must run a file.
fn runner(file: &str) -> &'static str {
    match file.split_once('/') {
        None if file == "docker-compose.yaml" => "platforms",
        Some(("gateway" | "istio" | "observability" | "verify", _)) => "platforms",
        Some(("plugin-config", _)) => "otron",
        _ => "envoy",
    }
}

/// A trial for each run of a binary's table, and one that no file is missing from it.
pub fn runs(binary: &'static str, table: &'static [Run]) -> Vec<Trial> {
    let runs = table.iter().map(|(file, run)| trial("::shipped", file, || run(file)));
    let all = trial("::shipped", "no file is without its run", move || {
        let shipped = shipped_yaml();
        assert!(NOT_RUN.iter().all(|file| shipped.iter().any(|own| own == file)));
        let ours = shipped.iter().filter(|file| runner(file) == binary && !NOT_RUN.contains(&file.as_str()));
        let run: Vec<_> = table.iter().map(|(file, _)| file).collect();
        assert_eq!(run, ours.collect::<Vec<_>>(), "the table of `{binary}`, in order");
    });
    runs.chain([all]).collect()
}

/// The plugin configuration of the demo.
pub fn demo_configuration() -> Value {
    let mut demo = shipped("envoy.yaml");
    serde_json::from_str(plugin(manager(&mut demo))["configuration"]["value"].as_str().unwrap()).unwrap()
}

/// The HTTP connection manager of the first listener.
pub fn manager(bootstrap: &mut Value) -> &mut Value {
    manager_of(&mut bootstrap["static_resources"]["listeners"][0])
}

/// The HTTP connection manager of a listener.
pub fn manager_of(listener: &mut Value) -> &mut Value {
    &mut listener["filter_chains"][0]["filters"][0]["typed_config"]
}

/// The Wasm plugin of an HTTP connection manager.
pub fn plugin(manager: &mut Value) -> &mut Value {
    let filters = manager["http_filters"].as_array_mut().unwrap();
    let filter = filters.iter_mut().find(|filter| filter["name"] == "auth_o_tron").unwrap();
    &mut filter["typed_config"]["config"]
}

/// Moves a bootstrap to free ports, in front of a service on `upstream`.
pub fn on_free_ports(bootstrap: &mut Value, upstream: u16) {
    bootstrap["admin"]["address"]["socket_address"]["port_value"] = json!(0);
    for listener in bootstrap["static_resources"]["listeners"].as_array_mut().unwrap() {
        listener["address"]["socket_address"]["port_value"] = json!(0);
    }
    let endpoints = &mut bootstrap["static_resources"]["clusters"][0]["load_assignment"]["endpoints"];
    let endpoint = &mut endpoints[0]["lb_endpoints"][0]["endpoint"];
    endpoint["address"]["socket_address"]["port_value"] = json!(upstream);
}

/// Leaves the demo's service out.
pub fn without_service(bootstrap: &mut Value) {
    bootstrap["static_resources"]["listeners"].as_array_mut().unwrap().truncate(1);
}

/// The demo with one gateway for each plugin configuration, on free ports, in front of a service on `upstream`.
pub fn gateways(configurations: &[(&str, Value)], upstream: u16) -> Value {
    let mut bootstrap = shipped("envoy.yaml");
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
        let manager = manager_of(&mut listener);
        // What Envoy refuses in HTTP/2 it answers by closing, after this time. A second is its own.
        manager["delayed_close_timeout"] = json!("0.050s");
        manager["always_set_request_id_in_response"] = json!(true);
        manager["http_protocol_options"] = json!({"enable_trailers": true});
        manager["http2_protocol_options"] = json!({"allow_connect": true});
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
