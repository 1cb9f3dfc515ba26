#!/usr/bin/python3
"""check_site.py DIR: fails if a page of the site in DIR links to a page, a picture or a place in a page that is not there.

Links to other sites are not followed.
"""

import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    """What a page links to, and the places in it that have a name."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places.add(attributes.get("id"))
        if "href" in attributes or "src" in attributes:
            self.links.append(attributes.get("href", attributes.get("src")))


def faults(directory):
    pages = {path.resolve(): Page(path) for path in directory.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            where = path.relative_to(directory.resolve())
            if not target.exists():
                yield f"{where}: {link} is not there"
            elif parts.fragment and target in pages and urllib.parse.unquote(parts.fragment) not in pages[target].places:
                yield f"{where}: there is no place {link}"
    if not pages:
        yield f"{directory} has no pages"


if __name__ == "__main__":
    sys.exit("\n".join(sorted(faults(pathlib.Path(sys.argv[1])))) or 0)
