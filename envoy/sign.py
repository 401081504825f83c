#!/usr/bin/env python3
"""The authenticator's side of `signature`: signs identity headers as RFC 9421 describes, with hmac-sha256.

    AUTHENTICATOR_SECRET=… sign.py METHOD URL 'x-auth-username: alice' 'x-auth-realm: internal' [more headers]

Prints the headers of the request, including the signature, as `curl -H @-` reads them.
"""

import base64
import hashlib
import hmac
import os
import sys
import time
from urllib.parse import urlsplit

KEYID = "authenticator-1"


def signature_headers(method, url, identity, secret, created):
    """The two header fields that sign `identity`, a dict of lower-case names, on a request to `url`."""
    target = urlsplit(url)
    default_port = {"http": 80, "https": 443}.get(target.scheme)
    port = "" if target.port in (None, default_port) else f":{target.port}"
    covered = {"@method": method, "@authority": target.hostname + port, "@path": target.path or "/", **identity}
    names = " ".join(f'"{name}"' for name in covered)
    params = f'({names});created={created};keyid="{KEYID}"'
    base = "\n".join([*(f'"{name}": {value}' for name, value in covered.items()), f'"@signature-params": {params}'])
    mac = base64.b64encode(hmac.digest(secret, base.encode(), hashlib.sha256)).decode()
    return {"signature-input": f"auth={params}", "signature": f"auth=:{mac}:"}


def main():
    if len(sys.argv) < 4 or "AUTHENTICATOR_SECRET" not in os.environ:
        sys.exit(__doc__)
    method, url, *lines = sys.argv[1:]
    identity = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    secret = os.environ["AUTHENTICATOR_SECRET"].encode()
    signature = signature_headers(method, url, identity, secret, int(time.time()))
    for name, value in {**identity, **signature}.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
