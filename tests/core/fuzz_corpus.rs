//! The committed corpus of the fuzz targets, as plain tests: no nightly, no libFuzzer.

use std::{collections::BTreeSet, fs, path::Path};

#[path = "../fuzz/src/decide.rs"]
mod decide;
#[path = "../fuzz/src/formats.rs"]
mod formats;
#[path = "../fuzz/src/signature.rs"]
mod signature;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files = fs::read_dir(directory).unwrap();
    let inputs: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!inputs.is_empty(), "{target} has no corpus");
    inputs
}

/// A target that no input gets a token from would prove nothing, so each configuration must issue one.
#[test]
fn decide_holds_on_its_corpus() {
    let issued: BTreeSet<_> =
        corpus("decide").iter().map(|input| decide::run(input)).filter(|(_, issued)| *issued).collect();
    assert_eq!(issued.len(), decide::SETUPS_LEN, "{issued:?}");
}

#[test]
fn signature_holds_on_its_corpus() {
    for input in corpus("signature") {
        signature::run(&input);
    }
}

#[test]
fn formats_hold_on_their_corpus() {
    for input in corpus("formats") {
        formats::run(&input);
    }
}
