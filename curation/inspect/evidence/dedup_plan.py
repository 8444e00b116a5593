"""What deduplication will find and cost, estimated from a sample before it runs.

The sample is whole files drawn by the seed (of a run directory: extracted shards), of which at most
`SAMPLE` documents, drawn by text, are compared with each other by brute force. Their similarities
say how many pairs of all documents meet in a band.

Cost: the files drawn are extracted; seconds for the comparison. Nothing is left on disk. Trap:
true copies are rare in a sample; what it estimates well is how many unlike pairs meet, which is
what costs time for nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curation import draws, store
from curation.errors import InputError
from curation.inspect.evidence import frames
from curation.inspect.evidence.listing import Listing, listing
from curation.inspect.numbers import file_size, number, percent
from curation.kernels.bands import chance_found, choose_bands

if TYPE_CHECKING:
    from curation.recipe.tables import DedupConfig, Recipe
    from curation.rundir.directory import RunDirectory, Shard

SAMPLE = 1500  # documents compared with each other
SHARDS = 8  # files of each dataset, or its shards of a run, that are read
DOCUMENT_BYTES = 60  # on disk, of a document; measured on web text
KEY_BYTES = 11  # on disk, of one of its band keys; measured on web text
MERGE_NS = 5.0  # nanoseconds to compare two feature sets, a feature of either; measured
HASHES = (64, 128, 256)


@dataclass(frozen=True, slots=True)
class Sample:
    """What was drawn.

    `group_bytes`: text of the largest row group. `features`: of a document, the mean. `similar`:
    pairs of the compared documents by Jaccard similarity in thousandths, int64[1001].
    """

    documents: int
    text_bytes: int
    group_bytes: int
    compared: int
    compared_bytes: int
    features: float
    similar: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Expected:
    """What bands do among all documents.

    `meeting`: pairs that meet in a band; `unlike`: those below min_jaccard; `measured`: pairs whose
    similarity is measured, at most; `disk_bytes`: of band keys and document rows.
    """

    meeting: float
    unlike: float
    measured: float
    disk_bytes: float


@dataclass(frozen=True, slots=True)
class DedupPlan:
    """What deduplication of `documents` documents will cost on `workers` workers.

    `text_mb`: megabytes of text. Bytes of feature sets while pairs are measured, and of memory of
    one worker. Seconds to sign the text and to measure pairs.
    """

    documents: float
    sample: Sample
    expected: Expected
    workers: int
    text_mb: float
    pair_bytes: float
    worker_bytes: float
    sign_s: float
    measure_s: float


def sampled_shards(recipe: Recipe, shards: list[Shard]) -> list[Shard]:
    """At most `SHARDS` of each dataset, drawn by name."""
    chosen = []
    for name in recipe.names():
        of_dataset = [shard for shard in shards if shard.dataset == name]
        keys = (str(shard).encode() for shard in of_dataset)
        drawn = draws.uniforms(recipe.seed, "inspect/dedup plan", keys)
        order = np.argsort(drawn, kind="stable")
        chosen += [of_dataset[i] for i in sorted(order[:SHARDS].tolist())]
    return chosen


def compared_sample(rundir: RunDirectory, shards: list[Shard]) -> Sample:
    """Documents of extracted shards, compared. Raises InputError where they have no document."""
    from curation.kernels.pairs import similarity_counts

    drawn: list[tuple[float, int, int]] = []  # draw, ordinal, row
    size = largest = 0
    for shard in shards:
        row = 0
        for batch in store.read_groups(rundir.survivors(shard), ["text", "content"]):
            keys = (content.as_py() for content in batch.column("content"))
            at = draws.uniforms(rundir.recipe.seed, "inspect/dedup plan", keys).tolist()
            drawn += [(u, shard.ordinal, row + i) for i, u in enumerate(at)]
            row += batch.num_rows
            group = sum(len(text.as_buffer()) for text in batch.column("text"))
            size, largest = size + group, max(largest, group)
    if not drawn:
        raise InputError(
            f"{rundir.out}: the files drawn hold no document, so there is nothing to plan from"
        )
    chosen = sorted(drawn)[:SAMPLE]
    texts: list[str] = []
    for shard in sorted(shards, key=lambda shard: shard.ordinal):
        rows = np.array(sorted(r for _, o, r in chosen if o == shard.ordinal), np.int64)
        texts += frames.take(rundir.survivors(shard), rows, ["text"]).column(0).to_pylist()
    indptr, values = frames.feature_sets(rundir.recipe.dedup, texts)
    compared_bytes = sum(len(text.encode()) for text in texts)
    features, similar = len(values) / len(texts), similarity_counts(indptr, values)
    return Sample(len(drawn), size, largest, len(texts), compared_bytes, features, similar)


def signing_seconds(config: DedupConfig, megabytes: float = 4.0) -> float:
    """Seconds that one worker takes to sign a megabyte of random words, measured when called."""
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
        minhash.signatures(*frames.feature_sets(config, texts), *permutations)
        best = min(best, time.perf_counter() - start)
    return float(best / megabytes)


def expected(
    sample: Sample, documents: float, min_jaccard: float, bands: int, rows: int
) -> Expected:
    """What bands do among so many documents like those of the sample.

    >>> similar = np.zeros(1001, np.int64)
    >>> similar[0], similar[500] = 4849, 101
    >>> rows = expected(Sample(100, 0, 0, 100, 0, 50.0, similar), 1000, 0.8, 20, 6)
    >>> round(rows.meeting), round(rows.unlike), rows.measured == rows.meeting
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


def dedup_plan(config: DedupConfig, sample: Sample, documents: float, workers: int) -> DedupPlan:
    """What deduplication costs, from a sample; the time to sign is measured when called."""
    bands = expected(sample, documents, config.min_jaccard, *config.banding())
    text_mb = documents * sample.text_bytes / max(1, sample.documents) / 1e6
    per_byte = 1 + 16 * sample.features * sample.compared / max(1, sample.compared_bytes)
    return DedupPlan(
        documents,
        sample,
        bands,
        workers,
        text_mb,
        pair_bytes=bands.measured * sample.features * 8,
        worker_bytes=sample.group_bytes * per_byte,
        sign_s=text_mb * signing_seconds(config) / workers,
        measure_s=bands.measured * 2 * sample.features * MERGE_NS / 1e9 / workers,
    )


def bands_listing(config: DedupConfig, plan: DedupPlan) -> Listing:
    """The recipe's bands beside those that `bands = "auto"` would choose."""
    head = (
        *("bands x rows", f"found at {config.min_jaccard:g}", "pairs that meet"),
        *("of them unlike", "measured at most", "disk"),
    )
    shapes = {config.banding(): "these"}
    for hashes in HASHES:
        try:
            shapes.setdefault(choose_bands(config.min_jaccard, hashes), f"auto of {hashes}")
        except ValueError:  # so few hashes cannot find enough
            continue
    rows = []
    for shape, name in shapes.items():
        row = expected(plan.sample, plan.documents, config.min_jaccard, *shape)
        counts = (number(round(n)) for n in (row.meeting, row.unlike, row.measured))
        chance = percent(chance_found(config.min_jaccard, *shape), 2)
        rows.append(
            (f"{shape[0]} x {shape[1]} ({name})", chance, *counts, file_size(row.disk_bytes))
        )
    title = "Pairs of documents, estimated from the sample's similarities"
    return listing(title, head, rows, left=(), strong=(0,))
