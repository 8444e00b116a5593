"""`curation explain` on a terminal: a document's fate, the verdict first.

Trap: everything that comes from a page is printed as plain text, without control characters.
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
from curation.inspect.evidence.fate import Benchmarks, Duplicate, Fate, Placed, Quality, Ruled, fate
from curation.inspect.evidence.find import DocumentRow, RejectRow, find
from curation.inspect.numbers import counted, percent
from curation.rundir.schema import REASONS

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

MOST_PLACES = 12  # where a near duplicate differs
MOST_QUOTES = 8
MOST_SHARDS = 8
MOST_LINE = 600  # characters of a line of the story
Row = tuple[str, Text]


def explain(rundir: RunDirectory, plan: Plan, key: str, console: Console) -> None:
    """Print the fate of every document and reject with this id or URL.

    Raises InputError where there is none.
    """
    documents, rejects = need_found(rundir, plan, key)
    if len(documents) + len(rejects) > 1:
        console.print(
            f"{key}: {len(documents)} documents and {len(rejects)} rejects",
            highlight=False,
            markup=False,
        )
    for document in documents:
        console.print(story(rundir, fate(rundir, plan, document)))
    for reject in rejects:
        console.print(reject_story(reject))


def need_found(
    rundir: RunDirectory, plan: Plan, key: str
) -> tuple[list[DocumentRow], list[RejectRow]]:
    """Every document and reject with this id or URL. Raises InputError where there is none."""
    documents, rejects = find(rundir, plan, key)
    if not documents and not rejects:
        raise InputError(
            f"{key!r} is neither the id nor the URL of a document or reject in {rundir.out}; "
            f"both are compared exactly (`curation sample {rundir.out}` shows some)"
        )
    return documents, rejects


def clean(text: str, most: int = 0) -> str:
    """Text that is safe on a terminal: single spaces, no control characters, at most `most` long.

    >>> clean("a\\x1b[31m  b\\nc")
    'a[31m b c'
    """
    flat = " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())
    return flat if not most or len(flat) <= most else flat[: most - 1] + "…"


# ---- the verdict


def verdict(fate: Fate) -> tuple[str, str]:
    """What became of the document in one line, and its colour."""
    quality, duplicate, placed = fate.quality, fate.duplicate, fate.placed
    if fate.ruled and not fate.ruled.keep:
        more = fate.ruled.fired[1:]
        also = f" (and by {', '.join(more)})" if more else ""
        return f"removed by filter: {fate.ruled.fired[0]}{also}", "red"
    if quality and quality.keep is False:
        return (
            f"removed by classify: low_quality (score {quality.score:.3f}, draw "
            f"{quality.draw:.3f}; more than {1 - quality.score:.3f} was needed)"
        ), "red"
    if duplicate and duplicate.reason == "repetitive":
        return f"removed by dedup: repetitive ({_repeated(duplicate)})", "red"
    if duplicate and not duplicate.keep:
        return (
            f"removed by dedup: {duplicate.reason} of {clean(duplicate.kept_id or '')} "
            f"in {duplicate.kept_dataset} (Jaccard {duplicate.jaccard:.3f})"
        ), "red"
    if fate.benchmarks and fate.benchmarks.keep is False:
        hits = f"hits in {len(fate.benchmarks.quotes):,} places"
        return f"removed by decontaminate: {fate.benchmarks.reason} ({hits})", "red"
    if placed and placed.reason:
        return f"removed by tokenize: {placed.reason}", "red"
    if placed and placed.mixed:
        return _kept_verdict(placed), "green"
    if placed:
        return f"kept: {sum(placed.counts):,} tokens, in no shard (yet)", "green"
    return f"still in after {_last_stage(fate)}", "green"


def _kept_verdict(placed: Placed) -> str:
    tokens = f"{sum(placed.counts):,} tokens"
    if placed.held_out:
        return f"kept: {tokens}, held out in {', '.join(placed.shards)}"
    if not placed.shards:
        return f"kept: {tokens}, but in no shard: the mixture takes {percent(placed.epochs, 0)} of such documents"
    names = list(placed.shards)
    where = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"kept: {tokens}, in {where}"


def _last_stage(fate: Fate) -> str:
    if fate.benchmarks:
        return "decontaminate"
    if fate.duplicate:
        return "dedup"
    if fate.quality:
        return "classify"
    return "filter" if fate.ruled else "extract"


# ---- the story


def story(rundir: RunDirectory, fate: Fate) -> Group:
    """The verdict, and under it stage by stage what was measured."""
    line, colour = verdict(fate)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for stage, text in _rows(rundir, fate):
        table.add_row(stage, text)
    head = Text(f"{fate.dataset} {clean(fate.document.columns['id'])}", style="dim")
    return Group(Rule(style="dim"), head, Text(line, style=f"bold {colour}"), Text(), table)


def reject_story(reject: RejectRow) -> Group:
    """A record that never became a document."""
    columns = reject.columns
    line = f"never became a document: {columns['reason']} ({REASONS.get(columns['reason'], '')})"
    where = Text(f"{reject.shard.dataset}: {_where(columns)}", style="dim")
    parts: list[RenderableType] = [Rule(style="dim"), where, Text(line, style="bold red")]
    if columns["detail"]:
        parts.append(Text(clean(columns["detail"], 400)))
    return Group(*parts)


def fate_lines(rundir: RunDirectory, fate: Fate) -> list[tuple[str, str]]:
    """The story as plain text: (stage, or "" where it goes on, line)."""
    return [(stage, clean(text.plain, MOST_LINE)) for stage, text in _rows(rundir, fate)]


def _where(columns: dict[str, Any]) -> str:
    offset = "" if columns["offset"] is None else f", offset {columns['offset']:,}"
    place = f", place {columns['place']:,} in it" if columns.get("place") else ""
    return clean(columns["archive"] or "unknown file") + offset + place


def _rows(rundir: RunDirectory, fate: Fate) -> Iterator[Row]:
    columns = fate.document.columns
    yield "extract", Text(f"{_where(columns)}; {len(fate.text):,} characters")
    if columns["url"]:
        date = f" ({clean(columns['date'])})" if columns["date"] else ""
        yield "", Text(clean(columns["url"]) + date)
    yield "", Text(_language(columns))
    if rights := _rights(columns):
        yield "", Text(rights)
    yield "", Text(clean(fate.text, 160), style="italic dim")
    if fate.ruled:
        yield from _ruled_rows(rundir, fate.ruled, fate.text)
    if fate.quality:
        yield from _quality_rows(rundir.recipe.classify.alpha, fate.quality)
    if fate.duplicate:
        yield from _duplicate_rows(fate.text, fate.duplicate)
    if fate.benchmarks and (fate.benchmarks.keep is not None or fate.benchmarks.quotes):
        yield from _benchmark_rows(fate.text, fate.benchmarks)
    if fate.placed and fate.placed.counts:
        yield from _placed_rows(fate.placed)


def _language(columns: dict[str, Any]) -> str:
    """What the model and the crawl itself say of a document's language."""
    line = f"language {columns['language'] or 'unknown'} ({columns['language_score'] or 0:.2f})"
    if not columns["crawl_language"]:
        return line
    share, reliable = columns["crawl_language_share"], columns["crawl_language_reliable"]
    of_it = "" if share is None else f", {share:.2f} of the page"
    sure = "" if reliable is None else ", reliable" if reliable else ", not reliable"
    return f"{line}; the crawl says {columns['crawl_language']}{of_it}{sure}"


def _ruled_rows(rundir: RunDirectory, ruled: Ruled, text: str) -> Iterator[Row]:
    """Each rule that is true or null with the values that it read; then what is masked."""
    from curation.recipe.rules import columns_of

    rules = {rule.name: rule.drop for rule in rundir.recipe.filter.rule}
    line = "no rule is true of it" if ruled.keep else f"{ruled.fired[0]} removes it"
    yield "filter", Text(f"{line}; {counted(len(rules), 'rule')} looked at")
    for name in ruled.fired:
        read = sorted(columns_of(name, rules[name]) & ruled.signals.keys())
        values = ", ".join(f"{signal} {_value(ruled.signals[signal])}" for signal in read)
        yield "", Text(clean(f"{name} is true: {rules[name]}" + f" ({values})" * bool(read)))
    if ruled.undecided:
        yield "", Text(clean(f"null, so undecided: {', '.join(ruled.undecided)}"))
    for signal, replacement in rundir.recipe.filter.mask.items():
        masked = [text[span["start"] : span["end"]] for span in ruled.signals[signal]]
        for line in _masked_lines(masked, replacement):
            yield "", Text(f"{signal}: {line}")


def _masked_lines(masked: list[str], replacement: str) -> Iterator[str]:
    """What is said of masked texts; those of white space alone are counted.

    >>> list(_masked_lines(["\\n", "Home\\n", "\\n"], ""))
    ['Home is left out', 'white space is left out in 2 places']
    """
    fate = f"is written as {clean(replacement)}" if replacement else "is left out"
    shown = [quote for text in masked if (quote := clean(text, 60))]
    for quote in shown[:MOST_QUOTES]:
        yield f"{quote} {fate}"
    if len(shown) > MOST_QUOTES:
        yield f"… and places more: {len(shown) - MOST_QUOTES:,}"
    if blank := len(masked) - len(shown):
        yield f"white space {fate} in {counted(blank, 'place')}"


def _value(value: Any) -> str:
    """A signal as it is shown: a number, a flag, or how many spans."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return counted(len(value), "span")
    return f"{value:,.4g}" if isinstance(value, float) else clean(str(value), 80)


def _rights(columns: dict[str, Any]) -> str:
    """What the page says of its use; "" where it says nothing."""
    robots, license_ = columns["robots"], columns["license"]
    parts = [f"robots {clean(robots)}"] if robots else []
    if license_:
        parts.append(f"license {clean(license_)} (by {clean(columns['license_from'] or '')})")
    return "; ".join(parts)


def _quality_rows(alpha: float, quality: Quality) -> Iterator[Row]:
    by = "" if quality.fold is None else f", by a model that has not seen fold {quality.fold}"
    yield "classify", Text(f"score {quality.score:.4f} (like the trusted corpora: 1){by}")
    if quality.chance is None:
        yield "", Text("not filtered: every document of this dataset is kept")
        return
    if quality.draw is None:
        return
    sign, outcome = (">", "kept") if quality.keep else ("<=", "removed")
    yield "", Text(f"u {quality.u:.4f} -> draw (1 - u)^(-1/{alpha:g}) - 1 = {quality.draw:.4f}")
    yield "", Text(f"draw {quality.draw:.4f} {sign} 1 - score {1 - quality.score:.4f}: {outcome}")
    yield "", Text(f"P(keep) at this score: (2 - score)^-{alpha:g} = {percent(quality.chance)}")


def _duplicate_rows(text: str, duplicate: Duplicate) -> Iterator[Row]:
    if duplicate.keep:
        others = f"; its duplicates removed: {duplicate.duplicates}" if duplicate.duplicates else ""
        yield "dedup", Text(f"no document of higher priority is like it{others}")
    else:
        yield "dedup", Text(f"{duplicate.reason}: {REASONS.get(duplicate.reason or '', '')}")
    if duplicate.repeated_lines or duplicate.repeated_paragraphs:
        yield "", Text(_repeated(duplicate))
    if duplicate.kept_id is None:
        return
    url = f", {clean(duplicate.kept_url)}" if duplicate.kept_url else ""
    yield "", Text(f"duplicate of: {duplicate.kept_dataset} {clean(duplicate.kept_id)}{url}")
    yield "", Text(f"Jaccard {duplicate.jaccard:.4f}, measured on the full feature sets")
    yield "", differences(text, duplicate.kept_text or "")


def _repeated(duplicate: Duplicate) -> str:
    return (
        f"{percent(duplicate.repeated_lines)} of its characters in repeated lines, "
        f"{percent(duplicate.repeated_paragraphs)} in repeated paragraphs"
    )


def differences(
    removed: str,
    kept: str,
    most: int = MOST_PLACES,
    names: tuple[str, str] = ("here", "in the kept one"),
) -> Text:
    """The first `most` places where two texts differ, -removed- and +kept+, after the counts;
    `names` says where each stands."""
    difference = compare(removed, kept)
    if not difference.places:
        how = "" if removed == kept else ", word by word"
        return Text(f"the texts are equal{how}", style="dim")
    counts = [f"{difference.count(kind):,}" for kind in ("both", "removed", "kept")]
    out = Text(
        f"{counts[0]} words in common; -{counts[1]}- only {names[0]}, +{counts[2]}+ only "
        f"{names[1]}, in {counted(difference.places, 'place')}\n",
        style="dim",
    )
    marks = {"both": ("", ""), "removed": ("-", " red"), "kept": ("+", " green")}
    for part in difference.shown(most):
        mark, colour = marks[part.kind]
        words = " ".join(clean(word, 60) for word in part.words)
        out.append(mark + words + mark, style=f"not dim{colour}")
        out.append(" ")
    if difference.places > most:
        out.append(f"(and {difference.places - most:,} places more)")
    return out


def _benchmark_rows(text: str, benchmarks: Benchmarks) -> Iterator[Row]:
    quotes = benchmarks.quotes
    if not quotes:
        yield "decontaminate", Text("shares no gram with any benchmark")
        return
    hits = sum(quote.grams for quote in quotes)
    yield "decontaminate", Text(f"hits: {hits:,}, in places: {len(quotes):,}")
    for quote in quotes[:MOST_QUOTES]:
        owners = ", ".join(map(clean, quote.owners[:3]))
        more = f" and {len(quote.owners) - 3} more" if len(quote.owners) > 3 else ""
        ignored = f" ({quote.ignored} of them ignored: in too many documents)"
        grams = f" {quote.grams} grams{ignored if quote.ignored else ''}: {owners}{more}"
        row = Text(f"[{quote.start:,}, {quote.end:,}) ", style="dim")
        row.append(f"“{clean(text[quote.start : quote.end], 240)}”", style="not dim yellow")
        yield "", row.append(grams, style="not dim")
    if len(quotes) > MOST_QUOTES:
        yield "", Text(f"… and places more: {len(quotes) - MOST_QUOTES:,}", style="dim")
    if benchmarks.keep is None:
        return
    cut = sum(end - start for start, end in benchmarks.cuts)
    yield "", Text(f"cut: {cut:,} characters, {_spans(benchmarks.cuts)}")
    if benchmarks.pieces is None:
        yield "", Text("pieces: the whole text" if benchmarks.keep else "pieces: none is kept")
    elif benchmarks.pieces:
        yield "", Text(f"pieces: {len(benchmarks.pieces)}, {_spans(benchmarks.pieces)}")
    if benchmarks.reason:
        yield "", Text(f"{benchmarks.reason}: {REASONS.get(benchmarks.reason, '')}")


def _spans(spans: tuple[tuple[int, int], ...]) -> str:
    shown = " ".join(f"[{start:,}, {end:,})" for start, end in spans[:6])
    return shown + (" …" if len(spans) > 6 else "")


def _placed_rows(placed: Placed) -> Iterator[Row]:
    counts = ", ".join(f"{n:,}" for n in placed.counts[:8])
    pieces = "" if len(placed.counts) == 1 else f" in pieces of {counts}"
    yield "tokenize", Text(f"{sum(placed.counts):,} tokens{pieces}, end-of-text tokens included")
    yield "mix", Text(_shards(placed))
    if placed.mixed and placed.shards and not placed.held_out:
        placings = f"{sum(placed.shards.values()):,} placings"
        times = f"the dataset is read {placed.epochs:,.2f} times"
        note = f"{counted(placed.chunks, 'chunk')}, {placings}; {times}"
        yield "", Text(note, style="dim")


def _shards(placed: Placed) -> str:
    """The shards that hold a document, or why none does."""
    if not placed.mixed:
        return "not placed in any shard"
    if placed.held_out:
        return f"held out for validation: {', '.join(placed.shards)}"
    if not placed.shards:
        share = f"{placed.epochs:.2f} of the dataset take part"
        return f"in no shard: {share}, and its draw is beyond that"
    names = [name if n == 1 else f"{name} ({n:,})" for name, n in placed.shards.items()]
    more = f" and {len(names) - MOST_SHARDS} more" if len(names) > MOST_SHARDS else ""
    return ", ".join(names[:MOST_SHARDS]) + more
