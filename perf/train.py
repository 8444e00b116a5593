"""Training speed on the CPU against a plain nanoGPT-like model of stock torch modules: same size,
tokens, optimiser.

    python -m perf.train [--size tiny --size 125M] [--rounds 5] [--processor-time]

Both sides run in this process, a step each in turn, so that a busy machine slows them alike; the
ratio is that of their medians. The dense model has to be as fast at least, the banded one faster
than our dense one at context 2048.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import click
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from curation.gpt3.model import build
from curation.gpt3.parallel import ONE
from curation.gpt3.sizes import Size, size_named
from curation.gpt3.update import (
    BETAS,
    CLIP_NORM,
    EPSILON,
    Gradient,
    apply,
    gradient_norm,
    learner,
    pass_windows,
)


class PlainBlock(nn.Module):
    """A pre-norm transformer block as nanoGPT writes it."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.norm_1, self.norm_2 = nn.LayerNorm(size.width), nn.LayerNorm(size.width)
        self.qkv, self.out = (
            nn.Linear(size.width, 3 * size.width),
            nn.Linear(size.width, size.width),
        )
        self.up, self.gelu = nn.Linear(size.width, 4 * size.width), nn.GELU(approximate="tanh")
        self.down = nn.Linear(4 * size.width, size.width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(self.norm_1(x)).split(width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).contiguous().view(batch, length, width))
        x = x + self.down(self.gelu(self.up(self.norm_2(x))))
        return x


class Plain(nn.Module):
    """nanoGPT's model: all logits at once, torch's own cross-entropy."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.tokens, self.positions = (
            nn.Embedding(size.vocabulary, size.width),
            nn.Embedding(size.context, size.width),
        )
        self.blocks = nn.ModuleList(PlainBlock(size) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, size.vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        for parameter in self.parameters():
            if parameter.dim() >= 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def plain_step(size: Size) -> Callable[[Tensor], float]:
    """A training step of the plain model; its optimiser is fused too, as ours."""
    model = Plain(size)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=1e-4,
        betas=BETAS,
        eps=EPSILON,
        weight_decay=size.weight_decay,
        fused=True,
    )

    def step(windows: Tensor) -> float:
        loss = model(windows[:, :-1], windows[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def our_step(size: Size) -> Callable[[Tensor], float]:
    """A training step of ours, as `curation train` makes it."""
    this = learner(build(size, 0), ONE, torch.float32, pass_windows(size, ONE, 1), False)

    def step(windows: Tensor) -> float:
        loss = this.loss(windows)
        loss.backward()
        apply(this, Gradient(loss.item(), gradient_norm(this.model), None, 0.0), 1e-4)
        return loss.item()

    return step


def seconds(
    steps: dict[str, Callable[[Tensor], float]],
    windows: Tensor,
    rounds: int,
    clock: Callable[[], float],
) -> dict[str, float]:
    """Median seconds of each step, run in turn; the first round warms up."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            started = clock()
            step(windows)
            taken[name].append(clock() - started)
    return {name: median(times[1:]) for name, times in taken.items()}


@click.command()
@click.option(
    "--size", "names", multiple=True, default=["tiny", "small-cpu", "125M"], show_default=True
)
@click.option("--rounds", default=7, show_default=True)
@click.option(
    "--processor-time",
    is_flag=True,
    help="Not by the clock: for a busy machine, with OMP_NUM_THREADS=1.",
)
def main(names: list[str], rounds: int, processor_time: bool) -> None:
    """Tokens a second of the plain model, of ours dense, and of ours alternating dense and
    banded.
    """
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads; tokens/s"
        f"{' of processor time' * processor_time}, medians of {rounds}"
    )
    for name in names:
        for context in sorted({size_named(name).context, 2048}):
            size = replace(
                size_named(name),
                context=context,
                band=256 if context == 2048 else size_named(name).band,
            )
            windows = torch.randint(0, size.vocabulary, (max(1, 2048 // context), context + 1))
            found = seconds(
                {
                    "plain": plain_step(size),
                    "dense": our_step(replace(size, attention=("dense",))),
                    "banded": our_step(replace(size, attention=("dense", "banded"))),
                    "all banded": our_step(replace(size, attention=("banded",))),
                },
                windows,
                rounds,
                time.process_time if processor_time else time.perf_counter,
            )
            tokens = windows.shape[0] * context
            rates = "  ".join(f"{key} {tokens / taken:,.0f}" for key, taken in found.items())
            print(
                f"{name:<10} context {context:>4}: {rates}  dense / plain "
                f"{found['plain'] / found['dense']:.2f}  "
                f"banded / dense {found['dense'] / found['banded']:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
