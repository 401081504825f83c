//! The built module in a small host of our own: for what Envoy never does, and for exact counts.

#[path = "../support/mod.rs"]
mod support;

mod cost;
mod host;
mod vm;
