//! proxy-wasm: reads the header pairs, asks the policy, applies its verdict. Nothing else names the host.
//!
//! Only the SDK's free functions are used: the trait methods unwrap what the host says, and the `String` getters
//! panic on a header that is not UTF-8.

use std::{rc::Rc, time::UNIX_EPOCH};

use proxy_wasm::{
    hostcalls,
    traits::{Context, HttpContext, RootContext},
    types::{Action, BufferType, Bytes, ContextType, LogLevel, MapType, Status},
};

use crate::{
    policy::{Policy, Verdict},
    rejection::{Code, Rejection},
    request::Request,
};

/// Registers the filter; called once for each VM.
pub fn start() {
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}

/// One plugin configuration. A new configuration is a new root context, in the same VM or in another.
#[derive(Default)]
struct Root {
    policy: Option<Rc<Policy>>,
}

/// One request, which borrows the configuration that it began with.
struct Stream {
    policy: Option<Rc<Policy>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let json = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size);
        let json = json.ok().flatten().unwrap_or_default();
        match Policy::from_json(&json, &|name| std::env::var(name).ok()) {
            Ok(policy) => {
                self.policy = Some(Rc::new(policy));
                true
            }
            Err(error) => {
                log(LogLevel::Error, &format!("configuration refused: {error}"));
                false
            }
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { policy: self.policy.clone() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let pairs = hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default();
        match self.handle_headers(&pairs) {
            Ok(()) => Action::Continue,
            Err(rejection) => reject(rejection, &pairs),
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        let pairs = hostcalls::get_map_bytes(MapType::HttpRequestTrailers).unwrap_or_default();
        match self.clean_trailers(&pairs) {
            Ok(()) => Action::Continue,
            Err(rejection) => reject(rejection, &[]),
        }
    }
}

impl Stream {
    fn policy(&self) -> Result<&Policy, Rejection> {
        self.policy.as_deref().ok_or(internal("there is no configuration"))
    }

    fn handle_headers(&self, pairs: &[(String, Bytes)]) -> Result<(), Rejection> {
        // Every request has at least its pseudo-headers.
        if pairs.is_empty() {
            return Err(internal("the headers cannot be read"));
        }
        let policy = self.policy()?;
        let request = scan(policy, pairs);
        let verdict = policy.decide(&request, now()?);
        if let Verdict::Deny(rejection) = verdict {
            return Err(rejection);
        }
        for name in policy.removals(&request, &verdict) {
            remove(MapType::HttpRequestHeaders, name)?;
        }
        if let Verdict::Issue(value) = verdict {
            let map = MapType::HttpRequestHeaders;
            hostcalls::set_map_value_bytes(map, policy.token_header(), Some(value.as_bytes()))
                .map_err(|_: Status| internal("the token cannot be set"))?;
        }
        Ok(())
    }

    /// No name of ours belongs into trailers, whose fields a service may merge with the headers.
    fn clean_trailers(&self, pairs: &[(String, Bytes)]) -> Result<(), Rejection> {
        scan(self.policy()?, pairs).removals(false).try_for_each(|name| remove(MapType::HttpRequestTrailers, name))
    }
}

fn scan<'a>(policy: &Policy, pairs: &'a [(String, Bytes)]) -> Request<'a> {
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    Request::scan(policy.names(), pairs)
}

/// The proxy's clock, in epoch seconds.
fn now() -> Result<i64, Rejection> {
    hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|time| i64::try_from(time.as_secs()).ok())
        .ok_or(internal("the clock cannot be read"))
}

fn remove(map: MapType, name: &str) -> Result<(), Rejection> {
    hostcalls::remove_map_value(map, name).map_err(|_: Status| internal("a header cannot be removed"))
}

const fn internal(flaw: &'static str) -> Rejection {
    Rejection::new(Code::Internal, "proxy", flaw)
}

/// Ends the request here: it stays paused for good, whether or not the host sends the reply.
fn reject(rejection: Rejection, pairs: &[(String, Bytes)]) -> Action {
    let level = if rejection.code == Code::Internal { LogLevel::Error } else { LogLevel::Debug };
    log(level, &format!("denied: {rejection}, request {}", request_id(pairs)));
    let mut headers = vec![("content-type", "application/problem+json"), ("cache-control", "no-store")];
    headers.extend(rejection.code.challenge().map(|challenge| ("www-authenticate", challenge)));
    let body = rejection.code.body().as_bytes();
    let _ = hostcalls::send_http_response(rejection.code.status().into(), headers, Some(body));
    Action::Pause
}

/// Envoy's own id of the request. One that a client made up is shown only if it looks like one.
fn request_id(pairs: &[(String, Bytes)]) -> &str {
    pairs
        .iter()
        .find(|(name, _)| name == "x-request-id")
        .and_then(|(_, id)| str::from_utf8(id).ok())
        .filter(|id| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'))
        .unwrap_or("unknown")
}

/// Envoy drops what is below its own level; there is nobody to tell that logging failed.
fn log(level: LogLevel, message: &str) {
    let _ = hostcalls::log(level, message);
}
