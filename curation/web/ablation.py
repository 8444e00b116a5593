"""The result of `curation ablate` as one HTML page, with a chart for each held-out corpus."""

from __future__ import annotations

from curation.inspect.evidence.ablation import (
    BASE,
    Ablation,
    arms_listing,
    heldout_listing,
    loss_listing,
    verdicts,
)
from curation.web.templating import standalone


def ablation_page(result: Ablation) -> str:
    """The whole page."""
    read = "Tokens there are of each corpus, and how often the models read them."
    return standalone(
        "ablation.html",
        "curation ablation",
        settings=result.settings,
        comparisons=result.comparisons,
        verdicts=verdicts(result),
        charts=_charts(result),
        tables=[
            ("Figures", "Losses in nats per token.", loss_listing(result)),
            ("Held out", "Documents.", heldout_listing(result.texts)),
            ("Arms", read, arms_listing(result.texts)),
        ],
    )


def _charts(result: Ablation) -> dict[str, list[tuple[str, float, float]]]:
    """For each held-out corpus the arms' differences from raw: (arm, difference, half width)."""
    return {
        name: [
            (arm, parts[name].difference, parts[name].half_width)
            for arm, parts in result.losses.items()
            if arm != BASE
        ]
        for name in result.losses[BASE]
    }
