#!/usr/bin/python3
"""Installs ringport to a directory of its own and builds a program on it as its users do, outside of the tree:

    cc app.c $(pkg-config --cflags --libs ringport)

against the shared library and, with --static, as a static program.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILE = "cc {options} -Wall -Wextra -Werror app.c -o {program} $(pkg-config {pkg_config} --cflags --libs ringport)"

passed = failed = 0


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options).stdout


def check(name, function, *arguments):
    """Runs one test case."""
    global passed, failed
    try:
        function(*arguments)
        passed += 1
        print("ok", name)
    except subprocess.CalledProcessError as error:
        failed += 1
        print(error.stdout, "FAILED {}: {}".format(name, error.cmd), sep="\n")
    except AssertionError as error:
        failed += 1
        print("FAILED {}: {}".format(name, error))


def install(directory):
    run("meson", "setup", str(directory / "build"), str(ROOT), "--prefix", str(directory / "prefix"),
        "--libdir", "lib", "-Dtests=false", "-Dexamples=false")
    run("meson", "install", "-C", str(directory / "build"))


def build_and_run(directory, program, options, pkg_config, environment):
    environment = dict(os.environ, PKG_CONFIG_PATH=str(directory / "prefix/lib/pkgconfig"), **environment)
    (directory / "app.c").write_text((ROOT / "tests/consumer/app.c").read_text())
    command = COMPILE.format(program=program, options=options, pkg_config=pkg_config)
    run("sh", "-c", command, cwd=directory, env=environment)
    version = run("pkg-config", "--modversion", "ringport", env=environment).strip()
    output = run("./" + program, cwd=directory, env=environment)
    assert re.fullmatch(rf"ringport {re.escape(version)} on \w+\n", output), output


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        library_path = {"LD_LIBRARY_PATH": str(directory / "prefix/lib")}
        check("install", install, directory)
        check("shared", build_and_run, directory, "shared", "-std=c11 -pedantic", "", library_path)
        check("static", build_and_run, directory, "static", "-static", "--static", {})
    print("# {} passed, {} failed, 0 skipped".format(passed, failed))
    return failed > 0


sys.exit(main())
