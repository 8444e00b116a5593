from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation import store
from curation.errors import InputError
from curation.inspect.evidence.contamination import contamination, dirty_listing, total_listing
from curation.inspect.evidence.report import ignored_grams
from curation.recipe.tables import DecontaminateConfig
from curation.stages.decontaminate.benchmarks import read_benchmarks
from curation.stages.decontaminate.stage import cut, warnings

CONFIG = DecontaminateConfig()


def _cut(*hits: tuple[int, int], chars: int, config: DecontaminateConfig = CONFIG) -> Any:
    starts, ends = (np.array([h[i] for h in hits], np.int64) for i in (0, 1))
    return cut(config, starts, ends, chars)


def _pieces(outcome: Any) -> list[tuple[int, int]]:
    return [(p["start"], p["end"]) for p in outcome.pieces]


def test_a_match_and_its_margins_are_cut() -> None:
    assert _pieces(_cut((1000, 1070), chars=3000)) == [(0, 800), (1270, 3000)]
    assert _pieces(_cut((0, 70), chars=3000)) == [(270, 3000)]
    assert _pieces(_cut((2930, 3000), chars=3000)) == [(0, 2730)]


def test_overlapping_and_touching_cuts_are_one() -> None:
    """Counting each as a split would delete a book for one long quote."""
    long_quote = [(1000 + i * 5, 1070 + i * 5) for i in range(40)]
    assert _pieces(_cut(*long_quote, chars=5000)) == [(0, 800), (1465, 5000)]
    assert _cut((1000, 1070), (1470, 1540), chars=5000).cuts == [{"start": 800, "end": 1740}]
    assert len(_cut((1000, 1070), (1471, 1540), chars=5000).cuts) == 2


def test_pieces_shorter_than_200_characters_are_dropped() -> None:
    assert _pieces(_cut((400, 470), chars=3000)) == [(0, 200), (670, 3000)]
    assert _pieces(_cut((399, 470), chars=3000)) == [(670, 3000)]
    assert _cut((150, 220), chars=400).reason == "no_piece_left"


def test_more_than_ten_pieces_remove_the_document() -> None:
    nine = [(1000 * i + 500, 1000 * i + 570) for i in range(9)]
    assert len(_cut(*nine, chars=9000).pieces) == 10
    ten = [(1000 * i + 500, 1000 * i + 570) for i in range(10)]
    assert _cut(*ten, chars=10_000).reason == "too_many_pieces"
    assert _cut(*ten, chars=9770).reason is None  # the last cut reaches the end: ten pieces


def _benchmark(folder: Path, *passages: str) -> str:
    path = folder / "quiz.jsonl"
    path.write_text(
        "".join(json.dumps({"id": f"q{i}", "passage": p}) + "\n" for i, p in enumerate(passages))
    )
    return str(path)


@pytest.fixture
def words() -> Callable[[int], str]:
    rng = random.Random(0)
    return lambda n: " ".join(f"{rng.choice('abcdefgh')}{rng.randrange(10_000)}" for _ in range(n))


def _decisions(rundir: Any, plan: Any) -> dict[str, dict[str, Any]]:
    (shard,) = plan.of("a")
    ids = store.read_table(rundir.documents(shard), ["id"]).column(0).to_pylist()
    rows = store.read_table(rundir.decision("decontaminate", shard)).to_pylist()
    return dict(zip(ids, rows, strict=True))


def test_quotes_are_found_whatever_their_case_and_punctuation(
    run_recipe: Callable[..., Any], tmp_path: Path, words: Callable[[int], str]
) -> None:
    quote = words(13)
    parts = quote.split()
    before, after = words(80), words(80)
    texts = {
        "plain": f"{before} {quote} {after}",
        "shouted": f"{before} “{quote.upper()}!” {after}",
        "dashed": f"{before} {' — '.join(parts)} {after}",
        "twelve": f"{before} {' '.join(parts[:12])} {after}",
        "clean": f"{before} {after}",
    }
    table = {
        "stages": ["extract", "decontaminate"],
        "decontaminate": {"benchmarks": [_benchmark(tmp_path, quote)]},
    }
    rundir, plan = run_recipe({"a": [{"id": k, "text": v} for k, v in texts.items()]}, table)
    rows = _decisions(rundir, plan)
    assert {k: r["cuts"] is not None for k, r in rows.items()} == {
        "plain": True,
        "shouted": True,
        "dashed": True,
        "twelve": False,
        "clean": False,
    }
    for id_ in ("plain", "shouted", "dashed"):
        kept = [texts[id_][p["start"] : p["end"]] for p in rows[id_]["pieces"]]
        assert len(kept) == 2
        assert texts[id_].startswith(kept[0])
        assert texts[id_].endswith(kept[1])
        assert parts[6] not in " ".join(kept).lower()


@pytest.mark.parametrize(("documents", "cut_out"), [(10, True), (11, False)])
def test_a_gram_in_more_than_ten_documents_is_ignored(
    run_recipe: Callable[..., Any],
    tmp_path: Path,
    words: Callable[[int], str],
    documents: int,
    cut_out: bool,
) -> None:
    quote = words(13)
    rows = [
        {"id": str(i), "text": f"{words(80)} {quote} {words(80)} {quote}"} for i in range(documents)
    ]
    table = {
        "stages": ["extract", "decontaminate"],
        "decontaminate": {"benchmarks": [_benchmark(tmp_path, quote)]},
    }
    rundir, plan = run_recipe({"a": rows}, table)
    assert all((row["cuts"] is not None) == cut_out for row in _decisions(rundir, plan).values())


@pytest.mark.parametrize(("distinct", "cut_out"), [(9, True), (10, False)])
def test_copies_of_a_text_are_one_document(
    run_recipe: Callable[..., Any],
    tmp_path: Path,
    words: Callable[[int], str],
    distinct: int,
    cut_out: bool,
) -> None:
    quote = words(13)
    copy = f"{words(80)} {quote} {words(80)}"
    rows = [{"id": f"copy{i}", "text": copy} for i in range(15)]
    rows += [
        {"id": f"{i}", "text": f"{words(80)} {quote} {words(80)} {quote}"} for i in range(distinct)
    ]
    table = {
        "stages": ["extract", "decontaminate"],
        "decontaminate": {"benchmarks": [_benchmark(tmp_path, quote)]},
    }
    rundir, plan = run_recipe({"a": rows}, table)
    assert all((row["cuts"] is not None) == cut_out for row in _decisions(rundir, plan).values())
    assert not warnings(rundir)
    said = "1 gram of benchmarks stayed in the text, each in more than 10 distinct documents"
    assert ignored_grams(rundir).startswith(said) == (not cut_out)


def test_examples_that_were_not_looked_for_are_named(
    run_recipe: Callable[..., Any], tmp_path: Path, words: Callable[[int], str]
) -> None:
    for name, texts in {"twelve": [words(12), words(20)], "tiny": [words(3)]}.items():
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps({"text": text}) + "\n" for text in texts)
        )
    table = {
        "stages": ["extract", "decontaminate"],
        "decontaminate": {"benchmarks": [str(tmp_path / f"{n}.jsonl") for n in ("twelve", "tiny")]},
    }
    rundir, _ = run_recipe({"a": [{"id": "x", "text": words(50)}]}, table)
    cuts, study = warnings(rundir)
    assert "13 words in a row" in cuts
    assert "in examples of tiny (1 of 1), twelve (1 of 2)" in cuts
    assert "in examples of tiny (1 of 1)" in study
    studies = contamination(rundir)
    assert studies is not None
    assert [(r[0], *r[3:5]) for r in dirty_listing(studies).rows] == [("tiny", "1", "unknown")]
    assert [row[0] for row in total_listing(studies).rows] == ["1 clean benchmarks", "all"]


def test_documents_that_dedup_removed_do_not_count(
    run_recipe: Callable[..., Any], tmp_path: Path, words: Callable[[int], str]
) -> None:
    quote = words(13)
    texts = [f"{words(80)} {quote} {words(80)}" for _ in range(10)]
    rows = [{"id": f"{i}{c}", "text": t} for i, t in enumerate(texts) for c in "ab"]
    table = {
        "stages": ["extract", "dedup", "decontaminate"],
        "decontaminate": {"benchmarks": [_benchmark(tmp_path, quote)]},
    }
    rundir, plan = run_recipe({"a": rows}, table)
    decided = _decisions(rundir, plan)
    assert [r["keep"] for r in decided.values()].count(None) == 10
    assert sum(r["cuts"] is not None for r in decided.values()) == 10


def test_grams_do_not_cross_the_fields_of_an_example(
    run_recipe: Callable[..., Any], tmp_path: Path, words: Callable[[int], str]
) -> None:
    a, b = words(8), words(8)
    (tmp_path / "quiz.jsonl").write_text(
        json.dumps({"question": a, "answers": [b, {"text": b}]}) + "\n"
    )
    benchmark = str(tmp_path / "quiz.jsonl")
    assert [e.fields for e in read_benchmarks((benchmark,))] == [(a, b, b)]
    table = {"stages": ["extract", "decontaminate"], "decontaminate": {"benchmarks": [benchmark]}}
    rundir, plan = run_recipe(
        {"a": [{"id": "x", "text": f"{words(50)} {a} {b} {words(50)}"}]}, table
    )
    assert _decisions(rundir, plan)["x"]["cuts"] is None


def test_bad_benchmarks_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"q": "x"}\n\n["no"]\n')
    with pytest.raises(InputError, match=r"b\.jsonl, line 3: a JSON object expected"):
        list(read_benchmarks((str(tmp_path / "b.jsonl"),)))
    (tmp_path / "c.jsonl").write_text('{"q": \n')
    with pytest.raises(InputError, match=r"c\.jsonl, line 1: not JSON"):
        list(read_benchmarks((str(tmp_path / "c.jsonl"),)))
