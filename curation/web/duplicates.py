"""The report's sections on duplicates between documents and inside them.

Trap: texts and ids come from pages; every string goes through `escape`.
"""

from __future__ import annotations

from html import escape
from typing import Any

from curation.web import charts, markup

Data = dict[str, Any]


def duplicates_section(found: Data | None) -> str:
    """Who left for whom, how alike they are, what was missed, and pairs with their differences marked."""
    if found is None:
        return ""
    intro = f"{found['removed']:,} documents left for one that stays: {found['exact']:,} exact copies, the others by measured Jaccard."
    if not found["removed"]:
        return markup.section("Duplicates", intro, _missed(found["missed"]))
    sizes = found["cluster_sizes"]
    clusters = charts.columns(
        "Clusters by size", list(sizes), list(sizes.values()), label="documents in the cluster"
    )
    jaccard = charts.histogram(
        "Near duplicates by Jaccard",
        found["jaccard_edges"],
        found["jaccard_counts"],
        labels=("Jaccard", ""),
    )
    between = markup.table(
        ["left", "stayed", "documents"],
        [[r["left"], r["stayed"], f"{r['documents']:,}"] for r in found["between"]],
    )
    cards = [
        markup.card("Jaccard of near duplicates", jaccard),
        markup.card("Cluster sizes", clusters),
        markup.card("Between datasets", between),
    ]
    pairs = "".join(_pair(pair) for pair in found["pairs"])
    return markup.section(
        "Duplicates", intro, _missed(found["missed"]), markup.cards(*cards), pairs
    )


def missed_text(found: Data) -> str:
    """The estimate in a sentence.

    >>> missed_text({"documents": 9000, "sample": 2000, "found": 0, "estimate": 0.0, "low": 0.0, "high": 20.7})
    'Missed: an estimated 0 of 9,000 documents that stay resemble another (0 to 21, 95 %); 2,000 of them were compared, and 0 found.'
    """
    if found["sample"] == found["documents"]:
        how = f"Missed: {found['found']:,} of {found['documents']:,} documents that stay resemble another"
        return how + "; every pair of them was compared."
    return (
        f"Missed: an estimated {found['estimate']:,.0f} of {found['documents']:,} documents that stay resemble another "
        f"({found['low']:,.0f} to {found['high']:,.0f}, 95 %); {found['sample']:,} of them were compared, and {found['found']:,} found."
    )


def _missed(found: Data | None) -> str:
    return f"<p>{escape(missed_text(found))}</p>" if found else ""


def _pair(pair: Data) -> str:
    """One near duplicate, what only it says struck out and what only the other says underlined."""
    marks = {"both": "{}", "own": "<del>{}</del>", "kept": "<ins>{}</ins>"}
    text = " ".join(marks[kind].format(escape(words)) for kind, words in pair["parts"])
    words, places = pair["words"], pair["places"]
    title = f"{pair['dataset']} {pair['id']} left for {pair['kept_dataset']} {pair['kept_id']} (Jaccard {pair['jaccard']:.3f})"
    said = f"{words['both']:,} words in common; {words['own']:,} only here, {words['kept']:,} only there, in {places:,} places"
    body = f"<p class='dim'>{escape(said)}</p><p class='text'>{text}</p>"
    return f"<div class='card'><h3>{escape(title)}</h3>{body}</div>"


def repeats_section(found: Data | None) -> str:
    """How much of each document stands in lines that it said before."""
    if not found:
        return ""
    cards = []
    for name, own in found.items():
        edges = own["edges"]
        bins = ["none", *(f"to {upper:.0%}" for upper in edges[2:])]
        rows = [
            [label, f"{lines:,}", f"{paragraphs:,}"]
            for label, lines, paragraphs in zip(
                bins, own["repeated_lines"], own["repeated_paragraphs"], strict=True
            )
        ]
        cards.append(markup.card(name, markup.table(["share", "by lines", "by paragraphs"], rows)))
    intro = (
        "Documents by the share of their characters in lines, and in paragraphs, that they said before. "
        "Gopher removes documents above 20 %; here dedup.max_repeated_lines and max_repeated_paragraphs say from where."
    )
    return markup.section("Repeated lines", intro, markup.cards(*cards))
