"""Files to shards: groups and parts that depend on names, sizes and the recipe, and on nothing else."""

from __future__ import annotations

import gzip
import io
import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import run_command
from hypothesis import given
from hypothesis import strategies as st

from curation import store
from curation.engine.inline import InlineEngine
from curation.errors import CurationError
from curation.pipeline import line as pipeline
from curation.readers import archive_parts
from curation.readers.tables import read_table_file
from curation.recipe import reading
from curation.recipe.tables import Dataset
from curation.rundir import plan as plans
from curation.rundir import shards
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan
from curation.stages.extract import stage as extract

NAMES = ("a.jsonl", "b.parquet", "c.jsonl.gz", "d.txt", "e.arrow", "f.json")


def dataset(**keys: Any) -> Dataset:
    return Dataset("a", files=("in",), **keys)


def file(name: str, size: int) -> store.File:
    return store.File(f"in/{name}", name, size, "")


def bytes_of(groups: list[tuple[store.File, ...]]) -> list[list[tuple[Any, ...]]]:
    return [[(part.name, part.start, part.end) for part in group] for group in groups]


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 300)), max_size=12),
    st.sampled_from([0, 1, 50, 100, 1000]),
)
def test_every_byte_is_in_one_shard_and_the_order_stays(
    given_files: list[tuple[str, int]], target: int
) -> None:
    files = [file(f"{n:03}-{name}", size) for n, (name, size) in enumerate(given_files)]
    groups = shards.groups(dataset(target_shard_mb=target / 1e6), files)
    parts = [part for group in groups for part in group]
    covered: dict[str, list[int]] = {}
    for part in parts:
        borders = covered.setdefault(part.name, [0])
        assert part.start == borders[-1]
        borders.append(part.end or part.size)
    assert list(covered) == [one.name for one in files]
    assert all(covered[one.name][-1] == one.size for one in files)
    for group in groups:
        size = sum(part.part_size for part in group)
        assert len(group) == 1 or (target and size <= target)
        is_plain = group[0].name.endswith(("jsonl", "parquet", "json"))
        assert not (target and is_plain and size > target)


def test_small_files_stay_alone_where_no_size_is_named() -> None:
    files = [file("a.txt", 10), file("b.jsonl", 10), file("c.jsonl", 70_000_000)]
    parts = [("c.jsonl", n * 70_000_000 // 3, (n + 1) * 70_000_000 // 3) for n in range(3)]
    assert bytes_of(shards.groups(dataset(), files)) == [
        [("a.txt", 0, 0)],
        [("b.jsonl", 0, 0)],
        *[[part] for part in parts],
    ]


@pytest.mark.parametrize(
    ("keys", "count"), [({}, 3), ({"first_pages": 5}, 1), ({"format": "text"}, 1)]
)
def test_what_is_not_split(keys: dict[str, Any], count: int) -> None:
    assert len(shards.groups(dataset(**keys), [file("c.jsonl", 70_000_000)])) == count


def test_archives_are_split_where_they_have_members(tmp_path: Path) -> None:
    records = [b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 9\r\n\r\nsoftware:\r\n\r\n"] * 9
    members = b"".join(map(gzip.compress, records))
    made = {"a.warc.gz": members, "b.warc": b"".join(records)}
    made["one.warc.gz"] = gzip.compress(b"".join(records))
    files = []
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
        files.append(store.File(str(tmp_path / name), name, len(data), ""))
    files.append(file("lines.jsonl.gz", 900))
    split, first = dataset(target_shard_mb=7e-5), dataset(target_shard_mb=7e-5, first_pages=3)
    for one, is_split in zip(files, (True, True, False, False), strict=True):
        groups = shards.groups(split, [one])
        assert len(groups) == (-(-one.size // 70) if is_split else 1)
        assert shards.unsplit(split, groups) == ([] if is_split else [one])
        assert shards.unsplit(first, shards.groups(first, [one])) == []
        assert len(shards.groups(first, [one])) == 1
    crawl = Dataset("a", crawls=("CC-MAIN-2024-10",), kind="wet", target_shard_mb=7e-5)
    assert [group[0].part for group in shards.groups(crawl, files[:1])] == [()]


def test_archives_of_a_crawl_count_by_their_kind_whatever_is_known_of_them() -> None:
    """Streamed archives are not asked for their sizes; both ways give the same shards."""
    crawl = Dataset("a", crawls=("CC-MAIN-2024-10",), kind="wet", target_shard_mb=300)
    for size in (0, 150_000_000):
        files = [file(f"{n}.warc.wet.gz", size) for n in range(5)]
        assert [len(group) for group in shards.groups(crawl, files)] == [2, 2, 1]


def parquet(rows: int, groups: int, seed: int = 0) -> bytes:
    chance = random.Random(seed)
    texts = ["t" * chance.randrange(300) + str(n) for n in range(rows)]
    stream = io.BytesIO()
    table = pa.table({"text": texts, "n": list(range(rows))})
    pq.write_table(table, stream, row_group_size=max(1, -(-rows // groups)))
    return stream.getvalue()


@given(st.integers(0, 700), st.integers(1, 9), st.data())
def test_parts_of_parquet_are_the_file(rows: int, groups: int, data: st.DataObject) -> None:
    content = parquet(rows, groups)
    cuts = data.draw(st.lists(st.integers(0, len(content)), max_size=7))
    read = lambda *part: list(read_table_file(io.BytesIO(content), "a.parquet", **dict(part)))  # noqa: E731
    whole = read()
    parts = pairwise(sorted({0, len(content), *cuts}))
    assert [row for a, b in parts for row in read(("start", a), ("end", b))] == whole
    assert [row.offset for row in whole] == list(range(rows))


def test_one_large_row_group_is_split_as_well() -> None:
    content = parquet(1000, 1)
    half = len(content) // 2
    first = list(read_table_file(io.BytesIO(content), "a.parquet", start=0, end=half))
    assert 400 < len(first) < 600


# ---- the whole line ------------------------------------------------------------------------------


def damaged_lines(rows: list[dict[str, Any]], parts: int) -> bytes:
    """Lines of JSON whose bytes are broken where it is cut in `parts`."""
    data = bytearray(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    for i in range(1, parts):
        at = len(data) * i // parts
        data[at - 1 : at + 2] = (b'"\n"', b"\xff\n\xff", b"\n\n\n")[i % 3]
    return bytes(data)


def corpus(count: int = 140) -> list[dict[str, Any]]:
    chance = random.Random(5)
    words = [f"w{n}" for n in range(400)]
    texts = [" ".join(chance.choices(words, k=60)) for _ in range(count)]
    rows: list[dict[str, Any]] = [{"text": text, "n": n} for n, text in enumerate(texts)]
    for row in rows[::9]:  # copies, other types, no text
        row["text"] = texts[3]
    rows[60]["n"], rows[100]["more"] = 0.5, {"x": [1]}
    rows[20]["text"] = rows[119]["text"] = None
    return rows


def run(path: Path, out: Path, engine: Any, parts: int) -> tuple[RunDirectory, Plan]:
    size = path.stat().st_size
    table = {"name": "a", "files": [str(path)], "target_shard_mb": -(-size // parts) / 1e6}
    made = {"dataset": [table], "stages": ["extract", "dedup", "tokenize", "mix"]}
    made |= {"mix": {"shards": 2, "weights": {"a": 1}}, "dedup": {"alarm": "warn"}}
    return pipeline.run(reading.parse(made), str(out), engine, update=True, say=lambda line: None)


def results(rundir: RunDirectory, plan: Plan) -> dict[str, Any]:
    """Documents and rejects in their order, what became of them, and the bytes of the mixture."""
    found: dict[str, Any] = {"bytes": {}}
    for shard in plan.shards:
        for name in ("documents", "rejects"):
            rows = store.read_table(rundir.table(name, shard)).to_pylist()
            found.setdefault(name, []).extend(rows)
        decided = store.read_table(rundir.decision("dedup", shard)).to_pylist()
        found.setdefault("dedup", []).extend(decided)
    for one in sorted(Path(rundir.path("shards")).glob("*.[bi][id][nx]")):
        found["bytes"][one.name] = one.read_bytes()
    return found


def test_one_file_of_lines_in_1_2_and_7_damaged_at_the_borders(
    tmp_path: Path, inline: InlineEngine
) -> None:
    path = tmp_path / "one.jsonl"
    path.write_bytes(damaged_lines(corpus(), 14))  # every border of 2 and of 7 is one of 14
    found = []
    for parts in (1, 2, 7):
        rundir, plan = run(path, tmp_path / f"run{parts}", inline, parts)
        assert len(plan.shards) == parts
        assert plans.read(rundir.out)[1] == plan
        found.append(results(rundir, plan))
    assert len(found[0]["documents"]) > 100
    assert len(found[0]["rejects"]) > 10
    assert found[0] == found[1] == found[2]
    other = run(path, tmp_path / "run7", InlineEngine(), 2)[1]  # another size of shards
    assert len(other.shards) == 2
    assert results(RunDirectory(str(tmp_path / "run7"), rundir.recipe), other) == found[0]


def response(text: str | None, number: int) -> bytes:
    """A page of an archive and the crawl's word on it; a page of another site where there is no
    text."""
    body = f"<html><title>{number}</title><p>{text or ''}</p></html>"
    block = f"HTTP/1.1 {200 if text else 404} OK\r\nContent-Type: text/html\r\n\r\n{body}".encode()
    head = "WARC/1.0\r\nWARC-Type: {}\r\nWARC-Target-URI: http://a.example/{}\r\nContent-Length: {}\r\n"
    request = head.format("request", number, 18).encode() + b"\r\nGET / HTTP/1.1\r\n\r\n\r\n\r\n"
    page = head.format("response", number, len(block)).encode() + b"\r\n" + block + b"\r\n\r\n"
    return gzip.compress(request) + gzip.compress(page)


def damaged_archive(parts: int) -> bytes:
    """Pages packed one by one, broken where they are cut in `parts`, but for a record that is an
    archive."""
    pages = [response(row["text"], n) for n, row in enumerate(corpus())]
    inner = b"".join(response(row["text"], n) for n, row in enumerate(corpus()[:60]))
    head = f"WARC/1.0\r\nWARC-Type: resource\r\nContent-Length: {len(inner)}\r\n\r\n"
    whole = gzip.compress(head.encode() + inner + b"\r\n\r\n", 0)
    pages.insert(90, whole)
    data = bytearray(b"".join(pages))
    start = data.index(whole)
    for i in range(1, parts):
        at = len(data) * i // parts
        if start - 99 < at < start + len(whole):
            continue
        first = at - 4 * (i % 3)  # at the border, over it, and before it
        data[first : first + 8] = (bytes(8), b"\x1f\x8b\x08\x00WARC", b"\xff" * 8)[i % 3]
    return bytes(data)


def test_one_archive_in_1_2_and_7_damaged_at_the_borders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a part takes a page that is an archive for the archive itself, and is read again."""
    path = tmp_path / "one.warc.gz"
    path.write_bytes(damaged_archive(14))
    monkeypatch.setattr(archive_parts, "READ_BACK", 1000)
    found: list[dict[str, Any]] = []
    labels: list[str] = []
    engine = InlineEngine(progress=lambda label, done, total: labels.append(label))
    for parts in (1, 2, 7):
        rundir, plan = run(path, tmp_path / f"run{parts}", engine, parts)
        assert len(plan.shards) == parts
        assert plans.read(rundir.out)[1] == plan
        found.append(results(rundir, plan))
        found[-1]["damage"] = extract.damage(rundir)
    assert len(found[0]["documents"]) > 100
    assert len(found[0]["rejects"]) > 10
    assert found[0] == found[1] == found[2]
    assert found[0]["damage"]["a"]["lost in one.warc.gz"] > 5
    assert "extract: again" in labels


@pytest.mark.parametrize("row_group_size", [10, 1_000])
def test_one_parquet_file_in_1_2_and_7(
    tmp_path: Path, inline: InlineEngine, row_group_size: int
) -> None:
    rows = [{"text": row["text"], "n": n} for n, row in enumerate(corpus())]
    path = tmp_path / "one.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=row_group_size)
    found = []
    for parts in (1, 2, 7):
        rundir, plan = run(path, tmp_path / f"run{parts}", inline, parts)
        assert len(plan.shards) == parts
        found.append(results(rundir, plan))
    assert found[0] == found[1] == found[2]


def test_a_refused_file_is_refused_in_parts_too(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_bytes(b"".join(b'{"other": %d}\n' % n for n in range(500)))
    told = []
    for parts in (1, 7):
        with pytest.raises(CurationError, match="no column 'text'") as caught:
            run(path, tmp_path / f"run{parts}", InlineEngine(), parts)
        told.append(str(caught.value).partition("no column")[2])
    assert told[0] == told[1]


def test_rows_that_a_step_writes_as_lines_are_those_of_the_file(tmp_path: Path) -> None:
    """The input's own values are read again for them, from the parts."""
    path = tmp_path / "one.jsonl"
    path.write_bytes(damaged_lines(corpus(), 14))
    told = []
    for parts in (1, 7):
        size = f"target_shard_mb={-(-path.stat().st_size // parts) / 1e6}"
        out = tmp_path / f"run{parts}"
        run_command(
            f"curation dedup {path} --out {out} --format same --alarm warn --dataset-set {size}",
            tmp_path,
        )
        sides = [sorted((out / side).glob("*.jsonl")) for side in ("kept", "removed")]
        assert [len(side) for side in sides] == [parts, parts]
        told.append([b"".join(one.read_bytes() for one in side) for side in sides])
    assert told[0] == told[1]


def test_a_plan_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_bytes(b'{"text": "a"}\n')
    rundir, plan = run(path, tmp_path / "run", InlineEngine(), 1)
    for name in ("plan.json", "manifests/plan.json"):
        stored = json.loads((tmp_path / "run" / name).read_text())
        stored["recipe"]["dataset"][0]["archives_per_shard"] = 1
        (tmp_path / "run" / name).write_text(json.dumps(stored))
    assert plans.read(rundir.out)[1] == plan
