"""python -m ringport program.py: a program that knows nothing of ringport runs on its loop.

The program finds everything as it would without: __main__, sys.argv, sys.path, and what ends it. A traceback begins with
the program's own frames, as the interpreter's does.
"""

import builtins
import importlib.util
import io
import linecache
import marshal
import os
import pkgutil
import runpy
import sys
import types
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader

from . import __version__
from .everywhere import use_loop

USAGE = """\
usage: python -m ringport program [arguments]
       python -m ringport -m module [arguments]
       python -m ringport -c code [arguments]

Runs a program, which is a file, a directory or a zip archive, on ringport's event loop: asyncio.run(),
asyncio.new_event_loop() and the like make ringport's loops. So they do in processes that multiprocessing starts.

A program of - is read from standard input.
RINGPORT_PROACTOR=epoll or =io_uring in the environment chooses the backend.
"""


def new_main(**attributes):
    """A __main__ for the program, which takes the place of ours."""
    main = types.ModuleType("__main__")
    main.__dict__.update({"__builtins__": builtins, "__annotations__": {}, **attributes})
    sys.modules["__main__"] = main
    return main.__dict__


def begin(argv, path):
    """Set sys.argv, and sys.path[0] unless Python was told to leave it out."""
    sys.argv[:] = argv
    if path is not None and not sys.flags.safe_path:
        sys.path[0] = path


def run_file(name, arguments):
    path = os.path.join(os.getcwd(), name)
    begin([name, *arguments], os.path.dirname(os.path.realpath(name)))
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        sys.stderr.write(f"{sys.executable}: can't open file {path!r}: [Errno {error.errno}] {error.strerror}\n")
        sys.exit(2)
    compiled = source[:4] == importlib.util.MAGIC_NUMBER
    loader = (SourcelessFileLoader if compiled else SourceFileLoader)("__main__", path)
    main = new_main(__file__=path, __cached__=None, __loader__=loader)
    exec(marshal.loads(source[16:]) if compiled else compile(source, path, "exec", dont_inherit=True), main)


def run_text(text, name, argv):
    begin(argv, "")
    if sys.version_info >= (3, 13):  # tracebacks show its lines
        linecache.cache[name] = len(text), None, [line + "\n" for line in text.splitlines()], name
    exec(compile(text, name, "exec", dont_inherit=True), new_main(__loader__=BuiltinImporter))


def run_module(name, argv, path=None):
    """As the interpreter does it: runpy runs the module in the __main__ that it finds."""
    begin(argv, path)
    new_main()
    runpy._run_module_as_main(name, alter_argv=path is None)


def run_program(arguments):
    """Run what the command line says."""
    what, *rest = arguments or ["--help"]
    if what in ("-h", "--help"):
        print(USAGE, end="")
        sys.exit(0 if arguments else 2)
    elif what in ("-V", "--version"):
        print("ringport", __version__)
    elif what in ("-m", "-c") and not rest:
        sys.stderr.write(f"Argument expected for the {what} option\n{USAGE}")
        sys.exit(2)
    elif what == "-m":
        run_module(rest[0], ["-m", *rest[1:]])
    elif what == "-c":
        run_text(rest[0], "<string>", ["-c", *rest[1:]])
    elif what == "-":
        run_text(sys.stdin.read(), "<stdin>", ["-", *rest])
    elif what.startswith("-"):
        sys.stderr.write(f"unknown option {what}\n{USAGE}")
        sys.exit(2)
    elif pkgutil.get_importer(what):
        run_module("__main__", [what, *rest], os.path.join(os.getcwd(), what))
    else:
        run_file(what, rest)


def hide_own_frames(hook):
    """A sys.excepthook that leaves out the frames above the program's."""

    def excepthook(kind, exception, traceback):
        sys.excepthook = hook
        frame = traceback
        while frame:
            if frame.tb_frame.f_code.co_filename == __file__:
                traceback = frame.tb_next
            frame = frame.tb_next
        exception.__traceback__ = sys.last_traceback = traceback
        hook(kind, exception, traceback)

    return excepthook


def main():
    use_loop()
    try:
        run_program(sys.argv[1:])
    except SystemExit:
        raise
    except BaseException:
        sys.excepthook = hide_own_frames(sys.excepthook)
        raise


if __name__ == "__main__":
    main()
