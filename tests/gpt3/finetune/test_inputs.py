from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from curation.errors import InputError
from curation.gpt3.finetune.inputs import Record, labels_of, read_task, rows_of
from curation.gpt3.options import Task

Write = Callable[..., Path]
BENCHMARKS = Path(__file__).parents[4] / "shared" / "data" / "benchmarks"
START, DELIMITER, EXTRACT = 61, 62, 63


def rows(task: Task, texts: tuple[str, ...], words: Any, context: int = 16) -> Any:
    """The rows of one record."""
    label = "0" if task == "choice" else "yes"
    made = rows_of(
        [Record(texts, label)], task, ("no", "yes"), words.encode_ordinary, 61, context, "a.jsonl"
    )
    return made[0]


def test_each_layout_is_written_out_token_by_token(words: Any) -> None:
    one = rows("classify", ("w5 w6",), words)
    assert one.rows == ((START, 5, 6, EXTRACT),)
    assert (one.label, one.cut, one.ordinary) == (1, False, 2)
    one = rows("entailment", ("w1 w2 w3", "w4"), words)
    assert one.rows == ((START, 1, 2, 3, DELIMITER, 4, EXTRACT),)
    one = rows("similarity", ("w1 w2", "w3"), words)
    assert one.rows == (
        (START, 1, 2, DELIMITER, 3, EXTRACT),
        (START, 3, DELIMITER, 1, 2, EXTRACT),
    )
    one = rows("choice", ("w1 w2", "w3", "w4 w5", "w6"), words)
    assert one.rows == (
        (START, 1, 2, DELIMITER, 3, EXTRACT),
        (START, 1, 2, DELIMITER, 4, 5, EXTRACT),
        (START, 1, 2, DELIMITER, 6, EXTRACT),
    )
    assert (one.label, one.ordinary) == (0, 10)


def test_what_is_longer_than_the_context_loses_the_end_of_the_longer_text(words: Any) -> None:
    texts = [" ".join(f"w{n}" for n in range(count)) for count in range(10)]
    for first, second, context in product(range(1, 10), range(1, 10), range(5, 16)):
        one = rows("entailment", (texts[first], texts[second]), words, context)
        (row,) = one.rows
        place = row.index(DELIMITER)
        left, right = row[1:place], row[place + 1 : -1]
        assert len(row) == min(context, first + second + 3)
        assert one.cut == (first + second + 3 > context)
        assert left == tuple(range(len(left)))
        assert right == tuple(range(len(right)))
        if one.cut:  # a text that lost something is no more than one token shorter than the other
            assert (len(left) == first) or len(left) >= len(right) - 1
            assert (len(right) == second) or len(right) >= len(left) - 1
    assert rows("classify", (texts[9],), words, 6).rows == ((START, 0, 1, 2, 3, EXTRACT),)
    with pytest.raises(InputError, match="a context of 4 tokens is too short"):
        rows("entailment", (texts[2], texts[2]), words, 4)


def test_the_files_of_each_task_are_read(write_lines: Write) -> None:
    path = write_lines("a.jsonl", [{"premise": "a", "hypothesis": "b", "label": True}])
    assert read_task(path, "entailment") == [Record(("a", "b"), "True")]
    path = write_lines("b.jsonl", [{"sentence1": "a", "sentence2": "b", "gold_label": 3}])
    assert read_task(path, "similarity") == [Record(("a", "b"), "3")]
    path = write_lines("c.jsonl", [{"context": "a", "choices": ["b", "c"], "label": 1}])
    assert read_task(path, "choice") == [Record(("a", "b", "c"), "1")]
    path = write_lines("d.jsonl", [{"query": "a", "choices": ["b", "c"], "gold": 1}])
    assert read_task(path, "choice") == [Record(("a", "b", "c"), "1")]
    story: dict[str, object] = {f"InputSentence{n}": f"S{n}." for n in range(1, 5)}
    story |= {"RandomFifthSentenceQuiz1": "x", "RandomFifthSentenceQuiz2": "y"}
    for name in ("storycloze.test.jsonl", "storycloze.val.jsonl", "mine.jsonl"):
        path = write_lines(name, [story | {"AnswerRightEnding": "2"}])
        assert read_task(path, "choice") == [Record(("S1. S2. S3. S4.", "x", "y"), "1")]


@pytest.mark.parametrize(
    ("file", "task", "records", "labels"),
    [
        ("storycloze_spring2016.val", "choice", 1871, "01"),
        ("storycloze_spring2016.test", "choice", 1871, "01"),
        ("race_middle.validation", "choice", 1436, "0123"),
        ("race_middle.test", "choice", 1436, "0123"),
        ("openbookqa_main.dev", "choice", 500, "0123"),
        ("sat_analogies", "choice", 374, "01234"),
        ("rte1_dev", "entailment", 567, ("FALSE", "TRUE")),
        ("rte2_dev", "entailment", 400, ("NO", "YES")),
        ("rte3_test", "entailment", 800, ("NO", "YES")),
        ("anli_r1.dev", "entailment", 1000, "cen"),
        ("anli_r3.dev", "entailment", 1198, "cen"),
        ("boolq.val.llmfoundry", "classify", 3270, "01"),
    ],
)
def test_published_files_are_read_as_they_are(
    file: str, task: Task, records: int, labels: str
) -> None:
    path = BENCHMARKS / f"{file}.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    found = read_task(path, task)
    assert len(found) == records
    assert {record.label for record in found} == set(labels)


@pytest.mark.parametrize(
    ("task", "record", "words_"),
    [
        ("entailment", {"premise": "a", "label": 0}, "line 1: entailment needs the fields premise, "
         "hypothesis, label; hypothesis or sentence2 or statement is missing"),
        ("classify", {"text": "a"}, "label or gold_label or gold or entailment or value is missing"),
        ("classify", {"text": 3, "label": 0}, "classify needs texts"),
        ("classify", {"text": "a", "label": None}, "label must be text or a whole number, not None"),
        ("similarity", {"first": "a", "second": ["b"], "label": 0}, "similarity needs texts"),
        ("choice", {"context": "a", "choices": ["b"], "label": 0}, "a list of 2 to 64 texts"),
        ("choice", {"context": "a", "choices": "bc", "label": 0}, "a list of 2 to 64 texts"),
        ("choice", {"context": "a", "choices": ["b", "c"], "label": 2}, "0 to 1, not 2"),
        ("choice", {"context": "a", "choices": ["b", "c"], "label": True}, "0 to 1, not True"),
        ("choice", {"context": "a", "choices": ["b", 4], "label": 0}, "choice needs texts"),
        ("choice", {"text": "a"}, "or a benchmark file of choices; found 'text'"),
        ("choice", {"context": "a", "continuation": "b"}, "or a benchmark file of choices"),
    ],
)  # fmt: skip
def test_records_that_lack_what_the_layout_needs_are_refused(
    write_lines: Write, task: Task, record: dict[str, object], words_: str
) -> None:
    with pytest.raises(InputError) as error:
        read_task(write_lines("a.jsonl", [record]), task)
    assert words_ in str(error.value)
    assert "a.jsonl" in str(error.value)


def test_labels_and_tokens_that_the_model_does_not_have_are_refused(
    write_lines: Write, words: Any
) -> None:
    def of(label: str, text: str = "w1") -> Any:
        record = [Record((text,), label)]
        return rows_of(record, "classify", ("a", "b"), words.encode_ordinary, 61, 16, "d.jsonl")

    assert of("b")[0].label == 1
    with pytest.raises(InputError, match=r"d.jsonl, record 1: the label 'c' is not one that"):
        of("c")
    with pytest.raises(InputError, match="not in the model's vocabulary of 61"):
        of("a", "w61")
    with pytest.raises(InputError, match="a task has 2 to 10,000 labels; found 1"):
        labels_of([Record(("x",), "a")], "classify")
    with pytest.raises(InputError, match="has no record"):
        read_task(write_lines("empty.jsonl", []), "classify")
