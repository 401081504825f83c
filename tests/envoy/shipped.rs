//! The shipped YAML in real Envoy: as it is, and with requests. What surrounds the filter is in `tests/platforms`.

use std::fs;

use libtest_mimic::Trial;
use serde_json::json;

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
    ("ecds.yaml", |file| check_secret(file, &Scene::shipped(file, |_, _| {}))),
    ("ecds/auth_o_tron.yaml", check_discovered),
    ("envoy.yaml", check_demo),
    ("in-chain.yaml", |file| {
        check_valid(file);
        proofs::a_token_of_the_provider_goes_in_and_one_of_ours_comes_out(file);
    }),
    ("mtls.yaml", |file| {
        check_valid(file);
        proofs::mtls_by_uri_san(file);
    }),
    ("peer.yaml", |file| {
        check_valid(file);
        proofs::peer_in_a_range_gets_a_token(file);
    }),
    ("signature.yaml", |file| {
        check_valid(file);
        proofs::signature_of_the_authenticator_is_good_for_its_request_only(file);
    }),
];

pub fn trials() -> Vec<Trial> {
    [shipped::runs("envoy", RUNS), plain![the_demo_shows_what_it_says]].into_iter().flatten().collect()
}

/// Envoy takes the text as it is, but for the directory of the certificates.
fn check_valid(file: &str) {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let config = directory.path().join("envoy.yaml");
    fs::write(&config, authority.placed(&shipped_text(file))).unwrap();
    let output = validate(&config);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn check_secret(file: &str, scene: &Scene) {
    check_valid(file);
    scene.check_secret(PROOF);
}

/// The service of the demo echoes by `body_format` of a direct response. Envoy has it since 1.37.
fn has_echo() -> bool {
    version() >= (1, 37)
}

fn check_demo(file: &str) {
    if has_echo() {
        return check_secret(file, &Scene::shipped(file, |_, _| {}));
    }
    let output = validate(&top().join("envoy").join(file));
    assert!(String::from_utf8_lossy(&output.stderr).contains("'body_format'"), "{output:?}");
    Scene::shipped(file, |bootstrap, _| without_service(bootstrap)).check_secret(PROOF);
}

fn check_discovered(file: &str) {
    let by = "ecds.yaml";
    let scene = Scene::shipped(by, |bootstrap, _| {
        let source = &mut manager(bootstrap)["http_filters"][0]["config_discovery"]["config_source"];
        source["path_config_source"]["path"] = json!(top().join("envoy").join(file));
    });
    check_secret(by, &scene);
}

/// What `make demo` runs. It ends with 0 only where every answer is the expected one.
fn the_demo_shows_what_it_says() {
    let demo = python("envoy/demo.py").arg(envoy_bin()).output().unwrap();
    assert_eq!(demo.status.success(), has_echo(), "{}", String::from_utf8_lossy(&demo.stderr));
}
