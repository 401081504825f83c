#!/usr/bin/env python3
"""Fetches a pinned pure-Python wheel from PyPI into target/wheels, once. Prints its path, which PYTHONPATH takes.

usage: fetch_wheel.py NAME VERSION SHA256"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

WHEELS = pathlib.Path(__file__).resolve().parents[2] / "target" / "wheels"


def fetch_by_pip(name, version, directory):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", directory]
    return subprocess.run([*command, f"{name}=={version}"], stderr=subprocess.DEVNULL).returncode == 0


def fetch_by_curl(name, version, directory):
    """For a Python without pip: reads PyPI's index (https://docs.pypi.org/api/index-api/)."""
    curl = ["curl", "--silent", "--show-error", "--fail", "--location"]
    accept = ["--header", "Accept: application/vnd.pypi.simple.v1+json"]
    answer = subprocess.run([*curl, *accept, f"https://pypi.org/simple/{name}/"], capture_output=True)
    files = json.loads(answer.stdout or "{}").get("files", [])
    urls = [file["url"] for file in files if file["filename"].endswith(f"-{version}-py3-none-any.whl")]
    return bool(urls) and subprocess.run([*curl, "--output-dir", directory, "--remote-name", urls[0]]).returncode == 0


def fetch(name, version, sha256):
    path = WHEELS / f"{name}-{version}-py3-none-any.whl"
    if not path.exists():
        WHEELS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=WHEELS) as directory:
            if not (fetch_by_pip(name, version, directory) or fetch_by_curl(name, version, directory)):
                sys.exit(f"cannot fetch {name} {version} from PyPI")
            # A rename, so that no other run sees half a file.
            (pathlib.Path(directory) / path.name).rename(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"{path.name}: found the SHA-256 {found}, expected the pinned {sha256}")
    return path


print(fetch(*sys.argv[1:]))
