"""What a test must not leave behind: descriptors, threads, errors that asyncio has logged.

What is left to the garbage collector is collected first. So what an object does at its end belongs to the test that made
it: pytest makes failures of warnings, and of exceptions that nobody could catch.
"""

import gc
import logging
import os
import threading

DEADLINE = 60  # seconds that a thread may take to end: for hangs alone


def descriptors():
    """The open descriptors, and what they refer to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass  # that of the listing itself
    return found


class Held:
    """What is held now: left() says what is there beyond that."""

    def __init__(self):
        self.threads = set(threading.enumerate())
        self.descriptors = descriptors()

    def left(self):
        gc.collect()
        for thread in set(threading.enumerate()) - self.threads:
            thread.join(DEADLINE)
        threads = [f"thread {thread.name}" for thread in set(threading.enumerate()) - self.threads]
        return threads + [
            f"descriptor {number} ({what})"
            for number, what in descriptors().items()
            if self.descriptors.get(number) != what
        ]


class Reports(logging.Handler):
    """What asyncio logs as an error, which is what a loop's default exception handler does: a list of messages."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.messages = []

    def emit(self, record):
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self.messages.append(text)

    def __enter__(self):
        logging.getLogger("asyncio").addHandler(self)
        return self.messages

    def __exit__(self, *exception):
        logging.getLogger("asyncio").removeHandler(self)
