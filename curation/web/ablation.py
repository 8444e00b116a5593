"""The result of `curation ablate` as one HTML page, with a chart for each held-out corpus."""

from __future__ import annotations

from html import escape

from curation.inspect.evidence.ablation import (
    BASE,
    Ablation,
    arms_listing,
    heldout_listing,
    loss_listing,
    verdicts,
)
from curation.web import charts, markup


def ablation_page(result: Ablation) -> str:
    """The whole page."""
    settings = result.settings
    intro = (
        f"{settings.seeds} models of size {escape(settings.size)} for each arm, "
        f"{settings.tokens:,} training tokens each, scored on {settings.windows} windows of "
        f"{settings.context} tokens of each corpus, held out by site or by work. Near duplicates of "
        "held-out texts are in no arm. Differences are in nats per token, paired by seed and "
        "window; below 0, curation helps. Intervals count seeds and held-out windows, and hold for "
        f"all {result.comparisons} comparisons at once with 95 % (Bonferroni)."
    )
    sentences = "".join(f"<p>{escape(line)}</p>" for line in verdicts(result))
    losses, heldout, arms = map(
        markup.listing_table,
        (loss_listing(result), heldout_listing(result.texts), arms_listing(result.texts)),
    )
    read = "Tokens there are of each corpus, and how often the models read them."
    body = (
        "<h1>Does curation help?</h1>\n",
        markup.section("Loss on held-out text", intro, sentences, _charts(result)),
        markup.section("Figures", "Losses in nats per token.", losses),
        markup.section("Held out", "Documents.", heldout),
        markup.section("Arms", read, arms),
    )
    return markup.document("curation ablation", "".join(body))


def _charts(result: Ablation) -> str:
    """A chart for each held-out corpus: the arms' differences from raw."""
    cards = []
    for name in result.losses[BASE]:
        losses = {arm: parts[name] for arm, parts in result.losses.items() if arm != BASE}
        rows = [(arm, loss.difference, loss.half_width) for arm, loss in losses.items()]
        title = f"Loss on {name} against the arm raw"
        cards.append(markup.card(name, charts.intervals(title, rows, label="nats per token")))
    return markup.cards(*cards)
