"""Which engine does work of some size on this machine: worker processes, or none where there is
little to do.

A worker takes about a second to start. On few bytes of text that is longer than the work. Where
nearly all of it is done by kernels, which let other threads run, threads do as well as processes
with up to `THREADED_BYTES` of text; above it, what is done in Python is longer than the start.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from curation import store
from curation.engine.base import Engine, Progress, silent
from curation.engine.forkserver import INLINE_BYTES, THREADED_BYTES
from curation.errors import CurationError, InputError
from curation.readers.formats import text_size
from curation.recipe.own import is_own
from curation.recipe.tables import Dataset, Recipe
from curation.shown import brief
from curation.stages.extract.inputs import input_format


def input_size(recipe: Recipe) -> int:
    """About how many bytes of text a recipe reads. At least `THREADED_BYTES` where anything is at an
    address, and where pages are read, which one process takes long for."""
    size = 0
    for dataset in recipe.dataset:
        if dataset.crawls or dataset.urls:
            return THREADED_BYTES
        for file in _found(dataset.files):
            plain = _is_plain(dataset, file)
            size += text_size(file.name, file.size) if plain else THREADED_BYTES
    benchmarks = recipe.decontaminate.benchmarks if "decontaminate" in recipe.stages else ()
    return size + sum(text_size(file.name, file.size) for file in _found(benchmarks))


def _found(paths: Iterable[str]) -> Iterator[store.File]:
    """The files of paths and patterns; one at an address counts as large, one that is not there as
    nothing: the plan says what is wrong with it."""
    for path in paths:
        if store.is_web(path):
            yield store.File(path, path, THREADED_BYTES, "")
            continue
        with contextlib.suppress(CurationError):
            yield from store.find(path)


def _is_plain(dataset: Dataset, file: store.File) -> bool:
    try:
        return input_format(dataset, file) in ("table", "text")
    except CurationError:
        return True  # the plan says what is wrong with it


def may_share(recipe: Recipe) -> bool:
    """Whether a recipe's tasks may run in threads of one process: those of these stages keep nothing
    between calls that another could be changing. The user's own functions may."""
    stages = {*recipe.stages} <= {"extract", "filter", "dedup", "decontaminate"}
    guesses = recipe.extract.table_languages or recipe.extract.languages
    return stages and not guesses and not any(map(is_own, recipe.filter.signals))


def engine_for(
    size: int,
    workers: int | None,
    memory_gb: float = 2.0,
    progress: Progress = silent,
    recipe: Recipe | None = None,
) -> Engine:
    """The engine for so many bytes: threads of this process where they are few and the recipe's tasks
    may share it, else worker processes; one thread where they are very few, or where one worker is
    asked for. Raises InputError for `workers` that are no number of processes."""
    if workers is not None and (not isinstance(workers, int) or workers < 0):
        raise InputError(f"workers: a number of processes expected, got {brief(workers)}")
    threads = 1
    if recipe is not None and size < THREADED_BYTES and may_share(recipe):
        threads = workers or os.cpu_count() or 1
    if workers == 1 or threads > 1 or (workers is None and size < INLINE_BYTES):
        from curation.engine.inline import InlineEngine

        return InlineEngine(memory_gb, progress, threads)
    from curation.engine.local import LocalEngine

    return LocalEngine(workers or 0, memory_gb, progress)
