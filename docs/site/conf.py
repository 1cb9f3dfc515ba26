"""How Sphinx makes the site of the pages that pages.py has written: `make docs`."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import headers  # noqa: E402
import ringport  # noqa: E402
from text import Text  # noqa: E402

project = "ringport"
version = release = ringport.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"ringport {version}"
html_show_copyright = False
html_copy_source = False
html_static_path = ["style.css"]
html_css_files = ["style.css"]
smartquotes = False
highlight_language = "none"
myst_heading_anchors = 4
nitpicky = True
nitpick_ignore_regex = [("c:identifier", r"(?!rp_).*"), ("py:class", r"asyncio\..*")]  # what others document

every = headers.read()
says = Text(headers.places(every)[1], {header.name: header.page for header in every})


def plain(app, what, name, thing, options, lines):
    """Docstrings are plain text, in which "name: what it is" tells of a parameter."""
    lines[:] = says.blocks([re.sub(r"^(\w+): (?=\S)", r"  `\1`   ", line) for line in lines])


def setup(app):
    app.connect("autodoc-process-docstring", plain)
