#!/usr/bin/env python3
"""What a request costs in real Envoy, with this filter and with its alternatives: `make bench` calls it.

    envoy.py ENVOY OHA [--rounds N] [--growth-rounds N] [--seconds S] [--limit S] [--json FILE]
                       [--envoys N] [--compare NAME=MODULE ...]

Each variant is two Envoys (or `--envoys`) with one worker each. All start at once, then take turns in short bursts of a
fixed number of requests, for many rounds, each round in another order: the machine's moods hit all of them. CPU time is
what the operating system accounts to the process (for ext_authz, to the token service too), per request. What a
variant *adds* is that less what an Envoy without a filter spent on the same requests in the same round. The figures
are medians over the rounds; the spread is the interquartile range of what was added.

The requests are HTTP/1.1 on kept connections, and the route answers them itself (`direct_response`): an upstream would
cost every variant the same, and its noise would hide what they add. Requests per second and CPU are measured with
several connections; p50 and p99, and CPU again, with one, where nothing queues and caches are colder. Envoy has the
first CPU, all else the others.
"""

import argparse
import base64
import contextlib
import hashlib
import hmac
import http.client
import itertools
import json
import os
import pathlib
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "envoy"))
import chart  # noqa: E402
from sign import KEYID, signature_headers  # noqa: E402

OURS = TOP / "target/wasm32-wasip1/release/auth_o_tron_envoy.wasm"
EMPTY = TOP / "target/bench/wasm32-wasip1/release/empty_sdk.wasm"
HOST_CALLS = TOP / "target/bench/wasm32-wasip1/release/host_calls.wasm"
TOKEN_SERVICE = TOP / "target/bench/release/token-service"
LUA = TOP / "tests/bench/hs256.lua"
CHART = TOP / "tests/bench/chart.svg"

# Known to everybody, as in the demo.
SECRET = "your-256-bit-secret-key-here-minimum-32-characters"
PROOF = "demo-proof-known-to-everybody"
SIGNATURE_SECRET = "demo-signature-secret-known-to-everybody"
HOST = "bench.example.com"

IDENTITY = {
    "x-auth-username": "alice",
    "x-auth-realm": "internal",
    "x-auth-roles": "admin,developer",
    "x-auth-scopes": "read write",
    "x-auth-attributes": '{"department":"engineering","team":"platform"}',
}
PROVEN = {**IDENTITY, "x-auth-proof": PROOF}
# Of the same length: a denied request has exactly as many bytes as an accepted one.
FORGED = {**IDENTITY, "x-auth-proof": PROOF.upper()}
SIGNED = {
    **IDENTITY,
    **signature_headers("GET", f"http://{HOST}/", IDENTITY, SIGNATURE_SECRET.encode(), int(time.time())),
}
OWNED = [*IDENTITY, "x-auth-proof"]

SIZES = {"100 B": 100, "1 KiB": 1024, "4 KiB": 4096, "8 KiB": 8192}
RULES = (1, 10, 100, 1000)

CONNECTIONS = 16
# For p50 and p99, on one connection.
LATENCY_REQUESTS = 2000
WARM_UP_REQUESTS = 15000

CPUS = sorted(os.sched_getaffinity(0))
ENVOY_CPUS, OTHER_CPUS = CPUS[:1], CPUS[1:] or CPUS


# === the gateways: what stands before the route ===


def typed(name, kind, **fields):
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{kind}", **fields}}


def wasm(module, configuration=None):
    config = {
        "name": "bench",
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(module)}},
            "environment_variables": {
                "key_values": {"SECRET": SECRET, "PROOF": PROOF, "SIGNATURE_SECRET": SIGNATURE_SECRET}
            },
        },
    }
    if configuration:
        kind = "type.googleapis.com/google.protobuf.StringValue"
        config["configuration"] = {"@type": kind, "value": json.dumps(configuration)}
    return typed("wasm", "envoy.extensions.filters.http.wasm.v3.Wasm", config=config)


SHARED_SECRET = {"shared_secret": {"header": "x-auth-proof", "secret_env": "PROOF"}}
# The longest age, because the requests are signed once for the whole run.
SIGNATURE = {"signature": {"keys": [{"keyid": KEYID, "secret_env": "SIGNATURE_SECRET"}], "max_age": 86400}}
# Makes every token unique, so that none is reused.
JTI = {"claims": {"jti": True}}


def ours(trust=SHARED_SECRET, module=OURS, **fields):
    jwt = {"iss": "auth-o-tron.example.com", "exp": 3600, "secret_env": "SECRET"}
    return wasm(module, {"jwt": jwt, "trust": [trust], **fields})


def rules(count):
    match = [{"path_prefix": f"/area-{number}/public", "methods": ["GET"]} for number in range(count)]
    return ours(**JTI, rules=[{"match": each, "action": "pass"} for each in match])


def native():
    """Envoy's own header mutation: sets a header as long as ours, and removes what ours removes."""
    header = {"key": "authorization", "value": "Bearer " + "x" * 430}
    append = {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    mutations = {"request_mutations": [append, *({"remove": name} for name in OWNED)]}
    kind = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
    return typed("header_mutation", kind, mutations=mutations)


def lua():
    source = LUA.read_text().replace("@SECRET@", SECRET).replace("@PROOF@", PROOF)
    return typed("lua", "envoy.extensions.filters.http.lua.v3.Lua", default_source_code={"inline_string": source})


def ext_authz():
    exactly = [{"exact": name} for name in OWNED]
    return typed(
        "ext_authz",
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        allowed_headers={"patterns": exactly},
        http_service={
            "server_uri": {"uri": "http://token-service", "cluster": "token-service", "timeout": "5s"},
            "authorization_response": {"allowed_upstream_headers": {"patterns": [{"exact": "authorization"}]}},
        },
    )


def echo():
    """For the check before the measurement: a reply that shows what a service would have received."""
    body = {name: f"%REQ({name})%" for name in ("authorization", *OWNED)}
    match = {"prefix": "/", "headers": [{"name": "x-echo", "present_match": True}]}
    return {"match": match, "direct_response": {"status": 200, "body_format": {"json_format": body}}}


def bootstrap(filters, user_from_query, service_port):
    manager = {
        "stat_prefix": "bench",
        "http_filters": [*filters, typed("router", "envoy.extensions.filters.http.router.v3.Router")],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        echo(),
                        {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}},
                    ],
                }
            ]
        },
    }
    if user_from_query:
        # Stands in for an authenticator: the load generator can vary the URL, not a header.
        header = {"key": "x-auth-username", "value": "%QUERY_PARAM(user)%"}
        mutation = {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
        kind = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
        manager["early_header_mutation_extensions"] = [
            typed("envoy.http.early_header_mutation.header_mutation", kind, mutations=[mutation])
        ]
    kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    chain = typed("envoy.filters.network.http_connection_manager", kind, **manager)
    listener = {"name": "gateway", "address": loopback(0), "filter_chains": [{"filters": [chain]}]}
    endpoint = {"endpoint": {"address": loopback(service_port)}}
    cluster = {
        "name": "token-service",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "token-service", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    resources = {"listeners": [listener], "clusters": [cluster]}
    return {"admin": {"address": loopback(0)}, "static_resources": resources}


def loopback(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


# Name → its filters, and whether the username comes from the query.
GATEWAYS = {
    "none": ([], False),
    "none-users": ([], True),
    "empty": ([wasm(EMPTY)], False),
    "host-calls": ([wasm(HOST_CALLS)], False),
    "native": ([native()], False),
    "ours": ([ours()], False),
    "ours-users": ([ours()], True),
    "ours-jti": ([ours(**JTI, token={"max_bytes": 61440})], False),
    "signature": ([ours(SIGNATURE)], False),
    "signature-jti": ([ours(SIGNATURE, **JTI)], False),
    "lua": ([lua()], False),
    "ext_authz": ([ext_authz()], False),
    **{f"rules-{count}": ([rules(count)], False) for count in RULES},
}


# === what is measured ===


class Case:
    """Requests to a gateway, and the case whose cost they are compared with."""

    def __init__(self, name, title, gateway, baseline=None, headers=PROVEN, status=200, users=False):
        self.name, self.title, self.gateway, self.baseline = name, title, gateway, baseline
        self.headers, self.status, self.users = headers, status, users
        self.requests = WARM_UP_REQUESTS
        self.rounds = []


def sized(size):
    """An identity whose headers hold this many bytes: more attributes, and longer ones."""
    rest = sum(len(value) for name, value in IDENTITY.items() if name != "x-auth-attributes")
    count = min(60, max(1, size // 100))
    attributes = {f"attribute-{number:02}": "" for number in range(count)}
    left = size - rest - len(json.dumps(attributes, separators=(",", ":")))
    for number, key in enumerate(attributes):
        attributes[key] = "v" * (left // count + (number < left % count))
    return {**PROVEN, "x-auth-attributes": json.dumps(attributes, separators=(",", ":"))}


MAIN = [
    Case("none", "no filter", "none"),
    Case("none-signature", "no filter, headers of a signature", "none", headers=SIGNED),
    Case("none-users", "no filter, each request another user", "none-users", users=True),
    Case("empty", "empty filter of the SDK", "empty", "none"),
    Case("host-calls", "the host calls of a token, and nothing else", "host-calls", "none"),
    Case("native", "native header mutation, no token", "native", "none"),
    Case("reuse", "ours, same user (reuse: 0, the default)", "ours", "none"),
    Case("users", "ours, signing: each request another user", "ours-users", "none-users", users=True),
    Case("jti", "ours, signing: same user, claims.jti", "ours-jti", "none"),
    Case("deny", "ours, denying: wrong proof, 401", "ours", "none", headers=FORGED, status=401),
    Case("signature", "ours, signature proof, same user", "signature", "none-signature", headers=SIGNED),
    Case("signature-jti", "ours, signature proof, claims.jti", "signature-jti", "none-signature", headers=SIGNED),
    Case("lua", "Lua HS256", "lua", "none"),
    Case("ext_authz", "ext_authz to a token service", "ext_authz", "none"),
]

GROWTH = [
    Case("growth-none", "no filter", "none"),
    Case("rules-0", "rules that do not match: 0", "ours-jti", "growth-none"),
    *(Case(f"rules-{n}", f"rules that do not match: {n}", f"rules-{n}", "growth-none") for n in RULES),
    *(Case(f"none-{n}", f"no filter, {name}", "none", headers=sized(n)) for name, n in SIZES.items()),
    *(Case(f"size-{n}", f"identity of {name}", "ours-jti", f"none-{n}", headers=sized(n)) for name, n in SIZES.items()),
]


def builds(modules):
    """Gateways and cases that compare builds of the filter, and nothing else."""
    gateways = {name: GATEWAYS[name] for name in ("none", "none-users")}
    cases = [case for case in MAIN if case.gateway in gateways]
    for name, module in modules:
        gateways |= {
            f"build-{name}": ([ours(module=module)], False),
            f"build-{name}-users": ([ours(module=module)], True),
            f"build-{name}-signature": ([ours(SIGNATURE, module=module)], False),
        }
        cases += [
            Case(f"{name}-reuse", f"{name}: same user", f"build-{name}", "none"),
            Case(f"{name}-users", f"{name}: signing", f"build-{name}-users", "none-users", users=True),
            Case(f"{name}-deny", f"{name}: denying", f"build-{name}", "none", headers=FORGED, status=401),
            Case(f"{name}-signature", f"{name}: signature", f"build-{name}-signature", "none-signature", headers=SIGNED),
        ]
    return gateways, cases


# === processes: only those started here are measured and stopped ===


class Gateway:
    """A running Envoy with one worker, and the token service if it asks one."""

    def __init__(self, name, filters, user_from_query, envoy, directory, stack, service=None):
        self.name = name
        self.directory = directory / name
        self.directory.mkdir(parents=True)
        config = self.directory / "envoy.json"
        config.write_text(json.dumps(bootstrap(filters, user_from_query, service[1] if service else 1)))
        command = [envoy, "-c", config, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
        command += ["--admin-address-path", self.directory / "admin", "--log-path", self.directory / "log"]
        self.process = start(stack, command, ENVOY_CPUS)
        self.pids = [self.process.pid, *([service[0].pid] if service else [])]

    def wait(self):
        for _ in range(600):
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                self.admin_port = int((self.directory / "admin").read_text().rpartition(":")[2])
                if self.admin("/ready")[0] == 200:
                    (status,) = json.loads(self.admin("/listeners?format=json")[1])["listener_statuses"]
                    self.port = status["local_address"]["socket_address"]["port_value"]
                    return
            time.sleep(0.1)
        sys.exit(f"the Envoy of {self.name} did not start:\n{(self.directory / 'log').read_text()}")

    def admin(self, path):
        return get(self.admin_port, path)

    def counter(self, name):
        stats = json.loads(self.admin(f"/stats?format=json&filter=auth_o_tron.{name}$")[1])["stats"]
        return sum(stat["value"] for stat in stats if "value" in stat)

    def pause(self):
        """A waiting Envoy would wake up now and then, and evict the working one's caches."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def cpu_seconds(self):
        """The CPU time of all threads of the processes, by the clocks that clock_getcpuclockid(3) names."""
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids) / 1e9


def start(stack, command, cpus, **options):
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=pinned_to(cpus), **options
    )

    def stop():
        process.terminate()
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(stop)
    return process


def pinned_to(cpus):
    return lambda: os.sched_setaffinity(0, cpus)


def start_token_service(stack):
    process = start(stack, [TOKEN_SERVICE, SECRET, PROOF], OTHER_CPUS, stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


# === the check, before anything is measured ===


def get(port, path="/", headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"host": HOST, **dict(headers)})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def verify(token):
    """The claims of a token, whose JOSE header, MAC and times are right."""
    header, claims, mac = token.split(".")
    expect(json.loads(decode(header)), {"typ": "JWT", "alg": "HS256"})
    expected = hmac.digest(SECRET.encode(), f"{header}.{claims}".encode(), hashlib.sha256)
    expect(hmac.compare_digest(decode(mac), expected), True)
    claims = json.loads(decode(claims))
    expect(abs(claims["iat"] - time.time()) < 5, True)
    expect(claims.pop("exp") - claims.pop("iat"), 3600)
    return claims


def claims_of(headers, user):
    attributes = json.loads(headers["x-auth-attributes"])
    return {
        "sub": f"internal-{user}",
        "iss": "auth-o-tron.example.com",
        "roles": ["admin", "developer"],
        "username": user,
        "realm": "internal",
        "scopes": ["read", "write"],
        "attributes": attributes,
    }


def expect(found, expected):
    if found != expected:
        raise ValueError(f"expected {expected!r}, found {found!r}")


def check(case, gateway):
    user = "bob" if case.users else "alice"
    path = f"/?user={user}" if case.users else "/"
    for headers, status in ((case.headers, case.status), (FORGED, 401)):
        found, body = get(gateway.port, path, {**headers, "x-echo": "1"})
        issues = not case.gateway.startswith(("none", "empty", "host-calls", "native"))
        expect(found, status if issues else 200)
        if found != 200:
            continue
        seen = json.loads(body)
        if not issues:
            expect(seen["x-auth-username"], None if case.gateway in ("host-calls", "native") else user)
            continue
        claims = verify(seen.pop("authorization").removeprefix("Bearer "))
        expect("jti" in claims, case.gateway.endswith("jti") or case.gateway.startswith("rules"))
        claims.pop("jti", None)
        expect(claims, claims_of(headers, user))
        expect(set(seen.values()), {None})


def check_counters(gateways):
    """Checks that cases meant to sign always signed, and that cases meant to reuse did, but once a second."""

    def counted(name, outcome):
        return sum(gateway.counter(outcome) for gateway in gateways[name])

    for name in ("ours-users", "ours-jti", "signature-jti"):
        expect((name, counted(name, "reused")), (name, 0))
    for name in ("ours", "signature"):
        expect((name, counted(name, "issued") < counted(name, "reused") / 100), (name, True))


# === the load ===


def users_url(oha, base):
    """A pattern of URLs, each with another user. A dot matches only a dot, and nothing but `base` may be reached."""
    pattern = rf"{base}\?user=[a-z0-9]{{10}}"
    dump = subprocess.run([oha, "--rand-regex-url", "--dump-urls", "9", pattern], capture_output=True, check=True)
    for url in dump.stdout.decode().split():
        expect(url.startswith(f"{base}?user="), True)
    return pattern


def load(oha, case, gateway, requests, connections):
    command = [oha, "--no-tui", "--output-format", "json", "--no-color", "--redirect", "0"]
    command += ["-n", str(requests), "-c", str(connections), "-H", f"host: {HOST}"]
    for name, value in case.headers.items():
        command += ["-H", f"{name}: {value}"]
    url = f"http://127.0.0.1:{gateway.port}/"
    if case.users:
        url = users_url(oha, url)
        command.append("--rand-regex-url")
    gateway.resume()
    before = gateway.cpu_seconds()
    run = subprocess.run(
        [*command, url], capture_output=True, check=True, timeout=60, preexec_fn=pinned_to(OTHER_CPUS)
    )
    seconds = gateway.cpu_seconds() - before
    gateway.pause()
    report = json.loads(run.stdout)
    expect((case.name, report["statusCodeDistribution"]), (case.name, {str(case.status): requests}))
    return seconds * 1e6 / requests, report


def burst(oha, case, gateway, with_latency):
    """One turn of a case: CPU µs per request, requests per second; with one connection, CPU µs, p50 and p99 in µs."""
    cpu, report = load(oha, case, gateway, case.requests, CONNECTIONS)
    turn = {"cpu": cpu, "rps": report["summary"]["requestsPerSec"]}
    if with_latency:
        cpu, report = load(oha, case, gateway, LATENCY_REQUESTS, 1)
        percentiles = report["latencyPercentiles"]
        turn |= {"cpu_alone": cpu, "p50": percentiles["p50"] * 1e6, "p99": percentiles["p99"] * 1e6}
    return turn


def measure(oha, cases, gateways, rounds, seconds, deadline, with_latency):
    for case in cases:
        # V8 goes on compiling in its own thread while a module is young.
        for gateway in gateways[case.gateway]:
            rps = load(oha, case, gateway, WARM_UP_REQUESTS, CONNECTIONS)[1]["summary"]["requestsPerSec"]
        case.requests = max(1000, round(rps * seconds))
    order = list(cases)
    for number in range(rounds):
        # The spread needs two rounds.
        if number >= 2 and time.monotonic() > deadline:
            print(f"out of time after {number} of {rounds} rounds", file=sys.stderr)
            break
        random.shuffle(order)
        for case in order:
            gateway = gateways[case.gateway][number % len(gateways[case.gateway])]
            case.rounds.append(burst(oha, case, gateway, with_latency))
        say(f"round {number + 1} of {rounds}")


def say(message):
    end = "\r" if sys.stderr.isatty() else "\n"
    if sys.stderr.isatty() or not message.startswith("round"):
        print(f"{message:<60}", file=sys.stderr, end=end, flush=True)


# === what came out ===


def summarise(cases):
    by_name = {case.name: case for case in cases}
    results = {}
    for case in cases:
        result = {key: statistics.median(turn[key] for turn in case.rounds) for key in case.rounds[0]}
        if case.baseline:
            pairs = list(zip(case.rounds, by_name[case.baseline].rounds, strict=True))
            added = [own["cpu"] - baseline["cpu"] for own, baseline in pairs]
            first, _, third = statistics.quantiles(added, n=4)
            result |= {"added": statistics.median(added), "spread": third - first}
            for key in ("cpu_alone", "p50"):
                if key in result:
                    result[f"added_{key}"] = statistics.median(own[key] - baseline[key] for own, baseline in pairs)
        results[case.name] = {"title": case.title, "requests_a_burst": case.requests, **result, "rounds": case.rounds}
    return results


def table(header, rows):
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [[cell.ljust(width) if n == 0 else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths))]
             for row in (header, *rows)]
    rule = ["-" * width if n == 0 else "-" * (width - 1) + ":" for n, width in enumerate(widths)]
    print("\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:])), "\n")


def show_builds(results, modules):
    first, _ = modules[0]
    rows = [[result["title"], number(result["cpu"]), number(result["added"]), number(result["spread"]),
             number(result["added"] / results[f"{first}-{name.rpartition('-')[2]}"]["added"], 2)]
            for name, result in results.items() if "added" in result]
    table(["build", "CPU µs", "added µs", "spread", f"× {first}"], rows)


def number(value, digits=1):
    return "" if value is None else f"{value:.{digits}f}"


def show_main(results):
    floor = results["empty"]["added"]
    rows = []
    for result in results.values():
        added = result.get("added")
        rows.append([
            result["title"], number(result["cpu"]), number(added), number(result.get("spread")),
            number(added and added / floor, 2), number(result["rps"], 0), number(result.get("added_cpu_alone")),
            number(result["p50"], 0), number(result["p99"], 0),
        ])
    header = ["variant", "CPU µs", "added µs", "spread", "× empty", "requests/s"]
    table([*header, "added µs (1)", "p50 µs (1)", "p99 µs (1)"], rows)
    print("(1) with one connection, so one request at a time, on colder caches\n")


def draw(machine, results):
    """The chart of the main table."""
    rows = [
        (result["title"], result["added"], result["spread"], result["title"].startswith("ours"))
        for result in results.values()
        if "added" in result
    ]
    subtitle = f"{machine['cpu']}, Envoy {machine['envoy'].split('/')[1]}; medians, with the interquartile range"
    return chart.svg("CPU time that a request costs more than without a filter, in µs", subtitle, rows)


def show_growth(results):
    rows = [
        [result["title"], number(result["cpu"]), number(result["added"]), number(result["spread"])]
        for result in results.values()
        if "added" in result
    ]
    table(["ours, signing (claims.jti)", "CPU µs", "added µs", "spread"], rows)


# What is compared with what, and the most that the first may add relative to the second.
AIMS = [
    ("same user / empty filter", "reuse", "empty", 1.25),
    ("signing, other users / empty filter", "users", "empty", 1.75),
    ("signing, jti / empty filter", "jti", "empty", 1.75),
    ("same user / Lua", "reuse", "lua", 0.5),
    ("same user / ext_authz", "reuse", "ext_authz", 0.12),
    ("denying / same user", "deny", "reuse", 1),
    ("denying / signing, other users", "deny", "users", 1),
    ("signature / shared_secret, same user", "signature", "reuse", 1.6),
    ("signature / shared_secret, jti", "signature-jti", "jti", 1.6),
]


def aims(results):
    def entry(name, one, other, most, keys):
        found = [results[one][key] / results[other][key] for key in keys]
        return {"ratio": name, "found": found, "at_most": most}

    latency = ("p50 added, same user / ext_authz", "reuse", "ext_authz", 0.15, ("added_p50",))
    return [*(entry(*aim, ("added", "added_cpu_alone")) for aim in AIMS), entry(*latency)]


def show_aims(ratios):
    rows = []
    for ratio in ratios:
        *several, alone = (f"{found:.2f}" for found in ratio["found"])
        met = "yes" if ratio["found"][0] <= ratio["at_most"] else "no"
        rows.append([ratio["ratio"], *(several or [""]), alone, f"{ratio['at_most']:.2f}", met])
    table(["ratio of what is added", "found", "found (1)", "at most", "met"], rows)


def machine(envoy, oha):
    model = next(
        (line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.processor(),
    )
    def version(program):
        return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    return {
        "cpu": model,
        "cores": len(CPUS),
        "kernel": platform.release(),
        "envoy": version(envoy).rpartition("version: ")[2],
        "oha": version(oha),
        "module_bytes": OURS.stat().st_size,
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("envoy")
    parser.add_argument("oha")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--growth-rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.6, help="of a burst, roughly")
    parser.add_argument("--limit", type=float, default=360, help="seconds after which no further round begins, from the third on")
    parser.add_argument(
        "--envoys", type=int, default=2, help="of each variant, taking turns: a process stays a microsecond faster or slower "
        "than another for as long as it lives",
    )
    parser.add_argument(
        "--compare", nargs="+", default=[], metavar="NAME=MODULE", type=lambda text: tuple(text.split("=", 1)),
        help="measure these builds of the filter and nothing else",
    )
    parser.add_argument("--json", type=pathlib.Path, default=TOP / "target/bench.json")
    options = parser.parse_args()
    if min(options.rounds, options.growth_rounds) < 2:
        parser.error("the spread takes two rounds at least")
    return options


@contextlib.contextmanager
def running(gateways, options):
    """Every gateway, as that many Envoys taking turns; all are started here."""
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        service = start_token_service(stack) if "ext_authz" in gateways else None
        envoys = {}
        for name, (filters, from_query) in gateways.items():
            asks = service if name == "ext_authz" else None
            envoys[name] = [
                Gateway(name, filters, from_query, options.envoy, directory / str(n), stack, asks)
                for n in range(options.envoys)
            ]
        for gateway in itertools.chain.from_iterable(envoys.values()):
            gateway.wait()
        yield envoys


def check_all(cases, envoys):
    for case in cases:
        for gateway in envoys[case.gateway]:
            try:
                check(case, gateway)
            except (ValueError, KeyError) as error:
                sys.exit(f"{case.title}: {error}")
    say("every variant does what it should; measuring")


def run(options, gateways, parts):
    """Measures the parts, each has its cases, its rounds and its share of the time."""
    began = time.monotonic()
    description = {**machine(options.envoy, options.oha), "load_before": os.getloadavg()}
    with running(gateways, options) as envoys:
        check_all(itertools.chain.from_iterable(cases for cases, *_ in parts), envoys)
        everyone = list(itertools.chain.from_iterable(envoys.values()))
        for gateway in everyone:
            gateway.pause()
        for cases, rounds, share in parts:
            deadline = began + options.limit * share
            measure(options.oha, cases, envoys, rounds, options.seconds, deadline, with_latency=cases is MAIN)
        for gateway in everyone:
            gateway.resume()
        if gateways is GATEWAYS:
            check_counters(envoys)
    description["load_after"] = os.getloadavg()
    print("\n".join(f"{key:<13} {value}" for key, value in description.items()))
    rounds = ", for growth ".join(str(len(cases[0].rounds)) for cases, *_ in parts)
    print(f"rounds        {rounds}; bursts of {options.seconds} s, {CONNECTIONS} connections, {options.envoys} Envoys each\n")
    return description


def compare(options):
    gateways, cases = builds(options.compare)
    description = run(options, gateways, [(cases, options.rounds, 1)])
    description["module_bytes"] = {name: pathlib.Path(module).stat().st_size for name, module in options.compare}
    results = summarise(cases)
    show_builds(results, options.compare)
    print(f"bytes         {description['module_bytes']}")
    return {"machine": description, "builds": results}


def alternatives(options):
    parts = [(MAIN, options.rounds, 0.75), (GROWTH, options.growth_rounds, 1)]
    description = run(options, GATEWAYS, parts)
    variants, growth = summarise(MAIN), summarise(GROWTH)
    ratios = aims(variants)
    CHART.write_text(draw(description, variants))
    show_main(variants)
    show_aims(ratios)
    show_growth(growth)
    return {"machine": description, "variants": variants, "ratios": ratios, "growth": growth}


def main():
    options = arguments()
    # So that `kill` stops what was started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    report = compare(options) if options.compare else alternatives(options)
    options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False))
    print(f"all rounds: {os.path.relpath(options.json)}")


main()
