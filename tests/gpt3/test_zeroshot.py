from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from curation.cli.zero_shot import line
from curation.errors import InputError
from curation.gpt3.evaluate import Reader
from curation.gpt3.model import build
from curation.gpt3.sizes import Size
from curation.gpt3.zeroshot import rolling, rouge, zero_shot


@dataclass(frozen=True)
class Bytes:
    """An encoding whose tokens are bytes."""

    def encode_ordinary(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode(errors="replace")


class Said(Reader):
    """A reader that notes what it is asked, and answers as it is told."""

    def answer(self, contexts: Sequence[str], stops: Sequence[str], max_tokens: int) -> list[str]:
        asked.extend(contexts)
        return [replies[n % len(replies)] for n in range(len(contexts))]


asked: list[str] = []
replies: list[str] = []


@pytest.fixture
def reader(size: Size) -> Reader:
    asked.clear()
    wide = Size("x", 1, 16, 2, 64, 1e-2, context=64, band=16, vocabulary=257)
    return Said(build(wide, 1).eval(), Bytes(), 256)


def written(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize("window", [1, 2, 5, 8])
@pytest.mark.parametrize("count", [1, 4, 5, 8, 9, 30])
def test_a_long_text_is_predicted_once(window: int, count: int) -> None:
    requests = rolling(range(count), 99, window)
    assert [token for r in requests for token in r.completion] == list(range(count))
    for number, r in enumerate(requests):
        assert 0 < len(r.context) + len(r.completion) - 1 <= window
        assert number == 0 or len(r.context) >= min(r.completion[0], window // 2)
        assert list(r.context)[-1] == (r.completion[0] - 1 if r.completion[0] else 99)


def test_perplexity_of_a_short_text_is_that_of_its_tokens(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the tide , it turns .\nat six .")
    found = zero_shot(reader, "perplexity", path, detokenizer="wikitext")
    ids = torch.tensor([[256, *b"the tide, it turns.\nat six."]])
    with torch.no_grad():
        nats = float(reader.model.loss(ids)) * (ids.shape[1] - 1)
    assert found["perplexity_per_token"] == pytest.approx(math.exp(nats / 27), rel=1e-4)
    assert found["words"] == 10  # nine words and the end of the first line
    assert found["perplexity_per_word"] == pytest.approx(math.exp(nats / 10), rel=1e-4)
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / 30, rel=1e-4)
    assert "perplexity" in line(found)
    path.write_text("")
    with pytest.raises(InputError, match="has no text"):
        zero_shot(reader, "perplexity", path)


def test_translation_asks_with_pairs(reader: Reader, tmp_path: Path) -> None:
    replies[:] = [" a b c d"]
    records = [{"source": f"s{n}", "target": "a b c d"} for n in range(5)]
    path = written(tmp_path / "a.jsonl", records)
    found = zero_shot(reader, "translate", path, shots=2, limit=3)
    assert (found["examples"], found["score"]["value"]) == (3, 1.0)
    for context in asked:
        *shown, last = context.split("\n")
        assert len(shown) == 2
        assert all(pair.endswith(" = a b c d") for pair in shown)
        assert last[:2] not in [pair[:2] for pair in shown]
        assert last.endswith(" =")
    assert "3 examples; 2 shots; bleu 100.0" in line(found)
    assert "lost" not in line(found)
    # 32 tokens of 64 are for the answer: of pairs of 13 tokens two fit before a query of 4.
    more = zero_shot(reader, "translate", path, shots=3, limit=3)
    assert (more["shots_asked"], more["shots"], more["cut"]) == (3, 2.0, 0)
    long = written(tmp_path / "b.jsonl", [{"source": "s" * 40, "target": "a b c d"}, records[0]])
    assert line(zero_shot(reader, "translate", long)).endswith(
        "; 1 prompts lost their start, beyond 32 tokens"
    )
    asked.clear()
    assert "lost" not in line(zero_shot(reader, "translate", path))
    assert asked == [f"s{n} =" for n in range(5)]


def test_answers_are_asked_after_the_document_and_what_was_said(
    reader: Reader, tmp_path: Path
) -> None:
    replies[:] = [" in the year 1985"]
    record = {
        "document": "D.",
        "question": "When?",
        "answer": "1985",
        "history": [{"question": "Who?", "answer": "Me"}],
    }
    path = written(tmp_path / "a.jsonl", [record])
    found = zero_shot(reader, "answer", path)
    assert asked == ["D.\nQ: Who?\nA: Me\nQ: When?\nA:"]
    assert found["score"]["value"] == pytest.approx(0.5)
    assert "lost" not in line(found)
    long = {**record, "document": "x" * 20}
    found = zero_shot(reader, "answer", written(tmp_path / "c.jsonl", [record, long]))
    assert (found["cut"], found["room"]) == (1, 64 - 24)
    assert line(found).endswith("; 1 prompts lost their start, beyond 40 tokens")
    path = written(tmp_path / "b.jsonl", [{**record, "history": "x"}])
    with pytest.raises(InputError, match="line 1: history must be a list of objects"):
        zero_shot(reader, "answer", path)


def test_summaries_are_three_sentences(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation.gpt3 import zeroshot as module

    read: list[bytes] = []

    def drawn(model: Any, prompts: Any, samples: int, drawing: Any, ended: Any) -> Any:
        assert (samples, drawing.top_k, drawing.max_tokens) == (1, 2, 16)
        read.extend(bytes(ids) for ids in prompts)
        return [[list(b" One. Two! Three? Four.")] for _ in prompts]

    monkeypatch.setattr(module, "draw", drawn)
    document = "One. Two. Three. Four."
    record = {"document": document, "summary": "one two three"}
    long = {"document": "x" * 500, "summary": "y"}
    found = zero_shot(reader, "summarize", written(tmp_path / "a.jsonl", [record, long]))
    assert read[0] == document.encode() + b"\nTL;DR:"
    assert read[1] == b"x" * (64 - 16 - 7) + b"\nTL;DR:"
    assert read[2] == document.encode()
    assert found["texts"] == ["One. Two! Three?"] * 2
    assert found["rouge"]["tl_dr"] == {"rouge_1": 0.5, "rouge_2": 0.5, "rouge_l": 0.5}
    assert found["rouge"]["lead_3"]["rouge_1"] == 0.5
    assert set(found["rouge"]) == {"tl_dr", "no_hint", "lead_3", "random_3"}
    assert "ROUGE 1, 2, L: tl_dr 50.0 50.0 50.0" in line(found)
    assert line(found).endswith("; 1 documents lost their end, beyond 41 tokens")


def test_rouge_is_that_by_hand() -> None:
    generator = np.random.default_rng(0)
    for _ in range(30):
        one, other = (generator.integers(0, 4, generator.integers(1, 8)).tolist() for _ in "ab")
        longest = max(
            size
            for size in range(min(len(one), len(other)) + 1)
            for some in combinations(one, size)
            if some in set(combinations(other, size))
        )
        texts = [" ".join(f"w{n}" for n in words) for words in (one, other)]
        assert rouge(*texts)[2] == pytest.approx(2 * longest / (len(one) + len(other)))
    assert rouge("", "a") == (0.0, 0.0, 0.0)
    assert rouge("A b, a", "a b c") == pytest.approx((2 / 3, 0.5, 2 / 3))


@pytest.mark.parametrize("kind", ["translate", "summarize", "answer"])
def test_records_without_their_fields_are_refused(
    reader: Reader, tmp_path: Path, kind: Any
) -> None:
    path = written(tmp_path / "a.jsonl", [{"other": "a"}])
    with pytest.raises(InputError, match=r"a.jsonl, line 1: a text called \w+.* expected"):
        zero_shot(reader, kind, path)
    path.write_text("")
    with pytest.raises(InputError, match="has no record"):
        zero_shot(reader, kind, path)
