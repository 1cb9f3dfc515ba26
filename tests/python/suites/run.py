"""run.py SUITE [MODULE...] [--reference]: tests that others wrote of an event loop, on ringport's loop.

SUITE is cpython or uvloop: SUITE_suite.py says where its tests are, and how they get our loop. Each module runs in a process
of its own (child.py); a test that ends its process has failed, and the rest goes on in another one.

What does not pass is named in SUITE.txt, with the reason. There, an entry that passes, or of which there is no test, is a
failure too. Tests that make no loop of ours are counted apart: they say nothing about us.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import fnmatch
import importlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def modules(suite, source):
    """The modules of the suite, the longest first."""
    return sorted(suite.modules(source), key=lambda name: (suite.LONGEST + (name,)).index(name))


class Excused:
    """An entry of a list: a name or a pattern of names, and the versions that it is about, as in ">=3.12 <3.14"."""

    FORM = re.compile(r"(but |hangs: )?([\w.*]+)((?: (?:<|>=)3\.\d+)*)$")

    def __init__(self, line, reason, where):
        self.kind, self.pattern, self.bounds = self.FORM.match(line).groups()
        self.reason = reason
        self.where = where
        self.met = False

    def applies(self):
        minor = sys.version_info.minor
        bounds = re.findall(r"(<|>=)3\.(\d+)", self.bounds)
        return all((minor < int(bound)) == (relation == "<") for relation, bound in bounds)

    def matches(self, name):
        return fnmatch.fnmatchcase(name, self.pattern)


def excused(lists):
    """What the lists name for this version.

    A paragraph is a reason, as a comment, and the tests: all but some, perhaps; some would hang.
    """
    entries = []
    for name in lists:
        reason = ""
        for number, line in enumerate((HERE / name).read_text().splitlines(), 1):
            if line.startswith("#"):
                reason = line[1:].strip()
            elif line.strip():
                entry = Excused(line.strip(), reason, f"{name}:{number}")
                if not entry.reason:
                    sys.exit(f"{entry.where}: no reason is given")
                entries.append(entry)
            else:
                reason = ""
    return [entry for entry in entries if entry.applies()]


def run_module(module, entries, options):
    """The outcomes of a module's tests: {name: {outcome, why, loops}}."""
    outcomes = {}
    missing = None  # names of tests whose outcome is not known yet; None: all
    while missing is None or missing:
        with tempfile.TemporaryDirectory() as directory:
            wanted = pathlib.Path(directory) / "wanted"
            left_out = ["-" + entry.pattern for entry in entries if entry.kind == "hangs: "]
            wanted.write_text("\n".join((missing or []) + left_out))
            begun, known = None, len(outcomes)
            for told, printed in run_child(module, wanted, directory, options):
                if "tests" in told:
                    missing = told["tests"]
                    for entry in entries:
                        if entry.kind == "hangs: " and entry.pattern in missing:
                            missing.remove(entry.pattern)
                            outcomes[entry.pattern] = {"outcome": "failed", "why": "is not run"}
                elif "begun" in told:
                    begun = told["begun"]
                elif "test" in told:
                    outcomes[told.pop("test")] = told
                    begun = None
                elif "whole" in told:
                    outcomes[f"{module}: {told.pop('whole')}"] = told
                elif "ended" in told:
                    missing = []
                elif "died" in told:
                    why = told["died"] + printed
                    outcomes[begun or module] = {"outcome": "failed", "loops": 1, "why": why}
            missing = [name for name in missing or [] if name not in outcomes]
            if len(outcomes) == known:
                break
    return outcomes


def run_child(module, wanted, directory, options):
    """What a child tells, each time with what it has printed by then if that matters."""
    reader, writer = os.pipe()
    with tempfile.TemporaryFile("w+") as printed, open(reader) as report:
        command = [sys.executable, HERE / "child.py", options.suite, module, str(writer), wanted]
        child = subprocess.Popen(
            command + ["--reference"] * options.reference, pass_fds=[writer], cwd=directory, env=environment(options),
            stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        os.close(writer)
        threading.Thread(target=end_session, args=[child]).start()
        ended = False
        for line in report:
            told = json.loads(line)
            ended = ended or "ended" in told
            yield told, ""
        status = child.wait()
        if not ended:
            printed.seek(0)
            yield {"died": f"the process ended with status {status}\n"}, "".join(printed.readlines()[-60:])


def environment(options):
    """Ours, and what leads to a suite that is not installed."""
    added = {"PYTHONPATH": str(options.source.resolve())} if options.source else {}
    return os.environ | added | ({"RINGPORT_REFERENCE": "1"} if options.reference else {})


def end_session(child):
    """Ends what a child leaves: it would keep the report open for as long as it runs."""
    child.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def refused():
    """Why the backend that is asked for cannot be had on this machine, or None."""
    if os.environ.get("RINGPORT_PROACTOR") != "io_uring":
        return None
    asked = subprocess.run([ROOT / "scripts/io-uring-permitted"], stdout=subprocess.PIPE, text=True)
    return asked.stdout.strip() if asked.returncode else None


def judge(outcomes, entries, verbose):
    """Prints what is wrong, and returns how many tests passed, failed, were skipped, and made no loop of ours."""
    counts = collections.Counter()
    for name, what in sorted(outcomes.items()):
        matching = [entry for entry in entries if entry.matches(name)]
        entry = None if any(entry.kind == "but " for entry in matching) else next(iter(matching), None)
        outcome = what["outcome"]
        for one in matching:
            one.met = True
        if entry and outcome == "passed":
            counts["failed"] += 1
            print(f"FAILED {name}: passes, although {entry.where} says: {entry.reason}")
        elif entry:
            counts["skipped"] += 1
        elif outcome == "skipped":
            counts["failed"] += 1
            print(f"FAILED {name}: skips itself here: {what['why']}")
        elif outcome == "failed":
            counts["failed"] += 1
            print(f"FAILED {name} ({what.get('loops', 0)} loops of ours)")
            if verbose:
                print("    " + what["why"].replace("\n", "\n    "))
        elif outcome == "passed":
            counts["passed" if what.get("loops") else "elsewhere"] += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", choices=["cpython", "uvloop"])
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--source", type=pathlib.Path, help="where the suite is, if it is not installed")
    parser.add_argument("--reference", action="store_true", help="asyncio's own loop, to see what passes there")
    parser.add_argument("-v", "--verbose", action="store_true", help="print why a test has failed")
    parser.add_argument("-k", metavar="PATTERN", help="judge only tests whose name matches")
    parser.add_argument("-j", type=int, default=os.cpu_count(), help="how many processes at a time")
    parser.add_argument("--json", type=pathlib.Path, help="write all outcomes to this file")
    arguments = parser.parse_intermixed_args()
    if why := refused():
        print(f"no io_uring here: {why}\n# 0 passed, 0 failed, 1 skipped")
        return 0
    suite = importlib.import_module(f"{arguments.suite}_suite")
    chosen = arguments.modules or modules(suite, arguments.source)
    entries = [] if arguments.reference else excused(suite.LISTS)
    outcomes = {}
    with concurrent.futures.ThreadPoolExecutor(arguments.j) as pool:
        for result in pool.map(lambda module: run_module(module, entries, arguments), chosen):
            outcomes.update(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(outcomes, indent=1))
    if arguments.k:
        outcomes = {name: what for name, what in outcomes.items() if fnmatch.fnmatchcase(name, f"*{arguments.k}*")}
    counts = judge(outcomes, entries, arguments.verbose)
    for entry in entries:
        if not entry.met and not arguments.k and entry.pattern.partition(".")[0] in chosen:
            counts["failed"] += 1
            print(f"FAILED {entry.where}: there is no test {entry.pattern}")
    print(f"{counts['elsewhere']} more passed that make no loop of ours")
    print("# {passed} passed, {failed} failed, {skipped} skipped".format_map(collections.defaultdict(int, counts)))
    return counts["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
