"""The model that ships with the package: what scores a crawl where no trusted corpus is named.

Logistic regression on the three signals of prose, fitted on Wikipedia and public-domain books
against raw crawl by `scripts/fit_shipped_model.py`; its card has sources and figures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curation.recipe.tables import Recipe

SHIPPED = str(Path(__file__).with_name("shipped_model"))


def given_folder(recipe: Recipe) -> str:
    """The folder of the model that a recipe is scored by; empty where it fits one."""
    return recipe.classify.model or ("" if recipe.positives() else SHIPPED)


def shipped_warnings(recipe: Recipe) -> list[str]:
    """Says so where the model that ships scored a run."""
    if given_folder(recipe) != SHIPPED:
        return []
    return [
        "no trusted corpus is named, so the classifier that ships with curation scored the crawl "
        "(three signals of prose; docs/classifier.md); to fit one, give a dataset the role trusted"
    ]
