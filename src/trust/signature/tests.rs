//! A signature on its own. `tests/core` has every way it can fail, with signatures made by somebody else's code.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;
use crate::config::field::Report;

const HEADERS: &[(&str, &str)] =
    &[(":method", "GET"), (":authority", "example.com"), (":path", "/"), ("x-user", "alice"), ("x-realm", "corp")];

fn compile(config: serde_json::Value) -> (Names, Option<Signature>, Vec<String>) {
    let config: Config = serde_json::from_value(config).unwrap();
    let (mut names, report) = (Names::default(), Report::default());
    let field = Field::section(&report, "signature");
    for name in ["x-user", "x-realm"] {
        names.own(&field, name, Purpose::Identity { repeatable: false });
    }
    let proof = config.compile(&field, &mut names, &|_| Some("x".repeat(32)));
    (names, proof, report.errors().iter().map(ToString::to_string).collect())
}

fn gateway() -> (Names, Signature) {
    let (names, proof, _) = compile(serde_json::json!({"keys": [{"keyid": "gw-1", "secret_env": "KEY"}]}));
    (names, proof.unwrap())
}

/// Whether a request with these headers, signed at 1000 and then changed, is proven at `now`.
fn proves(change: impl FnOnce(&mut Vec<(String, String)>), now: i64) -> bool {
    let (names, signature) = gateway();
    let borrow = |headers: &[(String, String)]| -> Vec<(Vec<u8>, Vec<u8>)> {
        headers.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())).collect()
    };
    let mut headers: Vec<_> = HEADERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let bytes = borrow(&headers);
    let pairs: Vec<_> = bytes.iter().map(|(name, value)| (&**name, &**value)).collect();
    let lines = signature.sign("gw-1", &Request::scan(&names, &pairs), 1000).unwrap();
    headers.extend(lines.map(|(name, value)| (name.to_owned(), value)));
    change(&mut headers);
    let bytes = borrow(&headers);
    let pairs: Vec<_> = bytes.iter().map(|(name, value)| (&**name, &**value)).collect();
    signature.proves(&Request::scan(&names, &pairs), &Facts::new(now, &()))
}

#[test]
fn what_the_gateway_signs_proves_for_as_long_as_max_age() {
    for (now, expected) in [(1000, true), (995, true), (994, false), (1060, true), (1061, false), (i64::MIN, false)] {
        assert_eq!(proves(|_| {}, now), expected, "{now}");
    }
}

#[test]
fn no_header_that_is_covered_can_be_changed_added_or_dropped() {
    for index in 0..HEADERS.len() {
        assert!(!proves(|headers| headers[index].1.push('x'), 1000), "{:?}", HEADERS[index]);
        assert!(!proves(|headers| drop(headers.remove(index)), 1000), "{:?}", HEADERS[index]);
    }
    assert!(!proves(|headers| headers.push(("x-user".to_owned(), "root".to_owned())), 1000));
    assert!(!proves(|headers| headers.retain(|(name, _)| name != "signature"), 1000));
    assert!(proves(|headers| headers.push(("x-other".to_owned(), "1".to_owned())), 1000));
}

#[test]
fn every_error_is_reported() {
    let (_, proof, errors) = compile(serde_json::json!({
        "keys": [{"keyid": "a", "secret_env": "KEY"}, {"keyid": "a", "secret_env": "no name"}, {"keyid": "\u{e4}"}],
        "max_age": 0,
        "components": ["@method", "@status"],
    }));
    assert!(proof.is_none());
    let paths: Vec<_> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "signature.keys[1].keyid",
            "signature.keys[1].secret_env",
            "signature.keys[2].keyid",
            "signature.keys[2]",
            "signature.max_age",
            "signature.components[1]",
        ]
    );
}

/// RFC 9421, appendix B.2.5, with the secret of appendix B.1.5.
#[test]
fn rfc_9421_b25_hmac_sha256() {
    let secret = STANDARD
        .decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
        .unwrap();
    let report = Report::default();
    let mut names = Names::default();
    let [inputs, macs] = FIELDS
        .map(|name| names.own(&Field::section(&report, "test"), name, Purpose::Proof { repeatable: true }).unwrap());
    let key = Key { id: "test-shared-secret".to_owned(), keyed: Hmac::new_from_slice(&secret).unwrap() };
    let signature = Signature { inputs, macs, keys: vec![key], max_age: 60, components: Vec::new() };
    let mut pairs: [(&[u8], &[u8]); 7] = [
        (b":method", b"POST"),
        (b":authority", b"example.com"),
        (b":path", b"/foo?param=Value&Pet=dog"),
        (b"date", b"Tue, 20 Apr 2021 02:07:55 GMT"),
        (b"content-type", b"application/json"),
        (
            b"signature-input",
            br#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
        ),
        (b"signature", b"sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:"),
    ];
    let facts = Facts::new(1_618_884_473, &());
    assert!(signature.proves(&Request::scan(&names, &pairs), &facts));
    pairs[4].1 = b"application/xml";
    assert!(!signature.proves(&Request::scan(&names, &pairs), &facts));
}
