"""What `import curation` names: the list, that it costs nothing, and that it is typed and documented."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import curation

NAMES = [
    "QualityClassifier",
    "Recipe",
    "Run",
    "__version__",
    "classify",
    "decontaminate",
    "dedup",
    "export",
    "extract_blocks",
    "extract_text",
    "filter",
    "mix",
    "read",
    "run",
    "signal",
    "tokenize",
]
FUNCTIONS = [name for name in NAMES if name not in ("Recipe", "Run", "__version__")]
MOST_MODULES = 40  # that `import curation` may load, of the standard library


def test_the_public_names_are_these() -> None:
    """A name that is added or removed is a change for users: change this list with it."""
    assert sorted(curation.__all__) == sorted(NAMES)
    assert dir(curation) == sorted(NAMES)
    assert {name for name in NAMES if getattr(curation, name) is not None} == set(NAMES)
    with pytest.raises(AttributeError, match="no attribute 'dedupe'"):
        _ = curation.dedupe


def test_importing_it_loads_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import curation; new = set(sys.modules) - before; "
        "print(len(new)); print([m for m in new if m.partition('.')[0] in "
        "('numpy', 'pyarrow', 'numba', 'duckdb', 'click') or m.startswith('curation.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    number, heavy = done.stdout.splitlines()
    assert int(number) < MOST_MODULES
    assert heavy == "[]"


def test_type_checkers_see_every_name() -> None:
    """Those under TYPE_CHECKING are those that `__getattr__` finds, from the same modules."""
    tree = ast.parse(Path(curation.__file__).read_text(encoding="utf-8"))
    guarded = next(
        node for node in tree.body if isinstance(node, ast.If) and "TYPE" in ast.unparse(node.test)
    )
    seen = {
        alias.name: str(node.module)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"curation.{place}" for name, place in curation._MODULES.items()}
    assert (Path(curation.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_an_example(name: str) -> None:
    public = getattr(curation, name)
    assert doctest.DocTestParser().get_examples(public.__doc__), name


def test_no_folder_has_the_name_of_a_function() -> None:
    """Once imported, a subpackage would stand where the function does."""
    folders = {module.name for module in pkgutil.iter_modules(curation.__path__)}
    assert not folders & set(NAMES)
    for module in pkgutil.iter_modules(importlib.import_module("curation.api").__path__):
        importlib.import_module(f"curation.api.{module.name}")
    assert callable(curation.read)
