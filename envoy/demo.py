#!/usr/bin/env python3
"""Starts Envoy with envoy.yaml and shows what the filter does; `make demo` and `make run` call it.

demo.py ENVOY          sends real requests, shows what came out, and stops
demo.py ENVOY --keep   keeps running until Ctrl-C
demo.py --running      sends the requests to an Envoy that is already running, such as docker-compose.yaml's
"""

import base64
import json
import os
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
RUNNING = (("GATEWAY_PORT", GATEWAY), ("ADMIN_PORT", ADMIN))
ACCESS_LOG = "access.log"
IDENTITY = [
    "x-auth-username: alice",
    "x-auth-realm: internal",
    "x-auth-roles: admin,developer",
    "x-auth-scopes: read write",
    'x-auth-attributes: {"department":"engineering","team":"platform"}',
]
PROOF = "x-auth-proof: demo-proof-known-to-everybody"


def free_port(wanted):
    """The port of the YAML if it is free, else any."""
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
    """Starts Envoy on free ports. Once it answers, returns the process, and its ports by those of the YAML."""
    yaml = (TOP / "envoy" / "envoy.yaml").read_text()
    ports = {wanted: free_port(wanted) for wanted in (GATEWAY, SERVICE, ADMIN)}
    for wanted, port in ports.items():
        yaml = yaml.replace(f"port_value: {wanted}}}", f"port_value: {port}}}")
    config, log = directory / "envoy.yaml", directory / "envoy.log"
    config.write_text(yaml)
    command = [envoy, "-c", config, "--use-dynamic-base-id", "--concurrency", "1", "--log-path", log]
    with open(directory / ACCESS_LOG, "wb") as access_log:
        process = subprocess.Popen(command, cwd=TOP, stdout=access_log, stderr=subprocess.DEVNULL)
    if is_ready(f"http://127.0.0.1:{ports[ADMIN]}/ready", lambda: process.poll() is None):
        return process, ports
    process.kill()
    sys.exit(f"Envoy did not start:\n{log.read_text() if log.exists() else ''}")


def is_ready(url, may_yet=lambda: True):
    """Whether it answers within 20 seconds that all is well, unless `may_yet` says that it never will."""
    ready = ["curl", "-sf", "-o", "/dev/null", url]
    for _ in range(200):
        if not may_yet():
            return False
        if subprocess.run(ready).returncode == 0:
            return True
        time.sleep(0.1)
    return False


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


def show_traces(admin, read_access_log):
    """What became of the three requests, as an operator sees it."""
    print("# 4. What the operator sees: counters for Prometheus, and the access log\n")
    command = ["curl", "-s", f"http://127.0.0.1:{admin}/stats/prometheus?filter=auth_o_tron&usedonly"]
    print("$", shlex.join(command))
    counters = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    print("\n".join(line for line in counters.splitlines() if line.startswith("auth_o_tron")), "\n")
    expect('auth_o_tron_denied{code="identity_missing"} 1' in counters, True)
    for _ in range(100):
        lines = read_access_log().splitlines()
        if len(lines) >= 3:
            break
        # Envoy writes it every second.
        time.sleep(0.1)
    print("\n".join(lines))
    expect(lines[0], "GET / 200 issued internal-alice")


def keep_running(process, port):
    print(f"Envoy listens on 127.0.0.1:{port} until Ctrl-C. To try in another terminal:\n")
    for headers in ([*IDENTITY, PROOF], IDENTITY, []):
        print(shlex.join(curl(port, headers)), "\n", flush=True)
    try:
        process.wait()
    except KeyboardInterrupt:
        print("stopping")


def main():
    if "--running" in sys.argv:
        # The variables of docker-compose.yaml.
        gateway, admin = (int(os.environ.get(name, port)) for name, port in RUNNING)
        if not is_ready(f"http://127.0.0.1:{admin}/ready"):
            sys.exit(f"expected a running Envoy, found none that is ready on 127.0.0.1:{admin}")
        return demo(gateway)
    # So that `kill` stops Envoy too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory() as directory:
        process, ports = start(sys.argv[1], pathlib.Path(directory))
        try:
            if "--keep" in sys.argv:
                keep_running(process, ports[GATEWAY])
            else:
                demo(ports[GATEWAY])
                show_traces(ports[ADMIN], (pathlib.Path(directory) / ACCESS_LOG).read_text)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
