"""The models of `curation ablate`: the same size on the same number of tokens of every arm, scored on the same held-out text.

Per arm and seed a model is trained (`train`, resumable) and its loss on each held-out window kept. The effect of an arm on a held-out
dataset is its loss less that of the arm `raw`, paired by seed and by window; its 95 % interval counts what differs between seeds (training
order and initial weights) and between windows (which text happened to be held out), added as variances.

Cost: arms * seeds trainings. Trap: with three seeds Student's t has two degrees of freedom, so intervals are wide, as they should be.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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
_NEVER = 1 << 62
_T_975 = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
)  # Student's t for 1 to 9 degrees of freedom

Losses = NDArray[np.float64]


def measure(
    arms: Mapping[str, Path],
    heldout: Mapping[str, Path],
    out: Path,
    size: Size | str,
    tokens: int,
    seeds: int,
    held_out_windows: int = 64,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train and score every arm with every seed; returns `summary`'s dictionary with the settings.

    Models go to out/ARM/SEED; what is finished is not trained again. Raises InputError for fewer than two seeds, without which there is no
    interval.
    """
    if seeds < 2:
        raise InputError(f"an ablation needs at least 2 seeds to say how sure it is, not {seeds}")
    size = size_named(size) if isinstance(size, str) else size
    held = {name: open_shards(path) for name, path in heldout.items()}
    losses: dict[str, dict[str, list[Losses]]] = {arm: {name: [] for name in held} for arm in arms}
    for seed in range(seeds):
        for arm, shards in arms.items():
            folder = out / arm / str(seed)
            options = Options(
                tokens=tokens,
                seed=seed,
                warmup_tokens=int(WARMUP_SHARE * tokens),
                validate_every=_NEVER,
                checkpoint_every=_NEVER,
            )
            result = train(shards, folder, size, options)
            scored = _scored(folder, result.checkpoint, held, size.context, held_out_windows)
            for name, found in scored.items():
                losses[arm][name].append(found)
            text = ", ".join(f"{name} {found.mean():.4f}" for name, found in scored.items())
            say(f"seed {seed}, {arm}: {text}")
    settings = {
        "size": size.name,
        "tokens": tokens,
        "seeds": seeds,
        "windows": held_out_windows,
        "context": size.context,
    }
    stacked = {
        arm: {name: np.stack(rows) for name, rows in own.items()} for arm, own in losses.items()
    }
    return {"settings": settings, "losses": summary(stacked)}


def _scored(
    folder: Path, checkpoint: Path, held: Mapping[str, Shards], context: int, limit: int
) -> dict[str, Losses]:
    """Losses of each held-out window, kept beside the model: dataset -> float64[windows]."""
    path = folder / f"heldout-{checkpoint.name}-{limit}.json"
    if not path.is_file():
        model = load_checkpoint(checkpoint, device_named(None))[0]
        found = {
            name: window_losses(model, shards, context, limit).tolist()
            for name, shards in held.items()
        }
        path.write_text(json.dumps(found) + "\n")
    return {name: np.array(values) for name, values in json.loads(path.read_bytes()).items()}


@torch.no_grad()
def window_losses(model: GPT3, shards: Shards, context: int, limit: int) -> Losses:
    """Mean loss in nats per token of the first `limit` windows of the training shards: float64[windows].

    Raises InputError where the held-out text is shorter than one window.
    """
    held_out = windows(shards, shards.train, context, seed=0)
    if not len(held_out):
        raise InputError(
            f"{shards.folder}: held-out text of at least {context:,} tokens expected; hold out a larger share"
        )
    parts = (held_out.batch(number, 1) for number in range(min(limit, len(held_out))))
    device = model.tokens.weight.device
    return np.array([model.loss(torch.from_numpy(part).to(device)).item() for part in parts])


def summary(losses: Mapping[str, Mapping[str, Losses]]) -> dict[str, dict[str, dict[str, Any]]]:
    """arm -> dataset -> mean loss, and its difference from the arm `raw` with the half-width of its 95 % interval.

    losses: arm -> dataset -> float64[seeds, windows].

    >>> raw, better = np.array([[5.0, 6.0], [5.2, 6.2]]), np.array([[4.0, 5.0], [4.2, 5.2]])
    >>> found = summary({"raw": {"books": raw}, "mixture": {"books": better}})["mixture"]["books"]
    >>> round(found["loss"], 3), round(found["difference"], 3), round(found["half_width"], 3)
    (4.6, -1.0, 0.0)
    """
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for arm, own in losses.items():
        for name, found in own.items():
            difference = found - losses[BASE][name]
            out.setdefault(arm, {})[name] = {
                "loss": float(found.mean()),
                "by_seed": found.mean(1).tolist(),
                "difference": float(difference.mean()),
                "half_width": half_width(difference),
            }
    return out


def half_width(values: Losses) -> float:
    """Half of the 95 % interval of the mean of float64[seeds, windows]: variance of seed means and of window means, added."""
    seeds, count = values.shape
    of_seeds = values.mean(1).var(ddof=1) / seeds
    of_windows = values.mean(0).var(ddof=1) / count if count > 1 else 0.0
    t = _T_975[seeds - 2] if seeds - 2 < len(_T_975) else 1.96
    return float(t * math.sqrt(of_seeds + of_windows))
