#!/usr/bin/python3
"""Fails if the sources use an extension of C that CONTRIBUTING.md does not list, or it lists one that they do not use.

The table there has in each row names of attributes and builtins, and the folders of src/ (or include) that use them.
`make check` compiles as C11, which refuses all other extensions of GNU; these are spelled so that it accepts them.

`check_extensions.py --self-test` proves that it can fail.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

COMMENT = re.compile(r"/\*.*?\*/", re.S)
ATTRIBUTES = re.compile(r"__attribute__\(\(((?:\w+|\((?:[^()]|\([^()]*\))*\)|[ ,])*)\)\)")
ARGUMENTS = re.compile(r"\((?:[^()]|\([^()]*\))*\)")
BUILTIN = re.compile(r"\b(__builtin_\w+|__asm__|__typeof__|__extension__|__declspec)\b")


def used(text):
    """The extensions in a file's text."""
    code = COMMENT.sub("", text)
    attributes = " ".join(ARGUMENTS.sub("", inside) for inside in ATTRIBUTES.findall(code))
    return {name.strip("_") for name in re.findall(r"\w+", attributes)} | set(BUILTIN.findall(code))


def listed(page):
    """The (name, folder) pairs of the table whose first column is called extension."""
    table = re.search(r"^\| extension \|.*\n\| -.*\n((?:\|.*\n)+)", page, re.M)
    for row in table[1].splitlines() if table else ():
        names, folders = (re.findall(r"`(\w+)`", cell) for cell in (row.split("|")[1], row.split("|")[-2]))
        yield from ((name, folder) for name in names for folder in folders)


def faults(files, page):
    """Yields a line for each difference; `files` are (folder, text)."""
    there = {(name, folder) for folder, text in files for name in used(text)}
    said = set(listed(page))
    yield from (f"{name} is used in {folder}, and is not in the table" for name, folder in sorted(there - said))
    yield from (f"{name} is in the table, and not used in {folder}" for name, folder in sorted(said - there))


def self_test():
    page = "| extension | why | where |\n| --- | --- | --- |\n| `cleanup`, `__builtin_x` | it | `base` |\n"
    files = [("base", "int a __attribute__((cleanup(f))) = __builtin_x(1); /* __builtin_y */\n")]
    assert list(faults(files, page)) == []
    assert used("__attribute__((__format__(printf, 1, 2), cold)) void f(int (*g)(void));") == {"format", "cold"}
    assert len(list(faults(files, page.replace("`cleanup`, ", "")))) == 1
    assert len(list(faults([("loop", files[0][1])], page))) == 4
    assert len(list(faults(files, page.replace("__builtin_x", "__builtin_y")))) == 2


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    files = [(path.parent.name if "src" in path.parts else "include", path.read_text())
             for folder in ("src", "include") for path in sorted((ROOT / folder).rglob("*.[chS]"))]
    found = list(faults(files, (ROOT / "CONTRIBUTING.md").read_text()))
    print("\n".join(found), end="\n" if found else "")
    return len(found) > 0


sys.exit(main())
