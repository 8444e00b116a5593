"""What the quality classifier learns from: a bounded, content-keyed sample of each dataset, as
tables of term counts.

The tasks here run shard by shard; only counts leave them. Cost: a dataset's 16-byte content keys,
and the text of the row groups that hold an example (of all of them where long documents are cut
into windows: a document's windows are known from its text alone).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import draws, store
from curation.digests import config_digest
from curation.recipe.signals import names_of
from curation.rundir import schema
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.results import ShardResult, run_once, table_facts
from curation.rundir.survivors import char_lengths

if TYPE_CHECKING:
    from curation.rundir.plan import Plan

VERSION = 5
Task = tuple[Shard, float]  # and the share of its examples that are drawn
COLUMNS = ("content", "id", "url", "text")
Ints = npt.NDArray[np.int64]
TOKENS_SHOWN = 50  # of one feature and shard; what is rarer than the fiftieth explains no weight


def training_shares(rundir: RunDirectory, plan: Plan) -> dict[str, float]:
    """Which share of the examples of each dataset that is learned from trains."""
    recipe = rundir.recipe
    classes = recipe.positives(), recipe.negatives()
    return {name: s for names in classes for name, s in shares(rundir, plan, names).items()}


def shares(rundir: RunDirectory, plan: Plan, datasets: Sequence[str]) -> dict[str, float]:
    """Which share of each dataset's examples trains: the class's budget spread by weight, what a
    small one leaves going to the others."""
    config = rundir.recipe.classify
    counts = {name: _examples(rundir, plan, name) for name in datasets}
    weights = {name: config.weights.get(name, 1.0) for name in datasets}
    out: dict[str, float] = {}
    budget, left = float(config.max_documents), sum(weights.values())
    for name in sorted(counts, key=lambda name: (counts[name] / weights[name], name)):
        quota = budget * weights[name] / left
        out[name] = min(1.0, quota / counts[name]) if counts[name] else 1.0
        budget -= min(counts[name], quota)
        left -= weights[name]
    return out


def _examples(rundir: RunDirectory, plan: Plan, dataset: str) -> int:
    """Documents of a dataset; with windows, about as many windows as they have."""
    window = rundir.recipe.classify.window_chars
    paths = [rundir.documents(shard) for shard in plan.of(dataset)]
    kept = [fact.ledger.get("kept", [0, 0]) for fact in table_facts(rundir, paths).values()]
    documents = sum(counts[0] for counts in kept)
    return max(documents, sum(counts[1] for counts in kept) // window) if window else documents


def sample_shard(rundir: RunDirectory, task: Task) -> ShardResult:
    """Write the term counts of a shard's examples."""
    shard, share = task
    path = rundir.table("classify", shard, "features")
    config, seed = rundir.recipe.classify, rundir.recipe.seed
    upstream = store.need_footer(rundir.documents(shard)).identity
    names = names_of(config.signals)
    digest = config_digest(
        "classify/features", VERSION, share, config.window_chars, names, seed, upstream
    )

    def make() -> ShardResult:
        from curation.kernels.buffers import text_buffers
        from curation.kernels.hashingtf import term_counts
        from curation.kernels.signals import signals

        with store.TableWriter(path, schema.FEATURES, digest) as writer:
            for batch in _chosen(rundir, task):
                texts = text_buffers(batch.column("text"))
                indptr, indices, counts = term_counts(*texts)
                measured = signals(*texts, names)
                chars = pa.array(char_lengths(batch.column("text")).astype(np.int64))
                starts = pa.array(np.arange(len(measured) + 1, dtype=np.int32) * len(names))
                ends = pa.array(indptr.astype(np.int32))
                sites = [site(url) or None for url in batch.column("url").to_pylist()]
                lists = [pa.ListArray.from_arrays(ends, pa.array(v)) for v in (indices, counts)]
                keys = [batch.column(name) for name in ("content", "id", "window")]
                writer.write(
                    pa.record_batch(
                        [
                            *keys,
                            pa.array(sites, pa.string()),
                            *lists,
                            chars,
                            pa.ListArray.from_arrays(starts, pa.array(measured.ravel())),
                        ],
                        schema=schema.FEATURES,
                    )
                )
        return ShardResult(digest)

    return run_once(path, digest, make)


def tokens_shard(
    rundir: RunDirectory, features: Sequence[int], task: Task
) -> dict[int, dict[str, int]]:
    """The commonest tokens of a shard's examples that fall on `features`, with their
    occurrences: feature -> token -> count."""
    from curation.kernels.buffers import text_buffers
    from curation.kernels.feature_tokens import feature_tokens

    out: dict[int, dict[str, int]] = {}
    for batch in _chosen(rundir, task):
        for feature, tokens in feature_tokens(
            *text_buffers(batch.column("text")), features
        ).items():
            counts = out.setdefault(feature, {})
            for token, count in tokens.items():
                counts[token] = counts.get(token, 0) + count
    return {feature: commonest(tokens, TOKENS_SHOWN) for feature, tokens in out.items()}


def commonest(tokens: dict[str, int], n: int) -> dict[str, int]:
    """The `n` commonest, in order.

    >>> commonest({"a": 1, "c": 2, "b": 2}, 2)
    {'b': 2, 'c': 2}
    """
    return dict(sorted(tokens.items(), key=lambda item: (-item[1], item[0]))[:n])


def _chosen(rundir: RunDirectory, task: Task) -> Iterator[pa.RecordBatch]:
    """The examples drawn from a shard: COLUMNS and `window`."""
    shard, share = task
    path, seed, window = (
        rundir.documents(shard),
        rundir.recipe.seed,
        rundir.recipe.classify.window_chars,
    )
    if window:
        for batch in store.read_groups(path, COLUMNS):
            yield _windows(batch, window, seed, share)
        return
    for group, keys in enumerate(store.read_groups(path, ["content"])):
        chosen = draws.uniforms(seed, "classify/sample", keys.column(0).to_pylist()) < share
        if chosen.any():
            (batch,) = store.read_groups(path, COLUMNS, groups=[group])
            batch = batch.filter(pa.array(chosen))
            zeros = pa.array(np.zeros(batch.num_rows, np.int32))
            yield pa.RecordBatch.from_arrays([*batch.columns, zeros], names=[*COLUMNS, "window"])


def _windows(batch: pa.RecordBatch, window_chars: int, seed: int, share: float) -> pa.RecordBatch:
    """The windows drawn from some documents, each by its own draw."""
    rows, numbers, counts = window_places(batch.column("text"), window_chars)
    contents = batch.column("content").to_pylist()
    keys = (
        contents[row] + number.to_bytes(4, "little")
        for row, number in zip(rows.tolist(), numbers.tolist(), strict=True)
    )
    chosen = np.flatnonzero(draws.uniforms(seed, "classify/sample", keys) < share)
    rows, numbers = rows[chosen], numbers[chosen]
    # Without the text: a book repeated for each of its windows overflows 2 GB.
    taken = batch.select(COLUMNS[:3]).take(pa.array(rows))
    return pa.RecordBatch.from_arrays(
        [
            *taken.columns,
            pa.array(cut_windows(batch.column("text"), rows, numbers, counts), pa.string()),
            pa.array(numbers.astype(np.int32)),
        ],
        names=[*COLUMNS, "window"],
    )


def window_places(texts: pa.Array, window_chars: int) -> tuple[Ints, Ints, Ints]:
    """Of each window its text and its number in that, int64[windows], and how many windows each
    text has, int64[n]: one, or as many whole ones as it has characters for.

    >>> [places.tolist() for places in window_places(pa.array(["a", "bbbbb"]), 2)]
    [[0, 1, 1], [0, 0, 1], [1, 2]]
    """
    counts = np.maximum(1, char_lengths(texts) // window_chars)
    rows = np.repeat(np.arange(len(texts)), counts)
    return rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts), counts


def cut_windows(column: Any, rows: Ints, numbers: Ints, counts: Ints) -> list[str]:
    """The texts of some windows; a document is decoded once, however many windows it has."""
    out, last, text = [], -1, ""
    for row, number in zip(rows.tolist(), numbers.tolist(), strict=True):
        if row != last:
            last, text = row, column[row].as_py()
        out.append(window_text(text, number, int(counts[row])))
    return out


def window_text(text: str, number: int, windows: int) -> str:
    """Window `number` of a text cut into `windows` nearly equal ones, each ending behind a space
    where one is near.

    >>> [window_text("one two three four", k, 3) for k in range(3)]
    ['one two ', 'three ', 'four']
    """

    def cut(k: int) -> int:
        at = len(text) * k // windows
        space = text.find(" ", at, at + 100) if 0 < k < windows else -1
        return space + 1 if space >= 0 else at

    return text[cut(number) : cut(number + 1)]


def site(url: str | None) -> str:
    """The host of a URL, without `www.`; empty where there is none.

    >>> site("https://www.example.org/a/b")
    'example.org'
    """
    try:
        return (urlsplit(url or "").hostname or "").removeprefix("www.")
    except ValueError:  # "http://[" and the like: real crawls have them
        return ""
