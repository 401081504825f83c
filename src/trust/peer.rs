//! `peer`: the request comes straight from one of these addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use crate::{
    config::field::{Environment, Field, all},
    request::{Facts, Request, names::Names},
};

/// The address that the connection comes from. An earlier `set_filter_state` must store it under `auth_o_tron.peer`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Peer"))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Ranges of addresses, such as `10.0.0.0/8`. The address must be in one of them.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    cidrs: Vec<String>,
}

/// Where a native filter leaves the address of the direct peer. Envoy's own `source.address` will not do: a client
/// can set it with `x-forwarded-for`.
const PROPERTY: &[&str] = &["filter_state", "auth_o_tron.peer"];

/// The ranges of addresses that the direct peer must be in.
#[derive(Debug)]
pub struct Peer {
    cidrs: Vec<IpNet>,
}

impl Config {
    pub(super) fn compile(&self, field: &Field<'_>, _: &mut Names, _: Environment<'_>) -> Option<Peer> {
        let field = field.name("cidrs");
        if self.cidrs.is_empty() {
            return field.empty("at least one range of addresses");
        }
        let cidrs = self.cidrs.iter().enumerate();
        let cidrs = all(cidrs.map(|(index, cidr)| {
            read(cidr).or_else(|expected| field.index(index).malformed(cidr, expected).ok_or(())).ok()
        }));
        Some(Peer { cidrs: cidrs? })
    }
}

/// A range of addresses, or what is expected instead.
fn read(cidr: &str) -> Result<IpNet, String> {
    let net: IpNet =
        cidr.parse().map_err(|_| "an address and the length of its prefix, such as \"10.0.0.0/8\"".to_owned())?;
    if net.network() != net.addr() {
        return Err(format!("\"{}\", without bits after the prefix", net.trunc()));
    }
    // IPv4-mapped addresses are compared as IPv4, so this range would silently match nothing.
    if net.addr().to_canonical() != net.addr() {
        return Err("the range in IPv4, as IPv4-mapped peers count as IPv4".to_owned());
    }
    Ok(net)
}

impl Peer {
    pub(super) fn proves(&self, _: &Request<'_>, facts: &Facts<'_>) -> bool {
        let address = facts.property(PROPERTY).and_then(|text| str::from_utf8(&text).ok()?.parse::<IpAddr>().ok());
        // A dual-stack listener shows an IPv4 peer as an IPv6 one.
        address.is_some_and(|address| self.cidrs.iter().any(|cidr| cidr.contains(&address.to_canonical())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_within_a_range_proves() {
        let cidrs = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"].map(|cidr| cidr.parse().unwrap());
        let proof = Peer { cidrs: cidrs.to_vec() };
        for (address, expected) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("::ffff:10.0.0.1", true),
            ("192.0.2.7", true),
            ("2001:db8::1", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("192.0.2.8", false),
            ("::ffff:11.0.0.1", false),
            ("::10.0.0.1", false),
            ("2001:db9::1", false),
            ("10.0.0.1:80", false),
            ("[2001:db8::1]", false),
            ("10.0.0.1, 10.0.0.2", false),
            (" 10.0.0.1", false),
            ("010.0.0.1", false),
            ("10.1", false),
            ("-", false),
            ("", false),
        ] {
            let properties = |path: &[&str]| (path == PROPERTY).then(|| address.into());
            assert_eq!(proof.proves(&Request::default(), &Facts::new(0, &properties)), expected, "{address}");
        }
        let not_text = |_: &[&str]| Some(vec![0xff]);
        assert!(!proof.proves(&Request::default(), &Facts::new(0, &not_text)));
        assert!(!proof.proves(&Request::default(), &Facts::new(0, &())));
    }
}
