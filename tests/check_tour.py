#!/usr/bin/python3
"""Fails if docs/tour.md does not have the line of a file, or a journey passes a function that is not where it says.

Each file of src/ and python/src/ opens with a comment, "name - what it is.", and one of python/ringport/ with a docstring.
The first sentence of that is the file's line in the tour, below the heading of its folder. Each step of a journey, a
numbered line, names a function and its file, and in it "`function` (`folder/file.c`)" means that the function is defined
there.

`check_tour.py --print` prints the lines as they should be, `--write` puts them into the page.
`check_tour.py --self-test` proves that it can fail.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/tour.md"

LINE = re.compile(r"^- `[\w.]+`: .*\n", re.M)
STEP = re.compile(r"`(\w+)` \(`([\w./]+)`\)")


def first(paragraph):
    return re.split(r"(?<=[.:]) (?=[A-Z])", " ".join(paragraph.split()))[0].rstrip(".:") + "."


def sentence(name, text):
    """The first sentence of a file's opening comment, or docstring; None if it has no such opening."""
    if name.endswith(".py"):
        opening = re.match(r'"""(.*?)(?:\n\n|""")', text, re.S)
        return opening and opening[1][:1].lower() + first(opening[1])[1:]
    opening = re.match(r"/\*\n \* (.*?)\n \*/|/\* (.*?) \*/", text, re.S)
    if not opening:
        return None
    lines = re.sub(r"\n \* ?", "\n", opening[1] or opening[2])
    paragraph = lines.split("\n\n")[0].strip()
    return first(paragraph[len(f"{name} - "):]) if paragraph.startswith(f"{name} - ") else None


def lines_of(folder, faults):
    """The lines of a folder's files; what has none is added to the faults."""
    for path in sorted(folder.iterdir(), key=lambda path: (path.stem, path.suffix != ".h", path.suffix)):
        if path.suffix not in (".c", ".h", ".S", ".inc", ".py"):
            continue
        what = sentence(path.name, path.read_text())
        if what:
            yield f"- `{path.name}`: {what}\n"
        else:
            faults.append(f"{path.relative_to(ROOT)}: it does not open with a comment '{path.name} - what it is'")


def sections(page):
    """Each heading that names a folder, with the place of its text in the page."""
    heads = list(re.finditer(r"^#+ (.*)\n", page, re.M))
    for head, after in zip(heads, heads[1:] + [None]):
        name = re.search(r"`((?:src|include|python)/\w+)`", head[1])
        if name:
            yield name[1], head.end(), after.start() if after else len(page)


def with_lines(page, lines):
    """The page with the lines of each folder in place of those that it has; `lines` are texts by folder."""
    for folder, start, end in reversed(list(sections(page))):
        text = LINE.sub("", page[start:end]).rstrip("\n")
        page = f"{page[:start]}{text}\n\n{lines.get(folder, '')}\n{page[end:]}"
    return page.rstrip("\n") + "\n"


def table_faults(page, lines):
    """What the page has too much, or too little."""
    there = {folder: set(LINE.findall(page[start:end])) for folder, start, end in sections(page)}
    for folder in sorted(set(lines) | set(there)):
        should = set(LINE.findall(lines.get(folder, "")))
        yield from (f"docs/tour.md, {folder}, missing: {line.strip()}" for line in sorted(should - there.get(folder, set())))
        yield from (f"docs/tour.md, {folder}, no such file says: {line.strip()}"
                    for line in sorted(there.get(folder, set()) - should))


def journey_faults(page, source):
    """The steps whose function is not defined in its file; `source` has a file's text, or None."""
    for step in re.findall(r"^\d+\. (.*)", page, re.M):
        if not STEP.search(step):
            yield f"this step names no function and file: {step}"
    for function, path in STEP.findall(page):
        text = source(path)
        if text is None:
            yield f"{path} is not there"
        elif not re.search(rf"^(?:[\w].*\b{function}\([^;]*$|{function}:)", text, re.M):
            yield f"{function} is not defined in {path}"


def self_test():
    assert sentence("a.c", "/*\n * a.c - one: two\n * three. Four.\n *\n * More.\n */\n") == "one: two three."
    assert sentence("a.c", "/* a.c - one. */\n") == "one."
    assert sentence("a.py", '"""One: two\nthree. Four.\n\nMore."""\n') == "one: two three."
    assert sentence("a.py", '"""One."""\nimport x\n') == "one."
    assert sentence("a.py", "import x\n") is None
    assert sentence("b.c", "/* a.c - one. */\n") is None
    assert sentence("a.c", "int a;\n") is None
    page = "# T\n\n## `src/a`\n\nIt.\n\n- `x.c`: old.\n\n## Journeys\n\n1. `f` (`a/x.c`): does.\n"
    lines = {"src/a": "- `x.c`: new.\n- `y.c`: more.\n"}
    assert len(list(table_faults(page, lines))) == 3
    assert list(table_faults(with_lines(page, lines), lines)) == []
    assert len(list(table_faults(page, {"src/a": "- `x.c`: old.\n", "src/b": "- `z.c`: z.\n"}))) == 1
    assert list(journey_faults(page, {"a/x.c": "static int f(int a)\n{\n"}.get)) == []
    assert len(list(journey_faults(page, {"a/x.c": "int f(int a);\n    f(1)\n"}.get))) == 1
    assert len(list(journey_faults(page, {}.get))) == 1
    assert len(list(journey_faults("1. `f` does.\n", {}.get))) == 1


def source_of(path):
    file = ROOT / "src" / path
    return file.read_text() if file.is_file() else None


def main():
    self_test()
    faults = []
    folders = [*sorted((ROOT / "src").iterdir()), ROOT / "include/ringport", ROOT / "python/src", ROOT / "python/ringport"]
    lines = {str(folder.relative_to(ROOT)): "".join(lines_of(folder, faults)) for folder in folders}
    if sys.argv[1:] == ["--self-test"]:
        return 0
    if sys.argv[1:] == ["--print"]:
        print("\n".join(f"### `{folder}`\n\n{text}" for folder, text in lines.items()))
        return 0
    page = PAGE.read_text()
    if sys.argv[1:] == ["--write"]:
        page = with_lines(page, lines)
        PAGE.write_text(page)
    faults += [*table_faults(page, lines), *journey_faults(page, source_of)]
    print("\n".join(faults), end="\n" if faults else "")
    return len(faults) > 0


sys.exit(main())
