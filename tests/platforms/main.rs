//! The real programs that surround the filter, a folder each.

#[path = "../support/mod.rs"]
mod support;

mod gateway;
mod istio;
mod manifest;
mod verifiers;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use self::support::{
    envoy::envoy_bin,
    python,
    shipped::{self, Run},
    top,
};

/// Those that take programs of Debian's, and for Docker the rights of root: `make check-dashboard`, `make compose-test`.
const ASKED_FOR: [&str; 2] = ["docker-compose.yaml", "observability/prometheus.yaml"];

const RUNS: &[Run] = &[
    ("docker-compose.yaml", |file| run_program("docker/compose.py", file)),
    ("gateway/gateway.yaml", gateway::who_has_the_proof_gets_a_token),
    ("istio/gateway.yaml", istio::who_shows_no_certificate_is_not_served),
    ("istio/request-authentication.yaml", istio::the_service_accepts_tokens_of_the_filter_only),
    ("istio/secret-env.yaml", istio::the_secret_of_the_proxy_is_the_secret_of_the_filter),
    ("istio/traffic-extension.yaml", |file| istio::check_plugin(file, "TrafficExtension")),
    ("istio/wasm-plugin.yaml", |file| istio::check_plugin(file, "WasmPlugin")),
    ("observability/prometheus.yaml", |file| run_program("dashboard/dashboard.py", file)),
    ("verify/jwt_authn.yaml", verifiers::check_envoy),
];

/// A program in this folder, with the Envoy and the file that it runs.
fn run_program(program: &str, file: &str) {
    let mut program = python(&format!("tests/platforms/{program}"));
    let status = program.arg(envoy_bin()).arg(top().join("envoy").join(file)).status().expect("it starts");
    assert!(status.success(), "{program:?}");
}

fn shipped_trials() -> Vec<Trial> {
    let is_asked_for = |trial: &Trial| ASKED_FOR.iter().any(|file| trial.name() == format!("shipped::{file}"));
    let trials = shipped::runs("platforms", RUNS).into_iter();
    trials.map(|trial| if is_asked_for(&trial) { trial.with_ignored_flag(true) } else { trial }).collect()
}

fn main() -> ExitCode {
    let trials = [shipped_trials(), istio::trials(), gateway::trials(), verifiers::trials()];
    libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect()).exit_code()
}
