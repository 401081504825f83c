//! A signature is good for the one request that it was made for, by the key that made it.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{MALFORMED, UNTRUSTED, alice, forging, honest, wire::but};
use crate::support::{
    PROOF, SIGNING_SECRET,
    cases::{
        NAMES, Table,
        gateways::{GW_1, GW_2},
        lines, now, set, with, without,
    },
    http::Lines,
    token::signature_fields,
};

/// The signature base of alice's `GET http://test/`.
const BASE: &[&str] = &[
    r#""@method": GET"#,
    r#""@authority": test"#,
    r#""@path": /"#,
    r#""@scheme": http"#,
    r#""@query": ?"#,
    r#""x-auth-username": alice"#,
    r#""x-auth-realm": internal"#,
    r#""x-auth-roles": reader"#,
];

/// The parameter that names the first key.
const KEY: &str = r#";keyid="gw-1""#;

fn sign(label: &str, base: &[&str], params: &str, secret: &str) -> Lines {
    sign_at(label, base, &format!(";created={}{params}", now()), secret)
}

/// As [`sign`], at whatever time the parameters name.
fn sign_at(label: &str, base: &[&str], params: &str, secret: &str) -> Lines {
    let fields = signature_fields(label, base, params, secret);
    fields.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
}

/// Alice's request with the gateway's right MAC, also over components that no implementation would sign.
fn signed_over(base: &[&str], components: &[&str]) -> Lines {
    let params = format!("({});created={}{KEY}", components.join(" "), now());
    let base = format!("{}\n\"@signature-params\": {params}", base.join("\n"));
    let mac = Hmac::<Sha256>::new_from_slice(GW_1.as_bytes()).unwrap().chain_update(base).finalize().into_bytes();
    let headers = with(alice(), "signature-input", format!("gw={params}"));
    with(headers, "signature", format!("gw=:{}:", STANDARD.encode(mac)))
}

/// Alice's request as the gateway signs it.
pub fn signed() -> Lines {
    [alice(), sign("gw", BASE, KEY, GW_1)].concat()
}

/// Alice's request, with a signature made as told.
fn signed_as(base: &[&str], params: &str, secret: &str) -> Lines {
    [alice(), sign("gw", base, params, secret)].concat()
}

/// Alice's request, whose signature was made for a request with another line of the base.
fn signed_for(line: &str) -> Lines {
    let component = line.split_once(':').unwrap().0;
    let base: Vec<_> = BASE.iter().map(|own| if own.starts_with(component) { line } else { own }).collect();
    signed_as(&base, KEY, GW_1)
}

/// A signature is good for the one request that it was made for, by the key that made it.
pub fn signatures(t: &mut Table) {
    let mut both = |name: &str, line: &str, headers: Lines| t.both(name, "signature", line, headers, UNTRUSTED);
    both("replayed by another method", "DELETE /", signed());
    both("replayed by HEAD", "HEAD /", signed());
    both("replayed at another path", "GET /admin", signed());
    both("replayed with a query", "GET /?admin=1", signed());
    both("made for another host", "GET /", signed_for(r#""@authority": elsewhere"#));
    both("made for another port", "GET /", signed_for(r#""@authority": test:8080"#));
    both("made for another path", "GET /", signed_for(r#""@path": /admin"#));
    both("made for another scheme", "GET /", signed_for(r#""@scheme": https"#));
    both("made for another query", "GET /", signed_for(r#""@query": ?a=b"#));
    both("made for another user", "GET /", signed_for(r#""x-auth-username": bob"#));
    for name in NAMES {
        both(&format!("{name} changed or added"), "GET /", set(signed(), name, "root"));
    }
    for name in ["x-auth-username", "x-auth-realm", "x-auth-roles", "signature", "signature-input"] {
        both(&format!("{name} dropped"), "GET /", without(signed(), name));
    }
    let covers = |skipped: &str| BASE.iter().copied().filter(|line| !line.contains(skipped)).collect::<Vec<_>>();
    for skipped in ["@method", "@authority", "@path", "@scheme", "@query", "username", "realm", "roles"] {
        both(&format!("{skipped} is not covered"), "GET /", signed_as(&covers(skipped), KEY, GW_1));
    }
    // Two signatures that each cover a half prove nothing together.
    let halves = [sign("a", &covers("username"), KEY, GW_1), sign("b", &covers("realm"), KEY, GW_1)].concat();
    both("two labels of a half each", "GET /", [alice(), halves].concat());
    let five: Lines =
        (0..5).flat_map(|n| sign(&format!("l{n}"), BASE, KEY, if n == 4 { GW_1 } else { GW_2 })).collect();
    both("the good one behind four bad ones", "GET /", [alice(), five].concat());
    // Beside the gateway's own label, a client's neither helps nor harms, and goes on as its own.
    let beside = [signed(), sign("gw", BASE, KEY, "a secret of the attacker's own, 32 bytes")].concat();
    both("the label again with another MAC", "GET /", beside);
    t.get("an alias of signature-input", "signature", with(signed(), "signature_input", "gw=()"), MALFORMED);
    t.get("an alias of the signed username", "signature", with(signed(), "x_auth_username", "root"), MALFORMED);
    t.get("the signed username again", "signature", with(signed(), "x-auth-username", "root"), MALFORMED);
    t.get("a forged token beside a signature", "signature", forging(signed()), honest());
    let failing = [sign("a", BASE, KEY, GW_2), signed()].concat();
    t.get("a failing label beside the good one", "signature", failing, honest());
    let mut sent = |what: &str, name: &str, value| {
        t.h2(what, "signature", "GET /", signed(), UNTRUSTED).pseudo = Some(lines(&but(name, value)));
    };
    sent("made for http, sent as https", ":scheme", "https");
    sent("sent to another host", ":authority", "evil");
    t.h2("sent to another host in Host", "signature", "GET /", with(signed(), "host", "evil"), honest());
}

/// A signature is one of a known key, in its time, over what the filter understands.
pub fn signature_parameters(t: &mut Table) {
    let mut untrusted = |name: &str, headers: Lines| t.get(name, "signature", headers, UNTRUSTED);
    untrusted("the first key under the second's name", signed_as(BASE, r#";keyid="gw-2""#, GW_1));
    untrusted("a key of no name", signed_as(BASE, "", GW_1));
    untrusted("an unknown keyid", signed_as(BASE, r#";keyid="gw-3""#, GW_1));
    untrusted("an empty keyid", signed_as(BASE, r#";keyid="""#, GW_1));
    untrusted("signed by the signing secret", signed_as(BASE, KEY, SIGNING_SECRET));
    untrusted("signed by the proof", signed_as(BASE, KEY, PROOF));
    untrusted("signed by the keyid", signed_as(BASE, KEY, "gw-1"));
    for alg in ["none", "NONE", "", "hmac-sha512", "rsa-v1_5-sha256", "ed25519", "HMAC-SHA256"] {
        untrusted(&format!("alg {alg:?}"), signed_as(BASE, &format!(r#"{KEY};alg="{alg}""#), GW_1));
    }
    for (name, params) in [
        ("as old as a day", format!(";created={}", now() - 86_400)),
        ("of tomorrow", format!(";created={}", now() + 86_400)),
        ("of no time", String::new()),
        ("that has expired", format!(";created={};expires={}", now() - 60, now() - 1)),
    ] {
        untrusted(name, [alice(), sign_at("gw", BASE, &format!("{params}{KEY}"), GW_1)].concat());
    }
    let names: Vec<_> = BASE.iter().map(|line| line.split_once(": ").unwrap().0).collect();
    let twice = signed_over(&[BASE, &BASE[2..3]].concat(), &[&names[..], &names[2..3]].concat());
    untrusted("a component twice", twice);
    let absent = signed_over(&[BASE, &[r#""x-absent": "#]].concat(), &[&names[..], &[r#""x-absent""#]].concat());
    untrusted("a component that is absent", absent);
    for parameter in [";bs", ";sf", ";req", ";tr", ";key=\"a\""] {
        let last = format!("{}{parameter}", names[7]);
        let components = [&names[..7], &[&*last]].concat();
        untrusted(&format!("a component with {parameter}"), signed_over(BASE, &components));
    }
    let line = format!(r#""x-long": {}"#, "a".repeat(17_000));
    let long = with(signed_as(&[BASE, &[&line]].concat(), KEY, GW_1), "x-long", "a".repeat(17_000));
    untrusted("16 KiB of signature base", long);
    let long = format!(r#"other=();a="{}""#, "a".repeat(8192));
    untrusted("8 KiB of signature-input", with(signed(), "signature-input", &long));
    let mac = String::from_utf8(signed().pop().unwrap().1).unwrap();
    for digits in [4, 20, 40] {
        let short = format!("{}:", &mac["gw=:".len()..][..digits]);
        untrusted(&format!("{digits} digits of the MAC"), set(signed(), "signature", format!("gw=:{short}")));
    }
    untrusted("no MAC", set(signed(), "signature", "gw=::"));
    untrusted("a MAC of nothing", set(signed(), "signature", "gw=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"));
    untrusted("a MAC as a string", set(signed(), "signature", "gw=\"x\""));
    untrusted("\\xff in the MAC", set(signed(), "signature", b"gw=:\xff:"));
    let (a, b) = (sign("a", BASE, KEY, GW_1), sign("b", BASE, KEY, GW_1));
    untrusted("the MAC of another label", [&alice(), &a[..1], &b[1..]].concat());
    // As some of these are made: it is not their MAC that refuses them.
    t.get("the right MAC by hand", "signature", signed_over(BASE, &names), honest());
}
