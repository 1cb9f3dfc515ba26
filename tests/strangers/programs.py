"""programs.py: starts and stops the built examples, for the scripts that test them.

The first argument of such a script is the directory of the built examples; RINGPORT_PROACTOR picks the backend; WRAPPER
is what runs programs of another architecture.
"""

import contextlib
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import traceback

DIRECTORY = pathlib.Path(sys.argv[1])
WRAPPER = shlex.split(os.environ.get("WRAPPER", ""))
SUFFIX = ".exe" if (DIRECTORY / "hello.exe").exists() else ""
PATIENCE = 300  # seconds, for hangs alone
ON_WINDOWS = os.name == "nt"  # itself: there nothing sends Ctrl-C to one program alone


def start(name, *arguments, stdin=subprocess.DEVNULL, more={}):
    """What Wine says on stderr is not looked at, and it has to be told where the library is. `more` is added to the
    environment."""
    return subprocess.Popen([*WRAPPER, str(DIRECTORY / (name + SUFFIX)), *map(str, arguments)], text=True,
                            stdin=stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL if SUFFIX else subprocess.STDOUT,
                            env={**os.environ, "WINEPATH": "Z:" + str(DIRECTORY.resolve().parent), **more},
                            preexec_fn=None if ON_WINDOWS else lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def run(name, *arguments):
    """The output of an example that ends by itself, and well."""
    process = start(name, *arguments)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (process.returncode, output)
    return output


@contextlib.contextmanager
def serving(name, *arguments):
    """Gives the process and the port of an example that serves; it must end in order on SIGINT, if it can be sent, and
    say nothing more."""
    process = start(name, *arguments)
    try:
        line = process.stdout.readline()
        match = re.match(r"serving on .*?127\.0\.0\.1:(\d+)", line)
        assert match, line + process.stdout.read()
        yield process, int(match[1])
        if ON_WINDOWS:
            return
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and output == "", (process.returncode, output)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def server(name, *arguments):
    """The port alone."""
    with serving(name, *arguments) as (_, port):
        yield port


def resident(process, what="VmRSS"):
    """A process's memory, in bytes."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"^{what}:\s*(\d+) kB", status, re.M)[1]) * 1024


def virtual(process):
    """The same with what it has not touched: what RLIMIT_AS is about."""
    return resident(process, "VmSize")


class Skip(Exception):
    """What a case raises that cannot run here, with the reason."""


def run_all(cases):
    """Runs them one after the other, prints how they went and their sum; whether one failed."""
    passed = failed = skipped = 0
    for case in cases:
        try:
            case()
            passed += 1
            print("ok", case.__name__, flush=True)
        except Skip as reason:
            skipped += 1
            print(f"skipped {case.__name__}: {reason}", flush=True)
        except Exception:  # whatever it was, the others are still to run
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print("FAILED", case.__name__, flush=True)
    print(f"# {passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0
