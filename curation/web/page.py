"""The report as one HTML page: nothing fetched, light and dark, readable on a phone.

Trap: URLs, texts and names come from pages and recipes. Every string goes through `escape`; links
are never made clickable.
"""

from __future__ import annotations

from html import escape

from curation.inspect.evidence.benchmarks import BenchmarkHits
from curation.inspect.evidence.contamination import BenchmarkStudy, dirty_listing
from curation.inspect.evidence.corpus import LanguageCount, Lengths
from curation.inspect.evidence.extracted import ExtractedPage
from curation.inspect.evidence.flow import funnel_rows
from curation.inspect.evidence.mixture import PlacedMixture, groups_listing
from curation.inspect.evidence.report import Report
from curation.inspect.evidence.status import SlowShard, slowest_listing
from curation.web import charts, markup, parts, templating
from curation.web.blocks import block_row
from curation.web.duplicates import duplicates_section, repeats_section
from curation.web.fit import (
    alpha_section,
    by_score_section,
    fit_section,
    quality_section,
    threshold_section,
)
from curation.web.rules import rules_sections


def page(report: Report) -> str:
    """The whole page: numbers, hints and the funnel first, as in browse; then a section for each part
    of the evidence that is there."""
    sections = [
        rules_sections(report.rules),
        quality_section(report.scores, report.model),
        fit_section(report.model.report if report.model else None),
        alpha_section(report.alpha),
        by_score_section(report.by_score),
        duplicates_section(report.duplicates),
        repeats_section(report.repeats),
        benchmarks_section(report.benchmarks),
        contamination_section(report.contamination),
        mixture_section(report.mixture, report.recipe.get("mix", {}).get("by", "")),
        languages_section(report.languages),
        lengths_section(report.lengths),
        threshold_section(report.samples),
        _extracted(report.extracted),
        _slowest(report.slowest),
    ]
    flows = report.funnel
    return templating.standalone(
        "report.html",
        "curation report",
        base=None,
        numbers=parts.numbers(flows),
        hints=[(text, parts.what_to_do(text)) for text in report.warnings],
        is_finished=True,
        chart=templating.svg(parts.chart(flows[-1], None)),
        table=parts.table(flows) if funnel_rows(flows) else None,
        sections=[templating.svg(text) for text in sections if text],
        settings=parts.settings(report.recipe),
        version=report.curation,
    )


def _slowest(shards: list[SlowShard] | None) -> str:
    """The shards that took longest."""
    if shards is None:
        return ""
    intro = "The longest task of a shard, of the shards whose longest task took longest."
    return markup.section(
        "Slowest shards", intro, markup.listing_table(slowest_listing(shards, ""))
    )


def benchmarks_section(benchmarks: list[BenchmarkHits] | None) -> str:
    """What the training text shares with each benchmark."""
    if benchmarks is None:
        return ""
    head = ["benchmark", "examples", "hits", "documents", "cuts"]
    rows = [
        [row.benchmark, *(f"{n:,}" for n in (row.examples, row.hits, row.documents, row.cuts))]
        for row in benchmarks
        if row.hits
    ]
    clean = ", ".join(row.benchmark for row in benchmarks if not row.hits)
    intro = (
        "What the training text shares with benchmarks, and was cut. A gram in several benchmarks "
        "counts for each of them."
    )
    rest = f"<p class='dim'>Nothing shared with: {escape(clean)}.</p>" if clean else ""
    return markup.section("Benchmarks", intro, markup.table(head, rows) if rows else "", rest)


def contamination_section(studies: list[BenchmarkStudy] | None) -> str:
    """Which benchmark examples are dirty."""
    if studies is None:
        return ""
    dirty = dirty_listing(studies)
    intro = (
        "Examples that share N words in a row with any training document, before and after the "
        "cuts. N is the 5th percentile of a benchmark's example lengths, from 8 to 13. Examples of "
        "fewer words are too short to be looked for, and may be dirty. The ids are in "
        "decontaminate/dirty.jsonl."
    )
    others = len(studies) - len(dirty.rows)
    clean = f"<p class='dim'>Every example of {others} other benchmarks is clean.</p>" * (
        others > 0
    )
    table = markup.listing_table(dirty) if dirty.rows else ""
    return markup.section("Dirty examples", intro, table, clean)


def mixture_section(mixture: PlacedMixture | None, by: str) -> str:
    """Planned and achieved shares."""
    if mixture is None:
        return ""
    bars = [
        (d.dataset, d.weight, d.share, f"{d.share:.2%}, planned {d.weight:.2%}")
        for d in mixture.datasets
    ]
    chart = charts.bars("Planned and achieved share of each dataset", bars)
    key = "<p class='dim'><i class='a'></i> planned <i class='b'></i> achieved</p>"
    head = ["dataset", "tokens there are", "validation", "epochs", "placed", "share", "planned"]
    rows = [
        [
            d.dataset,
            f"{d.tokens:,}",
            f"{d.validation_tokens:,}",
            f"{d.epochs:,.2f}",
            f"{d.placed:,}",
            f"{d.share:.2%}",
            f"{d.weight:.2%}",
            f"{d.lowest_share:.1%} to {d.highest_share:.1%}",
        ]
        for d in mixture.datasets
    ]
    train = [shard.tokens for shard in mixture.shards if shard.split == "train"]
    intro = f"{sum(train):,} tokens in {len(train):,} training shards."
    table = markup.table([*head, "in single shards"], rows)
    groups = groups_listing(by, mixture.datasets)
    weighed = markup.listing_table(groups) if groups else ""
    card = f"<div class='card'>{chart}{key}</div>"
    return markup.section("Mixture", intro, card, table, weighed)


def languages_section(languages: dict[str, list[LanguageCount]]) -> str:
    """Documents of each dataset by language."""
    cards = []
    for name, counts in languages.items():
        bars = [
            (c.language, float(c.documents), float(c.kept), f"{c.documents:,}, {c.kept:,} kept")
            for c in counts
        ]
        if bars:
            head = (
                "language",
                "documents",
                "kept",
                "mean probability",
                "named by the crawl",
                "same",
            )
            rows = [
                (
                    c.language,
                    f"{c.documents:,}",
                    f"{c.kept:,}",
                    "" if c.mean_score is None else f"{c.mean_score:.2f}",
                    f"{c.named:,}",
                    f"{c.agreed:,}",
                )
                for c in counts
            ]
            chart = charts.bars(f"Languages of {name}", bars)
            cards.append(markup.card(name, chart + markup.table(head, rows)))
    key = "<i class='a'></i> documents <i class='b'></i> kept at the end"
    return markup.section("Languages", key, markup.cards(*cards))


def lengths_section(lengths: Lengths) -> str:
    """Kept documents by length."""
    cards = []
    for name, counts in lengths.datasets.items():
        first = next(i for i, count in enumerate(counts) if count)
        powers = range(first, len(counts))
        names = [charts.short(2**i) if i < 10 else f"{2 ** (i - 10)}Ki" for i in powers]
        label = f"{lengths.unit} (each bar: up to twice its number)"
        title = f"Documents of {name} by length"
        chart = charts.columns(title, names, counts[first:], label=label)
        cards.append(markup.card(name, chart))
    intro = f"Kept documents by length in {lengths.unit}."
    return markup.section("Lengths", intro, markup.cards(*cards))


def _extracted(pages: list[ExtractedPage] | None) -> str:
    if not pages:
        return ""
    looked_at = []
    for shown in pages:
        word = "kept" if shown.kept else "removed later"
        head = f"{word}: {escape(shown.url or shown.id)}"
        if shown.blocks is None:
            gone = f"{head}. The page was not found again in its archive."
            looked_at.append(f"<p class='dim'>{gone}</p>")
            continue
        more = f"<p class='dim'>and {shown.more} more</p>" if shown.more else ""
        kept = sum(block.kept for block in shown.blocks)
        head += f" ({kept} of {len(shown.blocks)} blocks are text)"
        blocks = "".join(map(block_row, shown.blocks))
        looked_at.append(f"<details><summary>{head}</summary>{blocks}{more}</details>")
    intro = (
        "Random pages as the extractor cut them: each block with its score, blue where it was taken "
        "for main text, orange where not."
    )
    return markup.section("Pages, block by block", intro, *looked_at)
