//! `peer`: the request comes straight from one of these addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Evidence;

/// Where a native filter leaves the address of the direct peer. Envoy's own `source.address` will not do: a client
/// sets it by `x-forwarded-for`.
const PROPERTY: &[&str] = &["filter_state", "auth_o_tron.peer"];

/// The ranges of addresses that the direct peer must be in.
#[derive(Debug)]
pub struct Peer {
    /// One of them suffices.
    pub cidrs: Vec<IpNet>,
}

impl Peer {
    pub(super) fn proves(&self, evidence: &dyn Evidence) -> bool {
        let address = evidence.property(PROPERTY).and_then(|text| str::from_utf8(&text).ok()?.parse::<IpAddr>().ok());
        // A listener on both families shows an IPv4 peer as an IPv6 one.
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
            let evidence = |path: &[&str]| (path == PROPERTY).then(|| address.into());
            assert_eq!(proof.proves(&evidence), expected, "{address}");
        }
        assert!(!proof.proves(&(|_: &[&str]| Some(vec![0xff]))));
        assert!(!proof.proves(&()));
    }
}
