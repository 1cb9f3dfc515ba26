"""run.py [ROW...] [--reduced] [--write] [--check]: programs and libraries of others on ringport's loop, unchanged.

A row is a file test_ROW.py, or a library's own suite (suites.py). It runs on each backend, in a session of its own,
of which nothing is left afterwards. A case may fail only if it fails on asyncio's own loop too: a whole run has that
beside it, a reduced one, CI's, runs it for the rows in which a case has failed. A row of which no case passes has
failed as a whole, and nothing excuses that. One with MAY_SKIP may skip all of its cases where what it needs is not
permitted.

--write puts what came out into docs/compatibility.md. --check only tells whether that page has all rows, in the
versions that requirements.txt pins. The last line is the sum: "N passed, N failed, N skipped".
"""

import argparse
import ast
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

import suites

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs/compatibility.md"
BACKENDS = "epoll", "io_uring"
PATIENCE = 900  # seconds, for hangs alone; a third of it for a reduced run
GRACE = 60  # seconds, then, for it to end the servers that it has started
WHOLE = "the row as a whole"
TABLE = re.compile(r"(?<=\n)\| program \|.*?\n(?!\|)", re.S)


class Row:
    """What is to be run: its command, and what the page says of it."""

    def __init__(self, path):
        tree = ast.parse(path.read_text())
        told = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }

        def listed(name):
            return ast.literal_eval(told[name]) if name in told else []

        self.name = path.stem.removeprefix("test_")
        self.what = ast.get_docstring(tree).splitlines()[0].rstrip(".")
        self.packages = listed("PACKAGES")
        self.servers = listed("SERVERS")
        self.may_skip = bool(listed("MAY_SKIP"))
        plugins = [word for plugin in listed("PLUGINS") for word in ("-p", plugin)]
        self.arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-rs", *plugins, str(path)]
        self.differs = {}

    def command(self, ours, report):
        return [sys.executable, *["-m", "ringport"] * ours, *self.arguments, f"--junitxml={report}"]

    def versions(self, pins):
        """What it runs, in which versions."""
        packages = [f"{name} {pins[normal(name)]}" for name in self.packages]
        return ", ".join(packages + [debian(name) for name in self.servers])


class Suite(Row):
    """A row of suites.py, which starts the suite by itself."""

    def __init__(self, suite):
        self.name = f"suite_{suite.name}"
        self.what = suite.what
        self.packages = [] if suite.debian else [suite.package]
        self.servers = []
        self.may_skip = False
        self.suite = suite
        self.arguments = [str(HERE / "suites.py"), suite.name]
        self.differs = suite.differs

    def command(self, ours, report):
        return [sys.executable, *self.arguments, f"--junit={report}"]

    def versions(self, pins):
        return f"{self.suite.package} {suites.version(self.suite)}"


class Outcome:
    """How a row did on one loop: its cases by name, and what was printed."""

    def __init__(self, cases, printed, took):
        self.cases = cases
        self.printed = printed
        self.took = took

    def names(self, result):
        return {name for name, found in self.cases.items() if found == result}

    def __str__(self):
        return ", ".join(f"{len(self.names(result))} {result}" for result in ("passed", "failed", "skipped"))


def normal(name):
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", re.sub(r"\[.*", "", name)).lower()


def pinned():
    """The versions of requirements.txt."""
    lines = (HERE / "requirements.txt").read_text().splitlines()
    return {normal(name): version for name, _, version in (line.partition("==") for line in lines) if version}


def debian(package):
    """A package of Debian's and the version of its program, without Debian's own count."""
    command = ["dpkg-query", "-W", "-f", "${Version}", package]
    version = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return f"{package} {re.sub(r'^[0-9]+:|[-+~].*', '', version)}"


def rows(names=()):
    """All rows, or those that are named."""
    found = [Row(path) for path in sorted(HERE.glob("test_*.py"))] + [Suite(suite) for suite in suites.SUITES]
    if unknown := set(names) - {row.name for row in found}:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}")
    return [row for row in found if not names or row.name in names]


def longest_first(chosen):
    """Libraries' own suites are longest: begun last, one would run alone at the end."""
    return sorted(chosen, key=lambda row: not isinstance(row, Suite))


def refused(backend):
    """Why this backend cannot be had on this machine, or None."""
    if backend != "io_uring":
        return None
    asked = subprocess.run([ROOT / "scripts/io-uring-permitted"], stdout=subprocess.PIPE, text=True)
    return asked.stdout.strip() if asked.returncode else None


def run(row, loop, reduced):
    """Runs a row on a backend, or on "asyncio"."""
    ours = loop != "asyncio"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch, tempfile.TemporaryFile("w+") as printed:
        report = pathlib.Path(scratch) / "report.xml"
        environment = {
            **os.environ,
            "WORLD_LOOP": "ringport" if ours else "asyncio",
            "WORLD_REDUCED": "1" if reduced else "0",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "TMPDIR": scratch,
        } | ({"RINGPORT_PROACTOR": loop} if ours else {})
        begun = time.monotonic()
        child = subprocess.Popen(
            row.command(ours, report), env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=printed,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        # Servers have sessions of their own: only the row itself, interrupted, ends them.
        for patience, ending in (PATIENCE / 3 if reduced else PATIENCE, signal.SIGINT), (GRACE, signal.SIGKILL):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(patience)
                break
            end(child, ending)
        status = child.wait()
        end(child, signal.SIGKILL)
        printed.seek(0)
        cases = read_report(report) if report.exists() else {}
        results = set(cases.values())
        if status not in (0, 1) or not ("passed" in results or row.may_skip and results == {"skipped"}):
            cases[WHOLE] = "failed"
        for name in row.differs.keys() & cases.keys() if ours else ():
            cases[name] = "different" if cases[name] == "failed" else "failed"  # the list is to be true
        return Outcome(cases, f"exit status {status}\n{printed.read()}", time.monotonic() - begun)


def end(child, how):
    """Has a signal end what is left of a session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, how)


def read_report(path):
    """The cases of a JUnit file. One that fails in its clean-up as well stands there twice."""
    cases = {}
    for case in xml.parse(path).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {element.tag for element in case}
        result = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        if cases.get(name) != "failed":
            cases[name] = result
    return cases


def run_row(row, backends, reduced):
    """The outcomes of a row by loop."""
    outcomes = {backend: run(row, backend, reduced) for backend in backends}
    if not reduced or any(outcome.names("failed") for outcome in outcomes.values()):
        outcomes["asyncio"] = run(row, "asyncio", reduced)
    return outcomes


def report(row, outcomes):
    """Prints how a row did, and adds up: passed, failed, skipped. What asyncio's loop fails too has not failed."""
    totals = [0, 0, 0]
    excused = outcomes["asyncio"].names("failed") - {WHOLE} if "asyncio" in outcomes else set()
    for loop, outcome in outcomes.items():
        print(f"{row.name} on {loop}: {outcome} ({outcome.took:.0f} s)")
        if loop == "asyncio":
            continue
        failed = outcome.names("failed") - excused
        for name in sorted(outcome.names("different")):
            print(f"  differs from asyncio: {name}: {row.differs[name]}")
        for name in sorted(outcome.names("failed")):
            print(f"  {'FAILED' if name in failed else 'fails on asyncio too:'} {name}")
        if failed or not outcome.names("passed"):
            print(outcome.printed)
        passed, skipped = len(outcome.names("passed")), len(outcome.names("skipped"))
        totals = [total + more for total, more in zip(totals, (passed, len(failed), skipped))]
    sys.stdout.flush()
    return totals


def cell(outcome, reference):
    """An outcome in the page: "12 of 12", and what fails on asyncio's loop too."""
    passed = len(outcome.names("passed"))
    count = passed + len(outcome.names("failed") | outcome.names("different"))
    both = len(outcome.names("failed") & reference.names("failed"))
    return f"{passed} of {count}" + (f" ({both} fail on both)" if both and outcome is not reference else "")


def write(results):
    """Puts a line a row into the page's table."""
    lines = ["| program | what was run | io_uring | epoll | asyncio |", "| --- | --- | --- | --- | --- |"]
    pins = pinned()
    for row, outcomes in results:
        cells = [cell(outcomes[loop], outcomes["asyncio"]) for loop in ("io_uring", "epoll", "asyncio")]
        lines.append(f"| {row.versions(pins)} | {row.what} | {' | '.join(cells)} |")
    PAGE.write_text(TABLE.sub(lambda _: "\n".join(lines) + "\n", PAGE.read_text()))


def check():
    """Whether the page has a line for each row, with what it runs."""
    pins = pinned()
    page = PAGE.read_text()
    missing = []
    for row in rows():
        named = [name for name in row.packages if normal(name) not in pins]
        if named:
            missing.append(f"{row.name}: not pinned in requirements.txt: {', '.join(named)}")
        elif not any(
            all(f"{name} {pins[normal(name)]}" in line for name in row.packages) and row.what in line
            for line in page.splitlines()
        ):
            missing.append(f"{row.name}: no such line in {PAGE.name}, or other versions: make world WRITE=1")
    print("\n".join(missing))
    return bool(missing)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*")
    parser.add_argument("--reduced", action="store_true", help="as CI runs it")
    parser.add_argument("--write", action="store_true", help="put the outcomes into the page")
    parser.add_argument("--check", action="store_true", help="only compare the page with the rows and their pins")
    options = parser.parse_args()
    if options.check:
        return check()
    if options.write and (options.reduced or options.rows):
        sys.exit("the page is about all rows, whole")

    totals = [0, 0, 0]
    backends = []
    for backend in BACKENDS:
        if why := refused(backend):
            print(f"{backend} is skipped: {why}")
            totals[2] += 1
        else:
            backends.append(backend)
    chosen = rows(options.rows)
    results = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        order = longest_first(chosen)
        for row, outcomes in zip(order, pool.map(lambda row: run_row(row, backends, options.reduced), order)):
            totals = [total + more for total, more in zip(totals, report(row, outcomes))]
            results[row] = outcomes
    if options.write:
        write((row, results[row]) for row in chosen)
    print("{} passed, {} failed, {} skipped".format(*totals))
    return totals[1] > 0


if __name__ == "__main__":
    sys.exit(main())
