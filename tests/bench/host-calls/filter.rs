//! The floor: the host calls of a request that gets a token, and nothing else. No headers are read, no token is made.

use std::{
    ptr::null_mut,
    sync::atomic::{AtomicU32, Ordering},
};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_define_metric(kind: u32, name: *const u8, length: usize, metric: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, offset: i64) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, length: usize) -> u32;
    fn proxy_replace_header_map_value(map: u32, name: *const u8, length: usize, value: *const u8, size: usize) -> u32;
}

const REMOVED: [&str; 6] =
    ["x-auth-username", "x-auth-realm", "x-auth-roles", "x-auth-scopes", "x-auth-attributes", "x-auth-proof"];
/// As long as the token of the comparison.
const TOKEN: [u8; 437] = [b'x'; 437];

static COUNTER: AtomicU32 = AtomicU32::new(0);
/// Where the host puts what it returns: nobody reads it.
static mut RETURNED: [u8; 65_536] = [0; 65_536];

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    if size <= 65_536 { (&raw mut RETURNED).cast() } else { null_mut() }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(_context: u32, _parent: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(_context: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(_root: u32, _length: usize) -> bool {
    let (name, mut counter) = ("host_calls.requests", 0);
    // SAFETY: the pointer and the length are those of one live slice; the host writes one u32 where `counter` is.
    let status = unsafe { proxy_define_metric(0, name.as_ptr(), name.len(), &raw mut counter) };
    COUNTER.store(counter, Ordering::Relaxed);
    status == 0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(_context: u32, _count: u32, _end_of_stream: u32) -> u32 {
    let (mut data, mut length, mut time) = (null_mut(), 0, 0);
    let token_header = "authorization";
    // SAFETY: each pointer and its length are those of one live slice; the host writes to the three places.
    unsafe {
        proxy_get_header_map_pairs(0, &raw mut data, &raw mut length);
        proxy_get_current_time_nanoseconds(&raw mut time);
        for name in REMOVED {
            proxy_remove_header_map_value(0, name.as_ptr(), name.len());
        }
        let (name, value) = (token_header.as_ptr(), TOKEN.as_ptr());
        proxy_replace_header_map_value(0, name, token_header.len(), value, TOKEN.len());
        proxy_increment_metric(COUNTER.load(Ordering::Relaxed), 1);
    }
    0
}
