"""The picture of docs/results/ablation.md, drawn from the table in it: `python perf/ablation_plot.py
docs/results/ablation.md docs/images/ablation.svg`.

So the picture says what the table says. Each cell `-0.103 ± 0.26` is a point with its interval.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CELL = re.compile(r"([+-][0-9.]+) ± ([0-9.]+)")
WIDTH, LEFT, ROW, TOP = 640, 170, 26, 26


def rows_of(text: str) -> list[tuple[str, str, float, float]]:
    """(arm, corpus, difference, half of its interval) of each cell of the table."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    corpora, found = lines[0][1:], []
    for arm, *cells in lines:
        for corpus, cell in zip(corpora, cells, strict=False):
            if match := CELL.fullmatch(cell.strip()):
                found.append((arm.strip("`"), corpus.strip(), float(match[1]), float(match[2])))
    return sorted(found, key=lambda row: corpora.index(row[1]))


def picture(rows: list[tuple[str, str, float, float]]) -> str:
    """An SVG with a row for each comparison, grouped by corpus."""
    low = min(middle - half for *_, middle, half in rows)
    high = max(middle + half for *_, middle, half in rows)

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * (value - low) / (high - low)

    height = TOP + ROW * len(rows) + 40
    body = [
        f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{TOP - 8}" y2="{height - 34}" stroke="#888"/>'
    ]
    for number, (arm, corpus, middle, half) in enumerate(rows):
        y = TOP + ROW * number + 8
        told = abs(middle) > half
        colour = "#c0392b" if told else "#4a6fa5"
        body += [
            f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{corpus}, {arm}</text>',
            f'<line x1="{x(middle - half):.1f}" x2="{x(middle + half):.1f}" y1="{y}" y2="{y}" '
            f'stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{x(middle):.1f}" cy="{y}" r="4" fill="{colour}"/>',
        ]
    for value in (-0.8, -0.4, 0.0, 0.4):
        body.append(
            f'<text x="{x(value):.1f}" y="{height - 20}" text-anchor="middle">{value:g}</text>'
        )
    body.append(
        f'<text x="{WIDTH - 20}" y="{height - 4}" text-anchor="end">difference from raw, nats per '
        "token; red: its interval leaves 0 out</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="13"><rect width="100%" '
        f'height="100%" fill="white"/>{"".join(body)}</svg>\n'
    )


def main(page: str, out: str) -> None:
    Path(out).write_text(picture(rows_of(Path(page).read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
