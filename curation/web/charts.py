"""Small charts as inline SVG: no script, nothing fetched, colours from the page's style sheet
(`--ink`, `--a`, `--b`, `--grid`).

Every chart has a title for screen readers and a tooltip on every mark. Trap: labels come from pages
and recipes; all are escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

WIDTH, HEIGHT = 380, 190
BARS_WIDTH = 400
LEFT, RIGHT, TOP, BOTTOM = 40, 16, 10, 36


def histogram(
    title: str,
    edges: Sequence[float],
    counts: Sequence[int],
    *,
    part: Sequence[int] | None = None,
    curve: Sequence[float] | None = None,
    marks: Sequence[float] = (),
    labels: tuple[str, str] = ("", ""),
    log: bool = False,
) -> str:
    """Bars of `counts` between `edges`, `part` of each in the second colour, and a curve.

    `curve`: from 0 to 1, at the edges. `marks`: where a line stands upright.

    With `log` the bars' heights are log10(1 + count).
    """
    height = _scale(counts, log)
    plot_w, plot_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    low, high = edges[0], edges[-1]

    def x(value: float) -> float:
        return LEFT + plot_w * (value - low) / (high - low)

    body = [_y_axis(counts, log)]
    for i, count in enumerate(counts):
        left, width = x(edges[i]), max(1.0, x(edges[i + 1]) - x(edges[i]) - 1)
        tip = f"{edges[i]:g} to {edges[i + 1]:g}: {count:,}" + (
            f", {part[i]:,} of them kept" if part else ""
        )
        for value, colour in ((count, "a"), (part[i] if part else 0, "b")):
            if value:
                h = max(1.0, plot_h * height(value))
                body.append(_bar(left, TOP + plot_h - h, width, h, colour, tip))
    if curve is not None:
        points = " ".join(
            f"{x(e):.1f},{TOP + plot_h * (1 - c):.1f}" for e, c in zip(edges, curve, strict=True)
        )
        body.append(
            f'<polyline class="curve" points="{points}"><title>{escape(labels[1])}</title></polyline>'
        )
    for mark in marks:
        at, tip = f"{x(mark):.1f}", f"<title>{mark:g}</title>"
        ends = f'x1="{at}" x2="{at}" y1="{TOP}" y2="{TOP + plot_h}"'
        body.append(f'<line class="curve" {ends}>{tip}</line>')
    for tick in ticks(low, high):
        name = short(int(tick)) if tick >= 1000 else f"{tick:g}"
        body.append(_text(x(tick), HEIGHT - BOTTOM + 16, name, "middle"))
    body.append(_text(WIDTH - RIGHT, HEIGHT - 4, labels[0], "end"))
    return _svg(title, HEIGHT, body)


def lines(
    title: str, x: Sequence[float], y: Sequence[float], *, diagonal: bool = False, label: str = ""
) -> str:
    """Points joined by a line, both axes from 0 to 1; with `diagonal`, where x equals y."""
    plot_w, plot_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    places = [(LEFT + plot_w * a, TOP + plot_h * (1 - b)) for a, b in zip(x, y, strict=True)]
    body = []
    for i in range(6):
        level = TOP + plot_h * (1 - i / 5)
        body.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" y2="{level:.1f}"/>'
        )
        body.append(_text(LEFT - 6, level + 4, f"{i / 5:g}", "end"))
        body.append(_text(LEFT + plot_w * i / 5, HEIGHT - BOTTOM + 16, f"{i / 5:g}", "middle"))
    if diagonal:
        body.append(
            f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{TOP + plot_h}" y2="{TOP}"/>'
        )
    body.append(
        '<polyline class="curve" points="' + " ".join(f"{a:.1f},{b:.1f}" for a, b in places) + '"/>'
    )
    for (a, b), value, level_ in zip(places, x, y, strict=True):
        body.append(_bar(a - 3, b - 3, 6, 6, "b", f"{value:.3f}: {level_:.3f}"))
    body.append(_text(WIDTH - RIGHT, HEIGHT - 4, label, "end"))
    return _svg(title, HEIGHT, body)


def columns(title: str, names: Sequence[str], counts: Sequence[int], *, label: str = "") -> str:
    """One bar for each name, side by side."""
    height = _scale(counts, False)
    plot_w, plot_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    step = plot_w / max(1, len(names))
    width = min(step - 1, 40)
    every = math.ceil(len(names) / 12)
    body = [_y_axis(counts, False)]
    for i, (name, count) in enumerate(zip(names, counts, strict=True)):
        middle = LEFT + step * (i + 0.5)
        if count:
            h = max(1.0, plot_h * height(count))
            body.append(
                _bar(middle - width / 2, TOP + plot_h - h, width, h, "a", f"{name}: {count:,}")
            )
        if i % every == 0:
            body.append(_text(middle, HEIGHT - BOTTOM + 16, name, "middle"))
    body.append(_text(WIDTH - RIGHT, HEIGHT - 4, label, "end"))
    return _svg(title, HEIGHT, body)


def bars(title: str, rows: Sequence[tuple[str, float, float | None, str]]) -> str:
    """Lying bars to one scale: (name, value, a second value or None, what to write behind it)."""
    top = max([1e-12, *(max(value, second or 0.0) for _, value, second, _ in rows)])
    left, room, step = 95, BARS_WIDTH - 95 - 175, 24
    body = []
    for i, (name, value, second, note) in enumerate(rows):
        y = i * step + 4
        pairs = [(value, "a")] if second is None else [(value, "a"), (second, "b")]
        h = 16 / len(pairs)
        for k, (length, colour) in enumerate(pairs):
            if length:
                body.append(
                    _bar(
                        left,
                        y + k * h,
                        max(1.0, room * length / top),
                        h - 1,
                        colour,
                        f"{name}: {note}",
                    )
                )
        body.append(_text(left - 8, y + 12, name if len(name) <= 13 else name[:12] + "…", "end"))
        body.append(_text(left + room * max(value, second or 0.0) / top + 8, y + 12, note, "start"))
    return _svg(title, len(rows) * step + 6, body, BARS_WIDTH)


def intervals(title: str, rows: Sequence[tuple[str, float, float]], *, label: str = "") -> str:
    """Lying intervals to one scale that holds 0: (name, middle, half of its width)."""
    left, step, bottom = 130, 22, 30
    low = min([0.0, *(middle - half for _, middle, half in rows)])
    high = max([0.0, *(middle + half for _, middle, half in rows)])
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return left + (WIDTH - left - 2 * RIGHT) * (value - low) / span

    end = len(rows) * step + 6
    body = [f'<line class="base" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="0" y2="{end}"/>']
    for i, (name, middle, half) in enumerate(rows):
        y = i * step + 14
        body.append(_text(left - 8, y + 4, name if len(name) <= 20 else name[:19] + "…", "end"))
        line = f'<line class="curve" x1="{x(middle - half):.1f}" x2="{x(middle + half):.1f}" y1="{y}" y2="{y}"/>'
        body += [line, _bar(x(middle) - 3, y - 3, 6, 6, "b", f"{name}: {middle:+.4f} ± {half:.4f}")]
    body += [
        _text(x(value), end + 14, f"{value:.3g}", "middle") for value in sorted({low, 0.0, high})
    ]
    body.append(_text(WIDTH - RIGHT, end + 27, label, "end"))
    return _svg(title, end + bottom, body)


def _scale(counts: Sequence[int], log: bool) -> Callable[[int], float]:
    """How high a count stands, 0 to 1."""
    top = max([1, *counts])
    if log:
        return lambda value: math.log10(1 + value) / math.log10(1 + top)
    return lambda value: value / top


def _y_axis(counts: Sequence[int], log: bool) -> str:
    """Grid lines with their counts: powers of ten, or parts of the highest bar."""
    top = max([1, *counts])
    height = _scale(counts, log)
    if log:
        values = [10**k for k in range(0, 13, 1 + int(math.log10(top)) // 5) if 10**k <= top]
    else:
        step = _round_step(top)
        values = list(range(step, top + 1, step))
    plot_h = HEIGHT - TOP - BOTTOM
    lines = []
    for value in values:
        y = TOP + plot_h * (1 - height(value))
        lines.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        lines.append(_text(LEFT - 6, y + 4, short(value), "end"))
    base = HEIGHT - BOTTOM
    lines.append(f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    return "".join(lines)


def _round_step(top: int) -> int:
    """A round number that goes three to eight times into `top`.

    >>> [_round_step(n) for n in (1, 7, 40, 999)]
    [1, 2, 10, 200]
    """
    size = 10 ** int(math.log10(max(1, top)))
    return next(
        max(1, int(size * f)) for f in (2, 1, 0.5, 0.2, 0.1) if size * f <= top / 3 or f == 0.1
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high, three to seven of them.

    >>> ticks(0.0, 1.0), ticks(9.0, 3520.0), ticks(0.41, 0.92)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [1000.0, 2000.0, 3000.0], [0.5, 0.6, 0.7, 0.8, 0.9])
    """
    size = 10 ** math.floor(math.log10(high - low))
    step = next(size * f for f in (0.1, 0.2, 0.5, 1, 2) if (high - low) / (size * f) <= 6.01)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.6g}") for k in range(first, last + 1)]


def short(value: int) -> str:
    """A count for an axis.

    >>> [short(n) for n in (900, 1_000, 25_000, 3_000_000)]
    ['900', '1K', '25K', '3M']
    """
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return str(value)


def _bar(x: float, y: float, width: float, height: float, colour: str, tip: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{colour}" {place}><title>{escape(tip)}</title></rect>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        if text
        else ""
    )


def _svg(title: str, height: float, body: Sequence[str], width: int = WIDTH) -> str:
    label = escape(title)
    return f'<svg viewBox="0 0 {width} {height:g}" role="img" aria-label="{label}"><title>{label}</title>{"".join(body)}</svg>'
