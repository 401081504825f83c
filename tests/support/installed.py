"""Programs that are on this machine already."""

import os
import shutil
import sys


def variable(name):
    """The environment variable that names a program."""
    return name.upper().replace("-", "_") + "_BIN"


def find(name):
    """The program of its variable, else NAME on PATH, else None."""
    named = os.environ.get(variable(name))
    if named:
        return shutil.which(named) or sys.exit(f"{variable(name)} is {named!r}, which cannot be run")
    return shutil.which(name)
