#!/usr/bin/python3
"""check_windows.py LOG: after the tests on Windows, fails unless docs/windows.md lists what did not run, and no more.

LOG is Meson's testlog.json. What there is to run stands in the sources: tests/*/test_<program>.c has lines TEST(name)
or CO_TEST(name). What did not run stands in the table that begins with "| Program | Tests |"; there, `all` stands for
all tests of a program.
`check_windows.py --absent` looks at the sources alone: each TEST_ABSENT(name) in them is to be listed, and each test
that calls test_need_...(), as Wine lacks it. And each program test_real_<area> is to be in the table that begins with
"| Program | What it looks at |", as nothing else is.
`check_windows.py --self-test` proves that both can fail.
"""

import json
import pathlib
import re
import sys

TEST = re.compile(r"^(?:CO_)?TEST\((\w+)", re.M)
ABSENT = re.compile(r"^TEST_ABSENT\((\w+)", re.M)
NEEDING = re.compile(r"^(?:CO_)?TEST\((\w+).*\n\{\n(?:[^}\n].*\n|\n)*?    test_need_(?:real|unix)_\w+\b", re.M)
RAN = re.compile(r"^(?:ok|FAILED) (\w+)", re.M)
CODE = re.compile(r"`(\w+)`")


def listed(text, sources):
    """The (program, test) pairs that the table lists."""
    table = re.search(r"^\| Program \| Tests \|.*\n.*\n((?:\|.*\n)+)", text, re.M)
    rows = [row.split("|") for row in table[1].splitlines()]
    return {(program, test) for row in rows for program in CODE.findall(row[1])
            for test in (sources.get(program, ["all"]) if row[2].strip() == "all" else CODE.findall(row[2]))}


def ran(log):
    """The (program, test) pairs that ran. Meson has a name like "ringport:iocp / loop on iocp" for a program."""
    tests = [json.loads(line) for line in log.splitlines()]
    names = [re.search(r"/ (\w+)", test["name"])[1] for test in tests]
    return {(name, line) for name, test in zip(names, tests) for line in RAN.findall(test.get("stdout") or "")}


def mistakes(sources, log, text):
    everything = {(program, test) for program, tests in sources.items() for test in tests}
    run, absent = ran(log), listed(text, sources)
    for pair in sorted(everything - run - absent):
        yield "{}: {} did not run, and is not listed".format(*pair)
    for pair in sorted(absent & run):
        yield "{}: {} is listed, and ran".format(*pair)
    for pair in sorted(pair for pair in absent - everything if pair[1] != "all"):
        yield "{}: {} is listed, and does not exist".format(*pair)


def unlisted(absent, sources, text):
    """What is absent in the sources, and not in the table."""
    pairs = {(program, test) for program, tests in absent.items() for test in tests}
    for pair in sorted(pairs - listed(text, sources)):
        yield "{}: {} is absent, and not listed".format(*pair)


def real(text):
    """The programs of the suite real-windows, in the table of what each looks at."""
    table = re.search(r"^\| Program \| What it looks at \|\n.*\n((?:\|.*\n)+)", text, re.M)
    return {CODE.findall(row)[0] for row in table[1].splitlines()}


def self_test():
    needing = "TEST(a)\n{\n    int x;\n\n    test_need_real_windows(\"it\");\n}\n\nTEST(b)\n{\n    x();\n}\n"
    assert NEEDING.findall(needing) == ["a"]
    assert real("| Program | What it looks at |\n|---|---|\n| `real_x` | y |\n\n| `z` |\n") == {"real_x"}
    sources = {"x": ["a", "b"], "y": ["c"]}
    log = json.dumps({"name": "ringport:iocp / x on iocp", "stdout": "ok a (3 ms)\r\nskipped b: why\r\n"})
    table = "| Program | Tests | Why |\n|---|---|---|\n{}\n"
    good, wrong = "| `x` | `b` | it |\n| `y` | all | it |", "| `x` | `a`, `z` | it |"
    assert not list(mistakes(sources, log, table.format(good)))
    assert [line.split()[1] for line in mistakes(sources, log, table.format(wrong))] == ["b", "c", "a", "z"]
    assert not list(unlisted({"x": ["b"], "y": ["c"]}, sources, table.format(good)))
    assert [line.split()[1] for line in unlisted({"x": ["a", "b"]}, sources, table.format(wrong))] == ["b"]


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    root = pathlib.Path(__file__).resolve().parent.parent
    texts = {path.stem[len("test_"):]: path.read_text() for path in root.glob("tests/*/test_*.c*")}
    sources = {program: TEST.findall(text) for program, text in texts.items()}
    table = (root / "docs/windows.md").read_text()
    if sys.argv[1:] == ["--absent"]:
        found = list(unlisted({program: ABSENT.findall(text) + NEEDING.findall(text)
                               for program, text in texts.items()}, sources, table))
        programs = {program for program in texts if program.startswith("real_")}
        found += [f"{program}: in the sources or in the table of what it looks at, not in both"
                  for program in sorted(programs ^ real(table))]
    else:
        found = list(mistakes(sources, pathlib.Path(sys.argv[1]).read_text(), table))
    print(*found, "docs/windows.md lists what does not run there" + (": NO" if found else ""), sep="\n")
    return len(found) > 0


sys.exit(main())
