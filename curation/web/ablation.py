"""The result of `curation ablate` for people: a table for the terminal, and one HTML page with a chart for each held-out corpus.

Trap: a difference whose interval holds 0 is no finding; the sentences say so, whichever way it points.
"""

from __future__ import annotations

from html import escape
from typing import Any

from curation.web import charts, markup
from curation.web.page import STYLE

Result = dict[str, Any]
HEAD = ("arm", "held-out corpus", "loss", "against raw", "± 95 %")


def cells(result: Result) -> list[tuple[str, ...]]:
    """A row for each arm and held-out corpus, as text; losses in nats per token."""
    return [
        (arm, name, f"{own['loss']:.4f}", f"{own['difference']:+.4f}", f"{own['half_width']:.4f}")
        if arm != "raw"
        else (arm, name, f"{own['loss']:.4f}", "", "")
        for arm, corpora in result["losses"].items()
        for name, own in corpora.items()
    ]


def table(result: Result) -> str:
    """The rows with a head, in columns."""
    rows = [HEAD, *cells(result)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = (
        "  ".join(
            c.ljust(w) if i < 2 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join([*lines, *verdicts(result)])


def verdicts(result: Result) -> list[str]:
    """One sentence for each arm but raw: on which held-out corpora its loss is lower, higher, or not told apart.

    >>> verdicts({"losses": {"raw": {}, "dedup": {"books": {"difference": -0.2, "half_width": 0.1}}}})
    ['dedup: lower loss than raw on books']
    """
    out = []
    for arm, corpora in result["losses"].items():
        if arm == "raw":
            continue
        told: dict[str, list[str]] = {}
        for name, own in corpora.items():
            sure = abs(own["difference"]) > own["half_width"]
            what = (
                ("lower loss than raw" if own["difference"] < 0 else "higher loss than raw")
                if sure
                else "no difference told"
            )
            told.setdefault(what, []).append(name)
        out.append(
            f"{arm}: " + "; ".join(f"{what} on {', '.join(names)}" for what, names in told.items())
        )
    return out


def page(result: Result) -> str:
    """The whole page."""
    settings = result["settings"]
    intro = (
        f"{settings['seeds']} models of size {escape(settings['size'])} for each arm, {settings['tokens']:,} training tokens each, scored "
        f"on {settings['windows']} windows of {settings['context']} tokens of each corpus, held out by site or by work. Near duplicates of "
        "held-out texts are in no arm. Differences are in nats per token, paired by seed and window; below 0, curation helps. Intervals "
        "(95 %) count seeds and held-out windows."
    )
    found = markup.section(
        "Loss on held-out text",
        intro,
        *(f"<p>{escape(line)}</p>" for line in verdicts(result)),
        _charts(result),
    )
    rows = markup.section("Figures", "Losses in nats per token.", markup.table(HEAD, cells(result)))
    facts = result["texts"]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>curation ablation</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>\n<h1>Does curation help?</h1>\n{found}{rows}{_texts(facts)}</body></html>\n"
    )


def _charts(result: Result) -> str:
    """A chart for each held-out corpus: the arms' differences from raw."""
    arms = [arm for arm in result["losses"] if arm != "raw"]
    out = []
    for name in result["losses"]["raw"]:
        own = [(arm, result["losses"][arm][name]) for arm in arms]
        rows = [(arm, found["difference"], found["half_width"]) for arm, found in own]
        out.append(
            markup.card(
                name,
                charts.intervals(
                    f"Loss on {name} against the arm raw", rows, label="nats per token"
                ),
            )
        )
    return markup.cards(*out)


def _texts(facts: dict[str, Any]) -> str:
    """What was held out and purged, and how often each arm read its texts."""
    head = (
        "corpus",
        "documents held out",
        "left to train on",
        "on held-out sites",
        "removed or cut as alike",
    )
    rows = []
    for name, own in facts["split"].items():
        purged = facts["purged"].get(name, {})
        alike = sum(n for what, n in purged.items() if what.split(": ")[1] not in ("in", "kept"))
        rows.append(
            [
                name,
                *(f"{own[key]:,}" for key in ("held_out", "rest", "of_a_held_out_site")),
                f"{alike:,}",
            ]
        )
    read = [
        [
            arm,
            one["dataset"],
            f"{one['tokens']:,}",
            f"{100 * one['weight']:.1f} %",
            f"{one['epochs']:.2f}",
        ]
        for arm, mixture in facts["mixtures"].items()
        for one in mixture
    ]
    return markup.section("Held out", "Documents.", markup.table(head, rows)) + markup.section(
        "Arms",
        "Tokens there are of each corpus, and how often the models read them.",
        markup.table(("arm", "corpus", "tokens", "weight", "epochs"), read),
    )
