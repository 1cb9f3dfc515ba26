"""Makes reStructuredText of plain text, as comments of headers and docstrings have it."""

import re

TOKEN = re.compile(
    r"`(?P<code>[^`]+)`|(?P<error>-E[A-Z0-9]{3,}\b)|(?P<call>\b\w+(?:(?:\.|::)\w+)*\(\))|(?P<header>\b\w+\.h\b)"
    r"|(?P<name>\b(?:rp|RP)_\w+\*?)"
)
SPECIAL = re.compile(r"([\\*`|_])")


class Text:
    """Text in which the given names are links: `names` has the role of each, `pages` the page of each header."""

    def __init__(self, names, pages):
        self.names, self.pages = names, pages

    def token(self, match):
        """A name, in the text, as a link or in the type of code."""
        kind, text = match.lastgroup, match[match.lastgroup]
        name = re.match(r"\w*", text)[0]
        if kind == "header" and text in self.pages:
            return f":doc:`{text} <{self.pages[text]}>`"
        if kind == "header":
            return f"``{text}``"
        if name in self.names and text in (name, name + "()"):
            return f":c:{self.names[name]}:`{name}`"
        return f"``{text}``"

    def inline(self, text):
        """A piece of a paragraph."""
        out, end = [], 0
        for match in TOKEN.finditer(text):
            before, after = text[: match.start()][-1:], text[match.end() :][:1]
            out.append(SPECIAL.sub(r"\\\1", text[end : match.start()]))
            glue = "\\ " if before and before not in " (" else ""
            out.append(glue + self.token(match) + ("\\ " if after.isalnum() or after in "'_" and after else ""))
            end = match.end()
        return "".join(out) + SPECIAL.sub(r"\\\1", text[end:])

    def item(self, lines):
        """An item of a list. What two spaces or more set apart is its head."""
        text = " ".join(map(str.strip, lines))
        number = re.match(r"(\d+\.) (.*)", text)
        if number:
            return f"{number[1]} {self.inline(number[2])}"
        head = re.match(r"(\S(?:.*?\S)?) {2,}(.*)", lines[0].strip())
        if head:
            rest = " ".join([head[2], *map(str.strip, lines[1:])])
            return f"* {self.inline(head[1])} – {self.inline(rest)}"
        return f"* {self.inline(text)}"

    @staticmethod
    def stands_apart(lines, begin, at):
        """Whether a line is no part of the paragraph that begins at `begin`."""
        apart = re.compile(r"(Errors\b.*:|Mirrors?\b)")
        leads_on = at + 1 < len(lines) and lines[at + 1].startswith(" ")
        return apart.match(lines[begin]) or apart.match(lines[at]) or leads_on and lines[at - 1].endswith((".", ":"))

    def blocks(self, lines):
        """Paragraphs, lists and code, each with a blank line behind it."""
        lines, at = [line.rstrip() for line in lines], 0
        while at < len(lines):
            begin, indent = at, len(lines[at]) - len(lines[at].lstrip())
            if not lines[at]:
                at += 1
            elif indent >= 4 or lines[at].startswith(">>>"):  # code; what goes on an item does not come here
                while at < len(lines) and (not lines[at] or lines[at].startswith(("  ", ">>>"))):
                    at += 1
                yield from ["::", "", *("    " + line for line in lines[begin:at]), ""]
            elif indent:
                at += 1
                while at < len(lines) and lines[at].startswith("   "):
                    at += 1
                yield from [self.item(lines[begin:at]), ""]
            else:
                at += 1
                while at < len(lines) and lines[at] and lines[at][0] != " " and not self.stands_apart(lines, begin, at):
                    at += 1
                yield from [self.inline(" ".join(lines[begin:at])), ""]
