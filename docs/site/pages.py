#!/usr/bin/python3
"""pages.py DIR: writes the pages that Sphinx makes the site of into DIR.

README.md, CONTRIBUTING.md and those of docs/ and examples/ are copied. Names of ringport's in them become links to what
the headers say of them, and links to other files lead to pages that show these. A link to what is not there fails.
Each header of include/ringport becomes a page in the words of its comments, whose form tests/check_docs.py checks.
"""

import os
import pathlib
import re
import shutil
import sys

import headers
from text import Text

ROOT = headers.ROOT
SITE = ROOT / "docs/site"

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "examples/README.md": "examples/README.md"}
PAGES |= {f"docs/{path.name}": f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))}
PAGES |= {"include/ringport": "api/c/index.rst"}
LANGUAGES = {".c": "c", ".h": "c", ".py": "python"}

# README is the first page of the site: this is what it has beside the text.
CONTENTS = """
```{toctree}
:hidden:
:caption: To begin
examples/README
docs/migration
docs/compatibility
docs/benchmarks
docs/windows
```

```{toctree}
:hidden:
:caption: Functions
api/python
api/c/index
docs/asyncio-map
docs/libuv-map
```

```{toctree}
:hidden:
:caption: Within
docs/design
docs/tour
docs/coverage
CONTRIBUTING
```
"""


# ---- pages of headers ----

def title(text, line):
    return [text, line * len(text), ""]


def sentence(text):
    return text[:1].upper() + text[1:]


def error_table(text, says):
    """The errors that a macro lists."""
    yield from [".. list-table::", ""]
    for name, number, meaning in re.findall(r'X\((\w+), (-\d+), "(.*)"\)', text):
        yield from [f"   * - ``{name}``", f"     - {number}", f"     - {says.inline(meaning)}"]
    yield ""


def group_lines(group, says, place_of, header):
    """What is told of a group of declarations; those that have their place elsewhere are left out."""
    if group.heading:
        yield from title(says.inline(sentence(group.heading)), "-")
    shown = {}
    for made in group.declarations:
        for name, signature in zip(made.names(), made.signatures):
            if place_of[name] is header and (made.is_whole() or len(group.declarations) > 1 or not has_body(header, name)):
                shown.setdefault(made.kind, {}).setdefault(name, signature)
    for kind, signatures in shown.items():
        first, *others = signatures.values()
        yield f".. c:{kind}:: {first}"
        yield from [f"{' ' * (len(kind) + 8)}{signature}" for signature in others]
        yield ""
    content = list(says.blocks(group.comment)) if shown else []
    for made in group.declarations:
        if "X(RP_E" in made.text:
            content += error_table(made.text, says)
        elif shown and "{" in made.text and not made.text.startswith(("#", "static")):
            content += [".. code-block:: c", "", *("   " + line for line in made.text.splitlines()), ""]
    yield from [f"   {line}".rstrip() for line in content]


def has_body(header, name):
    """Whether a header defines a struct besides declaring it."""
    return any(name in made.names() and made.is_whole() for group in header.groups for made in group.declarations)


def header_page(header, says, place_of):
    yield from title(header.name, "=")
    yield from [says.inline(sentence(header.title)), "", ".. code-block:: c", ""]
    yield from [f"   #include <ringport/{header.name}>", ""]
    yield from says.blocks(header.head)
    for group in header.groups:
        yield from group_lines(group, says, place_of, header)


def write_headers(directory, every, says, place_of):
    """A page for each header, and one that lists them."""
    lines = [*title("C", "="), "``#include <ringport.h>`` brings all of these, but for ``tls.h`` and ``python.h``.", "",
             ".. list-table::", ""]
    for header in every:
        page = "\n".join(header_page(header, says, place_of))
        (directory / f"{header.name[:-2]}.rst").write_text(page)
        lines += [f"   * - :doc:`{header.name} <{header.page}>`", f"     - {says.inline(sentence(header.title))}"]
    lines += ["", ".. toctree::", "   :hidden:", "", *(f"   {header.name[:-2]}" for header in every), ""]
    (directory / "index.rst").write_text("\n".join(lines))


# ---- pages of Markdown ----

class Site:
    """The pages that are there, and those that others link to."""

    def __init__(self, directory, roles):
        self.directory, self.roles = directory, roles
        self.shown = []  # files and directories of the tree
        self.broken = []

    def link(self, match, page):
        """A link of a page, as it has to be on the site."""
        target, mark, anchor = match[1].partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(page), target))
        if "://" in target or not target:
            return match[0]
        header = re.fullmatch(r"include/ringport/(\w+)\.h", path)
        if not (ROOT / path).exists():
            self.broken.append(f"{page}: {target} is not there")
        elif header:
            path = f"api/c/{header[1]}.rst"
        elif path in PAGES:
            path = PAGES[path]
        elif not path.startswith("docs/images/"):
            self.shown.append(path)
            path = f"source/{path}.md"
        return f"]({os.path.relpath(path, os.path.dirname(PAGES[page]) or '.')}{mark}{anchor})"

    def code(self, match):
        """A piece of code in a sentence: a link, if it begins with a name of ringport's."""
        name = re.match(r"(rp_\w+|RP_\w+)(?![\w*])(?!\.)", match[1])
        role = self.roles.get(name[1]) if name else None
        text = match[1].replace("<", "&lt;")
        return f"{{c:{role}}}`{text} <{name[1]}>`" if role else match[0]

    def markdown(self, page):
        """A page of the tree, as one of the site."""
        inside = False
        for line in (ROOT / page).read_text().splitlines(keepends=True):
            inside ^= line.startswith("```")
            if not inside and not line.startswith(("```", "    ")):
                line = re.sub(r"\]\(([^)\s]+)\)", lambda match: self.link(match, page), line)
                if not line.startswith("#"):
                    line = re.sub(r"(?<!\[)`([^`\n]+)`", self.code, line)
            yield line

    def write(self, path, text):
        path = self.directory / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def show(self, path):
        """A page that shows a file, or names what is in a directory."""
        if (ROOT / path).is_dir():
            names = sorted(entry.name for entry in (ROOT / path).iterdir() if not entry.name.startswith("_"))
            return "".join(f"- `{name}`\n" for name in names)
        text = (ROOT / path).read_text()
        fence = "`" * (3 + max(map(len, re.findall("`+", text)), default=0))
        return f"{fence}{LANGUAGES.get(pathlib.Path(path).suffix, 'text')}\n{text.rstrip()}\n{fence}\n"


def main():
    target = pathlib.Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    (target / "api/c").mkdir(parents=True)
    every = headers.read()
    place_of, roles = headers.places(every)
    write_headers(target / "api/c", every, Text(roles, {header.name: header.page for header in every}), place_of)
    shutil.copy(SITE / "python.rst", target / "api")
    if (ROOT / "docs/images").exists():
        shutil.copytree(ROOT / "docs/images", target / "docs/images")
    site = Site(target, roles)
    for page in PAGES:
        if page.endswith(".md"):
            site.write(PAGES[page], "".join(site.markdown(page)) + (CONTENTS if page == "README.md" else ""))
    for path in sorted(set(site.shown)):
        site.write(f"source/{path}.md", f"---\norphan: true\n---\n# {path}\n\n{site.show(path)}")
    site.broken += [f"{name} is on no page" for name in sorted(set(headers.functions()) - set(roles))]
    sys.exit("\n".join(site.broken) or 0)


if __name__ == "__main__":
    main()
