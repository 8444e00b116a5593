"""Formats of appendix G whose answers are written: one function from records to examples each.

An example's completions are all its right answers; the first is the one that is shown to others.
Where a text has several questions, those before stand in the context with their right answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from curation.gpt3.evaluation.example import Draft, Drafts, Read, Record, spaced, with_end

# What SQuAD's questions without an answer are shown and scored with; the paper does not say.
NO_ANSWER = "unanswerable"


def read_lambada(records: list[Record]) -> Drafts:
    """The passage, and its last word as a plain continuation."""
    for record in records:
        yield (record["context"].strip(),), spaced([record["continuation"]]), 0


def read_lambada_blank(records: list[Record]) -> Drafts:
    """The passage with a blank for its last word (section 3.1.1)."""
    for record in records:
        yield (record["context"].strip() + " ____. ->",), spaced([record["continuation"]]), 0


def read_completion(records: list[Record]) -> Drafts:
    """`context` and `completion`, as OpenAI published its arithmetic and word tasks."""
    for record in records:
        yield (record["context"].strip(),), spaced([record["completion"]]), 0


def read_question(records: list[Record]) -> Drafts:
    """`question` and `answer` (or a list of right answers), after `passage` where there is one."""
    for record in records:
        passage = f"{record['passage'].strip()}\n\n" if record.get("passage") else ""
        answer = record["answer"]
        yield (
            (f"{passage}Q: {record['question'].strip()}\n\nA:",),
            _right([answer] if isinstance(answer, str) else answer),
            0,
        )


def _right(answers: Iterable[str]) -> tuple[str, ...]:
    """Right answers without repetition. Raises ValueError where there is none."""
    texts = tuple(dict.fromkeys(spaced(answers)))
    if not texts:
        raise ValueError("at least one right answer expected, got none")
    return texts


def _asked(question: str) -> str:
    """Figures G.24 and G.35 begin with a capital and end with a question mark."""
    question = with_end(question, "?")
    return f"Q: {question[:1].upper()}{question[1:]}\n\nA:"


def read_nq(records: list[Record]) -> Drafts:
    """Natural Questions, open domain (figure G.24): `question` and a list `answer`."""
    for record in records:
        answer = record["answer"]
        answers = [answer] if isinstance(answer, str) else answer
        yield (_asked(record["question"]),), _right(answers), 0


def read_webqa(records: list[Record]) -> Drafts:
    """WebQuestions (figure G.35): `qText` and `answers`."""
    for record in records:
        yield (_asked(record["qText"]),), _right(record["answers"]), 0


def read_triviaqa(records: list[Record]) -> Drafts:
    """TriviaQA (figure G.34), of its own file or llm-foundry's."""
    for record in records:
        if "Question" in record:
            question, answer = record["Question"], record["Answer"]
            answers = [answer["Value"], *answer["Aliases"]]
        else:
            question = record["context"].removeprefix("Question:").removesuffix("Answer:")
            answers = [record["answer"], *record["aliases"]]
        yield (f"Q: {question.strip()}\n\nA:",), _right(answers), 0


def _dialogue(text: str, turns: Iterable[tuple[str, Iterable[str]]]) -> list[Draft]:
    """An example for each question about `text`, after the earlier ones with their answers."""
    drafts, before = [], text
    for question, answers in turns:
        context = f"{before}\n\nQ: {question.strip()}\n\nA:"
        right = _right(answers)
        drafts.append(Draft((context,), right))
        before = context + right[0]
    return drafts


def read_coqa(records: list[Record]) -> Drafts:
    """CoQA (figure G.18): a story, and a conversation about it."""
    for record in records:
        more = record.get("additional_answers") or {}
        turns = [
            (
                question["input_text"],
                [a["input_text"], *(m[i]["input_text"] for m in more.values())],
            )
            for i, (question, a) in enumerate(
                zip(record["questions"], record["answers"], strict=True)
            )
        ]
        yield _dialogue(record["story"].strip(), turns)


def read_quac(records: list[Record]) -> Drafts:
    """QuAC (figure G.25): a section of Wikipedia, and a conversation about it."""
    for record in records:
        drafts: list[Draft] = []
        for paragraph in record["paragraphs"]:
            text = paragraph["context"].strip().removesuffix("CANNOTANSWER").strip()
            head = f"TITLE: {record['title'].strip()} - {record['section_title'].strip()}"
            turns = [
                (asked["question"], [answer["text"] for answer in asked["answers"]])
                for asked in paragraph["qas"]
            ]
            drafts += _dialogue(f"{head}\nPARAGRAPH: {text}", turns)
        yield drafts


def read_squad(records: list[Record]) -> Drafts:
    """SQuAD 1 and 2 (figure G.28), an article or a question a line."""
    for record in records:
        paragraphs = record.get("paragraphs") or [{"context": record["context"], "qas": [record]}]
        drafts: list[Draft] = []
        for paragraph in paragraphs:
            head = f"Title: {record['title'].strip()}\n\nBackground: {paragraph['context'].strip()}"
            turns = [
                (asked["question"], [a["text"] for a in asked["answers"]] or [NO_ANSWER])
                for asked in paragraph["qas"]
            ]
            drafts += _dialogue(head, turns)
        yield drafts


def read_drop(records: list[Record]) -> Drafts:
    """DROP (figure G.20), a passage or a question a line; parts of an answer are joined by commas."""
    for record in records:
        yield [
            Draft(
                (
                    f"Passage: {record['passage'].strip()}\nQuestion: "
                    f"{asked['question'].strip()}\nAnswer:",
                ),
                _right(filter(None, _drop_answers(asked))),
            )
            for asked in record.get("qa_pairs", [record])
        ]


def _drop_answers(asked: Record) -> list[str]:
    if "answers_spans" in asked:
        return [", ".join(asked["answers_spans"]["spans"])]
    return [
        str(answer["number"]).strip()
        or ", ".join(answer["spans"])
        or " ".join(filter(None, (answer["date"][part] for part in ("day", "month", "year"))))
        for answer in [asked["answer"], *asked.get("validated_answers", ())]
    ]


def read_wsc(records: list[Record]) -> Drafts:
    """WSC (figure G.33): the noun that a marked pronoun refers to.

    The pronoun is the word number `span2_index`. Where `label` is false the noun named is not it.
    """
    for record in records:
        words, target = record["text"].split(), record["target"]
        pronoun, place = target["span2_text"], int(target["span2_index"])
        word = words[place]
        if not word.lower().startswith(pronoun.lower()):
            raise ValueError(f"the pronoun {pronoun!r} expected as word {place}, got {word!r}")
        words[place] = f"*{word[: len(pronoun)]}*{word[len(pronoun) :]}"
        asked = f'In the passage above, what does the pronoun "*{pronoun}*" refer to?'
        context = f"Passage: {' '.join(words)}\nQuestion: {asked}\nAnswer:"
        noun = spaced([target["span1_text"].lower()])
        yield Draft((context,), noun, denied=not record["label"])


LANGUAGES = {"de": "German", "en": "English", "fr": "French", "ro": "Romanian"}


def translation(source: str, target: str, asked: str = "{} =") -> Read:
    """Sentence = translation (figures G.36 to G.41)."""

    def read(records: list[Record]) -> Drafts:
        for record in records:
            pair = record.get("translation", record)
            yield (asked.format(pair[source].strip()),), spaced([pair[target]]), 0

    return read


def translation_asked(source: str, target: str) -> Read:
    """The same as a question, for K = 0 (caption of figure G.36)."""
    asked = f"Q: What is the {LANGUAGES[target]} translation of {{}} A:"
    return translation(source, target, asked)
