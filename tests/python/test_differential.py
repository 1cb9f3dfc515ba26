"""Random scenarios: the same on ringport as on asyncio's own loop."""

import pytest

import differential
import random_callbacks
import random_sockets
import random_transports

pytestmark = pytest.mark.own("compares the two by itself")


def test_callbacks():
    differential.compare(random_callbacks.generate, random_callbacks.play, 1000)


def test_sockets():
    differential.compare(random_sockets.generate, random_sockets.play, 1000)


def test_transports():
    differential.compare(random_transports.generate, random_transports.play, 500)


def test_streams():
    differential.compare(random_transports.generate_streams, random_transports.play_streams, 500)
