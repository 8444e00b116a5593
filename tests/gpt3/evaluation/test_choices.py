"""Each format whose answers are chosen equals the example of its figure in appendix G.

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

HOTEL = "The Gold Coast Hotel & Casino is a hotel and casino located in Paradise, Nevada."
MACGREGOR = "Fulton James MacGregor MSP is a Scottish politician."
LOOPHOLE = "We shut the loophole which has American workers subsidizing the loss of their own job."
RABIN = "(CNN) Yuval Rabin criticized Donald Trump for a speech."
QUERY = (
    "Referencing his father, who was shot and killed by an extremist amid political tension in "
    "Israel in 1995, Rabin condemned {}'s aggressive rhetoric."
)
DIPLOMACY = "While this process moved along, diplomacy continued its rounds."
FORCE = "Normal force -- In a simple case such as an object resting upon a table."
RENTS = "The recent drop in prices doesn't mean Manhattan comes cheap."
QUARK = "The bet was regarding the existence and mass of the top quark."
RACE: list[tuple[str, list[str], str]] = [
    (
        "What shouldn't you do when talking about sports with colleagues from another country?",
        ["Criticizing the sports of your colleagues' country.", "b", "c", "d"],
        "A",
    ),
    (
        "The author considers politics and religion _ .",
        ["cheerful topics", "taboo", "rude topics", "topics that can never be talked about"],
        "B",
    ),
]
SEPARATE = f"Q: {RACE[0][0]}\n\nA: Criticizing the sports of your colleagues' country."
ARTICLE = "Informal conversation is an important part of any business relationship."


def record_passage() -> dict[str, Any]:
    """ReCoRD's own form: marks before the points, and places of names in the text."""
    text = (
        RABIN
        + " Hillary Clinton was meant.\n@highlight\n\nThe son of a Prime Minister wrote an op "
        'ed\n@highlight\n\nWarns of "parallels" between the 1990s and today'
    )
    names = ("Yuval Rabin", "Donald Trump", "Hillary Clinton")
    spans = [{"start": text.index(n), "end": text.index(n) + len(n) - 1} for n in names]
    answers = [{"start": 0, "end": 0, "text": "Donald Trump"}]
    query = QUERY.format("@placeholder")
    return {
        "passage": {"text": text, "entities": [*spans, spans[0]]},
        "qas": [{"query": query, "answers": answers}],
        "idx": 3,
    }


def multirc() -> dict[str, Any]:
    answers = [{"text": "Bin Laden", "label": 0}, {"text": "The State Department", "label": 1}]
    asked = {"question": "Who should visit both India and Pakistan?", "answers": answers}
    return {"idx": 0, "passage": {"text": DIPLOMACY, "questions": [asked]}}


# task, records, the text of the figure with the right answer behind its context.
CAKE = "Several cake pops are shown on a display. A woman and girl are shown in a kitchen."
ENDINGS = {"endings": ["taste them.", "bake them, then frost and decorate."], "label": "1"}
FIGURES: list[tuple[str, list[dict[str, Any]], str]] = [
    (
        "hellaswag",
        [
            {
                "activity_label": "Making a cake",
                "ctx_a": CAKE,
                "ctx_b": "they",
                "ctx": f"{CAKE} they",
                **ENDINGS,
            }
        ],
        f"Making a cake: {CAKE} They bake them, then frost and decorate.",
    ),
    (
        "hellaswag",
        [{"ctx": f"Making a cake: {CAKE} they", **ENDINGS}],
        f"Making a cake: {CAKE} They bake them, then frost and decorate.",
    ),
    (
        "hellaswag",
        [{"ctx": "Cooking: How to bake. Heat it to 15. 25 degrees. Then wait.", **ENDINGS}],
        "Cooking: How to bake. Heat it to 15. 25 degrees. Then wait. bake them, then frost and "
        "decorate.",
    ),
    (
        "race_high",
        [
            {"example_id": "h1", "article": ARTICLE, "question": q, "options": o, "answer": a}
            for q, o, a in RACE
        ],
        f"Article:\n{ARTICLE}\n\n{SEPARATE}\n\nQ: {RACE[1][0]}\n\nA: taboo",
    ),
    (
        "anli_r2",
        [
            {
                "context": HOTEL,
                "statement": "The Gold Coast is a budget-friendly casino.",
                "gold_label": "n",
            }
        ],
        f"anli 2: anli 2: {HOTEL}\nQuestion: The Gold Coast is a budget-friendly casino. True, "
        "False, or Neither? Neither",
    ),
    (
        "anli_r1",
        [{"context": MACGREGOR, "hypothesis": "He swears it.", "label": "n"}],
        f"anli 1: anli 1: {MACGREGOR}\nQuestion: He swears it. True, False, or Neither? Neither",
    ),
    (
        "anli_r3",
        [{"context": LOOPHOLE, "statement": "The loophole is now gone", "gold_label": "c"}],
        f"anli 3: anli 3: {LOOPHOLE}\nQuestion: The loophole is now gone True, False, or Neither? "
        "False",
    ),
    (
        "record",
        [record_passage()],
        f"{RABIN} Hillary Clinton was meant.\n\n- The son of a Prime Minister wrote an op ed.\n"
        f'- Warns of "parallels" between the 1990s and today.\n- {QUERY.format("Donald Trump")}',
    ),
    (
        "sat_analogies",
        [
            {
                "stem": "lull trust",
                "choices": ["balk fortitude", "betray loyalty", "cajole compliance"],
                "answer": "c",
            }
        ],
        "lull is to trust as cajole is to compliance",
    ),
    (
        "multirc",
        [multirc()],
        f"READING COMPREHENSION ANSWER KEY\n\n{DIPLOMACY}\n\nWho should visit both India and "
        "Pakistan?\n- [False] Bin Laden\n- [True] The State Department",
    ),
    (
        "boolq",
        [
            {
                "passage": FORCE,
                "question": "is the normal force equal to the force of gravity",
                "label": True,
            }
        ],
        f"{FORCE}\nquestion: is the normal force equal to the force of gravity?\nanswer: yes",
    ),
    (
        "cb",
        [{"premise": RENTS, "hypothesis": "Manhattan comes cheap", "label": "contradiction"}],
        f"{RENTS}\nquestion: Manhattan comes cheap. true, false, or neither?\nanswer: false",
    ),
    (
        "rte",
        [
            {
                "premise": QUARK,
                "hypothesis": "The Top Quark is the last of six flavors of quarks.",
                "label": "not_entailment",
            }
        ],
        f"{QUARK}\nquestion: The Top Quark is the last of six flavors of quarks. True or False?\n"
        "answer: False",
    ),
    (
        "wic",
        [
            {
                "word": "outfitter",
                "sentence1": "An outfitter provided everything needed for the safari.",
                "sentence2": "Before his first walking holiday, he went to a specialist outfitter "
                "to buy some boots.",
                "label": False,
            }
        ],
        "An outfitter provided everything needed for the safari.\nBefore his first walking "
        "holiday, he went to a specialist outfitter to buy some boots.\nquestion: Is the word "
        "'outfitter' used in the same way in the two sentences above?\nanswer: no",
    ),
]


def read(name: str, folder: Path, *records: dict[str, Any]) -> tuple[tasks.Task, list[Example]]:
    task = next(task for task in tasks.TASKS if task.name == name)
    path = folder / "file.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return task, tasks.examples(task, path)


@pytest.mark.parametrize(("name", "records", "text"), FIGURES, ids=[name for name, *_ in FIGURES])
def test_a_format_is_that_of_its_figure(
    name: str, records: list[dict[str, Any]], text: str, tmp_path: Path
) -> None:
    task, examples = read(name, tmp_path, *records)
    assert task.header + examples[-1].shown == text


def test_options_have_names(tmp_path: Path) -> None:
    by_name = {name: read(name, tmp_path, *records)[1][-1] for name, records, _ in FIGURES}
    assert by_name["anli_r2"].completions == (" True", " False", " Neither")
    assert by_name["cb"].completions == (" true", " false", " neither")
    assert by_name["rte"].completions == (" True", " False")
    assert by_name["wic"].completions == by_name["boolq"].completions == (" yes", " no")
    assert by_name["race_high"].completions[0] == " cheerful topics"


def test_record_has_a_line_for_each_name_and_may_have_several_right_ones(tmp_path: Path) -> None:
    record = record_passage()
    record["qas"][0]["answers"].append({"start": 0, "end": 0, "text": "Hillary Clinton"})
    example = read("record", tmp_path, record)[1][0]
    assert len(example.completions) == 3  # a name that stands there twice counts once
    assert example.right == (False, True, True)
    record["qas"][0]["answers"] = [{"start": 0, "end": 0, "text": "nobody"}]
    with pytest.raises(InputError, match="not a record of record"):
        read("record", tmp_path, record)


def test_files_of_other_makers_are_read_alike(tmp_path: Path) -> None:
    query = {
        "query": f"Passage: {FORCE}\nQuestion: is it so?",
        "choices": ["no", "yes"],
        "gold": 1,
    }
    own = {"passage": FORCE, "question": "is it so", "label": True}
    assert read("boolq", tmp_path, query)[1] == read("boolq", tmp_path, own)[1]
    text = {"text": QUARK, "hypothesis": "It is."}
    wanted = read(
        "rte", tmp_path, {"premise": QUARK, "hypothesis": "It is.", "label": "entailment"}
    )
    for label in ({"value": "TRUE"}, {"entailment": "YES"}):
        assert read("rte", tmp_path, {**text, **label}) == wanted


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("boolq", {"passage": "a", "question": "b", "label": "perhaps"}),
        ("cb", {"premise": "a", "hypothesis": "b", "label": "other"}),
        ("rte", {"premise": "a", "hypothesis": "b", "label": None}),
        ("sat_analogies", {"stem": "a b", "choices": ["c d"], "answer": "b"}),
        ("multirc", {"passage": {"text": "a", "questions": [{"question": "b", "answers": []}]}}),
        ("record", {"passage": {"text": "a", "entities": [{"start": 0}]}, "qas": []}),
    ],
)
def test_records_of_another_form_are_refused(
    name: str, record: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="example 1: "):
        read(name, tmp_path, record)
