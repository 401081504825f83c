//! The proxy-wasm ABI 0.2.1: what the host calls, and the host calls that the filter makes.
//!
//! The ABI is spoken directly, and not through the SDK, for three reasons: the SDK's calls panic on a status that they
//! do not expect, and a panic costs a worker; it exports every callback, and Envoy enters the VM for each; and it
//! imports every host call, which other hosts lack.
//! See <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>.

#![allow(unsafe_code, reason = "a foreign interface cannot do without; nothing else in the crate has any")]

use std::{alloc::Layout, ptr};

/// Whether the request goes on when a callback returns.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Action {
    /// It goes on.
    Continue = 0,
    /// It stays here; a reply of our own ends it.
    Pause = 1,
}

/// How a log line ranks. The host drops what is below its own level.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum LogLevel {
    /// For whoever looks into one request.
    Debug = 1,
    /// For whoever wrote the configuration.
    Warn = 3,
    /// For whoever runs the proxy.
    Error = 4,
}

/// Which header map of the stream.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum MapType {
    /// The headers of the request.
    RequestHeaders = 0,
    /// Its trailers.
    RequestTrailers = 1,
}

/// The host refused a call, or answered with something that the ABI does not permit.
#[derive(Debug)]
pub struct HostError;

const STATUS_OK: u32 = 0;
const METRIC_COUNTER: u32 = 0;
const BUFFER_PLUGIN_CONFIGURATION: u32 = 7;
/// Leaves the choice of a gRPC status to the host.
const NO_GRPC_STATUS: i32 = -1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_log(level: u32, message: *const u8, length: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, max: usize, data: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_get_property(path: *const u8, path_length: usize, data: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_length: usize, value: *const u8, value_length: usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, length: usize, metric: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, offset: i64) -> u32;
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: MapType,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: MapType, name: *const u8, length: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_length: usize,
        body: *const u8,
        body_length: usize,
        headers: *const u8,
        headers_length: usize,
        grpc_status: i32,
    ) -> u32;
}

// === what the filter asks of the host ===

/// Writes a line to the host's log, if the host wants lines of this level, or does not say. There is nobody to tell that
/// this failed.
pub fn log(level: LogLevel, message: impl FnOnce() -> String) {
    let mut wanted = 0;
    // SAFETY: the host writes one u32 where `wanted` is.
    let is_known = check(unsafe { proxy_get_log_level(&raw mut wanted) }).is_ok();
    if is_known && (level as u32) < wanted {
        return;
    }
    let message = message();
    // SAFETY: the pointer and the length are those of one live slice.
    let _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// The proxy's clock, in nanoseconds since the Unix epoch.
pub fn current_time_nanoseconds() -> Result<u64, HostError> {
    let mut time = 0;
    // SAFETY: the host writes one u64 where `time` is.
    check(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) })?;
    Ok(time)
}

/// The plugin configuration, of which the host has announced `length` bytes.
pub fn plugin_configuration(length: usize) -> Result<Box<[u8]>, HostError> {
    // SAFETY: the host writes a pointer and a length to the two places that it is given.
    receive(|data, size| unsafe { proxy_get_buffer_bytes(BUFFER_PLUGIN_CONFIGURATION, 0, length, data, size) })
}

/// A property of the stream, by the segments of its path. One that does not exist is an error as any other.
pub fn property(path: &[&str]) -> Result<Box<[u8]>, HostError> {
    let path = path.join("\0");
    // SAFETY: as in `plugin_configuration`; the path and its length are those of one live slice.
    receive(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Sets a property of the stream: a filter state object, under a name that the host prefixes.
pub fn set_property(name: &str, value: &str) -> Result<(), HostError> {
    // SAFETY: each pointer and its length are those of one live slice.
    check(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Defines a counter, or finds the one of that name.
pub fn define_counter(name: &str) -> Result<u32, HostError> {
    let mut metric = 0;
    // SAFETY: the pointer and the length are those of one live slice; the host writes one u32 where `metric` is.
    check(unsafe { proxy_define_metric(METRIC_COUNTER, name.as_ptr(), name.len(), &raw mut metric) })?;
    Ok(metric)
}

/// Adds one to a counter.
pub fn increment_counter(metric: u32) -> Result<(), HostError> {
    // SAFETY: the call takes no pointer.
    check(unsafe { proxy_increment_metric(metric, 1) })
}

/// Every name and value of a header map, to be read with [`pairs`].
pub fn header_map(map: MapType) -> Result<Box<[u8]>, HostError> {
    // SAFETY: as in `plugin_configuration`.
    receive(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

/// Sets a header, replacing every line of that name.
pub fn set_header(map: MapType, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: each pointer and its length are those of one live slice.
    check(unsafe { proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Removes every line of a header.
pub fn remove_header(map: MapType, name: &[u8]) -> Result<(), HostError> {
    // SAFETY: the pointer and the length are those of one live slice.
    check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// Answers the request here. `details` is what Envoy's access log shows as `%RESPONSE_CODE_DETAILS%`.
pub fn send_response(status: u16, details: &str, headers: &[(&str, &str)], body: &str) -> Result<(), HostError> {
    let headers = crate::pairs::serialize(headers);
    // SAFETY: each pointer and its length are those of one live slice.
    check(unsafe {
        proxy_send_local_response(
            status.into(),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    })
}

const fn check(status: u32) -> Result<(), HostError> {
    if status == STATUS_OK { Ok(()) } else { Err(HostError) }
}

/// Makes a call that returns bytes. The host puts them into memory of [`proxy_on_memory_allocate`] and gives it to us.
fn receive(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Box<[u8]>, HostError> {
    let (mut data, mut length) = (ptr::null_mut(), 0);
    check(call(&raw mut data, &raw mut length))?;
    if data.is_null() {
        return Ok(Box::default());
    }
    // SAFETY: the global allocator made these `length` bytes, aligned as for `u8`, and nobody else owns them.
    Ok(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(data, length)) })
}

// === what the host asks of the filter ===

/// Says which ABI the module speaks.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Runs the constructors of the C library, once: without this call the linker puts them before every export.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the host calls this function once, before any other.
    unsafe { __wasm_call_ctors() };
}

/// Memory for what the host returns; see [`receive`].
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    match Layout::array::<u8>(size) {
        // SAFETY: the layout is not empty.
        Ok(layout) if size > 0 => unsafe { std::alloc::alloc(layout) },
        _ => ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    super::create_context(context, parent);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, length: usize) -> bool {
    super::configure(root, length)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: u32, _end_of_stream: u32) -> Action {
    super::handle_request_headers(context)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, _count: u32) -> Action {
    super::handle_request_trailers(context)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    super::delete_context(context);
}
