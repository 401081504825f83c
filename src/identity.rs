//! Section `identity`.

pub mod formats;

pub use formats::*;
