"""Programs that are on this machine already."""

import os
import shutil
import sys


def variable(name):
    """The environment variable that names a program."""
    return name.upper().replace("-", "_") + "_BIN"


def named(name):
    """The program of its variable, else None."""
    program = os.environ.get(variable(name))
    if program:
        return shutil.which(program) or sys.exit(f"{variable(name)} is {program!r}, which cannot be run")
    return None


def find(name):
    """The program of its variable, else NAME on PATH, else None."""
    return named(name) or shutil.which(name)
