"""The page of `curation evaluate`: every score stands in it where it belongs."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from curation.web.evaluation import evaluation_page, figure_1_2, figure_3, sets, split_of


def result(
    task: str, model: str, size: int, shots: int, value: float, **more: Any
) -> dict[str, Any]:
    score = {"value": value, "low": value - 0.05, "high": value + 0.05}
    return {
        "task": task, "title": task.upper(), "group": "3.11", "file": f"{task}.test.jsonl",
        "model": model, "parameters": size, "shots_asked": shots, "described": True,
        "metric": "accuracy", "score": score, "chance": 0.0, "examples": 100, **more,
    }  # fmt: skip


RESULTS = [
    result("words", model, size, shots, base + 0.03 * i + (0.01 if described else 0.0),
           described=described)
    for model, size, base in (("small", 10**7, 0.1), ("large", 10**9, 0.5))
    for described in (True, False)
    for i, shots in enumerate((0, 1, 16))
]  # fmt: skip
OVERLAP = {
    "task": "words", "title": "WORDS", "file": "words.test.jsonl", "metric": "accuracy", "n": 13,
    "model": "large", "shots_asked": 16, "described": True, "score": 0.57, "examples": 100,
    "dirty_score": 0.9, "dirty": 30, "clean_score": 0.43, "clean": 70, "unsearched": 0,
    "clean_share": 0.7, "relative_difference": -0.2456,
}  # fmt: skip


def cells(page: str, heading: str) -> list[list[str]]:
    """The body of the table under a heading."""
    part = page[page.index(f"<h2>{heading}</h2>") :]
    body = part[part.index("<tbody>") : part.index("</tbody>")]
    return [
        [unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in body.split("</tr>")
    ][:-1]


def test_table_h_has_zero_one_and_few_shot_of_each_model_by_size() -> None:
    page = evaluation_page(RESULTS)
    row = cells(page, "All scores")[0]
    assert row == [
        "WORDS", "accuracy", "test", "16", "11.0", "51.0", "14.0", "54.0", "17.0", "57.0",
    ]  # fmt: skip
    assert "Overlap" not in page


def test_figure_1_2_has_a_line_for_each_model_and_wording() -> None:
    svg = figure_1_2(RESULTS)
    names = ("small, with a description", "small, without a description",
             "large, with a description", "large, without a description")  # fmt: skip
    assert all(f">{name}</text>" in svg for name in names)
    assert svg.count("<polyline") == 4
    assert svg.count("<circle") == 12
    assert "large, without a description, K = 16: 56.0 %" in svg
    alone = figure_1_2([row for row in RESULTS if row["described"] and row["model"] == "small"])
    assert ">small</text>" in alone


def test_figure_3_has_a_line_for_zero_one_and_few_shots_over_the_size() -> None:
    svg = figure_3(RESULTS)
    assert svg.count("<polyline") == 3
    assert all(text in svg for text in ("zero-shot", "one-shot", "few-shot, K = 16"))
    assert ">10M</text>" in svg
    assert ">1B</text>" in svg
    assert "zero-shot, small: 11.0 %" in svg
    page = evaluation_page(RESULTS)
    assert "Figure 3.11: Words with their letters moved" in page


def test_table_c_1_and_figure_4_2() -> None:
    page = evaluation_page(RESULTS, [OVERLAP])
    assert cells(page, "Overlap with the training text")[0] == [
        "WORDS", "test", "accuracy", "13", "57.0", "100", "90.0", "30", "43.0", "70", "0", "70.0 %",
        "-24.6 %",
    ]  # fmt: skip
    assert "WORDS: 70.0 % clean, -24.6 %" in page


def test_files_of_one_task_have_figures_of_their_own() -> None:
    two = [
        result("rte", "m", 10, 0, 0.5, file=file) for file in ("rte1_dev.jsonl", "rte2_dev.jsonl")
    ]
    assert len(sets([*two, result("rte", "m", 10, 0, 0.5, score=None)])) == 2
    assert evaluation_page(two).count("<svg") == 4
    assert [split_of(row["file"]) for row in two] == ["dev", "dev"]


def test_names_are_escaped() -> None:
    page = evaluation_page([result("a<b>", "<script>", 10, 0, 0.5)], [{**OVERLAP, "title": "<i>"}])
    assert page.count("<script>") == 1  # ours, which the policy names by its hash
    assert "<i>" not in page
    assert "a<b>" not in page
