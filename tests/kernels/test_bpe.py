from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.kernels import bpe


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello world", [15496, 995]),
        ("", []),
        (" ", [220]),
        ("hello", [31373]),
        ("The quick brown fox", [464, 2068, 7586, 21831]),
        ("\n\n", [628]),
        ("<|endoftext|>", [27, 91, 437, 1659, 5239, 91, 29]),
    ],
)
def test_the_ids_are_gpt2s(text: str, ids: list[int]) -> None:
    assert bpe.encoding("gpt2").encode_ordinary(text) == ids


def test_the_vocabulary_is_gpt2s() -> None:
    gpt2 = bpe.encoding()
    assert gpt2.n_vocab == bpe.GPT2_VOCABULARY == 50257
    assert gpt2.eot_token == bpe.GPT2_END_OF_TEXT == 50256
    assert bpe.encoding() is bpe.encoding()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_survives_the_round_trip(text: str) -> None:
    gpt2 = bpe.encoding("gpt2")
    ids = gpt2.encode_ordinary(text)
    assert gpt2.decode(ids) == text
    assert all(0 <= token < bpe.GPT2_END_OF_TEXT for token in ids)


@given(st.binary(max_size=50))
def test_any_bytes_can_be_spelled(raw: bytes) -> None:
    gpt2 = bpe.encoding("gpt2")
    ids = [gpt2.encode_single_token(bytes([byte])) for byte in raw]
    assert gpt2.decode_bytes(ids) == raw


def test_an_unknown_name_is_an_input_error() -> None:
    with pytest.raises(InputError, match="'gpt-zwei' could not be loaded"):
        bpe.encoding("gpt-zwei")


def test_other_files_in_the_wheel_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpe, "VOCAB_BPE_SHA256", "0" * 64)
    assert bpe._wheel_files() is None
