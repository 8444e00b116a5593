"""Speed of `tokenize` against tiktoken alone: `python perf/tokens.py FILES...`.

Extracts the files, then times the whole stage on one worker, and tiktoken's `encode_ordinary` on the same texts in one thread,
nothing kept. Prints megabytes a second of processor time and the ratio; the ranks (0.5 s a worker) are loaded before, on both sides.
"""

from __future__ import annotations

import os
import tempfile
import time

import click
from parts import Parts

from curation import store
from curation.engine.local import LocalEngine
from curation.kernels.bpe import encoding
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe


def warm(_: int) -> int:
    """Load the ranks in a worker."""
    return len(encoding("gpt2").encode_ordinary("warm"))


@click.command()
@click.argument("files", nargs=-1, required=True)
def main(files: tuple[str, ...]) -> None:
    """Time `tokenize` and tiktoken."""
    datasets = [{"name": f"d{i}", "files": os.path.abspath(file)} for i, file in enumerate(files)]
    made = recipe.parse({"stages": ["extract", "tokenize"], "dataset": datasets})
    parts = Parts()
    with tempfile.TemporaryDirectory() as out:
        engine = LocalEngine(1, 1.0, parts)
        try:
            pipeline.run(made, out + "/run", engine, until="extract", say=lambda _: None)
            engine.map("start", warm, [0])
            rundir, plan = pipeline.run(made, out + "/run", engine, say=lambda _: None)
        finally:
            engine.close()
        paths = [rundir.documents(shard) for shard in plan.shards]
        texts = [
            text
            for path in paths
            for text in store.read_table(path, ["text"]).column(0).to_pylist()
        ]
    size = sum(len(text.encode()) for text in texts) / 1e6
    coder = encoding("gpt2")
    coder.encode_ordinary("warm")
    start = time.process_time()
    for text in texts:
        coder.encode_ordinary(text)
    alone = time.process_time() - start
    clock, used = parts.seconds()["tokenize"]
    click.echo(f"{size:.1f} MB of text, {len(texts):,} documents")
    click.echo(f"tiktoken alone {alone:7.2f} s of processor {size / alone:6.2f} MB/s")
    click.echo(
        f"whole stage    {used:7.2f} s of processor {size / used:6.2f} MB/s, {clock:.2f} s by the clock"
    )
    click.echo(f"the stage has {alone / used:.0%} of the speed of tiktoken alone")


if __name__ == "__main__":
    main()
