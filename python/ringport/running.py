"""Making loops, and running a coroutine on one."""

import asyncio
import functools

from .loop import Loop


def new_event_loop(*, backend=None, busy_poll=0.0):
    """Make a Loop, with the options of one. For asyncio.Runner(loop_factory=ringport.new_event_loop)."""
    return Loop(backend=backend, busy_poll=busy_poll)


def run(main, *, debug=None, loop_factory=None, **options):
    """Run a coroutine on a new Loop, and return its result.

    It is asyncio.run() otherwise: Ctrl-C cancels the coroutine, tasks that are left are cancelled, asynchronous generators
    and the default executor are shut down, and the loop is closed.

    debug: debug mode; None leaves it to PYTHONASYNCIODEBUG.
    options: those of Loop, such as backend="epoll".
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    loop_factory = loop_factory or new_event_loop
    if options:
        loop_factory = functools.partial(loop_factory, **options)
    with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)
