"""Names: getaddrinfo() and getnameinfo(), on threads of the loop's own that are for names alone.

A resolver may take half a minute, and nothing can interrupt it. So it takes no thread of the default executor. Neither a caller
that was cancelled nor the end of the loop or the program waits for it. What is asked already is not asked again, unless the
program has put something of its own in the resolver's place.
"""

import _socket
import collections
import copy
import enum
import os
import socket
import threading
import types
from asyncio import base_events

MOST_THREADS = 64
IDLE = 10.0  # seconds after which a thread without work ends

PLAIN = {str, bytes, int, types.NoneType}


class Threads:
    """A pool of threads. Work is an object with two methods: run(), and told(), which is called when that is over."""

    def __init__(self):
        self._changed = threading.Condition()
        self._queue = collections.deque()
        self._threads = set()
        self._idle = set()  # of these, those that wait for work, or are about to
        self._stopped = False
        self._process = os.getpid()

    def submit(self, work):
        """Have work done. RuntimeError: there is no thread, and none can be started."""
        with self._changed:
            if len(self._queue) >= len(self._idle) and len(self._threads) < MOST_THREADS:
                try:
                    self._add()
                except (RuntimeError, MemoryError):
                    if not self._threads:
                        raise
            self._queue.append(work)
            self._changed.notify()

    def _add(self):
        thread = threading.Thread(target=self._main, name="ringport-names", daemon=True)
        self._threads.add(thread)
        self._idle.add(thread)
        try:
            thread.start()
        except BaseException:
            self._threads.remove(thread)
            self._idle.remove(thread)
            raise

    def take_back(self, work):
        """Whether work had not begun, and never will."""
        with self._changed:
            if work not in self._queue:
                return False
            self._queue.remove(work)
            return True

    def _main(self):
        thread = threading.current_thread()
        while (work := self._next(thread)) is not None:
            work.run()
            with self._changed:
                self._idle.add(thread)
            work.told()
            del work

    def _next(self, thread):
        """Work; or None: the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopped, IDLE)
            self._idle.remove(thread)
            if self._queue:
                return self._queue.popleft()
            self._threads.remove(thread)
            return None

    def stop(self):
        """End the threads, but for those that are at work: these end with that."""
        if self._process != os.getpid():  # a child of fork() has none of them, but perhaps their lock
            return
        with self._changed:
            self._stopped = True
            self._queue.clear()
            self._changed.notify_all()
            idle = list(self._idle)
        for thread in idle:
            thread.join()


class Question:
    """A call of a resolver that is under way, and the futures of those who want its answer."""

    def __init__(self, names, key, function, args):
        self.names = names
        self.key = key
        self.function = function
        self.args = args
        self.futures = []
        self.answer = None
        self.error = None

    def run(self):
        try:
            self.answer = self.function(*self.args)
        except BaseException as error:
            self.error = error

    def told(self):
        try:
            self.names.loop.call_soon_threadsafe(self.tell)
        except RuntimeError:  # the loop is closed
            pass

    def tell(self):
        """End the futures, on the loop. Each has a list or an exception of its own."""
        self.names.forget(self)
        error = self.error
        if isinstance(error, StopIteration):  # which no future can have
            error = RuntimeError("the resolver raised StopIteration")
        waiting = [future for future in self.futures if not future.done()]
        for index, future in enumerate(waiting):
            if error is not None:
                future.set_exception(copy.copy(error) if index else error)
            else:
                future.set_result(list(self.answer) if index and type(self.answer) is list else self.answer)
        self.error = None


class LoopNames:
    """What a loop has under way: its threads, and the questions that can be joined."""

    def __init__(self, loop):
        self.loop = loop
        self.threads = Threads()
        self.questions = {}

    async def ask(self, key, function, args):
        """function(*args), on a thread. A key of None: it is not to be joined."""
        question = self.questions.get(key)
        if question is None:
            question = Question(self, key, function, args)
            self.threads.submit(question)
            if key is not None:
                self.questions[key] = question
        future = self.loop.create_future()
        question.futures.append(future)
        try:
            return await future
        finally:
            question.futures.remove(future)
            if not question.futures and self.threads.take_back(question):
                self.forget(question)
            del future, question  # an exception refers to this frame

    def forget(self, question):
        if question.key is not None:
            self.questions.pop(question.key, None)


def is_original(function):
    """Whether a resolver is the one that Python has."""
    if isinstance(function, types.BuiltinFunctionType):
        return function.__self__ is _socket
    return (
        isinstance(function, types.FunctionType)
        and function.__globals__ is vars(socket)
        and isinstance(_socket.getaddrinfo, types.BuiltinFunctionType)
    )


def key_of(function, args):
    """What tells a question from others; None: nothing does for sure."""
    if all(type(arg) in PLAIN or isinstance(arg, (enum.IntEnum, enum.IntFlag)) for arg in args):
        return function, args, tuple(map(type, args))
    return None


class Names:
    """What Loop has for names."""

    _names = None

    async def getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):
        """Resolve a name: what socket.getaddrinfo() returns, or raises."""
        function = base_events.socket.getaddrinfo
        joined = is_original(function)
        if self._debug:
            function = self._getaddrinfo_debug
            joined = joined and getattr(function, "__func__", None) is base_events.BaseEventLoop._getaddrinfo_debug
        args = (host, port, family, type, proto, flags)
        return await self._ask_for_name(key_of(function, args) if joined else None, function, args)

    async def getnameinfo(self, sockaddr, flags=0):
        """The names of an address: what socket.getnameinfo() returns, or raises."""
        function = base_events.socket.getnameinfo
        key = None
        if is_original(function) and type(sockaddr) is tuple:
            key = key_of(function, (*sockaddr, flags))
        return await self._ask_for_name(key, function, (sockaddr, flags))

    async def _ask_for_name(self, key, function, args):
        self._check_closed()
        if self._names is None:
            self._names = LoopNames(self)
        return await self._names.ask(key, function, args)

    def _end_names(self):
        if self._names is not None:
            self._names.threads.stop()
            self._names = None
