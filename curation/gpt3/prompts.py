"""Prompts of a description, K examples and a query (Brown et al. 2020, figure 2.1), and presets of
generation. Nothing here imports torch.

    {description}
                                    the delimiter, by default a blank line
    Input: {input of example 1}
    Output: {output of example 1}
                                    the delimiter
    Input: {query}
    Output:

The prompt ends without white space: a model's tokens begin with it, so it belongs to the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from curation.errors import InputError
from curation.shown import brief

MOST_EXAMPLES = 10_000
_LINE_BYTES = 1_000_000


@dataclass(frozen=True)
class Preset:
    """How text is drawn for a purpose: `ending` is put after the prompt where it is not there."""

    temperature: float
    top_p: float
    stops: tuple[str, ...] = ()
    ending: str = ""

    def prompt(self, text: str) -> str:
        """The prompt with the ending.

        >>> PRESETS["answer"].prompt("Question: Who?")
        'Question: Who?\\nAnswer:'
        """
        text = text.rstrip() if self.ending else text
        return text if text.endswith(self.ending.strip()) else text + self.ending


PRESETS = {
    "story": Preset(0.9, 0.92),
    "code": Preset(0.3, 0.95, ("\n\n",)),
    "answer": Preset(0.0, 1.0, ("\n",), "\nAnswer:"),
}


class Example(NamedTuple):
    """One pair that a prompt shows."""

    input: str
    output: str


@dataclass(frozen=True)
class Form:
    """The words around inputs and outputs, and what stands between two parts."""

    input: str = "Input:"
    output: str = "Output:"
    delimiter: str = "\n\n"

    def shown(self, example: Example) -> str:
        return f"{self.input} {example.input}\n{self.output} {example.output}"

    def asked(self, query: str) -> str:
        return f"{self.input} {query}\n{self.output}"


@dataclass(frozen=True)
class Prompt:
    """`parts` are (name, text), delimiters at the end of each but the last; `dropped` examples did
    not fit."""

    parts: tuple[tuple[str, str], ...]
    dropped: int

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.parts)


def prompt_of(
    description: str,
    examples: Sequence[Example],
    query: str,
    form: Form = Form(),
) -> Prompt:
    """The prompt with all examples.

    >>> prompt_of("Plural:", [Example("cat", "cats")], "dog").text
    'Plural:\\n\\nInput: cat\\nOutput: cats\\n\\nInput: dog\\nOutput:'
    """
    parts = [("description", description + form.delimiter)] if description else []
    parts += [
        (f"example {number}", form.shown(example) + form.delimiter)
        for number, example in enumerate(examples, 1)
    ]
    return Prompt((*parts, ("query", form.asked(query))), 0)


def fitting_prompt(
    description: str,
    examples: Sequence[Example],
    query: str,
    tokens: Callable[[str], int],
    room: int,
    form: Form = Form(),
) -> Prompt:
    """The prompt with as many examples as `room` tokens hold; those farthest from the query, the
    first ones, are dropped. InputError where description and query alone do not fit."""

    def without(dropped: int) -> Prompt:
        return Prompt(prompt_of(description, examples[dropped:], query, form).parts, dropped)

    low, high = 0, len(examples)
    if (least := tokens(without(high).text)) > room:
        raise InputError(
            f"description and query are {least:,} tokens, the model's window has room for {room:,} "
            "before the answer; shorten them, or lower --max-tokens"
        )
    while low < high:  # the fewest that must go: more text has no fewer tokens
        middle = (low + high) // 2
        low, high = (low, middle) if tokens(without(middle).text) <= room else (middle + 1, high)
    return without(low)


def read_examples(path: Path, most: int | None = None) -> list[Example]:
    """The first `most` examples of a file of JSON lines {"input": ..., "output": ...}."""
    examples = []
    with path.open("rb") as file:
        lines = iter(lambda: file.readline(_LINE_BYTES), b"")
        for number, line in enumerate(islice(lines, min(most or MOST_EXAMPLES, MOST_EXAMPLES)), 1):
            try:
                record = json.loads(line)
                example = Example(record["input"], record["output"])
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f'{path}, line {number}: expected {{"input": "...", "output": "..."}}, got '
                    f"{brief(line.decode(errors='replace').strip())}"
                ) from error
            if not all(isinstance(text, str) for text in example):
                raise InputError(f"{path}, line {number}: input and output must be texts")
            examples.append(example)
    return examples
