"""Having asyncio make ringport's loops, in a program and in the processes that multiprocessing starts for it.

A process that is forked has it from its parent. One that is spawned begins anew, with preparation data from its parent.
To these an object is added that has asyncio make ringport's loops when it is unpickled.
"""

import asyncio
import os
import sys

from .loop import Loop

SPAWN = "multiprocessing.spawn"
FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # before the program may change its directory

# What a spawned process does first. It has sys.path from its parent only after that, and may not find ringport without
# FOLDER: by a relative PYTHONPATH, say, when its parent is elsewhere by then.
BEGIN = """
import sys
sys.path.append(folder)
from ringport.everywhere import use_loop
use_loop()
"""


def use_loop():
    """Have asyncio make ringport's loops, here and in processes that are spawned."""
    if sys.version_info < (3, 16):
        from .policy import set_policy

        set_policy()
    else:
        asyncio.new_event_loop = asyncio.events.new_event_loop = Loop
    if hasattr(asyncio, "EventLoop"):
        asyncio.EventLoop = Loop
    if SPAWN in sys.modules:
        extend(sys.modules[SPAWN])
    elif not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


class Preparation:
    """When it is unpickled, asyncio makes ringport's loops."""

    def __reduce__(self):
        return exec, (BEGIN, {"folder": FOLDER})


def extend(module):
    """Have multiprocessing.spawn tell children of the loop."""
    get_preparation_data = module.get_preparation_data

    def with_loop(name):
        return {**get_preparation_data(name), "loop": Preparation()}

    module.get_preparation_data = with_loop


class Finder:
    """Extends multiprocessing.spawn when the program imports it, and is gone then.

    To look for it alone changes nothing.
    """

    def find_spec(self, name, path, target=None):
        if name != SPAWN:
            return None
        others = [finder.find_spec for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next(filter(None, (find_spec(name, path, target) for find_spec in others)), None)
        if spec:
            spec.loader = Loader(spec.loader, self)
        return spec


class Loader:
    """The loader of multiprocessing.spawn, which in the end is extended."""

    def __init__(self, loader, finder):
        self.loader = loader
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        extend(module)
