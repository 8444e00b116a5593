"""A fastText file scores a crawl: by the probability of its label, and nothing that is no such file passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from tiny_language_model import language_model, write_language_model

from curation import store
from curation.cli import main
from curation.errors import CurationError
from curation.inspect.evidence.fit import model_report
from curation.inspect.evidence.report import report
from curation.readers.language_model import model_file
from curation.stages.classify.fasttext_model import FastText, score_fasttext
from curation.web.sections import section

TEXTS = ["the", "the der", "der", "unknown words", "\nthe\r\nthe\0the\n", " "]
ROWS = [{"id": str(i), "url": f"http://s{i}.example/", "text": t} for i, t in enumerate(TEXTS[:5])]
TABLE: dict[str, Any] = {"stages": ["extract", "classify"]}


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_language_model(tmp_path / "m.bin", ("hq", "cc"))


def call(*args: str) -> Any:
    return CliRunner(env={"COLUMNS": "160"}).invoke(main, list(args), prog_name="curation")


@pytest.mark.parametrize(("label", "expected"), [("hq", [1, 0.5, 0]), ("cc", [0, 0.5, 1])])
def test_the_score_is_the_probability_of_the_label(
    model: str, label: str, expected: list[float]
) -> None:
    """Lines, carriage returns and NUL part words; a text without a word that it knows scores 0."""
    fasttext = FastText(model_file(model), f"__label__{label}")
    score = score_fasttext(fasttext, pa.array(TEXTS))
    assert score.tolist() == pytest.approx([*expected, 0, expected[0], 0], abs=1e-4)
    assert score.max() <= 1


def scored(run: tuple[Any, Any]) -> dict[str, float]:
    rundir, plan = run
    (shard,) = plan.of("web")
    ids = store.read_table(rundir.documents(shard), ["id"]).column("id").to_pylist()
    evidence = store.read_table(rundir.table("classify", shard, "evidence"))
    assert evidence.column("fold").null_count == len(ids)
    return dict(zip(ids, evidence.column("score").to_pylist(), strict=True))


def test_a_run_is_scored_by_it_and_knows_its_content_and_label(
    run_recipe: Callable[..., Any], model: str
) -> None:
    def run(label: str) -> Any:
        classify = {"model": model, "model_label": label, "alpha": 2.0}
        return run_recipe({"crawl:web": ROWS}, {**TABLE, "classify": classify})

    rundir, plan = run("__label__hq")
    assert scored((rundir, plan))["1"] == pytest.approx(0.5, abs=1e-4)
    (shard,) = plan.of("web")
    evidence = Path(rundir.table("classify", shard, "evidence"))
    before = evidence.stat().st_mtime_ns
    run("hq")  # the same label
    assert evidence.stat().st_mtime_ns == before
    assert scored(run("cc"))["0"] == pytest.approx(0, abs=1e-4)
    Path(model).write_bytes(language_model(("cc", "hq")))
    assert scored(run("cc"))["0"] == pytest.approx(1, abs=1e-4)


def test_every_command_that_looks_at_a_filter_knows_it(
    run_recipe: Callable[..., Any], model: str, tmp_path: Path
) -> None:
    classify = {"model": model, "model_label": "hq", "alpha": 1.0}
    good = [{"id": f"g{i}", "text": f"the {i}"} for i in range(8)]
    good += [{"id": "half", "text": "the der"}]
    datasets = {"good": good, "crawl:web": ROWS}
    rundir, plan = run_recipe(datasets, {**TABLE, "classify": classify})
    said = "no strongest tokens"
    shown = call("model", rundir.out)
    assert shown.exit_code == 0
    assert said in " ".join(shown.output.split())
    assert "the probability of __label__hq" in shown.output
    assert call("model", model).output.splitlines()[1:] == ["__label__hq", "__label__cc"]
    own = model_report(rundir.path("classify", "model"))
    assert said in section("quality", None, scores=report(rundir, plan).scores, model=own)
    fitted = call("alpha", rundir.out)
    assert "the model was fitted elsewhere" in " ".join(fitted.output.split())
    explained = call("explain", rundir.out, "1")
    assert "score 0.500" in explained.output
    labels = tmp_path / "labels.jsonl"
    rows = [{"id": str(i), "label": n} for i, n in enumerate((2, 1, 0, 0, 2))]
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    labelled = call("label", rundir.out, "--labels", str(labels))
    assert labelled.exit_code == 0
    assert "1.00" in labelled.output  # both of label 2 above both of label 0
    assert call("check", rundir.out).exit_code == 0
    other = {"model": rundir.path("classify", "model")}
    with pytest.raises(CurationError, match="give that file itself"):
        run_recipe({"crawl:web": ROWS}, {**TABLE, "classify": other}, out="other")


def test_the_command_takes_a_file_and_its_label(model: str, tmp_path: Path) -> None:
    pages = tmp_path / "pages.jsonl"
    pages.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    args = ("classify", str(pages), "--model", model, "--out", str(tmp_path / "out"))
    done = call(*args, "--model-label", "__label__hq", "--workers", "1")
    assert done.exit_code == 0, done.output
    (kept,) = (tmp_path / "out" / "kept").glob("*.parquet")
    rows = store.read_table(str(kept)).to_pylist()
    assert {row["id"] for row in rows} >= {"0", "4"}
    assert max(row["quality"] for row in rows) == 1


@pytest.mark.parametrize(
    ("data", "label", "said"),
    [
        (None, "", r"model_label: a label of .*m\.bin expected \(hq, cc\), got none .*nearest: 'hq'"),
        (None, "hp", r"expected \(hq, cc\), got 'hp'; nearest: 'hq'"),
        (b"hello\n" * 50, "hq", "classify.model: .*not a fastText model with labels"),
        (language_model(kind=1), "hq", "vectors of words and no labels"),
        (language_model()[:-1], "hq", "cut or damaged|bytes expected"),
        (language_model(dimension=1 << 30), "hq", "cut or damaged"),
        ("absent", "hq", r"classify.model: .*m\.bin: no such file"),
        ("folder", "hq", r"classify.model: .*m\.bin: a file expected, got a folder"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_or_label_is_one_sentence_at_the_start(
    run_recipe: Callable[..., Any], model: str, data: Any, label: str, said: str
) -> None:
    path = Path(model)
    if data is not None:
        path.unlink()
    if data == "folder":
        path.mkdir()
        (path / "inside.bin").write_bytes(language_model())
    elif isinstance(data, bytes):
        path.write_bytes(data)
    classify = {"model": model, "model_label": label}
    with pytest.raises(CurationError, match=said) as caught:
        run_recipe({"crawl:web": ROWS}, {**TABLE, "classify": classify})
    assert "\n" not in str(caught.value)


def test_a_label_without_a_file_is_refused(run_recipe: Callable[..., Any]) -> None:
    with pytest.raises(CurationError, match=r"model_label: a fastText file .* expected"):
        run_recipe({"crawl:web": ROWS}, {**TABLE, "classify": {"model_label": "hq"}})
