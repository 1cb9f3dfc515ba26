"""Whom Python's face is measured against, each in an environment of its own, with the versions that are named here.

They are for one interpreter: the one that $PYTHON names, or Debian's. What cannot be installed is left out.
"""

import os
import pathlib
import subprocess
import typing

from measure import Failed, Ours, Peer

PYTHON = os.environ.get("PYTHON", "/usr/bin/python3")
PROGRAMS = pathlib.Path(__file__).resolve().parent / "python"
PINS = {
    "asyncio": (),
    "uvloop": ("uvloop==0.23.0",),
    "rsloop": ("rsloop==0.1.66",),
    "rloop": ("rloop==0.5.0",),
    "aiofastnet": ("aiofastnet==1.2.0", "uvloop==0.23.0"),
}
BUILD = ("meson-python", "meson", "ninja")
# rsloop is in PyPI as Rust's source only, for a nightly compiler of its own date: another nightly one wants to be told.
RUST = {"RUSTUP_TOOLCHAIN": "nightly", "RUSTFLAGS": "-Zcrate-attr=feature(allocator_api)"}
BACKENDS = {"rsloop": "io_uring"}  # of the others it is epoll
ASYNCIO, UVLOOP, AIOFASTNET = (Peer(name, "epoll") for name in ("asyncio", "uvloop", "aiofastnet"))


class Contestant(typing.NamedTuple):
    """A loop, and the interpreter of the environment that it is in."""

    name: str
    python: str
    version: str

    def program(self, what):
        """A program of bench/python, for the one that starts it."""
        return str(PROGRAMS / what)

    def log(self):
        """A file for its complaints."""
        return pathlib.Path(self.python).parents[2].joinpath(f"{self.name}.log").open("a", encoding="utf-8")


def output_of(command, limit=60, **options):
    """What a command prints, without the last line's end."""
    done = subprocess.run(command, text=True, capture_output=True, timeout=limit, check=False, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


def home():
    """The directory of the interpreter's environments."""
    version = output_of([PYTHON, "-c", "import platform; print(platform.python_version())"])
    return pathlib.Path("build").resolve() / "bench-python" / version


def pip(environment, *arguments, limit=1800):
    """Installs something."""
    command = [environment / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    output_of([*command, *arguments], limit, env=os.environ | RUST)


def environment_of(name, pins):
    """The environment with these packages; it is made once, and so is a failure. None: it failed."""
    directory = home() / name
    stamp = directory / "pins"
    wanted = " ".join(pins)
    if not stamp.exists() or stamp.read_text().removeprefix("failed ") != wanted:
        print(f"installing {wanted or name} ...", flush=True)
        output_of([PYTHON, "-m", "venv", "--clear", directory])
        try:
            if pins:
                pip(directory, *pins)
            stamp.write_text(wanted)
        except (Failed, subprocess.TimeoutExpired) as error:
            (directory / "error").write_text(str(error))
            stamp.write_text(f"failed {wanted}")
    return None if stamp.read_text().startswith("failed ") else directory


def install_ringport(directory):
    """ringport as `pip install .` makes it, from the tree as it is, in an environment that has BUILD."""
    pip(directory, "--no-deps", "--no-build-isolation", "--force-reinstall",
        f"--config-settings=build-dir={home() / 'ringport-build'}-{directory.name}", ".")


def ringport_environment():
    """The environment of ringport alone."""
    directory = environment_of("ringport", BUILD)
    if directory:
        install_ringport(directory)
    return directory


def contestants(backends, peers=tuple(PINS)):
    """Who takes part: ringport on these backends, and those of these peers that are there."""
    found = {}
    if (ours := ringport_environment()):
        python = str(ours / "bin/python")
        version = output_of([python, PROGRAMS / "loops.py", "ringport"])
        found |= {Ours(backend): Contestant("ringport", python, version) for backend in backends}
    wanted = os.environ.get("RINGPORT_BENCH_PEERS")
    for name in peers:
        if name != "asyncio" and wanted is not None and name not in wanted.split():
            continue
        directory = environment_of(name, PINS[name])
        if not directory:
            print(f"{name} could not be installed, and is left out: {home() / name / 'error'} says why")
            continue
        python = str(directory / "bin/python")
        version = output_of([python, PROGRAMS / "loops.py", name])
        found[Peer(name, BACKENDS.get(name, "epoll"))] = Contestant(name, python, version)
    return found
