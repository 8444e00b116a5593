"""Charts of several lines, and of named points, as inline SVG like those of `charts.py`.

Lines differ by colour and dashes, so that they can be told apart without colours; every point has a
tooltip and, where it is known, its 95 % interval. Trap: names come from files; all are escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 10, 40
# Okabe and Ito's colours, which people with any kind of colour vision can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
DASHES = ("", "6 3", "2 3")


@dataclass(frozen=True)
class Point:
    """A value at a place, with its interval where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Line:
    """Points under a name; `colour` and `dash` are numbers of COLOURS and DASHES."""

    name: str
    points: tuple[Point, ...]
    colour: int = 0
    dash: int = 0


def line_chart(
    title: str,
    lines: Sequence[Line],
    ticks: Sequence[tuple[float, str]],
    *,
    label: str = "",
    level: float | None = None,
) -> str:
    """Lines over one axis from 0 to a round share above all of them, in percent.

    `ticks` are places on the axis below with what to write there; a line lies at `level`, such as
    that of guessing.
    """
    places = [place for place, _ in ticks] + [p.x for line in lines for p in line.points]
    tops = [p.high if p.high is not None else p.y for line in lines for p in line.points]
    scale = _Scale(min(places, default=0.0), max(places, default=1.0), 0.0, _top(tops))
    body = _grid(scale, ticks, label)
    if level:
        y = scale.y(level)
        ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
        tip = f"<title>guessing: {100 * level:.1f} %</title>"
        body.append(f'<line class="base" stroke-dasharray="1 4" {ends}>{tip}</line>')
    for line in lines:
        body += _drawn(scale, line)
    body += _legend(lines)
    return _svg(title, HEIGHT + 16 * len(lines), body)


def point_chart(title: str, points: Sequence[Point], *, labels: tuple[str, str] = ("", "")) -> str:
    """Named points: a share in percent from 0 to 100 below, a change in percent at the left."""
    most = 1.1 * max((abs(point.y) for point in points), default=0.0)
    most = next((top for top in (0.1, 0.2, 0.4, 0.6, 1.0) if most <= top), math.ceil(most))
    scale = _Scale(0.0, 1.0, -most, most)
    body = _grid(scale, [(i / 5, f"{20 * i} %") for i in range(6)], labels[0], signed=True)
    body.append(_text(LEFT, TOP + 10, labels[1], "start"))
    for point in points:
        x, y = scale.x(point.x), scale.y(point.y)
        tip = f"{point.name}: {100 * point.x:.1f} % clean, {100 * point.y:+.1f} %"
        body.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[0]}">'
            f"<title>{escape(tip)}</title></circle>"
        )
        end = x > WIDTH * 0.7
        body.append(_text(x - 7 if end else x + 7, y + 4, point.name, "end" if end else "start"))
    return _svg(title, HEIGHT, body)


@dataclass(frozen=True)
class _Scale:
    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        span = (self.right - self.left) or 1.0
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - self.left) / span

    def y(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)


def _top(values: Sequence[float]) -> float:
    """A round share above all values.

    >>> _top([0.31]), _top([0.02]), _top([])
    (0.4, 0.05, 1.0)
    """
    most = max(values, default=1.0)
    return next((top for top in (0.05, 0.1, 0.2, 0.4, 0.6, 0.8) if most <= top), 1.0)


def _grid(
    scale: _Scale, ticks: Sequence[tuple[float, str]], label: str, signed: bool = False
) -> list[str]:
    body = []
    for i in range(5):
        value = scale.low + (scale.high - scale.low) * i / 4
        y, kind = scale.y(value), "base" if abs(value) < 1e-12 else "grid"
        ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
        body.append(f'<line class="{kind}" {ends}/>')
        text = f"{100 * value:+.3g} %" if signed and i != 2 else f"{100 * value:.3g} %"
        body.append(_text(LEFT - 5, y + 4, text, "end"))
    body += [_text(scale.x(x), HEIGHT - BOTTOM + 16, text, "middle") for x, text in ticks]
    body.append(_text(WIDTH - RIGHT, HEIGHT - 6, label, "end"))
    return body


def _drawn(scale: _Scale, line: Line) -> list[str]:
    colour = COLOURS[line.colour % len(COLOURS)]
    dash = DASHES[line.dash % len(DASHES)]
    style = f'stroke="{colour}" stroke-width="2"' + (f' stroke-dasharray="{dash}"' * bool(dash))
    path = " ".join(f"{scale.x(p.x):.1f},{scale.y(p.y):.1f}" for p in line.points)
    body = [f'<polyline fill="none" {style} points="{path}"/>'] if len(line.points) > 1 else []
    for point in line.points:
        x, y = scale.x(point.x), scale.y(point.y)
        tip = f"{line.name}{', ' * bool(point.name)}{point.name}: {100 * point.y:.1f} %"
        if point.low is not None and point.high is not None:
            ends = f'x1="{x:.1f}" x2="{x:.1f}" y1="{scale.y(point.low):.1f}"'
            ends += f' y2="{scale.y(point.high):.1f}"'
            body.append(f'<line stroke="{colour}" stroke-opacity=".45" {ends}/>')
            tip += f" ({100 * point.low:.1f} to {100 * point.high:.1f})"
        body.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}">'
            f"<title>{escape(tip)}</title></circle>"
        )
    return body


def _legend(lines: Sequence[Line]) -> list[str]:
    body = []
    for number, line in enumerate(lines):
        y = HEIGHT + 16 * number + 4
        dash = DASHES[line.dash % len(DASHES)]
        style = f'stroke="{COLOURS[line.colour % len(COLOURS)]}" stroke-width="2"'
        style += f' stroke-dasharray="{dash}"' * bool(dash)
        body.append(f'<line {style} x1="{LEFT}" x2="{LEFT + 26}" y1="{y}" y2="{y}"/>')
        body.append(_text(LEFT + 34, y + 4, line.name, "start"))
    return body


def _text(x: float, y: float, text: str, anchor: str) -> str:
    if not text:
        return ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, height: float, body: Sequence[str]) -> str:
    label = escape(title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{label}">'
        f"<title>{label}</title>{''.join(body)}</svg>"
    )


def over_shots(shots: float) -> float:
    """Where a number of shots stands on an axis that begins at 0 and grows by doubling.

    >>> [over_shots(k) for k in (0, 1, 3)]
    [0.0, 1.0, 2.0]
    """
    return math.log2(1 + shots)
