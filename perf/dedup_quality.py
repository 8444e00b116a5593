"""What deduplicators find and what they miss: `python perf/dedup_quality.py ../shared/data [--datatrove PYTHON]`.

One sample of pages fetched several times, web articles, articles with planted copies and editions of books (the first 100,000 characters of
each). The truth is the exact Jaccard of all pairs, by 5-word shingles and by unigrams. A tool is judged by the documents it removes,
whichever way it finds them:

- *precision*: of the documents it removes, those that have a Jaccard of at least t with a document it keeps;
- *recall*: of the removals that are due, those made. Still due are the documents that the truth, walked greedily from the longest text to
  the shortest, would remove from what the tool keeps.

Beside ours (both presets, and bands chosen for t): datatrove's pipeline; datasketch's MinHashLSH, each document against those kept so far,
with its candidates trusted or measured; and Spark's MinHashLSH read literally as in the paper's appendix A (10 hashes on the classifier's
features, any equal one links, connected components). A tool without a threshold is the same at every t. What is not installed is left out
with a sentence. Cost: about five minutes on two slow cores, 2 GB. Trap: the truth is of our features; datatrove's words are spaCy's.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from curation import store
from curation.engine.local import LocalEngine
from curation.kernels import minhash
from curation.kernels.buffers import text_buffers
from curation.kernels.pairs import similar_pairs
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe

PEER = Path(__file__).with_name("peers") / "datatrove_dedup.py"
THRESHOLDS = (0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
WEB = 2000  # documents of webtext
BOOK_CHARS = 100_000  # of each edition of a book
Bools = npt.NDArray[np.bool_]
Kept = Callable[[float], Bools]  # threshold -> which documents stay


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--datatrove", help="The Python of an environment that has datatrove.")
@click.option("--spark/--no-spark", default=True, show_default=True)
def main(data: Path, datatrove: str | None, spark: bool) -> None:
    """Print a table for each kind of features."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(LocalEngine(2)) as engine:
        ids, texts = sample(data, engine, Path(folder, "crawl"))
        planted = [
            tuple(line.split()) for line in (data / "nearduplicates/articles_1000.truth").open()
        ]
        file = Path(folder, "sample.parquet")
        pq.write_table(pa.table({"id": ids, "text": texts}), file)
        print(
            f"{len(ids):,} documents, {sum(map(len, texts)) / 1e6:.1f} million characters, load {os.getloadavg()[0]:.1f}"
        )
        places = [(ids.index(a), ids.index(b)) for a, b in planted]
        for features in ("shingle", "unigram"):
            sets = minhash.feature_sets(
                *text_buffers(pa.array(texts, pa.large_string())), features, 5
            )
            truth = all_pairs(*sets)
            found = {t: int((truth[2] >= t).sum()) for t in THRESHOLDS}
            print(
                f"\n{features}: pairs of all {len(ids) * (len(ids) - 1) // 2:,} at Jaccard of at least",
                found,
            )
            tools: dict[str, Kept]
            if features == "shingle":
                tools = {
                    "ours, 20 x 6": ours(engine, file, ids, Path(folder, "default"), {}),
                    "ours, bands for t": ours(
                        engine, file, ids, Path(folder, "auto"), {"bands": "auto"}
                    ),
                    "datasketch, measured": datasketch(sets, measured=True),
                    "datasketch": datasketch(sets, measured=False),
                }
                if datatrove:
                    tools["datatrove, 14 x 8"] = fixed(
                        by_datatrove(datatrove, ids, texts, Path(folder, "dt"))
                    )
                else:
                    print("datatrove: left out, for no --datatrove PYTHON was given")
            else:
                gpt3 = {"features": "unigram", "bands": 5, "rows": 2}
                tools = {"ours, 5 x 2": ours(engine, file, ids, Path(folder, "gpt3"), gpt3)}
                tools["any of our 10 hashes"] = fixed(linked_by_any(signed(sets)))
                if spark:
                    tools["any of Spark's 10"] = fixed(linked_by_any(spark_hashes(sets)))
            table(tools, truth, len(ids), places)


# ---- the sample ------------------------------------------------------------------------------------------------------------------------


def sample(data: Path, engine: LocalEngine, out: Path) -> tuple[list[str], list[str]]:
    """ids and texts, the longest text first; every one has a word."""
    made = recipe.parse(
        {
            "stages": ["extract"],
            "dataset": [
                {"name": "crawl", "role": "crawl", "files": [str((data / "crawl").resolve())]}
            ],
        }
    )
    rundir, plan = pipeline.run(made, str(out), engine, say=lambda _: None)
    rows = [
        row
        for shard in plan.shards
        for row in store.read_table(rundir.documents(shard), ["id", "text"]).to_pylist()
    ]
    found = [(row["id"], row["text"]) for row in rows]
    web = pq.read_table(data / "text/webtext.parquet", columns=["id", "text"])
    chosen = np.sort(np.random.default_rng(0).choice(web.num_rows, WEB, replace=False))
    found += [(f"web {row['id']}", row["text"]) for row in web.take(pa.array(chosen)).to_pylist()]
    books = pq.read_table(
        data / "nearduplicates/gutenberg_editions.parquet", columns=["doc_id", "text"]
    )
    found += [(row["doc_id"], row["text"][:BOOK_CHARS]) for row in books.to_pylist()]
    for line in (data / "nearduplicates/articles_1000.train").open(encoding="utf-8"):
        name, _, text = line.rstrip("\n").partition(" ")
        found.append((name, text))
    indptr, _ = minhash.feature_sets(
        *text_buffers(pa.array([text for _, text in found], pa.large_string())), "shingle"
    )
    found = [one for one, size in zip(found, np.diff(indptr), strict=True) if size]
    found.sort(key=lambda one: (-len(one[1]), one[0]))
    return [id_ for id_, _ in found], [text for _, text in found]


# ---- the truth -------------------------------------------------------------------------------------------------------------------------

Pairs = tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]
]  # i < j, their Jaccard


def all_pairs(
    indptr: npt.NDArray[np.int64], values: npt.NDArray[np.int64], least: float = 0.5
) -> Pairs:
    """Every pair of documents with a Jaccard of at least `least`."""
    i, j, shared, total = similar_pairs(indptr, values, least)
    return i, j, shared / total


def judged(kept: Bools, truth: Pairs, t: float) -> tuple[int, int, int]:
    """(removed, removed with a document like it that stays, still due to be removed)."""
    i, j, jaccard = truth
    like = jaccard >= t
    i, j = i[like], j[like]
    twin = np.zeros(len(kept), bool)
    twin[i[kept[j]]] = True
    twin[j[kept[i]]] = True
    stays = kept.copy()
    both = kept[i] & kept[j]
    order = np.lexsort((i[both], j[both]))
    for a, b in zip(i[both][order].tolist(), j[both][order].tolist(), strict=True):
        if stays[a]:
            stays[b] = False
    return int((~kept).sum()), int((~kept & twin).sum()), int((kept & ~stays).sum())


def table(tools: dict[str, Kept], truth: Pairs, n: int, planted: list[tuple[int, int]]) -> None:
    """Print precision and recall of each tool at each threshold."""
    print(f"{'precision / recall (removed) at':24}" + "".join(f"{t:>22}" for t in THRESHOLDS))
    for name, tool in tools.items():
        cells = []
        for t in THRESHOLDS:
            kept = tool(t)
            removed, right, due = judged(kept, truth, t)
            precision = f"{right / removed:.3f}" if removed else "-"
            cells.append(f"{precision} / {right / max(1, right + due):.3f} ({removed:,})")
        split = sum(not (kept[a] and kept[b]) for a, b in planted)  # at the last threshold
        at_08 = tool(0.8)
        found = sum(not (at_08[a] and at_08[b]) for a, b in planted)
        print(f"{name:24}" + "".join(f"{cell:>22}" for cell in cells))
        print(
            f"{'':24}stay at 0.8: {int(at_08.sum()):,} of {n:,}; planted pairs found at 0.8: {found}, at 0.95: {split} of {len(planted)}"
        )


def fixed(kept: Bools) -> Kept:
    """A tool without a threshold."""
    return lambda t: kept


# ---- the tools -------------------------------------------------------------------------------------------------------------------------


def ours(
    engine: LocalEngine, file: Path, ids: list[str], out: Path, settings: dict[str, object]
) -> Kept:
    """The stage itself; another threshold decides again from what is stored."""

    def kept(t: float) -> Bools:
        table = {"alarm": "warn", **settings, "min_jaccard": t}
        made = recipe.parse(
            {
                "stages": ["extract", "dedup"],
                "dataset": [{"name": "all", "files": [str(file)]}],
                "dedup": table,
            }
        )
        rundir, plan = pipeline.run(made, str(out), engine, update=True, say=lambda _: None)
        (shard,) = plan.shards
        stays = store.read_table(rundir.decision("dedup", shard), ["keep"]).column(0).to_pylist()
        names = store.read_table(rundir.documents(shard), ["id"]).column(0).to_pylist()
        by_id = dict(zip(names, stays, strict=True))
        return np.array([by_id[id_] for id_ in ids])

    return kept


def datasketch(
    sets: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], *, measured: bool
) -> Kept:
    """MinHashLSH of 128 permutations with its own choice of bands; a document goes if one kept before it is found (and as like)."""
    from datasketch import MinHash, MinHashLSH

    features = np.split(sets[1], sets[0][1:-1])
    hashed = []
    for own in features:
        one = MinHash(128, seed=1)
        one.update_batch([x.tobytes() for x in own])
        hashed.append(one)

    def kept(t: float) -> Bools:
        index = MinHashLSH(threshold=t, num_perm=128)
        stays = np.ones(len(features), bool)
        for number, (one, own) in enumerate(zip(hashed, features, strict=True)):
            for other in index.query(one):
                shared, total = (
                    minhash.intersection_and_union(own, features[other]) if measured else (1, 1)
                )
                if shared >= t * total:
                    stays[number] = False
                    break
            if stays[number]:
                index.insert(number, one)
        return stays

    return kept


def by_datatrove(python: str, ids: list[str], texts: list[str], out: Path) -> Bools:
    """Which documents datatrove's pipeline keeps; its clusters keep one document each."""
    import gzip
    import json

    (out / "in").mkdir(parents=True)
    for half in range(2):  # it shares out files
        pq.write_table(
            pa.table({"id": ids[half::2], "text": texts[half::2]}), out / "in" / f"{half}.parquet"
        )
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(
        [python, str(PEER), str(out / "in"), str(out), "2"],
        env=clean,
        check=True,
        capture_output=True,
    )
    stays = set()
    for path in out.glob("kept/*.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            stays |= {json.loads(line)["id"] for line in lines}
    return np.array([id_ in stays for id_ in ids])


def signed(sets: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> npt.NDArray[np.uint64]:
    """Our ten hashes."""
    return minhash.signatures(*sets, *minhash.permutations(0, 10))


def spark_hashes(
    sets: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> npt.NDArray[np.float64]:
    """Spark's ten hashes of each document: float64[n, 10]."""
    from pyspark.ml.feature import MinHashLSH
    from pyspark.ml.linalg import Vectors

    from curation.engine.spark import SparkEngine

    session = SparkEngine("local[2]")._spark
    features = np.split(sets[1], sets[0][1:-1])
    rows = [
        (i, Vectors.sparse(1 << 18, own.tolist(), [1.0] * len(own)))
        for i, own in enumerate(features)
    ]
    frame = session.createDataFrame(rows, ["doc", "features"])
    model = MinHashLSH(inputCol="features", outputCol="hashes", numHashTables=10, seed=0).fit(frame)
    found = model.transform(frame).select("doc", "hashes").collect()
    return np.array(
        [[h[0] for h in row["hashes"]] for row in sorted(found, key=lambda row: row["doc"])]
    )


def linked_by_any(hashes: npt.NDArray[np.generic]) -> Bools:
    """The literal rule: one equal column links two documents, and of each connected component the first stays."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(hashes)
    first: list[npt.NDArray[np.int64]] = []
    for column in hashes.T:
        _, places, inverse = np.unique(column, return_index=True, return_inverse=True)
        first.append(places[inverse])
    links = np.concatenate(first), np.tile(np.arange(n), hashes.shape[1])
    _, component = connected_components(
        coo_array((np.ones(len(links[0])), links), (n, n)), directed=False
    )
    kept = np.zeros(n, bool)
    kept[np.unique(component, return_index=True)[1]] = True
    return kept


if __name__ == "__main__":
    main()
