from __future__ import annotations

import numpy as np
import pytest
import tiktoken
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


CL100K_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


@pytest.mark.parametrize("pattern", [bpe._GPT2_PATTERN, CL100K_PATTERN])
@given(st.text(st.sampled_from(" \t\n\r\xa0\u2003\x1caé1.'"), max_size=60))
def test_a_text_cut_inside_long_runs_has_the_same_tokens(pattern: str, text: str) -> None:
    gpt2 = bpe.encoding()
    other = tiktoken.Encoding(
        "other", pat_str=pattern, mergeable_ranks=gpt2._mergeable_ranks, special_tokens={}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe, "LONG_RUN", 3)
        assert bpe.document_tokens(other, text).tolist() == other.encode_ordinary(text)


@pytest.mark.parametrize("run", [" ", "\n", "\t", "\xa0", " \n\t\xa0", "\r\n"])
def test_more_than_a_million_white_space_characters_have_tokens(run: str) -> None:
    gpt2 = bpe.encoding()
    text = "a" + run * (1_100_000 // len(run)) + "b"
    tokens = bpe.document_tokens(gpt2, text)
    assert gpt2.decode(tokens.tolist()) == text
    short = gpt2.encode_ordinary("a" + run * (1000 // len(run)) + "b")
    assert tokens[0] == short[0]
    assert tokens[-2:].tolist() == short[-2:]


WHITE_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"


@pytest.mark.parametrize("run", [*WHITE_SPACE, WHITE_SPACE, "\n\t", "\xa0\n"])
def test_long_runs_of_any_white_space_have_tiktokens_tokens(run: str) -> None:
    gpt2 = bpe.encoding()
    run *= 110_000 // len(run)
    assert len(bpe.split_long_runs(f"a{run}b")) == 2
    for text in (f"a{run}b", run, f"{run}b", f"a{run}"):
        assert bpe.document_tokens(gpt2, text).tolist() == gpt2.encode_ordinary(text)


@given(st.text(st.sampled_from("aabst'1!\u00e9\u6f22\u0301 \n\U0001f600"), max_size=80))
def test_a_text_cut_inside_long_words_has_the_same_tokens(text: str) -> None:
    gpt2 = bpe.encoding()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe, "LONG_WORD", 6)
        assert bpe.document_tokens(gpt2, text).tolist() == gpt2.encode_ordinary(text)


@pytest.mark.parametrize("word", ["x", "the", "\u6f22\u5b57", "7", "!", "ab1'", "\u200b"])
def test_a_long_word_is_encoded_by_parts(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gpt2 = bpe.encoding()
    text = f"He said {word * (20_001 // len(word))} and went, {word * 9000}."
    monkeypatch.setattr(bpe, "LONG_WORD", 5000)
    runs = bpe._token_runs(gpt2, text)
    assert len(runs) > 4
    assert np.concatenate(runs).tolist() == gpt2.encode_ordinary(text)
