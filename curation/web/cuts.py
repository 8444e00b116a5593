"""Every cut to look at: the text before and after. One HTML page, nothing fetched.

Trap: texts and ids come from pages; every string goes through `escape`.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from curation import store
from curation.inspect.evidence.cuts import Cut, Span, cuts
from curation.web import markup

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

AROUND = 240  # characters shown on each side of a cut
MOST_OWNERS = 3  # examples named for each match
CUTS_STYLE = """
article { margin: 1.2rem 0; padding: .8rem 1rem; background: var(--card); border-radius: .5rem; overflow-wrap: anywhere }
article.removed { border-left: 4px solid var(--curve) } .two { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)) } .two p { white-space: pre-line; font-size: .85rem }
del { text-decoration: none; background: color-mix(in srgb, var(--curve) 18%, transparent) }
mark { color: inherit; background: color-mix(in srgb, var(--curve) 45%, transparent) }
ins { text-decoration: none; color: var(--curve) } li { font-size: .85rem }
"""


def write_cuts(
    rundir: RunDirectory, plan: Plan, path: str, *, benchmark: str = "", n: int = 100
) -> int:
    """Write the page for `n` documents that were cut (0: all); returns how many it shows."""
    shown = list(cuts(rundir, plan, benchmark, n))
    store.write_bytes(path, cuts_page(shown, benchmark).encode())
    return len(shown)


def cuts_page(shown: list[Cut], benchmark: str) -> str:
    """The page."""
    of = f" of {escape(benchmark)}" if benchmark else ""
    body = (
        f"<h1>What was cut</h1><p>{len(shown):,} documents that share words with examples{of}. "
        "Left the text before, with the words that matched <mark>marked</mark> in what was "
        "<del>cut out</del>; right what is kept.</p>\n"
    )
    return markup.document("curation: cuts", body + "\n".join(map(_article, shown)), CUTS_STYLE)


def _article(cut: Cut) -> str:
    removed = f", <strong>removed: {escape(cut.reason)}</strong>" if cut.reason else ""
    url = f"<br>{escape(cut.url)}" if cut.url else ""
    cut_out = sum(end - start for start, end in cut.cuts)
    head = (
        f"<h3>{escape(cut.dataset)} {escape(cut.id)}</h3><p class='dim'>{len(cut.text):,} "
        f"characters, {cut_out:,} cut out, pieces kept: {len(cut.pieces)}{removed}{url}</p>"
    )
    body = f"<div class='two'><p>{_before(cut)}</p><p>{_after(cut)}</p></div>"
    kind = " class='removed'" if cut.reason else ""
    return f"<article{kind}>{head}{body}<ul>{_owners(cut)}</ul></article>"


def _before(cut: Cut) -> str:
    """The text with cuts and matches marked, far stretches left out."""
    marked = _merged([match.span for match in cut.matches])
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
    """A stretch between cuts: all of it, or what is near the cuts before and after it."""
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
    """Each run of overlapping matches: its first gram, how many others, and the examples."""
    items = []
    for start, end in _merged([match.span for match in cut.matches]):
        matches = [match for match in cut.matches if start <= match.span[0] < end]
        names = list(dict.fromkeys(name for match in matches for name in match.owners))
        more = f" and {len(names) - MOST_OWNERS} more" if len(names) > MOST_OWNERS else ""
        others = f" and {len(matches) - 1} grams more" if len(matches) > 1 else ""
        owners = f"<strong>{escape(', '.join(names[:MOST_OWNERS]))}</strong>{more}"
        items.append(f"<li>“{escape(matches[0].words)}”{others} at {start:,}: {owners}</li>")
    return "".join(items)
