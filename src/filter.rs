//! proxy-wasm: reads the header pairs, asks the policy, applies its verdict. Nothing else names the host.
//!
//! Whatever the host answers, nothing here panics: what is unexpected ends the one request with `internal`.

mod host;

use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    rc::Rc,
};

use host::{Action, HostError, LogLevel, MapType};
use zeroize::Zeroizing;

use crate::{
    config::{Config, ConfigError},
    pairs::{self, BadLayout, Pair},
    policy::{Outcome, Policy, Verdict, compile::inline_secrets},
    rejection::{Code, Rejection},
    request::Request,
    trust::Evidence,
};

/// A configured filter.
struct Plugin {
    policy: Policy,
    /// The counters that the host keeps for us; none where it keeps no counters.
    counters: Vec<(Outcome, u32)>,
}

/// The plugin of each context; `None` is a root context that is not configured.
///
/// Several filters share one VM, each with a root context, and a new configuration is a new root context. A request
/// keeps the plugin that it began with.
type Contexts = HashMap<u32, Option<Rc<Plugin>>, BuildHasherDefault<ContextHasher>>;

/// Spreads the ids of contexts, which the host counts up: nobody else has a say in them.
#[derive(Default)]
struct ContextHasher(u64);

impl Hasher for ContextHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(byte.into());
        }
    }

    fn write_u32(&mut self, id: u32) {
        // 2^64 divided by the golden ratio (Knuth, TAOCP 3, section 6.4).
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = const { RefCell::new(HashMap::with_hasher(BuildHasherDefault::new())) };
}

/// Runs `change` on the contexts. No host call may be made in it, as the host may call back.
fn with_contexts<T>(change: impl FnOnce(&mut Contexts) -> T) -> Option<T> {
    CONTEXTS.with(|contexts| contexts.try_borrow_mut().ok().map(|mut contexts| change(&mut contexts)))
}

/// The plugin of a context.
fn plugin(context: u32) -> Option<Rc<Plugin>> {
    with_contexts(|contexts| contexts.get(&context).cloned()).flatten().flatten()
}

// === what `host` passes on ===

/// A request begins under its root context, or a root context begins, whose parent is 0.
fn create_context(context: u32, parent: u32) {
    with_contexts(|contexts| {
        let plugin = contexts.get(&parent).cloned().flatten();
        contexts.insert(context, plugin);
    });
}

/// The context has ended.
fn delete_context(context: u32) {
    with_contexts(|contexts| contexts.remove(&context));
}

/// Reads the configuration of a root context, of `length` bytes. `false` refuses it.
fn configure(root: u32, length: usize) -> bool {
    // Nothing to read is an empty configuration, whose error says what is expected.
    let json = Zeroizing::new(host::plugin_configuration(length).unwrap_or_default());
    match compile(&json) {
        Ok(policy) => {
            let plugin = Plugin { policy, counters: define_counters() };
            with_contexts(|contexts| contexts.insert(root, Some(Rc::new(plugin)))).is_some()
        }
        Err(error) => {
            host::log(LogLevel::Error, || format!("configuration refused: {error}"));
            false
        }
    }
}

fn compile(json: &[u8]) -> Result<Policy, ConfigError> {
    let config = Config::from_json(json)?;
    for path in inline_secrets(&config) {
        let warning =
            "found a secret in the configuration, where /config_dump shows it; expected it in the environment";
        host::log(LogLevel::Warn, || format!("{path}: {warning}"));
    }
    Policy::compile(config, &|name| std::env::var(name).ok())
}

fn define_counters() -> Vec<(Outcome, u32)> {
    let name = |outcome| match outcome {
        Outcome::Denied(code) => format!("auth_o_tron.denied.{code}"),
        other => format!("auth_o_tron.{}", other.as_str()),
    };
    Outcome::all().filter_map(|outcome| Some((outcome, host::define_counter(&name(outcome)).ok()?))).collect()
}

fn handle_request_headers(context: u32) -> Action {
    let Some(plugin) = plugin(context) else { return reject(None, NO_CONFIGURATION, &[]) };
    let map = host::header_map(MapType::RequestHeaders).unwrap_or_default();
    match plugin.authenticate(&map) {
        Ok(()) => Action::Continue,
        Err(rejection) => reject(Some(&plugin), rejection, &map),
    }
}

/// No name of ours belongs into trailers, whose fields a service may merge with the headers.
fn handle_request_trailers(context: u32) -> Action {
    let Some(plugin) = plugin(context) else { return reject(None, NO_CONFIGURATION, &[]) };
    match plugin.clean_trailers() {
        Ok(()) => Action::Continue,
        Err(rejection) => reject(Some(&plugin), rejection, &[]),
    }
}

// === the request ===

impl Plugin {
    fn authenticate(&self, map: &[u8]) -> Result<(), Rejection> {
        // Every request has at least its pseudo-headers.
        if map.is_empty() {
            return Err(internal("the headers cannot be read"));
        }
        let policy = &self.policy;
        let pairs = read_pairs(map)?;
        let request = Request::scan(policy.names(), &pairs);
        let verdict = policy.decide(&request, &HostEvidence, now()?);
        if let Verdict::Deny(rejection) = verdict {
            return Err(rejection);
        }
        for name in policy.removals(&request, &verdict) {
            remove(MapType::RequestHeaders, name)?;
        }
        for (name, value) in policy.replacements(&request).into_iter().flatten() {
            host::set_header(MapType::RequestHeaders, name.as_bytes(), value.as_bytes())
                .map_err(|HostError| internal("a header cannot be replaced"))?;
        }
        if let Verdict::Issue { value, .. } = &verdict {
            host::set_header(MapType::RequestHeaders, policy.token_header().as_bytes(), value.as_bytes())
                .map_err(|HostError| internal("the token cannot be set"))?;
            tell_if("auth_o_tron.subject", policy.subject(&request).as_deref());
        }
        self.report(verdict.outcome());
        Ok(())
    }

    fn clean_trailers(&self) -> Result<(), Rejection> {
        let map =
            host::header_map(MapType::RequestTrailers).map_err(|HostError| internal("the trailers cannot be read"))?;
        let pairs = read_pairs(&map)?;
        let trailers = Request::scan(self.policy.names(), &pairs);
        trailers.removals(false).try_for_each(|name| remove(MapType::RequestTrailers, name))
    }

    /// Counts what became of a request, and tells the access log. A host that can do neither still issues tokens.
    fn report(&self, outcome: Outcome) {
        if let Some((_, counter)) = self.counters.iter().find(|(own, _)| *own == outcome) {
            let _ = host::increment_counter(*counter);
        }
        tell_if("auth_o_tron.result", self.policy.tells_filter_state().then(|| outcome.as_str()));
    }
}

/// Sets filter state for the access log, if there is something to tell.
fn tell_if(name: &str, value: Option<&str>) {
    if let Some(value) = value {
        let _ = host::set_property(name, value);
    }
}

fn read_pairs(map: &[u8]) -> Result<Vec<Pair<'_>>, Rejection> {
    pairs::deserialize(map)
        .map(Iterator::collect)
        .map_err(|BadLayout| internal("the headers are not laid out as expected"))
}

fn remove(map: MapType, name: &[u8]) -> Result<(), Rejection> {
    host::remove_header(map, name).map_err(|HostError| internal("a header cannot be removed"))
}

/// What Envoy knows about the request. A property that cannot be had proves nothing, whyever that is.
struct HostEvidence;

impl Evidence for HostEvidence {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        host::property(path).map(Vec::from).ok()
    }
}

/// The proxy's clock, in epoch seconds.
fn now() -> Result<i64, Rejection> {
    let nanoseconds = host::current_time_nanoseconds().map_err(|HostError| internal("the clock cannot be read"))?;
    i64::try_from(nanoseconds / 1_000_000_000).map_err(|_| internal("the clock is beyond 64 bits"))
}

const fn internal(flaw: &'static str) -> Rejection {
    Rejection::new(Code::Internal, "proxy", flaw)
}

const NO_CONFIGURATION: Rejection = internal("there is no configuration");

/// Ends the request here: it stays paused for good, whether or not the host sends the reply.
fn reject(plugin: Option<&Plugin>, rejection: Rejection, map: &[u8]) -> Action {
    if let Some(plugin) = plugin {
        plugin.report(Outcome::Denied(rejection.code));
    }
    let level = if rejection.code == Code::Internal { LogLevel::Error } else { LogLevel::Debug };
    host::log(level, || format!("denied: {rejection}, request {}", request_id(map)));
    let mut headers = Vec::with_capacity(3);
    headers.extend([("content-type", "application/problem+json"), ("cache-control", "no-store")]);
    headers.extend(rejection.code.challenge().map(|challenge| ("www-authenticate", challenge)));
    if host::send_response(rejection.code.status(), rejection.code.as_str(), &headers, rejection.code.body()).is_err() {
        host::log(LogLevel::Error, || "the reply could not be sent".to_owned());
    }
    Action::Pause
}

/// Envoy's own id of the request. One that a client made up is shown only if it looks like one.
fn request_id(map: &[u8]) -> &str {
    pairs::deserialize(map)
        .ok()
        .and_then(|mut pairs| pairs.find(|(name, _)| *name == b"x-request-id"))
        .and_then(|(_, id)| str::from_utf8(id).ok())
        .filter(|id| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'))
        .unwrap_or("unknown")
}
