"""Where the headers for extension modules are."""

import pathlib


def get_include():
    """The directory for a compiler's -I by which it finds ringport/python.h, for protocols in C."""
    return str(pathlib.Path(__file__).parent / "include")
