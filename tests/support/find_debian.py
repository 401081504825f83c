#!/usr/bin/env python3
"""Prints the path of a program: NAME_BIN, else NAME on PATH, else that of Debian's package NAME, in target/debian.

The package is unpacked, not installed: no service starts, and it takes no root.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import installed

TARGET = pathlib.Path(__file__).resolve().parents[2] / "target" / "debian"


def run(*command, **options):
    return subprocess.run(command, stdout=sys.stderr, **options).returncode == 0


def fetch(name):
    if not shutil.which("apt-get"):
        return False
    print(f"fetching Debian's package {name} into target/", file=sys.stderr)
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TARGET) as directory:
        # Without the sandbox apt warns: its own user cannot write here.
        download = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name]
        # A new machine has no lists of packages yet.
        if not run(*download, cwd=directory):
            if not (run("apt-get", "update", "-qq") and run(*download, cwd=directory)):
                return False
        package = next(pathlib.Path(directory).glob("*.deb"))
        return run("dpkg-deb", "--extract", package, TARGET)


def find(name):
    found = installed.find(name)
    if found:
        return found
    program = TARGET / "usr" / "bin" / name
    if not program.exists() and not fetch(name):
        sys.exit(f"no {name} here, and none from Debian: install it, or set {installed.variable(name)}")
    return str(program)


if __name__ == "__main__":
    print(find(sys.argv[1]))
