#!/usr/bin/env python3
"""Runs the real docker-compose.yaml with Envoy and Prometheus in Docker, and reads the OCI image as Istio does.

compose.py ENVOY COMPOSE_FILE, as root on Debian

No image is pulled. Stand-ins have the names and tags that the file uses: a Debian root with the given Envoy, and one
with Debian's Prometheus. Grafana is not in Debian, so its service does not run. Docker runs in a network, mount and
process namespace of its own: this machine's Docker and ports are not touched, and nothing is left behind.
"""

import contextlib
import functools
import gzip
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(TOP / "envoy"), str(TOP / "tests/support"), str(TOP / "tests/platforms/dashboard")]
import dashboard
import demo
import find_debian

MODULE = TOP / "target" / "wasm32-wasip1" / "release" / "auth_o_tron_envoy.wasm"
ROOT = TOP / "target" / "debian-root"
# Programs, and Debian's packages of them.
TOOLS = {"dockerd": "docker.io", "docker-compose": "docker-compose", "debootstrap": "debootstrap", "ip": "iproute2"}
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
# What the file asks of the real images, as their own Dockerfiles provide it.
ENVOY_IMAGE = """
FROM root
RUN useradd --system envoy
COPY program /usr/local/bin/envoy
"""
PROMETHEUS_IMAGE = """
FROM root
RUN mkdir /prometheus && chown nobody /prometheus
COPY program /bin/prometheus
USER nobody
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
"""
REGISTRY = "127.0.0.1:5000"
# The media types of a manifest that Istio's fetcher knows, and of the last layer that it then expects.
LAYERS = {
    "application/vnd.docker.distribution.manifest.v2+json": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.oci.image.manifest.v1+json": "application/vnd.oci.image.layer.v1.tar+gzip",
}


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


def output(*command):
    return run(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()


# === before: what needs the network ===


def install_tools():
    lacking = [package for program, package in TOOLS.items() if not shutil.which(program)]
    if not lacking:
        return
    # Docker's own service must not start.
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-qq", "--yes", "--no-install-recommends", *lacking)
    finally:
        if ours:
            POLICY.unlink()


def make_root():
    if ROOT.exists():
        return
    half = ROOT.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    run("debootstrap", "--variant=minbase", "stable", half, stdout=subprocess.DEVNULL)
    half.rename(ROOT)


# === in the namespaces ===


@contextlib.contextmanager
def service(ready, *command, log):
    """A process that answers `ready` while the block runs."""
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        for _ in range(300):
            if subprocess.run(ready, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                break
            if process.poll() is not None:
                sys.exit(f"{command[0]} ended:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def build_stand_in(image, dockerfile, program):
    """Builds it from a context of two files."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        described = tarfile.TarInfo("Dockerfile")
        described.size = len(dockerfile)
        archive.addfile(described, io.BytesIO(dockerfile.encode()))
        archive.add(program, "program")
    run("docker", "build", "--quiet", "--tag", image, "-", input=context.getvalue(), stdout=subprocess.DEVNULL)


def build_stand_ins(compose_file, envoy, prometheus):
    with subprocess.Popen(["tar", "-C", ROOT, "-c", "."], stdout=subprocess.PIPE) as archive:
        run("docker", "import", "-", "root", stdin=archive.stdout, stdout=subprocess.DEVNULL)
    for image in re.findall(r"image: (\S+)", pathlib.Path(compose_file).read_text()):
        if image.startswith("envoyproxy/envoy:"):
            build_stand_in(image, ENVOY_IMAGE, envoy)
        elif image.startswith("prom/prometheus:"):
            build_stand_in(image, PROMETHEUS_IMAGE, prometheus)


def fetch(path, accept="*/*"):
    request = urllib.request.Request(f"http://{REGISTRY}/v2/auth-o-tron-envoy/{path}", headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return reply.read()


def plugin(layer):
    """As Istio's fetcher reads it: the first file of that name, in whatever folder."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as archive:
        names = archive.getnames()
        found = next((name for name in names if pathlib.PurePath(name).name == "plugin.wasm"), None)
        return names, archive.extractfile(found).read() if found else b""


def check_image(checks):
    """Builds the image, pushes it to a real registry, and reads it there as Istio does."""
    source = "https://example.com/auth-o-tron-envoy"
    image = f"{REGISTRY}/auth-o-tron-envoy:test"
    run("make", "-sC", TOP, "image", f"IMAGE={image}", f"IMAGE_SOURCE={source}")
    run("docker", "push", "--quiet", image)
    manifest = json.loads(fetch("manifests/test", ", ".join(LAYERS)))
    layers = [layer["mediaType"] for layer in manifest["layers"]]
    expected = [LAYERS.get(manifest["mediaType"])]
    checks.check(f"image: the only layer is {expected[0]}", layers == expected, (manifest["mediaType"], layers))
    names, found = plugin(fetch(f"blobs/{manifest['layers'][-1]['digest']}"))
    checks.check("image: the layer is plugin.wasm", names == ["plugin.wasm"], names)
    checks.check(f"image: plugin.wasm is the built module, {len(found)} bytes", found == MODULE.read_bytes())
    labels = json.loads(fetch(f"blobs/{manifest['config']['digest']}"))["config"]["Labels"]
    version = re.search(r'^version = "(.*)"', (TOP / "Cargo.toml").read_text(), re.MULTILINE)[1]
    expected = {"licenses": "Apache-2.0", "version": version, "source": source, "title": "auth-o-tron-envoy"}
    for name, value in expected.items():
        label = labels.get(f"org.opencontainers.image.{name}")
        checks.check(f"image: the label {name} is {value}", label == value, label)


def passes(function, *arguments):
    """Whether a part of the demo, which exits where it fails, went through."""
    try:
        function(*arguments)
    except (SystemExit, subprocess.CalledProcessError) as error:
        print(error)
        return False
    return True


def check_compose(checks, compose_file):
    compose = ["docker-compose", "--file", compose_file, "--project-name", "auth-o-tron", "--profile", "observability"]
    # Prometheus starts once Envoy's healthcheck passes.
    up = subprocess.run([*compose, "up", "--detach", "envoy", "prometheus"])
    try:
        envoy = output(*compose, "ps", "--quiet", "envoy").strip()
        health = json.loads(output("docker", "inspect", "--format", "{{json .State.Health}}", envoy))
        log = output(*compose, "logs", "--no-color", "--tail", "20")
        if not checks.check("compose: Envoy is healthy", health["Status"] == "healthy", f"{health}\n{log}"):
            return
        checks.check("compose: Prometheus started after it", up.returncode == 0, log)
        ports = output("docker", "ps", "--format", "{{.Ports}}")
        published = set(re.findall(r"(\S+:\d+)->", ports))
        expected = {f"127.0.0.1:{port}" for port in (demo.GATEWAY, demo.ADMIN, 9090)}
        checks.check(f"compose: published are {' '.join(sorted(expected))}", published == expected, ports)
        print()
        if not checks.check("demo: the three requests", passes(demo.demo, demo.GATEWAY)):
            return
        print()
        read_access_log = functools.partial(output, "docker", "logs", envoy)
        checks.check("demo: counters and access log", passes(demo.show_traces, demo.ADMIN, read_access_log))
        print()
        dashboard.expect_ready("http://127.0.0.1:9090/-/ready")
        dashboard.send_traffic(demo.GATEWAY, 3 * dashboard.SCRAPE_SECONDS + 1)
        dashboard.check_queries(checks, "http://127.0.0.1:9090")
    finally:
        run(*compose, "down", "--volumes")
    left = output("docker", "ps", "--all", "--quiet")
    checks.check("compose: no container is left", left == "", left)


def main_isolated(directory, compose_file, envoy, prometheus, registry):
    checks = dashboard.Checks()
    run("ip", "link", "set", "lo", "up")
    directory = pathlib.Path(directory)
    with contextlib.ExitStack() as services:
        os.environ["DOCKER_HOST"] = f"unix://{directory}/docker.sock"
        options = {"data-root": directory / "data", "exec-root": directory / "exec", "pidfile": directory / "pid"}
        options["host"] = os.environ["DOCKER_HOST"]
        daemon = ["dockerd", *(f"--{name}={value}" for name, value in options.items())]
        services.enter_context(service(["docker", "version"], *daemon, log=directory / "dockerd.log"))
        config = directory / "registry.yaml"
        storage = {"filesystem": {"rootdirectory": f"{directory}/registry"}}
        config.write_text(json.dumps({"version": "0.1", "http": {"addr": REGISTRY}, "storage": storage}))
        ready = ["curl", "-sf", f"http://{REGISTRY}/v2/"]
        services.enter_context(service(ready, registry, "serve", config, log=directory / "registry.log"))
        docker = output("docker", "version", "--format", "{{.Server.Version}}").strip()
        compose = output("docker-compose", "version", "--short").strip()
        print(f"Docker {docker} and docker-compose {compose}, with stand-ins for the images\n", flush=True)
        build_stand_ins(compose_file, envoy, prometheus)
        check_image(checks)
        check_compose(checks, compose_file)
        print("\nNot run: Grafana, which Debian does not package.")
    checks.end()


def main(envoy, compose_file):
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit("this needs root on Debian or a relative of it")
    install_tools()
    make_root()
    programs = [compose_file, envoy, find_debian.find("prometheus"), find_debian.find("docker-registry")]
    namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    # Its mounts end with the namespaces, before the directory is removed.
    with tempfile.TemporaryDirectory() as directory:
        command = [*namespaces, sys.executable, __file__, "--isolated", directory, *programs]
        sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    if sys.argv[1] == "--isolated":
        main_isolated(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
