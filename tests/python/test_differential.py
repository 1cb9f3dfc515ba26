"""Random scenarios: the same on ringport as on asyncio's own loop."""

import pytest

import differential
import random_callbacks
import random_sockets

pytestmark = pytest.mark.own("compares the two by itself")


def test_callbacks():
    differential.compare(random_callbacks.generate, random_callbacks.play, 1000)


def test_sockets():
    differential.compare(random_sockets.generate, random_sockets.play, 1000)
