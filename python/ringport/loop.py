"""The event loop: what asyncio's loops have in common is inherited, what runs for each callback is in C."""

import asyncio
import sys
from asyncio import events
from asyncio.base_events import BaseEventLoop
from asyncio.log import logger

from . import _core, tls
from .connect import Connecting
from .datagrams import Datagrams
from .executor import Executor
from .names import Names
from .server import Serving
from .signals import Signals
from .sockets import Sockets
from .subprocesses import Subprocesses

ALL_TO_FACTORY = sys.version_info >= (3, 14)  # before, a task factory got neither `name` nor a `context` that is None


class Loop(
    _core.Loop, Connecting, tls.Secure, Datagrams, Serving, Sockets, Subprocesses, Signals, Executor, Names, BaseEventLoop
):
    """An event loop for asyncio, on io_uring where the kernel permits it, else on epoll.

    It has all methods of asyncio's loops, and the attributes and methods that are shown here.

    backend: "io_uring" or "epoll". By default the environment's RINGPORT_PROACTOR says it, or else it is the best one
        that there is.
    busy_poll: seconds for which the loop polls before it sleeps. That makes answers faster, at the cost of processor
        time. By default RINGPORT_BUSY_POLL says it, in nanoseconds; or else it is 0.
    """

    def __init__(self, *, backend=None, busy_poll=0.0):
        _core.Loop.__init__(self, backend=backend, busy_poll=busy_poll)
        Signals.__init__(self)
        BaseEventLoop.__init__(self)
        # These would be of no effect: whoever relies on them is told so.
        del self._ready, self._scheduled, self._stopping, self._closed

    def _create_task(self, coro, **kwargs):
        """create_task() with keywords, or by a factory."""
        self._check_closed()
        factory = self._task_factory
        if factory is None:
            task = asyncio.tasks.Task(coro, loop=self, **kwargs)
            if task._source_traceback:
                del task._source_traceback[-1]
        elif ALL_TO_FACTORY:
            task = factory(self, coro, **kwargs)
        else:
            name = kwargs.pop("name", None)
            if kwargs.get("context") is None:
                kwargs.pop("context", None)
            task = factory(self, coro, **kwargs)
            if name is not None and hasattr(task, "set_name"):
                task.set_name(name)
        try:
            return task
        finally:
            del task  # else the traceback of a task that has failed at once would refer to it, by this frame

    def stats(self):
        """What the loop has done since it was made, and what it has to do: a dict.

        "tls" names the engine by which the process uses TLS, and "tls_fallback_reason" says why it is not the first
        choice, or is None: see the module ringport.tls.
        """
        engine, reason = tls.choose(self)
        return _core.Loop.stats(self) | {"tls": engine, "tls_fallback_reason": reason}

    def run_forever(self):
        """Run until stop() is called."""
        self._run_forever_setup()
        try:
            self._begin_listening()
            self._run()
        finally:
            self._run_forever_cleanup()
            self._end_listening()

    def _run_forever_setup(self):
        """What precedes a run. Since Python 3.13 subclasses may add to it."""
        self._check_closed()
        self._check_running()
        self._set_coroutine_origin_tracking(self._debug)
        self._old_agen_hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook)
        events._set_running_loop(self)

    def _run_forever_cleanup(self):
        """What follows a run."""
        events._set_running_loop(None)
        self._set_coroutine_origin_tracking(False)
        sys.set_asyncgen_hooks(*self._old_agen_hooks)

    def close(self):
        """Close the loop: what it still has to do is dropped, and the default executor is not waited for."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        if self._debug:
            logger.debug("Close %r", self)
        self._close()
        self._executor_shutdown_called = True
        executor = self._default_executor
        if executor is not None:
            self._default_executor = None
            executor.shutdown(wait=False)
        self._end_names()
        self._end_signals()
