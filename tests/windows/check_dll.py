#!/usr/bin/python3
"""check_dll.py SHARED IMPORTS STATIC COMPILER...: DLLs of users', with ringport in them or beside them.

A DLL exports all functions of its own, without a mark at any of them, whichever library it links: no object of the static
one asks the linker for exports. A host may free the DLL while threads are in it, and handle exceptions after that.
WRAPPER runs the programs, where Windows is not at hand.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED, IMPORTS, STATIC = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:4])
COMPILER = sys.argv[4:]
SYSTEM = ["-lws2_32", "-lmswsock", "-lntdll"]
NAMES = ["plugin_run", "rp_loop_new", "rp_start_server"]

failed = 0


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options).stdout


def plugin(directory, how, *libraries):
    """A DLL in a directory of its own."""
    place = pathlib.Path(directory) / how
    place.mkdir()
    run(*COMPILER, "-shared", "-I", str(ROOT / "include"), str(ROOT / "tests/windows/plugin.c"), "-o",
        str(place / "plugin.dll"), *libraries)
    shutil.copy(SHARED, place)
    shutil.copy(pathlib.Path(directory) / "host.exe", place)
    return place


def check(name, place, exported):
    global failed
    expected = "".join("exports {}\n".format(name) for name in exported) + "ended\n"
    ended = subprocess.run([*os.environ.get("WRAPPER", "").split(), str(place / "host.exe"), "plugin.dll", *NAMES], cwd=place,
                           text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=300)
    if ended.returncode == 0 and ended.stdout == expected:
        print("ok", name)
    else:
        failed += 1
        print("FAILED {}: {}, {!r}".format(name, ended.returncode, ended.stdout))


def imports_of_msvcrt(path):
    """The old C library's name stands in the file of whatever imports from it."""
    return b"msvcrt.dll" in pathlib.Path(path).read_bytes().lower()


def main():
    with tempfile.TemporaryDirectory() as directory:
        run(*COMPILER, str(ROOT / "tests/windows/plugin_host.c"), "-o", directory + "/host.exe")
        check("with the shared library", plugin(directory, "shared", IMPORTS), ["plugin_run"])
        alone = plugin(directory, "static", "-Wl,--exclude-libs,libringport.a", STATIC, *SYSTEM)
        check("with the static library", alone, ["plugin_run"])
        check("with the static library, its names given on", plugin(directory, "whole", STATIC, *SYSTEM),
              ["plugin_run", "rp_loop_new"])
        if "-D_UCRT" in COMPILER:
            assert not imports_of_msvcrt(SHARED) and not imports_of_msvcrt(alone / "plugin.dll"), "msvcrt.dll is imported"
            print("ok the C library is UCRT")
    return failed > 0


sys.exit(main())
