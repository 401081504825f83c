//! `trust[].signature` on the core: signatures made by `httpsig` as the independent implementation, and every way to fail.

use auth_o_tron_envoy::{
    rejection::Code,
    trust::signature::{MAX_BASE_BYTES, MAX_FIELD_BYTES, MAX_LABELS},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{
    policy::{self, Decided, policy},
    signature_fields as fields,
};

const NOW: i64 = 1_704_063_600;
const SECRET: &str = "a secret of the gateway, long enough";
const OTHER_SECRET: &str = "a secret of the partner, long enough";

/// The lines of the signature base for [`request`], as RFC 9421 has them: written by hand, not by the filter.
const LINES: &[&str] = &[
    r#""@method": GET"#,
    r#""@authority": example.com"#,
    r#""@path": /orders"#,
    r#""x-auth-username": alice"#,
    r#""x-auth-realm": internal"#,
];

type Headers = Vec<(String, String)>;

/// A request of alice's, not signed yet.
fn request() -> Headers {
    [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "Example.com:443"),
        (":path", "/orders?page=2"),
        ("x-auth-username", "alice"),
        ("x-auth-realm", "internal"),
        ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn configuration() -> Value {
    json!({
        "jwt": {"iss": "auth-o-tron.example.com", "exp": 3600, "secret": "the secret that signs the tokens"},
        "trust": [{"signature": {"keys": [
            {"keyid": "gw-1", "secret": SECRET},
            {"keyid": "gw-2", "secret": "another secret of the gateway, long enough"},
        ]}}],
    })
}

fn decide(configuration: &Value, headers: &Headers) -> Decided {
    policy::decide(&policy(configuration), headers, NOW)
}

fn params(created: i64) -> String {
    format!(r#";created={created};keyid="gw-1""#)
}

fn signed(lines: &[&str], params: &str) -> Headers {
    [request(), fields("sig1", lines, params, SECRET)].concat()
}

fn set(mut headers: Headers, name: &str, value: &str) -> Headers {
    headers.retain(|(own, _)| own != name);
    with(headers, name, value)
}

fn with(mut headers: Headers, name: &str, value: &str) -> Headers {
    headers.push((name.to_owned(), value.to_owned()));
    headers
}

fn value(headers: &Headers, name: &str) -> String {
    headers.iter().find(|(own, _)| own == name).unwrap().1.clone()
}

#[track_caller]
fn check_proves(name: &str, headers: &Headers) {
    let verdict = decide(&configuration(), headers);
    assert!(verdict.is_issued(), "{name}: {verdict:?}");
}

#[track_caller]
fn check_denied(name: &str, headers: &Headers, code: Code) {
    let verdict = decide(&configuration(), headers);
    assert_eq!(verdict.code(), code, "{name}");
}

#[test]
fn what_another_implementation_signs_proves() {
    check_proves("all that is needed", &signed(LINES, &params(NOW)));
    check_proves("60 s old", &signed(LINES, &params(NOW - 60)));
    check_proves("5 s ahead", &signed(LINES, &params(NOW + 5)));
    check_proves("alg", &signed(LINES, &format!(r#"{};alg="hmac-sha256""#, params(NOW))));
    check_proves("expires", &signed(LINES, &format!("{};expires={}", params(NOW), NOW + 1)));
    check_proves("a nonce and a tag", &signed(LINES, &format!(r#"{};nonce="n";tag="t""#, params(NOW))));
    for line in [
        r#""@scheme": https"#,
        r#""@query": ?page=2"#,
        r#""@target-uri": https://example.com/orders?page=2"#,
        r#""date": Mon, 01 Jan 2024 00:00:00 GMT"#,
    ] {
        check_proves(line, &signed(&[LINES, &[line]].concat(), &params(NOW)));
    }
    let reversed: Vec<_> = LINES.iter().rev().copied().collect();
    check_proves("in another order", &signed(&reversed, &params(NOW)));
    let second =
        fields("sig2", LINES, &params(NOW).replace("gw-1", "gw-2"), "another secret of the gateway, long enough");
    check_proves("the other key", &[request(), second].concat());
}

/// Section 2.2: how derived components are normalised.
#[test]
fn derived_components_are_normalised() {
    for (name, value, replaced, line) in [
        (":authority", "EXAMPLE.com", 1, r#""@authority": example.com"#),
        (":authority", "example.com:8443", 1, r#""@authority": example.com:8443"#),
        (":authority", "example.com:80", 1, r#""@authority": example.com:80"#),
        (":path", "?page=2", 2, r#""@path": /"#),
        (":path", "/", 2, r#""@path": /"#),
        (":path", "/a%2Fb?x?y", 2, r#""@path": /a%2Fb"#),
        (":method", "post", 0, r#""@method": post"#),
    ] {
        let mut lines = LINES.to_vec();
        lines[replaced] = line;
        let headers = set([request(), fields("s", &lines, &params(NOW), SECRET)].concat(), name, value);
        check_proves(line, &headers);
    }
    for (path, line) in
        [("/orders", r#""@query": ?"#), ("/orders?", r#""@query": ?"#), ("/orders?a?b", r#""@query": ?a?b"#)]
    {
        check_proves(path, &set(signed(&[LINES, &[line]].concat(), &params(NOW)), ":path", path));
    }
    for (path, line) in [
        ("/orders", r#""@target-uri": https://example.com/orders"#),
        ("/orders?", r#""@target-uri": https://example.com/orders?"#),
    ] {
        check_proves(path, &set(signed(&[LINES, &[line]].concat(), &params(NOW)), ":path", path));
    }
}

/// Section 2.1: the lines of a field are one value.
#[test]
fn the_lines_of_a_covered_field_are_one_value() {
    let lines = [LINES, &[r#""x-list": a, b"#]].concat();
    check_proves("two lines", &with(with(signed(&lines, &params(NOW)), "x-list", "a"), "x-list", " b "));
    check_denied(
        "swapped",
        &with(with(signed(&lines, &params(NOW)), "x-list", "b"), "x-list", "a"),
        Code::IdentityUntrusted,
    );
    let forged = with(signed(&lines, &params(NOW)), "x-list", "a, b\n\"x-other\": c");
    check_denied("a line break", &forged, Code::IdentityUntrusted);
}

#[test]
fn any_label_that_verifies_proves() {
    let foreign = fields("other", LINES, &params(NOW).replace("gw-1", "elsewhere"), OTHER_SECRET);
    let ours = fields("ours", LINES, &params(NOW), SECRET);
    check_proves("in two lines", &[request(), foreign.clone(), ours.clone()].concat());
    let joined = |name: &str| format!("{}, {}", value(&foreign, name), value(&ours, name));
    let headers = with(request(), "signature", &joined("signature"));
    check_proves("in one line", &with(headers, "signature-input", &joined("signature-input")));

    let wrong = |count: usize| -> Headers {
        (0..count).flat_map(|n| fields(&format!("w{n}"), LINES, &params(NOW), OTHER_SECRET)).collect()
    };
    check_proves("behind wrong ones", &[request(), wrong(MAX_LABELS - 1), ours.clone()].concat());
    check_denied("too many labels", &[request(), wrong(MAX_LABELS), ours].concat(), Code::IdentityUntrusted);
}

/// The time, the key, the algorithm.
#[test]
fn parameters_that_are_not_acceptable_prove_nothing() {
    for (name, parameters) in [
        ("61 s old", params(NOW - 61)),
        ("6 s ahead", params(NOW + 6)),
        ("no created", r#";keyid="gw-1""#.to_owned()),
        ("no keyid", format!(";created={NOW}")),
        ("an unknown keyid", format!(r#";created={NOW};keyid="gw-3""#)),
        ("a keyid in upper case", format!(r#";created={NOW};keyid="GW-1""#)),
        ("the other key's id", format!(r#";created={NOW};keyid="gw-2""#)),
        ("another algorithm", format!(r#"{};alg="ed25519""#, params(NOW))),
        ("expired this second", format!("{};expires={NOW}", params(NOW))),
        ("expired before", format!("{};expires={}", params(NOW), NOW - 1)),
    ] {
        check_denied(name, &signed(LINES, &parameters), Code::IdentityUntrusted);
    }
    // Parameters that `httpsig` itself would not sign.
    let good = signed(LINES, &params(NOW));
    for (name, from, to) in [
        ("created as text", format!("created={NOW}"), format!(r#"created="{NOW}""#)),
        ("created as a fraction", format!("created={NOW}"), format!("created={NOW}.0")),
        ("created as a date", format!("created={NOW}"), format!("created=@{NOW}")),
        ("a negative created", format!("created={NOW}"), "created=-1".to_owned()),
        ("keyid as a token", r#"keyid="gw-1""#.to_owned(), "keyid=gw-1".to_owned()),
        ("alg as a token", r#"keyid="gw-1""#.to_owned(), r#"keyid="gw-1";alg=hmac-sha256"#.to_owned()),
        ("expires as text", r#"keyid="gw-1""#.to_owned(), r#"keyid="gw-1";expires="9999999999""#.to_owned()),
    ] {
        let input = value(&good, "signature-input").replace(&from, &to);
        check_denied(name, &set(good.clone(), "signature-input", &input), Code::IdentityUntrusted);
    }
}

/// Every identity header and all of the entry's components must be covered, each once and without parameters.
#[test]
fn a_signature_that_does_not_cover_what_it_must_proves_nothing() {
    for missing in 0..LINES.len() {
        let mut lines = LINES.to_vec();
        let line = lines.remove(missing);
        check_denied(&format!("without {line}"), &signed(&lines, &params(NOW)), Code::IdentityUntrusted);
    }
    check_denied("nothing covered", &signed(&[], &params(NOW)), Code::IdentityUntrusted);
    for name in ["x-auth-roles", "x-auth-scopes", "x-auth-attributes"] {
        check_denied(name, &with(signed(LINES, &params(NOW)), name, "{}"), Code::IdentityUntrusted);
    }
    let covered_but_absent = [LINES, &[r#""x-absent": a"#]].concat();
    check_denied("a covered header is absent", &signed(&covered_but_absent, &params(NOW)), Code::IdentityUntrusted);
    let good = signed(LINES, &params(NOW));
    for (name, from, to) in [
        ("a component twice", r#""@path""#, r#""@path" "@path""#),
        ("a field twice", r#""x-auth-realm""#, r#""x-auth-realm" "x-auth-realm""#),
        ("@status", r#""@path""#, r#""@path" "@status""#),
        ("@request-target", r#""@path""#, r#""@path" "@request-target""#),
        ("@query-param", r#""@path""#, r#""@path" "@query-param";name="page""#),
        ("@signature-params", r#""@path""#, r#""@path" "@signature-params""#),
        ("a field in upper case", r#""x-auth-realm""#, r#""X-Auth-Realm""#),
        ("a parameter ;bs", r#""x-auth-realm""#, r#""x-auth-realm";bs"#),
        ("a parameter ;sf", r#""x-auth-realm""#, r#""x-auth-realm";sf"#),
        ("a parameter ;req", r#""@method""#, r#""@method";req"#),
        ("a parameter ;tr", r#""x-auth-realm""#, r#""x-auth-realm";tr"#),
        ("a component as a token", r#""@path""#, "path"),
        ("a pseudo-header", r#""@path""#, r#"":path""#),
        ("no inner list", "sig1=(", "sig1=1, sig2=("),
    ] {
        let input = value(&good, "signature-input").replace(from, to);
        check_denied(name, &set(good.clone(), "signature-input", &input), Code::IdentityUntrusted);
    }
}

/// What no honest implementation would sign, with the right MAC all the same: so it is not the MAC that refuses it.
#[test]
fn a_right_mac_over_what_is_not_supported_proves_nothing() {
    let names = r#""@method" "@authority" "@path" "x-auth-username" "x-auth-realm""#;
    let sign = |more_lines: &str, components: &str, more_headers: &[(&str, &str)]| {
        let input = format!("({components}){}", params(NOW));
        let base = format!("{}\n{more_lines}\"@signature-params\": {input}", LINES.join("\n"));
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(base).finalize().into_bytes();
        let headers = with(request(), "signature-input", &format!("s={input}"));
        let headers = with(headers, "signature", &format!("s=:{}:", STANDARD.encode(mac)));
        more_headers.iter().fold(headers, |headers, (name, value)| with(headers, name, value))
    };
    check_proves("the control", &sign("", names, &[]));
    check_proves("the control with a field", &sign("\"x\": a\n", &format!(r#"{names} "x""#), &[("x", "a")]));
    let twice = sign("\"@path\": /orders\n", &format!(r#"{names} "@path""#), &[]);
    check_denied("a component twice", &twice, Code::IdentityUntrusted);
    check_denied("a parameter", &sign("", &format!("{names};bs"), &[]), Code::IdentityUntrusted);
    let forged = sign("\"x\": a\n\"y\": b\n", &format!(r#"{names} "x""#), &[("x", "a\n\"y\": b")]);
    check_denied("a line break in a field", &forged, Code::IdentityUntrusted);
}

/// A signature is no use on any other request.
#[test]
fn a_signature_of_another_request_proves_nothing() {
    let good = signed(LINES, &params(NOW));
    check_proves("itself", &good);
    for (name, changed) in [
        (":method", "POST"),
        (":method", "get"),
        (":authority", "evil.example.com"),
        (":authority", "example.com:8443"),
        (":path", "/admin"),
        (":path", "/Orders"),
        (":path", "//orders"),
        (":path", "/orders/"),
        ("x-auth-username", "root"),
        ("x-auth-realm", "partners"),
    ] {
        check_denied(&format!("{name}: {changed}"), &set(good.clone(), name, changed), Code::IdentityUntrusted);
    }
    check_denied("a second username", &with(good.clone(), "x-auth-username", "root"), Code::IdentityMalformed);
    check_denied("an alias", &with(good.clone(), "x_auth_username", "root"), Code::IdentityMalformed);
    check_denied("an aliased signature", &with(good, "signature_input", "a=()"), Code::IdentityMalformed);
}

#[test]
fn fields_that_do_not_parse_prove_nothing() {
    let good = signed(LINES, &params(NOW));
    let mac = value(&good, "signature");
    for (name, changed) in [
        ("signature", String::new()),
        ("signature", "sig1".to_owned()),
        ("signature", "sig1=()".to_owned()),
        ("signature", "sig1=::".to_owned()),
        ("signature", format!("sig1=:{}:", "A".repeat(43) + "=")),
        ("signature", mac.replace("sig1", "sig2")),
        ("signature", mac.replace(':', "\"")),
        ("signature", mac[..mac.len() - 1].to_owned()),
        ("signature", mac.replacen(':', ":AAAA", 1)),
        ("signature-input", String::new()),
        ("signature-input", "sig1=(".to_owned()),
        ("signature-input", "sig1=()".to_owned()),
        ("signature-input", "\u{fc}".to_owned()),
        ("signature-input", "(".repeat(4000)),
        ("signature-input", format!("{}, a=\"{}\"", value(&good, "signature-input"), "a".repeat(MAX_FIELD_BYTES))),
    ] {
        check_denied(&format!("{name}: {changed}"), &set(good.clone(), name, &changed), Code::IdentityUntrusted);
    }
    for name in ["signature", "signature-input"] {
        let mut headers = good.clone();
        headers.retain(|(own, _)| own != name);
        check_denied(&format!("no {name}"), &headers, Code::IdentityUntrusted);
    }
    // The last of equal labels counts (RFC 9651, section 4.2.2), for the filter as for every other reader.
    check_denied(
        "a second sig1",
        &with(good, "signature", &format!("sig1=:{}:", "A".repeat(43) + "=")),
        Code::IdentityUntrusted,
    );
}

#[test]
fn a_signature_base_has_a_limit() {
    let line = |bytes: usize| format!(r#""x-long": {}"#, "a".repeat(bytes));
    let long = |bytes: usize| {
        let line = line(bytes);
        let lines = [LINES, &[&*line]].concat();
        with(signed(&lines, &params(NOW)), "x-long", &"a".repeat(bytes))
    };
    check_proves("a long header", &long(MAX_BASE_BYTES / 2));
    check_denied("too long a header", &long(MAX_BASE_BYTES), Code::IdentityUntrusted);
}

/// What is left of the two fields when the filter has taken its own labels out.
#[test]
fn labels_of_other_keys_go_on() {
    let policy = policy(&configuration());
    let replacements = |headers: &Headers| policy::foreign_signatures(&policy, headers);
    let ours = fields("ours", LINES, &params(NOW), SECRET);
    let foreign = fields("other", LINES, &params(NOW).replace("gw-1", "elsewhere"), OTHER_SECRET);
    let left = replacements(&[request(), ours.clone(), foreign.clone()].concat()).unwrap();
    assert_eq!(left, foreign);
    assert_eq!(replacements(&[request(), ours].concat()), None);
    assert_eq!(replacements(&request()), None);
    assert_eq!(replacements(&with(request(), "signature-input", "x=()")), None);
}

#[test]
fn the_first_entry_that_proves_decides_about_realms() {
    let mut configuration = configuration();
    configuration["trust"][0]["realms"] = json!(["partners"]);
    assert_eq!(decide(&configuration, &signed(LINES, &params(NOW))).code(), Code::RealmNotAllowed);
    configuration["trust"][0]["realms"] = json!(["internal"]);
    assert!(decide(&configuration, &signed(LINES, &params(NOW))).is_issued());
}

/// Section 2.1 trims the lines of a field and joins them by commas, so one signature stands for several requests.
#[test]
fn a_signature_holds_for_one_identity_only() {
    let mut configuration = configuration();
    configuration["identity"] = json!({"roles": {"format": "repeated"}});
    let roles = |combined: &str, lines: &[&str]| {
        let role = format!(r#""x-auth-roles": {combined}"#);
        let headers = signed(&[LINES, &[&role]].concat(), &params(NOW));
        lines.iter().fold(headers, |headers, line| with(headers, "x-auth-roles", line))
    };
    let proves = |headers: &Headers| {
        let verdict = decide(&configuration, headers);
        verdict.is_issued() || {
            assert_eq!(verdict.code(), Code::IdentityUntrusted);
            false
        }
    };
    let two = roles("a, b", &["a", "b"]);
    assert!(proves(&two));
    assert!(!proves(&roles("a, b", &["a, b"])));
    assert!(!proves(&roles("a, b, c", &["a, b", "c"])));
    for (name, value) in [("x-auth-username", " alice"), ("x-auth-username", "alice "), ("x-auth-realm", "internal\t")]
    {
        assert!(!proves(&set(two.clone(), name, value)), "{name} {value:?}");
    }
}
