"""`common-crawl.toml` from an empty disk to shards, on an internet that holds tiny files under the recipe's own addresses."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from internet import Internet, internet
from warcio.warcwriter import WARCWriter

from curation import store
from curation.engine.local import LocalEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.stages.decontaminate import benchmarks
from curation.store import patience

ROOT = Path(__file__).parents[1]
RECIPE = (ROOT / "curation/recipes/common-crawl.toml").read_text(encoding="utf-8")
SAMPLE = ROOT / "curation/demo"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    monkeypatch.setattr(patience, "MAX_WAIT_S", 0.01)
    with internet() as server:
        yield server


def wet(texts: list[str], number: int) -> bytes:
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    for place, text in enumerate(texts):
        data = text.encode()
        url = f"http://site{place % 7}.example/{number}/{place}"
        writer.write_record(
            writer.create_warc_record(url, "conversion", io.BytesIO(data), len(data), "text/plain")
        )
    return out.getvalue()


def populated(server: Internet) -> str:
    """Put a tiny file at every address of the recipe; the recipe's text with this server before every host."""
    text = RECIPE
    books = [path.read_bytes() for path in sorted((SAMPLE / "books1").iterdir())]
    for place, address in enumerate(re.findall(r'"(https://[^"]+)"', RECIPE)):
        parts = urlsplit(address)
        path = f"/{parts.netloc}{parts.path}"
        if "wikimedia" in parts.netloc:
            data = bz2.compress((SAMPLE / "wikipedia.xml").read_bytes())
        elif "gutenberg" in parts.netloc:
            data = books[place % len(books)] + str(place).encode()
        else:
            row = {
                "question": f"What is example {place}?",
                "context": f"{place}",
                "query": "Question: q",
                "prompt": "p",
            }
            data = json.dumps(row).encode() + b"\n"
            data = gzip.compress(data) if path.endswith(".gz") else data
        server.files[path] = data
        ours = re.sub(r"bytes=\d+", f"bytes={len(data)}", address)
        ours = re.sub(r"sha256=\w+", f"sha256={hashlib.sha256(data).hexdigest()}", ours)
        text = text.replace(address, server.url + ours.removeprefix("https://"))
    rows = [
        json.loads(line)["text"] for line in (SAMPLE / "webtext2.jsonl").read_bytes().splitlines()
    ]
    junk = [
        f"Buy cheap watches now, offer {i}! Click here, best price, free shipping, order today. "
        * 9
        for i in range(30)
    ]
    names = [
        f"crawl-data/CC-MAIN-2019-09/segments/{i}/wet/CC-{i:05}.warc.wet.gz" for i in range(12)
    ]
    server.files["/data.example/crawl-data/CC-MAIN-2019-09/wet.paths.gz"] = gzip.compress(
        "\n".join(names).encode()
    )
    for number, name in enumerate(names):
        pages = [*(f"{number}. {row}" for row in rows[number::4]), *junk[number::6]]
        server.files["/data.example/" + name] = wet(pages, number)
    return text.replace(
        "[download]\nrequests_per_second = 2.0",
        f'[download]\nbase_url = "{server.url}data.example/"\nrequests_per_second = 5000.0',
    )


def test_from_an_empty_disk_to_shards(world: Internet, tmp_path: Path, local: LocalEngine) -> None:
    (tmp_path / "recipe.toml").write_text(populated(world), encoding="utf-8")
    made = recipe.load(str(tmp_path / "recipe.toml"))
    world.acts = {
        path: ["serve", "cut", "slow_down"]
        for path in world.files
        if "pg84" in path or "piqa" in path
    }
    said: list[str] = []
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), local, say=said.append)
    told = [line.split()[:4] for line in said[:4]]
    assert [(row[1], row[2], row[3]) for row in told] == [
        ("fetch:", "benchmarks", "10"),
        ("fetch:", "books", "8"),
        ("stream:", "wikipedia", "1"),
        ("stream:", "commoncrawl", "10"),
    ]
    assert said[4].startswith("In all")
    books = pipeline.ledgers(rundir, plan)
    assert {d: counts["kept"][0] > 0 for d, counts in books["extract"].items()} == dict.fromkeys(
        made.names(), True
    )
    assert books["tokenize"]["commoncrawl"]["kept"][2] > 0
    shards = [path.stat().st_size for path in (tmp_path / "run/shards").glob("train-*.bin")]
    assert len(shards) == 8
    assert sum(shards) > 0
    on_disk = sorted(
        p.relative_to(tmp_path / "run/downloads").parts[0]
        for p in (tmp_path / "run/downloads").rglob("*.*")
    )
    assert set(on_disk) == {"_benchmarks", "_lists", "books"}, "what is streamed is not kept"
    asked = len(world.seen)
    pipeline.run(made, str(tmp_path / "run"), local, say=said.append)
    assert {path for path, _ in world.seen[asked:]} <= {
        path for path in world.files if "wikimedia" in path
    }


def test_the_recipe_names_what_the_catalogue_knows() -> None:
    made = recipe.load(str(ROOT / "curation/recipes/common-crawl.toml"))
    layouts = benchmarks.read_catalogue()
    for text in made.decontaminate.benchmarks:
        address = store.address(text)
        assert address.digest is not None
        assert address.size > 0
        stem = address.name.removesuffix(".gz").removesuffix(".jsonl")
        assert any(benchmarks.fnmatchcase(stem, name) for one in layouts for name in one.names), (
            stem
        )
