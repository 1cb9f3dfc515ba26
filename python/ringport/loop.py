"""The event loop: what asyncio's loops have in common is inherited, what runs for each callback is in C."""

import asyncio
import sys
from asyncio import events
from asyncio.base_events import BaseEventLoop

from . import _core


class Loop(_core.Loop, BaseEventLoop):
    """An event loop for asyncio, on io_uring where the kernel permits it, else on epoll."""

    def __init__(self, *, backend=None, busy_poll=0.0):
        _core.Loop.__init__(self, backend=backend, busy_poll=busy_poll)
        BaseEventLoop.__init__(self)
        # These would be of no effect: whoever relies on them is told so.
        del self._ready, self._scheduled, self._stopping, self._closed

    def _create_task(self, coro, *, name=None, context=None, **kwargs):
        """create_task() with arguments, or by a factory."""
        self._check_closed()
        if context is not None:
            kwargs["context"] = context
        if self._task_factory is None:
            return asyncio.tasks.Task(coro, loop=self, name=name, **kwargs)
        task = self._task_factory(self, coro, **kwargs)
        if name is not None and hasattr(task, "set_name"):
            task.set_name(name)
        return task

    def run_forever(self):
        """Run until stop() is called."""
        self._check_closed()
        self._check_running()
        self._set_coroutine_origin_tracking(self._debug)
        hooks = sys.get_asyncgen_hooks()
        try:
            sys.set_asyncgen_hooks(
                firstiter=self._asyncgen_firstiter_hook,
                finalizer=self._asyncgen_finalizer_hook,
            )
            events._set_running_loop(self)
            self._run()
        finally:
            events._set_running_loop(None)
            self._set_coroutine_origin_tracking(False)
            sys.set_asyncgen_hooks(*hooks)

    def close(self):
        """Close the loop: what it still has to do is dropped."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        self._close()
        executor = self._default_executor
        if executor is not None:
            self._default_executor = None
            executor.shutdown(wait=False)


def new_event_loop(**options):
    """Make a Loop."""
    return Loop(**options)


def run(main, *, debug=None, **options):
    """Run a coroutine on a new Loop, as asyncio.run() does."""
    with asyncio.Runner(debug=debug, loop_factory=lambda: Loop(**options)) as runner:
        return runner.run(main)
