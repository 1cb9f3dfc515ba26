"""nomemory_child.py WHAT NAME FIRST COUNT: lets allocations fail in an entry point or a scenario, one after the other.

WHAT is "entry" or "scenario". Up to COUNT of the allocations fail from FIRST on, evenly chosen; each in a run of its own, and
again in one where the next two fail as well. Prints a line before each run, so that it is known where the process has
died, and a line for whatever is wrong.
"""

import array
import asyncio
import faulthandler
import functools
import gc
import itertools
import logging
import operator
import os
import sys
import traceback
import tracemalloc
import warnings

import _testcapi
import ringport

import entries
import scenarios

DEADLINE = 120  # seconds for one run, for hangs alone
PATIENCE = 2  # seconds, after which a run with a lost wake-up is given up
STANDARD = os.path.dirname(os.__file__)
LOST = 1000  # bytes a run
FAR = 200_000  # more allocations than any run has


def give_up(loop):
    """What a task waits for may be lost with a callback that has failed; and what the run waits for, with the task's end."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if not tasks:
        loop.stop()


def is_pythons_own(error):
    """Whether it is a SystemError that comes from the standard library: Python's own functions fail so, too."""
    if not isinstance(error, SystemError) or not error.__traceback__:
        return False
    frame = list(traceback.walk_tb(error.__traceback__))[-1][0]
    return frame.f_code.co_filename.startswith((STANDARD, "<frozen"))


class Seen(logging.Handler):
    """Where errors have been seen in a run: raised, reported to the loop, logged, or unraisable."""

    def __init__(self):
        super().__init__()
        self.errors = []
        logging.getLogger("asyncio").handlers[:] = [self]
        sys.unraisablehook = lambda told: self.errors.append(told.exc_value or told.exc_type)

    def emit(self, record):
        self.errors.append(record.exc_info and record.exc_info[1] or RuntimeError(record.getMessage()))

    def handler(self, loop, context):
        self.errors.append(context.get("exception") or RuntimeError(context["message"]))
        give_up(loop)

    def end(self):
        """Takes the types of all of them, and of what led to them, and drops their frames."""
        kinds, errors = set(), list(self.errors)
        while errors:
            error = errors.pop()
            if error is None or error in kinds:
                continue
            if not is_pythons_own(error):
                kinds.add(error if isinstance(error, type) else type(error))
            if isinstance(error, BaseException):
                error.__traceback__ = None  # whose frames hold all that there is
                errors += [error.__cause__, error.__context__]
                errors += getattr(error, "exceptions", ())
        self.kinds = kinds

    def problem(self, what, usual):
        """What is wrong with a run in which an allocation has failed."""
        kinds = self.kinds
        if SystemError in kinds and what == "entry":  # elsewhere, functions in Python fail so by themselves
            return [repr(error) for error in self.errors]
        if MemoryError in kinds or AttributeError in kinds:  # which the interpreter makes of it in a look-up
            return None
        if kinds <= usual.kinds:
            return None if len(self.errors) >= len(usual.errors) else "an error is lost"
        return f"no MemoryError is seen, but {self.errors}"


def calls_of(preparing):
    calls = next(preparing)
    return calls if isinstance(calls, list) else [calls]


def attempt(calls, hooks, seen):
    """Makes the calls while allocations fail: nothing of our own may need memory meanwhile."""
    begin, end = hooks
    begin()
    try:
        for call in calls:
            call()
        end()
    except BaseException as error:
        end()
        seen.errors.append(error)


def run_entry(name, loop, hooks, seen):
    preparing = entries.ENTRIES[name](loop)
    attempt(calls_of(preparing), hooks, seen)
    asyncio._set_running_loop(None)
    next(preparing, None)


def run_scenario(name, loop, hooks, seen):
    attempt([functools.partial(scenarios.SCENARIOS[name], loop)], hooks, seen)
    asyncio._set_running_loop(None)


RUNS = {"entry": run_entry, "scenario": run_scenario}


def failing(start, stop):
    """Hooks that let the allocations from start to stop fail."""
    return functools.partial(_testcapi.set_nomemory, start, stop), _testcapi.remove_mem_hooks


class Counting:
    """Counts allocations, by how many are left until one fails that is far away."""

    def __init__(self):
        self.left = itertools.repeat(None, FAR)
        self.hooks = functools.partial(_testcapi.set_nomemory, FAR, FAR + 1), self.end

    def end(self):
        try:
            for _ in self.left:
                object()
        except MemoryError:
            pass
        _testcapi.remove_mem_hooks()
        self.count = operator.length_hint(self.left) + 1


def run(what, name, hooks, patience=PATIENCE):
    """One run: the errors that were seen."""
    seen = Seen()
    loop = ringport.new_event_loop()
    loop.set_exception_handler(seen.handler)
    loop.call_later(patience, give_up, loop)  # the handler may have failed, too
    loop.call_later(2 * patience, loop.stop)  # and gather(), if all that it waits for is done
    faulthandler.dump_traceback_later(DEADLINE, exit=True)
    try:
        RUNS[what](name, loop, hooks, seen)
        if not loop.is_closed():
            loop.close()
    except BaseException as error:
        seen.errors.append(error)
    del loop
    seen.end()
    gc.collect()
    faulthandler.cancel_dump_traceback_later()
    return seen


def references():
    """How often what lasts of the extension is referred to: by each object of its types, for one."""
    lasting = [nothing for nothing in gc.get_referents(ringport._core) if not isinstance(nothing, (int, bool))]
    return sum(map(sys.getrefcount, {id(each): each for each in lasting}.values()))


def grows(what, name, start):
    """What each of several such runs leaves behind, if they do. A few bytes the interpreter loses by itself."""
    sizes, counts = (array.array("q", bytes(8 * 6)) for _ in range(2))
    for i in range(len(sizes)):
        run(what, name, failing(start, start + 1))
        gc.collect()
        sizes[i] = tracemalloc.get_traced_memory()[0]
        counts[i] = references()
        if i and sizes[i] < sizes[i - 1] + LOST and counts[i] <= counts[i - 1]:
            return None
    return f"leaks {sizes[-1] - sizes[-2]} bytes, {counts[-1] - counts[-2]} references"


def main():
    what, name, first, count = sys.argv[1:3] + list(map(int, sys.argv[3:5]))
    logging.getLogger("asyncio").propagate = False
    logging.raiseExceptions = False
    warnings.simplefilter("ignore")
    del [MemoryError() for _ in range(100)][:]  # Python keeps some
    tracemalloc.start()
    for _ in range(5):
        counting = Counting()
        usual = run(what, name, counting.hooks, DEADLINE)
    gc.collect()
    gc.freeze()
    print("total", counting.count, flush=True)
    descriptors = len(os.listdir("/proc/self/fd"))
    for start in range(first, counting.count, max(1, (counting.count - first) // count)):
        for stop in start + 1, start + 3:
            print("run", start, stop, flush=True)
            if problem := run(what, name, failing(start, stop)).problem(what, usual):
                print("wrong", start, stop, problem, flush=True)
            if len(os.listdir("/proc/self/fd")) > descriptors:
                print("wrong", start, stop, "left a descriptor open", flush=True)
                descriptors = len(os.listdir("/proc/self/fd"))
        if name not in entries.OF_PYTHON and what == "entry" and (grown := grows(what, name, start)):
            print("wrong", start, start + 1, grown, flush=True)
    print("end", flush=True)


main()
