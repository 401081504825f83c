#!/usr/bin/env python3
"""The service's side in Python, with PyJWT (`pip install PyJWT`). Reads `Authorization` on stdin, prints the claims."""

import os
import sys

import jwt

SECRET = os.environ.get("AUTH_O_TRON_SECRET", "")
if len(SECRET.encode()) < 32:
    sys.exit("AUTH_O_TRON_SECRET: missing, or shorter than 32 bytes")


def verify(authorization):
    """The claims of a token of the filter. Any other raises jwt.InvalidTokenError: answer 401."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise jwt.InvalidTokenError("found no bearer token")
    return jwt.decode(
        token,
        SECRET,
        # Never the one that the token names.
        algorithms=["HS256"],
        issuer="auth-o-tron.example.com",
        # With `claims.aud`, also: audience="my-application"
        options={"require": ["exp", "iss", "sub"]},
    )


if __name__ == "__main__":
    try:
        print(verify(sys.stdin.read().strip()))
    except jwt.InvalidTokenError as error:
        sys.exit(f"401: {error}")
