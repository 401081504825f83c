//! Section `jwt`.

pub mod hs256;

pub use hs256::*;
