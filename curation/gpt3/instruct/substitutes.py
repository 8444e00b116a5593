"""Demonstrations that no person wrote: pairs of prompt and response taken from a corpus, from
question sets, or computed. They are substitutes, and every file of them says so.

    titles      the title of a document -> the first sentence under it
    summaries   a document              -> its title, as the line that sums it up
    questions   a question of TriviaQA or WebQuestions -> its answer
    arithmetic  a sum in words          -> its result

A prompt is drawn to one side by chance over its own text: to those that are shown with their
response, or to those that are asked later, in `rank` and `ppo`. So no prompt is in both.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import orjson

from curation.draws import uniform
from curation.errors import InputError
from curation.gpt3.evaluation import synthetic
from curation.gpt3.evaluation.answers import read_triviaqa, read_webqa
from curation.gpt3.tasks import ARITHMETIC
from curation.kernels.examples import json_records

Kind = Literal["titles", "summaries", "questions", "arithmetic"]
Pair = tuple[str, str]
MOST_TITLE, MOST_SENTENCE, MOST_BODY = 120, 400, 1200  # characters
SHOWN, ASKED = "demonstrations.jsonl", "prompts.jsonl"
# A sentence ends before a space or the end of the line; a single letter or number before the sign is
# an abbreviation or the number of a list.
_SENTENCE = re.compile(r".*?(?<!\b\w)[.!?][\"”’')]?(?=\s|$)", re.S)


def titled(text: str) -> tuple[str, str] | None:
    """The title of a document, its first line, and the paragraph under it; None where it has none.

    >>> titled("The tide\\n\\nIt turns twice a day. So it did.\\nMore.")
    ('The tide', 'It turns twice a day. So it did.')
    >>> titled("A first line that is a sentence.\\nMore.") is None
    True
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(lines) < 2 or len(lines[0]) > MOST_TITLE or lines[0][-1] in ".,;:":
        return None
    return lines[0], lines[1]


def first_sentence(paragraph: str) -> str | None:
    """The first sentence of a paragraph; None where none ends within `MOST_SENTENCE` characters.

    >>> first_sentence("It turns twice a day. So it did.")
    'It turns twice a day.'
    """
    found = _SENTENCE.match(paragraph[: MOST_SENTENCE + 1])
    return found[0] if found and len(found[0]) <= MOST_SENTENCE else None


def of_documents(texts: Iterable[str], kind: Kind) -> Iterator[Pair]:
    """The pairs of some documents, for titles and summaries."""
    for text in texts:
        parts = titled(text)
        if parts is None:
            continue
        title, paragraph = parts
        if kind == "summaries":
            body = text.split(title, 1)[1].strip()[:MOST_BODY]
            yield f"{body}\n\nTL;DR:", title
        elif (sentence := first_sentence(paragraph)) is not None:
            yield title, sentence


def of_questions(path: Path) -> Iterator[Pair]:
    """The questions of a file of TriviaQA or WebQuestions with their first answer.

    Raises InputError where it is neither.
    """
    records = [record for _, record in json_records(path.read_bytes(), str(path))]
    read = read_webqa if records and "qText" in records[0] else read_triviaqa
    try:
        asked = [(str(contexts[0]), str(answers[0])) for contexts, answers, *_ in read(records)]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path}: questions of TriviaQA or WebQuestions expected, JSON lines as they are "
            f"published ({type(error).__name__}: {error})"
        ) from error
    for context, answer in asked:
        yield context.removeprefix("Q: ").partition("\n")[0].strip(), answer.strip()


def of_sums(seed: int) -> Iterator[Pair]:
    """The questions of the ten tasks of arithmetic in turn, with their results."""
    sides = [iter(synthetic.arithmetic(name, seed)) for name in ARITHMETIC]
    for record in itertools.chain.from_iterable(zip(*sides, strict=False)):
        question = str(record["context"]).strip().removeprefix("Q: ").partition("\n")[0]
        yield question, str(record["completion"]).strip()


def write(pairs: Iterable[Pair], kind: Kind, folder: Path, count: int, seed: int) -> Sequence[int]:
    """Write `count` pairs at most, half of them as demonstrations, of the others only the prompt.

    Returns how many each file has. Raises InputError where there are none, and where the folder has
    such files.
    """
    paths = [folder / SHOWN, folder / ASKED]
    for path in paths:
        if path.exists():
            raise InputError(f"{path}: there is such a file already; name another folder")
    lines: tuple[list[bytes], list[bytes]] = ([], [])
    seen: set[str] = set()
    for prompt, response in pairs:
        if len(seen) == count:
            break
        if not prompt or not response or prompt in seen:
            continue
        seen.add(prompt)
        side = int(uniform(seed, "demonstrations", prompt.encode()) >= 0.5)
        row = {"prompt": prompt, "by": f"{kind}, no person"}
        lines[side].append(orjson.dumps(row if side else {**row, "response": response}))
    if not seen:
        raise InputError(f"no {kind} found in what was given; the help says what each kind needs")
    folder.mkdir(parents=True, exist_ok=True)
    for path, rows in zip(paths, lines, strict=True):
        path.write_bytes(b"".join(row + b"\n" for row in rows))
    return [len(rows) for rows in lines]
