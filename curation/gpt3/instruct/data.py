"""Files of demonstrations, rankings and prompts: one JSON object a line.

    {"prompt": "...", "response": "..."}                               a demonstration
    {"prompt": "...", "responses": ["...", ...], "ranking": [2, 1]}    a ranking
    {"prompt": "..."}                                                  a prompt

`ranking` has the rank of each response, in the order of `responses`; 1 is the best. Other keys are
kept in the file and read by nobody, but for `by`, which says who ranked.

As tokens, a prompt is encoded together with the separator after it, an answer by itself, and an
end-of-text token ends the answer. Trap: so the tokens of prompt and answer never merge, and what a
model samples after a prompt has the same border as what it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson

from curation import store
from curation.errors import InputError
from curation.shown import brief

MAX_BYTES = 1 << 30  # of a file
MAX_TEXT = 1 << 20  # characters of a prompt or an answer
MAX_RESPONSES = 100  # of a prompt; the paper shows a labeler 4 to 9
PERSON = "a person"
Row = TypeVar("Row")


@dataclass(frozen=True)
class Demonstration:
    """A prompt and the answer that a person would like."""

    prompt: str
    response: str
    where: str


@dataclass(frozen=True)
class Ranking:
    """The answers to a prompt, and the rank of each: 1 is the best."""

    prompt: str
    responses: tuple[str, ...]
    ranks: tuple[int, ...]
    by: str
    where: str


@dataclass(frozen=True)
class Prompt:
    """A prompt that has no answer yet."""

    prompt: str
    where: str


class Encoding(Protocol):
    """What is needed of tiktoken's Encoding."""

    def encode_ordinary(self, text: str) -> list[int]: ...
    def decode(self, tokens: Sequence[int]) -> str: ...


@dataclass(frozen=True)
class Tokens:
    """One sequence: prompt, answer, end-of-text; the first `prompt` ids are the prompt."""

    ids: tuple[int, ...]
    prompt: int


@dataclass(frozen=True)
class Coder:
    """Texts to tokens and back, for a model whose context is `context` tokens."""

    encoding: Encoding
    end_of_text: int
    separator: str
    context: int

    def prompt(self, text: str, where: str, answer_tokens: int = 1) -> tuple[int, ...]:
        """The prompt's tokens; InputError where not `answer_tokens` more fit after them."""
        ids = tuple(self.encoding.encode_ordinary(text + self.separator))
        if len(ids) + answer_tokens > self.context:
            raise InputError(
                f"{where}: the prompt has {len(ids):,} tokens, and with {answer_tokens:,} more for "
                f"an answer and its end it must fit into the model's context of {self.context:,}; "
                "shorten it, or allow shorter answers"
            )
        return ids

    def answered(self, prompt: str, response: str, where: str) -> Tokens:
        """Prompt, response and end-of-text; InputError where they are longer than the context."""
        ids = self.prompt(prompt, where)
        answer = self.encoding.encode_ordinary(response)
        if len(ids) + len(answer) + 1 > self.context:
            raise InputError(
                f"{where}: prompt ({len(ids):,} tokens), response ({len(answer):,}) and end-of-text "
                f"are longer than the model's context of {self.context:,} tokens; shorten the "
                "response, or leave it out"
            )
        return Tokens((*ids, *answer, self.end_of_text), len(ids))

    def text(self, answer: Sequence[int]) -> str:
        """What the tokens of an answer spell, up to the first end-of-text."""
        ids = list(answer)
        if self.end_of_text in ids:
            ids = ids[: ids.index(self.end_of_text)]
        return self.encoding.decode(ids)


def read_demonstrations(path: Path) -> list[Demonstration]:
    """The demonstrations in a file; InputError, with the line, where one is none."""
    what = "`prompt` and `response`, two texts that are not empty, expected"

    def demonstration(row: dict[str, Any], where: str) -> Demonstration:
        prompt, response = row.get("prompt"), row.get("response")
        if not (_is_text(prompt) and _is_text(response)):
            raise InputError(f"{where}: {what}; got {brief(row)}")
        return Demonstration(str(prompt), str(response), where)

    return _rows(path, demonstration, "demonstrations", what)


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts in a file, which may have answers too; InputError, with the line, where one is
    none."""
    what = "`prompt`, a text that is not empty, expected"

    def prompt(row: dict[str, Any], where: str) -> Prompt:
        if not _is_text(row.get("prompt")):
            raise InputError(f"{where}: {what}; got {brief(row)}")
        return Prompt(str(row["prompt"]), where)

    return _rows(path, prompt, "prompts", what)


def read_rankings(path: Path) -> list[Ranking]:
    """The rankings in a file; InputError, with the line, for ties, for one answer, and for what is
    no ranking."""
    what = "`prompt`, `responses` (two texts or more) and `ranking` (a rank for each) expected"

    def ranking(row: dict[str, Any], where: str) -> Ranking:
        prompt, responses, ranks = (row.get(k) for k in ("prompt", "responses", "ranking"))
        if not (_is_text(prompt) and isinstance(responses, list) and isinstance(ranks, list)):
            raise InputError(f"{where}: {what}; got {brief(row)}")
        if len(responses) > MAX_RESPONSES or not all(_is_answer(text) for text in responses):
            raise InputError(
                f"{where}: up to {MAX_RESPONSES} responses of up to {MAX_TEXT:,} characters expected; "
                f"got {len(responses):,}, {brief(responses)}"
            )
        check_ranks(ranks, len(responses), where)
        by = row.get("by")
        return Ranking(
            str(prompt),
            tuple(responses),
            tuple(ranks),
            by if isinstance(by, str) and 0 < len(by) <= 1000 else PERSON,
            where,
        )

    return _rows(path, ranking, "rankings", what)


def check_ranks(ranks: Sequence[object], count: int, where: str) -> None:
    """Raise InputError unless `ranks` are the numbers 1 to `count`, each once."""
    if count < 2:
        raise InputError(
            f"{where}: {count} answers cannot be compared; two or more expected, ranked 1 to K"
        )
    if len(ranks) != count or not all(type(rank) is int and 1 <= rank <= count for rank in ranks):
        raise InputError(
            f"{where}: a rank from 1 (the best) to {count} expected for each of {count} responses; "
            f"got {brief(list(ranks))}"
        )
    tied = sorted({rank for rank in ranks if ranks.count(rank) > 1}, key=str)
    if tied:
        raise InputError(
            f"{where}: several answers have rank {tied[0]}; ties are not trained on: rank these "
            "answers apart, or leave all but one of them out"
        )


def labelers(rankings: Iterable[Ranking]) -> list[str]:
    """Who made the rankings, each once, in the order of the alphabet."""
    return sorted({ranking.by for ranking in rankings})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value.strip()) > 0 and len(value) <= MAX_TEXT


def _is_answer(value: object) -> bool:
    """A sampled answer may be empty."""
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _rows(
    path: Path, row_of: Callable[[dict[str, Any], str], Row], what: str, expected: str
) -> list[Row]:
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES:,} bytes; give a smaller file of {what}")
    rows: list[Row] = []
    for number, line in enumerate(store.read_bytes(str(path)).split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{where}: not JSON ({error}); {expected}") from error
        if not isinstance(row, dict):
            raise InputError(f"{where}: {expected}; got {brief(row)}")
        rows.append(row_of(row, where))
    if not rows:
        raise InputError(f"{path} has no {what} in it: one JSON object a line expected")
    return rows
