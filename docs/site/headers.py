"""What the headers of include/ringport declare, group by group, with the comments: what pages of the site are made of."""

import pathlib
import re
import sys
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import check_docs  # noqa: E402  (which is found by the line above)

# As README has them; what is not here stands at the end.
ORDER = "co stream io file udp agen sync net datagram subprocess process udp_socket loop future watch tls op".split()


class Declaration(typing.NamedTuple):
    kind: str  # what Sphinx calls it
    signatures: list  # what is declared: several, if they are the constants of an enum without a name
    text: str

    def names(self):
        return [re.match(r"(?:.*?[ *])?(\w+)(?:\(|$)", signature)[1] for signature in self.signatures]

    def is_whole(self):
        """Whether nothing is left to be told elsewhere, such as the members of a struct."""
        return "{" in self.text or self.kind not in ("struct", "enum", "union")

    def is_public(self):
        return all(re.match(r"(rp|RP)_\w*[^_]$", name) for name in self.names())


class Group(typing.NamedTuple):
    heading: str  # of the part of the header that begins here, or None
    comment: list
    declarations: list


def declaration(text):
    """What a piece of code declares, or None."""
    code = " ".join(re.sub(r"/\*.*?\*/", "", text, flags=re.S).replace("\\\n", " ").split())
    if macro := re.match(r"#define (\w+(?:\([^)]*\))?)", code):
        return Declaration("macro", [macro[1]], text)
    code = re.sub(r"^RP_API |^static inline | RP_PRINTF\([^)]*\)", "", code)
    if constants := re.match(r"enum \{(.*)\}", code):
        return Declaration("macro", re.findall(r"(\w+) =", constants[1]), text)
    if typed := re.match(r"typedef (struct|enum|union) (\w+)(?: \{| \2;)|(struct|enum|union) (\w+) \{", code):
        return Declaration(typed[1] or typed[3], [typed[2] or typed[4]], text)
    if code.startswith("typedef "):
        return Declaration("type", [code.removeprefix("typedef ").split(";")[0]], text)
    if function := re.match(r"[\w *]+\b\w+\([^;{]*\)", code):
        return Declaration("function", [function[0]], text)
    return None


def pieces(lines):
    """The lines of code of each declaration."""
    lines = [line for line in lines if not re.match(r"#(if|else|elif|endif|undef|include)|extern \"C|\}$", line)]
    while lines:
        at = depth = 0
        if lines[0].startswith("#define"):
            while lines[at].endswith("\\"):
                at += 1
        else:
            while at < len(lines):
                depth += lines[at].count("{") - lines[at].count("}")
                if not depth and re.search(r"[;}]\s*(/\*|$)", lines[at]):
                    break
                at += 1
        yield "\n".join(lines[:at + 1])
        lines = lines[at + 1:]


def without_marks(comment):
    """The lines of a comment, whose depth is kept."""
    text = re.sub(r"^/\*\s?|\s*\*/$", "", "\n".join(comment)).strip("\n")
    return [re.sub(r"^ \* ?", "", line) for line in text.splitlines()]


class Header:
    """A header: its title, what its head says besides, and its groups."""

    def __init__(self, path):
        self.name, text = path.name, path.read_text()
        self.page = f"/api/c/{path.stem}"
        head, _, body = text.partition("*/\n")
        self.head = without_marks([f"{head}*/"])
        self.title = self.head.pop(0).partition(" - ")[2]
        while not self.title.endswith("."):
            self.title += " " + self.head.pop(0)
        body = re.sub(r'extern "C\+\+" \{.*?^\}\n', "", body, flags=re.M | re.S)
        self.groups, heading = [], None
        for _, block in check_docs.blocks(body.splitlines()):
            if check_docs.HEADING.match(block[0]):
                heading = block.pop(0)[8:-8]
            comment = []
            while block and block[0].startswith(("/*", " *")):
                comment.append(block.pop(0))
            found = [made for made in map(declaration, pieces(block)) if made and made.is_public()]
            if found and not found[0].text.startswith(f"#define {self.guard()}"):
                self.groups.append(Group(heading, without_marks(comment), found))
                heading = None

    def guard(self):
        return f"RINGPORT_{self.name[:-2].upper()}_H"


def read():
    """All headers, in the order in which they are told of."""
    paths = sorted((ROOT / "include/ringport").glob("*.h"), key=lambda path: path.stem)
    return [Header(path) for path in sorted(paths, key=lambda path: (ORDER + [path.stem]).index(path.stem))]


def functions():
    """The names of all functions, found in a simpler way."""
    for path in (ROOT / "include/ringport").glob("*.h"):
        yield from re.findall(r"^RP_API\b[^;(]*?\b(\w+)\s*\(", path.read_text(), re.M)


def places(headers):
    """The header in which each name has its place, and the role by which Sphinx refers to it."""
    found = {}
    for header in headers:
        for made in (made for group in header.groups for made in group.declarations):
            for name in made.names():
                if name not in found or made.is_whole() and not found[name][1]:
                    found[name] = header, made.is_whole(), {"function": "func"}.get(made.kind, made.kind)
    return {name: header for name, (header, _, _) in found.items()}, {name: role for name, (_, _, role) in found.items()}
