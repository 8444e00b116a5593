"""The report's sections on duplicates between documents and inside them.

Trap: texts and ids come from pages; every string goes through `escape`.
"""

from __future__ import annotations

from html import escape

from curation.inspect.evidence.duplicates import Duplicates, Missed, PairDifferences, Repeats
from curation.inspect.numbers import counted
from curation.web import charts, markup


def duplicates_section(duplicates: Duplicates | None) -> str:
    """Which datasets' documents were removed, how similar they are, what was missed, and pairs."""
    if duplicates is None:
        return ""
    intro = (
        f"{duplicates.removed:,} documents were removed as duplicates of a kept one: "
        f"{duplicates.exact:,} as exact copies, the others by measured Jaccard."
    )
    missed = f"<p>{missed_sentence(duplicates.missed)}</p>" if duplicates.missed else ""
    if not duplicates.removed:
        return markup.section("Duplicates", intro, missed)
    sizes = duplicates.cluster_sizes
    clusters = charts.columns(
        "Clusters by size", list(sizes), list(sizes.values()), label="documents in the cluster"
    )
    jaccard = charts.histogram(
        "Near duplicates by Jaccard",
        duplicates.jaccard_edges,
        duplicates.jaccard_counts,
        labels=("Jaccard", ""),
    )
    between = markup.table(
        ["removed", "kept", "documents"],
        [[row.dataset, row.kept_dataset, f"{row.documents:,}"] for row in duplicates.between],
    )
    cards = [
        markup.card("Jaccard of near duplicates", jaccard),
        markup.card("Cluster sizes", clusters),
        markup.card("Between datasets", between),
    ]
    pairs = "".join(map(_pair, duplicates.pairs))
    return markup.section("Duplicates", intro, missed, markup.cards(*cards), pairs)


def missed_sentence(missed: Missed) -> str:
    """The estimate in words.

    >>> missed_sentence(Missed(9000, 2000, 0, 0.0, 0.0, 20.7))
    'Missed: an estimated 0 of 9,000 kept documents are duplicates of another (0 to 21, 95 %); 2,000 of them were compared, and 0 found.'
    """
    kept = f"{missed.documents:,} kept documents are duplicates of another"
    if missed.sample == missed.documents:
        return f"Missed: {missed.found:,} of {kept}; every pair of them was compared."
    return (
        f"Missed: an estimated {missed.estimate:,.0f} of {kept} "
        f"({missed.low:,.0f} to {missed.high:,.0f}, 95 %); "
        f"{missed.sample:,} of them were compared, and {missed.found:,} found."
    )


def _pair(pair: PairDifferences) -> str:
    """One near duplicate, its own words struck out and those of the kept document underlined."""
    marks = {"both": "{}", "removed": "<del>{}</del>", "kept": "<ins>{}</ins>"}
    text = " ".join(marks[part.kind].format(escape(" ".join(part.words))) for part in pair.parts)
    title = (
        f"{pair.dataset} {pair.id}, a duplicate of {pair.kept_dataset} {pair.kept_id} "
        f"(Jaccard {pair.jaccard:.3f})"
    )
    words = (
        f"{pair.common_words:,} words in common; {pair.removed_words:,} only in the removed one, "
        f"{pair.kept_words:,} only in the kept one, in {counted(pair.places, 'place')}"
    )
    return markup.card(title, f"<p class='dim'>{words}</p><p class='text'>{text}</p>")


def repeats_section(repeats: dict[str, Repeats] | None) -> str:
    """How much of each document is in repeated lines."""
    if not repeats:
        return ""
    cards = []
    for name, part in repeats.items():
        bins = ["none", *(f"to {upper:.0%}" for upper in part.edges[2:])]
        counts = zip(bins, part.repeated_lines, part.repeated_paragraphs, strict=True)
        rows = [[label, f"{lines:,}", f"{paragraphs:,}"] for label, lines, paragraphs in counts]
        cards.append(markup.card(name, markup.table(["share", "by lines", "by paragraphs"], rows)))
    intro = (
        "Documents by the share of their characters in repeated lines, and in repeated paragraphs. "
        "Gopher removes documents above 20 %; here dedup.max_repeated_lines and "
        "max_repeated_paragraphs say from where."
    )
    return markup.section("Repeated lines", intro, markup.cards(*cards))
