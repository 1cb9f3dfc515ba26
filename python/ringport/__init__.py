"""An event loop for asyncio, on io_uring or epoll.

    import asyncio, ringport

    async def main():
        await asyncio.sleep(1)
        print("one second later")

    ringport.run(main())

An asyncio program runs on ringport without a change. There are four ways to it:

    ringport.run(main())                                      in place of asyncio.run()
    asyncio.run(main(), loop_factory=ringport.new_event_loop) from Python 3.12 on
    asyncio.Runner(loop_factory=ringport.new_event_loop)      to run several coroutines on one loop
    python -m ringport program.py                             for a program that is not to be changed at all

ringport.install() has asyncio make ringport's loops from then on. It sets an event loop policy. Python 3.14 deprecates
policies, and 3.16 has none.

The loop takes the io_uring backend where the kernel permits it, and epoll elsewhere. `loop.backend` is its name, and
`loop.fallback_reason` says why io_uring was passed over. Loop(backend="epoll"), and RINGPORT_PROACTOR=epoll in the
environment, choose. `loop.stats()` counts what a loop has done. help(ringport.Loop) has the rest.

Protocols in C run on the same loops: an extension module includes ringport/python.h, from get_include().
"""

import sys

from . import _core
from ._core import capi
from .headers import get_include
from .loop import Loop
from .running import new_event_loop, run

__version__ = _core.__version__

__all__ = ["Loop", "capi", "get_include", "new_event_loop", "run"]

_POLICIES = "EventLoopPolicy", "install"

if sys.version_info < (3, 14):
    from .policy import EventLoopPolicy, install

    __all__ += _POLICIES


def __getattr__(name):
    if name not in _POLICIES or sys.version_info >= (3, 16):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import policy

    if name == "EventLoopPolicy":
        import warnings

        message = "'ringport.EventLoopPolicy' is deprecated and slated for removal in Python 3.16"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    return getattr(policy, name)
