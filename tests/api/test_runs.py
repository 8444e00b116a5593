"""A whole run from Python, and what can be asked of it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from tiny_corpus import QUOTE, sentences

import curation
from curation.engine.inline import InlineEngine
from curation.errors import CurationError, InputError

RECIPE = """
stages = ["extract", "classify", "dedup", "decontaminate"]
classify.alpha = 0.05
decontaminate.benchmarks = "quotes.jsonl"
[[dataset]]
name = "web"
role = "crawl"
files = "web.jsonl"
[[dataset]]
name = "old"
role = "reference"
files = "old.jsonl"
"""
WEB = [
    *({"id": f"w{i}", "text": sentences(i, 20, "good"), "url": f"http://a/{i}"} for i in range(9)),
    {"id": "copy", "text": sentences(3, 20, "good")},
    {"id": "long", "text": f"{sentences(50, 20, 'good')} They say {QUOTE} . {sentences(51, 20, 'good')}"},
    {"id": "short", "text": f"They say {QUOTE}."},
    {"id": "none", "url": "http://none/"},
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    for name, rows in {
        "web": WEB,
        "old": [{"id": "o", "text": "old"}],
        "quotes": [{"text": QUOTE}],
    }.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.toml").write_text(RECIPE)
    curation.run(folder / "recipe.toml", out=folder / "run", workers=1)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> curation.Run:
    return curation.Run.open(folder / "run")


def test_documents_that_stay_have_what_decontamination_left(run: curation.Run) -> None:
    kept = pa.Table.from_batches(run.documents()).to_pylist()
    removed = pa.Table.from_batches(run.documents(kept=False)).to_pylist()
    ids = {row["id"].partition("/")[0] for row in kept}
    assert {row["id"] for row in removed} == {row["id"] for row in WEB} - ids - {"none"}
    reasons = {row["id"]: (row["stage"], row["reason"]) for row in removed}
    assert reasons["short"] == ("decontaminate", "no_piece_left")
    copies = {reasons.get("copy"), reasons.get("w3")}
    assert ("dedup", "exact_duplicate") in copies
    assert all(row["dataset"] == "web" for row in [*kept, *removed])
    pieces = [row for row in kept if row["id"].startswith("long")]
    assert [(row["id"], row["piece"]) for row in pieces] == [("long/0", 0), ("long/1", 1)]
    assert not any(QUOTE in row["text"] for row in pieces)
    texts = {row["id"]: row["text"] for row in WEB if "text" in row}
    for row in kept:
        assert row["text"] in texts[row["id"].partition("/")[0]]
    narrow = next(run.documents(columns=["text", "content"]))
    assert narrow.schema.names == ["text", "content"]
    with pytest.raises(InputError, match="no column 'txt'; did you mean 'text'"):
        next(run.documents(columns=["txt"]))


def test_tables_by_name(run: curation.Run) -> None:
    names = run.tables()
    assert {"documents", "rejects", "classify", "dedup", "dedup/evidence", "survivors"} <= set(
        names
    )
    decided = run.table("dedup").to_pylist()
    copy = next(row for row in decided if row["reason"] == "exact_duplicate")
    assert {copy["id"], copy["kept_id"]} == {"w3", "copy"}
    assert copy["dataset"] == "web"
    quality = run.table("classify", ["id", "quality", "keep"])
    assert quality.num_rows == len(WEB) - 1
    assert all(0 <= row["quality"] <= 1 for row in quality.to_pylist())
    for name in names:
        assert run.table(name).num_rows >= 0
    hits = run.scan("decontaminate/evidence").to_table(columns=["gram"])
    assert hits.num_rows == run.table("decontaminate/evidence").num_rows > 0
    with pytest.raises(InputError, match="no table 'dedpu'; did you mean 'dedup'"):
        run.table("dedpu")
    with pytest.raises(InputError, match=r"scan 'dedup/decision'"):
        run.scan("dedup")


def test_the_ledger_and_the_funnel_balance(run: curation.Run) -> None:
    for table in (run.ledger, run.funnel()):
        rows = [r for r in table.to_pylist() if r["dataset"] == "web" and r["stage"] == "extract"]
        counts = {row["outcome"]: row["documents"] for row in rows}
        assert counts["in"] == len(WEB)
        assert counts["kept"] == len(WEB) - 1
        assert counts["missing_text"] == 1
    assert "missing_text" in repr(run)
    assert "<pre>" in run._repr_html_()
    assert run.warnings


def test_the_study_of_benchmarks_is_a_table(run: curation.Run, tmp_path: Path) -> None:
    (row,) = run.contamination().to_pylist()
    assert row["n"] == 13
    assert (row["benchmark"], row["examples"], row["short"]) == ("quotes", 1, 0)
    assert (row["dirty_before"], row["dirty_after"]) == (1, 0)
    curation.dedup(["one", "two"], out=tmp_path / "d")
    with pytest.raises(CurationError, match="no study of benchmark examples"):
        curation.Run.open(tmp_path / "d").contamination()


def test_documents_are_weighed_by_a_column(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": sentences(i, 20, "good"), "stars": 1 + i % 2} for i in range(40)]
    web = curation.tokenize(pa.Table.from_pylist(rows), by="extra.stars", out=tmp_path / "web")
    weights = {"web": {"1": 1.0, "2": 0.5}}
    mixed = curation.mix(
        {"web": web},
        by="extra.stars",
        by_weights=weights,
        out=tmp_path / "mixed",
        shards=1,
        validation=0,
    )
    epochs = {row["value"]: row["epochs"] for row in mixed.mixture().to_pylist() if row["value"]}
    assert epochs["2"] == pytest.approx(epochs["1"] / 2)
    with pytest.raises(CurationError, match="by_weights"):
        curation.mix({"web": web}, by="extra.stars", out=tmp_path / "other")


def test_explain_and_report(run: curation.Run, tmp_path: Path) -> None:
    story = run.explain("short")
    assert story.fates[0].benchmarks is not None
    assert "no_piece_left" in story.text
    assert repr(story) == story.text
    assert story._repr_html_().startswith("<pre>")
    assert run.explain("http://none/").rejects[0].columns["reason"] == "missing_text"
    with pytest.raises(InputError, match="neither the id nor the URL"):
        run.explain("nobody")
    assert run.report(tmp_path / "page.html") == str(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().startswith("<!")


def test_a_recipe_may_be_a_file_a_dict_or_a_recipe(
    folder: Path, run: curation.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tomllib

    monkeypatch.chdir(folder)
    engine = InlineEngine()
    ended = []
    monkeypatch.setattr(InlineEngine, "close", lambda self, interrupted=False: ended.append(self))
    tables = tomllib.loads(RECIPE)
    for number, recipe in enumerate((tables, curation.Run.open("run").recipe)):
        done = curation.run(recipe, out=tmp_path / str(number), engine=engine)
        assert done.table("dedup").equals(run.table("dedup"))
        assert done.recipe == run.recipe
    assert engine not in ended
    with pytest.raises(CurationError, match=r"made by another recipe .*update=True.*out="):
        curation.run("recipe.toml", out=tmp_path / "0", workers=1, settings=["seed=7"])
    curation.run("recipe.toml", out=tmp_path / "0", workers=1, settings=["seed=7"], update=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda out: curation.run("nothing.toml", out=out), "no such file"),
        (lambda out: curation.run({"dataset": []}, out=out), "recipe: at least one"),
        (lambda out: curation.run({"dataset": []}, out=out, settings=["seed=1"]), "recipe file"),
        (lambda out: curation.Run.open(out), "not a run directory"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_one_sentence(call: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(CurationError, match=message):
        call(tmp_path / "out")  # type: ignore[operator]
    assert not (tmp_path / "out").exists()


def test_an_engine_is_local_or_spark(folder: Path, tmp_path: Path) -> None:
    recipe = folder / "recipe.toml"
    with pytest.raises(InputError, match=r'engine "local" or "spark" expected'):
        curation.run(recipe, out=tmp_path / "out", engine="ray")  # type: ignore[arg-type]
    with pytest.raises(InputError, match='master goes with engine="spark"'):
        curation.run(recipe, out=tmp_path / "out", master="local[2]")


def test_in_a_notebook_it_is_text_and_shows_itself_once(
    run: curation.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert "Documents and tokens" in repr(run)
    assert "<pre>Documents and tokens" in run._repr_html_()
    id_ = run.table("documents").column("id")[0].as_py()
    assert id_ in run.explain(id_).text
    assert not capsys.readouterr().out
