#!/usr/bin/python3
"""check_symbols.py SHARED STATIC [MODULE]: which symbols the libraries give away.

The shared library exports what the public headers declare with RP_API, and those of src/tls for libringport-tls, and
nothing else. A shared object that the static library is linked into exports nothing of it. (`--windows STATIC`: a DLL.) A
module of Python's exports the function that makes it. Of libringport-tls there is a header of its own: `--tls SHARED STATIC`.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parent.parent
tls_header = root / "include/ringport/tls.h"


def declared_in(headers):
    """What these declare with RP_API."""
    for header in headers:
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        for declaration in re.findall(r"^RP_API\b([^;]*);", text, re.M):
            yield re.search(r"(\w+)\s*(?:\(|$)", declaration)[1]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def exports(library):
    return {line.split()[-1].partition("@")[0] for line in run("nm", "-D", "--defined-only", library).splitlines()}


def exports_of_all(static):
    """What a shared object exports that has all of the static library in it."""
    with tempfile.TemporaryDirectory() as directory:
        module = directory + "/module.so"
        run("cc", "-shared", "-o", module, "-Wl,--whole-archive", static, "-Wl,--no-whole-archive")
        return exports(module)


def exports_of_all_on_windows(static):
    """What the static library tells the linker of Windows to export."""
    return set(re.findall(r"-export:(\w+)", run("x86_64-w64-mingw32-strings", "-a", static)))


def main():
    arguments = sys.argv[1:]
    of_tls = arguments[0] == "--tls"
    if of_tls:
        arguments = arguments[1:]
        headers = [tls_header]
    else:
        headers = {*(root / "include").rglob("*.h"), *(root / "src/tls").glob("*.h")} - {tls_header}
    declared = set(declared_in(headers))
    if arguments[0] == "--windows":
        lines = [f"{name} is exported by the static library" for name in exports_of_all_on_windows(arguments[1])]
    else:
        exported = exports(arguments[0])
        lines = [f"{name} is declared but not exported" for name in declared - exported]
        lines += [f"{name} is exported but not declared" for name in exported - declared]
        lines += [f"{name} is exported by the static library" for name in exports_of_all(arguments[1])]
        lines += [f"{name} is exported by {module}" for module in arguments[2:]
                  for name in exports(module) ^ {"PyInit_" + pathlib.Path(module).name.partition(".")[0]}]
    print(*sorted(lines), sep="\n", end="\n" if lines else "")
    return bool(lines) or not declared


sys.exit(main())
