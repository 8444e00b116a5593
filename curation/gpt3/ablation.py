"""The models of `curation ablate`: the same size on the same number of tokens of every arm, scored
on the same held-out text.

Per arm and seed a model is trained (`train`, resumable) and its loss on each held-out window kept.
The effect of an arm on a held-out dataset is its loss less that of the arm `raw`, paired by seed
and by window; its 95 % interval counts what differs between seeds (training order and initial
weights) and between windows (which text happened to be held out), added as variances.

Each arm against `raw` on each dataset is a look of its own. Where nothing differs, one of nine
95 % intervals or more would miss 0 in up to 45 % of all ablations. So a difference is judged by
Bonferroni's interval: all of them hold at once with 95 %. The one of a single comparison stands
beside it.

Cost: arms * seeds trainings. Trap: with three seeds Student's t has two degrees of freedom, so
intervals are wide, as they should be: for nine comparisons three times as wide as for one. With ten
seeds they are 1.6 times as wide.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from curation.errors import InputError
from curation.gpt3.data import Shards, open_shards, windows
from curation.gpt3.generate import load_checkpoint
from curation.gpt3.model import GPT3
from curation.gpt3.parallel import device_named
from curation.gpt3.sizes import Size, size_named
from curation.gpt3.train import Options, train

BASE = "raw"
WARMUP_SHARE = 0.05  # of the budget; appendix B's would be shorter than one batch here
_NEVER = 10**9  # steps: more than any run has

Losses = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """What every model of an ablation has in common; `windows` are held-out ones of each
    dataset."""

    size: str
    tokens: int
    seeds: int
    windows: int
    context: int


@dataclass(frozen=True)
class Effect:
    """An arm's loss on one held-out dataset, in nats per token, and its difference from `raw`.

    `half_width` is half of the interval of the difference which holds with 95 % together with those
    of all other comparisons, `single_half_width` half of its own 95 % interval.
    """

    loss: float
    by_seed: list[float]
    difference: float
    half_width: float
    single_half_width: float


@dataclass(frozen=True)
class Ablation:
    """What an ablation found: arm -> held-out dataset -> effect; and how many comparisons the
    intervals are for."""

    settings: Settings
    losses: dict[str, dict[str, Effect]]
    comparisons: int


def measure(
    arms: Mapping[str, Path],
    heldout: Mapping[str, Path],
    out: Path,
    size: Size | str,
    tokens: int,
    seeds: int,
    held_out_windows: int = 64,
    say: Callable[[str], None] = print,
) -> Ablation:
    """Train and score every arm with every seed.

    Models go to out/ARM/SEED; what is finished is not trained again. Raises InputError for fewer
    than two seeds, without which there is no interval.
    """
    if seeds < 2:
        raise InputError(f"an ablation needs at least 2 seeds to say how sure it is, not {seeds}")
    size = size_named(size) if isinstance(size, str) else size
    datasets = {name: open_shards(path) for name, path in heldout.items()}
    by_seed: dict[str, dict[str, list[Losses]]] = {
        arm: {name: [] for name in datasets} for arm in arms
    }
    for seed in range(seeds):
        options = Options(
            tokens=tokens,
            seed=seed,
            warmup_tokens=int(WARMUP_SHARE * tokens),
            validate_every=_NEVER,
            checkpoint_every=_NEVER,
        )
        for arm, shards in arms.items():
            folder = out / arm / str(seed)
            checkpoint = train(shards, folder, size, options).checkpoint
            losses = _held_out_losses(folder, checkpoint, datasets, size.context, held_out_windows)
            for name, values in losses.items():
                by_seed[arm][name].append(values)
            text = ", ".join(f"{name} {values.mean():.4f}" for name, values in losses.items())
            say(f"seed {seed}, {arm}: {text}")
    stacked = {
        arm: {name: np.stack(rows) for name, rows in datasets_of_arm.items()}
        for arm, datasets_of_arm in by_seed.items()
    }
    settings = Settings(size.name, tokens, seeds, held_out_windows, size.context)
    return Ablation(settings, effects(stacked), comparisons(stacked))


def _held_out_losses(
    folder: Path, checkpoint: Path, datasets: Mapping[str, Shards], context: int, limit: int
) -> dict[str, Losses]:
    """Losses of each held-out window, kept beside the model: dataset -> float64[windows].

    The file's name holds a digest of the held-out texts, so that others are scored anew.
    """
    digests = sorted([name, shards.digest()] for name, shards in datasets.items())
    texts = hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:12]
    path = folder / f"heldout-{checkpoint.name}-{limit}-{texts}.json"
    if not path.is_file():
        model = load_checkpoint(checkpoint, device_named(None))[0]
        losses = {
            name: window_losses(model, shards, context, limit).tolist()
            for name, shards in datasets.items()
        }
        path.write_text(json.dumps(losses) + "\n")
    return {name: np.array(values) for name, values in json.loads(path.read_bytes()).items()}


@torch.no_grad()
def window_losses(model: GPT3, shards: Shards, context: int, limit: int) -> Losses:
    """Mean loss in nats per token of the first `limit` windows of the training shards:
    float64[windows].

    Raises InputError where the held-out text is shorter than one window.
    """
    held_out = windows(shards, shards.train, context, seed=0)
    if not len(held_out):
        raise InputError(
            f"{shards.folder}: held-out text of at least {context:,} tokens expected; hold out a "
            "larger share"
        )
    parts = (held_out.batch(number, 1) for number in range(min(limit, len(held_out))))
    device = model.tokens.weight.device
    return np.array([model.loss(torch.from_numpy(part).to(device)).item() for part in parts])


def effects(losses: Mapping[str, Mapping[str, Losses]]) -> dict[str, dict[str, Effect]]:
    """arm -> dataset -> its effect.

    losses: arm -> dataset -> float64[seeds, windows].

    >>> raw, better = np.array([[5.0, 6.0], [5.2, 6.2]]), np.array([[4.0, 5.0], [4.2, 5.2]])
    >>> effect = effects({"raw": {"books": raw}, "mixture": {"books": better}})["mixture"]["books"]
    >>> round(effect.loss, 3), round(effect.difference, 3), round(effect.half_width, 3)
    (4.6, -1.0, 0.0)
    """
    count = comparisons(losses)
    return {
        arm: {
            name: _effect(values, losses[BASE][name], count)
            for name, values in losses_of_arm.items()
        }
        for arm, losses_of_arm in losses.items()
    }


def comparisons(losses: Mapping[str, Mapping[str, Losses]]) -> int:
    """How many differences are looked at: each arm but `raw`, on each dataset; at least 1."""
    return max(1, sum(len(datasets) for arm, datasets in losses.items() if arm != BASE))


def _effect(losses: Losses, base: Losses, count: int) -> Effect:
    difference = losses - base
    return Effect(
        loss=float(losses.mean()),
        by_seed=losses.mean(1).tolist(),
        difference=float(difference.mean()),
        half_width=half_width(difference, count),
        single_half_width=half_width(difference),
    )


def half_width(values: Losses, comparisons: int = 1) -> float:
    """Half of the 95 % interval of the mean of float64[seeds, windows]: variance of seed means and
    of window means, added.

    With more than one comparison, that of the interval of each which holds with all others at once
    with 95 % or more, however they hang together (Bonferroni: each misses with 5 % / comparisons).
    """
    from scipy import stats

    seeds, count = values.shape
    of_seeds = values.mean(1).var(ddof=1) / seeds
    of_windows = values.mean(0).var(ddof=1) / count if count > 1 else 0.0
    return float(stats.t.ppf(1 - 0.025 / comparisons, seeds - 1) * math.sqrt(of_seeds + of_windows))
