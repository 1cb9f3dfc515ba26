"""The type stubs name what is there."""

import ast
import importlib
import inspect
import pathlib

import pytest

pytestmark = pytest.mark.own("they are ringport's stubs")


@pytest.fixture
def stub():
    """stub(name): the tree of a stub of the package that is installed."""
    import ringport

    def parse(name):
        return ast.parse((pathlib.Path(ringport.__file__).parent / f"{name}.pyi").read_text())

    return parse


def test_marker(stub):
    import ringport

    assert (pathlib.Path(ringport.__file__).parent / "py.typed").exists()


def names_of(body):
    """The names that a body defines, in both branches of conditions too."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name, statement
        elif isinstance(statement, ast.AnnAssign):
            yield statement.target.id, statement
        elif isinstance(statement, ast.If):
            yield from names_of(statement.body + statement.orelse)


@pytest.mark.filterwarnings("ignore:.*EventLoopPolicy:DeprecationWarning")  # from 3.14 on
@pytest.mark.parametrize("stub_name, module", [("__init__", "ringport"), ("_core", "ringport._core")])
def test_names_exist(stub, stub_name, module):
    module = importlib.import_module(module)
    for name, what in names_of(stub(stub_name).body):
        if name.startswith("_") and name != "__version__":
            continue
        value = getattr(module, name)
        assert isinstance(what, ast.ClassDef) == inspect.isclass(value)
        if isinstance(what, ast.ClassDef):
            for attribute, _ in names_of(what.body):
                assert attribute == "__getattr__" or hasattr(value, attribute), f"{name}.{attribute}"


def test_statistics(stub, loop):
    kinds = dict(names_of(stub("__init__").body))
    fields = {name: ast.unparse(field.annotation) for name, field in names_of(kinds["_Statistics"].body)}
    assert list(fields) == list(loop.stats())
    for name, value in loop.stats().items():
        assert isinstance(value, eval(fields[name])), name


def test_all(stub):
    import ringport

    lists = [node for node in ast.walk(stub("__init__")) if isinstance(node, ast.List)]
    assert set(ringport.__all__) <= {name for node in lists for name in ast.literal_eval(node)}
