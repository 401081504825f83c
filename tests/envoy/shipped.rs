//! The shipped YAML in real Envoy: as it is, and with requests. What surrounds the filter is in `tests/platforms`.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    proofs,
    support::{
        PROOF,
        envoy::{envoy_bin, validate, version},
        python,
        scene::Scene,
        shipped::{self, Run, manager, shipped_text, without_service},
        tls::Authority,
        top,
        trials::plain,
    },
};

const RUNS: &[Run] = &[
    ("ecds.yaml", |file| Scene::shipped(file, |_, _| {}).check_secret(PROOF)),
    ("ecds/auth_o_tron.yaml", check_discovered),
    ("envoy.yaml", check_demo),
    ("in-chain.yaml", proofs::a_token_of_the_provider_goes_in_and_one_of_ours_comes_out),
    ("mtls.yaml", proofs::mtls_by_uri_san),
    ("peer.yaml", proofs::peer_in_a_range_gets_a_token),
    ("signature.yaml", proofs::signature_of_the_authenticator_is_good_for_its_request_only),
];

pub fn trials() -> Vec<Trial> {
    [shipped::runs("envoy", RUNS), plain![each_bootstrap_is_valid_as_it_is, the_demo_shows_what_it_says]]
        .into_iter()
        .flatten()
        .collect()
}

/// As it is, but for the directory of the certificates: the runs move it to free ports.
fn each_bootstrap_is_valid_as_it_is() {
    for (file, _) in RUNS.iter().filter(|(file, _)| !file.contains('/')) {
        let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
        let config = directory.path().join("envoy.yaml");
        fs::write(&config, authority.placed(&shipped_text(file))).unwrap();
        let output = validate(&config);
        let log = String::from_utf8_lossy(&output.stderr);
        let is_known = *file != "envoy.yaml" || has_echo();
        assert_eq!(output.status.success(), is_known, "{file}: {log}");
        assert!(is_known || log.contains("'body_format'"), "{file}: {log}");
    }
}

/// The service of the demo echoes by `body_format` of a direct response. Envoy has it since 1.37.
fn has_echo() -> bool {
    version() >= (1, 37)
}

fn check_demo(file: &str) {
    let change = |bootstrap: &mut Value| {
        if !has_echo() {
            without_service(bootstrap);
        }
    };
    Scene::shipped(file, |bootstrap, _| change(bootstrap)).check_secret(PROOF);
}

fn check_discovered(file: &str) {
    let scene = Scene::shipped("ecds.yaml", |bootstrap, _| {
        let source = &mut manager(bootstrap)["http_filters"][0]["config_discovery"]["config_source"];
        source["path_config_source"]["path"] = json!(top().join("envoy").join(file));
    });
    scene.check_secret(PROOF);
}

/// What `make demo` runs. It ends with 0 only where every answer is the expected one.
fn the_demo_shows_what_it_says() {
    let demo = python("envoy/demo.py").arg(envoy_bin()).output().unwrap();
    assert_eq!(demo.status.success(), has_echo(), "{}", String::from_utf8_lossy(&demo.stderr));
}
