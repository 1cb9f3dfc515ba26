"""Stands for uvloop.loop, uvloop's extension module, which is all of uvloop that is no Python: its loop is ringport's.

scripts/uvloop-suite links it into uvloop's unpacked source.
"""

import asyncio
import os

import ringport

ours = "RINGPORT_REFERENCE" not in os.environ


class Loop(ringport.Loop if ours else asyncio.SelectorEventLoop):
    """Counts how many there have been."""

    made = 0

    def __init__(self):
        Loop.made += 1
        super().__init__()
