#!/usr/bin/env python3
"""The module's linker: rust-lld, exporting only the callbacks that `filter.rs` implements.

The SDK exports every callback of the ABI, and Envoy enters the VM for each one it finds: together they cost a sixth of
what a reused token does. rustc passes the exports to the linker, so this is where they can be left out, along with their code.
"""

import os
import sys

UNUSED = {
    f"proxy_on_{name}"
    for name in (
        "done", "downstream_connection_close", "downstream_data", "foreign_function", "grpc_close", "grpc_receive",
        "grpc_receive_initial_metadata", "grpc_receive_trailing_metadata", "http_call_response", "log",
        "new_connection", "queue_ready", "request_body", "response_body", "response_headers", "response_trailers",
        "tick", "upstream_connection_close", "upstream_data", "vm_start",
    )
}

arguments = iter(sys.argv[1:])
kept = []
for argument in arguments:
    words = [argument, next(arguments)] if argument == "--export" else [argument]
    if words[-1] not in UNUSED:
        kept += words
# rustc puts the directory of its own rust-lld on PATH.
os.execvp("rust-lld", ["rust-lld", *kept])
