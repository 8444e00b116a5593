"""Languages that a recipe keeps: by threshold, model and dataset, and unread where the crawl is sure."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_language_model import language_model, write_language_model

from curation import store
from curation.engine.inline import InlineEngine
from curation.errors import InputError
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe

ENGLISH = "The committee will meet again on Thursday to discuss the proposal in detail."
GERMAN = "Der Ausschuss wird am Donnerstag erneut zusammentreten, um den Vorschlag zu beraten."
CODE = "for x in y if y is not None else z"


def _run(folder: Path, inline: InlineEngine, datasets: list[dict[str, Any]], **extract: Any) -> Any:
    """The ids of the documents and the details of the rejects, by dataset, and the run."""
    table = {"stages": ["extract"], "dataset": datasets, "extract": extract}
    rundir, plan = pipeline.run(recipe.parse(table), str(folder), inline, update=True)
    documents: dict[str, list[dict[str, Any]]] = {d["name"]: [] for d in datasets}
    details: dict[str, list[str]] = {d["name"]: [] for d in datasets}
    for shard in plan.shards:
        documents[shard.dataset] += store.read_table(rundir.documents(shard)).to_pylist()
        rejects = store.read_table(rundir.table("rejects", shard)).to_pylist()
        assert {row["reason"] for row in rejects} <= {"language"}
        details[shard.dataset] += [row["detail"] for row in rejects]
    return documents, details, (rundir, plan)


@pytest.fixture
def rows(tmp_path: Path) -> str:
    texts = {"en": ENGLISH, "de": GERMAN, "code": CODE, "und": "12345"}
    lines = [json.dumps({"id": id_, "text": text}) + "\n" for id_, text in texts.items()]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(lines))
    return str(path)


def test_each_dataset_may_keep_other_languages(
    tmp_path: Path, inline: InlineEngine, rows: str
) -> None:
    datasets: list[dict[str, Any]] = [
        {"name": "english", "files": [rows]},
        {"name": "german", "files": [rows], "languages": ["de", "und"]},
        {"name": "unsure", "files": [rows], "language_threshold": 0.0},
        {"name": "all", "files": [rows], "languages": []},
    ]
    documents, details, _ = _run(tmp_path / "run", inline, datasets, languages=["en"])
    ids = {name: [row["id"] for row in rows] for name, rows in documents.items()}
    assert ids == {
        "english": ["en"],
        "german": ["de", "und"],
        "unsure": ["en", "code"],
        "all": ["en", "de", "code", "und"],
    }
    assert [detail.split(" ")[0] for detail in details["english"]] == ["de", "en", "und"]
    assert details["english"][1].endswith(", 0.65 needed")


def _archive(path: Path) -> str:
    verdict = '{"reliable":true,"text-bytes":900,"languages":[{"code-iso-639-3":"deu","text-covered":0.97}]}'
    records = []
    for name in ("1", "2"):
        text = f"<p>{GERMAN}" if name == "1" else f"<p>{ENGLISH}"
        block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{text}"
        fields = f"languages-cld2: {verdict}\r\n"
        for kind, mime, content in (
            ("response", "application/http; msgtype=response", block),
            ("metadata", "application/warc-fields", fields),
        ):
            head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <{kind}-{name}>\r\nContent-Type: {mime}\r\n"
            head += f"WARC-Target-URI: http://a.example/{name}\r\nWARC-Concurrent-To: <response-{name}>\r\n"
            records.append(
                f"{head}Content-Length: {len(content)}\r\n\r\n{content}\r\n\r\n".encode()
            )
    path.write_bytes(b"".join(map(gzip.compress, records)))
    return str(path)


def test_a_page_that_the_crawl_calls_another_language_is_not_parsed(
    tmp_path: Path, inline: InlineEngine
) -> None:
    dataset = {"name": "a", "role": "crawl", "files": [_archive(tmp_path / "a.warc.gz")]}
    documents, _, _ = _run(tmp_path / "all", inline, [dataset])
    columns = ("language", "crawl_language", "crawl_language_share", "crawl_language_reliable")
    assert [[row[name] for name in columns] for row in documents["a"]] == [
        ["de", "deu", pytest.approx(0.97), True],
        ["en", "deu", pytest.approx(0.97), True],
    ]
    with pytest.raises(InputError, match="2 language"):  # of English too: it was not looked at
        _run(tmp_path / "english", inline, [dataset], languages=["en"])
    never = {"languages": ["en"], "crawl_language_threshold": 0.0}
    documents, details, _ = _run(tmp_path / "never", inline, [dataset], **never)
    assert [row["url"] for row in documents["a"]] == ["http://a.example/2"]
    documents, details, _ = _run(tmp_path / "german", inline, [dataset], languages=["de"])
    assert details["a"] == ["en (0.98)"] or details["a"][0].startswith("en (")


def test_a_model_of_the_users_is_known_by_its_content(
    tmp_path: Path, inline: InlineEngine, rows: str
) -> None:
    model = tmp_path / "x.bin"
    write_language_model(model)
    datasets = [{"name": "a", "files": [rows]}]

    def identity(path: Path) -> tuple[str, str]:
        documents, _, (rundir, plan) = _run(
            tmp_path / "run", inline, datasets, language_model=str(path)
        )
        footer = store.need_footer(rundir.documents(plan.shards[0]))
        return documents["a"][1]["language"], footer.identity

    first = identity(model)
    assert first[0] == "deu_Latn"
    moved = tmp_path / "moved.bin"
    moved.write_bytes(model.read_bytes())
    assert identity(moved) == first
    write_language_model(model, ("other", "german"))
    assert identity(model)[0] == "german"
    assert identity(model)[1] != first[1]


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (None, {}, r"^extract\.language_model: .*x\.bin: no such file"),
        (b"text", {}, r"^extract\.language_model: .*x\.bin: .*model that is cut or damaged"),
        (b"some text\n", {}, r"^extract\.language_model: .*x\.bin: not a fastText model"),
        (language_model(), {"languages": ["en"]}, r"^extract\.languages: .*got 'en'; nearest: 'eng_Latn'"),
        (language_model(), {"of": ["de"]}, r"^dataset 'a': languages: .*got 'de'; nearest: 'deu_Latn'"),
    ],
)  # fmt: skip
def test_a_run_checks_the_model_at_its_start(
    tmp_path: Path,
    inline: InlineEngine,
    rows: str,
    data: bytes | None,
    settings: dict[str, Any],
    message: str,
) -> None:
    path = tmp_path / "x.bin"
    if data is not None:
        path.write_bytes(data)
    dataset = {"name": "a", "files": [rows], "languages": settings.pop("of", None)}
    if dataset["languages"] is None:
        del dataset["languages"]
    with pytest.raises(InputError, match=message):
        _run(tmp_path / "run", inline, [dataset], language_model=str(path), **settings)
    assert not (tmp_path / "run" / "documents").exists() or not list(
        (tmp_path / "run" / "documents").rglob("*.parquet")
    )
