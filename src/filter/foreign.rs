//! Two calls of the ABI 0.2.1, made without the SDK: it copies every name and value of a header map, panics if a name
//! is not UTF-8, and replies without details.

#![allow(unsafe_code, reason = "a foreign interface needs it; nothing else in the crate does")]

use std::ptr;

use proxy_wasm::types::MapType;

use crate::rejection::Code;

type Ptr = *const u8;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_send_local_response(code: u32, a: Ptr, _: usize, b: Ptr, _: usize, c: Ptr, _: usize, grpc: i32) -> u32;
}

/// A header map as [`crate::pairs`] reads it. `None` if the host refuses.
pub fn header_map(map: MapType) -> Option<Box<[u8]>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    // SAFETY: the host writes a pointer and a length to the two places it is given.
    match unsafe { proxy_get_header_map_pairs(map, &raw mut data, &raw mut size) } {
        0 if data.is_null() => Some(Box::default()),
        // SAFETY: these bytes are a box made by the SDK's `proxy_on_memory_allocate`, and nobody else owns it.
        0 => Some(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(data, size)) }),
        _ => None,
    }
}

/// Replies with `code`, which access logs show as `%RESPONSE_CODE_DETAILS%`. `None` if the host refuses.
pub fn send_response(code: Code, headers: &[u8]) -> Option<()> {
    let [(a, a_size), (b, b_size), (c, c_size)] =
        [code.as_str().as_bytes(), code.body().as_bytes(), headers].map(|bytes| (bytes.as_ptr(), bytes.len()));
    // SAFETY: each pointer and its length belong to a live slice. With -1 the host chooses the gRPC status.
    let status = unsafe { proxy_send_local_response(code.status().into(), a, a_size, b, b_size, c, c_size, -1) };
    (status == 0).then_some(())
}
