//! The built module in a small host of our own, run by `wasmi`: for what Envoy never does, and for exact counts.
//!
//! It stands in for no Envoy: what Envoy does is shown by `tests/envoy`.

use std::{cell::Cell, fs, sync::OnceLock};

use auth_o_tron_envoy::pairs;
use serde_json::{Value, json};
use wasmi::{Caller, Config, Engine, Extern, ExternType, Instance, Linker, Module, Store, TypedFunc};

use crate::support::{self, PROOF, SIGNING_SECRET};

pub const ROOT: i32 = 1;
pub const CONTINUE: i32 = 0;
pub const PAUSE: i32 = 1;

/// What the host knows, does wrong, and was asked to do.
#[derive(Default)]
pub struct Host {
    pub configuration: Vec<u8>,
    /// The header map, or the trailers.
    pub map: Vec<u8>,
    /// The call that fails, and with which status.
    pub fails: Option<(&'static str, i32)>,
    pub time: u64,
    /// Properties by their path, whose segments a zero byte joins.
    pub properties: Vec<(&'static [u8], &'static [u8])>,
    pub set: Vec<(Vec<u8>, Vec<u8>)>,
    pub removed: Vec<Vec<u8>>,
    pub response: Option<u16>,
    /// Each counter with its value.
    pub counters: Vec<(String, i64)>,
    /// Each property that was set.
    pub told: Vec<(Vec<u8>, Vec<u8>)>,
    pub log: String,
    /// The lowest level that it logs: 0 is all.
    pub log_level: u32,
    /// How many calls were made.
    pub calls: Cell<u64>,
}

/// An instance of the built module in its host.
pub struct Vm {
    pub store: Store<Host>,
    instance: Instance,
}

/// The built module, compiled once a test binary.
pub fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| {
        let mut config = Config::default();
        config.consume_fuel(true);
        Module::new(&Engine::new(&config), &fs::read(support::module()).unwrap()[..]).unwrap()
    })
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
    let host = caller.data();
    host.calls.set(host.calls.get() + 1);
    host.fails.filter(|(name, _)| *name == call).map_or(0, |(_, status)| status)
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
        .func_wrap("env", "proxy_get_log_level", |mut caller: Caller<'_, Host>, level: i32| {
            let wanted = caller.data().log_level.to_le_bytes();
            write(&mut caller, level, &wanted);
            status(&caller, "proxy_get_log_level")
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

/// The SDK's traits hold a default for every call of the ABI, so the module imports them all. None of the others is made.
fn trap_on_other_calls(linker: &mut Linker<Host>, module: &Module) {
    linker.allow_shadowing(false);
    for import in module.imports() {
        if let ExternType::Func(kind) = import.ty() {
            let call = format!("{}.{}", import.module(), import.name());
            // Those that are there already stay.
            let _ = linker.func_new(import.module(), import.name(), kind.clone(), move |_, _, _| {
                Err(wasmi::Error::new(format!("{call} was called")))
            });
        }
    }
}

pub fn configuration() -> Value {
    json!({
        "jwt": {"iss": "auth-o-tron.example.com", "exp": 60, "secret": SIGNING_SECRET},
        "trust": [{"shared_secret": {"header": "x-auth-proof", "secret": PROOF}}],
    })
}

/// Headers as the ABI lays them out.
pub fn map(headers: &[(&str, &str)]) -> Vec<u8> {
    pairs::serialize(headers)
}

pub fn alice() -> Vec<u8> {
    map(&[(":path", "/"), ("x-auth-username", "alice"), ("x-auth-realm", "internal"), ("x-auth-proof", PROOF)])
}

impl Vm {
    /// Not configured yet.
    pub fn start() -> Self {
        let module = module();
        let engine = module.engine();
        let host = Host {
            configuration: configuration().to_string().into_bytes(),
            time: 1_704_063_600_000_000_000,
            ..Host::default()
        };
        let mut store = Store::new(engine, host);
        store.set_fuel(u64::MAX).unwrap();
        let mut linker = linker(engine);
        trap_on_other_calls(&mut linker, module);
        let instance = linker.instantiate_and_start(&mut store, module).unwrap();
        let mut vm = Self { store, instance };
        vm.instance.get_typed_func::<(), ()>(&vm.store, "_initialize").unwrap().call(&mut vm.store, ()).unwrap();
        vm.create(ROOT, 0);
        vm
    }

    pub fn configured() -> Self {
        let mut vm = Self::start();
        assert!(vm.configure(), "{}", vm.store.data().log);
        vm
    }

    pub fn create(&mut self, context: i32, parent: i32) {
        let create = self.instance.get_typed_func::<(i32, i32), ()>(&self.store, "proxy_on_context_create").unwrap();
        create.call(&mut self.store, (context, parent)).unwrap();
    }

    pub fn configure(&mut self) -> bool {
        self.try_configure().expect("no trap")
    }

    /// `None` where the module traps, which ends this VM.
    pub fn try_configure(&mut self) -> Option<bool> {
        let length = i32::try_from(self.store.data().configuration.len()).unwrap();
        let configure = self.instance.get_typed_func::<(i32, i32), i32>(&self.store, "proxy_on_configure").unwrap();
        configure.call(&mut self.store, (ROOT, length)).ok().map(|accepted| accepted == 1)
    }

    /// What becomes of the request headers. `None` as in [`Vm::try_configure`].
    pub fn headers(&mut self, context: i32) -> Option<i32> {
        let call =
            self.instance.get_typed_func::<(i32, i32, i32), i32>(&self.store, "proxy_on_request_headers").unwrap();
        call.call(&mut self.store, (context, 0, 1)).ok()
    }

    /// What becomes of the request trailers. `None` as in [`Vm::try_configure`].
    pub fn trailers(&mut self, context: i32) -> Option<i32> {
        let call = self.instance.get_typed_func::<(i32, i32), i32>(&self.store, "proxy_on_request_trailers").unwrap();
        call.call(&mut self.store, (context, 0)).ok()
    }

    pub fn delete(&mut self, context: i32) {
        let delete = self.instance.get_typed_func::<i32, ()>(&self.store, "proxy_on_delete").unwrap();
        delete.call(&mut self.store, context).unwrap();
    }

    /// One request with `map` as its headers, under a context of its own.
    pub fn request(&mut self, map: Vec<u8>) -> (i32, Option<u16>) {
        self.try_request(map).expect("no trap")
    }

    /// As [`Vm::request`]. `None` as in [`Vm::try_configure`].
    pub fn try_request(&mut self, map: Vec<u8>) -> Option<(i32, Option<u16>)> {
        let host = self.store.data_mut();
        host.map = map;
        host.set.clear();
        host.removed.clear();
        host.response = None;
        self.create(2, ROOT);
        let action = self.headers(2)?;
        self.delete(2);
        Some((action, self.store.data().response))
    }

    /// A proven request gets its token.
    pub fn check_issues(&mut self) {
        self.store.data_mut().fails = None;
        assert_eq!(self.request(alice()), (CONTINUE, None));
        let host = self.store.data();
        assert_eq!(host.removed, [&b"x-auth-username"[..], b"x-auth-realm", b"x-auth-proof"]);
        let [(name, value)] = &host.set[..] else { panic!("{:?}", host.set) };
        assert_eq!(name, b"authorization");
        assert!(value.starts_with(b"Bearer eyJ"));
    }
}
