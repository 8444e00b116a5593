"""One question of a benchmark as the model reads it, and the training split that shots are drawn
from, as in the paper: it is found by its file's name, beside a test or development set."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from curation.errors import InputError

Record = dict[str, Any]


class Draft(NamedTuple):
    """An `Example` without its id, as the readers of records make it."""

    contexts: tuple[str, ...]
    completions: tuple[str, ...]
    gold: int = 0
    golds: tuple[int, ...] = ()
    together: bool = False
    denied: bool = False


Parts = Draft | tuple[tuple[str, ...], tuple[str, ...], int]
# One entry for each record; a list where a record holds several questions.
Read = Callable[[list[Record]], Iterable[Parts | list[Draft]]]
Drafts = Iterator[Parts | list[Draft]]


@dataclass(frozen=True)
class Example:
    """One context, or one for each option (partial); the completions; the right one's place; the
    record's id in its file.

    golds: places of all right completions, where there are several. together: completions are
    pairs of which `golds` names one each, and all of these are shown. denied: the completion is not
    the answer, and an answer that differs from it is right (WSC); it is never shown.
    """

    id: str
    contexts: tuple[str, ...]
    completions: tuple[str, ...]
    gold: int = 0
    golds: tuple[int, ...] = ()
    together: bool = False
    denied: bool = False

    @property
    def shown(self) -> str:
        """The example as it stands in the context of another: with its right completion."""
        if self.together:
            return self.contexts[0] + "".join(self.completions[gold] for gold in self.golds)
        return (
            self.contexts[self.gold % len(self.contexts)]
            + self.completions[self.gold % len(self.completions)]
        )

    @cached_property
    def options(self) -> tuple[str, ...]:
        """Each context with each completion that is compared, as it is read."""
        count = max(len(self.contexts), len(self.completions))
        return tuple(
            self.contexts[i % len(self.contexts)] + self.completions[i % len(self.completions)]
            for i in range(count)
        )

    @cached_property
    def right(self) -> tuple[bool, ...]:
        """Whether each option is a right one: options of equal text are equally right."""
        right = {self.options[gold] for gold in self.golds} | {self.options[self.gold]}
        return tuple(option in right for option in self.options)

    def shows_answer_of(self, other: Example, free: bool) -> bool:
        """Whether this example, shown as a shot, begins with the question of `other` and an answer.

        The answer may be any where it is `free`; else it is one of the options of `other`. Case and
        white space make no difference.
        """
        return any(self._opening.startswith(question) for question in other._questions[free])

    @cached_property
    def _opening(self) -> str:
        return _plain(self.shown) + " "

    @cached_property
    def _questions(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What a shot must not begin with: each option, and each context that is not empty."""
        contexts = tuple(_plain(context) + " " for context in self.contexts if context.strip())
        return tuple(_plain(option) + " " for option in self.options), contexts


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def spaced(texts: Iterable[str]) -> tuple[str, ...]:
    """Completions begin with a space, as GPT-2's tokens want it.

    >>> spaced(["yes ", "no"])
    (' yes', ' no')
    """
    return tuple(" " + text.strip() for text in texts)


def with_end(text: str, end: str) -> str:
    """`text` with the mark `end`, unless it ends with such a mark already.

    >>> with_end("who is it", "?"), with_end("Who is it? ", "?")
    ('who is it?', 'Who is it?')
    """
    text = text.strip()
    return text if text.endswith((".", "?", "!", '."', '?"', '!"')) else text + end


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
