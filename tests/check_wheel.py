#!/usr/bin/python3
"""check_wheel.py DIR: what `make wheel` has made in DIR/dist, and other ways to install the Python package.

Each is installed into an empty environment of DIR/venv's interpreter, and used there as a program would. The wheel is
also looked at from outside: what it contains, exports, and needs of the system.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIRECTORY = pathlib.Path(sys.argv[1]).resolve()

# Libraries that each Linux has whose C library is new enough.
SYSTEM = {"libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}

TICK = """
import asyncio, ringport
async def tick():
    for i in range(3):
        await asyncio.sleep(0.01)
        print(f"[test_run] {i}")
ringport.run(tick())
"""
BACKEND = """
import ringport
loop = ringport.new_event_loop()
print(loop.backend, loop.fallback_reason)
loop.close()
"""
ECHO = """
import asyncio, socket, ringport, echo_protocol
async def main():
    listening = socket.create_server(("127.0.0.1", 0))
    server = echo_protocol.serve(listening)
    address = listening.getsockname()
    listening.detach()
    print(await asyncio.get_running_loop().run_in_executor(None, converse, address))
def converse(address):
    with socket.create_connection(address) as client:
        client.sendall(b"by C")
        return client.recv(100)
ringport.run(main())
"""

passed = failed = 0


def run(*command, **options):
    options = {"cwd": "/", "stderr": subprocess.STDOUT, **options}
    return subprocess.run([str(word) for word in command], check=True, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, **options).stdout


def check(function, *arguments):
    """Runs one test case."""
    global passed, failed
    try:
        function(*arguments)
        passed += 1
        print("ok", function.__name__)
    except subprocess.CalledProcessError as error:
        failed += 1
        print(error.stdout, f"FAILED {function.__name__}: {error.cmd}", sep="\n")
    except AssertionError as error:
        failed += 1
        print(f"FAILED {function.__name__}: {error}")


def empty_environment(directory):
    """The interpreter of a new environment."""
    run(DIRECTORY / "venv/bin/python", "-m", "venv", directory)
    return directory / "bin/python"


def ticks(python):
    expected = "".join(f"[test_run] {i}\n" for i in range(3))
    output = run(python, "-I", "-c", TICK)
    assert output == expected, output


def wheel():
    wheels = list((DIRECTORY / "dist").glob("*.whl"))
    assert len(wheels) == 1, wheels
    return wheels[0]


def unpacked(directory):
    with zipfile.ZipFile(wheel()) as archive:
        archive.extractall(directory)
    return next(directory.glob("ringport/_core.*.so"))


def wheel_is_for_any_linux(directory):
    assert "manylinux" in wheel().name, wheel().name
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", unpacked(directory))))
    assert needed <= SYSTEM, needed


def wheel_exports_nothing_of_the_core(directory):
    exported = [line.split()[-1] for line in run("nm", "-D", "--defined-only", unpacked(directory)).splitlines()]
    assert exported == ["PyInit__core"], exported


def wheel_has_the_package_only(directory):
    unpacked(directory)
    there = {path.relative_to(directory / "ringport").as_posix() for path in (directory / "ringport").rglob("*")
             if path.is_file()}
    package = {path.name for path in (ROOT / "python/ringport").iterdir() if path.suffix in (".py", ".pyi", ".typed")}
    headers = {path.relative_to(ROOT).as_posix() for path in (ROOT / "include").rglob("*.h")}
    there = {name for name in there if not name.endswith(".so")}
    assert there == package | headers, there ^ (package | headers)


def wheel_in_an_empty_environment(directory):
    python = empty_environment(directory)
    run(python, "-m", "pip", "install", "--no-index", wheel())
    ticks(python)
    version = run(ROOT / "scripts/version").strip()
    said = run(python, "-c", "import importlib.metadata as m, ringport; print(m.version('ringport'), ringport.__version__)")
    assert said.split() == [version, version], said


def extension_module_of_others(directory):
    """As the head of echo_protocol.c has it."""
    python = empty_environment(directory)
    run(python, "-m", "pip", "install", "--no-index", wheel())
    include = run(python, "-c", "import ringport; print(ringport.get_include())").strip()
    config = run(python, "-c", "import sysconfig as s; print(s.get_path('include'), s.get_config_var('EXT_SUFFIX'))").split()
    run("cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{include}", f"-isystem{config[0]}",
        ROOT / "examples/python/echo_protocol.c", "-o", directory / f"echo_protocol{config[1]}")
    output = run(python, "-c", ECHO, cwd=directory)
    assert output == "b'by C'\n", output


def source_distribution(directory):
    run(DIRECTORY / "venv/bin/python", "-m", "build", "--sdist", "--outdir", directory, cwd=ROOT)
    python = empty_environment(directory / "venv")
    run(python, "-m", "pip", "install", *directory.glob("*.tar.gz"))
    ticks(python)


def tree_without_liburing(directory):
    python = empty_environment(directory)
    said = run("env", "PKG_CONFIG_LIBDIR=/nonexistent", python, "-m", "pip", "install", "-v", ".", cwd=ROOT)
    assert "the Python face has the epoll backend only" in said, said
    backend = run(python, "-c", BACKEND)
    assert backend == "epoll io_uring: not in this build\n", backend
    ticks(python)


def tree_for_developers(directory):
    """An editable installation, which is built again at import when a source has changed."""
    python = empty_environment(directory)
    run(python, "-m", "pip", "install", "-r", ROOT / "python/requirements/wheel.txt")
    run(python, "-m", "pip", "install", "--no-build-isolation", f"--config-settings=build-dir={directory}/build", "-e", ".",
        cwd=ROOT)
    where = run(python, "-c", "import ringport; print(ringport.__file__)").strip()
    assert where == str(ROOT / "python/ringport/__init__.py"), where
    ticks(python)


def main():
    for case in (wheel_is_for_any_linux, wheel_exports_nothing_of_the_core, wheel_has_the_package_only,
                 wheel_in_an_empty_environment, extension_module_of_others, source_distribution, tree_without_liburing,
                 tree_for_developers):
        with tempfile.TemporaryDirectory() as directory:
            check(case, pathlib.Path(directory))
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
