"""An encoding of a few words, so that a model of it is tiny: what `tiktoken` offers, of that."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TEXT = "<end> \n . ? name tell about river Nile Rhine Alps peak is a of the long high and"
WORDS = _TEXT.split(" ")


class WordEncoding:
    """Token n is WORDS[n]; a word that is not among them is the last one, spaces are none."""

    end_of_text = 0
    n_vocab = len(WORDS)

    def encode_ordinary(self, text: str) -> list[int]:
        found = re.findall(r"\n|[.?]|\w+", text)
        return [WORDS.index(word) if word in WORDS else len(WORDS) - 1 for word in found]

    def decode(self, tokens: Sequence[int]) -> str:
        return re.sub(r" ([.?\n])", r"\1", " ".join(WORDS[token] for token in tokens))
