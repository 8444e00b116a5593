"""Common Crawl to token shards by GPT-3's published procedure, as functions.

Nothing is loaded before it is used: `import curation` takes some milliseconds.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.api.mixing import mix
    from curation.api.quality import QualityClassifier
    from curation.api.read import read
    from curation.api.runs import Run, run
    from curation.api.steps import classify, decontaminate, dedup, filter
    from curation.api.tokens import tokenize
    from curation.formats.export import export
    from curation.readers.html import extract_blocks, extract_text
    from curation.recipe.tables import Recipe
    from curation.stages.filter.own import signal

__version__ = "0.1.0"
__all__ = [
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
# The module of each name, loaded when the name is first asked for.
_MODULES = {
    "QualityClassifier": "api.quality",
    "Recipe": "recipe.tables",
    "Run": "api.runs",
    "classify": "api.steps",
    "decontaminate": "api.steps",
    "dedup": "api.steps",
    "export": "formats.export",
    "extract_blocks": "readers.html",
    "extract_text": "readers.html",
    "filter": "api.steps",
    "mix": "api.mixing",
    "read": "api.read",
    "run": "api.runs",
    "signal": "stages.filter.own",
    "tokenize": "api.tokens",
}


def __getattr__(name: str) -> Any:
    """A public name, from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module 'curation' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"curation.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
