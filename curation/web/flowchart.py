"""Flows as inline SVG: the funnel from top to bottom, and fates of one run beside those of another.

Widths are documents to one scale. Every number is written, and every stream is a link where it has
an address. Trap: names come from recipes and tables; all are escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, STREAMS_WIDTH = 470, 640
TRUNK, LEFT, STEP, LANE, GAP = 150.0, 4.0, 30, 19.0, 7.0
LABEL = 215  # where the labels of what leaves begin


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a funnel: how many documents go on, and the streams that leave: (name, documents,
    address)."""

    name: str
    documents: int
    address: str
    leaving: tuple[tuple[str, int, str], ...] = ()


def funnel_chart(title: str, steps: Sequence[Step]) -> str:
    """The first step is what came in; each other leaves some of what the one before had."""
    scale = TRUNK / max([1, *(step.documents for step in steps)])
    body, y, before = [], 0.0, 0.0
    for step in steps:
        after = scale * step.documents
        if step.leaving:
            branches, height = _branches(step, y, max(before, after), scale)
            body += [_block(after, y, height, "trunk"), *branches]
            y += height
        body.append(_block(after, y, STEP, "level"))
        at = f'x="{LEFT + after + 9:.1f}" y="{y + STEP / 2 + 4:.1f}"'
        text = escape(f"{step.documents:,} {step.name}")
        body.append(_link(step.address, f'<text class="strong" {at}>{text}</text>'))
        before = after
        y += STEP
    return _svg(title, WIDTH, y + 4, body)


def _branches(step: Step, y: float, before: float, scale: float) -> tuple[list[str], float]:
    """What leaves between two steps, each as a band as thick as its documents, and the height of all."""
    out, right, top = [], LEFT + before, y + GAP
    for name, documents, address in step.leaving:
        thick = scale * documents
        lane = max(LANE, thick + GAP)
        upper = top + (lane - thick) / 2
        inner, lower = right - thick, upper + thick
        band = (
            f"M {right:.1f} {y:.1f} C {right:.1f} {upper:.1f} {right:.1f} {upper:.1f} "
            f"{LABEL - 8} {upper:.1f} V {lower:.1f} C {inner:.1f} {lower:.1f} {inner:.1f} "
            f"{lower:.1f} {inner:.1f} {y:.1f} Z"
        )
        text = f"{documents:,} {name}"
        label = f'<text x="{LABEL}" y="{top + lane / 2 + 4:.1f}">{escape(text)}</text>'
        path = f'<path class="leaving" d="{band}"/>'
        out.append(_link(address, f"<title>{escape(text)}</title>{path}{label}"))
        right, top = inner, top + lane
    return out, top + GAP - y


def _block(width: float, y: float, height: float, kind: str) -> str:
    size = f'width="{max(width, 1.5 * (width > 0)):.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" x="{LEFT}" y="{y:.1f}" {size}/>'


@dataclass(frozen=True, slots=True)
class Stream:
    """Documents that had the fate `before` and have `after`."""

    before: str
    after: str
    documents: int
    address: str


def streams_chart(title: str, streams: Sequence[Stream]) -> str:
    """Fates of one run left, of the other right, to a scale by the root: small ones stay visible."""
    left = _places(streams, "before")
    right = _places(streams, "after")
    at = {("l", n): y for n, (y, _) in left.items()} | {("r", n): y for n, (y, _) in right.items()}
    body = []
    for stream in streams:
        h = _height(stream.documents)
        y1, y2 = at["l", stream.before] + h / 2, at["r", stream.after] + h / 2
        at["l", stream.before] += h
        at["r", stream.after] += h
        kind = "same" if stream.before == stream.after else "changed"
        text = f"{stream.documents:,} documents: {stream.before} → {stream.after}"
        path = (
            f'<path class="{kind}" stroke-width="{h:.1f}" '
            f'd="M 225 {y1:.1f} C 320 {y1:.1f}, 320 {y2:.1f}, 415 {y2:.1f}"/>'
        )
        body.append(_link(stream.address, f"<title>{escape(text)}</title>{path}"))
    for places, x, anchor in ((left, 215, "end"), (right, 425, "start")):
        for name, (y, count) in places.items():
            text = f"{name if len(name) < 32 else name[:31] + '…'}"
            body.append(
                f'<text x="{x}" y="{y + 11:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
            )
            body.append(
                f'<text class="strong" x="{x}" y="{y + 25:.1f}" text-anchor="{anchor}">{count:,}</text>'
            )
    ends = [y + 34 for y, _ in (*left.values(), *right.values())]
    return _svg(title, STREAMS_WIDTH, max([40.0, *ends, *(y + 8 for y in at.values())]), body)


def _height(documents: int) -> float:
    return max(1.5, min(90.0, 1.6 * math.sqrt(documents)))


def _places(streams: Sequence[Stream], side: str) -> dict[str, tuple[float, int]]:
    """Where each fate begins on its side, and its documents."""
    sums: dict[str, tuple[float, int]] = {}
    for stream in streams:
        name = getattr(stream, side)
        height, count = sums.get(name, (0.0, 0))
        sums[name] = height + _height(stream.documents), count + stream.documents
    places, y = {}, 6.0
    for name, (height, count) in sorted(
        sums.items(), key=lambda item: (item[0] != "kept", -item[1][1])
    ):
        places[name] = y, count
        y += max(38.0, height + 12)
    return places


def _link(address: str, inner: str) -> str:
    return f'<a href="{escape(address)}">{inner}</a>' if address else f"<g>{inner}</g>"


def _svg(title: str, width: int, height: float, body: Sequence[str]) -> str:
    label = escape(title)
    return (
        f'<svg class="flow{" streams" * (width == STREAMS_WIDTH)}" viewBox="0 0 {width} {height:.0f}" role="group" aria-label="{label}">'
        f"{''.join(body)}</svg>"
    )
