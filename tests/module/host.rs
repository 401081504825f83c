//! The built module: what it asks of its host, and what it does when the host misbehaves.
//!
//! Envoy never fails a call that these tests make fail, so a small host of their own runs the module.

use std::{collections::BTreeSet, fs};

use auth_o_tron_envoy::rejection::Code;
use serde_json::json;

use crate::{
    support,
    vm::{CONTINUE, PAUSE, ROOT, Vm, alice, configuration, map, module},
};

/// The WASI functions of Rust's standard library that every proxy-wasm host has.
const WASI: &[&str] = &["clock_time_get", "environ_get", "environ_sizes_get", "fd_write", "proc_exit", "random_get"];

/// The callbacks that `src/filter.rs` implements. Envoy enters the VM for each one that is exported.
const EXPORTS: &[&str] = &[
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
];

#[test]
fn the_module_exports_only_what_it_implements() {
    let module = module();
    let exported: BTreeSet<_> = module.exports().map(|export| export.name()).collect();
    assert!(exported.into_iter().eq(EXPORTS.iter().copied()));
    for import in module.imports().filter(|import| import.module() != "env") {
        assert!(import.module() == "wasi_snapshot_preview1" && WASI.contains(&import.name()), "{import:?}");
    }
}

/// Else it would be another one on each machine, and would tell who built it.
#[test]
fn the_module_names_no_directory_that_it_was_built_in() {
    let module = fs::read(support::module()).unwrap();
    let holds = |text: &str| module.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(holds("serde_json"), "panic messages name source files");
    for directory in [env!("CARGO_MANIFEST_DIR"), &std::env::var("HOME").unwrap()] {
        assert!(!holds(&format!("{directory}/")), "{directory}");
    }
}

/// What a request comes to when the host answers a call by a status that it has no business to answer by.
enum Answer {
    /// 500 `internal`, and the worker lives on.
    Internal,
    /// As if nothing had been wrong, and the worker lives on.
    AsEver,
    /// The SDK panics, which ends the VM: the request is never forwarded.
    Trap,
}

/// Last row of the outcomes table: an error that the SDK returns is 500 `internal`; any other status traps.
#[test]
fn whatever_call_fails_no_request_is_forwarded_that_should_not_be() {
    use Answer::{AsEver, Internal, Trap};
    let unproven = || map(&[(":path", "/")]);
    for status in [1, 2, 10, 12, 999, -1] {
        for (call, answer) in [
            ("proxy_get_header_map_pairs", Internal),
            ("proxy_get_current_time_nanoseconds", Trap),
            ("proxy_remove_header_map_value", Trap),
            ("proxy_replace_header_map_value", Trap),
            ("proxy_increment_metric", if [1, 2].contains(&status) { AsEver } else { Trap }),
        ] {
            let mut vm = Vm::configured();
            vm.store.data_mut().fails = Some((call, status));
            let found = vm.try_request(alice());
            let expected = match answer {
                Internal => Some((PAUSE, Some(Code::Internal.status()))),
                AsEver => Some((CONTINUE, None)),
                Trap => None,
            };
            assert_eq!(found, expected, "{call} {status}");
            if found.is_some() {
                vm.check_issues();
            }
        }
        for call in ["proxy_log", "proxy_get_log_level"] {
            let mut vm = Vm::configured();
            vm.store.data_mut().fails = Some((call, status));
            assert_eq!(vm.try_request(unproven()), None, "{call} {status}");
        }
        // Without a reply, the request stays where it is.
        let mut vm = Vm::configured();
        vm.store.data_mut().fails = Some(("proxy_send_local_response", status));
        assert_eq!(vm.request(unproven()).0, PAUSE);
        vm.check_issues();
    }
}

/// A line that the host would drop is not even written. 6 is Envoy's `off`, which the SDK does not know.
#[test]
fn the_log_follows_the_level_of_the_host() {
    const DEBUG: u32 = 1;
    for (level, is_logged) in [(DEBUG, true), (DEBUG + 1, false), (6, false)] {
        let mut vm = Vm::configured();
        let host = vm.store.data_mut();
        host.log_level = level;
        host.log.clear();
        assert_eq!(vm.request(map(&[(":path", "/")])), (PAUSE, Some(401)));
        assert_eq!(vm.store.data().log.contains("denied: identity_missing"), is_logged, "{level}");
    }
}

#[test]
fn what_became_of_a_request_is_counted_and_told() {
    let mut vm = Vm::start();
    let mut configuration = configuration();
    configuration["telemetry"] = json!({"filter_state": true});
    vm.store.data_mut().configuration = configuration.to_string().into_bytes();
    assert!(vm.configure(), "{}", vm.store.data().log);
    assert_eq!(vm.request(alice()), (CONTINUE, None));
    assert_eq!(vm.request(alice()), (CONTINUE, None));
    assert_eq!(vm.request(map(&[(":path", "/")])), (PAUSE, Some(401)));
    for (name, expected) in [("issued", 1), ("reused", 1), ("denied.identity_missing", 1), ("passed", 0)] {
        let counters = &vm.store.data().counters;
        let name = format!("auth_o_tron.{name}");
        assert_eq!(counters.iter().find(|(own, _)| *own == name).unwrap().1, expected, "{name}");
    }
    let expected: &[(&[u8], &[u8])] = &[
        (b"auth_o_tron.subject", b"internal-alice"),
        (b"auth_o_tron.result", b"issued"),
        (b"auth_o_tron.subject", b"internal-alice"),
        (b"auth_o_tron.result", b"reused"),
        (b"auth_o_tron.result", b"identity_missing"),
    ];
    let all: Vec<_> = vm.store.data().told.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(all, expected);
    vm.store.data_mut().fails = Some(("proxy_set_property", 12));
    assert_eq!(vm.try_request(alice()), None);
}

/// A host without counters is not served: it would not do what the documentation promises.
#[test]
fn a_host_without_counters_gets_no_filter() {
    let mut vm = Vm::start();
    vm.store.data_mut().fails = Some(("proxy_define_metric", 12));
    assert_eq!(vm.try_configure(), None);
}

#[test]
fn headers_that_are_not_laid_out_as_the_abi_says_end_with_500() {
    let mut vm = Vm::configured();
    let map = alice();
    let mut cases = vec![Vec::new(), vec![0xff; 4], vec![0xff; 64], [map.as_slice(), b"\0"].concat()];
    cases.extend((1..map.len()).map(|length| map[..length].to_vec()));
    for case in cases {
        assert_eq!(vm.request(case.clone()), (PAUSE, Some(500)), "{case:?}");
    }
    vm.check_issues();
}

#[test]
fn a_clock_before_or_beyond_all_time_ends_in_no_panic() {
    let mut vm = Vm::configured();
    for time in [0, u64::MAX] {
        vm.store.data_mut().time = time;
        assert_eq!(vm.request(alice()), (CONTINUE, None));
    }
}

#[test]
fn no_configuration_no_token() {
    let mut vm = Vm::start();
    assert_eq!(vm.request(alice()), (PAUSE, Some(500)));
    vm.store.data_mut().fails = Some(("proxy_get_buffer_bytes", 1));
    assert!(!vm.configure());
    assert_eq!(vm.request(alice()), (PAUSE, Some(500)));
    vm.store.data_mut().fails = None;
    assert!(vm.configure());
    vm.check_issues();
    vm.store.data_mut().fails = Some(("proxy_get_buffer_bytes", 10));
    assert_eq!(vm.try_configure(), None);
}

#[test]
fn a_context_that_nobody_announced_traps() {
    assert_eq!(Vm::configured().headers(77), None);
    assert_eq!(Vm::configured().trailers(77), None);
}

#[test]
fn trailers_that_cannot_be_read_or_cleaned_are_not_forwarded() {
    for (call, expected) in [("proxy_get_header_map_pairs", Some(PAUSE)), ("proxy_remove_header_map_value", None)] {
        let mut vm = Vm::configured();
        vm.create(2, ROOT);
        let host = vm.store.data_mut();
        host.map = map(&[("x-auth-roles", "admin")]);
        host.response = None;
        host.fails = Some((call, 10));
        assert_eq!(vm.trailers(2), expected, "{call}");
        assert_eq!(vm.store.data().response, expected.map(|_| 500), "{call}");
    }
}

/// A property that cannot be had proves nothing, and costs no worker.
#[test]
fn a_property_that_is_missing_or_fails_or_differs_is_no_proof() {
    let mut vm = Vm::start();
    let mut configuration = configuration();
    configuration["trust"] = json!([{"filter_state": {"key": "example.verified", "value": "yes"}}]);
    vm.store.data_mut().configuration = configuration.to_string().into_bytes();
    assert!(vm.configure(), "{}", vm.store.data().log);
    let path = b"filter_state\0example.verified";
    let alice = || map(&[(":path", "/"), ("x-auth-username", "alice"), ("x-auth-realm", "internal")]);
    let untrusted = (PAUSE, Some(Code::IdentityUntrusted.status()));
    assert_eq!(vm.request(alice()), untrusted);
    for value in [&b""[..], b"no", b"yes\0", &[0xff; 4096]] {
        vm.store.data_mut().properties = vec![(path, value)];
        assert_eq!(vm.request(alice()), untrusted, "{value:?}");
    }
    vm.store.data_mut().properties = vec![(path, b"yes")];
    for status in [1, 3, 10] {
        vm.store.data_mut().fails = Some(("proxy_get_property", status));
        assert_eq!(vm.request(alice()), untrusted, "{status}");
        vm.store.data_mut().fails = None;
        assert_eq!(vm.request(alice()), (CONTINUE, None), "{status}");
    }
    vm.store.data_mut().fails = Some(("proxy_get_property", 12));
    assert_eq!(vm.try_request(alice()), None);
}

/// A request keeps the policy that it began with; the next one has the new one.
#[test]
fn a_request_keeps_its_configuration_and_a_refused_one_replaces_nothing() {
    let mut vm = Vm::configured();
    vm.create(9, ROOT);
    let mut other = configuration();
    other["token"] = json!({"header": "x-token"});
    vm.store.data_mut().configuration = other.to_string().into_bytes();
    assert!(vm.configure());
    vm.store.data_mut().map = alice();
    assert_eq!(vm.headers(9), Some(CONTINUE));
    assert_eq!(vm.store.data().set.last().unwrap().0, b"authorization");
    vm.delete(9);
    vm.request(alice());
    assert_eq!(vm.store.data().set.last().unwrap().0, b"x-token");
    vm.store.data_mut().configuration = b"{}".to_vec();
    assert!(!vm.configure());
    vm.request(alice());
    assert_eq!(vm.store.data().set.last().unwrap().0, b"x-token");
}
