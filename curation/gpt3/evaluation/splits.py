"""The training split beside a test or development set, by the names of files: shots are drawn from
it, as in the paper."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from curation.errors import InputError

MOST_BYTES = 1 << 28
_SPLIT = re.compile(r"(?<![a-z])(test|dev|validation|valid|val)(?![a-z])")


def training_name(name: str) -> str:
    """The name that the training split of a file would have; its own where it names no split.

    >>> training_name("boolq.val.llmfoundry.jsonl"), training_name("rte1_dev.jsonl")
    ('boolq.train.llmfoundry.jsonl', 'rte1_train.jsonl')
    """
    return _SPLIT.sub("train", name, count=1)


def training_file(path: Path) -> Path | None:
    """The training split beside `path`; None where there is none.

    Raises InputError where it is too large to draw from.
    """
    file = path.with_name(training_name(path.name))
    if file.name == path.name or not file.is_file():
        return None
    if (size := file.stat().st_size) > MOST_BYTES:
        raise InputError(
            f"{file}: a training split of at most {MOST_BYTES >> 20} MiB expected to draw shots "
            f"from, got {size >> 20} MiB; keep its first lines, or use --shots 0"
        )
    return file


def without_training(files: Collection[Path]) -> list[Path]:
    """The files without those that are the training split of another one of them."""
    splits = {f.with_name(training_name(f.name)) for f in files if training_name(f.name) != f.name}
    return [file for file in files if file not in splits]
