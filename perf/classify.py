"""Speed of the quality classifier on one core: `python perf/classify.py TEXTS.parquet [NEGATIVES.parquet]`.

Prints (1) the speed table: kernel and whole stage (documents in Parquet to scores in Parquet, by words, by signals and by both) beside
pyspark.ml's Tokenizer, HashingTF and LogisticRegressionModel on local[1], same texts, same weights, in turns, best of the rounds, with the
largest difference of scores; (2) the start of the kernels in a fresh process with a warm cache; (3) with NEGATIVES, the fit on 10,000,
50,000 and 200,000 documents of 1,500 characters cut from both files at keyed places, which overlap where the files are too small (200,000
are 300 MB): features, seconds, peak memory, and how far the weights are from the minimum. That is at most the length of the gradient, taken
here by SciPy; up to --reference documents scikit-learn is run to convergence on the same features too, and the largest difference of a
weight is printed.

Seconds are of processor time, Spark's those of its JVM and Python workers together, so a busy machine disturbs the ratio little; wall
seconds stand beside them. Trap: Spark's first round compiles, so one is run before the clock starts, on both sides.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from curation import store
from curation.engine.local import LocalEngine
from curation.kernels.buffers import text_buffers
from curation.kernels.elementary import sigmoid
from curation.kernels.hashingtf import NUM_FEATURES, logits
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.recipe.signals import names_of
from curation.stages.classify import stage as classify
from curation.stages.classify.fit import fit_model
from curation.stages.classify.folds import FOLDS
from curation.stages.classify.model import load_model, write_model
from curation.stages.classify.sample import training_shares
from curation.stages.classify.training import (
    Training,
    class_weights,
    example_weights,
    features,
    regression,
    training_set,
)

START = (
    "import time; w, c = time.perf_counter(), time.process_time()\n"
    "import numpy as np, pyarrow as pa\n"
    "from curation.kernels.buffers import text_buffers\n"
    "from curation.kernels.hashingtf import logits\n"
    "m = time.perf_counter(), time.process_time()\n"
    "logits(*text_buffers(pa.array(['a b'])), np.zeros(1 << 18), 0.0, 'log-l2')\n"
    "e = time.perf_counter(), time.process_time()\n"
    "print(e[0] - w, e[1] - c, e[1] - m[1])"
)
FIT_DOCUMENTS, FIT_CHARS = (10_000, 50_000, 200_000), 1500


@click.command()
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument(
    "negatives", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option("--rounds", default=3, show_default=True)
@click.option("--spark/--no-spark", default=True, show_default=True, help="Measure pyspark.ml too.")
@click.option("--speed/--no-speed", default=True, show_default=True, help="The speed table.")
@click.option(
    "--documents", default=FIT_DOCUMENTS, show_default=True, multiple=True, help="Of the fit."
)
@click.option("--scaling", default="log-l2", show_default=True, help="Of the fit.")
@click.option("--workers", default=1, show_default=True, help="Of the fit.")
@click.option("--reference", default=10_000, show_default=True, help="Documents at most.")
def main(
    texts: Path,
    negatives: Path | None,
    rounds: int,
    spark: bool,
    speed: bool,
    documents: tuple[int, ...],
    scaling: str,
    workers: int,
    reference: int,
) -> None:
    """Measure scoring, the kernels' start, and the fit."""
    with tempfile.TemporaryDirectory() as folder:
        if speed:
            speed_table(texts, Path(folder), rounds, spark)
        starts = sorted(tuple(map(float, _python(START).split())) for _ in range(6))
        wall, cpu, call = (min(column) for column in zip(*starts, strict=True))
        print(
            f"kernel start, cache warm: {wall:.2f} s wall, {cpu:.2f} s of processor time ({call:.2f} in the first call)"
        )
        for n in documents if negatives is not None else ():
            run = Path(folder, str(n))
            run.mkdir()
            fit_time(texts, negatives, run, n, scaling, workers, n <= reference)


def speed_table(texts: Path, folder: Path, rounds: int, spark: bool) -> None:
    """Print megabytes of text a second of processor time, ours and Spark's in turns."""
    made = recipe.parse(
        {
            "stages": ["extract"],
            "dataset": [{"name": "web", "role": "crawl", "files": [str(texts.resolve())]}],
        }
    )
    with contextlib.closing(LocalEngine(1)) as engine:
        rundir, plan = pipeline.run(made, str(folder / "run"), engine, say=lambda line: None)
    (shard,) = plan.shards
    documents = rundir.documents(shard)
    column = pa.concat_tables(
        [pa.Table.from_batches([b]) for b in store.read_groups(documents, ["text"])]
    )["text"]
    offsets, data = text_buffers(column)
    megabytes = (offsets[-1] - offsets[0]) / 1e6
    print(f"{texts.name}: {len(column):,} documents, {megabytes:.1f} MB of text")
    weights = np.random.default_rng(0).normal(0, 0.01, NUM_FEATURES)
    theirs: Callable[[], Any] | None = None
    if spark:
        theirs, weights = spark_scoring(documents, folder / "spark")
    sides: dict[str, Callable[[], Any]] = {}
    for scaling in ("tf", "log-l2"):
        sides[f"kernel, {scaling}"] = lambda scaling=scaling: logits(
            offsets, data, weights, 0.0, scaling
        )
    ready = stage_models(rundir, shard, weights)
    sides |= dict.fromkeys(ready, partial(_score, rundir, shard))
    if theirs is not None:
        sides["pyspark.ml, tf"] = theirs
    best = {name: (float("inf"), float("inf")) for name in sides}
    for turn in range(rounds + 1):  # the first compiles and is not counted
        for name, side in sides.items():
            if name in ready:
                ready[name]()
            spent = seconds(side)
            if turn:
                best[name] = min(best[name], spent)
    for name, (cpu, wall) in best.items():
        ratio = (
            f"  {best['pyspark.ml, tf'][0] / cpu:5.1f} x pyspark.ml" if theirs is not None else ""
        )
        print(
            f"{name:18} {megabytes / cpu:8.1f} MB/s of one core  {megabytes / wall:8.1f} MB/s wall{ratio}"
        )
    if theirs is not None:
        ours = 1 / (1 + np.exp(-logits(offsets, data, weights, 0.0, "tf")))
        found = pq.read_table(folder / "spark").sort_by("id").column("score").to_numpy()
        order = np.argsort(np.array(store.read_table(documents, ["id"]).column(0).to_pylist()))
        print(f"largest difference of scores: {np.abs(found - ours[order]).max():.1e}")


def stage_models(rundir: Any, shard: Any, weights: Any) -> dict[str, Callable[[], None]]:
    """What writes a model of each kind and deletes the scores. Trap: a process keeps models by the
    bytes of their weights, so each kind has an intercept of its own."""
    prose = names_of(["prose"])
    kinds = {"tf": ("tf", ()), "log-l2": ("log-l2", ()), "signals": ("none", prose)}
    kinds["both"] = ("log-l2", prose)

    def write(scaling: str, signals: tuple[str, ...], intercept: float) -> None:
        full = np.append(weights, np.full(len(signals), 0.01))
        card = {"scaling": scaling, "signals": list(signals)}
        write_model(rundir.path("classify", "model"), full, intercept, card)
        store.delete(rundir.table("classify", shard, "evidence"))

    return {
        f"stage, {name}": partial(write, *kind, float(number))
        for number, (name, kind) in enumerate(kinds.items())
    }


def _score(rundir: Any, shard: Any) -> None:
    identity = load_model(rundir.path("classify", "model")).identity
    classify.score_shard(rundir, identity, "", (), None, shard)


def spark_scoring(documents: str, out: Path) -> tuple[Callable[[], Any], Any]:
    """What scores the documents by pyspark.ml on one core, and the weights of its model (no intercept)."""
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import HashingTF, Tokenizer
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as f

    from curation.engine.spark import SparkEngine

    session = SparkEngine("local[1]")._spark
    frame = session.read.parquet(documents).select("id", "text")
    tokens = Tokenizer(inputCol="text", outputCol="words")
    counts = HashingTF(inputCol="words", outputCol="features")
    few = counts.transform(tokens.transform(frame.limit(300))).withColumn(
        "label", (f.hash("id") % 2 == 0).cast("double")
    )
    model = LogisticRegression(
        maxIter=5, regParam=10.0, standardization=False, fitIntercept=False
    ).fit(few)

    def score() -> None:
        scored = model.transform(counts.transform(tokens.transform(frame)))
        probability = vector_to_array("probability")[1].alias("score")
        scored.select("id", probability).write.mode("overwrite").parquet(str(out))

    return score, model.coefficients.toArray()


def seconds(run: Callable[[], Any]) -> tuple[float, float]:
    """Processor seconds of this process and its children, and wall seconds, of one call."""
    before, wall = _processor(), time.perf_counter()
    run()
    return _processor() - before, time.perf_counter() - wall


def _processor() -> float:
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


# ---- the fit ---------------------------------------------------------------------------------------------------------------------------


def fit_time(
    positives: Path,
    negatives: Path,
    folder: Path,
    documents: int,
    scaling: str,
    workers: int,
    with_reference: bool,
) -> None:
    """Print features, time and peak memory of sample, fits and report, and how exact the fit is."""
    described = []
    for name, role, path in (("good", "trusted", positives), ("web", "crawl", negatives)):
        place = folder / f"{name}.parquet"
        pq.write_table(pa.table({"text": list(pieces(path, documents // 2))}), place)
        described.append({"name": name, "role": role, "files": [str(place)]})
    tables = {"stages": ["extract", "classify"], "dataset": described}
    # Without calibration the intercept in the file is that of the regression.
    keys = {
        "extract": {"table_languages": False},
        "classify": {"scaling": scaling, "calibration": "none"},
    }
    made = recipe.parse({**tables, **keys})
    with contextlib.closing(LocalEngine(workers)) as engine:
        rundir, plan = pipeline.run(
            made, str(folder / "fit"), engine, until="extract", say=lambda line: None
        )
        shares, path = training_shares(rundir, plan), rundir.path("classify", "model")
        spent = _watch_memory(lambda: fit_model(rundir, plan, engine, shares, 0, path))
    learned = training(rundir, plan)
    print(
        f"fit on {len(learned.y):,} documents of {FIT_CHARS:,} characters, scaling {scaling}, {workers} workers, "
        f"{len(np.unique(learned.x.indices)):,} features, {learned.x.nnz:,} values, with its report: {spent}"
    )
    print(exactness(learned, made.classify, load_model(path), with_reference))


def training(rundir: Any, plan: Any) -> Training:
    """What the fit of a run learned from."""
    classes = {"positive": rundir.recipe.positives(), "negative": rundir.recipe.negatives()}
    tables = {name: features(rundir, plan.of(name)) for names in classes.values() for name in names}
    return training_set(tables, classes, rundir.recipe.classify, FOLDS, rundir.recipe.seed)


def exactness(learned: Training, config: Any, model: Any, with_reference: bool) -> str:
    """How far a model is from the minimum: by its gradient, and by scikit-learn's own fit."""
    signals = model.weights[NUM_FEATURES:]
    w = np.append(model.weights[:NUM_FEATURES], signals * learned.deviation)
    intercept = model.intercept + float(signals @ learned.mean)
    rows = np.ones(len(learned.y), bool)
    weight = example_weights(learned, rows) * class_weights(learned.y, config.class_weight)
    error = config.C * weight * (sigmoid(learned.x @ w + intercept) - learned.y)
    gradient = np.append(learned.x.T @ error + w, error.sum())
    out = f"length of the gradient: {np.linalg.norm(gradient):.1e}; largest weight {np.abs(w).max():.1f}"
    if with_reference:
        before = _processor()
        expected, bias = regression(learned, rows, config.C, config.class_weight, tol=1e-12)
        largest = max(np.abs(w - expected).max(), abs(intercept - bias))
        out += f"; largest difference to scikit-learn run to convergence: {largest:.1e}"
        out += f" (one fit of our nine, {_processor() - before:.0f} s)"
    return out


def pieces(path: Path, n: int) -> Iterator[str]:
    """`n` pieces of 1,500 characters from all over a file's texts, most often at places of their own."""
    text = "\n".join(pq.read_table(path, columns=["text"]).column(0).to_pylist())
    for at in np.random.default_rng(0).integers(0, max(1, len(text) - FIT_CHARS), n).tolist():
        yield text[at : at + FIT_CHARS]


def _watch_memory(run: Callable[[], Any]) -> str:
    import threading

    own, peak, stop = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            with contextlib.suppress(psutil.NoSuchProcess):
                peak[0] = max(
                    peak[0], sum(p.memory_info().rss for p in (own, *own.children(recursive=True)))
                )

    before = own.memory_info().rss
    thread = threading.Thread(target=watch)
    thread.start()
    cpu, wall = seconds(run)
    stop.set()
    thread.join()
    return f"{cpu:.0f} s of processor time, {wall:.0f} s wall, peak {peak[0] / 1e9:.2f} GB ({before / 1e9:.2f} before)"


def _python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    main()
