"""`curation dedup INPUT --plan`: what deduplication will find and cost, told from a sample before it runs.

The sample is whole files drawn by the seed (of a run directory: extracted shards), of which at most `SAMPLE` documents, drawn by text, are
compared with each other by brute force. From their similarities follows how many pairs of the whole meet in a band.

Cost: the files drawn are extracted; seconds for the comparison. Nothing is left on disk. Trap: true copies lie far apart, so a sample holds
few of them; what can be told from it is how many unlike pairs meet, which is what costs time for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from curation import draws, store
from curation.errors import InputError
from curation.inspect.evidence import frames
from curation.inspect.evidence.funnel import number
from curation.kernels.bands import chance_found, choose_bands

if TYPE_CHECKING:
    from curation.recipe.tables import DedupConfig, Recipe
    from curation.rundir.directory import RunDirectory, Shard

SAMPLE = 1500  # documents compared with each other
SHARDS = 8  # files of each dataset, or its shards of a run, that are looked into
DOCUMENT_BYTES, KEY_BYTES = (
    60,
    11,
)  # on disk, of a document and of one of its band keys; measured on web text
MERGE_NS = 5.0  # to compare two feature sets, a feature of either; measured
SHOWN = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
HASHES = (64, 128, 256)
BAR = 30


@dataclass(frozen=True, slots=True)
class Sample:
    """What was drawn. `similar` counts the pairs of compared documents by thousandths of Jaccard."""

    documents: int
    text_bytes: int
    group_bytes: int  # of the largest row group
    compared: int
    compared_bytes: int
    features: float  # of a document, the mean
    similar: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Expected:
    """What follows for all documents: pairs that meet in a band, those of them below min_jaccard, and what is measured at most."""

    meeting: float
    unlike: float
    measured: float
    disk_bytes: float


def sampled_shards(recipe: Recipe, shards: list[Shard]) -> list[Shard]:
    """At most `SHARDS` of each dataset, drawn by name."""
    chosen = []
    for name in recipe.names():
        own = [shard for shard in shards if shard.dataset == name]
        keys = draws.uniforms(
            recipe.seed, "inspect/dedup plan", (str(shard).encode() for shard in own)
        )
        order = np.argsort(keys, kind="stable")
        chosen += [own[i] for i in sorted(order[:SHARDS].tolist())]
    return chosen


def look(rundir: RunDirectory, shards: list[Shard]) -> Sample:
    """Compare a sample of the documents of some extracted shards. Raises InputError where they have no document."""
    from curation.kernels.pairs import similarity_counts

    found: list[tuple[float, int, int]] = []
    size = largest = 0
    for shard in shards:
        row = 0
        for batch in store.read_groups(rundir.survivors(shard), ["text", "content"]):
            keys = (content.as_py() for content in batch.column("content"))
            drawn = draws.uniforms(rundir.recipe.seed, "inspect/dedup plan", keys).tolist()
            found += [(u, shard.ordinal, row + i) for i, u in enumerate(drawn)]
            row += batch.num_rows
            here = sum(len(text.as_buffer()) for text in batch.column("text"))
            size, largest = size + here, max(largest, here)
    if not found:
        raise InputError(
            f"{rundir.out}: the files drawn hold no document, so there is nothing to plan from"
        )
    by_ordinal = {shard.ordinal: shard for shard in shards}
    chosen = sorted(found)[:SAMPLE]
    texts: list[str] = []
    for ordinal in sorted({o for _, o, _ in chosen}):
        rows = np.array(sorted(r for _, o, r in chosen if o == ordinal), np.int64)
        texts += (
            frames.take(rundir.survivors(by_ordinal[ordinal]), rows, ["text"]).column(0).to_pylist()
        )
    indptr, values = _features(rundir.recipe.dedup, texts)
    compared_bytes = sum(len(text.encode()) for text in texts)
    similar = similarity_counts(indptr, values)
    return Sample(
        len(found), size, largest, len(texts), compared_bytes, len(values) / len(texts), similar
    )


def _features(
    config: DedupConfig, texts: list[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    from curation.kernels import minhash
    from curation.kernels.buffers import text_buffers

    width = config.shingle_words if config.features == "shingle" else 1
    return minhash.feature_sets(
        *text_buffers(pa.array(texts, pa.large_string())), config.features, width
    )


def signing_seconds(config: DedupConfig, megabytes: float = 4.0) -> float:
    """Seconds that one worker takes to sign a megabyte of words drawn at random, measured here and now."""
    from curation.kernels import minhash

    words = np.random.default_rng(0).integers(0, 1 << 16, int(megabytes * 1e6 / 6))
    texts = [
        " ".join(f"{word:05d}" for word in part.tolist()) for part in np.array_split(words, 500)
    ]
    bands, rows = config.banding()
    permutations = minhash.permutations(0, bands * rows)
    best = np.inf
    for _ in range(2):  # the first may compile
        start = time.perf_counter()
        minhash.signatures(*_features(config, texts), *permutations)
        best = min(best, time.perf_counter() - start)
    return float(best / megabytes)


def expected(
    sample: Sample, documents: float, min_jaccard: float, bands: int, rows: int
) -> Expected:
    """What bands would do among so many documents of the sample's kind.

    >>> similar = np.zeros(1001, np.int64)
    >>> similar[0], similar[500] = 4849, 101
    >>> found = expected(Sample(100, 0, 0, 100, 0, 50.0, similar), 1000, 0.8, 20, 6)
    >>> round(found.meeting), round(found.unlike), found.measured == found.meeting
    (2754, 2754, True)
    """
    from curation.kernels.buckets import MOST

    pairs = sample.compared * (sample.compared - 1) / 2
    scale = documents * (documents - 1) / 2 / pairs if pairs else 0.0
    meet = (
        sample.similar
        * np.array([chance_found(k / 1000, bands, rows) for k in range(len(sample.similar))])
        * scale
    )
    meeting, unlike = float(meet.sum()), float(meet[: round(1000 * min_jaccard)].sum())
    disk = documents * (DOCUMENT_BYTES + KEY_BYTES * bands)
    return Expected(meeting, unlike, min(meeting, documents * bands * MOST), disk)


def plan_view(
    recipe: Recipe, sample: Sample, documents: float, workers: int
) -> Iterator[RenderableType]:
    """The curve of the bands, what they cost beside others, and memory, disk and time."""
    config = recipe.dedup
    bands, rows = config.banding()
    whole = "all" if documents == sample.documents else "an estimated"
    yield Text(
        f"{whole} {documents:,.0f} documents; {sample.documents:,} drawn, {sample.compared:,} of them compared",
        style="dim",
    )
    yield _curve(config, bands, rows)
    yield _alternatives(config, sample, documents)
    here = expected(sample, documents, config.min_jaccard, bands, rows)
    megabytes = documents * sample.text_bytes / max(1, sample.documents) / 1e6
    sign = megabytes * signing_seconds(config) / workers
    compare = here.measured * 2 * sample.features * MERGE_NS / 1e9 / workers
    per_byte = 1 + 16 * sample.features * sample.compared / max(1, sample.compared_bytes)
    yield Text("Cost", style="bold")
    yield Text(
        f"  disk    {_bytes(here.disk_bytes)} of band keys and document rows; while pairs are measured up to "
        f"{_bytes(here.measured * sample.features * 8)} of feature sets"
    )
    yield Text(
        f"  memory  {_bytes(sample.group_bytes * per_byte)} a worker for the largest row group seen; "
        f"{recipe.memory_gb:g} GB for the joins, which spill to disk beyond it (memory_gb)"
    )
    yield Text(
        f"  time    {_time(sign)} to sign {megabytes:,.0f} MB of text on {workers} workers, {_time(compare)} to measure pairs; "
        "reading the input and the joins come on top (docs/results/performance.md)"
    )


def _curve(config: DedupConfig, bands: int, rows: int) -> Table:
    table = _table(
        f"What {bands} bands of {rows} find (1 - (1 - J^{rows})^{bands})", ["Jaccard", "found", ""]
    )
    for jaccard in sorted({*SHOWN, config.min_jaccard}):
        found = chance_found(jaccard, bands, rows)
        style = (
            "bold"
            if jaccard == config.min_jaccard
            else ""
            if jaccard > config.min_jaccard
            else "dim"
        )
        mark = "  <- min_jaccard" if jaccard == config.min_jaccard else ""
        table.add_row(f"{jaccard:g}", f"{found:.2%}", "█" * round(BAR * found) + mark, style=style)
    return table


def _alternatives(config: DedupConfig, sample: Sample, documents: float) -> Table:
    """These bands beside those that `bands = "auto"` would choose."""
    head = [
        "bands x rows",
        f"found at {config.min_jaccard:g}",
        "pairs that meet",
        "of them unlike",
        "measured at most",
        "disk",
    ]
    table = _table("Pairs of documents, as the sample's similarities have it", head)
    shapes = {config.banding(): "these"}
    for hashes in HASHES:
        try:
            shapes.setdefault(choose_bands(config.min_jaccard, hashes), f"auto of {hashes}")
        except ValueError:  # so few hashes cannot find enough
            continue
    for (bands, rows), name in shapes.items():
        row = expected(sample, documents, config.min_jaccard, bands, rows)
        cells = [number(round(n)) for n in (row.meeting, row.unlike, row.measured)]
        table.add_row(
            f"{bands} x {rows} ({name})",
            f"{chance_found(config.min_jaccard, bands, rows):.2%}",
            *cells,
            _bytes(row.disk_bytes),
            style="bold" if name == "these" else "",
        )
    return table


def _bytes(size: float) -> str:
    """A size on disk or in memory.

    >>> _bytes(900), _bytes(2_040_000), _bytes(2.34e9)
    ('1 kB', '2 MB', '2.3 GB')
    """
    unit, name = next(
        (u, n)
        for u, n in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
        if size >= u or n == "kB"
    )
    return f"{size / unit:.{0 if unit < 1e9 else 1}f} {name}"


def _time(seconds: float) -> str:
    """A rough time.

    >>> _time(3.2), _time(300), _time(40_000)
    ('3 s', '5 min', '11 h')
    """
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )


def _table(title: str, head: list[str]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for i, name in enumerate(head):
        table.add_column(
            name, justify="left" if i in (0, 2) and not name else "right", no_wrap=True
        )
    return table
