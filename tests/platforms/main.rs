//! The real programs that surround the filter, a folder each.

#[path = "../support/mod.rs"]
mod support;

mod gateway;
mod istio;
mod manifest;
mod verifiers;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let trials = [istio::trials(), gateway::trials(), verifiers::trials()];
    libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect()).exit_code()
}
