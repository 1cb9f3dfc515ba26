"""Each scenario is run a hundred times: then there must be as many objects as before, and as much memory."""

import collections
import gc
import sys
import tracemalloc

import pytest

from scenarios import SCENARIOS

WARM_UP = 20  # runs in which what is kept for the next one is made
RUNS = 100
ATTEMPTS = 15  # Python keeps some free objects, up to a number of each
GROWTH = RUNS * 10  # bytes: less than one object a run


def held():
    """How many objects there are of each type, and how often what lasts is referred to."""
    counts = collections.Counter(type(each).__name__ for each in gc.get_objects())
    modules = [module for name, module in sys.modules.items() if name.startswith("ringport")]
    lasting = {id(each): each for module in modules for each in (module, *gc.get_referents(module))}
    counts.update({f"references to {each!r}": sys.getrefcount(each) for each in lasting.values()})
    return counts


def memory():
    """What Python has allocated. Its cache of methods keeps the names by which they were looked up, up to 4096."""
    sys._clear_internal_caches() if sys.version_info >= (3, 13) else sys._clear_type_cache()
    gc.collect()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("name", SCENARIOS)
def test_leaves_nothing(name, loop_factory, traced):
    def run(count):
        for _ in range(count):
            loop = loop_factory()
            try:
                SCENARIOS[name](loop)
            finally:
                loop.close()

    def growth():
        objects, used = held(), memory()
        run(RUNS)
        used = memory() - used
        more = held() - objects
        return {what: n for what, n in more.items() if n >= RUNS // 4} | ({"bytes": used} if used >= GROWTH else {})

    run(WARM_UP)
    # Tables grow now and then, too. A leak is there each time.
    for _ in range(ATTEMPTS):
        if not (grown := growth()):
            return
    assert not grown
