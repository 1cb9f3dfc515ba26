"""Random scenarios that are played on asyncio's own loop and on ringport's, and must look the same on both.

A scenario is a list of steps, a step a tuple (name, argument...); an argument may be a list of steps again. It depends on
its seed alone. What is seen of it is a list of events.

RP_TEST_SEED=n plays one scenario, and prints it. RP_TEST_SEQUENCES=n plays so many new ones in place of the usual ones.
One that looks different is made smaller for as long as it still does, and printed.
"""

import asyncio
import gc
import os
import random

import ringport


def seeds(count):
    if seed := os.environ.get("RP_TEST_SEED"):
        return [int(seed)]
    if more := os.environ.get("RP_TEST_SEQUENCES"):
        first = random.SystemRandom().randrange(1 << 40)
        return range(first, first + int(more))
    return range(count)


def observe(play, new_loop, steps):
    loop = new_loop()
    try:
        return play(loop, steps)
    finally:
        loop.close()


def differ(play, steps):
    """What is seen on asyncio's loop and on ours, if that is not the same; else None."""
    expected = observe(play, asyncio.SelectorEventLoop, steps)
    seen = observe(play, ringport.new_event_loop, steps)
    return None if seen == expected else (expected, seen)


def smaller(steps):
    """Each scenario with one step less, or a step's body in its place, the largest cuts first."""
    for i in range(len(steps)):
        yield steps[:i] + steps[i + 1 :]
    for i, step in enumerate(steps):
        for j, argument in enumerate(step):
            if isinstance(argument, list):
                for less in smaller(argument):
                    yield steps[:i] + [step[:j] + (less,) + step[j + 1 :]] + steps[i + 1 :]


def shrink(play, steps):
    for _ in range(500):
        less = next((less for less in smaller(steps) if differ(play, less)), None)
        if less is None:
            break
        steps = less
    return steps


def compare(generate, play, count):
    """Plays scenarios; fails on the first one that looks different."""
    gc.disable()  # what is collected when would not be the same
    try:
        for number, seed in enumerate(seeds(count)):
            steps = generate(random.Random(seed))
            if os.environ.get("RP_TEST_SEED"):
                print(steps)
            if differ(play, steps):
                steps = shrink(play, steps)
                raise AssertionError(report(seed, steps, *(differ(play, steps) or ("not always", "not always"))))
            if number % 50 == 0:
                gc.collect()
    finally:
        gc.enable()


def report(seed, steps, expected, seen):
    first = next((i for i, (a, b) in enumerate(zip(expected, seen)) if a != b), min(len(expected), len(seen)))
    lines = [f"RP_TEST_SEED={seed}", f"steps = {steps}", f"the same up to event {first}:", *map(str, expected[:first][-12:])]
    lines += ["then on asyncio's loop:", *map(str, expected[first : first + 12])]
    lines += ["and on ringport's:", *map(str, seen[first : first + 12])]
    return "\n".join(lines)
