#!/usr/bin/env python3
"""Fetches a pinned wheel from PyPI into target/wheels, once. Prints its path, which PYTHONPATH takes.

usage: fetch_wheel.py NAME VERSION SHA256"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile

WHEELS = pathlib.Path(__file__).resolve().parents[2] / "target" / "wheels"


def wheel_in(directory, name, version):
    return next(pathlib.Path(directory).glob(f"{name.replace('-', '_')}-{version}-*.whl"), None)


def fetch(name, version, sha256):
    path = wheel_in(WHEELS, name, version)
    if not path:
        WHEELS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=WHEELS) as directory:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            command += ["--dest", directory, f"{name}=={version}"]
            if subprocess.run(command, stdout=sys.stderr).returncode != 0:
                sys.exit(f"pip cannot fetch {name} {version} from PyPI")
            path = wheel_in(directory, name, version)
            # A rename, so that no other run sees half a file.
            path = path.rename(WHEELS / path.name)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"{path.name}: found the SHA-256 {found}, expected the pinned {sha256}")
    return path


if __name__ == "__main__":
    print(fetch(*sys.argv[1:]))
