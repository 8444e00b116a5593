"""The sizes of GPT-3: table 2.1 of Brown et al. 2020, and three small ones for a CPU.

Nothing here imports torch. Two rows of the table contradict themselves as printed, and we choose:
1.3B prints 24 heads of 128 at width 2048 (24 * 128 = 3072, which would have 1.52B parameters), here
16 heads of 128; 13B prints width 5140 with 40 heads of 128 (= 5120), here width 5120. Batch sizes
are the printed decimal numbers ("0.5M" is 500,000 tokens) and are rounded to whole sequences where
they are used. The batch ramp is printed as "the first 4-12 billion tokens of training, depending on
the model size" (appendix B) without saying which: here 4, 6, 8 and 12 billion for batches of 0.5M,
1M, 2M and 3.2M tokens. The band width is not printed either: here 256 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from curation.errors import InputError
from curation.shown import brief

Pattern = Literal["dense", "banded", "strided"]

PAPER_TOKENS = 300_000_000_000
# What the numbers of a size may be at most: an odd one is said at once, and fills no memory.
MOST = {
    "layers": 1000,
    "width": 10**6,
    "heads": 10**5,
    "batch_tokens": 10**12,
    "context": 10**7,
    "band": 10**7,
    "vocabulary": 10**7,
    "tokens": 10**15,
}


@dataclass(frozen=True)
class Size:
    """One model shape with the batch, learning rate and token budget it is meant to be trained
    with.

    `attention` is repeated over the layers: layer 0 takes the first entry, so even layers are dense
    and odd ones banded (section 2.1 says "alternating", not which comes first). `band` is how many
    tokens a banded layer sees, itself included, and the distance between those that a strided layer
    sees.
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

    def __post_init__(self) -> None:
        for key, most in MOST.items():
            value = getattr(self, key)
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

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The attention pattern of each layer."""
        return tuple(self.attention[layer % len(self.attention)] for layer in range(self.layers))

    @property
    def head_width(self) -> int:
        return self.width // self.heads


_ALL = (
    # For a minute on two cores, with a vocabulary of about 2,000 tokens.
    Size("minute", 4, 128, 4, 256, 3e-3, tokens=10_000_000, context=128, band=64),
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
