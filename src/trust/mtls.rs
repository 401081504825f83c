//! `mtls`: the client certificate of the connection is one of these.
//!
//! Only what Envoy knows about the connection counts, never `x-forwarded-client-cert`, which a client can send. Whether
//! a certificate is valid is up to the listener, which must require and validate one.

use serde::Deserialize;

use crate::{
    config::field::{Environment, ErrorKind, Field, all},
    request::{Facts, Request, names::Names},
};

/// The connection's client certificate, which the listener must require and validate. One match in any list is enough.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Mtls", extend("minProperties" = 1)))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// URI subject alternative names (SANs), such as SPIFFE IDs, compared exactly with a certificate's first one.
    uri_sans: Vec<String>,
    /// DNS subject alternative names (SANs), compared in any letter case with a certificate's first one. No wildcards.
    dns_sans: Vec<String>,
    /// SHA-256 digests of whole certificates: 64 hexadecimal digits, with or without colons.
    fingerprints: Vec<String>,
}

/// The length of a SHA-256 digest in hexadecimal digits.
const FINGERPRINT_DIGITS: usize = 64;

/// The longest name of a certificate that can be configured, in bytes: the limit of a SPIFFE ID.
const MAX_SAN_BYTES: usize = 2048;

/// The certificates that prove: those that any of these lists matches.
#[derive(Debug)]
pub struct Mtls {
    uri_sans: Vec<String>,
    /// Letter case does not matter.
    dns_sans: Vec<String>,
    /// [`FINGERPRINT_DIGITS`] each.
    fingerprints: Vec<String>,
}

impl Config {
    pub(super) fn compile(&self, field: &Field<'_>, _: &mut Names, _: Environment<'_>) -> Option<Mtls> {
        let Self { uri_sans, dns_sans, fingerprints } = self;
        if uri_sans.is_empty() && dns_sans.is_empty() && fingerprints.is_empty() {
            return field.refuse(
                ErrorKind::Empty,
                "found nothing to match, expected at least one of `uri_sans`, `dns_sans`, `fingerprints`",
            );
        }
        let uri_sans_checked = field.name("uri_sans").texts(uri_sans, MAX_SAN_BYTES);
        let dns_field = field.name("dns_sans");
        let dns_sans_checked: Option<()> = all(dns_sans.iter().enumerate().map(|(index, san)| {
            let field = dns_field.index(index);
            field.text(san, MAX_SAN_BYTES)?;
            if san.contains('*') { field.malformed(san, "a whole name without wildcards") } else { Some(()) }
        }));
        let fingerprints_field = field.name("fingerprints");
        let fingerprints = all(fingerprints.iter().enumerate().map(|(index, fingerprint)| {
            let digits = fingerprint.replace(':', "");
            if digits.len() == FINGERPRINT_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Some(digits);
            }
            let expected =
                format!("a SHA-256 digest of {FINGERPRINT_DIGITS} hexadecimal digits, with or without colons");
            fingerprints_field.index(index).malformed(fingerprint, expected)
        }));
        uri_sans_checked.and(dns_sans_checked)?;
        Some(Mtls { uri_sans: uri_sans.clone(), dns_sans: dns_sans.clone(), fingerprints: fingerprints? })
    }
}

impl Mtls {
    pub(super) fn proves(&self, _: &Request<'_>, facts: &Facts<'_>) -> bool {
        // What the connection says about a certificate, fetched only if there is something to compare it with.
        let any = |list: &[String], property: &str, equal: fn(&[u8], &[u8]) -> bool| {
            !list.is_empty()
                && facts
                    .property(&["connection", property])
                    .is_some_and(|found| list.iter().any(|expected| equal(&found, expected.as_bytes())))
        };
        facts.property(&["connection", "mtls"]).is_some_and(|presented| presented == [1])
            && (any(&self.uri_sans, "uri_san_peer_certificate", <[u8]>::eq)
                || any(&self.dns_sans, "dns_san_peer_certificate", <[u8]>::eq_ignore_ascii_case)
                || any(&self.fingerprints, "sha256_peer_certificate_digest", <[u8]>::eq_ignore_ascii_case))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const URI: &str = "spiffe://cluster.local/ns/gw/sa/gateway";
    const DNS: &str = "gateway.example.com";

    fn proof(uri_sans: &[&str], dns_sans: &[&str], fingerprints: &[&str]) -> Mtls {
        let owned = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
        Mtls { uri_sans: owned(uri_sans), dns_sans: owned(dns_sans), fingerprints: owned(fingerprints) }
    }

    /// Whether a connection with these properties proves, and which of them it was asked for.
    fn check(proof: &Mtls, properties: &[(&str, &[u8])]) -> (bool, Vec<String>) {
        let asked = RefCell::new(Vec::new());
        let properties = |path: &[&str]| {
            let ["connection", property] = path else { panic!("{path:?}") };
            asked.borrow_mut().push((*property).to_owned());
            properties.iter().find(|(own, _)| own == property).map(|(_, value)| value.to_vec())
        };
        let proves = proof.proves(&Request::default(), &Facts::new(0, &properties));
        (proves, asked.into_inner())
    }

    #[test]
    fn any_one_match_proves_and_nothing_near_it() {
        let digest = "0a".repeat(32);
        let proof = proof(&["spiffe://other", URI], &[DNS], &[&digest]);
        for (property, value, expected) in [
            ("uri_san_peer_certificate", URI, true),
            ("uri_san_peer_certificate", "SPIFFE://cluster.local/ns/gw/sa/gateway", false),
            ("uri_san_peer_certificate", "spiffe://cluster.local/ns/gw/sa/gateway2", false),
            ("uri_san_peer_certificate", "spiffe://cluster.local/ns/gw/sa/", false),
            ("uri_san_peer_certificate", DNS, false),
            ("uri_san_peer_certificate", "", false),
            ("dns_san_peer_certificate", DNS, true),
            ("dns_san_peer_certificate", "Gateway.Example.COM", true),
            ("dns_san_peer_certificate", "*.example.com", false),
            ("dns_san_peer_certificate", "x.gateway.example.com", false),
            ("dns_san_peer_certificate", URI, false),
            ("sha256_peer_certificate_digest", &digest, true),
            ("sha256_peer_certificate_digest", &digest.to_uppercase(), true),
            ("sha256_peer_certificate_digest", &digest[1..], false),
            ("sha256_peer_certificate_digest", &"0b".repeat(32), false),
        ] {
            let properties: &[(&str, &[u8])] = &[("mtls", &[1]), (property, value.as_bytes())];
            assert_eq!(check(&proof, properties).0, expected, "{property} {value}");
        }
    }

    #[test]
    fn without_a_client_certificate_nothing_is_read_of_one() {
        let san: (&str, &[u8]) = ("uri_san_peer_certificate", URI.as_bytes());
        let proof = proof(&[URI], &[], &[]);
        assert!(check(&proof, &[("mtls", &[1]), san]).0);
        for mtls in [&[][..], &[0], b"1", &[1, 0], b"true"] {
            assert_eq!(check(&proof, &[("mtls", mtls), san]), (false, vec!["mtls".to_owned()]), "{mtls:?}");
        }
        assert!(!check(&proof, &[san]).0);
        assert!(!proof.proves(&Request::default(), &Facts::new(0, &())));
    }

    #[test]
    fn only_what_a_list_asks_for_is_fetched() {
        for (proof, expected) in [
            (proof(&[URI], &[], &[]), "uri_san_peer_certificate"),
            (proof(&[], &[DNS], &[]), "dns_san_peer_certificate"),
            (proof(&[], &[], &["00"]), "sha256_peer_certificate_digest"),
        ] {
            assert_eq!(check(&proof, &[("mtls", &[1])]), (false, vec!["mtls".to_owned(), expected.to_owned()]));
        }
    }
}
