"""Prompts as the paper's appendix G words them, from records as the benchmark files have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curation.errors import InputError
from curation.gpt3 import tasks
from curation.gpt3.tasks import Example, examples, find_tasks, shot_pool

BENCHMARKS = Path(__file__).parents[3] / "shared" / "data" / "benchmarks"


def task(name: str) -> tasks.Task:
    return next(task for task in tasks.TASKS if task.name == name)


def read(name: str, tmp_path: Path, *records: dict[str, object]) -> list[Example]:
    path = tmp_path / "file.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return examples(task(name), path)


def test_arc_asks_a_question_and_waits_for_the_answer(tmp_path: Path) -> None:
    record = {"query": "Question: Which is wet?", "choices": ["water ", "sand"], "gold": 0}
    assert read("arc_easy", tmp_path, record) == [
        Example("0", ("Question: Which is wet?\nAnswer:",), (" water", " sand"), 0)
    ]


def test_winograd_has_two_contexts_and_one_completion(tmp_path: Path) -> None:
    record = {
        "context_options": ["She thinks the sweater", "She thinks the jacket"],
        "continuation": "looks dowdy.",
        "gold": 1,
    }
    example = read("winograd", tmp_path, record)[0]
    assert example.completions == (" looks dowdy.",)
    assert example.shown == "She thinks the jacket looks dowdy."


def test_lambada_as_continuation_and_as_blank(tmp_path: Path) -> None:
    record = {"context": "Alice went to visit her friend", "continuation": "Bob"}
    assert read("lambada", tmp_path, record)[0].shown == "Alice went to visit her friend Bob"
    assert (
        read("lambada_blank", tmp_path, record)[0].shown
        == "Alice went to visit her friend ____. -> Bob"
    )
    assert task("lambada_blank").header == "Fill in blank:\n\n"


def test_arithmetic_and_words_lose_the_white_space_around_the_prompt(tmp_path: Path) -> None:
    sums = read(
        "two_digit_addition",
        tmp_path,
        {"context": "\n\nQ: What is 98 plus 45?\n\nA:", "completion": " 143"},
    )
    assert sums[0].shown == "Q: What is 98 plus 45?\n\nA: 143"
    words = read("reversed_words", tmp_path, {"context": "\ntaefed =", "completion": " defeat"})
    assert task("reversed_words").header + words[0].shown == (
        "Please unscramble the letters into a word, and write that word:\ntaefed = defeat"
    )


def test_race_shows_the_questions_before(tmp_path: Path) -> None:
    first = {
        "example_id": "m1",
        "article": "A cat sat.",
        "question": "Who sat?",
        "options": ["a dog", "a cat"],
        "answer": "B",
    }
    second = {**first, "question": "What did it do?", "options": ["sit", "run"], "answer": "A"}
    other = {**first, "example_id": "m2", "article": "A dog ran."}
    found = read("race_middle", tmp_path, first, second, other)
    assert found[1].id == "m1"
    assert found[1].contexts == (
        "Article:\nA cat sat.\n\nQ: Who sat?\n\nA: a cat\n\nQ: What did it do?\n\nA:",
    )
    assert found[2].contexts == ("Article:\nA dog ran.\n\nQ: Who sat?\n\nA:",)


def test_openbookqa_draws_its_shots_from_the_other_file(tmp_path: Path) -> None:
    (tmp_path / "openbookqa.test.llmfoundry.jsonl").write_text(
        json.dumps({"query": "Ice is", "choices": ["cold", "hot"], "gold": 0})
    )
    record = {"Question Stem": "Fire is", "Choices": "(A) cold (B) hot", "Answer Key": "B"}
    (tmp_path / "openbookqa_main.dev.jsonl").write_text(json.dumps(record))
    found, path = find_tasks(tmp_path)[0]
    assert shot_pool(found, path) == [Example("0", ("Fire is",), (" cold", " hot"), 1)]
    (tmp_path / "openbookqa_main.dev.jsonl").unlink()
    with pytest.raises(InputError, match=r"has no openbookqa_main.dev.jsonl.*use --shots 0"):
        shot_pool(found, path)


@pytest.mark.parametrize(
    ("record", "kind", "shown"),
    [
        ({"query": "2 and 2 is", "choices": ["5", "4"], "gold": 1}, "choice", "2 and 2 is 4"),
        (
            {"question": "Why?", "answer": "Because.", "passage": "It is so.", "id": "q"},
            "answer",
            "It is so.\n\nQ: Why?\n\nA: Because.",
        ),
        (
            {
                **{f"InputSentence{n}": f"S{n}." for n in range(1, 5)},
                "RandomFifthSentenceQuiz1": "Dry.",
                "RandomFifthSentenceQuiz2": "Wet.",
                "AnswerRightEnding": "2",
            },
            "choice",
            "S1. S2. S3. S4. Wet.",
        ),
        (
            {"article": "It rains.", "question": "Is it wet?", "options": ["no", "yes"],
             "answer": "B"},
            "choice",
            "Article:\nIt rains.\n\nQ: Is it wet?\n\nA: yes",
        ),
        (
            {"Question Stem": "Rain is", "Choices": "(A) dry (B) wet", "Answer Key": "B"},
            "choice",
            "Rain is wet",
        ),
    ],
)  # fmt: skip
def test_files_of_ones_own_are_read_by_their_shape(
    record: dict[str, object], kind: str, shown: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(record))
    found, file = find_tasks(path)[0]
    assert (found.name, found.kind, examples(found, file)[0].shown) == ("mine", kind, shown)


def test_bad_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text('{"some": "thing"}\n')
    with pytest.raises(InputError, match="no file of a known task"):
        find_tasks(tmp_path)
    with pytest.raises(
        InputError, match=r"records with one of these sets of keys expected: .*; found some"
    ):
        find_tasks(tmp_path / "odd.jsonl")
    with pytest.raises(InputError, match=r"example 1: the right answer is number 2 of 2"):
        read("copa", tmp_path, {"query": "a", "choices": ["b", "c"], "gold": 2})
    with pytest.raises(InputError, match=r"example 2: not a record of piqa \(KeyError: 'sol1'\)"):
        read("piqa", tmp_path, {"goal": "a", "sol1": "b", "sol2": "c", "label": 0}, {"goal": "a"})
    (tmp_path / "odd.jsonl").write_text("{}\nnot json\n")
    with pytest.raises(InputError, match="line 2: not JSON"):
        tasks.read_records(tmp_path / "odd.jsonl")


def test_every_figure_of_appendix_g_has_its_task() -> None:
    """51 figures; LAMBADA's plain form, 6D+, 6D- and the sum of digits have none."""
    figures = [task.figure for task in tasks.TASKS if task.figure]
    assert sorted(figures) == sorted(f"G.{number}" for number in range(1, 52))
    assert all(task.title for task in tasks.TASKS)


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="no ../shared/data")
def test_every_task_reads_its_real_file_and_its_ids_are_those_of_the_contamination_report() -> None:
    from curation.stages.decontaminate.benchmarks import read_benchmarks

    found = find_tasks(BENCHMARKS)
    # The files there are not of these benchmarks.
    absent = {"race_high", "record", "multirc", "cb", "wic", "wsc", "coqa", "drop", "quac"}
    translations = {task.name for task in tasks.TASKS if task.name.startswith("translate")}
    known = {task.name for task in tasks.TASKS}
    assert {task.name for task, _ in found} == known - absent - translations
    assert len(tasks.ARITHMETIC + tasks.WORDS) == 18
    for one, path in found:
        own = examples(one, path)
        assert own, one.name
        if one.name in ("piqa", "storycloze", "race_middle", "winograd", "two_digit_addition"):
            assert [example.id for example in own] == [
                example.id for example in read_benchmarks([str(path)])
            ]
