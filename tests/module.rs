//! The built module: what it asks of its host, and what it does when the host misbehaves.
//!
//! Envoy never fails a call that these tests make fail, so a small host of their own runs the module in `wasmi`. It
//! stands in for no Envoy: what Envoy does is shown by `tests/envoy.rs`.

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use auth_o_tron_envoy::{pairs, rejection::Code};
use serde_json::{Value, json};
use support::{PROOF, SIGNING_SECRET};
use wasmi::{Caller, Engine, Extern, Instance, Linker, Module, Store, TypedFunc};

/// The WASI functions of Rust's standard library that every proxy-wasm host has.
const WASI: &[&str] = &["clock_time_get", "environ_get", "environ_sizes_get", "fd_write", "proc_exit", "random_get"];

/// The proxy-wasm calls of `src/filter/host.rs`.
const PROXY_WASM: &[&str] = &[
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_property",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_property",
];

/// The callbacks of `src/filter/host.rs`. Envoy enters the VM for each one that is exported.
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

const ROOT: i32 = 1;
const CONTINUE: i32 = 0;
const PAUSE: i32 = 1;

/// What the host knows, does wrong, and was asked to do.
#[derive(Default)]
struct Host {
    configuration: Vec<u8>,
    /// The header map, or the trailers.
    map: Vec<u8>,
    /// The call that fails, and with which status.
    fails: Option<(&'static str, i32)>,
    time: u64,
    /// Properties by their path, whose segments a zero byte joins.
    properties: Vec<(&'static [u8], &'static [u8])>,
    set: Vec<(Vec<u8>, Vec<u8>)>,
    removed: Vec<Vec<u8>>,
    response: Option<u16>,
    /// Each counter with its value.
    counters: Vec<(String, i64)>,
    /// Each property that was set.
    told: Vec<(Vec<u8>, Vec<u8>)>,
    log: String,
}

/// An instance of the built module in its host.
struct Vm {
    store: Store<Host>,
    instance: Instance,
}

fn module(engine: &Engine) -> Module {
    Module::new(engine, &fs::read(support::module()).unwrap()[..]).unwrap()
}

fn read(caller: &Caller<'_, Host>, start: i32, length: i32) -> Vec<u8> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory).unwrap();
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    memory.read(caller, usize::try_from(start).unwrap(), &mut bytes).unwrap();
    bytes
}

fn write(caller: &mut Caller<'_, Host>, start: i32, bytes: &[u8]) {
    let memory = caller.get_export("memory").and_then(Extern::into_memory).unwrap();
    memory.write(caller, usize::try_from(start).unwrap(), bytes).unwrap();
}

/// Hands `bytes` over as the ABI says: in memory that the module allocates, by a pointer and a length.
fn hand_over(caller: &mut Caller<'_, Host>, bytes: &[u8], data: i32, length: i32) {
    let allocate = caller.get_export("proxy_on_memory_allocate").and_then(Extern::into_func).unwrap();
    let allocate: TypedFunc<i32, i32> = allocate.typed(&*caller).unwrap();
    let size = i32::try_from(bytes.len()).unwrap();
    let start = allocate.call(&mut *caller, size).unwrap();
    write(caller, start, bytes);
    write(caller, data, &start.to_le_bytes());
    write(caller, length, &size.to_le_bytes());
}

/// The status that the host gives to this call.
fn status(caller: &Caller<'_, Host>, call: &str) -> i32 {
    caller.data().fails.filter(|(name, _)| *name == call).map_or(0, |(_, status)| status)
}

#[allow(clippy::too_many_lines, reason = "it is a list")]
fn linker(engine: &Engine) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    let wasi = "wasi_snapshot_preview1";
    linker
        .func_wrap("env", "proxy_log", |mut caller: Caller<'_, Host>, _: i32, text: i32, length: i32| {
            let text = read(&caller, text, length);
            caller.data_mut().log.push_str(&String::from_utf8(text).unwrap());
            status(&caller, "proxy_log")
        })
        .unwrap()
        .func_wrap("env", "proxy_get_current_time_nanoseconds", |mut caller: Caller<'_, Host>, time: i32| {
            let now = caller.data().time.to_le_bytes();
            write(&mut caller, time, &now);
            status(&caller, "proxy_get_current_time_nanoseconds")
        })
        .unwrap()
        .func_wrap(
            "env",
            "proxy_get_buffer_bytes",
            |mut caller: Caller<'_, Host>, buffer: i32, _: i32, _: i32, data: i32, length: i32| {
                assert_eq!(buffer, 7, "the plugin configuration");
                let bytes = caller.data().configuration.clone();
                hand_over(&mut caller, &bytes, data, length);
                status(&caller, "proxy_get_buffer_bytes")
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "proxy_get_property",
            |mut caller: Caller<'_, Host>, path: i32, path_length: i32, data: i32, length: i32| {
                let path = read(&caller, path, path_length);
                let status = status(&caller, "proxy_get_property");
                let found = caller.data().properties.iter().find(|(own, _)| *own == path).map(|(_, value)| *value);
                match found {
                    // NotFound.
                    None => 1,
                    Some(value) => {
                        if status == 0 {
                            hand_over(&mut caller, value, data, length);
                        }
                        status
                    }
                }
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "proxy_get_header_map_pairs",
            |mut caller: Caller<'_, Host>, _: i32, data: i32, length: i32| {
                let status = status(&caller, "proxy_get_header_map_pairs");
                if status == 0 {
                    let bytes = caller.data().map.clone();
                    hand_over(&mut caller, &bytes, data, length);
                }
                status
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "proxy_replace_header_map_value",
            |mut caller: Caller<'_, Host>, _: i32, name: i32, name_length: i32, value: i32, value_length: i32| {
                let pair = (read(&caller, name, name_length), read(&caller, value, value_length));
                caller.data_mut().set.push(pair);
                status(&caller, "proxy_replace_header_map_value")
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "proxy_remove_header_map_value",
            |mut caller: Caller<'_, Host>, _: i32, name: i32, length: i32| {
                let name = read(&caller, name, length);
                caller.data_mut().removed.push(name);
                status(&caller, "proxy_remove_header_map_value")
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "proxy_send_local_response",
            |mut caller: Caller<'_, Host>, code: i32, _: i32, _: i32, _: i32, _: i32, _: i32, _: i32, _: i32| {
                caller.data_mut().response = Some(u16::try_from(code).unwrap());
                status(&caller, "proxy_send_local_response")
            },
        )
        .unwrap()
        .func_wrap(
            "env",
            "proxy_define_metric",
            |mut caller: Caller<'_, Host>, _: i32, name: i32, length: i32, metric: i32| {
                let name = String::from_utf8(read(&caller, name, length)).unwrap();
                let id = u32::try_from(caller.data().counters.len()).unwrap();
                caller.data_mut().counters.push((name, 0));
                write(&mut caller, metric, &id.to_le_bytes());
                status(&caller, "proxy_define_metric")
            },
        )
        .unwrap()
        .func_wrap("env", "proxy_increment_metric", |mut caller: Caller<'_, Host>, metric: i32, offset: i64| {
            caller.data_mut().counters[usize::try_from(metric).unwrap()].1 += offset;
            status(&caller, "proxy_increment_metric")
        })
        .unwrap()
        .func_wrap(
            "env",
            "proxy_set_property",
            |mut caller: Caller<'_, Host>, name: i32, name_length: i32, value: i32, value_length: i32| {
                let pair = (read(&caller, name, name_length), read(&caller, value, value_length));
                caller.data_mut().told.push(pair);
                status(&caller, "proxy_set_property")
            },
        )
        .unwrap()
        .func_wrap(wasi, "environ_sizes_get", |mut caller: Caller<'_, Host>, count: i32, size: i32| {
            write(&mut caller, count, &0_i32.to_le_bytes());
            write(&mut caller, size, &0_i32.to_le_bytes());
            0
        })
        .unwrap()
        .func_wrap(wasi, "environ_get", |_: i32, _: i32| 0)
        .unwrap()
        .func_wrap(wasi, "fd_write", |_: i32, _: i32, _: i32, _: i32| 8)
        .unwrap()
        .func_wrap(wasi, "random_get", |_: i32, _: i32| 0)
        .unwrap()
        .func_wrap(wasi, "clock_time_get", |_: i32, _: i64, _: i32| 8)
        .unwrap()
        .func_wrap(wasi, "proc_exit", |_: i32| {})
        .unwrap();
    linker
}

fn configuration() -> Value {
    json!({
        "jwt": {"iss": "auth-o-tron.example.com", "exp": 60, "secret": SIGNING_SECRET},
        "trust": [{"shared_secret": {"header": "x-auth-proof", "secret": PROOF}}],
    })
}

fn alice() -> Vec<u8> {
    pairs::serialize(&[
        (":path", "/"),
        ("x-auth-username", "alice"),
        ("x-auth-realm", "internal"),
        ("x-auth-proof", PROOF),
    ])
}

impl Vm {
    fn start() -> Self {
        let engine = Engine::default();
        let host = Host {
            configuration: configuration().to_string().into_bytes(),
            time: 1_704_063_600_000_000_000,
            ..Host::default()
        };
        let mut store = Store::new(&engine, host);
        let instance = linker(&engine).instantiate_and_start(&mut store, &module(&engine)).unwrap();
        let mut vm = Self { store, instance };
        vm.instance.get_typed_func::<(), ()>(&vm.store, "_initialize").unwrap().call(&mut vm.store, ()).unwrap();
        vm.create(ROOT, 0);
        vm
    }

    fn configured() -> Self {
        let mut vm = Self::start();
        assert!(vm.configure(), "{}", vm.store.data().log);
        vm
    }

    fn create(&mut self, context: i32, parent: i32) {
        let create = self.instance.get_typed_func::<(i32, i32), ()>(&self.store, "proxy_on_context_create").unwrap();
        create.call(&mut self.store, (context, parent)).unwrap();
    }

    fn configure(&mut self) -> bool {
        let length = i32::try_from(self.store.data().configuration.len()).unwrap();
        let configure = self.instance.get_typed_func::<(i32, i32), i32>(&self.store, "proxy_on_configure").unwrap();
        configure.call(&mut self.store, (ROOT, length)).unwrap() == 1
    }

    fn headers(&mut self, context: i32) -> i32 {
        let call =
            self.instance.get_typed_func::<(i32, i32, i32), i32>(&self.store, "proxy_on_request_headers").unwrap();
        call.call(&mut self.store, (context, 0, 1)).unwrap()
    }

    fn trailers(&mut self, context: i32) -> i32 {
        let call = self.instance.get_typed_func::<(i32, i32), i32>(&self.store, "proxy_on_request_trailers").unwrap();
        call.call(&mut self.store, (context, 0)).unwrap()
    }

    fn delete(&mut self, context: i32) {
        let delete = self.instance.get_typed_func::<i32, ()>(&self.store, "proxy_on_delete").unwrap();
        delete.call(&mut self.store, context).unwrap();
    }

    /// One request with `map` as its headers, under a context of its own.
    fn request(&mut self, map: Vec<u8>) -> (i32, Option<u16>) {
        let host = self.store.data_mut();
        host.map = map;
        host.set.clear();
        host.removed.clear();
        host.response = None;
        self.create(2, ROOT);
        let action = self.headers(2);
        self.delete(2);
        (action, self.store.data().response)
    }

    /// A proven request gets its token.
    fn check_issues(&mut self) {
        self.store.data_mut().fails = None;
        assert_eq!(self.request(alice()), (CONTINUE, None));
        let host = self.store.data();
        assert_eq!(host.removed, [&b"x-auth-username"[..], b"x-auth-realm", b"x-auth-proof"]);
        let [(name, value)] = &host.set[..] else { panic!("{:?}", host.set) };
        assert_eq!(name, b"authorization");
        assert!(value.starts_with(b"Bearer eyJ"));
    }
}

#[test]
fn the_module_imports_only_what_it_uses_and_exports_only_what_it_implements() {
    let module = module(&Engine::default());
    for import in module.imports() {
        let allowed = if import.module() == "env" { PROXY_WASM } else { WASI };
        assert!(allowed.contains(&import.name()), "{}.{}", import.module(), import.name());
    }
    let imported: BTreeSet<_> =
        module.imports().filter(|import| import.module() == "env").map(|import| import.name()).collect();
    assert!(imported.into_iter().eq(PROXY_WASM.iter().copied()));
    let exported: BTreeSet<_> = module.exports().map(|export| export.name()).collect();
    assert!(exported.into_iter().eq(EXPORTS.iter().copied()));
}

/// Row of the outcomes table: anything unexpected from the host is 500 `internal`, and the worker lives on.
#[test]
fn whatever_call_fails_the_request_ends_with_500_and_the_worker_lives_on() {
    let mut vm = Vm::configured();
    for status in [1, 2, 10, 12, 999, -1] {
        for call in [
            "proxy_get_header_map_pairs",
            "proxy_get_current_time_nanoseconds",
            "proxy_remove_header_map_value",
            "proxy_replace_header_map_value",
        ] {
            vm.store.data_mut().fails = Some((call, status));
            assert_eq!(vm.request(alice()), (PAUSE, Some(Code::Internal.status())), "{call} {status}");
            vm.check_issues();
        }
        // Without a log, all is as ever. Without a reply, the request stays where it is.
        vm.store.data_mut().fails = Some(("proxy_log", status));
        assert_eq!(vm.request(pairs::serialize(&[(":path", "/")])), (PAUSE, Some(401)));
        vm.store.data_mut().fails = Some(("proxy_send_local_response", status));
        assert_eq!(vm.request(pairs::serialize(&[(":path", "/")])).0, PAUSE);
        vm.check_issues();
    }
}

/// Counters and properties are optional: a host without them still issues tokens.
#[test]
fn what_became_of_a_request_is_counted_and_told_where_the_host_can() {
    for (fails, counted) in [
        (None, true),
        (Some(("proxy_define_metric", 12)), false),
        (Some(("proxy_increment_metric", 12)), true),
        (Some(("proxy_set_property", 12)), true),
    ] {
        let mut vm = Vm::start();
        let mut configuration = configuration();
        configuration["telemetry"] = json!({"filter_state": true});
        vm.store.data_mut().configuration = configuration.to_string().into_bytes();
        vm.store.data_mut().fails = fails;
        assert!(vm.configure(), "{}", vm.store.data().log);
        assert_eq!(vm.request(alice()), (CONTINUE, None));
        assert_eq!(vm.request(alice()), (CONTINUE, None));
        assert_eq!(vm.request(pairs::serialize(&[(":path", "/")])), (PAUSE, Some(401)));
        let count = |name: &str| {
            let counters = &vm.store.data().counters;
            counters.iter().find(|(own, _)| own == name).unwrap_or_else(|| panic!("{name}: {counters:?}")).1
        };
        for name in ["issued", "reused", "denied.identity_missing"] {
            assert_eq!(count(&format!("auth_o_tron.{name}")), i64::from(counted), "{name}, {fails:?}");
        }
        assert_eq!(count("auth_o_tron.passed"), 0);
        let expected: &[(&[u8], &[u8])] = &[
            (b"auth_o_tron.subject", b"internal-alice"),
            (b"auth_o_tron.result", b"issued"),
            (b"auth_o_tron.subject", b"internal-alice"),
            (b"auth_o_tron.result", b"reused"),
            (b"auth_o_tron.result", b"identity_missing"),
        ];
        let all: Vec<_> = vm.store.data().told.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(all, expected, "{fails:?}");
    }
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
    vm.store.data_mut().fails = Some(("proxy_get_buffer_bytes", 10));
    assert!(!vm.configure());
    assert_eq!(vm.request(alice()), (PAUSE, Some(500)));
    vm.store.data_mut().fails = None;
    assert!(vm.configure());
    vm.check_issues();
}

#[test]
fn a_context_that_nobody_announced_ends_with_500() {
    let mut vm = Vm::configured();
    vm.store.data_mut().map = alice();
    assert_eq!(vm.headers(77), PAUSE);
    assert_eq!(vm.trailers(77), PAUSE);
    vm.delete(77);
    vm.check_issues();
}

#[test]
fn trailers_that_cannot_be_read_or_cleaned_end_with_500() {
    let mut vm = Vm::configured();
    for call in ["proxy_get_header_map_pairs", "proxy_remove_header_map_value"] {
        vm.create(2, ROOT);
        let host = vm.store.data_mut();
        host.map = pairs::serialize(&[("x-auth-roles", "admin")]);
        host.response = None;
        host.fails = Some((call, 10));
        assert_eq!(vm.trailers(2), PAUSE, "{call}");
        assert_eq!(vm.store.data().response, Some(500), "{call}");
        vm.delete(2);
        vm.check_issues();
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
    let alice = || pairs::serialize(&[(":path", "/"), ("x-auth-username", "alice"), ("x-auth-realm", "internal")]);
    let untrusted = (PAUSE, Some(Code::IdentityUntrusted.status()));
    assert_eq!(vm.request(alice()), untrusted);
    for value in [&b""[..], b"no", b"yes\0", &[0xff; 4096]] {
        vm.store.data_mut().properties = vec![(path, value)];
        assert_eq!(vm.request(alice()), untrusted, "{value:?}");
    }
    vm.store.data_mut().properties = vec![(path, b"yes")];
    for status in [1, 2, 3, 10, 12, 999, -1] {
        vm.store.data_mut().fails = Some(("proxy_get_property", status));
        assert_eq!(vm.request(alice()), untrusted, "{status}");
        vm.store.data_mut().fails = None;
        assert_eq!(vm.request(alice()), (CONTINUE, None), "{status}");
    }
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
    assert_eq!(vm.headers(9), CONTINUE);
    assert_eq!(vm.store.data().set.last().unwrap().0, b"authorization");
    vm.delete(9);
    vm.request(alice());
    assert_eq!(vm.store.data().set.last().unwrap().0, b"x-token");
    vm.store.data_mut().configuration = b"{}".to_vec();
    assert!(!vm.configure());
    vm.request(alice());
    assert_eq!(vm.store.data().set.last().unwrap().0, b"x-token");
}

/// The core never meets the host.
#[test]
fn only_the_filter_names_the_host() {
    let mut named = Vec::new();
    find_host_calls(&support::top().join("src"), &mut named);
    assert_eq!(named, ["host.rs"]);
}

fn find_host_calls(directory: &Path, named: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_host_calls(&path, named);
        } else if ["proxy_", "unsafe "].iter().any(|mark| fs::read_to_string(&path).unwrap().contains(mark)) {
            named.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
}
