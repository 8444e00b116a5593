"""Each format whose answers are written equals the example of its figure in appendix G.

Records are those of the benchmark's own file; long passages of the figures are shortened in the
middle, which leaves the format as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curation.errors import InputError
from curation.gpt3 import tasks
from curation.gpt3.evaluation.example import Example

HELSINKI = "Helsinki is the capital and largest city of Finland."
BREBEUF = "Saint Jean de Brébeuf was a French Jesuit missionary who travelled in 1625."
PERRY = "In 1985, he was selected in the first round of the NFL Draft by the Chicago Bears."
BLITZ = "From the German point of view, March 1941 saw an improvement."
MONCRIEFF = "Mr. Moncrieff has decided to cancel Edward's allowance on the ground that he no longer"
GERMAN = "Keinesfalls dürfen diese für den kommerziellen Gebrauch verwendet werden."
ENGLISH = "In no case may they be used for commercial purposes."
FRENCH = "En aucun cas."
ROMANIAN = "Adevărul este că vă doriți."
PAINTING = "'Nude Descending A Staircase' is perhaps the most famous painting by which 20th century artist?"


def pair(**sentences: str) -> list[dict[str, Any]]:
    return [{"translation": sentences}]


# task, records, the text of the figure with its first target behind the context.
FIGURES: list[tuple[str, list[dict[str, Any]], str]] = [
    (
        "coqa",
        [
            {
                "story": HELSINKI,
                "questions": [
                    {"input_text": "what is the most populous municipality in Finland?"},
                    {"input_text": "how many people live there?"},
                    {"input_text": "what towns are a part of the metropolitan area?"},
                ],
                "answers": [
                    {"input_text": "Helsinki"},
                    {"input_text": "1.4 million in the metropolitan area"},
                    {"input_text": "Helsinki, Espoo, Vantaa, Kauniainen"},
                ],
            }
        ],
        f"{HELSINKI}\n\nQ: what is the most populous municipality in Finland?\n\nA: Helsinki\n\n"
        "Q: how many people live there?\n\nA: 1.4 million in the metropolitan area\n\nQ: what "
        "towns are a part of the metropolitan area?\n\nA: Helsinki, Espoo, Vantaa, Kauniainen",
    ),
    (
        "drop",
        [
            {
                "passage": BREBEUF,
                "qa_pairs": [
                    {
                        "question": "How many years did Saint Jean de Brébeuf stay in New France?",
                        "answer": {"number": "4", "spans": [], "date": {}},
                    }
                ],
            }
        ],
        f"Passage: {BREBEUF}\nQuestion: How many years did Saint Jean de Brébeuf stay in New "
        "France?\nAnswer: 4",
    ),
    (
        "nq",
        [
            {
                "question": "who played tess on touched by an angel",
                "answer": ["Delloreese Patricia Early", "Della Reese"],
            }
        ],
        "Q: Who played tess on touched by an angel?\n\nA: Delloreese Patricia Early",
    ),
    (
        "quac",
        [
            {
                "title": "William Perry (American football)",
                "section_title": "Professional career",
                "paragraphs": [
                    {
                        "context": f"{PERRY} CANNOTANSWER",
                        "qas": [
                            {
                                "question": "what team did he play for?",
                                "answers": [{"text": "the Chicago Bears"}],
                            }
                        ],
                    }
                ],
            }
        ],
        f"TITLE: William Perry (American football) - Professional career\nPARAGRAPH: {PERRY}\n\n"
        "Q: what team did he play for?\n\nA: the Chicago Bears",
    ),
    (
        "squad_v2",
        [
            {
                "title": "The_Blitz",
                "paragraphs": [
                    {
                        "context": BLITZ,
                        "qas": [
                            {
                                "question": "How many sorties were flown in March 1941?",
                                "answers": [{"text": "4,000"}],
                            },
                            {
                                "question": "When did the Luftwaffe fly inland missions?",
                                "answers": [{"text": "only on moonlit nights"}],
                            },
                        ],
                    }
                ],
            }
        ],
        f"Title: The_Blitz\n\nBackground: {BLITZ}\n\nQ: How many sorties were flown in March "
        "1941?\n\nA: 4,000\n\nQ: When did the Luftwaffe fly inland missions?\n\nA: only on "
        "moonlit nights",
    ),
    (
        "wsc",
        [
            {
                "text": f"{MONCRIEFF} requires his financial support.",
                "target": {
                    "span1_text": "Mr. Moncrieff",
                    "span2_text": "his",
                    "span2_index": 16,
                },
                "label": True,
            }
        ],
        "Final Exam with Answer Key\nInstructions: Please carefully read the following passages. "
        "For each passage, you must identify which noun the pronoun marked in *bold* refers to.\n"
        f"=====\nPassage: {MONCRIEFF} requires *his* financial support.\nQuestion: In the passage "
        'above, what does the pronoun "*his*" refer to?\nAnswer: mr. moncrieff',
    ),
    (
        "triviaqa",
        [{"Question": PAINTING, "Answer": {"Value": "MARCEL DUCHAMP", "Aliases": ["r mutt"]}}],
        f"Q: {PAINTING}\n\nA: MARCEL DUCHAMP",
    ),
    (
        "webqs",
        [
            {
                "qText": "what school did burne hogarth establish?",
                "answers": ["School of Visual Arts"],
            }
        ],
        "Q: What school did burne hogarth establish?\n\nA: School of Visual Arts",
    ),
    ("translate_de_en", pair(de=GERMAN, en=ENGLISH), f"{GERMAN} = {ENGLISH}"),
    ("translate_en_de", pair(de=GERMAN, en=ENGLISH), f"{ENGLISH} = {GERMAN}"),
    ("translate_en_fr", pair(fr=FRENCH, en=ENGLISH), f"{ENGLISH} = {FRENCH}"),
    ("translate_fr_en", pair(fr=FRENCH, en=ENGLISH), f"{FRENCH} = {ENGLISH}"),
    ("translate_en_ro", pair(ro=ROMANIAN, en=ENGLISH), f"{ENGLISH} = {ROMANIAN}"),
    ("translate_ro_en", pair(ro=ROMANIAN, en=ENGLISH), f"{ROMANIAN} = {ENGLISH}"),
]


def task_of(name: str) -> tasks.Task:
    return next(task for task in tasks.TASKS if task.name == name)


def read(name: str, folder: Path, *records: dict[str, Any], zero: bool = False) -> list[Example]:
    path = folder / "file.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return tasks.examples(task_of(name), path, zero)


@pytest.mark.parametrize(("name", "records", "text"), FIGURES, ids=[name for name, *_ in FIGURES])
def test_a_format_is_that_of_its_figure(
    name: str, records: list[dict[str, Any]], text: str, tmp_path: Path
) -> None:
    assert task_of(name).header + read(name, tmp_path, *records)[-1].shown == text


def test_a_translation_without_shots_is_asked_for(tmp_path: Path) -> None:
    example = read("translate_de_en", tmp_path, *pair(de=GERMAN, en=ENGLISH), zero=True)[0]
    assert example.shown == f"Q: What is the English translation of {GERMAN} A: {ENGLISH}"


def test_several_right_answers_come_from_all_places(tmp_path: Path) -> None:
    def right(name: str, record: dict[str, Any]) -> tuple[str, ...]:
        return read(name, tmp_path, record)[-1].completions

    coqa = dict(next(records for name, records, _ in FIGURES if name == "coqa")[0])
    coqa["additional_answers"] = {"0": [{"input_text": f"more {i}"} for i in range(3)]}
    assert right("coqa", coqa)[1] == " more 2"
    drop = {"question": "Who?", "answer": {"number": "", "spans": ["Ann", "Bo"], "date": {}}}
    date = {"number": "", "spans": [], "date": {"day": "", "month": "May", "year": "1990"}}
    passage = {"passage": "p", "qa_pairs": [{**drop, "validated_answers": [date]}]}
    assert right("drop", passage) == (" Ann, Bo", " May 1990")
    flat = {"passage": "p", "question": "Who?", "answers_spans": {"spans": ["Ann"]}}
    assert right("drop", flat) == (" Ann",)
    foundry = {"context": "Question: Who?\nAnswer:", "answer": "Ann", "aliases": ["Ann", "A."]}
    assert read("triviaqa", tmp_path, foundry)[0].shown == "Q: Who?\n\nA: Ann"
    assert right("triviaqa", foundry) == (" Ann", " A.")


def test_a_question_without_an_answer_has_a_word_for_it(tmp_path: Path) -> None:
    record = {"title": "T", "context": "C", "question": "Why?", "answers": []}
    assert read("squad_v2", tmp_path, record)[0].completions == (" unanswerable",)


def test_a_noun_that_is_not_meant_is_denied(tmp_path: Path) -> None:
    record = dict(next(records for name, records, _ in FIGURES if name == "wsc")[0])
    assert [read("wsc", tmp_path, {**record, "label": x})[0].denied for x in (True, False)] == [
        False,
        True,
    ]
    record["target"] = {**record["target"], "span2_index": 3}
    with pytest.raises(InputError, match="the pronoun 'his' expected as word 3, got 'decided'"):
        read("wsc", tmp_path, record)


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("nq", {"question": "who", "answer": []}),
        ("coqa", {"story": "s", "questions": [{"input_text": "q"}], "answers": []}),
        ("quac", {"title": "t", "section_title": "s", "paragraphs": [{"context": "c"}]}),
        ("translate_de_en", {"translation": {"de": "Ja"}}),
        ("drop", {"passage": "p", "qa_pairs": [{"question": "q", "answer": None}]}),
    ],
)
def test_records_of_another_form_are_refused(
    name: str, record: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="example 1: not a record of "):
        read(name, tmp_path, record)
