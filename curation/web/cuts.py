"""Every cut to look at: the text before and after, which words matched, and whose they are. One HTML page, nothing fetched.

Cost: the decision table of every shard, and the texts of the documents shown. Memory: those of one shard.

Trap: texts and ids come from pages; every string goes through `escape`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curation import draws, store
from curation.inspect.evidence import frames
from curation.inspect.evidence.fate import common_grams, owners_of
from curation.stages.decontaminate.benchmarks import load_table
from curation.web.page import STYLE

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

AROUND = 240  # characters shown on each side of a cut
MOST_OWNERS = 3  # examples named for each match
Span = tuple[int, int]
OWN_STYLE = """
article { margin: 1.2rem 0; padding: .8rem 1rem; background: var(--card); border-radius: .5rem; overflow-wrap: anywhere }
article.removed { border-left: 4px solid var(--curve) } .two { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)) } .two p { white-space: pre-line; font-size: .85rem }
del { text-decoration: none; background: color-mix(in srgb, var(--curve) 18%, transparent) }
mark { color: inherit; background: color-mix(in srgb, var(--curve) 45%, transparent) }
ins { text-decoration: none; color: var(--curve) } li { font-size: .85rem }
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """One document that was cut: spans in code points of its text."""

    dataset: str
    id: str
    url: str | None
    text: str
    reason: str | None
    cuts: tuple[Span, ...]
    pieces: tuple[Span, ...]
    matches: tuple[
        tuple[Span, str, tuple[str, ...]], ...
    ]  # where, the gram's words, "benchmark example-id" of those that hold it


def write_cuts(
    rundir: RunDirectory, plan: Plan, path: str, *, benchmark: str = "", n: int = 100
) -> int:
    """Write the page for `n` documents that were cut (0: all), of one benchmark or any; returns how many it shows."""
    shown = list(cuts(rundir, plan, benchmark, n))
    store.write_bytes(path, _page(shown, benchmark).encode())
    return len(shown)


def cuts(rundir: RunDirectory, plan: Plan, benchmark: str = "", n: int = 100) -> Iterator[Cut]:
    """Documents that decontaminate cut, drawn by id where there are more than `n`, in the order of the plan."""
    found = [
        (shard, row)
        for shard in plan.shards
        for row in _cut_rows(rundir, shard, benchmark).tolist()
    ]
    if n and len(found) > n:
        keys = [f"{shard} {row}".encode() for shard, row in found]
        chosen = np.argsort(draws.uniforms(0, "inspect/cuts", keys), kind="stable")[:n]
        found = [found[i] for i in sorted(chosen.tolist())]
    for shard in dict.fromkeys(shard for shard, _ in found):
        yield from _read(rundir, shard, np.array([row for s, row in found if s == shard], np.int64))


def _cut_rows(rundir: RunDirectory, shard: Shard, benchmark: str) -> npt.NDArray[np.int64]:
    path = rundir.decision("decontaminate", shard)
    if not store.exists(path):
        return np.zeros(0, np.int64)
    rows = np.flatnonzero(np.asarray(frames.column(path, "cuts").is_valid()))
    if not benchmark or not len(rows):
        return rows
    hits = _hits(rundir, shard)
    names = owners_of(rundir, hits["gram"])
    own = [
        any(name.rpartition(" ")[0] == benchmark for name in names[gram])
        for gram in hits["gram"].tolist()
    ]
    return rows[np.isin(rows, hits["row"][np.array(own, bool)])]


def _hits(rundir: RunDirectory, shard: Shard) -> dict[str, npt.NDArray[np.int64]]:
    """The hits that counted, by column."""
    table = store.read_table(
        rundir.table("decontaminate", shard, "evidence"), ["row", "start", "end", "gram"]
    )
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    counted = ~np.isin(columns["gram"], common_grams(rundir))
    return {name: column[counted] for name, column in columns.items()}


def _read(rundir: RunDirectory, shard: Shard, rows: npt.NDArray[np.int64]) -> Iterator[Cut]:
    hits = _hits(rundir, shard)
    shown = np.isin(hits["row"], rows)
    hits = {name: column[shown] for name, column in hits.items()}
    names = owners_of(rundir, hits["gram"])
    folder = rundir.path("decontaminate", "benchmarks")
    table = load_table(folder, store.read_json(store.join(folder, "card.json"))["identity"])
    texts = frames.take(rundir.survivors(shard), rows, ["id", "url", "text"]).to_pylist()
    decided = frames.take(
        rundir.decision("decontaminate", shard), rows, ["reason", "cuts", "pieces"]
    ).to_pylist()
    for row, document, outcome in zip(rows.tolist(), texts, decided, strict=True):
        own = np.flatnonzero(hits["row"] == row)
        matches = tuple(
            (
                (int(hits["start"][i]), int(hits["end"][i])),
                table.gram_text(gram),
                tuple(names[gram]),
            )
            for i, gram in zip(own.tolist(), hits["gram"][own].tolist(), strict=True)
        )
        cut, left = (
            tuple((s["start"], s["end"]) for s in outcome[key] or ()) for key in ("cuts", "pieces")
        )
        yield Cut(
            shard.dataset,
            document["id"],
            document["url"],
            document["text"],
            outcome["reason"],
            cut,
            left,
            matches,
        )


# ---- the page --------------------------------------------------------------------------------------------------------------------------


def _page(shown: list[Cut], benchmark: str) -> str:
    of = f" of {escape(benchmark)}" if benchmark else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>curation: cuts</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{OWN_STYLE}</style></head><body>\n<h1>What was cut</h1>"
        f"<p>{len(shown):,} documents that share words with examples{of}. Left the text before, with the words that matched "
        "<mark>marked</mark> in what was <del>cut out</del>; right what is left.</p>\n"
        + "\n".join(map(_article, shown))
        + "\n</body></html>\n"
    )


def _article(cut: Cut) -> str:
    gone = f", <strong>removed: {escape(cut.reason)}</strong>" if cut.reason else ""
    url = f"<br>{escape(cut.url)}" if cut.url else ""
    lost = sum(end - start for start, end in cut.cuts)
    head = (
        f"<h3>{escape(cut.dataset)} {escape(cut.id)}</h3><p class='dim'>{len(cut.text):,} characters, {lost:,} cut out, "
        f"pieces that stay: {len(cut.pieces)}{gone}{url}</p>"
    )
    body = f"<div class='two'><p>{_before(cut)}</p><p>{_after(cut)}</p></div>"
    kind = " class='removed'" if cut.reason else ""
    return f"<article{kind}>{head}{body}<ul>{_owners(cut)}</ul></article>"


def _before(cut: Cut) -> str:
    """The text with cuts and matches marked, far stretches left out."""
    marked = _merged([span for span, _, _ in cut.matches])
    out, at = [], 0
    for start, end in cut.cuts:
        out += [_elided(cut.text[at:start], at == 0), "<del>"]
        inner = start
        for a, b in marked:
            if start <= a < end:
                out += [escape(cut.text[inner:a]), f"<mark>{escape(cut.text[a:b])}</mark>"]
                inner = b
        out += [escape(cut.text[inner:end]), "</del>"]
        at = end
    return "".join([*out, _elided(cut.text[at:], False, True)])


def _after(cut: Cut) -> str:
    if not cut.pieces:
        return "<ins>nothing</ins>"
    gap = "<br><ins>— cut —</ins><br>"
    last = len(cut.pieces) - 1
    parts = [_elided(cut.text[a:b], i == 0, i == last) for i, (a, b) in enumerate(cut.pieces)]
    first = "" if cut.pieces[0][0] == 0 else gap
    return first + gap.join(parts) + ("" if cut.pieces[-1][1] == len(cut.text) else gap)


def _elided(text: str, first: bool, last: bool = False) -> str:
    """A stretch between cuts: all of it, or what is near the cuts; nothing is near at the text's own ends."""
    head, tail = (0 if first else AROUND), (0 if last else AROUND)
    if len(text) <= head + tail + 2 * AROUND:
        return escape(text)
    note = f"<span class='dim'> [… {len(text) - head - tail:,} characters …] </span>"
    return escape(text[:head]) + note + escape(text[len(text) - tail :])


def _merged(spans: list[Span]) -> list[Span]:
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def _owners(cut: Cut) -> str:
    """Each run of overlapping matches once: its first gram, how many there are, and the examples that hold them."""
    items = []
    for start, end in _merged([span for span, _, _ in cut.matches]):
        own = [match for match in cut.matches if start <= match[0][0] < end]
        names = list(dict.fromkeys(name for _, _, owners in own for name in owners))
        more = f" and {len(names) - MOST_OWNERS} more" if len(names) > MOST_OWNERS else ""
        items.append(
            f"<li>“{escape(own[0][1])}”{f' and {len(own) - 1} grams more' if len(own) > 1 else ''} "
            f"at {start:,}: <strong>{escape(', '.join(names[:MOST_OWNERS]))}</strong>{more}</li>"
        )
    return "".join(items)
