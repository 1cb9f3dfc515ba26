"""python -m ringport: a program finds everything as it does without, but for the loop."""

import os
import signal
import subprocess
import sys
import zipfile

import pytest

pytestmark = pytest.mark.own("it is about a command of ringport's")

SHOW = """
import asyncio, os, sys

async def kind():
    return type(asyncio.get_running_loop()).__module__.split(".")[0]

if __name__ == "__main__":
    print(sys.argv, sys.path[0], __name__, globals().get("__file__"), __package__, __spec__ and __spec__.name,
          globals().get("__cached__"), type(__loader__).__name__, sys.modules["__main__"].__dict__ is globals(),
          __doc__)
"""

LOOPS = """
import asyncio, sys

async def kind():
    return type(asyncio.get_running_loop()).__module__.split(".")[0]

print(asyncio.run(kind()))
loop = asyncio.new_event_loop()
print(loop.run_until_complete(kind()))
loop.close()
with asyncio.Runner() as runner:
    print(runner.run(kind()))
if hasattr(asyncio, "EventLoop"):
    print(asyncio.run(kind(), loop_factory=asyncio.EventLoop))
else:
    print("ringport")
"""


def run(*arguments, cwd=None, options=(), **kwargs):
    command = [sys.executable, *options, *arguments]
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)


@pytest.fixture
def both(tmp_path):
    """both(arguments): how Python ends with them, which -m ringport does in the same way."""

    def compare(*arguments, **kwargs):
        plain = run(*arguments, cwd=tmp_path, **kwargs)
        ours = run("-m", "ringport", *arguments, cwd=tmp_path, **kwargs)
        assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)
        return plain

    return compare


@pytest.fixture
def program(tmp_path):
    """Writes a program."""

    def write(text, name="program.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return name

    return write


def test_loops(program, tmp_path):
    program(LOOPS)
    for arguments in (["program.py"], ["-m", "program"], ["-c", LOOPS]):
        done = run("-m", "ringport", *arguments, cwd=tmp_path)
        assert (done.stdout, done.stderr) == ("ringport\n" * 4, "")
    done = run("-m", "ringport", "-", cwd=tmp_path, input=LOOPS)
    assert (done.stdout, done.stderr) == ("ringport\n" * 4, "")


def test_backend(program, tmp_path):
    program("import asyncio\nasync def main(): print(asyncio.get_running_loop().backend)\nasyncio.run(main())\n")
    done = run("-m", "ringport", "program.py", cwd=tmp_path, env={**os.environ, "RINGPORT_PROACTOR": "epoll"})
    assert done.stdout == "epoll\n"


def test_what_a_program_finds(both, program, tmp_path):
    program('"""Docs."""' + SHOW)
    program(SHOW, "folder/script.py")
    program(SHOW, "package/__main__.py")
    program("", "package/__init__.py")
    os.symlink("../program.py", tmp_path / "folder/link.py")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("__main__.py", SHOW)
    for arguments in (
        ["program.py", "-x", "y"],
        ["./program.py"],
        [str(tmp_path / "program.py")],
        ["folder/script.py", "-m"],
        ["folder/link.py"],
        ["-m", "program", "-c", "x"],
        ["-m", "folder.script"],
        ["-m", "package", "x"],
        ["package", "x"],
        ["./package"],
        ["archive.zip", "x"],
        ["-c", SHOW, "x", "-h"],
    ):
        assert both(*arguments).stdout
    assert both("program.py", options=["-P"]).stdout
    assert both("-c", SHOW, options=["-P"]).stdout


def test_compiled_program(both, program, tmp_path):
    program(SHOW)
    import py_compile

    py_compile.compile(str(tmp_path / "program.py"), cfile=str(tmp_path / "compiled.pyc"))
    assert both("compiled.pyc", "x").stdout


FAILURE = """
import asyncio

async def inner():
    raise {error}

async def main():
    await inner()

def begin():
    import asyncio.runners
    main_coroutine = main()
    try:
        main_coroutine.send(None)
    finally:
        main_coroutine.close()

begin()
"""


@pytest.mark.parametrize(
    "error",
    [
        "ValueError('wrong')",
        "SystemExit",
        "SystemExit(3)",
        "SystemExit('said')",
        "SystemExit(None)",
        "ExceptionGroup('several', [ValueError(1), KeyError(2)])",
        "LookupError from ValueError()",
    ],
)
def test_ends(both, program, error):
    program(FAILURE.format(error=error))
    both("program.py")
    both("-m", "program")
    both("-c", FAILURE.format(error=error))


def test_failure_in_the_loop(program, tmp_path):
    program("import asyncio\nasync def main():\n    1 / 0\nasyncio.run(main())\n")
    done = run("-m", "ringport", "program.py", cwd=tmp_path)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and lines[-1] == "ZeroDivisionError: division by zero"
    assert lines[1] == f'  File "{tmp_path}/program.py", line 4, in <module>'
    assert not any("__main__" in line or "signals.py" in line for line in lines)


def test_other_errors(both, program, tmp_path):
    program("def wrong(:\n")
    program("print(1)\n", "unreadable.py")
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.py").write_text("")
    assert both("program.py").returncode == 1
    assert both("-c", "def wrong(:").returncode == 1
    assert both("missing.py").returncode == 2
    assert both("-m", "missing").returncode == 1
    assert both("-m", "missing.module").returncode == 1
    assert both("empty").returncode == 1
    assert both("nothing.py").returncode == 0


def test_own_excepthook(both, program):
    program(
        "import sys, traceback\n"
        "def hook(kind, exception, tb):\n"
        "    print('hooked', kind.__name__, [f.name for f in traceback.extract_tb(tb)],\n"
        "          [f.name for f in traceback.extract_tb(exception.__traceback__)])\n"
        "sys.excepthook = hook\n"
        "def fail():\n"
        "    1 / 0\n"
        "fail()\n"
    )
    assert both("program.py").stdout == "hooked ZeroDivisionError ['<module>', 'fail'] ['<module>', 'fail']\n"


def test_pickles_of_main(both, program):
    program(
        "import pickle\nclass Thing:\n    pass\nif __name__ == '__main__':\n"
        "    print(type(pickle.loads(pickle.dumps(Thing()))) is Thing)\n"
    )
    assert both("program.py").stdout == "True\n"


@pytest.mark.parametrize("method", [pytest.param("fork", marks=pytest.mark.forks), "spawn", "forkserver"])
def test_multiprocessing(program, tmp_path, method):
    program(
        "import asyncio, multiprocessing, concurrent.futures\n"
        "def square(n):\n    return n * n\n"
        "async def main():\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:\n"
        "        print(await asyncio.get_running_loop().run_in_executor(pool, square, 7))\n"
        "if __name__ == '__main__':\n    asyncio.run(main())\n"
    )
    done = run("-m", "ringport", "program.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "49\n"), done.stderr


def test_interrupt(program, tmp_path):
    program(
        "import asyncio\nasync def main():\n    print('ready', flush=True)\n"
        "    try:\n        await asyncio.get_running_loop().create_future()\n"
        "    finally:\n        print('cleaned up', flush=True)\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "ringport", "program.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out == "cleaned up\n" and process.returncode == -signal.SIGINT
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert f'Traceback (most recent call last):\n  File "{tmp_path}/program.py", line 8, in <module>\n' in err
    assert "ringport/__main__.py" not in err


def test_own_options(tmp_path):
    assert run("-m", "ringport", "--version").stdout.startswith("ringport ")
    usage = run("-m", "ringport", "--help")
    assert usage.returncode == 0 and "python -m ringport" in usage.stdout
    assert run("-m", "ringport").returncode == 2
    for wrong in ["-m"], ["-c"], ["--wrong"]:
        done = run("-m", "ringport", *wrong)
        assert done.returncode == 2 and "usage:" in done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing(program, tmp_path, method):
    """Children, and theirs, are on the loop; what multiprocessing is otherwise stays the same."""
    text = LOOPS.partition("print")[0] + (
        "import importlib.util, multiprocessing\n"
        "def child(pipe, depth):\n"
        "    pipe.send(asyncio.run(kind()))\n"
        "    if depth:\n"
        "        start(pipe, depth - 1)\n"
        "def start(pipe, depth):\n"
        f"    process = multiprocessing.get_context({method!r}).Process(target=child, args=(pipe, depth))\n"
        "    process.start()\n"
        "    process.join()\n"
        "    assert process.exitcode == 0\n"
        "if __name__ == '__main__':\n"
        "    importlib.util.find_spec('multiprocessing.spawn')\n"  # who only looks for it changes nothing
        "    here, there = multiprocessing.Pipe()\n"
        "    start(there, 1)\n"
        "    spawn = importlib.import_module('multiprocessing.spawn')\n"
        "    print(here.recv(), here.recv(), type(spawn.__loader__).__name__, len(sys.meta_path))\n"
    )
    program(text)
    for arguments in ["program.py"], ["-m", "program"]:
        plain = run(*arguments, cwd=tmp_path)
        ours = run("-m", "ringport", *arguments, cwd=tmp_path)
        assert (plain.stderr, ours.stderr) == ("", "")
        assert ours.stdout == plain.stdout.replace("asyncio", "ringport")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_of_a_parent_that_is_elsewhere(program, tmp_path, method):
    """They are on the loop even if PYTHONPATH, by which alone ringport is found, leads nowhere from there."""
    import ringport

    program(
        "import asyncio, multiprocessing, os\n"
        "async def kind():\n"
        "    return type(asyncio.get_running_loop()).__module__\n"
        "def child(pipe):\n"
        "    pipe.send(asyncio.run(kind()))\n"
        "if __name__ == '__main__':\n"
        "    os.chdir('elsewhere')\n"
        "    here, there = multiprocessing.Pipe()\n"
        f"    process = multiprocessing.get_context({method!r}).Process(target=child, args=(there,))\n"
        "    process.start()\n"
        "    process.join()\n"
        "    print(process.exitcode, process.exitcode == 0 and here.recv())\n"
    )
    (tmp_path / "elsewhere").mkdir()
    folders = [os.path.dirname(os.path.dirname(ringport.__file__)), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    relative = os.pathsep.join(os.path.relpath(folder, tmp_path) for folder in folders if folder)
    command = [sys._base_executable, "-m", "ringport", "program.py"]  # of no virtual environment
    environment = {**os.environ, "PYTHONPATH": relative}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0 ringport.loop\n", "")


def test_without_policies(program, tmp_path):
    """As from Python 3.16 on."""
    program(
        "import sys, runpy\nimport asyncio, ringport.__main__ as main\n"
        "sys.version_info = (3, 16, 0, 'final', 0)\nmain.use_loop()\n"
        "loop = asyncio.new_event_loop()\nprint(type(loop).__module__)\nloop.close()\n"
    )
    assert run("program.py", cwd=tmp_path).stdout == "ringport.loop\n"
