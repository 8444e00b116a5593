"""The result of `curation ablate`: losses of each arm on held-out text, and how texts were made.

Trap: a difference whose interval holds 0 is no finding; the sentences say so. The interval is the
one that holds for all comparisons at once: nine looks find something by chance more often than one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curation.inspect.evidence.listing import Listing, listing
from curation.rundir import ledger
from curation.tools.ablation import TextFacts

BASE = "raw"


@dataclass(frozen=True, slots=True)
class Settings:
    """What was trained and scored: models of `size` on `tokens` tokens, `seeds` of each arm.

    Scored on `windows` windows of `context` tokens of each held-out corpus.
    """

    size: str
    tokens: int
    seeds: int
    windows: int
    context: int


@dataclass(frozen=True, slots=True)
class Loss:
    """An arm's loss on a held-out corpus, in nats per token.

    `by_seed`: of each model. `difference`: from the arm raw; `half_width`: of its interval, which
    holds with 95 % together with those of all other comparisons; `single_half_width`: of its own.
    """

    loss: float
    difference: float
    half_width: float
    single_half_width: float
    by_seed: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Ablation:
    """The result; `losses`: arm -> held-out corpus; `comparisons`: how many intervals hold at
    once."""

    settings: Settings
    losses: dict[str, dict[str, Loss]]
    texts: TextFacts
    comparisons: int


def ablation(measured: Mapping[str, Any], texts: TextFacts) -> Ablation:
    """The result from what `curation.gpt3.ablation.measure` returns, and the facts of its texts."""
    losses = {
        arm: {
            name: Loss(**loss | {"by_seed": tuple(loss["by_seed"])})
            for name, loss in corpora.items()
        }
        for arm, corpora in measured["losses"].items()
    }
    return Ablation(Settings(**measured["settings"]), losses, texts, measured["comparisons"])


def loss_listing(result: Ablation) -> Listing:
    """A row for each arm and held-out corpus."""
    rows = []
    for arm, corpora in result.losses.items():
        for name, loss in corpora.items():
            widths = (f"{loss.half_width:.4f}", f"{loss.single_half_width:.4f}")
            against = (f"{loss.difference:+.4f}", *widths)
            rows.append((arm, name, f"{loss.loss:.4f}", *(("",) * 3 if arm == BASE else against)))
    together = f"± 95 %, all {result.comparisons} at once"
    head = ("arm", "held-out corpus", "loss", "against raw", together, "± 95 %, alone")
    return listing("", head, rows, left=(0, 1))


def verdicts(result: Ablation) -> list[str]:
    """A sentence for each arm but raw: where its loss is lower, higher, or not told apart, all
    comparisons taken together; and what they rest on."""
    sentences = []
    for arm, corpora in result.losses.items():
        if arm == BASE:
            continue
        outcomes: dict[str, list[str]] = {}
        for name, loss in corpora.items():
            outcome = "no difference told"
            if abs(loss.difference) > loss.half_width:
                side = "lower" if loss.difference < 0 else "higher"
                outcome = f"{side} loss than raw"
            outcomes.setdefault(outcome, []).append(name)
        parts = (f"{outcome} on {', '.join(names)}" for outcome, names in outcomes.items())
        sentences.append(f"{arm}: {'; '.join(parts)}")
    sentences.append(
        f"{result.comparisons} comparisons: their intervals hold at once with 95 % (Bonferroni), "
        f"{result.settings.seeds} seeds each. No difference told does not mean that there is none."
    )
    return sentences


def heldout_listing(texts: TextFacts) -> Listing:
    """What was held out of each corpus, and what was removed as too similar."""
    rows = []
    for name, counts in texts.split.items():
        purged = texts.purged.get(name, {})
        removed = sum(
            documents
            for outcome, documents in purged.items()
            if outcome.split(": ")[1] not in (ledger.IN, ledger.KEPT)
        )
        columns = (counts.held_out, counts.rest, counts.of_a_held_out_site, removed)
        rows.append((name, *(f"{count:,}" for count in columns)))
    head = (
        "documents held out",
        "left to train on",
        "on held-out sites",
        "removed or cut as alike",
    )
    return listing("Held out", ("corpus", *head), rows)


def arms_listing(texts: TextFacts) -> Listing:
    """How often the models of each arm read each corpus."""
    rows = [
        (arm, row.dataset, f"{row.tokens:,}", f"{100 * row.weight:.1f} %", f"{row.epochs:.2f}")
        for arm, mixture in texts.mixtures.items()
        for row in mixture
    ]
    return listing("Arms", ("arm", "corpus", "tokens", "weight", "epochs"), rows, left=(0, 1))
