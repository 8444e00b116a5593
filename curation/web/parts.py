"""What the first page of browse and the report share: the numbers, the funnel as a flow and as a table,
hints, settings.

An address is given where there are pages to go to: `base` is where they begin, None in a report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curation.inspect.evidence.flow import Flow, Line, funnel_rows
from curation.inspect.numbers import nouns, percent, volume
from curation.rundir import ledger
from curation.rundir.schema import REASONS
from curation.web.flowchart import Step, funnel_chart
from curation.web.sections import TITLES
from curation.web.templating import query

MOST_LEAVING = 8  # reasons of a stage that are drawn one by one
UNLISTED = "not_a_page"  # counted by extract, and in no table
# A word of a warning; the page of browse that shows more, and the section of the report; what a reader
# finds or does there. The first that fits.
HINTS = (
    ("download", "", "", "Run the same command again: it asks for the missing files once more."),
    ("extract", "documents?fate=extract", "funnel", "each record says what was wrong."),
    ("classif", "classifier", "quality", "its figures on held-out sites say how far to trust it."),
    ("AUC", "classifier", "quality", "its figures on held-out sites say how far to trust it."),
    ("dedup", "duplicates", "duplicates", "the pairs show what the removed documents share."),
    ("decontaminate", "benchmarks", "benchmarks",
     "it names those with examples that were not looked for."),
    ("rule", "rules", "rules", "what each removes alone, and where its threshold lies."),
    ("validation", "", "", "Set mix.validation higher, or give the dataset more documents."),
    ("epochs", "mixture", "mixture",
     "lower the dataset's weight, or give it more documents."),
    ("not used", "mixture", "mixture",
     "set mix.tokens: datasets that are smaller than their share are then repeated."),
    ("times", "mixture", "mixture", "lower the dataset's weight, or give it more documents."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hint:
    """A warning and what to do about it: `advice`, after a link to `address` under the name `place`
    where there is one. All three are empty where no advice is known."""

    warning: str
    address: str
    place: str
    advice: str


def hint(warning: str, base: str | None) -> Hint:
    """A warning with its advice; `base` is where pages begin, None in a report.

    >>> hint("mix: a is repeated 9.0 times", None).address, hint("dedup: x", "/b").place
    ('#mixture', 'Duplicates')
    """
    found = next((row for row in HINTS if row[0] in warning), None)
    if found is None:
        return Hint(warning, "", "", "")
    _, page, section, advice = found
    if base is None:
        place = section.capitalize() if section not in TITLES else TITLES[section]
        return Hint(warning, f"#{section}" * bool(section), place, advice)
    return Hint(warning, f"{base}/{page}" * bool(page), page.partition("?")[0].capitalize(), advice)


def numbers(flows: list[Flow], stages: Sequence[str]) -> list[tuple[str, str, str]]:
    """(number, what it counts, what else to say of it), for a recipe of these stages."""
    total = flows[-1]
    last = next((stage for stage in reversed(stages) if stage != "mix"), "")
    kept = total.kept()
    records = total.find("extract", ledger.IN)
    documents = total.find("extract", ledger.KEPT)
    numbers = []
    if records:
        idle = unlisted(total)
        more = f"{idle:,} of them {'holds' if idle == 1 else 'hold'} no page" if idle else ""
        numbers.append(
            (f"{records.documents:,}", f"{nouns(records.documents, 'record')} read", more)
        )
    if documents:
        what = f"{nouns(documents.documents, 'document')} extracted"
        numbers.append((f"{documents.documents:,}", what, ""))
    if kept and (kept.stage != "extract" or last in ("", "extract")):
        whole = documents.documents if documents else 0
        share = f"{percent(kept.documents / whole)} of documents" if whole else ""
        is_end = kept.stage == last or not last
        noun = nouns(kept.documents, "document")
        what = f"{noun} kept" if is_end else f"{noun} left after {kept.stage} so far"
        numbers.append((f"{kept.documents:,}", what, share))
        if kept.tokens:
            about = "" if kept.exact else "about "
            numbers.append(
                (about + volume(kept.tokens), "tokens kept", f"{kept.chars:,} characters")
            )
    if total.placed:
        numbers.append((volume(total.placed), "tokens in training shards", "repetitions included"))
    return numbers


def unlisted(total: Flow) -> int:
    """Records that hold no page: warcinfo, requests, metadata."""
    line = total.find("extract", UNLISTED)
    return line.documents if line else 0


def chart(total: Flow, base: str | None) -> str:
    """The funnel of all datasets, drawn; every stream is a link where there is a base. Records that
    hold no page are left out."""
    steps: list[Step] = []
    stages = list(dict.fromkeys(line.stage for line in total.lines))
    for stage in stages:
        lines = [line for line in total.lines if line.stage == stage]
        entered, kept = (total.find(stage, outcome) for outcome in (ledger.IN, ledger.KEPT))
        if stage == "extract" and entered:
            steps.append(Step("records", entered.documents - unlisted(total), ""))
        idle = (*ledger.NO_REASONS, UNLISTED)
        removed = [line for line in lines if line.outcome not in idle and line.documents]
        name = "documents" if stage == "extract" else f"after {stage}"
        where = _documents(base)
        if stage == stages[-1] and stage != "extract":
            name, where = "kept", _documents(base, "kept")
        if removed or stage == "extract":
            leaving = _leaving(base, stage, removed)
            steps.append(Step(name, kept.documents if kept else 0, where, leaving))
        elif steps:
            last = steps[-1]
            steps[-1] = Step(name, last.documents, where, last.leaving)
    return funnel_chart("The funnel: documents from records to kept", steps)


def _documents(base: str | None, fate: str = "") -> str:
    """The address of the documents of a fate; empty where there are no pages."""
    return "" if base is None else f"{base}/documents{query(fate=fate)}"


def _leaving(base: str | None, stage: str, removed: list[Line]) -> tuple[tuple[str, int, str], ...]:
    removed = sorted(removed, key=lambda line: -line.documents)
    most = MOST_LEAVING if len(removed) > MOST_LEAVING + 1 else len(removed)
    shown, rest = removed[:most], removed[most:]
    leaving = [
        (line.outcome, line.documents, _documents(base, f"{stage}: {line.outcome}"))
        for line in shown
    ]
    if rest:
        count = sum(line.documents for line in rest)
        leaving.append((f"for {len(rest)} other reasons", count, _documents(base, stage)))
    return tuple(leaving)


@dataclass(frozen=True, slots=True)
class FunnelTable:
    """The funnel in numbers: `rows` of (name, class, cells of each dataset, address). `unlisted`:
    records that hold no page; `meanings`: what each reason means."""

    datasets: list[str]
    rows: list[tuple[str, str, list[str], str]]
    unlisted: int
    meanings: list[tuple[str, str]]


def table(flows: list[Flow]) -> FunnelTable:
    """The funnel in numbers, documents and tokens of all first."""
    rows, meanings = [], {}
    for row in funnel_rows(flows):
        total = row.lines[-1]
        cells = [_cell(row.removes, line) for line in (total, *row.lines[:-1])]
        cells.insert(1, _tokens(total))
        name = row.name.removeprefix("- ")
        is_reason = row.removes and row.outcome not in (*ledger.NO_REASONS, UNLISTED)
        address = query(fate=f"{row.stage}: {row.outcome}") if is_reason else ""
        rows.append((name, "lost" if row.removes else "stay", cells, address))
        if row.outcome in REASONS:
            meanings[row.outcome] = REASONS[row.outcome]
    names = [flow.dataset for flow in flows[:-1]]
    head = [flows[-1].dataset, "tokens", *names]
    return FunnelTable(head, rows, unlisted(flows[-1]), list(meanings.items()))


def _tokens(line: Line | None) -> str:
    """Tokens of all datasets, estimated ones with ~; empty where they are not known."""
    if line is None or line.tokens is None or not line.chars or line.outcome == ledger.IN:
        return ""
    return f"{'' if line.exact else '~'}{volume(line.tokens)}"


def _cell(removes: bool, line: Line | None) -> str:
    if line is None:
        return ""
    if removes and not line.documents:
        return f"{line.chars:,} characters" if line.chars else ""
    return f"{'−' if removes else ''}{line.documents:,}"


def settings(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """(key, value) of every setting of the stages of a recipe as a table; a rule is a row."""
    rows = [("seed", str(recipe["seed"]))]
    for name in recipe["stages"]:
        for key, value in recipe.get(name, {}).items():
            if (name, key) == ("filter", "rule"):
                rows += [(f"filter.rule {rule['name']}", str(rule["drop"])) for rule in value]
            else:
                rows.append((f"{name}.{key}", str(value)))
    return rows
