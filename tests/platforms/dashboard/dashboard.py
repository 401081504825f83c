#!/usr/bin/env python3
"""Every query of the dashboard has data in a real Prometheus that scrapes the demo's Envoy under traffic.

dashboard.py ENVOY PROMETHEUS_YAML
"""

import http.client
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(TOP / "envoy"), str(TOP / "tests/support")]
import demo
import find_debian

DASHBOARD = json.loads((TOP / "envoy/observability/dashboard.json").read_text())
DATASOURCE = (TOP / "envoy/observability/datasource.yaml").read_text()
# As the datasource says it, which is that of prometheus.yaml.
SCRAPE_SECONDS = int(re.search(r"timeInterval: (\d+)s", DATASOURCE)[1])
# What the traffic brings about with the shipped configuration.
DENIALS = {
    "identity_missing": [],
    "identity_untrusted": demo.IDENTITY,
    "identity_malformed": [demo.IDENTITY[0], demo.PROOF],
    "identity_expired": [*demo.IDENTITY[:2], 'x-auth-attributes: {"exp":"1"}', demo.PROOF],
}


class Checks:
    """Says what passed and what failed, and at the end how much of each."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def check(self, name, holds, found=""):
        print(f"ok     {name}" if holds else f"FAILED {name}\n       found {found}", flush=True)
        self.passed += bool(holds)
        self.failed += not holds
        return holds

    def end(self):
        print(f"\n{self.passed} passed, {self.failed} failed")
        sys.exit(self.failed != 0)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as reply:
        return reply.read()


def expect_ready(url, may_yet=lambda: True):
    if not demo.is_ready(url, may_yet):
        sys.exit(f"{url} did not answer")


def send_traffic(gateway, seconds):
    """Rounds of one token signed, one handed out again, and one denial of each code; some ten a second."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway, timeout=10)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for expected, headers in [("", [*demo.IDENTITY, demo.PROOF])] * 2 + list(DENIALS.items()):
            connection.request("GET", "/", headers=dict(header.split(": ", 1) for header in headers))
            body = json.load(connection.getresponse())
            demo.expect(body.get("code", ""), expected)
        time.sleep(0.6)


def resolve(expr):
    """The query as Grafana sends it: with its own variable for the range of a rate, and the dashboard's variables."""
    variables = {variable["name"]: variable["current"]["value"] for variable in DASHBOARD["templating"]["list"]}
    variables["__rate_interval"] = f"{4 * SCRAPE_SECONDS}s"
    return re.sub(r"\$(\w+)", lambda match: variables[match[1]], expr)


def query(prometheus, expr):
    """The samples by their labels, as (labels, value); none is a NaN."""
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': resolve(expr)})}"
    result = json.loads(get(url))["data"]["result"]
    samples = [(sample["metric"], float(sample["value"][1])) for sample in result]
    return [(labels, value) for labels, value in samples if not math.isnan(value)]


def check_panels(checks, prometheus_config):
    """What Grafana needs to show a panel, and its reader to understand it."""
    uid = re.search(r"uid: (\S+)", DATASOURCE)[1]
    for panel in DASHBOARD["panels"]:
        texts = [panel.get("title"), panel.get("description"), panel["fieldConfig"]["defaults"].get("unit")]
        sources = {source["datasource"]["uid"] for source in [panel, *panel["targets"]]}
        complete = all(texts) and sources == {uid}
        checks.check(f"panel: {texts[0]} has title, description, unit, datasource", complete, (texts, sources))
    interval = re.search(r"scrape_interval: (\d+)s", prometheus_config)[1]
    checks.check("datasource: timeInterval is the scrape_interval", interval == str(SCRAPE_SECONDS), interval)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    checks.check("panel: ids differ", len(set(ids)) == len(ids), ids)


def check_queries(checks, prometheus):
    """Right after traffic."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            samples = query(prometheus, target["expr"])
            shown = ", ".join(f"{value:.3g} {'/'.join(labels.values())}".strip() for labels, value in samples)
            checks.check(f"query: {panel['title']}, {target['legendFormat']}: {shown}", samples, target["expr"])
    by_code = next(panel for panel in DASHBOARD["panels"] if panel["title"] == "Denied, by code")["targets"][0]["expr"]
    denied = {labels.get("code") for labels, value in query(prometheus, by_code) if value > 0}
    checks.check("denied: the codes of the traffic and no others", denied == set(DENIALS), denied)
    outcomes = next(panel for panel in DASHBOARD["panels"] if panel["title"] == "Outcomes")["targets"]
    rates = {target["legendFormat"]: query(prometheus, target["expr"]) for target in outcomes}
    moving = {outcome for outcome, samples in rates.items() if any(rate > 0 for _, rate in samples)}
    checks.check("outcomes: issued, reused and denied above 0", moving == {"issued", "reused", "denied"}, moving)


def main(envoy, prometheus_yaml):
    prometheus = find_debian.find("prometheus")
    prometheus_config = pathlib.Path(prometheus_yaml).read_text()
    checks = Checks()
    check_panels(checks, prometheus_config)
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        processes = []
        try:
            process, ports = demo.start(envoy, directory)
            processes.append(process)
            config = prometheus_config.replace("envoy:9901", f"127.0.0.1:{ports[demo.ADMIN]}")
            (directory / "prometheus.yaml").write_text(config)
            address = f"127.0.0.1:{demo.free_port(9090)}"
            options = {"config.file": directory / "prometheus.yaml", "storage.tsdb.path": directory / "data"}
            options |= {"web.listen-address": address, "log.level": "error"}
            process = subprocess.Popen([prometheus, *(f"--{name}={value}" for name, value in options.items())])
            processes.append(process)
            expect_ready(f"http://{address}/-/ready", lambda: process.poll() is None)
            # Three scrapes: a rate needs two.
            send_traffic(ports[demo.GATEWAY], 3 * SCRAPE_SECONDS + 1)
            check_queries(checks, f"http://{address}")
        finally:
            for process in processes:
                process.terminate()
                process.wait()
    checks.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
