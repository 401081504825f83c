//! `otron`: know before you deploy. It checks configurations, explains decisions and signs requests with the filter's
//! own code, and verifies tokens as a service would.

#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod check;
mod explain;
mod manifest;
mod report;
mod request;
mod sign;
mod source;
mod verify;

use std::process::ExitCode;

use auth_o_tron_envoy::config::Config;
use clap::{Parser, Subcommand};
use serde_json::json;

const EXIT_CODES: &str = "\
Exit codes:
  0  all is well: the configuration is accepted, the request is let through, the token is valid
  1  it is not: the configuration is refused, the request is denied, the token is not valid
  2  the command line is wrong, or a file cannot be read";

/// Know before you deploy: what the filter will do with a configuration, and with a request.
#[derive(Parser)]
#[command(name = "otron", version, after_help = EXIT_CODES, propagate_version = true, max_term_width = 100)]
struct Cli {
    /// Answer in JSON, for scripts.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(after_help = EXIT_CODES)]
    Check(check::Args),
    #[command(after_help = EXIT_CODES)]
    Explain(explain::Args),
    #[command(after_help = EXIT_CODES)]
    Sign(sign::Args),
    #[command(after_help = EXIT_CODES)]
    Verify(verify::Args),
    /// Print the JSON Schema of the plugin configuration.
    Schema,
}

/// What stops a command before it has an answer: one line for whoever called it.
type UsageError = String;

/// Whether all is well. The answer itself has already been printed.
type Answer = Result<bool, UsageError>;

fn main() -> ExitCode {
    let Cli { json, command } = Cli::parse();
    let answer = match command {
        Command::Check(args) => check::run(&args, json),
        Command::Explain(args) => explain::run(&args, json),
        Command::Sign(args) => sign::run(&args, json),
        Command::Verify(args) => verify::run(&args, json),
        Command::Schema => schema(),
    };
    match answer {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(problem) => {
            if json {
                anstream::println!("{}", json!({"error": problem}));
            } else {
                anstream::eprintln!("{}", report::title(report::Level::Error, &problem));
            }
            ExitCode::from(2)
        }
    }
}

fn schema() -> Answer {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".to_owned(), "Plugin configuration of auth-o-tron-envoy".into());
    let text = serde_json::to_string_pretty(&schema).map_err(|error| error.to_string())?;
    anstream::println!("{text}");
    Ok(true)
}
