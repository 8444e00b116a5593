"""The encoding of a run: tiktoken's by name, or a vocabulary in a file that the run keeps a copy of.

`tokens/encoding.json` has its name. Where that is a file's, by content, the file lies beside it in
`tokens/`, and in `shards/` for the trainer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from curation import store
from curation.kernels import vocabularies

if TYPE_CHECKING:
    from curation.recipe.tables import Recipe, TokenizeConfig
    from curation.rundir.directory import RunDirectory


def vocabulary_of(recipe: Recipe) -> tuple[str, bytes] | None:
    """The name by content and the bytes of the file that the recipe encodes with; None where it
    names an encoding of tiktoken's. Raises InputError where there is no such file."""
    path = recipe.tokenize.encoding
    if not vocabularies.is_file(path):
        return None
    data = store.read_bytes(path) if store.is_remote(path) else vocabularies.read(path)
    return vocabularies.stored_name(data, path), data


def by_content(recipe: Recipe) -> tuple[TokenizeConfig, tuple[str, ...]]:
    """What tokens depend on: [tokenize] with the name of the vocabulary by content, and the token
    that ends a document."""
    vocabulary = vocabulary_of(recipe)
    if vocabulary is None:
        return recipe.tokenize, ()
    return replace(recipe.tokenize, encoding=vocabulary[0]), (recipe.tokenize.end_of_text,)


def copy_vocabulary(source: str, facts: dict[str, Any], folder: str) -> None:
    """Copy the vocabulary's file that `facts` name, of one folder, into another."""
    name = facts["encoding"]
    if vocabularies.is_file(name) and not store.exists(store.join(folder, name)):
        store.write_bytes(store.join(folder, name), store.read_bytes(store.join(source, name)))


def run_encoding(rundir: RunDirectory) -> Any:
    """The encoding of a run's tokens: tiktoken's Encoding, or a vocabulary with its methods."""
    from curation.kernels.bpe import encoding

    name = store.read_json(rundir.path("tokens", "encoding.json"))["encoding"]
    if not vocabularies.is_file(name):
        return encoding(name)
    data = store.read_bytes(rundir.path("tokens", name))
    return vocabularies.load(data, name, rundir.recipe.tokenize.end_of_text)
