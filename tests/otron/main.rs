//! The command: as its user meets it, beside real Envoy, and the schema that it prints.

#[path = "../support/mod.rs"]
mod support;

mod check;
mod command;
mod explain;
mod reference;
mod schema;
mod verbs;

use std::process::ExitCode;

use libtest_mimic::Arguments;

use self::support::shipped::{self, Run};

const RUNS: &[Run] = &[("plugin-config/auth_o_tron.yaml", explain::check_sample)];

fn main() -> ExitCode {
    let trials = [
        check::trials(),
        verbs::trials(),
        schema::trials(),
        reference::trials(),
        shipped::runs("otron", RUNS),
        explain::trials(),
    ];
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect());
    explain::WORLD.end();
    conclusion.exit_code()
}
