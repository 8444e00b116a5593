"""The inputs of a task as one row of tokens each (Radford et al. 2018, section 3.3, figure 1).

    classify      start, text, extract
    entailment    start, premise, delimiter, hypothesis, extract
    similarity    start, first, delimiter, second, extract; and the same with both exchanged
    choice        start, context, delimiter, answer, extract; one row for each answer

Records are lines of JSON with the fields of `FIELDS`; for `choice` the benchmark files that
`curation evaluate` knows are read too.

The three further tokens are numbers after those of the vocabulary, in the order of `SPECIAL`. Where
a row is longer than the context, the longer of its texts loses its end, then both by turns; how
many examples lost something is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from curation.errors import InputError
from curation.gpt3.options import Task
from curation.gpt3.tasks import examples, find_tasks, read_records
from curation.shown import brief

SPECIAL = ("start", "delimiter", "extract")
MAX_CHOICES = 64
MAX_CLASSES = 10_000
# The texts of each task, each under any of these names, and the label.
FIELDS: dict[Task, tuple[tuple[str, ...], ...]] = {
    "classify": (("text", "sentence", "query"),),
    "entailment": (
        ("premise", "context", "sentence1", "text"),
        ("hypothesis", "sentence2", "statement"),
    ),
    "similarity": (("first", "sentence1", "question1"), ("second", "sentence2", "question2")),
    "choice": (("context",), ("choices",)),
}
LABEL = ("label", "gold_label", "gold", "entailment", "value")
Row = tuple[int, ...]
Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Record:
    """The texts of one example (of `choice`: the context, and then each answer), and its label.

    Of `choice` the label is the place of the right answer.
    """

    texts: tuple[str, ...]
    label: str


@dataclass(frozen=True)
class Rows:
    """One example as the model reads it: its rows of tokens, the number of its label, whether it
    lost something, and how many of its tokens are ordinary ones."""

    rows: tuple[Row, ...]
    label: int
    cut: bool
    ordinary: int


def read_task(path: Path, task: Task) -> list[Record]:
    """The records of a file. Raises InputError where one lacks what its layout needs."""
    if task not in get_args(Task):
        raise InputError(f"a task of {', '.join(get_args(Task))} expected, not {brief(task)}")
    lines = read_records(path)
    if not lines:
        raise InputError(f"{path} has no record; lines of JSON with {_expected(task)} expected")
    if task == "choice" and not {"context", "choices"} <= set(lines[0][1]):
        return _benchmark(path)
    return [_record(f"{path}, line {line + 1}", record, task) for line, record in lines]


def _expected(task: Task) -> str:
    return ", ".join(names[0] for names in (*FIELDS[task], LABEL))


def _record(where: str, record: dict[str, Any], task: Task) -> Record:
    def value(names: tuple[str, ...]) -> Any:
        found = [record[name] for name in names if name in record]
        if not found:
            raise InputError(
                f"{where}: {task} needs the fields {_expected(task)}; "
                f"{' or '.join(names)} is missing (found {brief(', '.join(sorted(record)))})"
            )
        return found[0]

    texts = [value(names) for names in FIELDS[task]]
    label = value(LABEL)
    if type(label) not in (str, int, bool):
        raise InputError(f"{where}: the label must be text or a whole number, not {brief(label)}")
    if task == "choice":
        answers = texts.pop()
        if not isinstance(answers, list) or not 2 <= len(answers) <= MAX_CHOICES:
            raise InputError(f"{where}: choices must be a list of 2 to {MAX_CHOICES} texts")
        texts += answers
        if type(label) is not int or not 0 <= label < len(answers):
            raise InputError(
                f"{where}: the label of a choice is the place of the right one, 0 to "
                f"{len(answers) - 1}, not {brief(label)}"
            )
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{where}: {task} needs texts, not {brief(texts)}")
    return Record(tuple(texts), str(label))


def _benchmark(path: Path) -> list[Record]:
    """The examples of a file of choices as `curation evaluate` reads it."""
    try:
        found = [(task, file) for task, file in find_tasks(path) if task.kind == "choice"]
    except InputError:  # a file of no shape that is known
        found = []
    if not found:
        fields = ", ".join(sorted(read_records(path)[0][1]))
        raise InputError(
            f"{path}: choice needs the fields {_expected('choice')}, or a benchmark file of choices; "
            f"found {brief(fields)}"
        )
    task, file = found[0]
    return [
        Record((one.contexts[0], *(text.strip() for text in one.completions)), str(one.gold))
        for one in examples(task, file)
    ]


def labels_of(records: Sequence[Record], task: Task) -> tuple[str, ...]:
    """The labels of a task in a fixed order; none for `choice`, whose answers differ."""
    if task == "choice":
        return ()
    labels = tuple(sorted({record.label for record in records}))
    if not 2 <= len(labels) <= MAX_CLASSES:
        raise InputError(
            f"a task has 2 to {MAX_CLASSES:,} labels; found {len(labels)}: "
            f"{brief(', '.join(labels[:3]))}"
        )
    return labels


def rows_of(
    records: Sequence[Record],
    task: Task,
    labels: Sequence[str],
    encode: Encode,
    vocabulary: int,
    context: int,
    where: str,
) -> list[Rows]:
    """The rows of tokens of each record. Raises InputError, with `where` they are from, for a label
    that is not one of `labels`."""
    numbers = {label: number for number, label in enumerate(labels)}
    for place, record in enumerate(records):
        if task != "choice" and record.label not in numbers:
            raise InputError(
                f"{where}, record {place + 1}: the label {brief(record.label)} is not one that the "
                f"model was trained on ({brief(', '.join(labels))})"
            )
    tokens: dict[str, Row] = {}
    for record in records:
        for text in record.texts:
            if text not in tokens:
                tokens[text] = tuple(encode(text))
    if max((max(row) for row in tokens.values() if row), default=0) >= vocabulary:
        raise InputError(
            f"{where} has tokens that are not in the model's vocabulary of {vocabulary:,}: it was "
            "trained with another encoding"
        )
    start = vocabulary
    out = []
    for record in records:
        texts = [tokens[text] for text in record.texts]
        made = [_row(parts, start, context) for parts in _parts(texts, task)]
        label = int(record.label) if task == "choice" else numbers[record.label]
        rows = tuple(row for row, _ in made)
        further = 1 + len(_parts(texts, task)[0])  # special tokens of a row
        ordinary = sum(len(row) - further for row in rows)
        out.append(Rows(rows, label, any(cut for _, cut in made), ordinary))
    return out


def _parts(texts: list[Row], task: Task) -> list[tuple[Row, ...]]:
    """The texts of each row of one example."""
    if task == "similarity":
        return [(texts[0], texts[1]), (texts[1], texts[0])]
    if task == "choice":
        return [(texts[0], answer) for answer in texts[1:]]
    return [tuple(texts)]


def _row(parts: tuple[Row, ...], start: int, context: int) -> tuple[Row, bool]:
    """One row of tokens and whether it was cut.

    >>> _row(((1, 2), (3,)), 10, 8), _row(((1, 2, 3), (4,)), 10, 6)
    (((10, 1, 2, 11, 3, 12), False), ((10, 1, 2, 11, 4, 12), True))
    """
    room = context - len(parts) - 1
    if room < len(parts):
        raise InputError(f"a context of {context} tokens is too short for a task")
    lengths = [len(part) for part in parts]
    excess = sum(lengths) - room
    if excess > 0 and len(parts) == 2:
        longer = int(lengths[1] > lengths[0])
        lengths[longer] -= min(excess, lengths[longer] - lengths[1 - longer])
        rest = max(0, sum(lengths) - room)
        lengths = [lengths[0] - (rest + 1 - longer) // 2, lengths[1] - (rest + longer) // 2]
    elif excess > 0:
        lengths = [room]
    row: list[int] = [start]
    for number, (part, length) in enumerate(zip(parts, lengths, strict=True)):
        row += [*([start + 1] if number else []), *part[:length]]
    return (*row, start + 2), excess > 0
