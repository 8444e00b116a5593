"""Every cut to look at: the text before and after. One HTML page, nothing fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation import store
from curation.inspect.evidence.cuts import Cut, Span, cuts
from curation.web.marked import Segment
from curation.web.templating import standalone

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

AROUND = 240  # characters shown on each side of a cut
MOST_OWNERS = 3  # examples named for each match
GAP = Segment("\n— cut —\n", "note")


@dataclass(frozen=True, slots=True)
class Place:
    """A run of overlapping matches: where it begins, its first gram, how many others, and whose."""

    start: int
    words: str
    others: int
    owners: list[str]


def write_cuts(
    rundir: RunDirectory, plan: Plan, path: str, *, benchmark: str = "", n: int = 100
) -> int:
    """Write the page for `n` documents that were cut (0: all); returns how many it shows."""
    shown = list(cuts(rundir, plan, benchmark, n))
    store.write_bytes(path, cuts_page(shown, benchmark).encode())
    return len(shown)


def cuts_page(shown: list[Cut], benchmark: str) -> str:
    """The page."""
    return standalone(
        "cuts.html",
        "curation: cuts",
        cuts=[(cut, _before(cut), _after(cut), _places(cut)) for cut in shown],
        benchmark=benchmark,
        cut_out=lambda cut: sum(end - start for start, end in cut.cuts),
        MOST_OWNERS=MOST_OWNERS,
    )


def _before(cut: Cut) -> list[Segment]:
    """The text with cuts and matches marked, far stretches left out."""
    marked = _merged([match.span for match in cut.matches])
    out, at = list[Segment](), 0
    for start, end in cut.cuts:
        out += _elided(cut.text[at:start], at == 0)
        inner = start
        for a, b in marked:
            if start <= a < end:
                out += [Segment(cut.text[inner:a], "cut"), Segment(cut.text[a:b], "cut quoted")]
                inner = b
        out.append(Segment(cut.text[inner:end], "cut"))
        at = end
    return [*out, *_elided(cut.text[at:], False, True)]


def _after(cut: Cut) -> list[Segment]:
    """The pieces that are kept, with what lies between; none where nothing is."""
    out = list[Segment]()
    last = len(cut.pieces) - 1
    for i, (a, b) in enumerate(cut.pieces):
        if a:
            out.append(GAP)
        out += _elided(cut.text[a:b], i == 0, i == last)
    return [*out, GAP] if out and cut.pieces[-1][1] != len(cut.text) else out


def _elided(text: str, first: bool, last: bool = False) -> list[Segment]:
    """A stretch between cuts: all of it, or what is near the cuts before and after it."""
    head, tail = (0 if first else AROUND), (0 if last else AROUND)
    if len(text) <= head + tail + 2 * AROUND:
        return [Segment(text, "")]
    note = Segment(f" [… {len(text) - head - tail:,} characters …] ", "note")
    return [Segment(text[:head], ""), note, Segment(text[len(text) - tail :], "")]


def _merged(spans: list[Span]) -> list[Span]:
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def _places(cut: Cut) -> list[Place]:
    places = []
    for start, end in _merged([match.span for match in cut.matches]):
        matches = [match for match in cut.matches if start <= match.span[0] < end]
        owners = list(dict.fromkeys(name for match in matches for name in match.owners))
        places.append(Place(start, matches[0].words, len(matches) - 1, owners))
    return places
