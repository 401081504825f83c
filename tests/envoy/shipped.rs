//! No YAML under `envoy/` is without a test that runs it.

use std::{collections::BTreeMap, fs};

use libtest_mimic::Trial;

use crate::support::{shipped_yaml, top, trials::plain};

/// The YAML, and the file under `tests/` that runs it.
const EXECUTED: &[(&str, &str)] = &[
    // By `make compose-test`.
    ("docker-compose.yaml", "platforms/docker/compose.py"),
    ("ecds.yaml", "envoy/lifecycle.rs"),
    ("ecds/auth_o_tron.yaml", "envoy/lifecycle.rs"),
    // Nearly all tests start from it; `make demo` is one of configurations.rs.
    ("envoy.yaml", "support/mod.rs"),
    ("gateway/gateway.yaml", "platforms/gateway/mod.rs"),
    ("in-chain.yaml", "envoy/proofs.rs"),
    ("istio/gateway.yaml", "platforms/istio/mod.rs"),
    ("istio/request-authentication.yaml", "platforms/istio/mod.rs"),
    ("istio/secret-env.yaml", "platforms/istio/mod.rs"),
    ("istio/traffic-extension.yaml", "platforms/istio/mod.rs"),
    ("istio/wasm-plugin.yaml", "platforms/istio/mod.rs"),
    ("mtls.yaml", "envoy/proofs.rs"),
    ("observability/prometheus.yaml", "platforms/dashboard/dashboard.py"),
    ("peer.yaml", "envoy/proofs.rs"),
    ("plugin-config/auth_o_tron.yaml", "otron/explain.rs"),
    ("signature.yaml", "envoy/proofs.rs"),
    ("verify/jwt_authn.yaml", "platforms/verifiers/mod.rs"),
];

/// Grafana's own: it is in no package registry, so no test can run it.
const NOT_EXECUTED: &[&str] = &["observability/dashboards.yaml", "observability/datasource.yaml"];

fn every_yaml_is_run_by_a_test_that_names_it() {
    let executed: BTreeMap<_, _> = EXECUTED.iter().copied().collect();
    let shipped = shipped_yaml();
    for path in &shipped {
        let path = path.strip_prefix(top().join("envoy")).unwrap().to_str().unwrap();
        if NOT_EXECUTED.contains(&path) {
            continue;
        }
        let test =
            executed.get(path).unwrap_or_else(|| panic!("envoy/{path}: found no test that runs it, see {}", file!()));
        let source = fs::read_to_string(top().join("tests").join(test)).unwrap();
        assert!(source.contains(path), "envoy/{path}: tests/{test} does not name it");
    }
    assert_eq!(shipped.len(), executed.len() + NOT_EXECUTED.len(), "a file of the list is no longer there");
}

pub fn trials() -> Vec<Trial> {
    plain![every_yaml_is_run_by_a_test_that_names_it,]
}
