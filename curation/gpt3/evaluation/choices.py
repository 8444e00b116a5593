"""Formats of appendix G whose answers are chosen: one function from records to examples each.

Records are those of the benchmarks' own files (SuperGLUE, RACE, ANLI) or of llm-foundry's.
"""

from __future__ import annotations

import re

from curation.gpt3.evaluation.example import Draft, Drafts, Read, Record, spaced, with_end

TRUE_FALSE_NEITHER = ("True", "False", "Neither")


def read_choices(records: list[Record]) -> Drafts:
    """`query`, `choices`, `gold`, as llm-foundry writes them."""
    for record in records:
        yield (record["query"].strip(),), spaced(record["choices"]), int(record["gold"])


def read_arc(records: list[Record]) -> Drafts:
    """ARC: a question, and answers to choose from."""
    for record in records:
        yield (
            (record["query"].strip() + "\nAnswer:",),
            spaced(record["choices"]),
            int(record["gold"]),
        )


def read_partial(records: list[Record]) -> Drafts:
    """`context_options`, `continuation`, `gold`: which context makes the continuation likelier."""
    for record in records:
        yield (
            tuple(map(str.strip, record["context_options"])),
            spaced([record["continuation"]]),
            int(record["gold"]),
        )


def read_hellaswag(records: list[Record]) -> Drafts:
    """HellaSwag (figure G.9): what is done, a context, and endings of its last sentence.

    The files begin that sentence with a small letter, the figure with a capital. Of the original's
    fields or of `ctx` alone, which then begins with what is done.
    """
    for record in records:
        context = record["ctx"].strip()
        if "ctx_b" in record:
            parts = f"{record['activity_label']}:", record["ctx_a"], record["ctx_b"]
            context = " ".join(part.strip() for part in parts if part.strip())
        context = _LAST_SENTENCE.sub(lambda found: found[0].upper(), context)
        yield (context,), spaced(record["endings"]), int(record["label"])


_LAST_SENTENCE = re.compile(r"(?<=[.!?] )[a-z](?=[^.!?]*\Z)")


def read_piqa(records: list[Record]) -> Drafts:
    """PIQA: a goal, and two ways to reach it."""
    for record in records:
        solutions = spaced([record["sol1"], record["sol2"]])
        yield (record["goal"].strip(),), solutions, int(record["label"])


def read_storycloze(records: list[Record]) -> Drafts:
    """StoryCloze: four sentences, and two endings."""
    for record in records:
        story = " ".join(record[f"InputSentence{i}"].strip() for i in range(1, 5))
        endings = [record[f"RandomFifthSentenceQuiz{i}"] for i in (1, 2)]
        yield (story,), spaced(endings), int(record["AnswerRightEnding"]) - 1


def read_openbookqa(records: list[Record]) -> Drafts:
    """The original file: "(A) one (B) two ...", the answer as a letter."""
    for record in records:
        choices = record["Choices"].split("(")[1:]
        yield (
            (record["Question Stem"].strip(),),
            spaced(c[2:] for c in choices),
            "ABCD".index(record["Answer Key"]),
        )


def read_race(records: list[Record]) -> Drafts:
    """The article, its questions that come before with their right answers (figures G.1 and G.3),
    and the question."""
    before: list[str] = []
    article = None
    for record in records:
        if record["article"] != article:
            article, before = record["article"], []
        question = f"Q: {record['question'].strip()}\n\nA:"
        gold = "ABCD".index(record["answer"])
        yield (
            ("\n\n".join(["Article:\n" + record["article"].strip(), *before, question]),),
            spaced(record["options"]),
            gold,
        )
        before = [*before, f"{question} {record['options'][gold].strip()}"]


def anli(number: int) -> Read:
    """ANLI's round `number` (figures G.2, G.7 and G.10); labels are e, n and c.

    The figures print the round's name twice: here once as the task's description, and once before
    each example.
    """

    def read(records: list[Record]) -> Drafts:
        for record in records:
            claim = record["statement"] if "statement" in record else record["hypothesis"]
            label = record["gold_label"] if "gold_label" in record else record["label"]
            context = f"anli {number}: {record['context'].strip()}\nQuestion: {claim.strip()}"
            yield (
                (context + " True, False, or Neither?",),
                spaced(TRUE_FALSE_NEITHER),
                ("e", "c", "n").index(label),
            )

    return read


def read_sat(records: list[Record]) -> Drafts:
    """SAT analogies (figure G.12): pairs of words, the answer as a letter."""
    for record in records:
        pairs = [" is to ".join(pair.split(maxsplit=1)) for pair in record["choices"]]
        stem = " is to ".join(record["stem"].split(maxsplit=1))
        yield (stem + " as",), spaced(pairs), "abcdefgh".index(record["answer"].lower())


def read_boolq(records: list[Record]) -> Drafts:
    """BoolQ (figure G.29), of SuperGLUE's file or llm-foundry's."""
    for record in records:
        if "query" in record:
            passage, _, question = record["query"].rpartition("\nQuestion:")
            passage = passage.removeprefix("Passage:")
            yes = str(record["choices"][int(record["gold"])]).strip().lower() == "yes"
        else:
            passage, question, yes = record["passage"], record["question"], record["label"]
        asked = f"{passage.strip()}\nquestion: {with_end(question, '?')}\nanswer:"
        yield (asked,), (" yes", " no"), _no(yes)


def _no(yes: object) -> int:
    """The place of an answer in ("yes", "no"). Raises ValueError where it is no truth value."""
    if yes not in (True, False):
        raise ValueError(f"true or false expected, got {yes!r}")
    return 0 if yes else 1


def read_cb(records: list[Record]) -> Drafts:
    """CommitmentBank (figure G.30)."""
    for record in records:
        claim = with_end(record["hypothesis"], ".")
        context = f"{record['premise'].strip()}\nquestion: {claim} true, false, or neither?"
        gold = ("entailment", "contradiction", "neutral").index(record["label"])
        yield (context + "\nanswer:",), (" true", " false", " neither"), gold


def read_rte(records: list[Record]) -> Drafts:
    """RTE (figure G.31), of SuperGLUE's file or those of the challenges."""
    for record in records:
        label = next(record[key] for key in ("label", "entailment", "value") if key in record)
        gold = ("entailment", "not_entailment", "YES", "NO", "TRUE", "FALSE").index(label) % 2
        premise = record["premise"] if "premise" in record else record["text"]
        claim = with_end(record["hypothesis"], ".")
        context = f"{premise.strip()}\nquestion: {claim} True or False?\nanswer:"
        yield (context,), (" True", " False"), gold


def read_wic(records: list[Record]) -> Drafts:
    """WiC (figure G.32): is a word used in the same way?"""
    for record in records:
        sentences = f"{record['sentence1'].strip()}\n{record['sentence2'].strip()}"
        asked = f"Is the word '{record['word']}' used in the same way in the two sentences above?"
        context = f"{sentences}\nquestion: {asked}\nanswer:"
        yield (context,), (" yes", " no"), _no(record["label"])


def read_record(records: list[Record]) -> Drafts:
    """ReCoRD (figure G.6): the query with each entity of the passage in the place of its blank.

    Every entity that an annotator named is right.
    """
    for record in records:
        passage = record["passage"]["text"]
        text, *highlights = (part.strip() for part in passage.split("@highlight"))
        points = "\n".join("- " + with_end(line, ".") for line in highlights)
        spans = record["passage"]["entities"]
        names = list(dict.fromkeys(passage[s["start"] : s["end"] + 1] for s in spans))
        drafts = []
        for asked in record["qas"]:
            right = {answer["text"] for answer in asked["answers"]}
            golds = tuple(i for i, name in enumerate(names) if name in right)
            lines = tuple("\n- " + asked["query"].replace("@placeholder", n) for n in names)
            drafts.append(Draft((f"{text}\n\n{points}".strip(),), lines, golds[0], golds))
        yield drafts


def read_multirc(records: list[Record]) -> Drafts:
    """MultiRC (figure G.15): a question with all its answers, each of them true or false."""
    for record in records:
        passage = record["passage"]
        drafts = []
        for asked in passage["questions"]:
            answers = asked["answers"]
            lines = tuple(
                f"\n- [{word}] {answer['text'].strip()}"
                for answer in answers
                for word in ("True", "False")
            )
            golds = tuple(2 * i + (not a["label"]) for i, a in enumerate(answers))
            context = f"{passage['text'].strip()}\n\n{asked['question'].strip()}"
            drafts.append(Draft((context,), lines, golds[0], golds, together=True))
        yield drafts
