"""Signals: what wakes a loop in the main thread, and the handlers of add_signal_handler().

Python's own handler of a signal writes its number into the wakeup descriptor (signal.set_wakeup_fd). While a loop runs in
the main thread, and for as long as it has handlers, that is a pipe which the loop reads. So whichever thread the kernel
picks for a signal, and whenever it comes, a loop that sleeps wakes up; handlers of signal.signal() then run at once.

The descriptor is one for the process. Of several loops the last one has it. What somebody else has set is told of the
signals too, and set again afterwards.
"""

import asyncio
import errno
import inspect
import os
import signal
import sys
import threading
import warnings

# Before 3.14 a mark of asyncio's own made one, too; since then the function warns that it is going to be removed.
is_coroutine_function = inspect.iscoroutinefunction if sys.version_info >= (3, 14) else asyncio.iscoroutinefunction

_taken = []  # the write ends of loops' pipes; the last one is the wakeup descriptor
_others = -1  # what was set before the first of them


def _take(fd):
    """Have Python write signals into fd. ValueError in another thread than the main one."""
    global _others
    before = signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    if before not in _taken:
        _others = before
    if fd in _taken:
        _taken.remove(fd)
    _taken.append(fd)


def _give_back(fd):
    """End that: the last loop that still wants signals has them, or else whoever had them before."""
    if fd not in _taken:
        return
    _taken.remove(fd)
    current = signal.set_wakeup_fd(-1)
    if current != fd:
        _set(current)  # somebody has taken it over
    else:
        _set(_taken[-1] if _taken else _others)


def _set(fd):
    try:
        signal.set_wakeup_fd(fd, warn_on_full_buffer=fd not in _taken)
    except (ValueError, OSError):
        pass  # it was closed meanwhile


def _tell_others(numbers):
    if _others != -1:
        try:
            os.write(_others, numbers)
        except OSError:
            pass  # it is full, or was closed


def _forget():
    """In a child of fork(): the pipes are shared with the parent, which is not to be told of the child's signals."""
    if _taken:
        current = signal.set_wakeup_fd(-1)
        if current not in _taken:
            _set(current)
        _taken.clear()


os.register_at_fork(after_in_child=_forget)


def _nothing(signum, frame):
    """What a handler of add_signal_handler() is to Python: the number comes through the pipe."""


def _set_handler(sig, handler):
    try:
        signal.signal(sig, handler)
    except OSError as exception:
        if exception.errno != errno.EINVAL:
            raise
        raise RuntimeError(f"sig {sig} cannot be caught") from None


class Signals:
    """The part of a Loop that deals with signals."""

    def __init__(self):
        self._signal_handlers = {}  # number: Handle
        self._signal_pipe = None  # made when it is first needed: read end, write end
        self._run_listens = False  # whether this is a run in the main thread

    def _listen(self):
        """Have signals wake this loop. ValueError in another thread than the main one."""
        if not self._signal_pipe:
            ends = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                self._add_reader(ends[0], self._read_signals)
            except BaseException:
                os.close(ends[0])
                os.close(ends[1])
                raise
            self._signal_pipe = ends
        _take(self._signal_pipe[1])

    def _begin_listening(self):
        """At the beginning of a run."""
        if threading.get_ident() == threading.main_thread().ident:
            self._run_listens = True
            try:
                self._listen()
            except ValueError:
                pass  # a main thread that is not the one in which Python handles signals

    def _end_listening(self):
        """At the end of a run."""
        if self._run_listens:
            self._run_listens = False
            self._listen_no_more()

    def _listen_no_more(self):
        """Unless a run or a handler wants to be told of signals."""
        if self._signal_pipe and not self._signal_handlers and not self._run_listens:
            _give_back(self._signal_pipe[1])

    def _end_signals(self):
        """When the loop was closed."""
        if sys.is_finalizing():
            if self._signal_handlers:
                warnings.warn(
                    f"Closing the loop {self!r} on interpreter shutdown stage, skipping signal handlers removal",
                    ResourceWarning,
                    source=self,
                )
                self._signal_handlers.clear()
        else:
            for sig in list(self._signal_handlers):
                self.remove_signal_handler(sig)
        if self._signal_pipe:
            _give_back(self._signal_pipe[1])
            for end in self._signal_pipe:
                os.close(end)
            self._signal_pipe = None

    def _read_signals(self):
        try:
            numbers = os.read(self._signal_pipe[0], 4096)
        except (BlockingIOError, InterruptedError):
            return
        _tell_others(numbers)
        for number in numbers:
            self._handle_signal(number)

    def _handle_signal(self, sig):
        handle = self._signal_handlers.get(sig)
        if handle is None:
            return
        if handle.cancelled():
            self.remove_signal_handler(sig)
        else:
            self.call_soon(handle._callback, *handle._args, context=handle._context)

    def _check_signal(self, sig):
        if not isinstance(sig, int):
            raise TypeError(f"sig must be an int, not {sig!r}")
        if sig not in signal.valid_signals():
            raise ValueError(f"invalid signal number {sig}")

    def add_signal_handler(self, sig, callback, *args):
        """Run callback(*args) in the loop each time the signal comes.

        It replaces the handler that there was. Only the main thread may call this.
        ValueError: there is no such signal. RuntimeError: this is another thread, or the signal cannot be caught.
        """
        if asyncio.iscoroutine(callback) or is_coroutine_function(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        self._check_signal(sig)
        self._check_closed()
        try:
            self._listen()
        except (ValueError, OSError) as exception:
            raise RuntimeError(str(exception)) from exception
        self._signal_handlers[sig] = asyncio.Handle(callback, args, self, None)
        try:
            _set_handler(sig, _nothing)
            signal.siginterrupt(sig, False)  # system calls go on, rather than fail with EINTR
        except BaseException:
            del self._signal_handlers[sig]
            self._listen_no_more()
            raise

    def remove_signal_handler(self, sig):
        """Do at the signal what Python does by default. Return whether there was a handler."""
        self._check_signal(sig)
        if self._signal_handlers.pop(sig, None) is None:
            return False
        _set_handler(sig, signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL)
        self._listen_no_more()
        return True
