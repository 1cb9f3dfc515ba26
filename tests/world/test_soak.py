"""Visitors who reset, cancel, read and write slowly, by TCP and TLS, in debug mode too: nothing may grow."""

import os
import pathlib
import subprocess

import pytest
from loops import python, size

PACKAGES = ["aiohttp", "websockets"]
SOAK = pathlib.Path(__file__).parent / "soak.py"


@pytest.mark.parametrize("debug", ["", "1"], ids=["plain", "debug"])
def test_soak(debug):
    """`make world-soak` is its long form."""
    command = python(str(SOAK), str(size(30, 3)))
    environment = os.environ | {"PYTHONASYNCIODEBUG": debug}
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=250)
    print(ended.stdout)
    assert ended.returncode == 0
