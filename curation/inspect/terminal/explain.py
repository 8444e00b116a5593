"""`curation explain`: a document's fate told on a terminal, the verdict first.

Trap: everything that comes from a page is printed as plain text, control characters and all markup made harmless.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from curation.errors import InputError
from curation.inspect.evidence.differences import compare
from curation.inspect.evidence.fate import Duplicate, Fate, Overlap, Placed, Quality, fate
from curation.inspect.evidence.find import FoundReject, find
from curation.rundir.schema import REASONS

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

MOST_PLACES = 12  # where a near duplicate differs
MOST_QUOTES = 8
MOST_SHARDS = 8
Row = tuple[str, Text]


def explain(rundir: RunDirectory, plan: Plan, key: str, console: Console) -> None:
    """Print the fate of every document and reject with this id or URL.

    Raises InputError where there is none.
    """
    documents, rejects = find(rundir, plan, key)
    if not documents and not rejects:
        raise InputError(
            f"{key!r} is neither the id nor the URL of a document or reject in {rundir.out}; both are compared exactly "
            f"(`curation sample {rundir.out}` shows some)"
        )
    if len(documents) + len(rejects) > 1:
        console.print(
            f"{key}: {len(documents)} documents and {len(rejects)} rejects",
            highlight=False,
            markup=False,
        )
    for found in documents:
        console.print(story(rundir, fate(rundir, plan, found)))
    for reject in rejects:
        console.print(reject_story(reject))


def clean(text: str, most: int = 0) -> str:
    """Text as it may go to a terminal: white space as single spaces, no control characters, `most` characters if given.

    >>> clean("a\\x1b[31m  b\\nc")
    'a[31m b c'
    """
    flat = " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())
    return flat if not most or len(flat) <= most else flat[: most - 1] + "…"


# ---- the verdict -----------------------------------------------------------------------------------------------------------------------


def verdict(rundir: RunDirectory, known: Fate) -> tuple[str, str]:
    """One line that says what became of the document, and its colour."""
    quality, duplicate, overlap, placed = (
        known.quality,
        known.duplicate,
        known.overlap,
        known.placed,
    )
    if quality and quality.keep is False:
        return (
            f"removed by classify: low_quality (score {quality.score:.3f}, draw {quality.draw:.3f}; "
            f"more than {1 - quality.score:.3f} was needed)"
        ), "red"
    if duplicate and duplicate.reason == "repetitive":
        return f"removed by dedup: repetitive ({_repeated(duplicate)})", "red"
    if duplicate and not duplicate.keep:
        return (
            f"removed by dedup: {duplicate.reason} of {clean(duplicate.kept_id or '')} in {duplicate.kept_dataset} "
            f"(Jaccard {duplicate.jaccard:.3f})"
        ), "red"
    if overlap and overlap.keep is False:
        return (
            f"removed by decontaminate: {overlap.reason} (hits in {len(overlap.quotes):,} places)",
            "red",
        )
    if placed and placed.reason:
        return f"removed by tokenize: {placed.reason}", "red"
    if placed and placed.mixed:
        return _kept_verdict(placed), "green"
    if placed:
        return f"kept: {sum(placed.counts):,} tokens, in no shard (yet)", "green"
    return f"still in after {_last_stage(known)}", "green"


def _kept_verdict(placed: Placed) -> str:
    tokens = f"{sum(placed.counts):,} tokens"
    if placed.held_out:
        return f"kept: {tokens}, held out in {', '.join(placed.shards)}"
    if not placed.shards:
        return (
            f"kept: {tokens}, but in no shard: the mixture takes {placed.epochs:.0%} of its dataset"
        )
    names = list(placed.shards)
    where = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"kept: {tokens}, in {where}"


def _last_stage(known: Fate) -> str:
    if known.overlap:
        return "decontaminate"
    if known.duplicate:
        return "dedup"
    return "classify" if known.quality else "extract"


# ---- the story -------------------------------------------------------------------------------------------------------------------------


def story(rundir: RunDirectory, known: Fate) -> Group:
    """The verdict, and under it stage by stage what was measured."""
    line, colour = verdict(rundir, known)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for stage, text in _rows(rundir, known):
        table.add_row(stage, text)
    head = Text(f"{known.dataset} {clean(known.found.columns['id'])}", style="dim")
    return Group(Rule(style="dim"), head, Text(line, style=f"bold {colour}"), Text(), table)


def reject_story(reject: FoundReject) -> Group:
    """A record that never became a document."""
    columns = reject.columns
    line = f"never became a document: {columns['reason']} ({REASONS.get(columns['reason'], '')})"
    where = Text(f"{reject.shard.dataset}: {_where(columns)}", style="dim")
    parts: list[RenderableType] = [Rule(style="dim"), where, Text(line, style="bold red")]
    if columns["detail"]:
        parts.append(Text(clean(columns["detail"], 400)))
    return Group(*parts)


def _where(columns: dict[str, Any]) -> str:
    offset = "" if columns["offset"] is None else f", offset {columns['offset']:,}"
    return clean(columns["archive"] or "unknown file") + offset


def _rows(rundir: RunDirectory, known: Fate) -> Iterator[Row]:
    columns = known.found.columns
    yield "extract", Text(f"{_where(columns)}; {len(known.text):,} characters")
    if columns["url"]:
        date = f" ({clean(columns['date'])})" if columns["date"] else ""
        yield "", Text(clean(columns["url"]) + date)
    yield (
        "",
        Text(f"language {columns['language'] or 'unknown'} ({columns['language_score'] or 0:.2f})"),
    )
    yield "", Text(clean(known.text, 160), style="italic dim")
    if known.quality:
        yield from _quality_rows(rundir.recipe.classify.alpha, known.quality)
    if known.duplicate:
        yield from _duplicate_rows(known)
    if known.overlap and (known.overlap.keep is not None or known.overlap.quotes):
        yield from _overlap_rows(known.text, known.overlap)
    if known.placed and known.placed.counts:
        yield from _placed_rows(known.placed)


def _quality_rows(alpha: float, quality: Quality) -> Iterator[Row]:
    yield "classify", Text(f"score {quality.score:.4f} (like the trusted corpora: 1)")
    if quality.chance is None:
        yield "", Text("not filtered: every document of this dataset stays")
        return
    if quality.draw is None:
        return
    sign, word = (">", "stays") if quality.keep else ("<=", "leaves")
    yield "", Text(f"u {quality.u:.4f} -> draw (1 - u)^(-1/{alpha:g}) - 1 = {quality.draw:.4f}")
    yield "", Text(f"draw {quality.draw:.4f} {sign} 1 - score {1 - quality.score:.4f}: {word}")
    yield "", Text(f"P(keep) at this score: (2 - score)^-{alpha:g} = {quality.chance:.1%}")


def _duplicate_rows(known: Fate) -> Iterator[Row]:
    found = known.duplicate
    assert found is not None
    if found.keep:
        others = (
            f"; documents that left in its favour: {found.left_for_it}" if found.left_for_it else ""
        )
        yield "dedup", Text(f"no document of higher priority is like it{others}")
    else:
        yield "dedup", Text(f"{found.reason}: {REASONS.get(found.reason or '', '')}")
    if found.repeated_lines or found.repeated_paragraphs:
        yield "", Text(_repeated(found))
    if found.kept_id is None:
        return
    url = f", {clean(found.kept_url)}" if found.kept_url else ""
    yield "", Text(f"stays: {found.kept_dataset} {clean(found.kept_id or '')}{url}")
    yield "", Text(f"Jaccard {found.jaccard:.4f}, measured on the full feature sets")
    yield "", differences(known.text, found.kept_text or "")


def _repeated(found: Duplicate) -> str:
    return (
        f"{found.repeated_lines:.1%} of its characters in lines that it said before, "
        f"{found.repeated_paragraphs:.1%} in paragraphs"
    )


def differences(own: str, kept: str, most: int = MOST_PLACES) -> Text:
    """Both texts where they differ, a few words around: -only this document's-, +only the kept one's+; `most` places, and the counts."""
    found = compare(own, kept)
    if not found.places:
        return Text(
            "the texts are equal, word by word" if own != kept else "the texts are equal",
            style="dim",
        )
    out = Text(
        f"{found.count('both'):,} words in common; -{found.count('own'):,}- only here, +{found.count('kept'):,}+ only there, "
        f"in {found.places:,} {'place' if found.places == 1 else 'places'}\n",
        style="dim",
    )
    marks = {"both": ("", "not dim"), "own": ("-", "not dim red"), "kept": ("+", "not dim green")}
    for part in found.shown(most):
        mark, style = marks[part.kind]
        out.append(mark + " ".join(clean(word, 60) for word in part.words) + mark, style=style)
        out.append(" ")
    if found.places > most:
        out.append(f"(and {found.places - most:,} places more)")
    return out


def side_by_side(pair: dict[str, Any], chars: int = 600) -> Table:
    """A near duplicate beside the document that stays, their differences below: from a dict of `frames.duplicate_pairs`."""
    table = Table(show_lines=True, expand=True)
    table.add_column(Text(f"left: {pair['dataset']} {clean(pair['id'])}"), ratio=1)
    table.add_column(
        Text(
            f"stays: {pair['kept_dataset']} {clean(pair['kept_id'])} (Jaccard {pair['jaccard']:.3f})"
        ),
        ratio=1,
    )
    table.add_row(Text(clean(pair["text"], chars)), Text(clean(pair["kept_text"], chars)))
    table.add_row(
        Text("where they differ, -left- and +stays+", style="dim"),
        differences(pair["text"], pair["kept_text"]),
    )
    return table


def _overlap_rows(text: str, overlap: Overlap) -> Iterator[Row]:
    if not overlap.quotes:
        yield "decontaminate", Text("shares no gram with any benchmark")
        return
    hits = sum(quote.grams for quote in overlap.quotes)
    yield "decontaminate", Text(f"hits: {hits:,}, in places: {len(overlap.quotes):,}")
    for quote in overlap.quotes[:MOST_QUOTES]:
        owners = ", ".join(map(clean, quote.owners[:3]))
        more = f" and {len(quote.owners) - 3} more" if len(quote.owners) > 3 else ""
        ignored = (
            f" ({quote.ignored} of them ignored: in too many documents)" if quote.ignored else ""
        )
        row = Text(f"[{quote.start:,}, {quote.end:,}) ", style="dim")
        row.append(f"“{clean(text[quote.start : quote.end], 240)}”", style="not dim yellow")
        row.append(f" {quote.grams} grams{ignored}: {owners}{more}", style="not dim")
        yield "", row
    if len(overlap.quotes) > MOST_QUOTES:
        yield "", Text(f"… and places more: {len(overlap.quotes) - MOST_QUOTES:,}", style="dim")
    if overlap.keep is None:
        return
    lost = sum(end - start for start, end in overlap.cuts)
    yield "", Text(f"cut: {lost:,} characters, {_spans(overlap.cuts)}")
    if overlap.pieces is None:
        yield "", Text("pieces: the whole text" if overlap.keep else "pieces: none")
    elif overlap.pieces:
        yield "", Text(f"pieces: {len(overlap.pieces)}, {_spans(overlap.pieces)}")
    if overlap.reason:
        yield "", Text(f"{overlap.reason}: {REASONS.get(overlap.reason, '')}")


def _spans(spans: tuple[tuple[int, int], ...]) -> str:
    some = " ".join(f"[{start:,}, {end:,})" for start, end in spans[:6])
    return some + (" …" if len(spans) > 6 else "")


def _placed_rows(placed: Placed) -> Iterator[Row]:
    pieces = (
        ""
        if len(placed.counts) == 1
        else " in pieces of " + ", ".join(f"{n:,}" for n in placed.counts[:8])
    )
    yield "tokenize", Text(f"{sum(placed.counts):,} tokens{pieces}, end-of-text tokens included")
    if not placed.mixed:
        yield "mix", Text("not placed in any shard")
    elif placed.held_out:
        yield "mix", Text(f"held out for validation: {', '.join(placed.shards)}")
    elif not placed.shards:
        yield (
            "mix",
            Text(
                f"in no shard: {placed.epochs:.2f} of the dataset take part, and its draw is beyond that"
            ),
        )
    else:
        names = [name if n == 1 else f"{name} ({n:,})" for name, n in placed.shards.items()]
        more = f" and {len(names) - MOST_SHARDS} more" if len(names) > MOST_SHARDS else ""
        yield "mix", Text(", ".join(names[:MOST_SHARDS]) + more)
        placings = sum(placed.shards.values())
        times = f"; the dataset is read {placed.epochs:,.2f} times"
        yield (
            "",
            Text(
                f"{placed.chunks:,} {'chunk' if placed.chunks == 1 else 'chunks'}, {placings:,} placings{times}",
                style="dim",
            ),
        )
