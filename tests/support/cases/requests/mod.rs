//! Each outcome that is promised, over HTTP/1.1.

pub mod denials;
pub mod presets;
pub mod rules;
pub mod signatures;
pub mod tokens;

use super::{Case, Table};

pub fn table() -> Vec<Case> {
    let mut table = Table::default();
    for add in [
        tokens::well_formed,
        tokens::replaced_defaults,
        tokens::realms,
        tokens::expiry,
        tokens::extended,
        signatures::signatures,
        denials::no_identity,
        denials::malformed,
        denials::upgrades_and_trailers,
        denials::foreign_headers,
        presets::presets,
        rules::rules,
        rules::paths,
        rules::hosts_and_routes,
    ] {
        add(&mut table);
    }
    table.0
}
