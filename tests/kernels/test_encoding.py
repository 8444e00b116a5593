"""The tokens of columns of texts: gigatoken's and tiktoken's are equal."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.kernels import bpe, encoding

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
CLOSE = st.lists(
    st.sampled_from(
        [*" \t\n\r\xa0\u3000\x85\x1c'a1!é漢\u0301\u200d😀\0<|>", "'s", "'ll", "<|endoftext|>", "  "]
    ),
    max_size=30,
).map("".join)


@pytest.fixture(autouse=True)
def _forgotten() -> Any:
    yield
    encoding.is_fast.cache_clear()
    encoding._reader.cache_clear()


def expected(texts: list[str]) -> list[list[int]]:
    gpt2 = bpe.encoding()
    return [[*bpe.document_tokens(gpt2, text).tolist(), gpt2.eot_token] for text in texts]


def found(texts: list[str], kind: pa.DataType | None = None) -> list[list[int]]:
    offsets, tokens = encoding.encode("gpt2", pa.array(texts, kind or pa.string()))
    return [part.tolist() for part in np.split(tokens, offsets[1:-1])] if texts else []


def need_gigatoken() -> None:
    pytest.importorskip("gigatoken")
    assert encoding.is_fast()


@given(st.lists(TEXT | CLOSE, min_size=1, max_size=6))
def test_both_give_the_same_tokens(texts: list[str]) -> None:
    need_gigatoken()
    assert found(texts) == expected(texts)
    assert found(texts, pa.large_string()) == expected(texts)


@pytest.mark.parametrize("fast", [True, False])
def test_texts_that_spell_the_special_token_keep_their_places(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "is_fast", lambda: fast)
    if fast:
        pytest.importorskip("gigatoken")
    texts = ["", "<|endoftext|>", "one", "a<|endoftext|><|endoftext|> b", "<|endoftext|", "", "|>"]
    assert found(texts) == expected(texts)
    assert found(texts[1:2]) == expected(texts[1:2])
    assert found([]) == []
    column = pa.array(texts)
    offsets, tokens = encoding.encode("gpt2", column.slice(2, 3))
    assert tokens.tolist() == [t for part in expected(texts[2:5]) for t in part]
    assert len(offsets) == 4


@pytest.mark.parametrize("unit", [" ", "\n", "a", "7", "é", "😀", "\0", "\u0301", "'s"])
def test_a_million_equal_characters(unit: str) -> None:
    need_gigatoken()
    run = unit * (1_000_000 // len(unit))
    texts = [run, f"x{run}y"]
    assert found(texts) == expected(texts)


def test_every_letter_and_number_is_what_it_is_to_tiktoken() -> None:
    """Where "'s" follows, the two differ in how they know a character, and in the list alone."""
    need_gigatoken()
    gpt2 = bpe.encoding()
    points = [c for c in range(encoding._PLANES) if not 0xD800 <= c < 0xE000]
    listed = {c for first, last in encoding._NEWER for c in range(first, last + 1)}
    for start in range(0, len(points), 512):
        block = set(points[start : start + 512])
        if block <= listed:
            continue
        known = "".join(f"{chr(c)}'s " for c in sorted(block - listed))
        tokens = encoding._encoded(known.encode())
        assert tokens.tolist() == gpt2.encode_ordinary(known), hex(min(block))
    newer = pa.array([f"a {chr(c)}'s" for c in sorted(listed)[::7]])
    assert encoding.rows_with_newer(newer).all()
    assert not encoding.rows_with_newer(pa.array(["abc", "é漢😀", "", "\U0010ffff"])).any()
    assert found(newer.to_pylist()) == expected(newer.to_pylist())


def test_a_new_object_takes_over_and_the_tokens_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    need_gigatoken()
    monkeypatch.setattr(encoding, "RENEWAL", 50)
    made = []
    fresh = encoding._new_tokenizer
    monkeypatch.setattr(encoding, "_new_tokenizer", lambda: made.append(1) or fresh())
    encoding._reader.cache_clear()
    texts = [f"some words of the text {i}" for i in range(8)]
    for text in texts:
        assert found([text]) == expected([text])
    assert 2 <= len(made) <= len(texts)


def test_without_gigatoken_all_is_tiktokens(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gigatoken.gigatoken_rs", None)
    encoding.is_fast.cache_clear()
    assert not encoding.is_fast()
    texts = ["It's a text", "", "and another"]
    assert found(texts) == expected(texts)
    assert capfd.readouterr() == ("", "")


def test_an_encoder_with_other_tokens_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        def encode(self, text: str) -> Any:
            return np.array([1, 2, bpe.GPT2_END_OF_TEXT], np.uint32)

    pytest.importorskip("gigatoken")
    monkeypatch.setattr(encoding, "_new_tokenizer", Other)
    encoding.is_fast.cache_clear()
    encoding._reader.cache_clear()
    assert not encoding.is_fast()
    assert found(["one"]) == expected(["one"])


def test_a_refused_text_is_named_by_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(coder: Any, text: str) -> Any:
        if text == "b":
            raise ValueError("no")
        return np.zeros(1, np.uint32)

    monkeypatch.setattr(encoding, "is_fast", lambda: False)
    monkeypatch.setattr(bpe, "document_tokens", refuse)
    with pytest.raises(encoding.RefusedText, match="text 1: tokens expected, and tiktoken says no"):
        encoding.encode("gpt2", pa.array(["a", "b"]))


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
def test_lists_of_binary_values(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    offsets, tokens = np.array([0, 2, 3, 6]), np.arange(6, dtype=np.uint32)
    kind = pa.list_(pa.binary())
    lists = encoding.binary_lists(offsets, tokens, dtype, np.array([0, 2, 2, 3]), kind)
    values = [np.array(part, dtype).tobytes() for part in ([0, 1], [2], [3, 4, 5])]
    assert lists.to_pylist() == [values[:2], [], values[2:]]
    lists.validate(full=True)
    monkeypatch.setattr(encoding, "MOST_BYTES", 5)
    with pytest.raises(ValueError, match="at most 5 bytes of tokens"):
        encoding.binary_lists(offsets, tokens, dtype, np.array([0, 3]), kind)
