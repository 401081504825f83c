//! The harness, one of each: start an Envoy, send bytes, read what arrived, and the tables that say what is expected.
//!
//! Each test binary compiles it for itself.

#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses its part")]

pub mod cases;
pub mod configurations;
pub mod envoy;
pub mod http;
pub mod shipped;
pub mod tls;
pub mod token;
pub mod trials;
pub mod upstream;

pub use self::{envoy::*, http::*, shipped::*, token::*, upstream::*};

use std::{
    path::{Path, PathBuf},
    time::Duration,
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
