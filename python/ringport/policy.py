"""The event loop policy, where Python has policies.

They are deprecated from 3.14 on, and 3.16 has none: so this module is imported by whoever asks for one of its names.
"""

import asyncio
import sys
import warnings

from .loop import Loop

DEPRECATED = sys.version_info >= (3, 14)


def quiet(function, *args):
    """A deprecated function or name of asyncio's, without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return function(*args)


class EventLoopPolicy(quiet(getattr, asyncio, "DefaultEventLoopPolicy")):
    """A policy whose loops are ringport's: asyncio.new_event_loop() and asyncio.run() make such ones.

    >>> asyncio.set_event_loop_policy(ringport.EventLoopPolicy())
    """

    _loop_factory = Loop


def set_policy():
    """Have asyncio use a policy of ours, without a warning."""
    quiet(asyncio.set_event_loop_policy, EventLoopPolicy())


def install():
    """Have asyncio make ringport's loops from now on: asyncio.run(), asyncio.new_event_loop() and the like do.

    It sets an event loop policy. Python 3.14 deprecates these: prefer ringport.run(), or a loop factory.
    """
    if DEPRECATED:
        message = "'ringport.install' is deprecated and slated for removal in Python 3.16"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    set_policy()
