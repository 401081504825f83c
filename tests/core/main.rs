//! The core natively, without Envoy.

#[path = "../support/mod.rs"]
mod support;

mod claims;
mod configuration;
mod fuzz_corpus;
mod house;
mod reuse;
mod signature;
