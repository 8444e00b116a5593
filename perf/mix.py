"""Speed and memory of `mix` on one worker: `python perf/mix.py [RUN]`.

Mixes the tokens of a finished run, or 40 million made-up ones in documents of all lengths, into 8 shards with two epochs of one half, and
prints tokens a second for each part (count, emit, sort and write), through the stage as a user runs it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
from line import Memory
from parts import Parts

from curation import store
from curation.digests import text_digest
from curation.engine.local import LocalEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.rundir import schema


def made_up(folder: Path, tokens: int) -> None:
    """Two token tables as tokenize writes them."""
    rng = np.random.default_rng(0)
    facts = {"encoding": "gpt2", "vocabulary": 50257, "end_of_text": 50256, "dtype": "uint16"}
    store.write_json(str(folder / "tokens" / "encoding.json"), facts)
    for name in ("a", "b"):
        left = tokens // 2
        with store.TableWriter(
            str(folder / "tokens" / name / "00000.parquet"), schema.TOKENS, "perf"
        ) as writer:
            while left > 0:
                sizes = np.minimum(rng.lognormal(6.3, 1.2, 2000).astype(np.int64) + 2, 200_000)
                data = [rng.integers(0, 50256, n, np.uint16).tobytes() for n in sizes.tolist()]
                columns = [
                    [True] * len(sizes),
                    [None] * len(sizes),
                    [f"{name}{left}.{i}" for i in range(len(sizes))],
                    [text_digest(d) for d in data],
                    [[n] for n in sizes.tolist()],
                    [[d] for d in data],
                ]
                arrays = [pa.array(c, f.type) for c, f in zip(columns, schema.TOKENS, strict=True)]
                writer.write(pa.record_batch(arrays, schema=schema.TOKENS))
                left -= int(sizes.sum())


@click.command()
@click.argument("run", required=False)
@click.option("--tokens", default=40_000_000, show_default=True)
@click.option("--workers", default=1, show_default=True)
def main(run: str | None, tokens: int, workers: int) -> None:
    """Time the parts of `mix`."""
    with tempfile.TemporaryDirectory() as out:
        if run is None:
            run = out + "/made"
            made_up(Path(run), tokens)
        names = sorted(p.name for p in Path(run, "tokens").iterdir() if p.is_dir())
        source = [
            {"name": n, "files": f"{run}/tokens/{n}/*.parquet", "format": "table"} for n in names
        ]
        weights = {name: 2.0 - i % 2 for i, name in enumerate(names)}
        mix = {"weights": weights, "tokens": tokens, "shards": 8}
        parts = Parts()
        memory = Memory()
        engine = LocalEngine(workers, 1.0, parts)
        try:
            engine.map("start", abs, [1] * workers)
            rundir, _ = pipeline.run(
                recipe.parse({"stages": ["mix"], "dataset": source, "mix": mix}),
                out + "/run",
                engine,
                say=lambda _: None,
            )
        finally:
            engine.close()
        placed = store.read_json(rundir.path("shards", "shards.json"))["tokens"]
        click.echo("\n".join(parts.lines(placed / 1e6, "million tokens", "mix")))
        click.echo("largest worker {} MB, parent {} MB".format(*memory.take()))


if __name__ == "__main__":
    main()
