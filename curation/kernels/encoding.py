"""Columns of texts to tokens: `gigatoken` for GPT-2's encoding where it is installed, else tiktoken;
a vocabulary in a file by its own library.

Both give the same tokens. Costs a copy of the texts, and the encoder: gigatoken takes about a tenth
of tiktoken's time on web text. Memory: four bytes a token, and gigatoken's cache of words, which has
no bound of its own, so a new object takes over after `RENEWAL` bytes of text.

Traps: gigatoken reads `<|endoftext|>` as the special token, and its letters and numbers are those of
another version of Unicode than tiktoken's, which shows where "'s" follows one: texts with either go
through tiktoken. It downloads where it is given a name: here it is given the ranks that tiktoken has.
"""

from __future__ import annotations

import base64
import functools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.blocks.jit import inner, kernel
from curation.kernels import bpe, vocabularies
from curation.kernels.buffers import readonly, text_buffers

Int64s = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.uint32]

RENEWAL = 256 << 20  # bytes of text that one object of gigatoken reads
MOST_BYTES = (1 << 31) - 1  # of the tokens in one Arrow array of binary values
_END = "<|endoftext|>"
# Letters and numbers that Unicode 17 added, first and last: gigatoken 0.10 knows them, tiktoken 0.14
# does not.
_NEWER = (
    (0x88F, 0x88F), (0xC5C, 0xC5C), (0xCDC, 0xCDC), (0xA7CE, 0xA7CF), (0xA7D2, 0xA7D2),
    (0xA7D4, 0xA7D4), (0xA7F1, 0xA7F1), (0x10940, 0x10959), (0x10EC5, 0x10EC7),
    (0x11DB0, 0x11DDB), (0x11DE0, 0x11DE9), (0x16EA0, 0x16EB8), (0x16EBB, 0x16ED3),
    (0x16FF2, 0x16FF6), (0x187F8, 0x187FF), (0x18D09, 0x18D1E), (0x18D80, 0x18DF2),
    (0x1E6C0, 0x1E6DE), (0x1E6E0, 0x1E6E2), (0x1E6E4, 0x1E6E5), (0x1E6E7, 0x1E6ED),
    (0x1E6F0, 0x1E6F4), (0x1E6FE, 0x1E6FF), (0x2B73A, 0x2B73F), (0x2CEA2, 0x2CEAD),
    (0x323B0, 0x33479),
)  # fmt: skip
_PLANES = 0x40000  # no letter has a higher code point
# Words, numbers, marks and white space of several scripts, for the comparison before the first use.
_PROBE = (
    "It's the 1st test; we'll see (don't they?)  two\n\n\tthree \xa0four\u3000 five\r\n 12345 a1b2 "
    "caf\u00e9 cafe\u0301 \u6f22\u5b57\u304b\u306a \u0430\u0431\u0432 \u0639\u0631\u0628\u064a "
    "\u0939\u093f\u0928\u094d\u0926\u0940 \U0001f600\u200d\U0001f468 \u00b2\u2167\u0969 "
    # Letters of Unicode 15, 15.1 and 16: where one of the two has another version, it shows here.
    "\U0001e030's \U00031350'll \U0002ebf0's \U000105c0're \u1c89's \U00010ec2's \ua7cb'll "
    "'S 'LL <|end| of|> http://a.example/?q=1&b=%20#x \x00\x1c\x85\u200b 'ss  "
)


class RefusedText(ValueError):
    """A text that the encoding's pattern gives up on; `row` is its place."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(f"text {row}: tokens expected, and tiktoken says {why}")
        self.row, self.why = row, why


def encode(
    name: str, texts: pa.Array, vocabulary: vocabularies.Vocabulary | None = None
) -> tuple[Int64s, Tokens]:
    """Return (offsets int64[n+1], tokens): those of text i are tokens[offsets[i]:offsets[i+1]], the
    end-of-text token last. `vocabulary` is used where there is one, in place of the name.

    Special tokens in a text are text. Raises RefusedText for a text that has no tokens, which
    GPT-2's encoding never does, and InputError for an encoding that cannot be loaded.

    >>> offsets, tokens = encode("gpt2", pa.array(["Hello world", ""]))
    >>> offsets.tolist(), tokens.tolist()
    ([0, 3, 4], [15496, 995, 50256, 50256])
    """
    if vocabulary is not None:
        return vocabularies.encode(vocabulary, texts.to_pylist())
    if name == "gpt2" and len(texts) and is_fast():
        return _fast(texts)
    return _slow(name, texts)


def binary_lists(
    offsets: Int64s, tokens: Tokens, dtype: npt.DTypeLike, of_lists: Int64s, kind: pa.DataType
) -> pa.ListArray:
    """Return tokens as lists of binary values of a type: list j holds the values of_lists[j] to
    of_lists[j+1].

    Raises ValueError where the tokens take more than 2 GB.
    """
    stored = np.ascontiguousarray(tokens, dtype)
    if stored.nbytes > MOST_BYTES:
        raise ValueError(
            f"expected at most {MOST_BYTES} bytes of tokens in a row group, got {stored.nbytes}"
        )
    places = (offsets * stored.itemsize).astype(np.int32)
    buffers = [None, pa.py_buffer(places), pa.py_buffer(stored)]
    values = pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)
    return pa.ListArray.from_arrays(pa.array(of_lists, pa.int32()), values, type=kind)


# ---- tiktoken ------------------------------------------------------------------------------------


def _slow(name: str, texts: pa.Array) -> tuple[Int64s, Tokens]:
    """The tokens of texts by tiktoken, one after the other."""
    coder = bpe.encoding(name)
    end = np.array([coder.eot_token], np.uint32)
    counts, parts = [0], [np.zeros(0, np.uint32)]
    for row, text in enumerate(texts):
        try:
            tokens = bpe.document_tokens(coder, text.as_py())
        except ValueError as error:
            raise RefusedText(row, str(error)) from error
        counts.append(len(tokens) + 1)
        parts += [tokens, end]
    return np.cumsum(counts, dtype=np.int64), np.concatenate(parts)


# ---- gigatoken -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reader:
    """An object of gigatoken, and the bytes that it has read."""

    tokenizer: Any
    read: int = 0


@functools.cache
def is_fast() -> bool:
    """Whether gigatoken is here and gives tiktoken's tokens; False, and no word, where not."""
    try:
        from gigatoken.gigatoken_rs import BPETokenizer
    except ImportError:
        return False
    if bpe.encoding().n_vocab != bpe.GPT2_VOCABULARY or not hasattr(BPETokenizer, "from_tiktoken"):
        return False
    expected = [*bpe.document_tokens(bpe.encoding(), _PROBE).tolist(), bpe.GPT2_END_OF_TEXT]
    try:
        return bool(_reader().tokenizer.encode(_PROBE + _END).tolist() == expected)
    except (TypeError, ValueError):  # another interface
        return False


@functools.cache
def _rank_file() -> bytes:
    """GPT-2's ranks as a file of tiktoken's: a token in base64 and its rank a line."""
    ranks = bpe.encoding()._mergeable_ranks
    ordered = sorted(ranks, key=ranks.__getitem__)
    return b"".join(b"%s %d\n" % (base64.b64encode(t), ranks[t]) for t in ordered)


def _new_tokenizer() -> Any:
    """An object of gigatoken with GPT-2's ranks and an empty cache."""
    from gigatoken.gigatoken_rs import BPETokenizer

    # It reads ranks from files only. This one is ours alone, and gone after.
    with tempfile.NamedTemporaryFile(suffix=".tiktoken") as file:
        file.write(_rank_file())
        file.flush()
        return BPETokenizer.from_tiktoken(file.name, "gpt2", {_END: bpe.GPT2_END_OF_TEXT})


@functools.cache
def _reader() -> _Reader:
    return _Reader(_new_tokenizer())


def _fast(texts: pa.Array) -> tuple[Int64s, Tokens]:
    """The tokens of texts by gigatoken, of those that it reads otherwise by tiktoken."""
    newer = rows_with_newer(texts)
    if not newer.any():
        offsets, tokens = _in_one(texts)
        if len(offsets) == len(texts) + 1:
            return offsets, tokens
    by_tiktoken = newer | pc.match_substring(texts, _END).to_numpy(zero_copy_only=False)
    own_offsets, own = _slow("gpt2", texts.filter(pa.array(by_tiktoken)))
    offsets, rest = _in_one(texts.filter(pa.array(~by_tiktoken)))
    counts = np.empty(len(texts), np.int64)
    counts[by_tiktoken], counts[~by_tiktoken] = np.diff(own_offsets), np.diff(offsets)
    own_tokens = np.repeat(by_tiktoken, counts)
    merged = np.empty(len(own_tokens), np.uint32)
    merged[own_tokens], merged[~own_tokens] = own, rest
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), merged


def _in_one(texts: pa.Array) -> tuple[Int64s, Tokens]:
    """The offsets and tokens of texts by gigatoken; more offsets than one a text, and one, mean that
    some of them spell the special token.

    All texts are one, with the special token behind each: it ends the tokens of a text, and nothing
    is an object for each text.
    """
    tokens = _encoded(_joined(texts))
    ends = np.flatnonzero(tokens == bpe.GPT2_END_OF_TEXT)
    return np.concatenate([np.zeros(1, np.int64), ends + 1]), tokens


def rows_with_newer(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """Which texts hold a letter or number that the two know differently: bool[n]."""
    return _rows_with(*text_buffers(texts), _newer_table())


@functools.cache
def _newer_table() -> npt.NDArray[np.bool_]:
    table = np.zeros(_PLANES, np.bool_)
    for first, last in _NEWER:
        table[first : last + 1] = True
    return readonly(table)


@kernel
def _rows_with(offsets, data, table):  # type: ignore[no-untyped-def]
    """Which texts hold a character of three or four bytes that the table marks. Those that begin
    with 0xe0, 0xea and 0xf0 alone can be marked."""
    found = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        leads = 0
        for k in range(np.uint64(end - start)):
            lead = data[np.uint64(start) + k]
            leads += (lead == 0xE0) | (lead == 0xEA) | (lead == 0xF0)
        if leads:
            found[row] = _holds(data, start, end, table)
    return found


@inner
def _holds(data, start, end, table):  # type: ignore[no-untyped-def]
    """Whether data[start:end] holds a character that the table marks."""
    for at in range(start, end):
        lead = data[at]
        if lead != 0xE0 and lead != 0xEA and lead != 0xF0:
            continue
        size = 4 if lead == 0xF0 else 3
        if at + size > end:
            return False
        point = np.int64(lead & (0xF if size == 3 else 7))
        for k in range(1, size):
            point = (point << 6) | np.int64(data[at + k] & 0x3F)
        if point < len(table) and table[point]:
            return True
    return False


def _joined(texts: pa.Array) -> bytes:
    """All texts, the special token behind each."""
    nothing, end = (pa.scalar(text, pa.large_string()) for text in ("", _END))
    ended = pc.binary_join_element_wise(texts.cast(pa.large_string()), nothing, end)
    offsets, data = text_buffers(ended)
    return data[offsets[0] : offsets[-1]].tobytes()


def _encoded(text: bytes) -> Tokens:
    """The tokens of a text, special tokens read as such."""
    reader = _reader()
    if reader.read > RENEWAL:
        reader.tokenizer, reader.read = None, 0
        reader.tokenizer = _new_tokenizer()
    reader.read += len(text)
    tokens: Tokens = reader.tokenizer.encode(text)
    return tokens


def of_rows(parts: Sequence[pa.Array], rows: Sequence[Int64s]) -> tuple[pa.Array, Int64s]:
    """Arrays of texts as one, in the order of their rows, and the row of each text; those of a row
    keep their order.

    >>> of_rows([pa.array(["a"]), pa.array(["b", "c"])], [np.array([1]), np.array([0, 0])])[0].to_pylist()
    ['b', 'c', 'a']
    """
    filled = [(part, place) for part, place in zip(parts, rows, strict=True) if len(part)]
    if len(filled) == 1:
        return filled[0]
    if not filled:
        return pa.array([], pa.string()), np.zeros(0, np.int64)
    places = np.concatenate([place for _, place in filled])
    order = np.argsort(places, kind="stable")
    return pa.concat_arrays([part for part, _ in filled]).take(pa.array(order)), places[order]
