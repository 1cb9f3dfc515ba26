#!/usr/bin/python3
"""Fails if a public name has no comment.

A function, type, macro or constant of include/ is documented by a comment directly above it, or above the group that it
stands in: lines that follow each other without a blank one. Members of a struct or an enum are not asked for theirs.
`check_docs.py --self-test` proves that it can fail.
"""

import pathlib
import re
import sys

NAME = [
    re.compile(r"^\s*#\s*define\s+(\w+)"),
    re.compile(r"^RP_API\b[^;(]*?\b(\w+)\s*\("),
    re.compile(r"^typedef\s+(?:struct|enum|union)\s+(\w+)"),
    re.compile(r"^typedef\b[^;(]*?\b(\w+)\s*[(;]"),
    re.compile(r"^(?:struct|enum|union)\s+(\w+)\s*\{"),
    re.compile(r"^(enum) \{"),
]

HEADING = re.compile(r"^/\* ---- .* ---- \*/$")


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


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    root = pathlib.Path(__file__).resolve().parent.parent
    count = 0
    for path in sorted((root / "include").rglob("*.h")):
        for line, name in undocumented(path.read_text()):
            print(f"{path.relative_to(root)}:{line}: {name} has no comment")
            count += 1
    return count > 0


sys.exit(main())
