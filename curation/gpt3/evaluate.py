"""Zero-, one- and few-shot evaluation (GPT-3, sections 2.4 and 3): tasks of `tasks.py`, scored by
`scoring.py`.

Each example is asked after K others with their answers, drawn anew for it by a seed: from the
training split where the benchmark folder holds one, otherwise from the other examples of the set,
never itself. Where K do not fit into the model's window, fewer are shown, and `shots` says how many
on average.

Choices are compared per token, or, for ARC, OpenBookQA and RACE, by P(completion | context) /
P(completion | answer context). Free-form answers are written up to a line's end, by beam search
where the reader's `width` is above 1 (the paper: 4, with a length penalty of 0.6).

Cost: one pass over context and completion for each option; with shots the context is read again for
each. Trap: intervals (95 %, Wilson's for shares) tell how far the set itself could be off, not how
the choice of shots matters: try another seed for that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from curation.gpt3.dirty import ids_of_file, join_warnings, read_dirty, words_of_file
from curation.gpt3.evaluation.example import Example
from curation.gpt3.evaluation.metrics import Rows, answer_row, apart, metrics
from curation.gpt3.generate import load_checkpoint
from curation.gpt3.instruct.data import Encoding
from curation.gpt3.model import GPT3
from curation.gpt3.parallel import device_named
from curation.gpt3.scoring import Request, Score, beam, greedy, log_likelihoods
from curation.gpt3.tasks import Task, examples, find_tasks, shot_pool

__all__ = ["Reader", "evaluate", "measure", "open_reader", "read_dirty"]
CHANCE_KINDS = ("choice", "partial")


@dataclass(frozen=True)
class Reader:
    """A model with its tokens: scores and answers texts. The one thing a test, or another model,
    has to stand in for.

    width: of the beam that answers are searched with; 1 is greedy.
    """

    model: GPT3
    encoding: Encoding
    end_of_text: int
    width: int = 1

    @property
    def window(self) -> int:
        return self.model.size.context

    def tokens(self, text: str) -> int:
        return len(self.encoding.encode_ordinary(text))

    def request(self, context: str, completion: str) -> Request:
        """Tokens of both: white space at the context's end goes to the completion, and no context
        means a document's start."""
        bare = context.rstrip()
        ids = self.encoding.encode_ordinary(bare)
        whole = self.encoding.encode_ordinary(context + completion)
        if whole[: len(ids)] != ids:  # the border falls into a token: take both parts as they are
            whole = ids + self.encoding.encode_ordinary(context[len(bare) :] + completion)
        return Request(tuple(ids) or (self.end_of_text,), tuple(whole[len(ids) :]))

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        """The score of each (context, completion)."""
        return log_likelihoods(self.model, [self.request(*pair) for pair in pairs])

    def answer(self, contexts: Sequence[str], stops: Sequence[str], max_tokens: int) -> list[str]:
        """What the model writes after each context, up to the first of `stops`, end-of-text, or
        `max_tokens` tokens."""

        def text(ids: list[int]) -> str:
            return self.encoding.decode([token for token in ids if token != self.end_of_text])

        def ended(ids: list[int]) -> bool:
            return ids[-1] == self.end_of_text or any(stop in text(ids) for stop in stops)

        requests = [
            tuple(self.encoding.encode_ordinary(c.rstrip(" "))) or (self.end_of_text,)
            for c in contexts
        ]
        if self.width == 1:
            found = greedy(self.model, requests, max_tokens, ended)
        else:
            found = beam(self.model, requests, max_tokens, ended, self.width)
        answers = [text(ids) for ids in found]
        return [
            re.split("|".join(map(re.escape, stops)), a, maxsplit=1)[0] if stops else a
            for a in answers
        ]


def open_reader(checkpoint: Path, device: str | None = "cpu", width: int = 1) -> Reader:
    """The model in `checkpoint` as `load_checkpoint` finds it, on `device` (None: a GPU where there
    is one); `width` is that of the beam."""
    from curation.kernels import bpe

    model, name, end_of_text = load_checkpoint(checkpoint, device_named(device))
    return Reader(model.eval(), bpe.encoding(name), end_of_text, width)


def evaluate(
    reader: Reader,
    benchmarks: Path | Sequence[Path],
    names: Sequence[str] = (),
    *,
    shots: int = 0,
    limit: int | None = None,
    seed: int = 0,
    dirty: Mapping[str, set[str]] | None = None,
    say: Callable[[dict[str, Any]], None] = lambda _: None,
    describe: bool = True,
) -> list[dict[str, Any]]:
    """A result for each task (see `measure`), given to `say` as they come.

    limit: at most so many examples of a task, drawn by `seed`. describe: show the task's description
    in words before everything else, where the paper has one. dirty: benchmark -> ids of examples
    that the training text overlaps with (`read_dirty`); with it the clean and the dirty examples
    are scored apart too, and `warnings` of a result say where its ids match no example.
    Examples that were too short to be looked for are neither: they are `unsearched`.
    """
    results = []
    for task, path in find_tasks(benchmarks, names):
        of_file = examples(task, path, zero=describe and not shots)
        task = task if describe else replace(task, header="")
        pool = shot_pool(task, path) if shots else []
        chosen = list(range(len(of_file)))
        if limit is not None and limit < len(of_file):
            chosen = sorted(_order(seed, task.name, "", len(of_file))[:limit])
        started = time.monotonic()
        result = measure(reader, task, of_file, chosen, pool, shots, seed)
        rows = result.pop("rows")
        if dirty is not None:
            result |= _by_side(task, path, of_file, chosen, rows, dirty)
        results.append(
            {
                "task": task.name,
                "file": path.name,
                "title": task.title or task.name,
                "group": task.group,
                "described": describe,
                **result,
                "seconds": round(time.monotonic() - started, 1),
            }
        )
        say(results[-1])
    return results


def _by_side(
    task: Task,
    path: Path,
    of_file: list[Example],
    chosen: list[int],
    rows: Rows,
    dirty: Mapping[str, set[str]],
) -> dict[str, Any]:
    """The metrics of clean, dirty and unsearched examples, N, and where ids match nothing."""
    ids = ids_of_file(dirty, path)
    unsearched = ids_of_file(getattr(dirty, "unsearched", {}), path)
    sides = {"dirty": ids or set(), "unsearched": unsearched or set()}
    return {
        **apart([of_file[i].id for i in chosen], sides, rows, task.kind, task.metric),
        "n": words_of_file(getattr(dirty, "words", {}), path),
        "warnings": join_warnings(path, ids, {example.id for example in of_file}),
    }


def measure(
    reader: Reader,
    task: Task,
    of_file: list[Example],
    chosen: list[int],
    pool: list[Example],
    shots: int,
    seed: int,
) -> dict[str, Any]:
    """Scores of the examples `of_file[i]` for i in `chosen`: metrics with intervals, shots shown on
    average, contexts that were cut."""
    prompts = [_prompt(reader, task, of_file, i, pool, shots, seed) for i in chosen]
    asked = [of_file[i] for i in chosen]
    scorers = {"answer": _answers, "cloze": _cloze, "labels": _labels}
    scorer = scorers.get(task.kind, _choices)
    rows, cut = scorer(reader, task, asked, [contexts for contexts, _ in prompts])
    chance = [_chance(task, example) for example in asked] or [0.0]
    return {
        "kind": task.kind,
        "examples": len(asked),
        "shots_asked": shots,
        "shots": round(sum(k for _, k in prompts) / max(1, len(prompts)), 2),
        "shots_from": (task.pool or ("the other examples", "the training split")[bool(pool)])
        if shots
        else None,
        "cut": cut,
        "chance": round(float(np.mean(chance)), 4),
        **metrics(rows, task.kind, task.metric),
        "rows": rows,
    }


def _chance(task: Task, example: Example) -> float:
    """How often a guess is right."""
    if task.kind == "labels":
        return float(0.5 ** len(example.golds))
    return float(np.mean(example.right)) if task.kind in CHANCE_KINDS else 0.0


def _prompt(
    reader: Reader,
    task: Task,
    of_file: list[Example],
    place: int,
    pool: list[Example],
    shots: int,
    seed: int,
) -> tuple[tuple[str, ...], int]:
    """The contexts of one example with what stands before them, and how many shots that is."""
    example = of_file[place]
    candidates = pool or of_file
    free = task.kind in ("answer", "cloze")
    order = _order(seed, task.name, f"{place}", len(candidates)) if shots else []
    others = (candidates[i] for i in order if (pool or i != place) and not candidates[i].denied)
    drawn = islice((shot for shot in others if not shot.shows_answer_of(example, free)), shots)
    room = (
        reader.window
        + 1
        - max(reader.tokens(c) for c in example.contexts)
        - max(reader.tokens(c) for c in example.completions)
    )
    if task.kind == "answer":
        room = min(
            room,
            reader.window - _tokens(reader, task) - max(reader.tokens(c) for c in example.contexts),
        )
    shown: list[str] = []
    room -= reader.tokens(task.header)
    for shot in drawn:
        text = shot.shown + task.delimiter
        room -= reader.tokens(text)
        if room < 0:
            break
        shown.append(text)
    before = task.header + "".join(shown)
    return tuple(before + context for context in example.contexts), len(shown)


def _order(seed: int, task: str, place: str, count: int) -> list[int]:
    """The numbers below `count` in a random order that depends on the arguments alone."""
    key = xxhash.xxh3_64_intdigest(f"gpt3/shots/{seed}/{task}/{place}".encode())
    order: list[int] = np.random.default_rng(key).permutation(count).tolist()
    return order


# ---- one row an example --------------------------------------------------------------------------


def _choices(
    reader: Reader, task: Task, asked: list[Example], contexts: list[tuple[str, ...]]
) -> tuple[Rows, int]:
    """Whether the best option is the right one, for each example; and how many were cut."""
    pairs = [
        (of_example[i % len(of_example)], example.completions[i % len(example.completions)])
        for example, of_example in zip(asked, contexts, strict=True)
        for i in range(len(example.options))
    ]
    scores = reader.score(pairs)
    if task.answer_context:
        base = reader.score([(task.answer_context, completion) for _, completion in pairs])
        values = [s.log_probability - b.log_probability for s, b in zip(scores, base, strict=True)]
    elif task.kind == "partial":
        values = [s.log_probability for s in scores]
    else:
        values = [s.log_probability / s.tokens for s in scores]
    rows, cut, end = [], 0, 0
    for example in asked:
        start, end = end, end + len(example.options)
        rows.append({"right": float(example.right[int(np.argmax(values[start:end]))])})
        cut += any(score.cut for score in scores[start:end])
    return rows, cut


def _cloze(
    reader: Reader, task: Task, asked: list[Example], contexts: list[tuple[str, ...]]
) -> tuple[Rows, int]:
    scores = reader.score(
        [
            (of_example[0], example.completions[0])
            for example, of_example in zip(asked, contexts, strict=True)
        ]
    )
    rows = [{"right": float(s.greedy), "log_probability": s.log_probability} for s in scores]
    return rows, sum(s.cut for s in scores)


def _labels(
    reader: Reader, task: Task, asked: list[Example], contexts: list[tuple[str, ...]]
) -> tuple[Rows, int]:
    """Whether all answers of each question are labelled right, and counts for F1 of "true"."""
    pairs = [
        (of_example[0], completion)
        for example, of_example in zip(asked, contexts, strict=True)
        for completion in example.completions
    ]
    scores = iter(reader.score(pairs))
    rows, cut = [], 0
    for example in asked:
        own = [next(scores) for _ in example.completions]
        values = np.array([s.log_probability / s.tokens for s in own]).reshape(-1, 2)
        said, wanted = values.argmax(1), np.array(example.golds) % 2
        both = float(((said == 0) & (wanted == 0)).sum())
        named = float((said == 0).sum() + (wanted == 0).sum())
        rows.append({"right": float((said == wanted).all()), "both": both, "named": named})
        cut += any(score.cut for score in own)
    return rows, cut


def _answers(
    reader: Reader, task: Task, asked: list[Example], contexts: list[tuple[str, ...]]
) -> tuple[Rows, int]:
    """How near the written answer comes to a right one by the task's metric."""
    tokens = _tokens(reader, task)
    texts = reader.answer([context for context, *_ in contexts], ["\n"], tokens)
    rows = [
        answer_row(text, example.completions, task.metric, example.denied)
        for text, example in zip(texts, asked, strict=True)
    ]
    return rows, sum(reader.tokens(context) > reader.window - tokens for context, *_ in contexts)


def _tokens(reader: Reader, task: Task) -> int:
    """How long an answer may be: at most half of the window."""
    return min(task.answer_tokens, max(1, reader.window // 2))
