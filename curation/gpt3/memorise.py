"""Learning or memorising: does a model continue its training documents word for word?

A document's first `prefix` tokens, after end-of-text as in training, are given to the model; it
writes the likeliest `length` tokens. Memorised is a document whose own next tokens these are,
exactly. The share is set against how often training had seen the document: the shards hold each as
often as its dataset's epochs, and exactly those windows count that the checkpoint's steps had read.
Documents of the validation shards were seen never: what a model gets right there it did not
memorise.

Documents with the same first prefix + length tokens are one document here. Cost: the tokens at the
start of each document are held at once, at most `MOST_DOCUMENTS` of them; of more, a share drawn by
content is looked at. Trap: end-of-text must stand between documents, as `curation mix` writes it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray

from curation.errors import InputError
from curation.gpt3.checkpoint import State
from curation.gpt3.data import Shards, Windows, windows
from curation.gpt3.evaluation.metrics import share
from curation.gpt3.model import GPT3
from curation.gpt3.scoring import greedy

MOST_DOCUMENTS = 2_000_000
_BLOCK = 65_536  # windows read at a time
# How often a document was seen: rows of the table, each from here to below the next.
BINS = (0, 1, 2, 3, 5, 9, 17, 33, 65, 129, 10**9)

Tokens = NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """Documents seen `least` to `most` times: those there are, those asked, the share memorised with
    its 95 % interval, and how many of the tokens were right before the first wrong one, on average.
    """

    least: int
    most: int
    documents: int
    asked: int
    memorised: dict[str, float] | None
    right_tokens: float


def memorisation(
    model: GPT3,
    shards: Shards,
    state: State,
    prefix: int,
    length: int,
    examples: int,
    seed: int,
) -> list[Row]:
    """A row for each number of times that documents were seen; at most `examples` documents of
    each are asked, drawn by `seed`."""
    if prefix + length + 1 > model.size.context:
        raise InputError(
            f"{prefix} tokens and {length} more do not fit into the model's window of "
            f"{model.size.context}; ask for fewer (--prefix, --length)"
        )
    seed_of_run = int(state.config["seed"])
    train = windows(shards, shards.train, model.size.context, seed_of_run)
    documents, times = seen_documents(train, state.window, shards.end_of_text, prefix + length)
    unseen = _held_out(shards, model.size.context, prefix + length)
    known = {row.tobytes() for row in documents}
    unseen = unseen[[row.tobytes() not in known for row in unseen]]
    rows = []
    for least, above in itertools.pairwise(BINS):
        these = documents[(times >= least) & (times < above)]
        if least == 0:
            these = np.concatenate((these, unseen))
        if len(these):
            most = 0 if least == 0 else int(times[(times >= least) & (times < above)].max())
            rows.append(
                _row(model, these, (least, most), prefix, examples, seed, shards.end_of_text)
            )
    return rows


def _row(
    model: GPT3,
    documents: Tokens,
    times: tuple[int, int],
    prefix: int,
    examples: int,
    seed: int,
    end_of_text: int,
) -> Row:
    keys = np.array([xxhash.xxh3_64_intdigest(row.tobytes(), seed) for row in documents], np.uint64)
    asked = documents[np.argsort(keys, kind="stable")[:examples]]
    contexts = [(end_of_text, *row[:prefix].tolist()) for row in asked]
    length = asked.shape[1] - prefix
    with torch.no_grad():
        answers = np.array(greedy(model, contexts, length, lambda _: False), np.int64)
    right = answers == asked[:, prefix:]
    before_wrong = np.where(right.all(1), length, right.argmin(1))
    memorised = share(int(right.all(1).sum()), len(asked))
    return Row(*times, len(documents), len(asked), memorised, float(before_wrong.mean()))


def seen_documents(
    train: Windows, read: int, end_of_text: int, length: int
) -> tuple[Tokens, NDArray[np.int64]]:
    """The first `length` tokens of each different document that is as long, (N, length), and how
    often the first `read` windows in visiting order held all of them, in one window or two."""
    was_read = np.zeros(len(train), bool)
    was_read[train.visited(0, min(read, len(train)))] = True
    starts: list[Tokens] = []
    kept: list[Tokens] = []
    for begin, tokens in _stream(train, length):
        found = _starts(tokens, end_of_text, length, begin == 0)
        starts.append(begin + found)
        kept.append(tokens[found[:, None] + np.arange(length)])
    rows, places = np.concatenate(kept), np.concatenate(starts)
    if len(rows) > MOST_DOCUMENTS:
        keys = np.array([xxhash.xxh3_64_intdigest(row.tobytes()) for row in rows], np.uint64)
        below = keys < np.uint64(2**64 * (MOST_DOCUMENTS / len(rows)) - 1)
        rows, places = rows[below], places[below]
    # Window w reads tokens from w * context on and predicts those up to (w + 1) * context.
    windows_of = (places[:, None] + np.array([0, max(0, length - 2)])) // train.context
    last = len(train) - 1
    whole = np.ones(len(rows), bool)
    for end in (0, 1):
        whole &= (windows_of[:, end] <= last) & was_read[np.minimum(windows_of[:, end], last)]
    documents, inverse = np.unique(rows, axis=0, return_inverse=True)
    return documents, np.bincount(inverse.ravel(), whole, len(documents)).astype(np.int64)


def _stream(train: Windows, length: int) -> Iterator[tuple[int, Tokens]]:
    """The tokens of all windows in stream order, a block with the next tokens of each document that
    begins in it: (its first token's number, tokens)."""
    context = train.context
    for first in range(0, len(train), _BLOCK):
        numbers = range(first, min(first + _BLOCK, len(train)))
        parts = [train.window(number)[:context] for number in numbers]
        after = range(numbers.stop, min(numbers.stop + -(-length // context), len(train)))
        parts += [train.window(number)[:context] for number in after]
        tokens = np.concatenate(parts)[: len(numbers) * context + length]
        yield first * context, tokens


def _starts(tokens: Tokens, end_of_text: int, length: int, from_start: bool) -> Tokens:
    """Where documents of at least `length` tokens begin: after each end-of-text."""
    ends = np.flatnonzero(tokens == end_of_text)
    starts = np.concatenate((np.zeros(int(from_start), np.int64), ends + 1))
    next_end = np.append(ends, len(tokens))[np.searchsorted(ends, starts)]
    return starts[next_end - starts >= length]


def _held_out(shards: Shards, context: int, length: int) -> Tokens:
    """The first `length` tokens of the documents of all validation shards."""
    found: list[Tokens] = [np.empty((0, length), np.int64)]
    for names in shards.validation.values():
        held_out = windows(shards, names, context, None)
        for begin, tokens in _stream(held_out, length):
            starts = _starts(tokens, shards.end_of_text, length, begin == 0)
            found.append(tokens[starts[:, None] + np.arange(length)])
    return np.unique(np.concatenate(found), axis=0)


def table(rows: Sequence[Row]) -> list[str]:
    """The rows as lines of text."""
    lines = [
        f"{'times seen':<12} {'documents':>10} {'asked':>6} {'verbatim':>9} {'95 %':>18} tokens"
    ]
    for row in rows:
        times = f"{row.least}" if row.most <= row.least else f"{row.least} to {row.most}"
        one = row.memorised or {"value": 0.0, "low": 0.0, "high": 1.0}
        value = f"{100 * one['value']:.1f} %"
        span = f"{100 * one['low']:.1f} to {100 * one['high']:.1f} %"
        lines.append(
            f"{times:<12} {row.documents:>10,} {row.asked:>6} {value:>9} {span:>18} "
            f"{row.right_tokens:.1f}"
        )
    return lines
