"""GPT-2's tasks without training (Radford et al. 2019, section 3): a text's perplexity,
translation, summaries and answers about a document.

    perplexity  a file of text, through a de-tokeniser; per word of the file as it is published
    translate   `source = target` pairs, then `source =`; greedy, the first line; BLEU
    summarize   the document, `TL;DR:`, 100 tokens from the 2 likeliest; 3 sentences count; ROUGE
    answer      the document, earlier questions and answers, `Q:`, `A:`; greedy, a line; F1

Files of the last three are lines of JSON: `source, target`; `document, summary`; `document,
question, answer` with an optional `history` of `question, answer`.

The paper leaves open: the windows of a long text (here each token is predicted once, with half a
window of tokens before it), what counts as a word (here what white space separates, and each line's
end), and what is cut where the window is too short (here a document to summarize loses its end, any
other prompt its beginning; `cut` says how many did, `room` how many tokens there were for each).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from curation import draws
from curation.errors import InputError
from curation.gpt3.detokenize import detokenized
from curation.gpt3.evaluate import Reader
from curation.gpt3.evaluation.metrics import answer_row, metrics
from curation.gpt3.options import Drawing
from curation.gpt3.samples import draw
from curation.gpt3.scoring import Request, log_likelihoods
from curation.gpt3.tasks import read_records

Kind = Literal["perplexity", "translate", "summarize", "answer"]
MAX_BYTES = 2**30
SUMMARY_TOKENS = 100
ANSWER_TOKENS = 24
LINE_TOKENS = 100
HINT = "\nTL;DR:"
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[a-z0-9]+")
Figures = dict[str, Any]


def zero_shot(
    reader: Reader,
    kind: Kind,
    path: Path,
    *,
    shots: int = 0,
    limit: int | None = None,
    seed: int = 0,
    detokenizer: str = "none",
) -> Figures:
    """The figures of one file, read as `kind` says."""
    head = {"task": kind, "file": path.name}
    if kind == "perplexity":
        return head | perplexity(reader, path, detokenizer)
    records = read_records(path)
    if not records:
        raise InputError(f"{path} has no record")
    chosen = records if limit is None or limit >= len(records) else _drawn(records, limit, seed)
    measure = {"translate": translations, "summarize": summaries, "answer": answers}[kind]
    return head | {"examples": len(chosen)} | measure(reader, path, records, chosen, shots, seed)


def _drawn(records: list[Any], limit: int, seed: int) -> list[Any]:
    contents = (line.to_bytes(8, "little") for line, _ in records)
    order = np.argsort(draws.uniforms(seed, "zeroshot/limit", contents), kind="stable")
    return [records[n] for n in sorted(order[:limit].tolist())]


def field(path: Path, line: int, record: dict[str, Any], *names: str) -> str:
    """The text under the first of `names` that a record has; InputError where it has none."""
    for name in names:
        if isinstance(record.get(name), str):
            return str(record[name])
    raise InputError(f"{path}, line {line + 1}: a text called {' or '.join(names)} expected")


# ---- perplexity ----------------------------------------------------------------------------------


def perplexity(reader: Reader, path: Path, detokenizer: str = "none") -> Figures:
    """Perplexity of a text file per word and per token, and bits per byte of the file."""
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES:,} bytes; give a part of it")
    data = path.read_bytes()
    lines = data.decode("utf-8", errors="replace").split("\n")
    texts, kept = detokenized(lines, detokenizer)
    ids = reader.encoding.encode_ordinary("\n".join(texts))
    if not ids:
        raise InputError(f"{path} has no text")
    scores = log_likelihoods(reader.model, rolling(ids, reader.end_of_text, reader.window))
    nats = -math.fsum(score.log_probability for score in scores)
    words = sum(len(line.split()) for line in lines) + len(lines) - 1
    return {
        "perplexity_per_word": math.exp(min(700.0, nats / max(1, words))),
        "perplexity_per_token": math.exp(min(700.0, nats / len(ids))),
        "bits_per_byte": nats / math.log(2) / len(data),
        "words": words,
        "tokens": len(ids),
        "bytes": len(data),
        "lines_as_they_stand": kept,
    }


def rolling(ids: Sequence[int], end_of_text: int, window: int) -> list[Request]:
    """Requests that predict each of `ids` once, with at least half a window before it, or the
    text's beginning after end-of-text.

    >>> [len(part) for part in rolling(range(10), 99, 4)[1]]
    [3, 2]
    """
    stream = (end_of_text, *ids)
    step = max(1, window // 2)
    requests = [Request(stream[:1], stream[1 : window + 1])]
    for start in range(window + 1, len(stream), step):
        completion = stream[start : start + step]
        before = max(0, start + len(completion) - 1 - window)
        requests.append(Request(stream[before:start], completion))
    return requests


# ---- translation, summaries, answers -------------------------------------------------------------


def translations(
    reader: Reader, path: Path, records: list[Any], chosen: list[Any], shots: int, seed: int
) -> Figures:
    """BLEU of the line that follows `source =`, after `shots` other pairs of the file, or as many as
    fit into the window."""
    pairs = {line: tuple(field(path, line, r, k) for k in ("source", "target"))
             for line, r in records}  # fmt: skip
    contexts, shown = [], 0
    for line, _ in chosen:
        others = [other for other in pairs if other != line]
        contents = (f"{line}/{other}".encode() for other in others)
        order = np.argsort(draws.uniforms(seed, "zeroshot/shots", contents), kind="stable")
        asked = f"{pairs[line][0]} ="
        room = _room_before(reader, LINE_TOKENS) - reader.tokens(asked)
        before = []
        for n in order[:shots].tolist():
            before.append("{} = {}\n".format(*pairs[others[n]]))
            room -= reader.tokens(before[-1])
            if room < 0:
                before.pop()
                break
        shown += len(before)
        contexts.append("".join(before) + asked)
    texts, cut = _lines(reader, contexts, LINE_TOKENS)
    rows = [answer_row(text, [pairs[line][1]], "bleu")
            for text, (line, _) in zip(texts, chosen, strict=True)]  # fmt: skip
    mean = round(shown / max(1, len(chosen)), 2)
    scores = metrics(rows, "answer", "bleu")
    return {"shots_asked": shots, "shots": mean, **cut, **scores, "texts": texts}


def _room_before(reader: Reader, most: int) -> int:
    """Tokens of a prompt that leave room for `most` new ones, or for half a window."""
    return reader.window - min(most, reader.window // 2)


def _lines(reader: Reader, contexts: list[str], most: int) -> tuple[list[str], Figures]:
    """The line that follows each context, and how many contexts lost their beginning."""
    room = _room_before(reader, most)
    longer = sum(reader.tokens(context.rstrip(" ")) > room for context in contexts)
    texts = reader.answer(contexts, ["\n"], reader.window - room)
    return texts, {"cut": longer, "room": room}


def summaries(
    reader: Reader, path: Path, records: list[Any], chosen: list[Any], shots: int, seed: int
) -> Figures:
    """ROUGE F1 of what follows `TL;DR:`; beside it without the hint, of the document's first three
    sentences, and of three random ones."""
    documents = [field(path, line, r, "document", "article", "text") for line, r in chosen]
    right = [field(path, line, r, "summary", "highlights") for line, r in chosen]
    most = min(SUMMARY_TOKENS, reader.window // 4)
    drawing = Drawing(most, top_k=2, seed=seed)
    written = {}
    for name, hint in (("tl_dr", HINT), ("no_hint", "")):
        contexts = [_cut(reader, document, hint, most) for document in documents]
        drawn = draw(reader.model, contexts, 1, drawing, lambda ids: ids[-1] == reader.end_of_text)
        written[name] = [
            _sentences(reader.encoding.decode([t for t in ids if t != reader.end_of_text]))
            for (ids,) in drawn
        ]
    written["lead_3"] = [_sentences(document) for document in documents]
    written["random_3"] = [_random(document, seed) for document in documents]
    texts = {name: [" ".join(some[:3]) for some in of_name] for name, of_name in written.items()}
    figures = {}
    for name, of_name in texts.items():
        scores = [rouge(text, one) for text, one in zip(of_name, right, strict=True)]
        means = np.mean(scores, axis=0).round(4).tolist()
        figures[name] = dict(zip(ROUGE, means, strict=True))
    room = _room(reader, HINT, most)
    cut = sum(reader.tokens(document.strip()) > room for document in documents)
    return {"cut": cut, "room": room, "rouge": figures, "texts": texts["tl_dr"]}


def _cut(reader: Reader, document: str, hint: str, most: int) -> list[int]:
    """The document's tokens and the hint's; the document loses its end where they do not fit."""
    after = reader.encoding.encode_ordinary(hint)
    ids = reader.encoding.encode_ordinary(document.strip())[: _room(reader, hint, most)]
    return [*ids, *after] or [reader.end_of_text]


def _room(reader: Reader, hint: str, most: int) -> int:
    """Tokens of a document that fit before the hint and `most` new ones."""
    return max(1, reader.window - most - reader.tokens(hint))


def _sentences(text: str) -> list[str]:
    return _SENTENCE.split(" ".join(text.split()))


def _random(document: str, seed: int) -> list[str]:
    some = _sentences(document)
    contents = (f"{n}/{text}".encode() for n, text in enumerate(some))
    order = np.argsort(draws.uniforms(seed, "zeroshot/sentences", contents), kind="stable")
    return [some[n] for n in order[:3].tolist()]


ROUGE = ("rouge_1", "rouge_2", "rouge_l")


def rouge(text: str, right: str) -> tuple[float, float, float]:
    """F1 of shared words, of shared pairs of words, and of the longest common subsequence, of lower
    case letters and digits.

    >>> rouge("the cat sat", "the cat ran")
    (0.6666666666666666, 0.5, 0.6666666666666666)
    """
    words, wanted = _WORD.findall(text.lower()), _WORD.findall(right.lower())

    def f1(common: float, one: int, other: int) -> float:
        return 2 * common / (one + other) if one and other else 0.0

    out = []
    for n in (1, 2):
        grams = [
            Counter(zip(*(some[i:] for i in range(n)), strict=False)) for some in (words, wanted)
        ]
        common = sum((grams[0] & grams[1]).values())
        out.append(f1(common, grams[0].total(), grams[1].total()))
    return out[0], out[1], f1(common_words(words, wanted), len(words), len(wanted))


def common_words(words: Sequence[str], wanted: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    numbers = {word: n for n, word in enumerate(dict.fromkeys((*words, *wanted)))}
    of_wanted = np.array([numbers[word] for word in wanted], np.int64)
    best = np.zeros(len(wanted) + 1, np.int64)
    for word in words:
        longer = best[:-1] + (of_wanted == numbers[word])
        best[1:] = np.maximum.accumulate(np.maximum(best[1:], longer))
    return int(best[-1])


def answers(
    reader: Reader, path: Path, records: list[Any], chosen: list[Any], shots: int, seed: int
) -> Figures:
    """F1 of the line that follows the document, its earlier questions, and `A:`."""
    contexts, right = [], []
    for line, record in chosen:
        document = field(path, line, record, "document", "passage", "story")
        history = record.get("history") or []
        if not isinstance(history, list) or not all(isinstance(one, dict) for one in history):
            raise InputError(f"{path}, line {line + 1}: history must be a list of objects")
        asked = "".join(
            f"Q: {field(path, line, one, 'question')}\nA: {field(path, line, one, 'answer')}\n"
            for one in history
        )
        question = field(path, line, record, "question")
        contexts.append(f"{document.strip()}\n{asked}Q: {question}\nA:")
        right.append(field(path, line, record, "answer"))
    texts, cut = _lines(reader, contexts, ANSWER_TOKENS)
    rows = [answer_row(text, [one], "f1") for text, one in zip(texts, right, strict=True)]
    return {**cut, **metrics(rows, "answer", "f1"), "texts": texts}
