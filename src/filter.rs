//! proxy-wasm: reads the headers, asks the policy, applies its decision. Nothing else names the host.
//!
//! If the SDK returns an error, that one request ends with `internal`. On a status that it does not know, the SDK
//! panics: that ends the VM, and the request is never forwarded.

mod foreign;

use std::{cell::Cell, rc::Rc, time::UNIX_EPOCH};

use proxy_wasm::{
    hostcalls,
    traits::{Context, HttpContext, RootContext},
    types::{Action, ContextType, LogLevel, MapType, MetricType},
};
use zeroize::Zeroizing;

use crate::{
    config::field::Report,
    pairs::{self, BadLayout, Pair},
    policy::{Decision, Policy, Verdict},
    rejection::{Code, Flaw, Rejection},
    request::{Facts, Properties, Request},
    telemetry::{Outcome, RESULT, SUBJECT},
};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root(None)));
}}

/// A configured filter.
struct Plugin {
    policy: Policy,
    /// The host's counter for each outcome.
    counters: Vec<(Outcome, u32)>,
    /// The epoch second in which the host was last asked whether it wants debug lines, and its answer.
    debug: Cell<(i64, bool)>,
}

/// A plugin configuration, once it is accepted. Several filters share one VM, each with a root context of its own.
struct Root(Option<Rc<Plugin>>);

/// A request. It keeps the configuration it started with.
struct Stream(Option<Rc<Plugin>>);

// === the configuration ===

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        // If there is nothing to read, the error about an empty configuration says what is expected.
        let json = Zeroizing::new(self.get_plugin_configuration().unwrap_or_default());
        let Some(policy) = compile(&json) else { return false };
        self.0 = Some(Rc::new(Plugin { policy, counters: define_counters(), debug: Cell::new((i64::MIN, false)) }));
        true
    }

    fn create_http_context(&self, _context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream(self.0.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn compile(json: &[u8]) -> Option<Policy> {
    let report = Report::default();
    let policy = Policy::from_json(json, &|name| std::env::var(name).ok(), &report);
    let (errors, warnings) = report.into_parts();
    for error in errors {
        log(LogLevel::Error, || format!("configuration refused: {error}"));
    }
    for warning in warnings {
        log(LogLevel::Warn, || warning.to_string());
    }
    policy
}

fn define_counters() -> Vec<(Outcome, u32)> {
    let define = |outcome: Outcome| hostcalls::define_metric(MetricType::Counter, &outcome.counter()).ok();
    Outcome::all().filter_map(|outcome| Some((outcome, define(outcome)?))).collect()
}

/// Writes a line to the host's log, if the host wants lines of this level.
fn log(level: LogLevel, message: impl FnOnce() -> String) {
    if is_wanted(level) {
        let _ = hostcalls::log(level, &message());
    }
}

fn is_wanted(level: LogLevel) -> bool {
    hostcalls::get_log_level().is_ok_and(|wanted| level as u32 >= wanted as u32)
}

// === the request ===

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

    /// Removes our names from the trailers too: a service may merge trailers into the headers.
    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let Some(plugin) = &self.0 else { return reject(None, NO_CONFIGURATION, &[]) };
        match plugin.clean_trailers() {
            Ok(()) => Action::Continue,
            Err(rejection) => reject(Some(plugin), rejection, &[]),
        }
    }
}

impl Plugin {
    fn authenticate(&self, map: &[u8]) -> Result<(), Rejection<'_>> {
        // Every request has at least its pseudo-headers.
        if map.is_empty() {
            return Err(internal("the headers cannot be read"));
        }
        let pairs = read_pairs(map)?;
        let request = Request::scan(self.policy.names(), &pairs);
        let now = now()?;
        // Once a second: asking costs more than everything else about logging.
        if self.debug.get().0 != now {
            self.debug.set((now, is_wanted(LogLevel::Debug)));
        }
        let decision = self.policy.decide(&request, &Facts::new(now, &HostProperties));
        if let Verdict::Deny(rejection) = decision.verdict {
            return Err(rejection);
        }
        apply(&decision)?;
        let outcome = decision.verdict.outcome();
        self.report(outcome, decision.subject.as_deref());
        self.log_debug(|| format!("{}: {}, request {}", outcome.as_str(), decision.grounds, request_id(map)));
        Ok(())
    }

    fn clean_trailers(&self) -> Result<(), Rejection<'static>> {
        let map = foreign::header_map(MapType::HttpRequestTrailers).ok_or(internal("the trailers cannot be read"))?;
        let pairs = read_pairs(&map)?;
        let trailers = Request::scan(self.policy.names(), &pairs);
        trailers.removals(false).names().try_for_each(|name| remove(MapType::HttpRequestTrailers, name))
    }

    fn log_debug(&self, message: impl FnOnce() -> String) {
        if self.debug.get().1 {
            let _ = hostcalls::log(LogLevel::Debug, &message());
        }
    }

    /// Counts what became of a request, and tells the access log.
    fn report(&self, outcome: Outcome, subject: Option<&str>) {
        if let Some((_, counter)) = self.counters.iter().find(|(own, _)| *own == outcome) {
            let _ = hostcalls::increment_metric(*counter, 1);
        }
        if self.policy.tells_filter_state() {
            if let Some(subject) = subject {
                let _ = hostcalls::set_property(vec![SUBJECT], Some(subject.as_bytes()));
            }
            let _ = hostcalls::set_property(vec![RESULT], Some(outcome.as_str().as_bytes()));
        }
    }
}

fn apply(decision: &Decision<'_, '_>) -> Result<(), Rejection<'static>> {
    decision.remove.names().try_for_each(|name| remove(MapType::HttpRequestHeaders, name))?;
    decision.set().try_for_each(|(name, value)| {
        hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value.as_bytes()))
            .map_err(|_| internal("a header cannot be set"))
    })
}

fn remove(map: MapType, name: &[u8]) -> Result<(), Rejection<'static>> {
    let name = str::from_utf8(name).map_err(|_| internal("the name of a header is not UTF-8"))?;
    hostcalls::remove_map_value(map, name).map_err(|_| internal("a header cannot be removed"))
}

fn read_pairs(map: &[u8]) -> Result<Vec<Pair<'_>>, Rejection<'static>> {
    pairs::deserialize(map)
        .map(Iterator::collect)
        .map_err(|BadLayout| internal("the headers are not laid out as expected"))
}

/// What Envoy knows about the request. A property that cannot be read proves nothing, whatever the reason.
struct HostProperties;

impl Properties for HostProperties {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        hostcalls::get_property(path.to_vec()).ok().flatten()
    }
}

/// The proxy's clock, in epoch seconds.
fn now() -> Result<i64, Rejection<'static>> {
    let time = hostcalls::get_current_time().map_err(|_| internal("the clock cannot be read"))?;
    let since_epoch = time.duration_since(UNIX_EPOCH).map_err(|_| internal("the clock is before 1970"))?;
    i64::try_from(since_epoch.as_secs()).map_err(|_| internal("the clock is beyond 64 bits"))
}

const fn internal(what: &'static str) -> Rejection<'static> {
    Rejection::new(Code::Internal, "proxy", Flaw::Host(what))
}

const NO_CONFIGURATION: Rejection<'static> = internal("there is no configuration");

/// Ends the request here: it stays paused for good, whether or not the host sends the reply.
fn reject(plugin: Option<&Rc<Plugin>>, rejection: Rejection<'_>, map: &[u8]) -> Action {
    let code = rejection.code;
    let line = || format!("denied: {rejection}, request {}", request_id(map));
    if let Some(plugin) = plugin {
        plugin.report(Outcome::Denied(code), None);
    }
    match plugin {
        Some(plugin) if code != Code::Internal => plugin.log_debug(line),
        _ => log(LogLevel::Error, line),
    }
    let mut headers = Vec::with_capacity(3);
    headers.extend([("content-type", "application/problem+json"), ("cache-control", "no-store")]);
    headers.extend(code.challenge().map(|challenge| ("www-authenticate", challenge)));
    if foreign::send_response(code, &pairs::serialize(&headers)).is_none() {
        log(LogLevel::Error, || "the reply could not be sent".to_owned());
    }
    Action::Pause
}

/// Envoy's ID of the request. A client may have made it up, so it is shown only if it looks like an ID.
fn request_id(map: &[u8]) -> &str {
    pairs::deserialize(map)
        .ok()
        .and_then(|mut pairs| pairs.find(|(name, _)| *name == b"x-request-id"))
        .and_then(|(_, id)| str::from_utf8(id).ok())
        .filter(|id| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'))
        .unwrap_or("unknown")
}
