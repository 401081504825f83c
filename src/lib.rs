//! A proxy-wasm filter that turns proven identity headers into Auth-O-Tron HS256 tokens inside Envoy.
//!
//! A request takes one straight path through the crate:
//!
//! ```text
//! Envoy ─ headers ─▶ filter ─▶ Request ─▶ Policy::decide ─▶ Decision ─▶ filter ─▶ Envoy
//! ```
//!
//! Each section of the plugin configuration is a module of the same name: its types, how it compiles, what it does.
//!
//! | module | the one thing it knows |
//! |---|---|
//! | `filter` | proxy-wasm: reads the headers, applies the decision (in the module only) |
//! | [`pairs`] | how the host lays out header pairs |
//! | [`policy`] | the compiled configuration, and the decision |
//! | [`config`] | what the user writes, and what is wrong with it |
//! | [`jwt`] | section `jwt`: HS256, the key ring |
//! | [`identity`] | section `identity`: sources, presets, formats and limits |
//! | [`trust`] | section `trust`: who may assert an identity, one file per kind of proof |
//! | [`token`] | section `token`: the token's header, and the bounded token cache |
//! | [`claims`] | section `claims`: the payload |
//! | [`rules`] | section `rules`: which requests a rule matches |
//! | [`telemetry`] | section `telemetry`: what became of a request |
//! | [`request`] | which headers are identity, proof, token, alias, duplicate |
//! | [`rejection`] | what a denied request gets |
//!
//! Everything but `filter` is plain Rust that has never heard of a host:
//!
//! ```
//! use auth_o_tron_envoy::{
//!     config::field::Report,
//!     policy::{Policy, Verdict},
//!     request::{Facts, Request},
//! };
//!
//! let configuration = br#"{
//!     "jwt": {"iss": "auth-o-tron.example.com", "exp": 3600, "secret_env": "SIGNING_SECRET"},
//!     "trust": [{"shared_secret": {"header": "x-auth-proof", "secret_env": "PROXY_SECRET"}}]
//! }"#;
//! let environment = |name: &str| Some(format!("the value of {name}, which is long enough"));
//! let policy = Policy::from_json(configuration, &environment, &Report::default()).unwrap();
//!
//! let headers = [
//!     ("x-auth-username", "alice"),
//!     ("x-auth-realm", "internal"),
//!     ("x-auth-proof", "the value of PROXY_SECRET, which is long enough"),
//! ];
//! let pairs = headers.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
//! let facts = Facts::new(1_704_063_600, &());
//! let request = Request::scan(policy.names(), &pairs);
//! let decision = policy.decide(&request, &facts);
//! assert_eq!(decision.verdict, Verdict::Issue { is_reused: false });
//! assert!(decision.set().any(|(name, value)| name == "authorization" && value.starts_with("Bearer eyJ")));
//!
//! let forged = Request::scan(policy.names(), &pairs[..2]);
//! assert!(matches!(policy.decide(&forged, &facts).verdict, Verdict::Deny(_)));
//! ```

#![warn(missing_docs)]
// A panic takes an Envoy worker down, so code that ships must not panic. Tests may.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod claims;
pub mod config;
#[cfg(target_arch = "wasm32")]
mod filter;
pub mod identity;
pub mod jwt;
pub mod pairs;
pub mod policy;
pub mod rejection;
pub mod request;
pub mod rules;
pub mod telemetry;
pub mod token;
pub mod trust;
