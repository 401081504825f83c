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

use self::support::{judge::Judge, trials::Shared};

/// What requests and attacks share.
static JUDGE: Shared<Judge> = Shared::new(Judge::start);

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
    JUDGE.end();
    configurations::RUNNING.end();
    conclusion.exit_code()
}
