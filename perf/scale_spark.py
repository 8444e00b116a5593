"""What Spark costs for each shard of a map and of a shuffle: `python perf/scale_spark.py [--shards 1000,10000]`.

The tasks do next to nothing over the shards of a plan, so what is left is Spark. Prints, a shard, the processor
time of the driver's Python, and of the JVM with its Python workers; and the bytes of what goes with every task (the
closure), to each machine once (shared), and of a shard itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import click
import pyarrow as pa
from scale import show

from curation import store
from curation.costs import processor
from curation.engine import spark
from curation.engine.executors import emit_runs, result_or_failure
from curation.recipe import reading
from curation.rundir.directory import RunDirectory, Shard

ROWS = pa.schema([("part", pa.int64()), ("key", pa.int64())])
PARTS = 8


def shards_of(count: int) -> tuple[RunDirectory, list[Shard]]:
    """A run directory, and the shards of a dataset that lists an archive for each."""
    paths = [f"/data/crawl-data/segments/{number:06d}.warc.wet.gz" for number in range(count)]
    recipe = {"dataset": [{"name": "web", "files": paths}], "stages": ["extract", "tokenize"]}
    rundir = RunDirectory("/data/run", reading.parse(recipe)).for_tasks()
    files = [store.File(path, path.rpartition("/")[2], 140_000_000, "1") for path in paths]
    return rundir, [Shard("web", n, n, 0, (file,)) for n, file in enumerate(files)]


def name_length(rundir: RunDirectory, shard: Shard) -> int:
    """What the tasks of the map do."""
    return len(rundir.documents(shard))


def row_of(rundir: RunDirectory, shard: Shard) -> Iterator[pa.RecordBatch]:
    """What the tasks of the shuffle emit."""
    yield pa.record_batch([[shard.ordinal % PARTS], [shard.ordinal]], schema=ROWS)


def row_count(part: int, batches: Iterator[pa.RecordBatch]) -> int:
    """What the tasks of the shuffle make of a part."""
    return sum(batch.num_rows for batch in batches)


def measured(engine: Any, verb: str, count: int) -> dict[str, float]:
    """Processor seconds of a verb over so many shards."""
    rundir, shards = shards_of(count)
    began, before = time.process_time(), processor.core_s()
    if verb == "map":
        assert len(engine.map("nothing", partial(name_length, rundir), shards)) == count
    else:
        emit = partial(row_of, rundir)
        counts = engine.shuffle("nothing", emit, shards, PARTS, row_count, ROWS, ["key"])
        assert sum(counts) == count
    spent = time.process_time() - began
    return {"driver": spent, "JVM and its workers": processor.core_s() - before - spent}


def sizes(count: int) -> dict[str, int]:
    """Bytes of what goes with every task, of what is shared, and of a shard."""
    from pyspark import cloudpickle

    rundir, shards = shards_of(count)

    def size(value: Any) -> int:
        return len(cloudpickle.dumps(value))

    terms = store.terms()
    return {
        "closure of a map": size(partial(result_or_failure, "nothing", terms, None)),
        "closure of a shuffle": size(partial(emit_runs, "nothing: emit", None, ROWS)),
        "shared by a map": size(partial(name_length, rundir)),
        "shared by a shuffle": size((partial(row_of, rundir), shards)),
        "a shard": size(list(enumerate(shards))) // count,
    }


@click.command()
@click.option("--shards", default="1000,10000", show_default=True, help="Sizes, ascending.")
@click.option("--workers", default=2, show_default=True)
def main(shards: str, workers: int) -> None:
    """Processor time and bytes a shard, on Spark `local[workers]`."""
    numbers = sorted(map(int, shards.split(",")))
    engine = spark.SparkEngine(f"local[{workers}]", workers, 1.0)
    try:
        for verb in ("map", "shuffle"):
            measured(engine, verb, 100)  # the first of each loads code
            told = [measured(engine, verb, number) for number in numbers]
            rows = {name: [row[name] for row in told] for name in told[0]}
            show(f"a {verb} on Spark, a shard", numbers, rows, True)
        for number in numbers:
            tasks = spark._slices(number, engine.workers)
            print(f"{number:,} shards, {tasks} Spark tasks of a map; bytes: {sizes(number)}")
    finally:
        engine.close()


if __name__ == "__main__":
    main()
