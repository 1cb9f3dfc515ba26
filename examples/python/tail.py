"""Print what is added to a file, as `tail -F` does: also when it is cut short, or another one takes its place.

    python tail.py FILE
"""

import asyncio
import ctypes
import os
import sys

import ringport

MODIFY, MOVED_TO, CREATE, NONBLOCK = 0x002, 0x080, 0x100, os.O_NONBLOCK
libc = ctypes.CDLL(None, use_errno=True)


def watch(loop, directory, changed):
    """Has `changed` called when something happens in a directory: inotify, of which asyncio knows nothing."""
    notifier = libc.inotify_init1(NONBLOCK | os.O_CLOEXEC)
    if notifier < 0 or libc.inotify_add_watch(notifier, os.fsencode(directory), MODIFY | MOVED_TO | CREATE) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), directory)
    loop.add_reader(notifier, lambda: (os.read(notifier, 65536), changed.set()))


def print_new(file):
    if os.fstat(file.fileno()).st_size < file.tell():
        file.seek(0)
    sys.stdout.write(file.read())
    sys.stdout.flush()


async def tail(path):
    changed = asyncio.Event()
    watch(asyncio.get_running_loop(), os.path.dirname(path) or ".", changed)
    file = open(path)
    while True:
        changed.clear()
        print_new(file)
        if os.path.exists(path) and not os.path.samestat(os.stat(path), os.fstat(file.fileno())):
            file.close()
            file = open(path)
        else:
            await changed.wait()


try:
    ringport.run(tail(sys.argv[1]))
except KeyboardInterrupt:
    pass
