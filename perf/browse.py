"""Time to the first paint of `curation browse`: `python perf/browse.py [--documents 1000000]
[--chromium]`.

Generates a run directory of so many documents in shards of 10,000 (texts of some 200 characters),
with decisions of classify and dedup and token counts, and asks the server's pages for it: the first
time, as a visitor would, and once more. Prints milliseconds. What a page asks for by itself
afterwards stands below, from "/hints". The pages' modules are loaded before the clock starts, as by
`curation browse`. With `--chromium` the server's pages are opened in that browser, and its own
first contentful paint is printed: the least and the middle of five.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from starlette.testclient import TestClient

from curation import store
from curation.engine.local import LocalEngine
from curation.kernels.pareto import pareto_draw
from curation.recipe import reading as recipes
from curation.recipe.line import folders
from curation.rundir import manifest, schema
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.plan import Plan
from curation.web.app import create_app
from curation.web.server import warm

ROWS = 10_000
CHARS = 220
STAGES = ["extract", "classify", "dedup", "tokenize"]
FIRST = ("/", "/documents", "/documents?fate=kept", "/documents?fate=dedup:+duplicate",
         "/documents?host=site77.example", "/documents?low=0.995", "/documents?words=w123+w456",
         "/document/crawl/50/77", "/find?key=document-000500077", "/sites", "/duplicates", "/classifier",
         "/alpha", "/rules", "/benchmarks", "/mixture")  # fmt: skip
LATER = ("/hints", "/documents?words=w123+w456&after=40.0", "/part/sites", "/part/quality",
         "/alpha?alpha=3&now=1", "/part/languages", "/part/lengths")  # fmt: skip


def numbers(prefix: str, values: Any, width: int = 0) -> Any:
    """ "prefix" and a number, as an Arrow array."""
    text = pc.cast(pa.array(values), pa.string())
    padded = pc.utf8_lpad(text, width, "0") if width else text
    return pc.binary_join_element_wise(pa.scalar(prefix), padded, pa.scalar(""))


def nulls(schema_: pa.Schema, rows: int, **columns: Any) -> pa.RecordBatch:
    """A batch of a schema: the columns given, the others null."""
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(rows, f.type)
              for f in schema_]  # fmt: skip
    return pa.RecordBatch.from_arrays(arrays, schema=schema_)


def write_shard(rundir: RunDirectory, shard: Shard, generator: Any) -> None:
    """All tables of one shard."""
    n, start = ROWS, shard.number * ROWS
    words = generator.integers(0, 3000, (n, 40))
    texts = [" ".join(f"w{word}" for word in row) for row in words]
    ids = numbers("document-", np.arange(start, start + n), 9)
    site = generator.integers(0, 5000, n)
    urls = pc.binary_join_element_wise(numbers("https://site", site), numbers("page", np.arange(n)),
                                       pa.scalar(".example/"))  # fmt: skip
    content = pa.array([i.to_bytes(16, "little") for i in range(start, start + n)], pa.binary(16))
    documents = nulls(schema.DOCUMENTS, n, id=ids, url=urls, text=texts, content=content,
                      language=["en"] * n, language_score=[0.9] * n)  # fmt: skip
    write(rundir.documents(shard), documents, {"in": counted(n), "kept": counted(n)})
    score, u = generator.random(n), generator.random(n)
    draw = pareto_draw(u, rundir.recipe.classify.alpha)
    keep = draw > 1 - score
    write(rundir.table("classify", shard, "evidence"),
          nulls(schema.QUALITY, n, score=score, u=u), {})  # fmt: skip
    reason = np.where(keep, None, "low_quality")
    kept = int(keep.sum())
    write(rundir.decision("classify", shard),
          nulls(schema.CLASSIFIED, n, keep=keep, reason=reason.tolist(), pareto_draw=draw),
          {"in": counted(n), "low_quality": counted(n - kept), "kept": counted(kept)})  # fmt: skip
    rows = np.flatnonzero(keep)
    survivors = (
        pa.Table.from_batches([documents]).take(pa.array(rows)).append_column("row", pa.array(rows))
    )
    write(rundir.survivors(shard), survivors.combine_chunks().to_batches()[0], {})
    stays = generator.random(kept) > 0.001
    left = int(stays.sum())
    write(rundir.decision("dedup", shard),
          nulls(schema.DEDUPED, kept, keep=stays, reason=np.where(stays, None, "duplicate").tolist()),
          {"in": counted(kept), "duplicate": counted(kept - left), "kept": counted(left)})  # fmt: skip
    counts = [[120] if stay else None for stay in stays]
    write(rundir.table("tokens", shard),
          nulls(schema.TOKENS, kept, keep=[stay or None for stay in stays.tolist()], counts=counts),
          {"in": counted(left), "kept": [left, CHARS * left, 120 * left]})  # fmt: skip


def counted(documents: int) -> list[int]:
    """An entry of a ledger."""
    return [documents, CHARS * documents, 0]


def write(path: str, batch: pa.RecordBatch, ledger: dict[str, list[int]]) -> None:
    """One table with its ledger."""
    with store.TableWriter(path, batch.schema, "generated", ledger) as writer:
        writer.write(batch)


def generate(out: str, documents: int) -> None:
    """A run directory of so many documents."""
    source = Path(out + "-input.jsonl")
    source.write_text("")
    role = {"name": "crawl", "role": "crawl", "files": [str(source)]}
    recipe = recipes.parse({"stages": STAGES, "dataset": [role],
                            "classify": {"model": str(source.parent)}})  # fmt: skip
    rundir = RunDirectory(out, recipe)
    shards = tuple(Shard("crawl", i, i, 0, (store.File(str(source), source.name, 0, ""),))
                   for i in range(documents // ROWS))  # fmt: skip
    plans.commit(rundir, Plan(shards))
    generator = np.random.default_rng(0)
    for shard in shards:
        write_shard(rundir, shard, generator)
    with closing(LocalEngine(2, memory_gb=1.0)) as engine:
        for stage in STAGES:
            manifest.write(out, engine, stage, "generated", folders(stage, recipe.stages))


def paint(out: str) -> None:
    """The first contentful paint of each page in Chromium, milliseconds."""
    sys.path.append(str(Path(__file__).parents[1] / "tests/support"))
    from chromium import Browser

    command = [sys.executable, "-m", "curation", "browse", out, "--no-open", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().strip().rstrip("/")
    entry = "performance.getEntriesByName('first-contentful-paint')[0]"
    print("least ms  middle ms")
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(Path(profile))
        for path in FIRST:
            times = []
            for _ in range(5):
                browser.go(address + path)
                times.append(browser.wait(f"({entry} || {{}}).startTime"))
            times.sort()
            print(f"{times[0]:8.0f}  {times[2]:9.0f}  {path}")
        browser.close()
    server.terminate()
    server.wait()


@click.command()
@click.option("--documents", default=1_000_000, show_default=True)
@click.option("--out", default="", help="Where to write the run; one that is there is used again.")
@click.option("--chromium", is_flag=True, help="Measure the paint in a browser too.")
def main(documents: int, out: str, chromium: bool) -> None:
    """Generate, and ask."""
    with tempfile.TemporaryDirectory() as folder:
        out = out or f"{folder}/run"
        if not Path(out, "manifests", "tokenize.json").exists():
            start = time.monotonic()
            Path(out).parent.mkdir(parents=True, exist_ok=True)
            generate(out, documents)
            print(f"{documents:,} documents generated in {time.monotonic() - start:.0f} s")
        app = create_app([out])
        warm(app.runs)  # as the server does while a visitor opens the address
        browser = TestClient(app, base_url="http://127.0.0.1")
        print("first ms  again ms")
        worst = 0.0
        for path in FIRST + LATER:
            times = []
            for _ in range(2):
                start = time.monotonic()
                answer = browser.get(path)
                times.append(1000 * (time.monotonic() - start))
                assert answer.status_code == 200, (path, answer.text)
            worst = max(worst, times[0]) if path in FIRST else worst
            print(f"{times[0]:8.0f}  {times[1]:8.0f}  {path}")
        print(f"The slowest first paint: {worst:.0f} ms")
        if chromium:
            paint(out)


if __name__ == "__main__":
    main()
