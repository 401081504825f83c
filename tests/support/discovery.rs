//! An Envoy that watches the file of its filter (ECDS), as `envoy/ecds.yaml` has it.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    envoy::Envoy,
    shipped::{manager, on_free_ports, shipped},
    wait_until,
};

const STATS: &str = "extension_config_discovery.http_filter.auth_o_tron";

/// What a new file comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    Success,
    Rejected,
}

pub struct Discovery {
    pub envoy: Envoy,
    directory: TempDir,
}

impl Discovery {
    /// With this resource. Its only listener answers with the token that a request has got, in `x-token`.
    pub fn start(resource: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut bootstrap = shipped("ecds.yaml");
        on_free_ports(&mut bootstrap, 1);
        echo(&mut bootstrap);
        let source = &mut manager(&mut bootstrap)["http_filters"][0]["config_discovery"]["config_source"];
        source["path_config_source"]["path"] = json!(file(&directory));
        replace(&directory, resource);
        Self { envoy: Envoy::start("warning", &bootstrap), directory }
    }

    /// Puts a new file in the place of the old one, and waits for what comes of it.
    pub fn update(&self, resource: &Value) -> Update {
        let counters = || {
            [("update_success", Update::Success), ("update_rejected", Update::Rejected)]
                .map(|(name, update)| (self.envoy.stat(&format!("{STATS}.{name}")).unwrap(), update))
        };
        let before = counters();
        replace(&self.directory, resource);
        wait_until("the update", || counters() != before);
        let moved = counters().into_iter().zip(before).find(|(after, before)| after != before);
        moved.unwrap().0.1
    }
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("filter.json")
}

/// In one step, else Envoy could read half of it.
fn replace(directory: &TempDir, resource: &Value) {
    let new = file(directory).with_extension("new");
    fs::write(&new, resource.to_string()).unwrap();
    fs::rename(new, file(directory)).unwrap();
}

/// Answers with the token instead of passing it on.
pub fn echo(bootstrap: &mut Value) {
    manager(bootstrap)["route_config"]["virtual_hosts"][0]["routes"] = json!([{
        "match": {"prefix": "/"},
        "direct_response": {"status": 200},
        "response_headers_to_add": [{"header": {"key": "x-token", "value": "%REQ(authorization)%"}}],
    }]);
}

/// The resource of the shipped `ecds/auth_o_tron.yaml`, and where its plugin stands in it.
pub fn resource() -> Value {
    shipped("ecds/auth_o_tron.yaml")
}

pub fn plugin_of(resource: &mut Value) -> &mut Value {
    &mut resource["resources"][0]["typed_config"]["config"]
}
