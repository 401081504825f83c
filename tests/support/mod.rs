//! The harness, one of each: start an Envoy, send bytes, read what arrived, and the tables that say what is expected.
//!
//! Each test binary compiles it for itself.

#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses its part")]

pub mod cases;
pub mod configurations;
pub mod discovery;
pub mod envoy;
pub mod http;
pub mod http2;
pub mod judge;
pub mod policy;
pub mod scene;
pub mod shipped;
pub mod tls;
pub mod token;
pub mod trials;
pub mod upstream;

pub use self::{envoy::*, http::*, shipped::*, token::*, upstream::*};

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// The secrets of the demo, in the environment of every VM that the tests start.
pub const SIGNING_SECRET: &str = "your-256-bit-secret-key-here-minimum-32-characters";
pub const PROOF: &str = "demo-proof-known-to-everybody";

pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The top of the project, where Envoy runs: the shipped YAML names the module relative to it.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The built filter, where `make build` leaves it.
pub fn module() -> PathBuf {
    let module = top().join("target/wasm32-wasip1/release/auth_o_tron_envoy.wasm");
    assert!(module.exists(), "the module is not built: run `make build`, or `make test` for everything");
    module
}

/// Waits for something that is about to happen.
pub fn wait_until(what: &str, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + 2 * TIMEOUT;
    while !happened() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A Python program of the project.
pub fn python(program: &str) -> Command {
    let mut python = Command::new("python3");
    python.arg(top().join(program));
    python
}

/// What a program says where it succeeds.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
