"""Odd input: what dedup does with it is declared in docs/design.md and held here."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from dedup_corpora import TABLE, fates_of, random_text

from curation import store
from curation.errors import InputError


def _decisions(rundir: Any, plan: Any, dataset: str) -> list[tuple[bool, str | None, str | None]]:
    """(keep, reason, kept_id) of every document of a dataset, in order."""
    rows = [
        row
        for s in plan.of(dataset)
        for row in store.read_table(rundir.decision("dedup", s)).to_pylist()
    ]
    return [(row["keep"], row["reason"], row["kept_id"]) for row in rows]


def test_one_document_stays(run_recipe: Callable[..., Any]) -> None:
    rundir, plan = run_recipe({"a": [{"id": "x", "text": "some text"}]}, TABLE)
    assert _decisions(rundir, plan, "a") == [(True, None, None)]


def test_of_documents_all_equal_one_stays(run_recipe: Callable[..., Any]) -> None:
    rundir, plan = run_recipe(
        {"a": [{"id": f"{i:02d}", "text": "the same text"} for i in range(30)]}, TABLE
    )
    decided = _decisions(rundir, plan, "a")
    assert decided == [(True, None, None)] + [(False, "exact_duplicate", "00")] * 29


def test_of_near_copies_in_one_bucket_all_leave_for_the_longest(
    run_recipe: Callable[..., Any],
) -> None:
    text = random_text(random.Random(0), 400)
    rows = [{"id": f"{i:03d}", "text": f"{text} {'x' * (300 - i)}"} for i in range(300)]
    rundir, plan = run_recipe({"a": rows}, TABLE)
    decided = _decisions(rundir, plan, "a")
    assert decided == [(True, None, None)] + [(False, "duplicate", "000")] * 299


def test_empty_texts_never_become_documents_and_texts_of_blanks_neither(
    run_recipe: Callable[..., Any],
) -> None:
    rows = [
        {"id": "x", "text": ""},
        {"id": "y", "text": " \n\t"},
        {"id": "z", "text": "some text"},
        {"id": "n"},
    ]
    rundir, plan = run_recipe({"a": rows}, TABLE)
    assert list(fates_of(rundir, plan, "a")) == ["z"]


def test_a_text_shorter_than_a_shingle_is_one_shingle_of_all_its_words(
    run_recipe: Callable[..., Any],
) -> None:
    texts = ["one two", "One, two!", "two one", "one two three", "..."]
    rundir, plan = run_recipe(
        {"a": [{"id": f"{i}", "text": t} for i, t in enumerate(texts)]}, TABLE
    )
    kept = [id_ for id_, fate in fates_of(rundir, plan, "a").items() if fate["keep"]]
    assert kept == ["1", "2", "3", "4"]  # of the first two, which are the same words, the longer


def test_rows_without_ids_are_decided_each_by_itself(run_recipe: Callable[..., Any]) -> None:
    rng = random.Random(1)
    one, other = random_text(rng), random_text(rng)
    texts = [one, other, one, other + " x", random_text(rng)]
    rundir, plan = run_recipe({"a": [{"text": text} for text in texts]}, TABLE)
    reasons = [reason for _, reason, _ in _decisions(rundir, plan, "a")]
    assert reasons[1] == "duplicate"  # of the fourth, which is longer
    assert sorted([reasons[0], reasons[2]], key=str) == [None, "exact_duplicate"]
    assert reasons[3:] == [None, None]


def test_repeated_ids_are_refused_because_survivors_are_named_by_them(
    run_recipe: Callable[..., Any],
) -> None:
    with pytest.raises(
        InputError, match=r"dataset 'a': the id 'same' is there 2 times; ids must be unique"
    ):
        run_recipe(
            {"a": [{"id": "same", "text": "some text"}, {"id": "same", "text": "another"}]}, TABLE
        )


@pytest.mark.parametrize("rows", [[], [{"id": "r", "text": ""}]])
def test_against_a_reference_without_documents_nothing_leaves_for_it(
    run_recipe: Callable[..., Any], rows: Any
) -> None:
    text = random_text(random.Random(2))
    mine = [
        {"id": "a", "text": text},
        {"id": "b", "text": text + " x"},
        {"id": "c", "text": "another"},
    ]
    table = {**TABLE, "dedup": {"across": [["ref", "input"]]}}
    rundir, plan = run_recipe({"reference:ref": rows, "input": mine}, table)
    assert {id_: fate["keep"] for id_, fate in fates_of(rundir, plan, "input").items()} == {
        "a": False,
        "b": True,
        "c": True,
    }
