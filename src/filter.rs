//! proxy-wasm: reads the header pairs, asks the policy, applies its verdict. Nothing else names the host.
//!
//! Whatever the host answers, nothing here panics: what is unexpected ends the one request with `internal`.

mod foreign;

use std::{rc::Rc, time::UNIX_EPOCH};

use proxy_wasm::{
    hostcalls,
    traits::{Context, HttpContext, RootContext},
    types::{Action, ContextType, LogLevel, MapType, MetricType},
};
use zeroize::Zeroizing;

use crate::{
    config::{Config, ConfigError},
    pairs::{self, BadLayout, Pair},
    policy::{Outcome, Policy, Verdict, compile::inline_secrets},
    rejection::{Code, Rejection},
    request::Request,
    trust::Evidence,
};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root(None)));
}}

/// A configured filter.
struct Plugin {
    policy: Policy,
    /// The host's counter of each outcome.
    counters: Vec<(Outcome, u32)>,
}

/// A plugin configuration, once it is accepted. Several filters share one VM, each with a root context of its own.
struct Root(Option<Rc<Plugin>>);

/// A request. It keeps the configuration that it began with.
struct Stream(Option<Rc<Plugin>>);

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        // Nothing to read is an empty configuration, whose error says what is expected.
        let json = Zeroizing::new(self.get_plugin_configuration().unwrap_or_default());
        match compile(&json) {
            Ok(policy) => {
                self.0 = Some(Rc::new(Plugin { policy, counters: define_counters() }));
                true
            }
            Err(error) => {
                log(LogLevel::Error, || format!("configuration refused: {error}"));
                false
            }
        }
    }

    fn create_http_context(&self, _context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream(self.0.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn compile(json: &[u8]) -> Result<Policy, ConfigError> {
    let config = Config::from_json(json)?;
    for path in inline_secrets(&config) {
        let warning =
            "found a secret in the configuration, where /config_dump shows it; expected it in the environment";
        log(LogLevel::Warn, || format!("{path}: {warning}"));
    }
    Policy::compile(config, &|name| std::env::var(name).ok())
}

fn define_counters() -> Vec<(Outcome, u32)> {
    let name = |outcome| match outcome {
        Outcome::Denied(code) => format!("auth_o_tron.denied.{code}"),
        other => format!("auth_o_tron.{}", other.as_str()),
    };
    let define = |outcome| hostcalls::define_metric(MetricType::Counter, &name(outcome)).ok();
    Outcome::all().filter_map(|outcome| Some((outcome, define(outcome)?))).collect()
}

/// Writes a line to the host's log, if the host wants lines of this level.
fn log(level: LogLevel, message: impl FnOnce() -> String) {
    if hostcalls::get_log_level().is_ok_and(|wanted| level as u32 >= wanted as u32) {
        let _ = hostcalls::log(level, &message());
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Some(plugin) = &self.0 else { return reject(None, NO_CONFIGURATION, &[]) };
        let map = foreign::header_map(MapType::HttpRequestHeaders).unwrap_or_default();
        match plugin.authenticate(&map) {
            Ok(()) => Action::Continue,
            Err(rejection) => reject(Some(plugin), rejection, &map),
        }
    }

    /// No name of ours belongs into trailers, whose fields a service may merge with the headers.
    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let Some(plugin) = &self.0 else { return reject(None, NO_CONFIGURATION, &[]) };
        match plugin.clean_trailers() {
            Ok(()) => Action::Continue,
            Err(rejection) => reject(Some(plugin), rejection, &[]),
        }
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
            remove(MapType::HttpRequestHeaders, name)?;
        }
        for (name, value) in policy.replacements(&request).into_iter().flatten() {
            set(name, &value)?;
        }
        if let Verdict::Issue { value, .. } = &verdict {
            set(policy.token_header(), value)?;
            tell_if("auth_o_tron.subject", policy.subject(&request).as_deref());
        }
        self.report(verdict.outcome());
        Ok(())
    }

    fn clean_trailers(&self) -> Result<(), Rejection> {
        let map = foreign::header_map(MapType::HttpRequestTrailers).ok_or(internal("the trailers cannot be read"))?;
        let pairs = read_pairs(&map)?;
        let trailers = Request::scan(self.policy.names(), &pairs);
        trailers.removals(false).try_for_each(|name| remove(MapType::HttpRequestTrailers, name))
    }

    /// Counts what became of a request, and tells the access log. A host that can do neither still issues tokens.
    fn report(&self, outcome: Outcome) {
        if let Some((_, counter)) = self.counters.iter().find(|(own, _)| *own == outcome) {
            let _ = hostcalls::increment_metric(*counter, 1);
        }
        tell_if("auth_o_tron.result", self.policy.tells_filter_state().then(|| outcome.as_str()));
    }
}

/// Sets filter state for the access log, if there is something to tell.
fn tell_if(name: &str, value: Option<&str>) {
    if let Some(value) = value {
        let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
    }
}

fn read_pairs(map: &[u8]) -> Result<Vec<Pair<'_>>, Rejection> {
    pairs::deserialize(map)
        .map(Iterator::collect)
        .map_err(|BadLayout| internal("the headers are not laid out as expected"))
}

fn remove(map: MapType, name: &[u8]) -> Result<(), Rejection> {
    let name = str::from_utf8(name).map_err(|_| internal("a header cannot be named"))?;
    hostcalls::remove_map_value(map, name).map_err(|_| internal("a header cannot be removed"))
}

fn set(name: &str, value: &str) -> Result<(), Rejection> {
    hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value.as_bytes()))
        .map_err(|_| internal("a header cannot be set"))
}

/// What Envoy knows about the request. A property that cannot be had proves nothing, whyever that is.
struct HostEvidence;

impl Evidence for HostEvidence {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        hostcalls::get_property(path.to_vec()).ok().flatten()
    }
}

/// The proxy's clock, in epoch seconds.
fn now() -> Result<i64, Rejection> {
    let time = hostcalls::get_current_time().map_err(|_| internal("the clock cannot be read"))?;
    let since_epoch = time.duration_since(UNIX_EPOCH).map_err(|_| internal("the clock is before 1970"))?;
    i64::try_from(since_epoch.as_secs()).map_err(|_| internal("the clock is beyond 64 bits"))
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
    log(level, || format!("denied: {rejection}, request {}", request_id(map)));
    let mut headers = Vec::with_capacity(3);
    headers.extend([("content-type", "application/problem+json"), ("cache-control", "no-store")]);
    headers.extend(rejection.code.challenge().map(|challenge| ("www-authenticate", challenge)));
    let headers = pairs::serialize(&headers);
    if foreign::send_response(rejection.code, &headers).is_none() {
        log(LogLevel::Error, || "the reply could not be sent".to_owned());
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
