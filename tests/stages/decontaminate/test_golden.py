"""The golden cases and random corpora, each through the slow reference and through the stage: equal cuts, pieces and reasons."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from reference_decontamination import decontaminate as reference

from curation import store
from curation.kernels import grams
from curation.kernels.buffers import text_buffers
from curation.recipe.tables import DecontaminateConfig
from curation.stages.decontaminate.stage import cut

FOLDER = Path(__file__).parents[2] / "golden" / "decontamination"
CASES = [
    json.loads(line)
    for line in (FOLDER / "cases.jsonl").read_text(encoding="utf-8").split("\n")
    if line
]


def found(row: dict[str, Any], chars: int) -> dict[str, Any]:
    """A row of the decision table as the cases have it."""
    cuts, pieces = (
        [[s["start"], s["end"]] for s in row[name] or ()] for name in ("cuts", "pieces")
    )
    return {
        "cuts": cuts,
        "pieces": pieces or ([] if row["reason"] else [[0, chars]]),
        "reason": row["reason"],
    }


def expected(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: d[key] for key in ("cuts", "pieces", "reason")} for d in documents]


def plain(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {k: [list(s) for s in v] if isinstance(v, list) else v for k, v in o.items()}
        for o in outcomes
    ]


def through_the_stage(
    run_recipe: Callable[..., Any],
    folder: Path,
    documents: list[str],
    examples: list[list[str]],
    **options: int,
) -> list[dict[str, Any]]:
    path = folder / "golden.jsonl"
    path.write_text("".join(json.dumps({"fields": fields}) + "\n" for fields in examples))
    rows = [{"id": f"{i:05d}", "text": text} for i, text in enumerate(documents)]
    rundir, plan = run_recipe(
        {"a": rows[::2], "b": rows[1::2]},
        {
            "stages": ["extract", "decontaminate"],
            "decontaminate": {"benchmarks": [str(path)], **options},
        },
    )
    out: dict[str, dict[str, Any]] = {}
    for shard in plan.shards:
        ids = store.read_table(rundir.documents(shard), ["id"]).column(0).to_pylist()
        out |= dict(
            zip(
                ids,
                store.read_table(rundir.decision("decontaminate", shard)).to_pylist(),
                strict=True,
            )
        )
    return [found(out[row["id"]], len(row["text"])) for row in rows]


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_reference_and_stage_give_what_a_golden_case_expects(
    case: dict[str, Any], run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    documents = [d["text"] for d in case["documents"]]
    examples = [example["fields"] for example in case["benchmark"]]
    assert plain(reference(documents, examples)) == expected(case["documents"])
    assert through_the_stage(run_recipe, tmp_path, documents, examples) == expected(
        case["documents"]
    )


def test_cases_are_what_make_py_makes(tmp_path: Path) -> None:
    """The file is authored by the script beside it, not by the stage."""
    import runpy

    made = runpy.run_path(str(FOLDER / "make.py"))
    groups = ("lengths", "spellings", "frequencies", "places", "counts")
    assert [case for group in groups for case in made[group]()] == CASES
    assert len(CASES) >= 40


# ---- random corpora --------------------------------------------------------------------------------------------------------------------

LETTERS = "aAbBcÉéĀ"
BETWEEN = [
    " ",
    "  ",
    ", ",
    "—",
    " — ",
    "’",
    "\n",
    "。",
    "\u200b",
    "\u00ad",
    "\u00a0",
    "e\u0301 ",
    " 😀 ",
]
TEXTS = st.lists(st.tuples(st.sampled_from(LETTERS), st.sampled_from(BETWEEN)), max_size=40).map(
    lambda parts: "".join(itertools.chain.from_iterable(parts))
)
OPTIONS = st.fixed_dictionaries(
    {
        "gram_words": st.integers(1, 5),
        "margin_chars": st.integers(0, 8),
        "min_piece_chars": st.integers(0, 8),
        "max_pieces": st.integers(0, 4),
        "max_documents": st.integers(0, 3),
    }
)


def in_memory(
    documents: list[str], examples: list[list[str]], **options: int
) -> list[dict[str, Any]]:
    """The stage's kernels and decision, without its files."""
    config = DecontaminateConfig(**options)
    fields = [(field, i) for i, example in enumerate(examples) for field in example]
    table = grams.build_table(
        [text for text, _ in fields], [i for _, i in fields], config.gram_words
    )
    hits = grams.scan(*text_buffers(pa.array(documents, pa.string())), table)
    first_of = np.array([documents.index(text) for text in documents], np.int64)
    pairs = np.unique(np.stack([hits.gram, first_of[hits.document]]), axis=1)[0]
    common = np.flatnonzero(np.bincount(pairs, minlength=len(table)) > config.max_documents)
    out = []
    for number, text in enumerate(documents):
        own = (hits.document == number) & ~np.isin(hits.gram, common)
        row = {"cuts": None, "pieces": None, "reason": None}
        if own.any():
            outcome = cut(config, hits.start[own], hits.end[own], len(text))
            row = {"cuts": outcome.cuts, "pieces": outcome.pieces, "reason": outcome.reason}
        out.append(found(row, len(text)))
    return out


@examples(500, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TEXTS, max_size=6), st.lists(st.lists(TEXTS, max_size=2), max_size=3), OPTIONS)
def test_random_corpora_are_cut_as_the_reference_cuts_them(
    documents: list[str], examples: list[list[str]], options: dict[str, int]
) -> None:
    assert in_memory(documents, examples, **options) == plain(
        reference(documents, examples, **options)
    )


@pytest.mark.parametrize("seed", range(3))
def test_random_corpora_through_the_whole_stage(
    seed: int, run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    chance = random.Random(seed)
    said = [[chance.choice("abcdefgh") + chance.choice("12") for _ in range(30)] for _ in range(5)]

    def text(words: int) -> str:
        return "".join(
            f"{chance.choice('abcdefgh')}{chance.choice('12')}{chance.choice(BETWEEN)}"
            for _ in range(words)
        )

    documents = []
    for _ in range(400):
        quote = chance.choice(said)
        start = chance.randrange(25)
        quoted = chance.choice(BETWEEN).join(quote[start : start + chance.randrange(12)]).upper()
        documents.append(
            text(chance.randrange(60)) + " " + quoted + " " + text(chance.randrange(60)) + "x"
        )
    options = {
        "gram_words": 5,
        "margin_chars": 20,
        "min_piece_chars": 30,
        "max_pieces": 1,
        "max_documents": 6,
    }
    examples = [[" ".join(words)] for words in said]
    outcomes = plain(reference(documents, examples, **options))
    assert through_the_stage(run_recipe, tmp_path, documents, examples, **options) == outcomes
    assert {o["reason"] for o in outcomes} == {None, "too_many_pieces", "no_piece_left"}
