#!/usr/bin/python3
"""Fails if docs/asyncio-map.md leaves a public name of asyncio out, or maps one to what is not there.

Each name that asyncio and its modules export, in the Python that runs this, has a row, and so has each public method,
property and attribute of each class among them. To look at another version, run this by that one (3.11 to 3.14).

The first cell of a row says by code what it is about. A name behind a class belongs to that, or to all that stand
together before it:

    `Event.set`, `clear`                  two methods of one class
    `Lock`, `Event`: `wait`               a method of two classes, and these themselves
    `loop.call_soon`, `call_at`           `loop` is any class of loops
    `asyncio.sleep(d)`, `shield`          no methods: names of asyncio's
    `create_task(context=)`               an argument, for which nobody looks
    `*ChildWatcher.*`                     all that match

What a class inherits from another one of asyncio's, or hands on to one, is covered by that one's row.

The second cell has ringport's name, or says "none", or "planned", and why. What it names is declared in the headers that
the third cell names, and its comment says there what of asyncio it mirrors. What a header says it mirrors has a row.

`check_asyncio_map.py --self-test` proves that it can fail.
"""

import ast
import asyncio
import fnmatch
import importlib
import inspect
import pathlib
import pkgutil
import re
import sys
import warnings

from check_docs import MIRRORS, ROOT, code_names, comments, declared, rows

PAGE = "docs/asyncio-map.md"
CONSTANT = re.compile(r"[A-Z][A-Z_]+")
LOOP = "loop"


# ---- what asyncio has ----


def names_in(source):
    """The names of a module's `__all__`, by its text, as far as that spells them out."""
    for node in ast.parse(source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__" and isinstance(node.value, (ast.Tuple, ast.List)):
            yield from ast.literal_eval(node.value)


def everything():
    """(name, value) of all that asyncio and its modules export; None is the value of what this system cannot import."""
    yield from ((name, getattr(asyncio, name)) for name in asyncio.__all__)
    for info in pkgutil.iter_modules(asyncio.__path__):
        if info.name.startswith("_"):
            continue
        try:
            module = importlib.import_module(f"asyncio.{info.name}")
            yield from ((name, getattr(module, name)) for name in getattr(module, "__all__", ()))
        except ImportError:
            source = pathlib.Path(asyncio.__path__[0], f"{info.name}.py").read_text()
            yield from ((name, None) for name in names_in(source))


def attributes(kind):
    """The public names that a class defines itself, and those that its __init__() gives to instances."""
    found = set(vars(kind)) | set(vars(kind).get("__dataclass_fields__", ()))
    initial = vars(kind).get("__init__")
    if inspect.isfunction(initial) and "__dataclass_fields__" not in vars(kind):
        found |= set(re.findall(r"^ +self\.(\w+)(?:: [^=]+)? = ", inspect.getsource(initial), re.M))
    return {name for name in found if not name.startswith("_")}


def exported():
    """What asyncio exports: {name: value}."""
    found = {"Process": asyncio.subprocess.Process}  # which no `__all__` has
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what is to go
        found |= {name: value for name, value in everything() if not name.startswith("_") and found.get(name) is None}
    return found


def is_own(value):
    """Whether it is a class of asyncio's, and none that it only hands on, such as TimeoutError."""
    return inspect.isclass(value) and value.__module__.partition(".")[0] in ("asyncio", "_asyncio")


# ---- what the page has ----


def subjects(cell):
    """(class or None, name) for each name of a row's first cell."""
    owners, together = [], False
    for code in re.findall(r"`([^`]+)`", cell):
        match = re.match(r"(?:async with |await )?([\w.*]+)", code)
        if not match:
            continue
        owner, _, name = match[1].rpartition(".")
        if owner in ("", "asyncio") and name[:1].isupper() and not CONSTANT.fullmatch(name):
            owners = [*owners, name] if together else [name]
            yield None, name
            together = True
            continue
        together = False
        if owner:
            owner = owner.removeprefix("asyncio").lstrip(".")
            owners = [owner] if owner == LOOP or not owner[:1].islower() and owner else []  # else it is a module
            yield from ((None, each) for each in owners)
        if CONSTANT.fullmatch(name) or not owners:
            yield None, name
        yield from ((each, name) for each in owners)


def is_covered(kind, name, pairs, classes):
    """Whether a row is about an attribute of a class, or of one that inherits it from there or hands it on."""
    for owner, pattern in pairs:
        if not owner or not fnmatch.fnmatchcase(name, pattern):
            continue
        if owner == LOOP and issubclass(kind, asyncio.AbstractEventLoop) or fnmatch.fnmatchcase(kind.__name__, owner):
            return True
        other = classes.get(owner)
        if other and (issubclass(kind, other) or issubclass(other, kind)):
            return True
    return False


def left_out(page, names):
    """What has no row of the names that asyncio exports, and of the attributes of the classes among them."""
    pairs = {pair for row in rows(page) for pair in subjects(row[0])}
    alone = [pattern for owner, pattern in pairs if not owner]
    classes = {name: value for name, value in names.items() if is_own(value)}
    for name in sorted(names):
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in alone):
            yield name
    for name, kind in sorted(classes.items()):
        yield from (f"{name}.{each}" for each in sorted(attributes(kind)) if not is_covered(kind, each, pairs, classes))


def wrong_rows(page, headers):
    """What is wrong with the rows; `headers` are the texts of these by name."""
    words = {name: declared(text) for name, text in headers.items()}
    comment = {name: text for header in headers.values() for name, text in comments(header)}
    functions = set(re.findall(r"^RP_API\b[^;(]*?\b(\w+)\s*\(", "\n".join(headers.values()), re.M))
    mapped = set()
    for theirs, ours, where in rows(page):
        names = [name for name, _ in code_names(ours)]
        mapped.update(names)
        for name in names:
            if not any(name in words.get(header, ()) for header in where.split(", ")):
                yield f"{name} is not declared in {where or 'any header'}"
        first = re.match(r"`(rp_\w+)", ours)
        if theirs.startswith("`") and first and first[1] in functions and not MIRRORS.search(comment[first[1]]):
            yield f"the comment of {first[1]} does not say that it mirrors {theirs}"
        if theirs.startswith("`") and not re.search(r"`|(none|planned)\b.*\w{4}", ours):
            yield f"{theirs} has neither a name here nor a reason for having none"
    for name in sorted(functions - mapped):
        if MIRRORS.search(comment[name]):
            yield f"{name} mirrors something, and has no row"


# ---- running ----


def self_test():
    """Rows and headers with faults, and without."""
    assert set(subjects("`Event.set`, `clear(x=)`")) == {(None, "Event"), ("Event", "set"), ("Event", "clear")}
    assert set(subjects("`A`, `B`: `c`; `D` (`e`)")) == {
        (None, "A"), (None, "B"), ("A", "c"), ("B", "c"), (None, "D"), ("D", "e")}
    assert set(subjects("`asyncio.sleep(d)`, `PIPE`, and `shield`")) == {(None, "sleep"), (None, "PIPE"), (None, "shield")}
    assert set(subjects("`A.b`, `asyncio.c.d`, `loop.e`")) == {
        (None, "A"), ("A", "b"), (None, "d"), (None, "loop"), ("loop", "e")}
    assert set(subjects("`A.b`; `PIPE`")) == {(None, "A"), ("A", "b"), (None, "PIPE"), ("A", "PIPE")}

    assert list(names_in("__all__ = (\n    'a', 'b',\n)\n__all__ += ['c']\n__all__ += d\n")) == ["a", "b", "c"]
    names = {"sleep": asyncio.sleep, "Lock": asyncio.Lock, "TimeoutError": TimeoutError}
    row = "| `sleep`, `Timeout*` | none: it | |\n| `Lock`: `acquire`, `release` | none: it | |\n"
    assert list(left_out(row, names)) == ["Lock.locked"]
    assert list(left_out(row.replace("`release`", "`rel*`, `locked`"), names)) == []
    assert list(left_out("", {"sleep": asyncio.sleep})) == ["sleep"]
    assert list(left_out("| `sleeping` | | |\n", {"sleep": asyncio.sleep})) == ["sleep"]
    loops = {"EventLoop": asyncio.SelectorEventLoop, "AbstractEventLoop": asyncio.AbstractEventLoop}
    assert "AbstractEventLoop.time" in left_out("| `EventLoop`, `AbstractEventLoop` | | |\n", loops)
    assert "AbstractEventLoop.time" not in left_out("| `loop.time` | | |\n", loops)
    assert "EventLoop.time" not in left_out("| `AbstractEventLoop.time` | | |\n", loops)
    assert {"partial", "expected"} <= attributes(asyncio.IncompleteReadError)
    assert {"returncode", "pid", "wait"} <= attributes(exported()["Process"])

    header = {"a.h": "/* It. Mirrors x(). */\nRP_API int rp_a(void);\n\n/* It. */\nRP_API int rp_b(void);\n"}
    assert list(wrong_rows("| `x` | `rp_a` | a.h |\n", header)) == []
    assert len(list(wrong_rows("| `x` | `rp_a` | b.h |\n", header))) == 1
    assert len(list(wrong_rows("| `x` | `rp_b` | a.h |\n| `y` | `rp_a` | a.h |\n", header))) == 1
    assert len(list(wrong_rows("| (none) | `rp_b` | a.h |\n", header))) == 1
    assert len(list(wrong_rows("| `x` | `rp_a` | a.h |\n| `y` | none | |\n", header))) == 1
    assert list(wrong_rows("| `x` | `rp_a` | a.h |\n| `y` | none: nobody asks | |\n", header)) == []


def main():
    """Prints a line for each fault."""
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    page = (ROOT / PAGE).read_text()
    headers = {path.name: path.read_text() for path in sorted((ROOT / "include/ringport").glob("*.h"))}
    faults = list(wrong_rows(page, headers))
    if sys.version_info < (3, 15):  # whose names nobody knows yet
        faults += [f"no {name}" for name in left_out(page, exported())]
    print(*(f"{PAGE}: {fault}" for fault in faults), sep="\n", end="\n" if faults else "")
    return len(faults) > 0


if __name__ == "__main__":
    sys.exit(main())
