"""Downloads and streams of a run, from a small internet that has the faults of the real one."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from internet import Internet, internet
from warcio.warcwriter import WARCWriter

from curation import store
from curation.cli import main
from curation.cli.console import say
from curation.cli.progress import Steps
from curation.engine.inline import InlineEngine
from curation.errors import InputError, RecipeError
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.recipe.tables import Recipe
from curation.store import patience

IMPATIENT = store.Patience(2, 30.0)
CRAWL = "CC-MAIN-2019-35"
LIST = f"/crawl-data/{CRAWL}/wet.paths.gz"
NAMES = [f"crawl-data/{CRAWL}/segments/{i}/wet/CC-{i:05}.warc.wet.gz" for i in range(4)]


def wet(number: int, pages: int = 12) -> bytes:
    """An archive of plain-text pages, each a gzip member."""
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    for page in range(pages):
        text = f"Page {page} of archive {number} tells of the harbour.\n".encode() * 40
        text += random.Random(100 * number + page).randbytes(10_000).hex(" ", 4).encode()
        url = f"http://site{number}.example/{page}"
        headers = {
            "WARC-Record-ID": f"<urn:uuid:{number}-{page}>",
            "WARC-Date": "2019-08-20T00:00:00Z",
        }
        record = writer.create_warc_record(
            url, "conversion", io.BytesIO(text), len(text), "text/plain", warc_headers_dict=headers
        )
        writer.write_record(record)
    return out.getvalue()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    monkeypatch.setattr(patience, "MAX_WAIT_S", 0.01)
    with internet() as server:
        server.files[LIST] = gzip.compress("\n".join(NAMES).encode())
        for number, name in enumerate(NAMES):
            server.files["/" + name] = wet(number)
        yield server


def crawl(
    server: Internet, stages: tuple[str, ...] = ("download", "extract"), **keys: Any
) -> Recipe:
    dataset = {"name": "cc", "role": "crawl", "crawls": [CRAWL], **keys}
    polite = {
        "base_url": server.url,
        "requests_per_second": 2000,
        "max_attempts": 3,
        "timeout_s": 30,
        "max_failed": 0.3,
    }
    return recipe.parse({"stages": list(stages), "dataset": [dataset], "download": polite})


def documents(rundir: Any, plan: Any) -> list[bytes]:
    return [Path(rundir.documents(shard)).read_bytes() for shard in plan.shards]


def test_a_crawl_is_fetched_once_and_its_list_kept(
    server: Internet, tmp_path: Path, inline: InlineEngine
) -> None:
    said: list[str] = []
    made = crawl(server, archives="0:3")
    server.acts["/" + NAMES[1]] = ["serve", "slow_down", "slow_down", "cut"]
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline, say=said.append)
    assert len(plan.shards) == 3
    size = sum(len(server.files["/" + name]) for name in NAMES[:3])
    assert said[0].split() == [
        "To",
        "fetch:",
        "cc",
        "3",
        "files",
        f"{size / 1e3:.1f}",
        "KB",
        "from",
        server.url[7:-1],
    ]
    assert said[1].startswith("In all")
    assert "25 Mbit/s" in said[1]
    before = documents(rundir, plan)
    server.seen.clear()
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline, say=said.append)
    assert server.seen == [], "nothing is asked for again, the list neither"
    assert documents(rundir, plan) == before
    assert said[2:] == ["Every table is there already: nothing to do."]
    half = tmp_path / "run" / "downloads" / "cc" / CRAWL / NAMES[1].rpartition("/")[2]
    whole = half.read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline, say=said.append)
    assert f"{half}: " in said[3]
    assert "fetched again" in said[3]
    assert half.read_bytes() == whole
    assert documents(rundir, plan) == before


def test_a_stream_gives_the_bytes_of_a_download(
    server: Internet, tmp_path: Path, inline: InlineEngine
) -> None:
    fetched = documents(
        *pipeline.run(crawl(server), str(tmp_path / "a"), inline, say=lambda line: None)
    )
    server.acts["/" + NAMES[2]] = ["cut", "slow_down", "ignore_range", "cut", "lie"]
    said: list[str] = []
    streamed = documents(
        *pipeline.run(
            crawl(server, ("extract",), stream=True), str(tmp_path / "b"), inline, say=said.append
        )
    )
    assert streamed == fetched
    assert said[0].startswith("To stream:")
    assert [p.name for p in (tmp_path / "b" / "downloads").iterdir()] == ["_lists"], (
        "only the list is on disk"
    )


@pytest.mark.spark
@pytest.mark.slow
def test_spark_does_the_same(
    server: Internet, tmp_path: Path, inline: InlineEngine, spark_engine: Any
) -> None:
    fetched = documents(
        *pipeline.run(crawl(server), str(tmp_path / "a"), inline, say=lambda line: None)
    )
    assert (
        documents(
            *pipeline.run(crawl(server), str(tmp_path / "b"), spark_engine, say=lambda line: None)
        )
        == fetched
    )
    streamed = crawl(server, ("extract",), stream=True)
    assert (
        documents(*pipeline.run(streamed, str(tmp_path / "c"), spark_engine, say=lambda line: None))
        == fetched
    )


def test_only_the_first_bytes_are_read_and_the_cut_record_counted(
    server: Internet, tmp_path: Path, inline: InlineEngine
) -> None:
    size = len(server.files["/" + NAMES[0]])
    made = crawl(server, ("extract",), stream=True, first_mb=size * 0.55 / 1e6, archives="0:1")
    rundir, plan = pipeline.run(made, str(tmp_path / "run"), inline, say=lambda line: None)
    books = pipeline.ledgers(rundir, plan)["extract"]["cc"]
    assert books["kept"][0] in (6, 7)
    assert books["truncated"][0] == 1
    assert books["in"][0] == books["kept"][0] + 1
    assert (f"/{NAMES[0]}", f"bytes=0-{int(size * 0.55) - 1}") in server.seen
    whole = documents(
        *pipeline.run(
            crawl(server, archives="0:1"), str(tmp_path / "b"), inline, say=lambda line: None
        )
    )
    prefix = store.read_table(rundir.documents(plan.shards[0])).to_pylist()
    (tmp_path / "whole.parquet").write_bytes(whole[0])
    assert store.read_table(str(tmp_path / "whole.parquet")).to_pylist()[: len(prefix)] == prefix


def test_a_file_that_stays_broken_is_skipped_told_and_asked_for_again(
    server: Internet, tmp_path: Path, inline: InlineEngine
) -> None:
    server.acts["/" + NAMES[1]] = ["slow_down"] * 99
    made, out = crawl(server), str(tmp_path / "run")
    rundir, plan = pipeline.run(made, out, inline, say=lambda line: None)
    assert len(plan.shards) == 3
    (warning,) = pipeline.warnings(rundir)
    assert "1 files of cc could not be fetched" in warning
    assert NAMES[1] in warning
    (row,) = json.loads((tmp_path / "run/downloads/_failed.json").read_text())
    assert row["dataset"] == "cc"
    assert "status 503" in row["why"]
    server.acts.clear()
    rundir, plan = pipeline.run(made, out, inline, say=lambda line: None)
    assert len(plan.shards) == 4
    assert pipeline.warnings(rundir) == []
    undisturbed = documents(*pipeline.run(made, str(tmp_path / "b"), inline, say=lambda line: None))
    assert documents(rundir, plan) == undisturbed


def test_a_stream_that_stays_broken_is_told_and_asked_for_again(
    server: Internet, tmp_path: Path, inline: InlineEngine
) -> None:
    server.acts["/" + NAMES[1]] = ["serve", "cut", *["slow_down"] * 99]
    made, out = crawl(server, ("extract",), stream=True), str(tmp_path / "run")
    rundir, plan = pipeline.run(made, out, inline, say=lambda line: None)
    books = pipeline.ledgers(rundir, plan)["extract"]["cc"]
    assert books["unreachable"][0] == 1
    assert 36 < books["kept"][0] < 48
    (warning,) = pipeline.warnings(rundir)
    assert "1 files or records of cc" in warning
    rejects = [
        row
        for shard in plan.shards
        for row in store.read_table(rundir.table("rejects", shard)).to_pylist()
    ]
    (lost,) = [row for row in rejects if row["reason"] == "unreachable"]
    assert lost["url"] == server.url + NAMES[1]
    assert "503" in lost["detail"]
    server.acts.clear()
    rundir, plan = pipeline.run(made, out, inline, say=lambda line: None)
    assert pipeline.ledgers(rundir, plan)["extract"]["cc"]["kept"][0] == 48
    undisturbed = documents(*pipeline.run(made, str(tmp_path / "b"), inline, say=lambda line: None))
    assert documents(rundir, plan) == undisturbed


def test_a_bad_line_of_a_list_costs_that_line(
    server: Internet, tmp_path: Path, inline: InlineEngine
) -> None:
    lines = [NAMES[0], "../../etc/passwd", "a b\x1b[2J", NAMES[1], NAMES[1]]
    server.files[LIST] = gzip.compress("\n".join(lines).encode())
    said: list[str] = []
    _, plan = pipeline.run(crawl(server), str(tmp_path / "run"), inline, say=said.append)
    assert [shard.files[0].name for shard in plan.shards] == [n.split("/")[-1] for n in NAMES[:2]]
    assert said[0].endswith("2 lines are no paths and are passed over, first '../../etc/passwd'")


@pytest.mark.parametrize("stream", [False, True])
def test_too_many_broken_files_stop_the_run(
    server: Internet, tmp_path: Path, inline: InlineEngine, stream: bool
) -> None:
    for name in NAMES[:2]:
        del server.files["/" + name]
    with pytest.raises(
        InputError, match=r"'cc': 2 of 4 files could not be (fetched|read) .*max_failed allows 30 %"
    ):
        pipeline.run(
            crawl(server, stream=stream), str(tmp_path / "run"), inline, say=lambda line: None
        )


def test_files_and_benchmarks_by_address(
    server: Internet, tmp_path: Path, inline: InlineEngine
) -> None:
    passage = " ".join(f"word{i}" for i in range(30))
    server.files["/a/test.jsonl"] = json.dumps({"question": passage}).encode() + b"\n"
    server.files["/books/pg1.txt"] = (f"A book. {passage} " + "It goes on and on. " * 60).encode()
    server.files["/books/pg2.txt"] = b"Another book, clean. " * 60
    table = {
        "stages": ["download", "extract", "decontaminate"],
        "dataset": [
            {"name": "books", "files": [server.url + "books/pg1.txt", server.url + "books/pg2.txt"]}
        ],
        "decontaminate": {
            "benchmarks": [server.url + "a/test.jsonl#name=quiz.jsonl"],
            "study": False,
        },
        "download": {"requests_per_second": 2000},
    }
    said: list[str] = []
    rundir, plan = pipeline.run(recipe.parse(table), str(tmp_path / "run"), inline, say=said.append)
    assert [line.split()[2] for line in said[:2]] == ["benchmarks", "books"]
    assert (tmp_path / "run/downloads/_benchmarks/quiz.jsonl").exists()
    assert [file.name for shard in plan.shards for file in shard.files] == ["pg1.txt", "pg2.txt"]
    assert pipeline.ledgers(rundir, plan)["decontaminate"]["books"]["cut"][1] > 100
    del server.files["/a/test.jsonl"]
    with pytest.raises(
        InputError, match=r"decontaminate.benchmarks: 1 of 1 files could not be fetched"
    ):
        pipeline.run(recipe.parse(table), str(tmp_path / "other"), inline, say=said.append)


def test_json_lines_can_be_streamed_and_parquet_cannot(
    server: Internet, tmp_path: Path, inline: InlineEngine
) -> None:
    server.files["/t.jsonl"] = (
        b'{"id": "a", "text": "one two", "n": 1}\n{"id": "b", "text": "three"}\n'
    )
    dataset = {"name": "t", "files": [server.url + "t.jsonl"], "stream": True}
    table = {"stages": ["extract"], "dataset": [dataset], "download": {"requests_per_second": 2000}}
    rundir, plan = pipeline.run(
        recipe.parse(table), str(tmp_path / "run"), inline, say=lambda line: None
    )
    rows = store.read_table(rundir.documents(plan.shards[0])).to_pylist()
    assert [(row["id"], row["extra"]) for row in rows] == [("a", {"n": 1}), ("b", None)]
    server.files["/t.jsonl"] += b'{"id": "c", "text": "new"}\n'
    rundir, plan = pipeline.run(
        recipe.parse(table), str(tmp_path / "run"), inline, say=lambda line: None
    )
    assert len(store.read_table(rundir.documents(plan.shards[0]))) == 3, (
        "a changed file is read again"
    )
    table["dataset"] = [{**dataset, "files": [server.url + "t.parquet"]}]
    with pytest.raises(InputError, match="cannot be streamed"):
        pipeline.run(recipe.parse(table), str(tmp_path / "other"), inline, say=lambda line: None)


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ({"files": ["https://a.org/x.gz"]}, 'put "download" into `stages`'),
        ({"crawls": [CRAWL]}, 'put "download" into `stages`'),
        ({"files": ["x.gz"], "first_mb": 3}, "goes with stream"),
        ({"files": ["https://a.org/x.gz#md5=" + "0" * 32], "stream": True}, "digest"),
        ({"files": ["x.gz"], "crawls": [CRAWL]}, "give either"),
        ({"urls": "urls.txt"}, "go together"),
    ],
)
def test_what_cannot_go_together_is_refused(dataset: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        recipe.parse({"stages": ["extract"], "dataset": [{"name": "a", **dataset}]})


@pytest.mark.parametrize("archives", ["9:", "sample:0"])
def test_bad_archives_name_the_key_and_the_dataset(
    server: Internet, tmp_path: Path, inline: InlineEngine, archives: str
) -> None:
    expected = rf"^dataset 'cc', crawl {CRAWL}: archives: .*'{archives}'"
    with pytest.raises(InputError, match=expected) as caught:
        pipeline.run(crawl(server, archives=archives), str(tmp_path / "run"), inline)
    assert "a slice such as '0:100'" in str(caught.value)


MARKER = "MARKER"


@pytest.mark.parametrize("stream", [False, True])
def test_no_secret_of_an_address_is_written_or_printed(
    server: Internet, tmp_path: Path, inline: InlineEngine, stream: bool, capfd: Any
) -> None:
    """Everything that a run leaves and says, and its report, with a file that fails."""
    host = server.url.removeprefix("http://")

    def signed(name: str, signature: str) -> str:
        key = f"X-Amz-Credential={MARKER}&X-Amz-Signature={signature}{MARKER}"
        server.files[f"/{name}?part=1&{key}"] = server.files.get(f"/{name}", b"")
        return f"http://me:{MARKER}@{host}{name}?part=1&{key}"

    page = "https://example.org/a?X-Amz-Signature=page"
    row = {"id": "1", "text": "one two three", "url": page}
    server.files["/t.jsonl"] = json.dumps(row).encode() + b"\n"
    server.files["/u.jsonl"] = b'{"id": "2", "text": "four five six"}\n'
    out = str(tmp_path / "run")

    def run(signature: str) -> Any:
        files = [signed(name, signature) for name in ("t.jsonl", "u.jsonl", "broken.warc.gz")]
        server.acts = {path: ["slow_down"] * 9 for path in server.files if "broken" in path}
        dataset = {"name": "t", "files": files, "stream": stream}
        polite = {"requests_per_second": 2000, "max_attempts": 2, "max_failed": 0.4}
        table = {"stages": ["download", "extract"], "dataset": [dataset], "download": polite}
        with Steps() as steps:
            return pipeline.run(recipe.parse(table), out, inline, say=steps.say)

    rundir, plan = run("first")
    before = documents(rundir, plan)
    for line in pipeline.warnings(rundir):
        say(line)
    assert CliRunner().invoke(main, ["report", out]).exit_code == 0
    rundir, plan = run("second")  # the same input: no other recipe, and the documents stay
    assert documents(rundir, plan) == before
    server.acts = {path: ["slow_down"] * 9 for path in server.acts}
    broken = store.address(signed("broken.warc.gz", "second"))
    with pytest.raises(InputError, match=r"given up after 2 attempts: .*status 503") as caught:
        store.fetch(broken, str(tmp_path / "b"), IMPATIENT)
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    rows = [
        r for shard in plan.shards for r in store.read_table(rundir.documents(shard)).to_pylist()
    ]
    assert page in [r["url"] for r in rows], "addresses of pages are data"
    rejects = [store.read_table(rundir.table("rejects", shard)) for shard in plan.shards]
    told = "".join(capfd.readouterr()) + str(caught.value) + str([r.to_pylist() for r in rejects])
    assert "broken.warc.gz" in told
    assert "X-Amz-Signature=***" in told
    assert MARKER not in told
    assert [path for path, data in written.items() if MARKER.encode() in data] == []


def test_what_a_server_says_is_shown_and_not_obeyed(server: Internet, tmp_path: Path) -> None:
    server.missing = b"\x1b]0;title\x07<h1>\xc2\x9b2J\r\nError: all is well"
    with pytest.raises(InputError) as caught:
        store.fetch(store.address(server.url + "none"), str(tmp_path / "a"), IMPATIENT)
    assert str(caught.value).isprintable()
    assert r"\x1b]0;title\x07<h1>\x9b2J Error: all is well" in str(caught.value)
