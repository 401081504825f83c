//! The filter in real Envoy. Names of trials begin with their module: `cargo test --test envoy attacks` runs one.

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod configurations;
mod lifecycle;
mod proofs;
mod requests;
mod shipped;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let trials = [
        lifecycle::trials(),
        proofs::trials(),
        shipped::trials(),
        requests::trials(),
        attacks::trials(),
        configurations::trials(),
    ];
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect());
    requests::WORLD.end();
    attacks::WORLD.end();
    conclusion.exit_code()
}
