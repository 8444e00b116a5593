from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_decontamination import grams

from curation import store
from curation.stages.decontaminate.contamination import gram_length, unpacked


def test_n_is_the_fifth_percentile_within_8_and_13() -> None:
    lengths = np.array([9] * 10 + [30] * 90)
    assert gram_length(lengths, False) == 9
    assert gram_length(np.full(100, 500), False) == 13
    assert gram_length(np.full(100, 3), False) == 8
    assert gram_length(np.full(100, 3), True) == 3
    assert gram_length(np.array([0, 1]), True) == 1


@pytest.fixture
def said() -> Callable[[int], str]:
    chance = random.Random(1)
    return lambda n: " ".join(
        f"{chance.choice('abcdefgh')}{chance.randrange(10_000)}" for _ in range(n)
    )


def studied(
    run_recipe: Callable[..., Any],
    folder: Path,
    datasets: dict[str, list[str]],
    benchmarks: dict[str, list[str]],
    **options: Any,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Any]:
    paths = []
    for name, texts in benchmarks.items():
        path = folder / f"{name}.jsonl"
        path.write_text(
            "".join(json.dumps({"id": f"{name}{i}", "text": t}) + "\n" for i, t in enumerate(texts))
        )
        paths.append(str(path))
    rows = {
        name: [{"id": f"{name}-{i}", "text": t} for i, t in enumerate(texts)]
        for name, texts in datasets.items()
    }
    table = {
        "stages": ["extract", "decontaminate"],
        "decontaminate": {"benchmarks": paths, **options},
    }
    rundir, plan = run_recipe(rows, table)
    dirty = Path(rundir.out, "decontaminate", "dirty.jsonl").read_text().splitlines()
    summary = json.loads(Path(rundir.out, "decontaminate", "contamination.json").read_text())
    return summary, [json.loads(line) for line in dirty], (rundir, plan)


def test_examples_are_dirty_before_the_cuts_and_clean_after(
    run_recipe: Callable[..., Any], tmp_path: Path, said: Callable[[int], str]
) -> None:
    quoted, common, alone = said(20), said(20), said(20)
    a = [f"{said(90)} {quoted} {said(90)}", *(f"{said(90)} {common} {said(90)}" for _ in range(11))]
    summary, dirty, _ = studied(
        run_recipe,
        tmp_path,
        {"a": a, "b": [f"{said(90)}, {quoted.upper()}"]},
        {"quiz": [quoted, common, alone, said(5)]},
    )
    assert dirty == [
        {"benchmark": "quiz", "id": "quiz0", "before": ["a", "b"], "after": []},
        {
            "benchmark": "quiz",
            "id": "quiz1",
            "before": ["a"],
            "after": ["a"],
        },  # ignored as too common: it stays
    ]
    (row,) = summary
    assert row == {
        "benchmark": "quiz",
        "n": 8,
        "examples": 4,
        "short": 1,
        "short_ids": ["quiz3"],
        "dirty_before": 2,
        "dirty_after": 1,
        "datasets": {"a": {"before": 2, "after": 1}, "b": {"before": 1, "after": 0}},
    }


def test_each_benchmark_has_its_own_n(
    run_recipe: Callable[..., Any], tmp_path: Path, said: Callable[[int], str]
) -> None:
    short, long = said(9), said(40)
    eleven = " ".join(long.split()[:11])
    summary, dirty, _ = studied(
        run_recipe,
        tmp_path,
        {"a": [f"{said(60)} {short} {said(60)} {eleven} x"]},
        {"nine": [short], "forty": [long]},
    )
    assert [(row["benchmark"], row["n"], row["dirty_before"]) for row in summary] == [
        ("nine", 9, 1),
        ("forty", 13, 0),
    ]
    assert [row["id"] for row in dirty] == ["nine0"]
    assert dirty[0]["after"] == ["a"]  # nine words are no gram of the cuts


def test_random_corpora_are_as_dirty_as_the_reference_says(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    chance = random.Random(3)

    def text(n: int) -> str:
        return " ".join(chance.choice("abc") + chance.choice("12") for _ in range(n))

    datasets = {name: [text(chance.randrange(400)) + "." for _ in range(60)] for name in ("a", "b")}
    quoted = [" ".join(chance.choice(datasets["a"][:20]).split()[3:12]) for _ in range(20)]
    benchmarks = {
        "gpt3_own": [text(chance.randrange(1, 7)) for _ in range(40)],
        "other": [text(9) for _ in range(20)] + [quote for quote in quoted if len(quote) == 26],
    }
    own = tmp_path / "own.toml"
    own.write_text('[[benchmark]]\nnames = ["gpt3*"]\nsynthetic = true\n')
    options = {"catalogue": str(own), "gram_words": 8, "margin_chars": 5, "min_piece_chars": 10}
    summary, dirty, (rundir, plan) = studied(run_recipe, tmp_path, datasets, benchmarks, **options)
    widths = {row["benchmark"]: row["n"] for row in summary}
    assert widths == {"gpt3_own": 1, "other": 9}
    after: dict[str, list[str]] = {}
    for shard in plan.shards:
        rows = store.read_table(rundir.decision("decontaminate", shard)).to_pylist()
        for whole, row in zip(datasets[shard.dataset], rows, strict=True):
            spans = (
                [(s["start"], s["end"]) for s in row["pieces"] or ()]
                if row["cuts"]
                else [(0, len(whole))]
            )
            after.setdefault(shard.dataset, []).extend(whole[a:b] for a, b in spans)
    expected = []
    for name, examples in benchmarks.items():
        for i, example in enumerate(examples):
            own_grams = {gram for gram, _, _ in grams(example, widths[name])}
            sides = [
                [
                    d
                    for d, texts in side.items()
                    if any(own_grams & {g for g, _, _ in grams(t, widths[name])} for t in texts)
                ]
                for side in (datasets, after)
            ]
            if any(sides):
                expected.append(
                    {"benchmark": name, "id": f"{name}{i}", "before": sides[0], "after": sides[1]}
                )
    assert dirty == expected
    assert {bool(row["after"]) for row in dirty} == {True, False}


def test_a_run_again_changes_nothing_and_another_rule_changes_what_follows(
    run_recipe: Callable[..., Any], tmp_path: Path, said: Callable[[int], str]
) -> None:
    quoted = said(20)
    texts = {"a": [f"{said(90)} {quoted} {said(90)}"]}
    args = run_recipe, tmp_path, texts, {"quiz": [quoted]}
    _, first, (rundir, _) = studied(*args)
    written = {
        path: path.stat().st_mtime_ns for path in Path(rundir.out, "decontaminate").rglob("*.*")
    }
    studied_again = run_recipe(
        {"a": []},
        {
            "stages": ["extract", "decontaminate"],
            "decontaminate": {"benchmarks": [str(tmp_path / "quiz.jsonl")]},
        },
    )
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert studied_again
    _, second, _ = studied(*args, gram_words=30)
    assert (first[0]["after"], second[0]["after"]) == ([], ["a"])


def test_a_study_asked_for_later_leaves_what_follows(
    run_recipe: Callable[..., Any], tmp_path: Path, said: Callable[[int], str]
) -> None:
    """Which grams were seen is attached to the decisions, and is no part of their identity."""
    text = said(40)
    (tmp_path / "quiz.jsonl").write_text(json.dumps({"id": "1", "text": text}) + "\n")
    rows = {"a": [{"id": "1", "text": f"{said(50)} {text} {said(50)}"}]}

    def run(study: bool) -> tuple[bytes, dict[str, int], int]:
        benchmark = {"benchmarks": [str(tmp_path / "quiz.jsonl")], "study": study}
        rundir, plan = run_recipe(
            rows, {"stages": ["extract", "decontaminate", "tokenize"], "decontaminate": benchmark}
        )
        decision = rundir.decision("decontaminate", plan.shards[0])
        tokens = Path(rundir.table("tokens", plan.shards[0]))
        notes = store.need_footer(decision).notes
        return store.read_attached(decision), notes, tokens.stat().st_mtime_ns

    without, with_study = run(False), run(True)
    assert without[:2] == (b"", {})
    seen = unpacked(with_study[0], 28)
    assert with_study[1] == {"seen": 28}
    assert seen[0].all()
    assert not seen[1].any()
    assert with_study[2] == without[2]


def test_no_study_where_none_is_asked_for(
    run_recipe: Callable[..., Any], tmp_path: Path, said: Callable[[int], str]
) -> None:
    (tmp_path / "quiz.jsonl").write_text(json.dumps({"text": said(20)}) + "\n")
    benchmark = {"benchmarks": [str(tmp_path / "quiz.jsonl")], "study": False}
    rundir, _ = run_recipe(
        {"a": [{"id": "1", "text": "x"}]},
        {"stages": ["extract", "decontaminate"], "decontaminate": benchmark},
    )
    assert not Path(rundir.out, "decontaminate", "contamination.json").exists()
