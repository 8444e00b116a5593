"""The sizes of GPT-3, GPT-2 and GPT-1, and three small ones for a CPU.

Nothing here imports torch. GPT-3's are table 2.1 of Brown et al. 2020. Two rows of that table
contradict themselves as printed, and we choose: 1.3B prints 24 heads of 128 at width 2048
(24 * 128 = 3072, which would have 1.52B parameters), here 16 heads of 128; 13B prints width 5140
with 40 heads of 128 (= 5120), here width 5120. Batch sizes are the printed decimal numbers ("0.5M"
is 500,000 tokens) and are rounded to whole sequences where they are used. The batch ramp is printed
as "the first 4-12 billion tokens of training, depending on the model size" (appendix B) without
saying which: here 4, 6, 8 and 12 billion for batches of 0.5M, 1M, 2M and 3.2M tokens. The band
width is not printed either: here 256 tokens.

GPT-2's are table 2 of Radford et al. 2019, under the names that it prints. Its four counts of
parameters (117M, 345M, 762M, 1542M) are not those of its layers and widths: here they have 124.4,
354.8, 774.0 and 1,557.6 million. Batch (512) and context (1,024) are printed. The learning rate,
"manually tuned", the schedule and the tokens are not: here GPT-3's rates of about the same widths,
GPT-3's schedule, and its tokens.

GPT-1 is section 4.1 of Radford et al. 2018: 2,000 updates of warm-up, a cosine to 0, 100 epochs of
64 sequences of 512 tokens. How many tokens its books have is not printed: here 10^9, so that 100
epochs are 10^11. Its vocabulary has 40,478 tokens; that of a run is the shards'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from curation.errors import InputError
from curation.shown import brief

Pattern = Literal["dense", "banded", "strided", "sparse"]
# Where a layer's norms stand: before its two parts (GPT-2, GPT-3), or after each sum (GPT-1).
Norm = Literal["pre", "post"]

PAPER_TOKENS = 300_000_000_000
# What the numbers of a size may be at most: an odd one is said at once, and fills no memory.
MOST = {
    "layers": 1000,
    "width": 10**6,
    "heads": 10**5,
    "batch_tokens": 10**12,
    "context": 10**7,
    "band": 10**7,
    "stride": 10**7,
    "vocabulary": 10**7,
    "tokens": 10**15,
    "of_tokens": 10**15,
}


@dataclass(frozen=True)
class Size:
    """One model shape with the batch, learning rate and token budget it is meant to be trained
    with.

    `attention` is repeated over the layers: layer 0 takes the first entry, so even layers are dense
    and odd ones banded (section 2.1 says "alternating", not which comes first). `band` is how many
    tokens a banded or sparse layer sees, itself included; `stride` the distance between those that
    a strided or sparse layer sees, None for the band.

    `norm` "post" is GPT-1's layer, which has no norm after the last one. `dropout` is the share of
    values set to zero in training, in three places: the embedded tokens, the attention weights, and
    what each of a layer's two parts adds.

    Warm-up, decay and ramp are for a budget of `of_tokens`, and scale with it. The learning rate
    decays to `final_share` of itself.
    """

    name: str
    layers: int
    width: int
    heads: int
    batch_tokens: int
    learning_rate: float
    ramp_tokens: int = 4_000_000_000
    tokens: int = PAPER_TOKENS
    context: int = 2048
    band: int = 256
    vocabulary: int = 50257
    attention: tuple[Pattern, ...] = ("dense", "banded")
    stride: int | None = None
    norm: Norm = "pre"
    dropout: float = 0.0
    warmup_tokens: int = 375_000_000
    decay_tokens: int = 260_000_000_000
    of_tokens: int = PAPER_TOKENS
    final_share: float = 0.1
    weight_decay: float = 0.1
    second_beta: float = 0.95  # of Adam

    def __post_init__(self) -> None:
        for key, most in MOST.items():
            value = getattr(self, key)
            if key == "stride" and value is None:
                continue
            if type(value) is not int or not 1 <= value <= most:
                raise InputError(
                    f"size {brief(self.name)}: {key} must be a whole number from 1 to "
                    f"{most:,}, not {brief(value)}"
                )
        if self.width % self.heads:
            raise InputError(
                f"size {self.name!r}: width {self.width} is not a multiple of {self.heads} heads"
            )
        unknown = set(self.attention) - set(get_args(Pattern))
        if unknown or not self.attention:
            raise InputError(
                f"size {brief(self.name)}: attention is a list of {', '.join(get_args(Pattern))}, "
                f"repeated over the layers; not {','.join(map(str, self.attention))[:80] or 'nothing'}"
            )

        if self.norm not in get_args(Norm):
            raise InputError(
                f"size {brief(self.name)}: norm must be one of {', '.join(get_args(Norm))}, not "
                f"{brief(self.norm)}"
            )
        for key in ("dropout", "final_share", "weight_decay", "second_beta"):
            value = getattr(self, key)
            if type(value) not in (int, float) or not 0 <= value < 1:
                raise InputError(
                    f"size {brief(self.name)}: {key} must be a number in [0, 1), not {brief(value)}"
                )

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The attention pattern of each layer."""
        return tuple(self.attention[layer % len(self.attention)] for layer in range(self.layers))

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def columns(self) -> int:
        """The distance between the tokens that a strided or sparse layer sees."""
        return self.stride or self.band


def _gpt2(name: str, layers: int, width: int, rate: float) -> Size:
    return Size(
        f"gpt2-{name}",
        layers,
        width,
        width // 64,
        512 * 1024,
        rate,
        ramp_tokens=0,
        context=1024,
        attention=("dense",),
    )


_GPT1_BATCH = 64 * 512
_GPT1_TOKENS = 100 * 10**9

_ALL = (
    # For a minute on two cores, with a vocabulary of about 4,000 tokens.
    Size("minute", 2, 128, 4, 256, 3e-3, tokens=10_000_000, context=128, band=64),
    Size("tiny", 4, 128, 4, 1024, 1e-3, tokens=131_072, context=256, band=64),
    Size("small-cpu", 6, 160, 5, 16_384, 2e-3, tokens=50_000_000, context=512, band=128),
    Size("125M", 12, 768, 12, 500_000, 6.0e-4),
    Size("350M", 24, 1024, 16, 500_000, 3.0e-4),
    Size("760M", 24, 1536, 16, 500_000, 2.5e-4),
    Size("1.3B", 24, 2048, 16, 1_000_000, 2.0e-4, 6_000_000_000),
    Size("2.7B", 32, 2560, 32, 1_000_000, 1.6e-4, 6_000_000_000),
    Size("6.7B", 32, 4096, 32, 2_000_000, 1.2e-4, 8_000_000_000),
    Size("13B", 40, 5120, 40, 2_000_000, 1.0e-4, 8_000_000_000),
    Size("175B", 96, 12288, 96, 3_200_000, 0.6e-4, 12_000_000_000),
    _gpt2("117M", 12, 768, 6.0e-4),
    _gpt2("345M", 24, 1024, 3.0e-4),
    _gpt2("762M", 36, 1280, 2.5e-4),
    _gpt2("1542M", 48, 1600, 2.0e-4),
    Size(
        "gpt1",
        12,
        768,
        12,
        _GPT1_BATCH,
        2.5e-4,
        ramp_tokens=0,
        tokens=_GPT1_TOKENS,
        context=512,
        vocabulary=40_478,
        attention=("dense",),
        norm="post",
        dropout=0.1,
        warmup_tokens=2000 * _GPT1_BATCH,
        decay_tokens=_GPT1_TOKENS,
        of_tokens=_GPT1_TOKENS,
        final_share=0.0,
        weight_decay=0.01,
        second_beta=0.999,
    ),
)
SIZES: dict[str, Size] = {size.name: size for size in _ALL}


def size_named(name: str) -> Size:
    """The size called `name`; InputError lists the names there are.

    >>> size_named("175B").head_width
    128
    """
    if name not in SIZES:
        raise InputError(f"there is no size {name!r}; choose one of {', '.join(SIZES)}")
    return SIZES[name]
