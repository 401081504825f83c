//! Attacks, by raw bytes over HTTP/1.1 and HTTP/2.

use std::collections::BTreeSet;

use auth_o_tron_envoy::rejection::Code;
use libtest_mimic::Trial;

use crate::{
    JUDGE,
    support::{
        cases::{
            Case, Expected, Protocol,
            attacks::{self, UNTRUSTED, honest, issued_to, proven},
            now, set, without,
        },
        http::Connection,
        http2::Http2,
        judge::{Judge, check_served},
        scene::Seen,
        trials::{self, trial},
    },
};

pub fn trials() -> Vec<Trial> {
    let mixes = [Protocol::Http1, Protocol::Http2].map(|protocol| {
        let name = format!("{protocol:?} shipped: two identities and a liar on one connection");
        trial(module_path!(), &name, move || JUDGE.with(|judge| check_mix(judge, protocol)))
    });
    trials::rows(module_path!(), &JUDGE, attacks::table(), Judge::check).into_iter().chain(mixes).collect()
}

/// Requests of two identities and of a liar, one after the other on one connection.
fn check_mix(judge: &mut Judge, protocol: Protocol) {
    judge.scene.upstream.take_all();
    let requests: Vec<_> = (0..60).map(|n| mixed(n, protocol)).collect();
    for request in &requests {
        judge.note_sent(request);
    }
    let port = judge.scene.envoy.port("shipped");
    let start = now();
    let replies: Vec<_> = match protocol {
        Protocol::Http1 => {
            let mut connection = Connection::open(port);
            let exchange = |request: &Case| {
                connection.write(&request.wire());
                Some(connection.read())
            };
            requests.iter().map(exchange).collect()
        }
        Protocol::Http2 => {
            let mut http2 = Http2::connect(port);
            let ids: Vec<_> = (0..60).map(|n| 2 * n + 1).collect();
            for (id, request) in ids.iter().zip(&requests) {
                http2.send(*id, &request.http2_headers(), &request.trailers);
            }
            http2.replies(&ids).into_values().collect()
        }
    };
    let seconds = [start, now()];
    let mut arrived = judge.scene.upstream.take_all();
    for (request, reply) in requests.iter().zip(replies) {
        let seen = Seen { reply, arrived: arrived.remove(&request.name) };
        match request.expected {
            Expected::Issued(_) => check_served(request, &seen, seconds),
            _ => assert_eq!(seen.reply.expect("a reply").status, Code::IdentityUntrusted.status()),
        }
    }
    assert_eq!(arrived.into_keys().collect::<BTreeSet<_>>(), BTreeSet::new(), "more reached the service");
    judge.read_log(None);
}

fn mixed(n: u32, protocol: Protocol) -> Case {
    let bob = || set(set(proven(), "x-auth-username", "bob"), "x-auth-roles", "writer");
    let (headers, expected) = match n % 3 {
        0 => (proven(), honest()),
        1 => (bob(), issued_to("bob", &["writer"])),
        _ => (without(bob(), "x-auth-proof"), UNTRUSTED),
    };
    Case { protocol, ..Case::new(format!("mixed {n}"), "shipped", headers, expected) }
}
