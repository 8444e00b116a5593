"""One question of a benchmark as the model reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

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
