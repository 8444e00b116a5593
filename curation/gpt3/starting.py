"""A checkpoint to start from: its model, its tokenizer, and what earlier steps wrote down.

The config of a checkpoint says what it is (`kind`: none for a model of `curation train`, then
"sft", "reward", "ppo"), which separator stands after a prompt, and who ranked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from curation import store
from curation.errors import InputError
from curation.gpt3 import checkpoint
from curation.gpt3.instruct.data import Coder, Encoding
from curation.gpt3.model import GPT3, empty
from curation.gpt3.positions import NOTED, copy_vocabulary, vocabulary_beside
from curation.gpt3.sizes import Size
from curation.kernels import bpe
from curation.shown import brief


@dataclass(frozen=True)
class Start:
    """What stands in a checkpoint, its weights still unread."""

    folder: Path
    size: Size
    encoding: str
    end_of_text: int
    kind: str
    separator: str | None
    config: dict[str, Any]

    def identity(self) -> str:
        """sha256 of the weights."""
        return str(store.sha256(str(self.folder / "model.safetensors")))

    def coder(self, encoding: Encoding | None = None, separator: str | None = None) -> Coder:
        """Texts to tokens for this model. `encoding` stands in for its own, `separator` for the one
        that its checkpoint names."""
        chosen = self.separator if separator is None else separator
        if encoding is None:
            encoding = bpe.encoding(
                vocabulary_beside(self.folder, self.encoding, self.config.get(NOTED))
            )
        return Coder(
            encoding, self.end_of_text, "\n" if chosen is None else chosen, self.size.context
        )

    def give_vocabulary(self, encoding: Encoding | None, out: Path) -> None:
        """Put the vocabulary's file, where the model has one of its own, beside the checkpoints in
        `out`; nothing where `encoding` stands in for it."""
        if encoding is None:
            copy_vocabulary(self.folder, self.encoding, self.config.get(NOTED), out)


def opened(path: Path, *kinds: str) -> Start:
    """The checkpoint at `path`, a step folder or the folder it was trained into.

    Raises InputError where it is not of one of `kinds` ("" is a model of `curation train`).
    """
    folder = checkpoint.newest(path)
    state = checkpoint.read_state(folder)
    config = state.config
    kind, separator = config.get("kind", ""), config.get("separator")
    encoding, end_of_text = config.get("encoding"), config.get("end_of_text")
    if not isinstance(encoding, str) or type(end_of_text) is not int:
        raise InputError(
            f"{folder / 'state.json'}: encoding and end_of_text expected in its config"
        )
    if kind not in kinds:
        words = {
            "": "`curation train`",
            **{k: f"`curation tune {k}`" for k in ("finetune", "sft", "reward", "ppo")},
        }
        raise InputError(
            f"{folder} is of {words.get(kind, brief(kind))}; a checkpoint of "
            f"{' or '.join(words[k] for k in kinds)} expected here"
        )
    if not 0 <= end_of_text < state.size.vocabulary:
        raise InputError(
            f"{folder / 'state.json'}: end_of_text {end_of_text} is not in the vocabulary of "
            f"{state.size.vocabulary:,}"
        )
    return Start(
        folder,
        state.size,
        encoding,
        end_of_text,
        kind,
        separator if isinstance(separator, str) else None,
        config,
    )


def model_of(start: Start, device: str | torch.device, size: Size | None = None) -> GPT3:
    """The language model in a checkpoint, in 32 bits; `size` changes what its weights do not fix."""
    model = empty(size or start.size)
    model.to_empty(device=device)
    checkpoint.load_weights(start.folder, start.size, model)
    return model.eval()


def need_same_tokens(one: Start, other: Start, what: str) -> None:
    """Raise InputError where two checkpoints do not share tokenizer and vocabulary."""
    first = (one.encoding, one.size.vocabulary, one.end_of_text)
    second = (other.encoding, other.size.vocabulary, other.end_of_text)
    if first != second:
        raise InputError(
            f"{what} {other.folder} reads tokens of another tokenizer ({second[0]}, vocabulary "
            f"{second[1]:,}, end-of-text {second[2]}) than {one.folder} ({first[0]}, {first[1]:,}, "
            f"{first[2]}); train both from models of one tokenizer"
        )
