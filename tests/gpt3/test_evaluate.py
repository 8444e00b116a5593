"""Evaluation with a hand-made model whose answers are known, and with a small random one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from curation.errors import InputError  # noqa: E402
from curation.gpt3.evaluate import Reader, evaluate, read_dirty  # noqa: E402
from curation.gpt3.model import build  # noqa: E402
from curation.gpt3.scoring import Score  # noqa: E402
from curation.gpt3.sizes import Size  # noqa: E402


class Fake:
    """Stands in for `Reader`: log probabilities by (end of context, completion), answers by end of
    context; keeps what it was asked.
    """

    def __init__(
        self,
        scores: dict[tuple[str, str], float] | None = None,
        answers: dict[str, str] | None = None,
        window: int = 1000,
    ) -> None:
        self.scores, self.answers, self.window = scores or {}, answers or {}, window
        self.asked: list[str] = []

    def tokens(self, text: str) -> int:
        return len(text.split())

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        self.asked += [context for context, _ in pairs]
        out = []
        for context, completion in pairs:
            value = next(
                v
                for (end, c), v in self.scores.items()
                if context.endswith(end) and c == completion
            )
            out.append(Score(value, self.tokens(completion), value > -1, False))
        return out

    def answer(self, contexts: Sequence[str], stops: Sequence[str], max_tokens: int) -> list[str]:
        self.asked += contexts
        return [
            next(v for end, v in self.answers.items() if context.endswith(end))
            for context in contexts
        ]


def write(folder: Path, name: str, *records: dict[str, object]) -> Path:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_choices_are_compared_per_token(tmp_path: Path) -> None:
    write(
        tmp_path,
        "copa.val.llmfoundry",
        {"query": "It rained, so", "choices": ["we stayed at home all day", "sun"], "gold": 0},
    )
    # -1 against -2 a token.
    fake = Fake({("so", " we stayed at home all day"): -6.0, ("so", " sun"): -2.0})
    assert evaluate(fake, tmp_path)[0]["accuracy"]["value"] == 1.0


def test_arc_is_normalised_by_the_answer_context(tmp_path: Path) -> None:
    write(
        tmp_path,
        "arc_easy.test.llmfoundry",
        {"query": "Question: Q?", "choices": ["likely", "rare"], "gold": 1},
    )
    conditional = {("Q?\nAnswer:", " likely"): -1.0, ("Q?\nAnswer:", " rare"): -5.0}
    unconditional = {("Answer:", " likely"): -0.5, ("Answer:", " rare"): -9.0}
    fake = Fake({**conditional, **unconditional})
    assert evaluate(fake, tmp_path)[0]["accuracy"]["value"] == 1.0
    assert "Answer:" in fake.asked


def test_winograd_compares_contexts(tmp_path: Path) -> None:
    record = {"context_options": ["the sweater", "the jacket"], "continuation": "fits", "gold": 1}
    write(tmp_path, "wsc273.test.llmfoundry", record, {**record, "gold": 0})
    result = evaluate(Fake({("sweater", " fits"): -3.0, ("jacket", " fits"): -2.0}), tmp_path)[0]
    assert result["accuracy"]["value"] == 0.5
    assert result["chance"] == 0.5


def test_lambada_has_perplexity_and_last_word_accuracy(tmp_path: Path) -> None:
    write(
        tmp_path,
        "lambada_openai.test",
        {"context": "her friend", "continuation": "Bob"},
        {"context": "a ball and a", "continuation": "glove"},
    )
    fake = Fake(
        {
            ("friend", " Bob"): -0.5,
            ("and a", " glove"): -3.5,
            ("____. ->", " Bob"): -2.0,
            ("____. ->", " glove"): -4.0,
        }
    )
    plain, blank = evaluate(fake, tmp_path)
    assert plain["accuracy"]["value"] == 0.5
    assert plain["perplexity"]["value"] == pytest.approx(math.exp(2.0), rel=1e-4)
    assert plain["perplexity"]["low"] < plain["perplexity"]["value"] < plain["perplexity"]["high"]
    assert blank["perplexity"]["value"] == pytest.approx(math.exp(3.0), rel=1e-4)
    assert "Fill in blank:\n\nher friend ____. ->" in fake.asked


def test_answers_are_compared_after_normalisation(tmp_path: Path) -> None:
    asked = [
        ("\n\nQ: What is 998 plus 55?\n\nA:", " 1053"),
        ("\n\nQ: What is 1 minus 7?\n\nA:", " -6"),
    ]
    write(
        tmp_path, "gpt3_three_digit_addition", *({"context": c, "completion": a} for c, a in asked)
    )
    result = evaluate(Fake(answers={"55?\n\nA:": " 1,053.", "7?\n\nA:": " 6"}), tmp_path)[0]
    assert result["accuracy"]["value"] == 0.5


RECORDS = [{"query": f"query{i}", "choices": [f"good{i}", f"bad{i}"], "gold": 0} for i in range(6)]
LIKELY = {
    (f"query{i}", f" {word}{i}"): value
    for i in range(6)
    for word, value in (("good", -1.0), ("bad", -2.0))
}


def test_shots_come_with_their_answers_never_the_example_itself(tmp_path: Path) -> None:
    write(tmp_path, "copa.val.llmfoundry", *RECORDS)
    fake = Fake(LIKELY)
    result = evaluate(fake, tmp_path, shots=3, seed=1)[0]
    assert result["shots"] == 3.0
    assert result["shots_from"] == "the other examples"
    assert result["accuracy"]["value"] == 1.0
    for context in fake.asked:
        *before, own = context.split("\n\n")
        assert len(before) == 3
        assert all(shot == f"query{shot[5]} good{shot[5]}" and shot[5] != own[5] for shot in before)
    again, other = Fake(LIKELY), Fake(LIKELY)
    evaluate(again, tmp_path, shots=3, seed=1)
    evaluate(other, tmp_path, shots=3, seed=2)
    assert again.asked == fake.asked != other.asked


def test_as_many_shots_as_fit(tmp_path: Path) -> None:
    write(tmp_path, "copa.val.llmfoundry", *RECORDS)
    result = evaluate(Fake(LIKELY, window=6), tmp_path, shots=5)[0]
    # 2 + 2 of the shots, 1 + 1 of the example; one more token is predicted.
    assert (result["shots_asked"], result["shots"]) == (
        5,
        2.0,
    )


def test_shots_of_a_training_split(tmp_path: Path) -> None:
    def story(ending: str) -> dict[str, object]:
        sentences = {f"InputSentence{i}": f"s{i}." for i in range(1, 5)}
        return {
            **sentences,
            "RandomFifthSentenceQuiz1": ending,
            "RandomFifthSentenceQuiz2": "no",
            "AnswerRightEnding": "1",
        }

    write(tmp_path, "storycloze_spring2016.test", story("test"))
    write(tmp_path, "storycloze_spring2016.val", story("val"))
    fake = Fake({("s4.", " test"): -1.0, ("s4.", " no"): -2.0})
    result = evaluate(fake, tmp_path, shots=1)[0]
    assert result["shots_from"] == "storycloze*.val"
    assert fake.asked[0] == "s1. s2. s3. s4. val\n\ns1. s2. s3. s4."


def test_limit_draws_examples_by_the_seed(tmp_path: Path) -> None:
    write(tmp_path, "copa.val.llmfoundry", *RECORDS)
    asked = []
    for seed in (0, 0, 1):
        fake = Fake(LIKELY)
        assert evaluate(fake, tmp_path, limit=2, seed=seed)[0]["examples"] == 2
        asked.append(fake.asked)
    assert asked[0] == asked[1] != asked[2]


def test_clean_and_dirty_examples_apart(tmp_path: Path) -> None:
    benchmarks, run = tmp_path / "benchmarks", tmp_path / "run"
    (run / "decontaminate").mkdir(parents=True)
    benchmarks.mkdir()
    write(benchmarks, "copa.val.llmfoundry", *RECORDS[:3])
    write(
        run / "decontaminate",
        "dirty",
        {"benchmark": "copa.val.llmfoundry", "id": "1", "before": ["web"], "after": ["web"]},
        {"benchmark": "copa.val.llmfoundry", "id": "2", "before": ["web"], "after": []},
    )
    report = [{"benchmark": "copa.val.llmfoundry", "short_ids": ["0"]}]
    (run / "decontaminate" / "contamination.json").write_text(json.dumps(report))
    wrong = {**LIKELY, ("query1", " good1"): -9.0}
    result = evaluate(Fake(wrong), benchmarks, dirty=read_dirty(run))[0]
    assert result["dirty"]["examples"] == 1
    assert result["dirty"]["accuracy"]["value"] == 0.0
    assert result["clean"]["examples"] == result["unsearched"]["examples"] == 1
    assert result["clean"]["accuracy"]["value"] == 1.0
    with pytest.raises(InputError, match="no contamination report there"):
        read_dirty(benchmarks)


def test_a_shot_never_asks_the_same_question(tmp_path: Path) -> None:
    """Neither with other white space or answer words, nor from the file that shots come from."""
    asked = {"question": "How deep is the lake?", "answer": "ten metres"}
    again = {"question": "How  deep is the Lake? ", "answer": "10 m"}
    path = write(tmp_path, "mine", asked, again, {"question": "Who?", "answer": "she"})
    fake = Fake(answers={"A:": "no"})
    evaluate(fake, path, shots=2)
    assert [context.casefold().count("lake?") for context in fake.asked] == [1, 1, 2]
    record = {"query": "Ice is", "choices": ["cold", "hot"], "gold": 0}
    write(tmp_path, "openbookqa.test.llmfoundry", record)
    shots = ({"Question Stem": stem, "Answer Key": "A"} for stem in ("Ice is", "Fire is"))
    write(
        tmp_path,
        "openbookqa_main.dev",
        *({**shot, "Choices": "(A) cold (B) hot"} for shot in shots),
    )
    fake = Fake({("Ice is", " cold"): -1.0, ("Ice is", " hot"): -2.0, ("Answer:", " cold"): -1.0})
    fake.scores[("Answer:", " hot")] = -1.0
    evaluate(fake, tmp_path, ["openbookqa"], shots=2)
    assert fake.asked[0] == "Fire is cold\n\nIce is"


def test_questions_of_one_wording_with_other_options_are_shown(tmp_path: Path) -> None:
    records = [
        {"query": "Which is wet?", "choices": [f"sea{i}", f"sand{i}"], "gold": 0} for i in range(3)
    ]
    fake = Fake({("wet?", f" {word}{i}"): -1.0 for i in range(3) for word in ("sea", "sand")})
    assert evaluate(fake, write(tmp_path, "mine", *records), shots=2)[0]["shots"] == 2.0


def test_options_of_equal_text_are_equally_right(tmp_path: Path) -> None:
    record = {"query": "Two and two:", "choices": ["four", "four", "five"], "gold": 1}
    fake = Fake({("two:", " four"): -1.0, ("two:", " five"): -2.0})
    result = evaluate(fake, write(tmp_path, "mine", record))[0]
    assert result["accuracy"]["value"] == 1.0
    assert result["chance"] == 0.6667


def test_two_benchmarks_are_both_scored_and_a_file_once(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in "ab")
    for folder in (first, second):
        folder.mkdir()
        write(folder, "copa.val.llmfoundry", *RECORDS[:2])
    write(second, "mine", {"question": "Who?", "answer": "she"})
    paths = [first, first / "copa.val.llmfoundry.jsonl", second, second / "mine.jsonl"]
    results = evaluate(Fake(LIKELY, {"A:": "she"}), paths)
    assert [row["task"] for row in results] == ["copa", "copa", "mine"]
    assert [row["task"] for row in evaluate(Fake(LIKELY), paths, ["copa"])] == ["copa", "copa"]


def test_ids_that_match_nothing_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "test"
    folder.mkdir()
    path = write(folder, "mine", *({**record, "eid": i} for i, record in enumerate(RECORDS)))
    sides = evaluate(Fake(LIKELY), path, dirty={"test/mine": {"1", "4"}, "other/mine": {"2"}})[0]
    assert (sides["dirty"]["examples"], sides["warnings"]) == (2, [])
    wrong = evaluate(Fake(LIKELY), path, dirty={"mine": {"1", "x9"}})[0]["warnings"]
    assert len(wrong) == 1
    assert "1 of 2 dirty examples" in wrong[0]
    assert "'x9'" in wrong[0]
    none = evaluate(Fake(LIKELY), path, dirty={"yours": {"1"}})[0]["warnings"]
    assert "has no benchmark of this name" in none[0]


class Letters:
    """An encoding with a token for each ASCII character below 61."""

    def encode_ordinary(self, text: str) -> list[int]:
        return [ord(c) % 61 for c in text]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))


def test_a_random_model_scores_and_answers(size: Size, tmp_path: Path) -> None:
    write(tmp_path, "copa.val.llmfoundry", {"query": "ab", "choices": ["cde", "fg"], "gold": 0})
    write(tmp_path, "gpt3_sum_of_digits", {"context": "1 + 2 =", "completion": " 3"})
    wide = Size("test", 2, 16, 2, 32, 1e-2, context=64, band=4, vocabulary=61)
    reader = Reader(build(wide, seed=0), Letters(), 0)
    choice, answer = evaluate(reader, tmp_path)
    assert choice["accuracy"]["value"] in (0.0, 1.0)
    assert answer["examples"] == 1
    assert len(reader.answer(["ab"], [], 5)[0]) <= 5


def test_white_space_at_the_end_of_a_context_goes_to_the_completion(size: Size) -> None:
    reader = Reader(build(size, seed=0), Letters(), 60)
    assert reader.request("ab ", "c") == reader.request("ab", " c")
    assert reader.request("", " c").context == (60,)


def test_a_beam_writes_what_is_likelier_than_greedily(size: Size) -> None:
    """Of 40 contexts the beam's answer is never less likely, and for some it is another one."""
    wide = Size("test", 2, 16, 2, 32, 1e-2, context=64, band=4, vocabulary=61)
    model = build(wide, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6)
    contexts = [f"#{i} {'+' * (i % 3)}" for i in range(40)]
    answers = [
        Reader(model, Letters(), 0, width).answer([c], [], 4)[0]
        for c in contexts
        for width in (1, 4)
    ]
    reader = Reader(model, Letters(), 0)
    scores = reader.score(
        [(c, a) for c, a in zip(2 * contexts, answers[::2] + answers[1::2], strict=True)]
    )
    better = 0
    for greedy_, beam_ in zip(scores[:40], scores[40:], strict=True):
        if greedy_.tokens == beam_.tokens == 4:
            assert beam_.log_probability >= greedy_.log_probability - 1e-3
            better += beam_.log_probability > greedy_.log_probability + 1e-3
    assert better


def multirc(*labels: int, question: str = "Is it?") -> dict[str, object]:
    answers = [{"text": f"answer{i}", "label": label} for i, label in enumerate(labels)]
    return {
        "passage": {"text": "It is.", "questions": [{"question": question, "answers": answers}]}
    }


def test_a_multirc_question_is_right_where_all_its_labels_are(tmp_path: Path) -> None:
    """Says true, true, false: right of the first question, one label wrong of the second."""
    write(tmp_path, "multirc.val", multirc(1, 1, 0), multirc(1, 0, 0))
    said = {0: "True", 1: "True", 2: "False"}
    fake = Fake(
        {
            ("Is it?", f"\n- [{word}] answer{i}"): -3.0 if word == said[i] else -4.0
            for i in range(3)
            for word in ("True", "False")
        }
    )
    result = evaluate(fake, tmp_path)[0]
    assert result["accuracy"]["value"] == 0.5
    assert result["chance"] == 0.125
    # 3 true answers are called true; 4 are called so, and 3 are.
    assert result["f1"]["value"] == pytest.approx(2 * 3 / 7, abs=1e-4)
    assert result["metric"] == "accuracy"
    shots = Fake({("is it?", option): -3.0 for _, option in fake.scores} | fake.scores)
    asked = [multirc(1, 0, 1, question="How is it?"), multirc(0, 0, 1)]
    evaluate(shots, write(tmp_path, "multirc.dev", *asked), shots=1)
    shown = "It is.\n\nHow is it?\n- [True] answer0\n- [False] answer1\n- [True] answer2"
    assert f"READING COMPREHENSION ANSWER KEY\n\n{shown}\n\nIt is.\n\nIs it?" in shots.asked


def test_several_right_answers_and_the_best_of_them(tmp_path: Path) -> None:
    questions = [
        {"qText": "who painted it?", "answers": ["Marcel Duchamp", "R. Mutt"]},
        {"qText": "who sold it?", "answers": ["Walter Arensberg"]},
    ]
    write(tmp_path, "webquestions.test", *questions)
    result = evaluate(Fake(answers={"painted it?\n\nA:": " r mutt", "it?\n\nA:": " he"}), tmp_path)[
        0
    ]
    assert (result["accuracy"]["value"], result["metric"]) == (0.5, "accuracy")


def test_f1_of_a_conversation_and_its_earlier_turns(tmp_path: Path) -> None:
    story = {
        "story": "Ann has a red boat.",
        "questions": [{"input_text": "Who?"}, {"input_text": "What has she?"}],
        "answers": [{"input_text": "Ann"}, {"input_text": "a red boat"}],
        "id": "c1",
    }
    write(tmp_path, "coqa.dev", story)
    fake = Fake(answers={"Who?\n\nA:": " Ann.", "What has she?\n\nA:": " a boat"})
    result = evaluate(fake, tmp_path, dirty={"coqa.dev": {"c1"}})[0]
    assert fake.asked[1] == "Ann has a red boat.\n\nQ: Who?\n\nA: Ann\n\nQ: What has she?\n\nA:"
    assert result["score"]["value"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)
    assert result["metric"] == "f1"
    assert result["dirty"]["examples"] == 2  # an example has the id of its record


def test_a_denied_noun_is_never_shown(tmp_path: Path) -> None:
    def record(name: str, label: bool) -> dict[str, object]:
        target = {"span1_text": name, "span2_text": "he", "span2_index": 2}
        return {"text": f"{name} said he left.", "target": target, "label": label}

    records = [record("Bob", True), record("Tom", False), record("Max", True), record("Jim", False)]
    write(tmp_path, "wsc.val", *records)
    fake = Fake(answers={"Answer:": " Bob"})
    result = evaluate(fake, tmp_path, shots=3)[0]
    assert not any("Answer: tom" in context or "Answer: jim" in context for context in fake.asked)
    assert all(context.startswith("Final Exam") for context in fake.asked)
    assert result["accuracy"]["value"] == 0.75  # Bob, and the two nouns that are not meant


def test_bleu_of_a_set_of_translations(tmp_path: Path) -> None:
    pairs = [
        {"translation": {"de": "Das Haus ist sehr alt.", "en": "The house is very old."}},
        {"translation": {"de": "Wir gehen heute nach Hause.", "en": "We are going home today."}},
    ]
    write(tmp_path, "wmt16_de-en.test", *pairs)
    answers = {"alt. A:": " The house is very old.", "Hause. A:": " We are going home now.",
               "old. A:": " Das", "today. A:": " Wir"}  # fmt: skip
    result = evaluate(Fake(answers=answers), tmp_path, ["translate_de_en"])[0]
    # Shared n-grams of 12, 10, 8 and 6: 11, 8, 6 and 4; equal lengths.
    wanted = (11 / 12 * 8 / 10 * 6 / 8 * 4 / 6) ** 0.25
    assert result["bleu"]["value"] == pytest.approx(wanted, abs=1e-4)
    assert result["metric"] == "bleu"


def test_without_its_description(tmp_path: Path) -> None:
    write(tmp_path, "lambada.test", {"context": "her friend", "continuation": "Bob"})
    fake = Fake({("____. ->", " Bob"): -0.5})
    result = evaluate(fake, tmp_path, ["lambada_blank"], describe=False)[0]
    assert fake.asked == ["her friend ____. ->"]
    assert result["described"] is False


def test_long_answers_take_at_most_half_of_a_small_window(size: Size, tmp_path: Path) -> None:
    """128 tokens of a translation do not fit into a window of 16."""
    pairs = ({"translation": {"de": f"J{i}", "en": f"Y{i}"}} for i in range(3))
    write(tmp_path, "wmt16_de-en.test", *pairs)
    reader = Reader(build(size, seed=0), Letters(), 0, 4)
    result = evaluate(reader, tmp_path, ["translate_de_en"], shots=1)[0]
    assert result["examples"] == 3


def test_a_question_may_have_a_list_of_right_answers(tmp_path: Path) -> None:
    path = write(tmp_path, "mine", {"question": "Who?", "answer": ["Ann", "Anne"]})
    assert evaluate(Fake(answers={"A:": " anne."}), path)[0]["accuracy"]["value"] == 1.0


def test_a_training_split_beside_a_set_gives_its_shots_and_is_not_scored(tmp_path: Path) -> None:
    write(tmp_path, "boolq.val", {"passage": "p1", "question": "q1", "label": True})
    write(tmp_path, "boolq.train", {"passage": "p2", "question": "q2", "label": False})
    fake = Fake({("answer:", " yes"): -1.0, ("answer:", " no"): -2.0})
    results = evaluate(fake, tmp_path, shots=4)
    assert [result["file"] for result in results] == ["boolq.val.jsonl"]
    assert results[0]["shots_from"] == "the training split"
    assert fake.asked[0] == "p2\nquestion: q2?\nanswer: no\n\np1\nquestion: q1?\nanswer:"
