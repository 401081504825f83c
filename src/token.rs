//! Section `token`.

pub mod reuse;
