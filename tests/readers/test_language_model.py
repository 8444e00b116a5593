"""fastText's files: their labels, and one sentence for each that is none, is cut or damaged."""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

import pytest
from tiny_language_model import LABELS, language_model

from curation.errors import InputError
from curation.readers import language_model as models


def test_labels_of_quantised_and_of_plain_models(tmp_path: Path) -> None:
    quantised = models.model_labels(models.shipped())
    assert len(quantised) == 176
    assert {"en", "zh", "yue"} <= set(quantised)
    plain = tmp_path / "x.bin"
    plain.write_bytes(language_model())
    assert models.model_labels(str(plain)) == list(LABELS)
    assert models.load(str(plain)).predict("the")[0] == ("__label__eng_Latn",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello\n" * 100, "not a fastText model"),
        (language_model(kind=1), "vectors of words and no labels"),
        (b"", "cut or damaged"),
        (language_model() + b"x", "bytes expected"),
        (language_model(dimension=1 << 30), "cut or damaged"),
        (language_model(dimension=1), "cut or damaged"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        models.model_labels(str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.bin: no such file"):
        models.model_labels(str(tmp_path / "absent.bin"))


@pytest.mark.parametrize("source", ["tiny", "lid.176"])
def test_no_cut_or_damaged_file_passes_or_takes_long(tmp_path: Path, source: str) -> None:
    """fastText itself loads a file that is cut in its matrix, and never ends on one cut before."""
    data = language_model() if source == "tiny" else Path(models.shipped()).read_bytes()
    path, draw = tmp_path / "x.bin", random.Random(5)
    for _ in range(60):
        path.write_bytes(data[: draw.randrange(len(data))])
        with pytest.raises(InputError):
            models.model_labels(str(path))
    start = time.process_time()
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[draw.randrange(min(len(data), 300))] = draw.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            assert models.model_labels(str(path))
    assert time.process_time() - start < 30
