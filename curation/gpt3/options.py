"""What may be chosen about a training run besides the size, and about what `curation tune` does.

Nothing here imports torch: the options of `curation train` and `curation tune` are made from these
fields. Defaults are the papers': of GPT-3 (appendix B), of GPT-1's fine-tuning (Radford et al. 2018,
section 4.1), and of InstructGPT for 1.3B and 6B (Ouyang et al. 2022, appendix C).

Trap: InstructGPT's learning rates and batches are for models of billions of parameters and tens of
thousands of prompts. A small model on a few hundred prompts needs larger rates and smaller batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from curation.errors import InputError
from curation.gpt3.sizes import Pattern, Size
from curation.keys import check_bounds, key

TOKENS = 10**15  # more than anyone trains on
Task = Literal["entailment", "similarity", "choice", "classify"]


@dataclass(frozen=True)
class _Checked:
    """Keys whose numbers are within bounds; InputError for one that is not."""

    def __post_init__(self) -> None:
        try:
            check_bounds(self)
        except ValueError as error:
            raise InputError(str(error)) from error


@dataclass(frozen=True)
class Options(_Checked):
    """The choices of one run; None means what appendix B and the size say.

    `max_steps` (counted from the start of training) and `seconds` (of this process) only say when
    to stop: a later run may go on. `micro_batch`, the device and how the work is split change
    losses by rounding only, but with dropout by another draw. Raises InputError for a number out
    of its bounds.
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
        None, "Windows in one pass.  [default: 2,048 tokens; GPU 65,536 or less]", least=1
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

    def shaped(self, size: Size) -> Size:
        """`size` with the attention that is asked for."""
        asked = {name: getattr(self, name) for name in ("attention", "band", "stride")}
        return replace(size, **{name: value for name, value in asked.items() if value})

    def rates(self) -> dict[str, Any]:
        """What `schedule_for` takes of them."""
        names = ("learning_rate", "warmup_tokens", "decay_tokens", "ramp_tokens")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Machines(_Checked):
    """The GPUs of a plan: how many, what one does at best (10^12 operations a second), the share
    of it that is reached, the power one takes, and that of the building over it."""

    gpus: int = key(1, "For --plan.", least=1)
    tflops: float = key(312.0, "For --plan: of a GPU at best (A100).", above=0)
    utilisation: float = key(0.4, "For --plan: share of that reached.", above=0, most=1)
    watts: float = key(300.0, "For --plan: power of a GPU with its part of the machine.", least=0)
    pue: float = key(1.1, "For --plan: power of the building over that.", least=1)

    def kwh(self, operations: float) -> float:
        """Energy of so many operations, in kilowatt hours."""
        seconds = operations / (self.tflops * 1e12 * self.utilisation)
        return seconds * self.watts * self.pue / 3.6e6


@dataclass(frozen=True)
class Drawing(_Checked):
    """How the tokens of a text are drawn, and how many at most."""

    max_tokens: int = key(100, "Most new tokens.", least=1)
    temperature: float = key(1.0, "0: likeliest token.", least=0)
    top_p: float = key(1.0, "Nucleus share.", above=0, most=1)
    top_k: int | None = key(None, "Only the likeliest so many tokens.", least=1)
    seed: int = key(0, "The same seed gives the same text.")


@dataclass(frozen=True)
class FineTuning(_Checked):
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


@dataclass(frozen=True)
class SftConfig(_Checked):
    """Fine-tuning on demonstrations (appendix C.1). `separator` stands between prompt and answer;
    the later steps take it from the checkpoint."""

    epochs: int = key(16, "Passes over the demonstrations.", least=1)
    batch: int = key(32, "Demonstrations in a step.", least=1)
    learning_rate: float = key(9.65e-6, "Peak; a cosine takes it to 10 %.", above=0, most=1)
    dropout: float = key(0.2, "Share of values set to zero in training.", least=0, below=1)
    separator: str = key("\n", "Text between prompt and answer; \\n is a new line.")
    seed: int = key(0, "Order of the demonstrations, and dropout.", least=0)
    max_steps: int | None = key(None, "Stop after this step; the same command goes on.", least=1)
    micro_batch: int = key(8, "Demonstrations in one pass.", least=1)
    checkpoint_every: int = key(100, "Steps between two checkpoints.", least=1)
    keep: int = key(2, "Checkpoints to keep.", least=1)
    device: str | None = key(None, "cpu or cuda.  [default: cuda where there is a GPU]")


@dataclass(frozen=True)
class RewardConfig(_Checked):
    """The reward model (appendix C.2): one epoch, since more of it overfits."""

    epochs: int = key(1, "Passes over the rankings.", least=1)
    batch: int = key(64, "Prompts in a step, each with all its answers.", least=1)
    learning_rate: float = key(9e-6, "Peak; a cosine takes it to 10 %.", above=0, most=1)
    seed: int = key(0, "Order of the prompts, and the first values of the last layer.", least=0)
    max_steps: int | None = key(None, "Stop after this step; the same command goes on.", least=1)
    micro_batch: int = key(4, "Prompts in one pass.", least=1)
    checkpoint_every: int = key(100, "Steps between two checkpoints.", least=1)
    keep: int = key(2, "Checkpoints to keep.", least=1)
    device: str | None = key(None, "cpu or cuda.  [default: cuda where there is a GPU]")


@dataclass(frozen=True)
class PpoConfig(_Checked):
    """PPO and PPO-ptx (section 3.5 and appendix C.4 of the paper); `pretrain_weight` is its gamma.

    `whiten`, the bound on the KL and the value loss without clipping are ours: the paper says
    nothing about them.
    """

    episodes: int = key(256_000, "Answers to learn from, in all.", least=1)
    batch: int = key(512, "Episodes of one step.", least=1)
    minibatches: int = key(8, "Parts of a step's episodes; an update each, one pass.", least=1)
    max_tokens: int = key(64, "Most tokens of an answer.", least=1)
    kl_weight: float = key(0.02, "beta: what a nat of KL from the SFT model costs.", least=0)
    pretrain_weight: float = key(27.8, "gamma: weight of the pre-training loss.", least=0)
    pretrain_windows: int = key(8, "Pre-training windows for each episode.", least=1, most=1000)
    learning_rate: float = key(
        9.65e-6, "Of the model, after a warm-up of 10 steps.", above=0, most=1
    )
    value_rate: float = key(9e-6, "Learning rate of the value network.", above=0, most=1)
    clip: float = key(
        0.2, "Most that an update gains from a changed probability.", above=0, below=1
    )
    gae_gamma: float = key(1.0, "Discount of later rewards.", least=0, most=1)
    gae_lambda: float = key(0.95, "lambda of generalised advantage estimation.", least=0, most=1)
    whiten: bool = key(True, "Give a step's advantages mean 0 and deviation 1.")
    average: float = key(0.992, "Decay of the weight average that is saved.", least=0, below=1)
    max_kl: float = key(100.0, "Stop where the KL of an answer is above this on average.", above=0)
    watch: str | None = key(None, "Also log a simulated labeler's rule; training never sees it.")
    seed: int = key(0, "Order of prompts and windows, and every sampled answer.", least=0)
    max_steps: int | None = key(None, "Stop after this step; the same command goes on.", least=1)
    micro_batch: int = key(16, "Episodes, or windows, in one pass.", least=1)
    validate_every: int = key(10, "Steps between two validations on the shards.", least=1)
    validation_windows: int = key(64, "Windows of each dataset that are scored.", least=1)
    checkpoint_every: int = key(10, "Steps between two checkpoints.", least=1)
    keep: int = key(2, "Checkpoints to keep.", least=1)
    device: str | None = key(None, "cpu or cuda.  [default: cuda where there is a GPU]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch % self.minibatches:
            raise InputError(
                f"batch {self.batch} is not a multiple of {self.minibatches} minibatches; give "
                "another --batch or --minibatches"
            )
