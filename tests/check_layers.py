#!/usr/bin/python3
"""Fails if a file includes what stands above or beside it, if files include each other, or a header speaks for others.

1. Layers. A file includes headers of its own layer and of those that it stands on (STANDS_ON, and what these stand on).
   A public header belongs to the layer that it declares.
2. Circles. A header and the file of its name are one: x.h, x.c, and for each platform x_posix.c, x_windows.c, x_linux.c,
   or x_x86_64.S. Including makes one file need another, and nothing needs itself, by whatever way.
3. Owners. A function or variable that a header of src/ or python/src/ declares is defined in the file of its name. A
   header without any, or with inline functions only, needs no file.

`check_layers.py --self-test` proves that it can fail.
"""

import pathlib
import re
import sys

STANDS_ON = {
    "base": [],
    "fiber": ["base"],
    "proactor": ["base"],
    "loop": ["proactor"],
    "net": ["loop"],
    "co": ["loop", "fiber"],
    "process": ["net"],
    "tls": ["net"],
    "connect": ["tls"],
    "stream": ["process", "connect", "co"],
    "python": ["process", "connect"],
}

PUBLIC = {
    "base.h": "base",
    "error.h": "base",
    "posix.h": "base",
    "op.h": "proactor",
    "proactor.h": "proactor",
    "loop.h": "loop",
    "future.h": "loop",
    "watch.h": "loop",
    "net.h": "net",
    "process.h": "process",
    "udp_socket.h": "net",
    "datagram.h": "net",
    "co.h": "co",
    "agen.h": "co",
    "sync.h": "co",
    "io.h": "co",
    "file.h": "co",
    "stream.h": "stream",
    "udp.h": "stream",
    "subprocess.h": "stream",
    "tls.h": "tls",
    "python.h": "python",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)
ATTRIBUTE = re.compile(r"__attribute__\(\((?:[^()]|\([^()]*\))*\)\)\s*")
PLATFORM = re.compile(r"(_(x86_64|aarch64))?(_(posix|windows|linux))?$")
# All of these begin a line, as clang-format sets them.
SIGNATURE = r"^(?!static\b|typedef\b)\w[\w \t*]*?\b(\w+)\([^;{}]*\)\s*"
DECLARATION = re.compile(SIGNATURE + ";", re.M)
DEFINITION = re.compile(SIGNATURE + r"\{|^(\w+):", re.M)  # the latter in assembly
VARIABLES = re.compile(r"^extern\b([^;(){}]*);", re.M)
VARIABLE = re.compile(r"^(?!static\b|extern\b|typedef\b)\w[\w \t*]*?\b(\w+)(?:\[[^\]]*\])?\s*[=;]", re.M)


# ---- layers ----

def below(layer):
    """The layers that one stands on."""
    return {layer for under in STANDS_ON[layer] for layer in {under} | below(under)}


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
        return "everything"
    if first == "ringport":
        return PUBLIC.get(rest, "unknown")
    if rest == "" and (name in PUBLIC and includer.parts[0] == "include"):
        return PUBLIC[name]
    return first if rest and first in STANDS_ON else None


def steps_up(files):
    """Where a file includes what its layer does not stand on, a line each."""
    for path, text in files.items():
        own = layer_of(path)
        if own is None:
            continue
        if own not in STANDS_ON:
            yield f"{path}: which layer does it belong to? Say so in tests/check_layers.py"
            continue
        for name in INCLUDE.findall(text):
            other = layer_of_include(name, path)
            if other is not None and other != own and other not in below(own):
                yield f"{path} ({own}) includes {name} ({other})"


# ---- circles ----

def node(path):
    """What stands for a file and all that bears its name."""
    return path.with_name(PLATFORM.sub("", path.stem))


def needs(files):
    """For each node the nodes that it includes."""
    edges = {node(path): set() for path in files}
    for path, text in files.items():
        for name in INCLUDE.findall(text):
            here = [path.parent / name, pathlib.Path("src") / name, pathlib.Path("include") / name]
            found = next((candidate for candidate in here if candidate in files), None)
            if found is not None and node(found) != node(path):
                edges[node(path)].add(node(found))
    return edges


def way(edges, start, goal):
    """The shortest way from one node to another, without the first; None: there is none."""
    ways, seen = [[start]], {start}
    for path in ways:
        for following in sorted(edges[path[-1]]):
            if following == goal:
                return path[1:] + [goal]
            if following not in seen:
                seen.add(following)
                ways.append(path + [following])
    return None


def circles(files):
    """The circles, a line each: one that several nodes share is told once."""
    edges, told = needs(files), set()
    for start in sorted(edges):
        circle = way(edges, start, start) if start not in told else None
        if circle:
            told |= {other for other in edges if way(edges, start, other) and way(edges, other, start)}
            yield "a circle: " + " -> ".join(str(each) for each in [start] + circle)


# ---- owners ----

def declared(text):
    """What a header promises that some file defines."""
    text = ATTRIBUTE.sub("", COMMENT.sub("", text))
    variables = [name.split()[-1].lstrip("*") for group in VARIABLES.findall(text) for name in group.split(",")]
    return DECLARATION.findall(text) + variables


def defined(text):
    """What a file defines for others; structs that it only names do no harm here."""
    text = ATTRIBUTE.sub("", COMMENT.sub("", text))
    return ["".join(groups) for groups in DEFINITION.findall(text)] + VARIABLE.findall(text)


def strangers(files):
    """What a header that is not public declares for another file, or for none, a line each."""
    sources = {path: text for path, text in files.items() if path.parts[0] != "include"}
    homes = {}
    for path, text in sources.items():
        for name in defined(text) if path.suffix != ".h" else []:
            homes.setdefault(name, []).append(path)
    for path, text in sources.items():
        for name in declared(text) if path.suffix == ".h" else []:
            places = homes.get(name, [])
            if not places or any(node(place) != node(path) for place in places):
                yield f"{path} declares {name}, which is defined in " + (", ".join(map(str, places)) or "no file")


def self_test():
    def count(rule, **texts):
        files = {pathlib.Path(name.replace("__", "/").replace("0", ".")): text for name, text in texts.items()}
        return len(list(rule(files)))

    def includes(*names):
        return "".join(f'#include "{name}"\n' for name in names)

    def up(path, *names):
        return len(list(steps_up({pathlib.Path(path): includes(*names)})))

    assert up("src/loop/loop.c", "loop/loop.h", "base/list.h", "proactor/proactor.h", "stdio.h") == 0
    assert up("src/base/list.c", "loop/loop.h") == 1
    assert up("src/fiber/stack.c", "base/list.h") == 0
    assert up("src/fiber/stack.c", "proactor/proactor.h", "loop/loop.h") == 2
    assert up("src/proactor/op.c", "fiber/stack.h", "loop/loop.h") == 2
    assert up("src/loop/loop.c", "fiber/stack.h", "connect/server.h", "co/task.h") == 3
    assert up("src/connect/server.c", "proactor/proactor.h", "loop/loop.h", "ringport/op.h") == 0
    assert up("src/connect/server.c", "co/task.h", "fiber/stack.h", "ringport/stream.h") == 3
    assert up("src/co/task.c", "fiber/stack.h", "loop/loop.h", "base/list.h") == 0
    assert up("src/co/task.c", "connect/server.h", "ringport/net.h", "python/module.h") == 3
    assert up("src/process/spawn.c", "net/transport.h", "loop/loop.h") == 0
    assert up("src/process/spawn.c", "tls/filter.h", "co/task.h") == 2
    assert up("src/tls/filter.c", "net/transport.h") == 0
    assert up("src/tls/filter.c", "process/spawn.h", "stream/stream.h") == 2
    assert up("src/connect/server.c", "net/transport.h", "connect/server.h", "tls/filter.h") == 0
    assert up("src/connect/named_pipe_windows.c", "connect/server.h", "connect/intake.h") == 0
    assert up("src/net/transport.c", "connect/server.h", "tls/filter.h") == 2
    assert up("src/tls/filter.c", "connect/server.h", "connect/secure.h") == 2
    assert up("src/process/spawn.c", "connect/connect.h") == 1
    assert up("src/stream/serve.c", "connect/server.h", "co/task.h", "fiber/stack.h", "tls/filter.h", "process/x.h") == 0
    assert up("src/stream/serve.c", "python/module.h") == 1
    assert up("python/src/module.c", "net/net.h", "process/x.h", "tls/filter.h", "loop/loop.h") == 0
    assert up("python/src/module.c", "co/task.h", "stream/stream.h", "fiber/stack.h") == 3
    assert up("src/loop/loop.c", "ringport.h") == 1
    assert up("include/ringport/op.h", "base.h", "loop.h") == 1
    assert up("include/ringport/strange.h") == 1
    assert up("src/loop/loop.c", "ringport/strange.h") == 1
    assert up("src/misc/x.c") == 1
    assert up("tests/test_loop.c", "co/task.h") == 0

    assert count(circles, src__net__a0c=includes("net/a.h", "net/b.h"), src__net__a0h="", src__net__b0h="") == 0
    assert count(circles, src__net__a0c=includes("net/b.h"), src__net__a0h="",
                 src__net__b0c=includes("net/a.h"), src__net__b0h="") == 1
    assert count(circles, src__net__a0h=includes("net/b.h"), src__net__b0h=includes("net/c.h"),
                 src__net__c_windows0c=includes("net/a.h"), src__net__c0h="") == 1
    assert count(circles, src__net__a0h=includes("net/b.h"), src__net__b0h="", src__net__b_read0c=includes("net/a.h")) == 0
    assert count(circles, include__ringport__a0h=includes("b.h"), include__ringport__b0h=includes("a.h")) == 1
    assert count(circles, src__net__a0h=includes("net/b.h"), src__net__b0h=includes("net/a.h"),
                 src__net__c0h=includes("net/d.h"), src__net__d0h=includes("net/c.h", "net/a.h")) == 2

    header = "/* int no(void); */\nstatic inline int f(void)\n{\n    return g();\n}\nint a_do(int x,\n         int y);\n"
    body = "int a_do(int x, int y)\n{\n    return x;\n}\n"
    assert count(strangers, src__net__a0h=header, src__net__a0c=body) == 0
    assert count(strangers, src__net__a0h=header, src__net__a_posix0c=body, src__net__a_windows0c=body) == 0
    assert count(strangers, src__net__a_windows0h=header, src__net__a_windows0c=body) == 0
    assert count(strangers, src__net__a0h=header, src__net__a_more0c=body) == 1
    assert count(strangers, src__net__a0h=header, src__net__b0c=body) == 1
    assert count(strangers, src__net__a0h=header) == 1
    assert count(strangers, src__net__a0h=header, src__net__a_x86_640S="a_do:\n", src__net__a_aarch64_linux0S="a_do:\n") == 0
    assert count(strangers, src__net__a0h="typedef int f(int x);\nstruct b { int (*f)(int); };\nstruct c;\n") == 0
    assert count(strangers, python__src__a0h="int a(void);\n", python__src__b0c="int a(void)\n{\n}\n") == 1
    header = "extern const int *x, y;\nextern _Thread_local int z __attribute__((tls_model(\"initial-exec\")));\n"
    assert count(strangers, src__net__a0h=header, src__net__a0c="const int *x;\nconst int y = 1;\nint z;\n") == 0
    assert count(strangers, src__net__a0h=header, src__net__b0c="const int *x;\nconst int y = 1;\nint z;\n") == 3
    assert count(strangers, src__net__a0h=header, src__net__a0c="static int x;\nextern int y;\n") == 3


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    root = pathlib.Path(__file__).resolve().parent.parent
    files = {path.relative_to(root): path.read_text()
             for top in ("include", "src", "python") for path in sorted((root / top).rglob("*.[chS]"))}
    found = [line for rule in (steps_up, circles, strangers) for line in rule(files)]
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found) or not files


if __name__ == "__main__":
    sys.exit(main())
