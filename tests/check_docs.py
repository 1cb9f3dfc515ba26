#!/usr/bin/python3
"""Fails if a public name has no comment, or a page of documentation says what is not so.

A function, type, macro or constant of include/ is documented by a comment directly above it, or above the group that it
stands in: lines that follow each other without a blank one. Members of a struct or an enum are not asked for theirs.

The comment of a function has this form, each part on lines of its own:

    What it does; who owns what, units, limits: a line for each fact.
    Suspends until ... | Never suspends.    (at one place or another, if the function takes a coroutine)
    Any thread. | Main thread only.         (unless it is for the loop's thread)
    Errors: -ENOMEM, RP_ECLOSED.            (or a list, "Errors:" and a line for each, with its reason)
    Mirrors loop.name().

An error that is listed without a reason has one at the head of its header, where those stand that mean the same for all.
A sentence that needs more than one line has these lines for itself.

Of the pages: each name of ringport's is in the headers, and each file and relative link is there. docs/libuv-map.md names
each function of libuv's, if uv.h is installed. docs/migration.md shows code of the programs that it links to.
docs/coverage.md names functions that stand in the files it says. README.md names each package that
scripts/install-packages installs, and examples/README.md each example.

`check_docs.py --self-test` proves that it can fail.
"""

import itertools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
UV = pathlib.Path("/usr/include/uv.h")

NAME = [
    re.compile(r"^\s*#\s*define\s+(?!rp_)(\w+)"),  # a function's name, in python.h, has its comment elsewhere
    re.compile(r"^RP_API\b[^;(]*?\b(\w+)\s*\("),
    re.compile(r"^typedef\s+(?:struct|enum|union)\s+(\w+)"),
    re.compile(r"^typedef\b[^;(]*?\b(\w+)\s*[(;]"),
    re.compile(r"^(?:struct|enum|union)\s+(\w+)\s*\{"),
    re.compile(r"^(enum) \{"),
]

MIRRORS = re.compile(r"\b[Mm]irrors?\b")

HEADING = re.compile(r"^/\* ---- .* ---- \*/$")

ERROR = re.compile(r"(?<![\w-])-?((?:RP_)?E[A-Z0-9][A-Z0-9_]+)\b")
FALLIBLE = re.compile(r"^RP_API (?:int|int64_t|ssize_t|rp_fd) \w+\(", re.M)


def blocks(lines):
    """Yields the (first line's number, lines) of each top-level group; a blank line within braces does not end one."""
    block, start, depth = [], 0, 0
    for number, line in enumerate(lines, 1):
        if not line.strip() and depth == 0:
            if block:
                yield start, block
            block = []
            continue
        if not block:
            start = number
        block.append(line)
        code = re.sub(r'/\*.*?\*/|".*?"', "", line)
        depth = max(0, depth + code.count("{") - code.count("}")) if 'extern "C"' not in line else depth
    if block:
        yield start, block


def names(block):
    """The public names that a group declares at its top level."""
    depth = 0
    for offset, line in enumerate(block):
        if depth == 0:
            for pattern in NAME:
                match = pattern.match(line)
                if match:
                    yield offset, match[1]
                    break
        depth = max(0, depth + line.count("{") - line.count("}"))


def ends_comment(line):
    """Whether a comment that stands on lines of its own ends here; a heading is none."""
    return line.startswith(("/*", " *")) and line.endswith("*/") and not HEADING.match(line)


def undocumented(text):
    """Yields (line number, name) for each public name without a comment."""
    lines = text.splitlines()
    guard = re.search(r"^#ifndef (\w+)\n#define \1$", text, re.M)
    for start, block in blocks(lines):
        for offset, name in names(block):
            if not any(map(ends_comment, block[:offset])) and not (guard and name == guard[1]):
                yield start + offset, name


def comments(text):
    """Yields (name, comment) for each public name: the comment of its group."""
    for _, block in blocks(text.splitlines()):
        comment = []
        for offset, name in names(block):
            comment = [line for line in block[:offset] if line.startswith(("/*", " *"))] or comment
            yield name, "\n".join(comment)


# ---- the form of a function's comment ----

def sentences(comment):
    """The lines of a comment without its marks."""
    text = re.sub(r"^/\*|\*/$", "", comment.strip())
    return [re.sub(r"^ \* ?", "", line).rstrip() for line in text.splitlines() if line.strip(" *")]


def error_names():
    """Every name of an error: the C library's, and ringport's own."""
    table = (ROOT / "src/base/errors.inc").read_text() + (ROOT / "include/ringport/error.h").read_text()
    return set(re.findall(r"^ROW\((E\w+)", table, re.M)) | set(re.findall(r"X\((RP_E\w+)", table)) | {"RP_EAI_", "RP_ETLS_"}


def error_list(lines):
    """What a comment says of errors: the line that begins it, and those of its list."""
    for at, line in enumerate(lines):
        if re.match(r"Errors\b[^:]*:", line):
            return at, [item for item in itertools.takewhile(lambda item: item.startswith("  "), lines[at + 1:])]
    return None, []


def without_reason(line, items):
    """The errors that a list only names."""
    if not items and re.search(r": *(-E|RP_E)", line):
        yield from ERROR.findall(line.split(":", 1)[1])
    for item in items:
        if re.fullmatch(r"  ((-E|RP_E)\w+(, |$))+", item):
            yield from ERROR.findall(item)


def form_faults(comment, declarations, explained, known):
    """What is wrong with the comment of functions; `explained` are the errors that the header's head explains."""
    lines = sentences(comment) if "\n" in comment else [sentences(comment)[0].strip()]
    text = re.sub(r'".*?"', "", " ".join(lines))
    at, items = error_list(lines)
    for name in ERROR.findall(text):
        if name not in known:
            yield f"there is no error {name}"
    if at is None and FALLIBLE.search(declarations) and not re.search(r"[Nn]ever fails?\b", text):
        if not re.match(r"(The|How|Which|Whether|What|Its)\b", text.strip()):
            yield "its errors are not listed, nor does it say that it never fails"
    if re.search(r"\(rp_co \*co\b", declarations) and not re.search(r"\b[Ss]uspends?\b", text):
        yield "it does not say whether it suspends"
    if at is not None:
        yield from (f"{name} has no reason, neither here nor at the head" for name in without_reason(lines[at], items)
                    if name not in explained)
        if not items and lines[at].endswith(":"):
            yield "its list of errors is empty"
        for line in lines[at + 1 + len(items):]:
            if not re.match(r"(Mirrors?\b|asyncio has|With .* mirrors?\b|Errors\b)", line):
                yield f"this stands behind the errors: {line}"
    mirrored = [place for place, line in enumerate(lines) if re.match(r"Mirrors?\b", line)]
    if mirrored and mirrored[-1] != len(lines) - 1:
        yield "what it mirrors does not stand last"
    if "\n" in comment and any(re.search(r"\S\s+Mirrors?\b", line) for line in lines):
        yield "what it mirrors has no line of its own"


def late_sentences(text):
    """Yields the number of each line in which a sentence begins behind one that began on an earlier line."""
    lines = text.splitlines()
    for number, (before, line) in enumerate(zip(lines, lines[1:]), 2):
        goes_on = before.startswith(" * ") and not before.endswith((".", ":")) and not before.startswith(" *   ")
        if goes_on and re.match(r" \* \S.*[.?!] [A-Z*`]", line):
            yield number


def header_faults(text, known):
    """Yields (line number, fault) for the comments of a header's functions."""
    yield from ((number, "a sentence begins behind one of an earlier line") for number in late_sentences(text))
    explained = set(ERROR.findall("\n".join(re.findall(r"^ \*   ((?:-E|RP_E)\w+ .*)$", text[:text.index("*/")], re.M))))
    for start, block in blocks(text.splitlines()):
        comment = [line for line in block if line.startswith(("/*", " *"))]
        code = "\n".join(line for line in block if not line.startswith(("/*", " *")))
        if comment and re.search(r"^RP_API\b[^;=]*\(", code, re.M):
            for fault in form_faults("\n".join(comment), code, explained, known):
                yield start, fault


# ---- pages ----

def declared(text):
    """All words of ringport's that a header has outside of its comments; members of structs are among them."""
    return set(re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", text, flags=re.S)))


def code_names(text):
    """The names of ringport's that a page puts between backquotes, with the member that follows by a dot."""
    for code in re.findall(r"`([^`\n]+)`", text):
        yield from re.findall(r"\b((?:rp|RP)_\w+)(?:\.(\w+))?", code)


def unknown_names(page, words):
    """The names in a page that no header has."""
    for name, member in code_names(page):
        if name not in words or member and member not in words:
            yield f"{name}.{member}" if member else name


def rows(page):
    """The cells of each row of a page's tables."""
    for line in page.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def uv_names(header):
    """The functions that uv.h exports."""
    for declaration in re.findall(r"UV_EXTERN([^;]*);", re.sub(r"/\*.*?\*/", "", header, flags=re.S)):
        yield from re.findall(r"\b(uv_\w+)\(", declaration)[:1]


def not_covered(page, wanted):
    """Those of the names that no code in a page names, or covers by a pattern such as `uv_mutex_*`."""
    code = " ".join(re.findall(r"`([^`\n]+)`", page))
    patterns = re.findall(r"\b(\w+)\*", code)
    there = set(re.findall(r"\w+", code))
    for name in sorted(set(wanted)):
        if name not in there and not any(name.startswith(pattern) for pattern in patterns):
            yield name


def missing_files(page, base):
    """The relative links, and the files that code names by a path, that are not there."""
    for link in re.findall(r"\]\(([^)#:]+)\)", page):
        if not (base / link).exists():
            yield link
    for path in re.findall(r"`((?:src|tests|scripts|docs|include|bench|examples)/[\w./]+)`", page):
        if not (ROOT / path).exists():
            yield path
    for test in re.findall(r"`(test_\w+\.(?:c|cpp|py))`", page):
        if not list((ROOT / "tests").rglob(test)):
            yield test


def strange_excerpts(page, base):
    """The pieces of code that are no part of the file to which the paragraph above each of them links last."""
    for paragraph, code in re.findall(r"((?:^[^\n]+\n)+)\n```(?:c|python)\n(.*?)^```$", page, re.M | re.S):
        links = re.findall(r"\]\(([^)#:]+\.(?:c|py))\)", paragraph)
        if not links or code not in (base / links[-1]).read_text():
            yield code.splitlines()[0]


def coverage_faults(page):
    """The functions of docs/coverage.md that do not stand in the file that it says."""
    for path, functions in re.findall(r"^- `(src/[^`]+)`: (.*)$", page, re.M):
        file = ROOT / path
        text = file.read_text() if file.exists() else ""
        for name in re.findall(r"`(\w+)`", functions):
            if not re.search(rf"\b{name}\(", text):
                yield f"{path} has no {name}()"


def not_named(page, wanted):
    """Those of the names that a page does not have as words of their own."""
    there = set(re.findall(r"[\w.+-]*[\w+]", page))
    return sorted(set(wanted) - there)


def packages():
    """The Debian packages that scripts/install-packages installs."""
    script = (ROOT / "scripts/install-packages").read_text()
    return " ".join(re.findall(r"^    \[\w+\]='([^']*)'", script, re.M)).split()


def page_faults():
    """Yields a line for each fault of the pages."""
    headers = {path.name: path.read_text() for path in sorted((ROOT / "include/ringport").glob("*.h"))}
    words = set().union(*map(declared, headers.values()))
    pages = {path: path.read_text() for path in [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]}
    libuv_map = pages[ROOT / "docs/libuv-map.md"]
    for_developers = {"CONTRIBUTING.md", "coverage.md", "design.md", "tour.md"}  # which speak of the inside, too
    for path, page in pages.items():
        where = path.relative_to(ROOT)
        yield from (f"{where}: {name} is not there" for name in missing_files(page, path.parent))
        if path.name not in for_developers:
            yield from (f"{where}: {name} is in no header" for name in unknown_names(page, words))
    if UV.exists():
        yield from (f"docs/libuv-map.md: no {name}" for name in not_covered(libuv_map, uv_names(UV.read_text())))
    yield from (f"README.md: no package {name}" for name in not_named(pages[ROOT / "README.md"], packages()))
    programs = [path.name for path in (ROOT / "examples").glob("*.c")]
    examples = (ROOT / "examples/README.md").read_text()
    yield from (f"examples/README.md: no {name}" for name in not_named(examples, programs))
    yield from (f"examples/README.md: {name} is not there" for name in missing_files(examples, ROOT / "examples"))
    migration = strange_excerpts(pages[ROOT / "docs/migration.md"], ROOT / "docs")
    yield from (f"docs/migration.md: no program has the code at {line}" for line in migration)
    yield from (f"docs/coverage.md: {fault}" for fault in coverage_faults(pages[ROOT / "docs/coverage.md"]))


def self_test():
    def found(text):
        return [name for _, name in undocumented(text)]

    assert found("/* Says it. */\nRP_API int rp_a(void);\nRP_API int rp_b(void);\n") == []
    assert found("/* Says it. */\nRP_API int rp_a(void);\n\nRP_API int rp_b(void);\n") == ["rp_b"]
    assert found("RP_API const char *rp_c(int a,\n    int b);\n") == ["rp_c"]
    assert found("typedef struct rp_s {\n    int a;\n\n    int b;\n} rp_s;\n") == ["rp_s"]
    assert found("typedef int rp_f(void *arg);\n") == ["rp_f"]
    assert found("typedef int rp_fd;\n") == ["rp_fd"]
    assert found("#define RP_X 1\n") == ["RP_X"]
    assert found("/* ---- a heading ---- */\nRP_API int rp_a(void);\n") == ["rp_a"]
    assert found("enum {\n    RP_A,\n};\n") == ["enum"]
    assert found("/*\n * It.\n */\nenum {\n    RP_A,\n};\n") == []
    assert found("#ifndef X_H\n#define X_H\n") == []
    assert found('extern "C" {\n\nRP_API int rp_a(void);\n') == ["rp_a"]

    def faults(comment, code="RP_API int rp_a(rp_co *co);", head="/*\n *   -ENOMEM   why\n */\n\n"):
        return [fault for _, fault in header_faults(f"{head}{comment}\n{code}\n", {"ENOMEM", "EINVAL", "RP_EOF"})]

    assert faults("/*\n * Does. Suspends.\n * Errors:\n *   -EINVAL   why\n *   -ENOMEM\n * Mirrors x().\n */") == []
    assert faults("/*\n * Does. Suspends.\n * Errors: -ENOMEM.\n * Mirrors x().\n */") == []
    assert faults("/* Does. Never suspends, never fails. */") == []
    assert faults("/* Whether it does. */", "RP_API int rp_a(void);") == []
    assert len(faults("/*\n * Does.\n * Errors: -ENOMEM.\n */")) == 1
    assert len(faults("/* Does. Suspends. */")) == 1
    assert len(faults("/*\n * Does. Suspends.\n * Errors: -EINVAL.\n */")) == 1
    assert len(faults("/*\n * Does. Suspends.\n * Errors:\n *   -EINVAL, -ENOMEM\n */")) == 1
    assert len(faults("/*\n * Does. Suspends.\n * Errors:\n *   RP_ENONE   why\n */")) == 1
    assert len(faults("/*\n * Does. Suspends.\n * Errors:\n */")) == 1
    assert len(faults("/*\n * Does. Suspends.\n * Errors: -ENOMEM.\n * More.\n */")) == 1
    assert len(faults("/*\n * Does. Never suspends, never fails.\n * Mirrors x().\n * More.\n */")) == 1
    assert len(faults("/*\n * Does. Never suspends, never fails. Mirrors x().\n */")) == 1

    assert list(late_sentences("/*\n * One. Two\n * goes on.\n *   Three. Four\n *   goes on. Five.\n */\n")) == []
    assert list(late_sentences("/*\n * One goes\n * on. Two.\n */\n")) == [3]

    header = {"a.h": "/* It. Mirrors x(). */\nRP_API int rp_a(void);\n\n"
                     "/* It. */\nRP_API int rp_b(struct rp_c { int d; });\n"}
    assert list(unknown_names("`rp_a`, `rp_c.d`, `rp_c.e`, `rp_z`", declared(header["a.h"]))) == ["rp_c.e", "rp_z"]
    assert list(uv_names("UV_EXTERN int uv_a(uv_b* b);\nUV_EXTERN const char*\n uv_c(void);")) == ["uv_a", "uv_c"]
    assert list(not_covered("`uv_a`, `uv_mutex_*`, uv_c", ["uv_a", "uv_mutex_init", "uv_c"])) == ["uv_c"]
    assert not_named("a `b-c` d.c, g++.", ["a", "b-c", "d.c", "g++", "c", "d"]) == ["c", "d"]
    assert packages()
    assert list(missing_files("[a](docs) `tests/none.c` [b](none.md)", ROOT)) == ["none.md", "tests/none.c"]
    excerpt = "[a](check_docs.py):\n\n```python\nimport %s\n```"
    assert list(strange_excerpts(excerpt % "sys", ROOT / "tests")) == []
    assert list(strange_excerpts(excerpt % "none", ROOT / "tests")) == ["import none"]
    assert list(coverage_faults("- `src/base/none.c`: `f`")) == ["src/base/none.c has no f()"]


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    faults = list(page_faults())
    known = error_names()
    for path in sorted((ROOT / "include").rglob("*.h")):
        for line, name in undocumented(path.read_text()):
            faults.append(f"{path.relative_to(ROOT)}:{line}: {name} has no comment")
        for line, fault in header_faults(path.read_text(), known):
            faults.append(f"{path.relative_to(ROOT)}:{line}: {fault}")
    print("\n".join(faults), end="\n" if faults else "")
    return len(faults) > 0


if __name__ == "__main__":
    sys.exit(main())
