"""The event loops that are measured, by name: how each is made, and which version it is."""

import asyncio
import importlib
import importlib.metadata
import platform
import sys


def on_uvloop():
    """aiofastnet replaces the transports of another loop: it is measured on the fastest."""
    import aiofastnet
    import uvloop
    return aiofastnet.loop_factory(uvloop.new_event_loop)()


def factory(name):
    """What makes such a loop."""
    if name == "asyncio":
        return asyncio.new_event_loop
    if name == "aiofastnet":
        return on_uvloop
    return importlib.import_module(name).new_event_loop


def version(name):
    """Which one it is, as a line of text."""
    if name == "asyncio":
        return platform.python_version()
    return " on ".join(f"{package} {importlib.metadata.version(package)}" if package != name
                       else importlib.metadata.version(name)
                       for package in ((name, "uvloop") if name == "aiofastnet" else (name,)))


def runner(name):
    """A runner on such a loop."""
    return asyncio.Runner(loop_factory=factory(name))


if __name__ == "__main__":
    factory(sys.argv[1])().close()
    print(version(sys.argv[1]))
