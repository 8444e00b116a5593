"""What may be chosen about a training run besides the size. Nothing here imports torch: the options
of `curation train` are made from these fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from curation.errors import InputError
from curation.gpt3.sizes import Pattern
from curation.keys import check_bounds, key

TOKENS = 10**15  # more than anyone trains on


@dataclass(frozen=True)
class Options:
    """The choices of one run; None means what appendix B and the size say.

    `max_steps` (counted from the start of training) and `seconds` (of this process) only say when
    to stop: a later run may go on. `micro_batch`, the device and how the work is split change
    losses by rounding only. Raises InputError for a number out of its bounds.
    """

    tokens: int | None = key(
        None,
        "Training budget; the schedule is scaled to it.  [default: the size's]",
        least=1,
        most=TOKENS,
    )
    max_steps: int | None = key(
        None, "Stop after this step; the same command goes on later.", least=1
    )
    seconds: float | None = key(
        None, "Stop after this time; the same command goes on later.", least=0
    )
    encoding: str | None = key(
        None,
        "Of shards without shards.json, of nanoGPT or Megatron: a name, or the path of a "
        "tokenizer.json or SentencePiece model.",
    )
    seed: int = key(0, "Initial weights and order of the windows.")
    learning_rate: float | None = key(None, "Peak learning rate.  [default: the size's]")
    warmup_tokens: int | None = key(
        None, "Linear warm-up.  [default: 375M, scaled]", least=0, most=TOKENS
    )
    decay_tokens: int | None = key(
        None, "End of the cosine.  [default: 260B, scaled]", least=0, most=TOKENS
    )
    ramp_tokens: int | None = key(
        None, "Growth of the batch.  [default: 4-12B, scaled]", least=0, most=TOKENS
    )
    attention: tuple[Pattern, ...] | None = key(
        None, "dense, banded, strided, sparse: repeated over the layers.  [default: dense,banded]"
    )
    band: int | None = key(
        None, "Tokens a banded layer sees.  [default: the size's, 256]", least=1, most=10**7
    )
    stride: int | None = key(
        None,
        "Distance of the tokens a strided or sparse layer sees.  [default: the band]",
        least=1,
        most=10**7,
    )
    init_from: Path | None = key(None, "GPT-1, GPT-2, GPT-Neo or checkpoint folder to start from.")
    device: str | None = key(None, "cpu or cuda.  [default: cuda where there is a GPU]")
    dtype: Literal["float32", "bfloat16"] | None = key(
        None, "Of products.  [default: bfloat16 on a GPU]"
    )
    micro_batch: int | None = key(
        None, "Windows in one pass.  [default: 2,048 tokens; GPU 16,384]", least=1
    )
    compile: bool = key(False, "Compile the layers with torch.compile.")
    fsdp: bool = key(False, "Under torchrun: shard weights and optimiser over the processes.")
    tensor_parallel: int = key(1, "Under torchrun: processes a matrix is split over.", least=1)
    pipeline_parallel: int = key(
        1, "Under torchrun: stages that the layers are spread over.", least=1
    )
    checkpoint_every: int = key(100, "Steps between two checkpoints.", least=1)
    keep: int = key(2, "Checkpoints to keep.", least=1)
    validate_every: int = key(100, "Steps between two validations.", least=1)
    validation_windows: int = key(64, "Windows of each dataset that are scored.", least=1)
    tensorboard: bool = key(False, "Also write TensorBoard events into `out`.")
    progress: bool = key(False, "Show a bar.")

    def __post_init__(self) -> None:
        try:
            check_bounds(self)
        except ValueError as error:
            raise InputError(str(error)) from error
