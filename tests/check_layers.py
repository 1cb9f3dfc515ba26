#!/usr/bin/python3
"""Fails if a file includes a header of a layer above its own.

The layers, lowest first: base, proactor, loop; fiber and net, which do not know each other; co and python, which do not
either; stream. A public header belongs to the layer that it declares. `check_layers.py --self-test` proves that it can fail.
"""

import pathlib
import re
import sys

RANK = {"base": 0, "proactor": 1, "loop": 2, "fiber": 3, "net": 3, "co": 4, "python": 4, "stream": 5}

PUBLIC = {
    "base.h": "base",
    "error.h": "base",
    "posix.h": "base",
    "op.h": "proactor",
    "proactor.h": "proactor",
    "loop.h": "loop",
    "future.h": "loop",
    "net.h": "net",
    "co.h": "co",
    "sync.h": "co",
    "io.h": "co",
    "stream.h": "stream",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


def layer_of(path):
    """The layer of a file of the tree, None for what stands above all layers (tests, examples, ringport.h)."""
    parts = path.parts
    if parts[0] == "src":
        return parts[1]
    if parts[0] == "python":
        return "python"
    if parts[:2] == ("include", "ringport"):
        return PUBLIC.get(path.name, "unknown")
    return None


def layer_of_include(name, includer):
    """The layer of an included header, None for a header of the system."""
    first, _, rest = name.partition("/")
    if name == "ringport.h":
        return "stream"
    if first == "ringport":
        return PUBLIC.get(rest, "unknown")
    if rest == "" and (name in PUBLIC and includer.parts[0] == "include"):
        return PUBLIC[name]
    return first if rest and first in RANK else None


def violations(path, text):
    """What is wrong with a file of the tree, a line each."""
    own = layer_of(path)
    if own is None:
        return
    if own not in RANK:
        yield f"{path}: which layer does it belong to? Say so in tests/check_layers.py"
        return
    for name in INCLUDE.findall(text):
        other = layer_of_include(name, path)
        if other is None or other == own:
            continue
        if other not in RANK or RANK[other] >= RANK[own]:
            yield f"{path} ({own}) includes {name} ({other})"


def self_test():
    def count(path, text):
        return len(list(violations(pathlib.Path(path), text)))

    assert count("src/loop/loop.c", '#include "loop/loop.h"\n#include "base/list.h"\n#include <stdio.h>\n') == 0
    assert count("src/base/list.c", '#include "loop/loop.h"\n') == 1
    assert count("src/net/server.c", '#include "co/task.h"\n#include "ringport/stream.h"\n') == 2
    assert count("src/loop/loop.c", '#  include "ringport.h"\n') == 1
    assert count("src/co/task.c", '#include "python/module.h"\n') == 1
    assert count("python/module.c", '#include "co/task.h"\n#include "net/net.h"\n') == 1
    assert count("include/ringport/op.h", '#include "base.h"\n#include "loop.h"\n') == 1
    assert count("include/ringport/strange.h", "") == 1
    assert count("src/loop/loop.c", '#include "ringport/strange.h"\n') == 1
    assert count("src/misc/x.c", "") == 1
    assert count("tests/loop/test_loop.c", '#include "co/task.h"\n') == 0


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    root = pathlib.Path(__file__).resolve().parent.parent
    files = [p for top in ("include", "src", "python") for p in sorted((root / top).rglob("*.[chS]"))]
    found = [line for p in files for line in violations(p.relative_to(root), p.read_text())]
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found) or not files


sys.exit(main())
