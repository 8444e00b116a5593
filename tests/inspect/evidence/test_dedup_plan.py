"""`curation dedup --plan`: what a sample tells before anything runs."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from curation.cli import main
from curation.inspect.evidence.dedup_plan import Sample, expected
from curation.kernels import minhash
from curation.kernels.pairs import similarity_counts


def _corpus(n: int) -> list[str]:
    """Texts that share two thirds of their words with ten others or so."""
    rng = random.Random(1)
    themes = [[f"t{i}w{k}" for k in range(60)] for i in range(n // 10)]
    return [
        " ".join([*rng.choice(themes), *(f"o{rng.randrange(10**6)}" for _ in range(30))])
        for _ in range(n)
    ]


def test_pairs_expected_are_those_that_meet() -> None:
    """Of documents that are all compared: the expectation against bands of thirty seeds."""
    import pyarrow as pa

    from curation.kernels.buffers import text_buffers

    sets = minhash.feature_sets(*text_buffers(pa.array(_corpus(120))), "unigram")
    found = expected(Sample(120, 0, 0, 120, 0, 0.0, similarity_counts(*sets)), 120, 0.8, 5, 2)
    met = []
    for seed in range(30):
        keys = minhash.band_keys(minhash.signatures(*sets, *minhash.permutations(seed, 10)), 5, 2)
        alike = (keys[:, None, :] == keys[None, :, :]).any(axis=2)
        met.append(int(np.triu(alike, 1).sum()))
    assert np.mean(met) > 100
    assert (
        abs(np.mean(met) - found.meeting) < 4 * np.std(met) / 30**0.5 + 0.001 * 120 * 119 / 2
    )  # Jaccard is in thousandths
    assert found.unlike == found.meeting


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(
            json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(_corpus(50))
        )
    )
    return path


def test_a_plan_for_files_leaves_nothing(articles: Path) -> None:
    before = sorted(os.listdir(articles.parent))
    command = [
        "dedup",
        str(articles),
        "--plan",
        "--bands",
        "auto",
        "--min-jaccard",
        "0.7",
        "--workers",
        "1",
    ]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "all 50 documents; 50 drawn, 50 of them compared" in result.output
    assert "What 17 bands of 4 find" in result.output
    assert "<- min_jaccard" in result.output
    assert "of feature sets" in result.output
    assert sorted(os.listdir(articles.parent)) == before


def test_a_plan_for_a_run_reads_its_recipe_and_changes_nothing(
    articles: Path, tiny_run: Path
) -> None:
    plan = (tiny_run / "plan.json").read_bytes()
    result = CliRunner().invoke(
        main, ["dedup", str(tiny_run), "--plan", "--rows", "4"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert "What 20 bands of 4 find" in result.output
    assert (tiny_run / "plan.json").read_bytes() == plan


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--json"], "--json goes with --out"),
        (["--plan", "--bands", "x"], 'a number or "auto" expected'),
    ],
)
def test_what_cannot_be_planned(articles: Path, options: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["dedup", str(articles), *options])
    assert result.exit_code == 2
    assert said in result.output
