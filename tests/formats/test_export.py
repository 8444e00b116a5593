"""`curation export`: every format read back by the program it is for, or by its published layout; and
that an export goes on where it stopped, and leaves other folders alone."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard
from click.testing import CliRunner
from storage import faulty_storage

from curation.cli import main
from curation.errors import InputError, RunError
from curation.formats import export as exports
from curation.formats.export import export
from curation.formats.layouts import FORMATS
from curation.formats.manifest import NAME, WORK
from curation.rundir.kept import kept_documents
from curation.rundir.plan import read

TEXTS = [name for name, form in FORMATS.items() if form.texts]


def kept(run: Path, *columns: str) -> list[dict[str, Any]]:
    batches = kept_documents(*read(str(run)), columns or None)
    return [row for batch in batches for row in batch.to_pylist()]


def lines(folder: Path) -> list[dict[str, Any]]:
    """The rows of all lines in a folder, whatever packs them, dataset by dataset."""
    rows = []
    for path in sorted(folder.glob("*.jsonl*"), key=lambda p: p.name):
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        if path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        rows += [json.loads(line) for line in data.splitlines()]
    return rows


def by_id(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows}


# ---- each format by its reader -------------------------------------------------------------------


def test_parquet_has_every_kept_document(tiny_run: Path, tmp_path: Path) -> None:
    made = export(tiny_run, "parquet", tmp_path / "out")
    table = pq.read_table(tmp_path / "out")  # the whole folder: the manifest is passed over
    assert by_id(table.to_pylist()) == by_id(kept(tiny_run))
    assert made.documents == table.num_rows > 20
    shown = f"{len(made.files)} files, {made.documents} documents, {made.bytes:,} bytes"
    assert repr(made) == f"Exported({made.out!r}: {shown})"
    footer = pq.read_metadata(tmp_path / "out" / made.files[0]).metadata or {}
    assert not [key for key in footer if key.startswith(b"curation")]


@pytest.mark.parametrize("packing", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_lines_have_the_columns_asked_for(tiny_run: Path, tmp_path: Path, packing: str) -> None:
    columns = ["text", "id", "quality"]
    export(tiny_run, packing, tmp_path / "out", columns=columns)
    rows = lines(tmp_path / "out")
    assert list(rows[0]) == columns
    assert by_id(rows) == by_id(kept(tiny_run, *columns))


def test_datasets_loads_the_folder(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    cache = str(tmp_path / "cache")
    export(tiny_run, "hf", tmp_path / "out", license="odc-by")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=cache)
    assert set(loaded) == {"train", "validation"}
    found = [row for split in loaded.values() for row in split]
    assert by_id(found) == by_id(kept(tiny_run))
    alone = datasets.load_dataset(str(tmp_path / "out"), "wiki", cache_dir=cache)
    assert {row["dataset"] for split in alone.values() for row in split} == {"wiki"}
    # The same documents are held out as in the mixture.
    tokens = export(tiny_run, "olmo", tmp_path / "tokens", tokens_from="documents")
    manifest = json.loads((tmp_path / "tokens" / NAME).read_text())
    pieces = [f["sequences"] for f in manifest["files"].values() if f.get("split") == "validation"]
    assert sum(pieces) == len(loaded["validation"])
    assert tokens.tokens


def test_dolma_has_its_fields(tiny_run: Path, tmp_path: Path) -> None:
    export(tiny_run, "dolma", tmp_path / "out")
    rows = lines(tmp_path / "out" / "documents")
    expected = by_id(kept(tiny_run))
    assert by_id(rows).keys() == expected.keys()
    for row in rows:
        document = expected[row["id"]]
        assert (row["text"], row["source"]) == (document["text"], document["dataset"])
        assert row["added"].endswith("Z")
        assert row["metadata"].get("url") == document["url"]
        assert set(row) <= {"id", "text", "source", "added", "created", "metadata"}
    export(tiny_run, "dolma", tmp_path / "zst", compression="zst")
    assert by_id(lines(tmp_path / "zst" / "documents")) == by_id(rows)


def test_datatrove_reads_documents_and_tokens(tiny_run: Path, tmp_path: Path) -> None:
    readers = pytest.importorskip("datatrove.pipeline.readers", reason="datatrove is not installed")
    export(tiny_run, "datatrove", tmp_path / "out")
    documents = list(readers.JsonlReader(str(tmp_path / "out" / "documents"))())
    expected = by_id(kept(tiny_run))
    assert {d.id: d.text for d in documents} == {i: r["text"] for i, r in expected.items()}
    assert all(d.metadata["dataset"] == expected[d.id]["dataset"] for d in documents)
    dataset = pytest.importorskip("datatrove.utils.dataset")
    folder = dataset.DatatroveFolderDataset(
        str(tmp_path / "out" / "tokens"), 16, "train-*.ds", return_positions=True
    )
    assert len(folder) > 5
    assert folder[1]["positions"].tolist()[0] == 0


def test_datatroves_lines_have_text_id_and_metadata(tiny_run: Path, tmp_path: Path) -> None:
    export(tiny_run, "datatrove", tmp_path / "out", columns=["url"])
    rows = lines(tmp_path / "out" / "documents")
    assert all(set(row) == {"text", "id", "metadata"} for row in rows)
    urls = {row["id"]: row["metadata"].get("url") for row in rows}
    assert urls == {row["id"]: row["url"] for row in kept(tiny_run, "id", "url")}


# ---- files ---------------------------------------------------------------------------------------


def words(n: int, seed: int) -> str:
    """Hexadecimal digits, which hardly pack."""
    return " ".join(hashlib.md5(b"%d/%d" % (seed, i)).hexdigest() for i in range(n))


@pytest.fixture
def wide_run(run_recipe: Callable[..., Any], tmp_path: Path) -> Path:
    """Five megabytes in two datasets."""
    sets = {
        name: [{"id": f"{name}{i}", "text": words(600, i * k)} for i in range(1, 130)]
        for name, k in (("a", 1), ("b", -1))
    }
    rundir, _ = run_recipe(sets, {"stages": ["extract", "tokenize"]})
    return Path(rundir.out)


@pytest.mark.parametrize("name", ["parquet", "jsonl", "jsonl.zst", "olmo", "llmc"])
def test_files_are_bounded_and_named_alike(wide_run: Path, tmp_path: Path, name: str) -> None:
    made = export(wide_run, name, tmp_path / "out", max_file_mb=1)
    sizes = {file: (tmp_path / "out" / file).stat().st_size for file in made.files}
    assert max(sizes.values()) <= 1_000_000
    assert len(sizes) >= 4
    manifest = json.loads((tmp_path / "out" / NAME).read_text())
    assert {file: row["size"] for file, row in manifest["files"].items()} == sizes
    for file, row in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "out" / file).read_bytes()).hexdigest() == row["sha256"]
    again = export(wide_run, name, tmp_path / "again", max_file_mb=1)
    assert again.files == made.files
    for file in made.files:
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "out" / file).read_bytes()


def test_a_document_larger_than_a_file_has_one_of_its_own(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    sizes = (10, 40_000, 10)
    data = [{"id": str(i), "text": words(n, i)} for i, n in enumerate(sizes)]
    rundir, _ = run_recipe({"a": data}, {"stages": ["extract"]})
    made = export(rundir.out, "jsonl", tmp_path / "out", max_file_mb=1)
    assert len(made.files) == 3
    assert [row["id"] for row in lines(tmp_path / "out")] == ["0", "1", "2"]


# ---- going on, and leaving alone -----------------------------------------------------------------


def test_an_interrupted_export_goes_on(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts that were finished are not made again, and the end is as if nothing had happened."""
    export(tiny_run, "jsonl", tmp_path / "whole")
    out = tmp_path / "out"
    real = exports.write_part
    made: list[str] = []

    def failing(job: Any, part: Any) -> Any:
        if len(made) == 1:
            raise OSError(28, "No space left on device")
        made.append(part.name)
        return real(job, part)

    monkeypatch.setattr(exports, "write_part", failing)
    with pytest.raises(OSError, match="No space"):
        export(tiny_run, "jsonl", out)
    assert not (out / NAME).exists()
    times = {p: p.stat().st_mtime_ns for p in out.glob("*.jsonl")}
    assert len(times) == 1
    monkeypatch.setattr(exports, "write_part", real)
    export(tiny_run, "jsonl", out)
    assert all(p.stat().st_mtime_ns == time for p, time in times.items())
    assert not (out / WORK).exists()
    names = [p.name for p in (tmp_path / "whole").iterdir()]
    assert sorted(p.name for p in out.iterdir()) == sorted(names)
    assert all((out / n).read_bytes() == (tmp_path / "whole" / n).read_bytes() for n in names)


def test_a_second_call_writes_nothing_and_mends_what_is_gone(
    tiny_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made = export(tiny_run, "parquet", out)
    times = {name: (out / name).stat().st_mtime_ns for name in made.files}
    (out / made.files[0]).unlink()
    assert export(tiny_run, "parquet", out) == made
    same = [name for name in made.files if (out / name).stat().st_mtime_ns == times[name]]
    assert same == list(made.files[1:])


def test_other_settings_need_update_which_leaves_nothing_behind(
    tiny_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export(tiny_run, "jsonl", out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"made with format = 'jsonl', and here it is 'hf'"):
        export(tiny_run, "hf", out)
    with pytest.raises(RunError, match=r"made with columns = .* add --update"):
        export(tiny_run, "jsonl", out, columns=["id"])
    made = export(tiny_run, "olmo", out, update=True)
    found = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert found == {*made.files, NAME, "notes.txt"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "jsnl"}, r"no format 'jsnl'; did you mean 'jsonl"),
        ({"columns": ["nope"]}, r"no column 'nope'"),
        ({"format": "olmo", "columns": ["id"]}, r"has tokens and no columns"),
        ({"compression": "zst"}, r"no choice of compression"),
        ({"max_file_mb": 0.1}, r"max_file_mb: a number of at least 1 expected"),
        ({"validation": 1.0}, r"validation: a share of at least 0 and below 1"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tiny_run: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        export(tiny_run, **{"format": "jsonl", "out": tmp_path / "out", **change})
    assert not (tmp_path / "out").exists()


def test_folders_that_hold_something_else_are_left_alone(
    tiny_run: Path, half_run: Path, dedup_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    with pytest.raises(RunError, match=r"not an export, and not empty \(it holds 'a.txt'\)"):
        export(tiny_run, "jsonl", tmp_path / "full")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["a.txt"]
    with pytest.raises(InputError, match="it is in the run directory"):
        export(tiny_run, "jsonl", tiny_run / "kept")
    with pytest.raises(RunError, match="a file is there"):
        export(tiny_run, "jsonl", tmp_path / "full" / "a.txt")
    with pytest.raises(RunError, match="not a run directory"):
        export(tmp_path / "full", "jsonl", tmp_path / "out")
    with pytest.raises(RunError, match="this run is not finished"):
        export(half_run, "jsonl", tmp_path / "out")
    with pytest.raises(RunError, match="its recipe has no stage 'tokenize'"):
        export(dedup_run, "olmo", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_that_keeps_nothing_says_so(run_recipe: Callable[..., Any], tmp_path: Path) -> None:
    twice = [{"id": str(i), "text": "the same words in both of them"} for i in range(2)]
    table = {"stages": ["extract", "dedup"], "dedup": {"alarm": "warn", "across": [["b", "a"]]}}
    rundir, _ = run_recipe({"reference:b": twice, "a": twice[:1]}, table)
    with pytest.raises(RunError, match="no document is kept"):
        export(rundir.out, "jsonl", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_worker_processes_write_the_same(
    tiny_run: Path, tmp_path: Path, inline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = export(tiny_run, "datatrove", tmp_path / "a", engine=inline)
    assert export(tiny_run, "datatrove", tmp_path / "b").files == made.files
    for name in (*made.files, NAME):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_object_storage_holds_the_same(tiny_run: Path, tmp_path: Path) -> None:
    boto3 = pytest.importorskip("boto3")
    with faulty_storage():
        client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket="exports")
        out = "s3://exports/a"
        client.put_object(Bucket="exports", Key="other/notes.txt", Body=b"mine")
        with pytest.raises(RunError, match="not empty"):
            export(tiny_run, "jsonl.zst", "s3://exports/other")
        made = export(tiny_run, "jsonl.zst", out)
        local = export(tiny_run, "jsonl.zst", tmp_path / "out")
        assert local.files == made.files
        for name in (*made.files, NAME):
            stored = client.get_object(Bucket="exports", Key=f"a/{name}")["Body"].read()
            assert stored == (tmp_path / "out" / name).read_bytes()
        keys = [row["Key"] for row in client.list_objects_v2(Bucket="exports")["Contents"]]
        assert not [key for key in keys if WORK in key or "run.lock" in key]
        assert export(tiny_run, "jsonl.zst", out).files == made.files


def test_what_a_killed_export_left_is_no_other_folder(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / WORK).mkdir(parents=True)
    (tmp_path / "out" / WORK / "header.json.tmp-abc").write_text("{")
    assert export(tiny_run, "jsonl", tmp_path / "out").documents
    assert not (tmp_path / "out" / WORK).exists()


def test_the_command_says_what_it_wrote(tiny_run: Path, tmp_path: Path) -> None:
    def call(*args: str) -> Any:
        return CliRunner().invoke(main, ["export", str(tiny_run), *args], prog_name="curation")

    result = call("--format", "jsonl.zst", "--columns", "id,url", "--out", str(tmp_path / "o"))
    assert result.exit_code == 0, result.output
    assert "texts in 3 files" in result.output
    assert list(lines(tmp_path / "o")[0]) == ["id", "url"]
    result = call("--format", "llmc", "--out", str(tmp_path / "o"))
    assert result.exit_code == 1
    assert "add --update" in " ".join(result.output.split())


def test_an_export_is_an_input_again(tiny_run: Path, tmp_path: Path) -> None:
    """Documents of every format of texts are read by `curation extract`, with the same ids."""
    expected = {row["id"]: row["text"] for row in kept(tiny_run, "id", "text")}
    for name in TEXTS:
        export(tiny_run, name, tmp_path / name)
        folder = tmp_path / name / FORMATS[name].texts_folder
        arguments = ["extract", str(folder), "--out", str(tmp_path / f"{name}-run")]
        result = CliRunner().invoke(main, [*arguments, "--workers", "1"], prog_name="curation")
        assert result.exit_code == 0, result.output
        again = kept(tmp_path / f"{name}-run", "id", "text")
        assert {row["id"]: row["text"] for row in again} == expected, name
