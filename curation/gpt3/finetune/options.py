"""What may be chosen about fine-tuning; the defaults are the paper's (Radford et al. 2018, section
4.1). Nothing here imports torch: the options of `curation tune finetune` are made from these
fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from curation.errors import InputError
from curation.keys import check_bounds, key

Task = Literal["entailment", "similarity", "choice", "classify"]


@dataclass(frozen=True)
class FineTuning:
    """The choices of one fine-tuning. Raises InputError for a number out of its bounds."""

    aux: float = key(0.5, "Lambda of L3 = L2 + lambda L1, the language model's loss.", least=0)
    epochs: int = key(3, "Times each example is seen.", least=1, most=10_000)
    batch: int = key(32, "Examples in a step.", least=1, most=100_000)
    learning_rate: float = key(6.25e-5, "Peak learning rate.", above=0, most=1)
    warmup: float = key(0.002, "Share of the steps with a rising rate.", least=0, below=1)
    dropout: float = key(0.1, "Share of values set to zero in training.", least=0, below=1)
    transfer: int = key(
        1000,
        "Layers taken from the checkpoint, the others being random: 0 is its embeddings alone, -1 "
        "nothing.",
        least=-1,
        most=1000,
    )
    seed: int = key(0, "Head, order of the examples, dropout.")
    max_steps: int | None = key(None, "Stop after this step; the same command goes on.", least=1)
    checkpoint_every: int = key(100, "Steps between two checkpoints.", least=1)
    keep: int = key(2, "Checkpoints to keep.", least=1)
    device: str | None = key(None, "cpu or cuda.  [default: cuda where there is a GPU]")

    def __post_init__(self) -> None:
        try:
            check_bounds(self)
        except ValueError as error:
            raise InputError(str(error)) from error
