"""The two pictures of `perf/instruct.py`, as SVG: over-optimisation and the alignment tax."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

BLUE, RED, GREY = "#1f5f8b", "#8b3a1f", "#777777"
SMOOTH = 7  # steps


def pictures(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write both pictures into `folder`."""
    import matplotlib as mpl

    # The same bytes for the same figures.
    with mpl.rc_context({"svg.hashsalt": "curation", "svg.fonttype": "none", "font.size": 9}):
        _overoptimisation(rows).savefig(
            folder / "instruct-overoptimisation.svg", metadata={"Date": None}
        )
        _tax(rows).savefig(folder / "instruct-alignment-tax.svg", metadata={"Date": None})


def smooth(values: Sequence[float]) -> Any:
    return np.convolve(values, np.ones(SMOOTH) / SMOOTH, "valid")


def _overoptimisation(rows: Sequence[dict[str, Any]]) -> Any:
    """Hidden rule and learned reward against KL, a thin line a seed, without a KL penalty."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for row in (row for row in rows if "curve_free" in row):
        kl, reward, watched = (smooth(column) for column in zip(*row["curve_free"], strict=True))
        left.plot(kl, reward, color=GREY, lw=0.8)
        right.plot(kl, watched, color=RED, lw=0.8)
    for axes, title in (
        (left, "reward model: what is optimised"),
        (right, "hidden rule: what is wanted"),
    ):
        axes.set(title=title, xlabel="KL from SFT, nats an answer (root scale)")
        axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
        axes.set_xticks([0, 1, 5, 20, 50, 100])
    right.axhline(
        float(np.mean([row["score_sft"] for row in rows])), color=BLUE, ls=":", lw=1, label="SFT"
    )
    right.legend(frameon=False)
    return figure


def _tax(rows: Sequence[dict[str, Any]]) -> Any:
    """Validation loss on the shards and hidden rule during PPO, with and without pre-training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = {"ppo": (RED, "PPO, gamma 0"), "ptx": (BLUE, "PPO-ptx")}
    for name, (color, label) in names.items():
        losses = np.array([[loss for _, loss in row[f"validation_{name}"]] for row in rows])
        steps = [step for step, _ in rows[0][f"validation_{name}"]]
        left.fill_between(steps, losses.min(0), losses.max(0), color=color, alpha=0.15, lw=0)
        left.plot(steps, losses.mean(0), "o-", color=color, ms=3, label=label)
        scores = np.array([smooth([one[2] for one in row[f"curve_{name}"]]) for row in rows])
        at = np.arange(scores.shape[1]) + SMOOTH // 2
        right.fill_between(at, scores.min(0), scores.max(0), color=color, alpha=0.15, lw=0)
        right.plot(at, scores.mean(0), color=color, label=label)
    left.set(title="loss on the pre-training texts, nats a token", xlabel="PPO steps")
    right.set(title="hidden rule", xlabel="PPO steps")
    left.legend(frameon=False)
    right.legend(frameon=False)
    return figure
