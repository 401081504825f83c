#!/usr/bin/env python3
"""Starts Envoy with envoy.yaml and shows what the filter does; `make demo` and `make run` call it.

demo.py ENVOY          sends real requests, shows what came out, and stops
demo.py ENVOY --keep   keeps running until Ctrl-C
"""

import base64
import json
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
GATEWAY, SERVICE, ADMIN = 10000, 10001, 9901
IDENTITY = [
    "x-auth-username: alice",
    "x-auth-realm: internal",
    "x-auth-roles: admin,developer",
    "x-auth-scopes: read write",
    'x-auth-attributes: {"department":"engineering","team":"platform"}',
]
PROOF = "x-auth-proof: demo-proof-known-to-everybody"


def free_port(wanted):
    """The port of the YAML where it is free, else any."""
    for port in (wanted, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
                return listener.getsockname()[1]
            except OSError:
                continue
    sys.exit("no port is free on 127.0.0.1")


def start(envoy, directory):
    """Starts Envoy on free ports; returns the process and the port of the gateway once it answers."""
    yaml = (TOP / "envoy" / "envoy.yaml").read_text()
    ports = {wanted: free_port(wanted) for wanted in (GATEWAY, SERVICE, ADMIN)}
    for wanted, port in ports.items():
        yaml = yaml.replace(f"port_value: {wanted}}}", f"port_value: {port}}}")
    config, log = directory / "envoy.yaml", directory / "envoy.log"
    config.write_text(yaml)
    command = [envoy, "-c", config, "--use-dynamic-base-id", "--concurrency", "1", "--log-path", log]
    process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        if process.poll() is not None:
            break
        ready = ["curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{ports[ADMIN]}/ready"]
        if subprocess.run(ready).returncode == 0:
            return process, ports[GATEWAY]
        time.sleep(0.1)
    process.kill()
    sys.exit(f"Envoy did not start:\n{log.read_text() if log.exists() else ''}")


def curl(port, headers):
    command = ["curl", "-si", f"http://127.0.0.1:{port}/"]
    for header in headers:
        command += ["-H", header]
    return command


def show(port, headers):
    """Sends one request as a user would; shows the command and the answer; returns status and body."""
    command = curl(port, headers)
    print("$", shlex.join(command))
    answer = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    head, _, body = answer.partition("\r\n\r\n")
    for line in head.split("\r\n"):
        if line.startswith(("HTTP/", "content-type", "www-authenticate")):
            print(line)
    print()
    return int(head.split()[1]), body


def decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()


def expect(found, expected):
    if found != expected:
        sys.exit(f"expected {expected}, found {found}")


def demo(port):
    print("# 1. An identity with its proof, as the authenticator in front of the gateway sends it\n")
    status, body = show(port, [*IDENTITY, PROOF])
    expect(status, 200)
    seen = json.loads(body)
    token = seen["authorization"].removeprefix("Bearer ")
    header, claims, _ = token.split(".")
    print(f"token   {token}\nheader  {decode(header)}\nclaims  {decode(claims)}\n")
    print("What the service saw, after Envoy's own jwt_authn had verified the token:")
    print(json.dumps(seen, indent=2), "\n")
    expect(seen["verified_claims"]["sub"], "internal-alice")
    expect([seen["x-auth-username"], seen["x-auth-proof"]], [None, None])

    print("# 2. The same identity, forged: no proof\n")
    status, body = show(port, IDENTITY)
    print(body)
    expect(status, 401)

    print("# 3. No identity\n")
    status, body = show(port, [])
    print(body)
    expect(status, 401)


def keep_running(process, port):
    print(f"Envoy listens on 127.0.0.1:{port} until Ctrl-C. To try in another terminal:\n")
    for headers in ([*IDENTITY, PROOF], IDENTITY, []):
        print(shlex.join(curl(port, headers)), "\n", flush=True)
    try:
        process.wait()
    except KeyboardInterrupt:
        print("stopping")


def main():
    # So that `kill` stops Envoy too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory() as directory:
        process, port = start(sys.argv[1], pathlib.Path(directory))
        try:
            keep_running(process, port) if "--keep" in sys.argv else demo(port)
        finally:
            process.terminate()
            process.wait()


main()
