"""Vocabularies in files: Hugging Face's `tokenizer.json` and SentencePiece's models.

A file is known by its content: where a run or a model keeps a copy, its name is `vocabulary-` and
the first 16 digits of its sha256 (`stored_name`), and that name is the encoding's. Ids are those of
the libraries `tokenizers` and `sentencepiece`, which the extra `tokenizers` installs.

Traps: special tokens that a text spells are text, which `tokenizers` has to be told. A vocabulary
may normalise: its tokens then spell a text that is a little different. And none says for certain
which token ends a document, so the first of `ENDS` that it has does, or one that is asked for.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from curation.errors import InputError, MissingExtra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SUFFIXES = (".json", ".model")
ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[SEP]")
MOST_BYTES = 256 << 20
MOST_TOKENS = 10**7
NAME = "vocabulary-"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "\u2581"  # what stands for a space in SentencePiece's tokens


class Vocabulary(Protocol):
    """What is used of tiktoken's Encoding, and all that is known of a vocabulary in a file."""

    @property
    def n_vocab(self) -> int: ...
    @property
    def eot_token(self) -> int: ...
    def encode_ordinary(self, text: str) -> list[int]: ...
    def encode_many(self, texts: Sequence[str]) -> list[list[int]]: ...
    def decode(self, tokens: Sequence[int]) -> str: ...
    def decode_bytes(self, tokens: Sequence[int]) -> bytes: ...
    def decode_single_token_bytes(self, token: int) -> bytes: ...


def is_file(name: str) -> bool:
    """Whether an encoding's name is that of a file.

    >>> is_file("gpt2"), is_file("llama/tokenizer.json"), is_file("spm.model")
    (False, True, True)
    """
    return name.endswith(SUFFIXES)


def stored_name(data: bytes, name: str) -> str:
    """The name by content of a vocabulary's file.

    >>> stored_name(b"{}", "tokenizer.json")
    'vocabulary-44136fa355b3678a.json'
    """
    return NAME + hashlib.sha256(data).hexdigest()[:16] + os.path.splitext(name)[1]


def read(path: str) -> bytes:
    """A vocabulary's local file. Raises InputError where it cannot be one."""
    file = Path(path)
    if not file.is_file():
        raise InputError(
            f"{path}: a tokenizer.json or a SentencePiece model expected, but there is no such "
            "file; give its path"
        )
    if file.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: a vocabulary of at most {MOST_BYTES:,} bytes expected")
    return file.read_bytes()


@functools.lru_cache(maxsize=4)
def load(data: bytes, name: str, end: str = "") -> Vocabulary:
    """The vocabulary in a file's bytes; `name` ends as the file's does, `end` is the token that ends
    a document, where it is not one of `ENDS`.

    Raises InputError for a file that is none or has not the token asked for, and MissingExtra where
    the library is not installed. Where none is asked for and it has none, so does its `eot_token`:
    a model knows its own.
    """
    kind: Any = _HuggingFace if name.endswith(".json") else _SentencePiece
    vocabulary: Vocabulary = kind(data, name, end)
    if not 1 <= vocabulary.n_vocab <= MOST_TOKENS:
        raise InputError(f"{name}: a vocabulary of 1 to {MOST_TOKENS:,} tokens expected")
    return vocabulary


class _Ended:
    """Knows the token that ends a document, or that there is none."""

    def _find_end(self, ids: dict[str, int], name: str, asked: str) -> None:
        self._known, self._name = ids, name
        self._end = _end_of(ids, name, asked) if asked or set(ENDS) & set(ids) else None

    @property
    def eot_token(self) -> int:
        return _end_of(self._known, self._name, "") if self._end is None else self._end


def _end_of(ids: dict[str, int], name: str, asked: str) -> int:
    for token in (asked,) if asked else ENDS:
        if token in ids:
            return ids[token]
    wanted = repr(asked) if asked else f"one of {', '.join(ENDS)}"
    some = ", ".join(sorted(token for token in ids if token[:1] in "<[")[:12])
    raise InputError(
        f"tokenize.encoding: {name} has no token {wanted} that could end a document; name one with "
        f"tokenize.end_of_text{f' (it has {some})' if some else ''}"
    )


# ---- Hugging Face


class _HuggingFace(_Ended):
    """A `tokenizer.json`, read by `tokenizers`."""

    def __init__(self, data: bytes, name: str, end: str) -> None:
        # Threads of its own would fight those of the workers, and may not be forked.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtra("a tokenizer.json", "tokenizers") from error
        try:
            self._of = Tokenizer.from_str(data.decode())
            decoder = json.dumps(json.loads(data).get("decoder"))
        except Exception as error:
            # The library raises plain Exception for a file that it cannot read.
            if type(error) is not Exception and not isinstance(error, ValueError):
                raise
            raise InputError(f"{name}: not a tokenizer.json ({str(error)[:200]})") from error
        self._of.no_truncation()
        self._of.no_padding()
        self._of.encode_special_tokens = True
        ids = self._of.get_vocab(with_added_tokens=True)
        self.n_vocab = max(ids.values(), default=-1) + 1
        self._find_end(ids, name, end)
        self._added = set(self._of.get_added_tokens_decoder())
        self._bytes = _gpt2_bytes() if '"ByteLevel"' in decoder else None
        self._wordpiece = '"WordPiece"' in decoder

    def encode_ordinary(self, text: str) -> list[int]:
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        found = self._ids(texts)
        for row, ids in enumerate(found):
            if self._end in ids:
                found[row] = self._without_end(texts[row])
        return found

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        encode = getattr(self._of, "encode_batch_fast", self._of.encode_batch)
        return [one.ids for one in encode(list(texts), add_special_tokens=False)]

    def _without_end(self, text: str) -> list[int]:
        """A text that spells the end token, which a Unigram model finds like any other: cut inside
        it. One that normalisation makes is left out.
        """
        end = str(self._of.id_to_token(self.eot_token))
        around = text.split(end)
        parts = [
            end[1:] * (number > 0) + part + end[:1] * (number < len(around) - 1)
            for number, part in enumerate(around)
        ]
        return [i for ids in self._ids(parts) for i in ids if i != self._end]

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self._of.decode(list(tokens), skip_special_tokens=True)
        return text

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        return self.decode(tokens).encode()

    def decode_single_token_bytes(self, token: int) -> bytes:
        """What a token spells; KeyError for one that is not there, or spells nothing."""
        piece = self._of.id_to_token(token)
        if piece is None or token in self._added:
            raise KeyError(token)
        if self._bytes is not None:
            return bytes(self._bytes[character] for character in piece if character in self._bytes)
        if self._wordpiece:
            return (piece[2:] if piece.startswith("##") else " " + piece).encode()
        return _piece_bytes(piece)


def _gpt2_bytes() -> dict[str, int]:
    """The byte that each character of GPT-2's vocabulary stands for: printable ones themselves,
    the others code points from 256 on.
    """
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {
        chr(256 + number): byte for number, byte in enumerate(others)
    }


def _piece_bytes(piece: str) -> bytes:
    """What a token of SentencePiece's kind spells.

    >>> _piece_bytes("\u2581the"), _piece_bytes("<0x0A>")
    (b' the', b'\\n')
    """
    byte = _BYTE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace(_SPACE, " ").encode()


# ---- SentencePiece


class _SentencePiece(_Ended):
    """A SentencePiece model."""

    def __init__(self, data: bytes, name: str, end: str) -> None:
        try:
            from sentencepiece import SentencePieceProcessor
        except ImportError as error:
            raise MissingExtra("a SentencePiece model", "tokenizers") from error
        try:
            self._of = SentencePieceProcessor(model_proto=data)
        except RuntimeError as error:
            raise InputError(f"{name}: not a SentencePiece model ({str(error)[:200]})") from error
        self.n_vocab = int(self._of.get_piece_size())
        ids = {self._of.id_to_piece(token): token for token in range(self.n_vocab)}
        self._find_end(ids, name, end)
        if not end and self._of.eos_id() >= 0:
            self._end = int(self._of.eos_id())

    def encode_ordinary(self, text: str) -> list[int]:
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self._of.encode(list(texts), out_type=int, num_threads=1)
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self._of.decode([int(token) for token in tokens])
        return text

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        return self.decode(tokens).encode()

    def decode_single_token_bytes(self, token: int) -> bytes:
        """What a token spells; KeyError for one that is not there, or spells nothing."""
        if not 0 <= token < self.n_vocab:
            raise KeyError(token)
        if self._of.is_control(token) or self._of.is_unknown(token) or self._of.is_unused(token):
            raise KeyError(token)
        return _piece_bytes(self._of.id_to_piece(token))


# ---- columns of texts, and vocabularies of one's own


def encode(
    vocabulary: Vocabulary, texts: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """(offsets int64[n+1], tokens) of texts, the end-of-text token behind each."""
    import numpy as np

    found = vocabulary.encode_many(texts)
    counts = np.fromiter((len(ids) + 1 for ids in found), np.int64, len(found))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    tokens = np.empty(int(offsets[-1]), np.uint32)
    tokens[offsets[1:] - 1] = vocabulary.eot_token
    if found:
        text_tokens = np.ones(len(tokens), bool)
        text_tokens[offsets[1:] - 1] = False
        tokens[text_tokens] = np.concatenate([np.asarray(ids, np.uint32) for ids in found])
    return offsets, tokens


def trained(texts: Iterable[str], size: int) -> bytes:
    """A `tokenizer.json` of `size` byte-pair tokens learned from texts: bytes first, as in GPT-2,
    so it encodes any text.

    Raises MissingExtra where `tokenizers` is not installed.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError as error:
        raise MissingExtra("a vocabulary of one's own", "tokenizers") from error
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[ENDS[0]],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str().encode()
