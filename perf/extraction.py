"""Main-content extractors side by side: `python perf/extraction.py PAGES.parquet... [--sample N]`.

Quality: token 4-gram F1 (Chinese and Japanese by character), mean over the pages of a source; `blocks` is scored by models that never saw
the source (`--folds` keeps them between runs). Speed: pages a second on one core in the same process, in turns, with the model that ships.
`--growth PLOT.svg` draws milliseconds against bytes instead, for the claim that time is linear in bytes, and names the slowest pages.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow.parquet as pq
import trafilatura
import turbohtml
from readability import Document
from resiliparse.extract.html2text import extract_plain_text
from rich.console import Console
from rich.table import Table

from curation.blocks import extractor as blocks
from curation.readers import html
from curation.readers.encoding import decoded
from curation.tools import train_extractor as blocks_training

Row = dict[str, Any]


def ours(text: str) -> str:
    return html._by_blocks(text, html.Form())


def readability(text: str) -> str:
    try:
        summary = Document(text).summary()
    except Exception:  # a page on which a peer breaks counts as no text, as for its users
        return ""
    return str(turbohtml.parse(summary).text)


EXTRACTORS: dict[str, Callable[[str], str | None]] = {
    "blocks": ours,
    "trafilatura": trafilatura.extract,
    "trafilatura, no comments": lambda text: trafilatura.extract(text, include_comments=False),
    "trafilatura fast": lambda text: trafilatura.extract(text, fast=True, include_comments=False),
    "trafilatura recall": lambda text: trafilatura.extract(
        text, favor_recall=True, include_comments=False
    ),
    "resiliparse": lambda text: extract_plain_text(text, main_content=True, alt_texts=False),
    "resiliparse bare": lambda text: extract_plain_text(
        text, main_content=True, alt_texts=False, list_bullets=False, comments=False
    ),
    "turbohtml": lambda text: turbohtml.parse(text, positions=False).main_text(),
    "readability-lxml": readability,
}


@click.command()
@click.argument("pages", nargs=-1, required=True, metavar="PAGES.parquet...")
@click.option("--sample", default=0, help="At most so many pages of a source.  [default: all]")
@click.option(
    "--folds",
    "folds_path",
    default="",
    help="A file that keeps the models without each source between runs.",
)
@click.option(
    "--only-score", multiple=True, metavar="SOURCE", help="A source to score but not to learn from."
)
@click.option("--growth", default="", metavar="PLOT.svg", help="Draw time against bytes instead.")
def main(
    pages: tuple[str, ...], sample: int, folds_path: str, only_score: tuple[str, ...], growth: str
) -> None:
    """Score and time every extractor on the same pages."""
    rows = [
        row for path in pages for row in pq.read_table(path).to_pylist() if row["truth"].strip()
    ]
    if growth:
        return print_growth(rows, growth)
    folds = trained_folds(rows, folds_path, only_score)
    rows = sampled(rows, sample)
    found = {
        name: measured(rows, extract, folds if name == "blocks" else None)
        for name, extract in EXTRACTORS.items()
    }
    print_table(rows, found)


def sampled(rows: list[Row], limit: int) -> list[Row]:
    """Every so many-th page of each source."""
    by_source: dict[str, list[Row]] = {}
    for row in rows:
        by_source.setdefault(row["source"], []).append(row)
    return [
        row
        for some in by_source.values()
        for row in some[:: max(1, len(some) // limit) if limit else 1]
    ]


def trained_folds(
    rows: list[Row], path: str, only_score: tuple[str, ...]
) -> dict[str, blocks.Model]:
    """A model without each source, from `path` where it was left by an earlier run."""
    if path and Path(path).exists():
        kept: dict[str, blocks.Model] = pickle.loads(Path(path).read_bytes())
        return kept
    lessons = [
        blocks_training.lesson(r["html"], r.get("content_type"), r["truth"], r["source"])
        for r in rows
    ]
    made = blocks_training.train(
        [x for x in lessons if x],
        blocks_training.Forests(),
        lambda line: click.echo(line, err=True),
        only_scored=only_score,
    )[1]
    if path:
        Path(path).write_bytes(pickle.dumps(made))
    return made


def measured(
    rows: list[Row], extract: Callable[[str], str | None], folds: dict[str, blocks.Model] | None
) -> tuple[dict[str, list[tuple[float, float, float]]], float]:
    """(precision, recall, F1 of each page by source; seconds for all pages, decoding included)."""
    scores: dict[str, list[tuple[float, float, float]]] = {}
    extract(decoded(rows[0]["html"], None))
    seconds = 0.0
    shipped = blocks.shipped_model
    for row in rows:
        began = time.perf_counter()
        text = extract(decoded(row["html"], row.get("content_type"))) or ""
        seconds += time.perf_counter() - began
        if folds:  # the speed is that of the model that ships, the text that of the model without this source
            fold = folds[row["source"]]
            blocks.shipped_model = lambda fold=fold: fold  # type: ignore[assignment, misc]
            text = extract(decoded(row["html"], row.get("content_type"))) or ""
            blocks.shipped_model = shipped
        scores.setdefault(row["source"], []).append(blocks_training.scores(text, row["truth"]))
    return scores, seconds


def print_table(
    rows: list[Row], found: dict[str, tuple[dict[str, list[tuple[float, float, float]]], float]]
) -> None:
    sources = sorted({row["source"] for row in rows})
    size = sum(len(row["html"]) for row in rows)
    table = Table(
        title=f"{len(rows)} pages, {size / len(rows) / 1000:.0f} kB on average; F1, one core",
        title_justify="left",
    )
    for name in (
        "extractor",
        *(s.split("/")[-1][:14] for s in sources),
        "precision",
        "recall",
        "F1",
        "pages/s",
        "MB/s",
    ):
        table.add_column(name, justify="left" if name == "extractor" else "right")
    for name, (scores, seconds) in found.items():
        means = np.array([np.mean(scores[s], axis=0) for s in sources])
        cells = [f"{x:.3f}" for x in (*means[:, 2], *means.mean(axis=0))]
        table.add_row(name, *cells, f"{len(rows) / seconds:.0f}", f"{size / seconds / 1e6:.1f}")
    Console(width=200).print(table)


def print_growth(rows: list[Row], plot: str) -> None:
    """Milliseconds of `blocks` by size of page, the best of three; the plot of all pages; the slowest pages, and the slowest a byte."""
    ours(decoded(rows[0]["html"], None))
    times = []
    for row in rows:
        seconds = []
        for _ in range(3):
            began = time.process_time()
            ours(decoded(row["html"], row.get("content_type")))
            seconds.append(time.process_time() - began)
        times.append((len(row["html"]), min(seconds) * 1000, row["url"]))
    sizes, ms = np.array([t[0] for t in times]), np.array([t[1] for t in times])
    for low in (0, 10, 20, 40, 80, 160, 320, 640):
        some = (sizes >= low * 1000) & (sizes < max(low * 2, 10) * 1000)
        if some.any():
            line = f"{low:4d} kB and more: {some.sum():4d} pages, {ms[some].mean():6.2f} ms, slowest {ms[some].max():7.2f} ms"
            click.echo(f"{line}, {ms[some].sum() / sizes[some].sum() * 1e6:5.1f} ns a byte")
    slope = float((sizes * ms).sum() / (sizes.astype(float) ** 2).sum())
    click.echo(f"a line through the origin: {slope * 1e5:.2f} ms for 100 kB")
    for size, one, url in sorted(times, key=lambda t: -t[1])[:5]:
        click.echo(f"{one:.1f} ms, {size / 1000:.0f} kB: {url}")
    Path(plot).write_text(growth_plot(sizes, ms, slope))


def growth_plot(sizes: Any, ms: Any, slope: float) -> str:
    """An SVG: one dot a page, milliseconds against kilobytes, and the line through the origin that fits best."""
    width, height, left, bottom = 640, 360, 50, 40
    top_kb, top_ms = np.ceil(sizes.max() / 1e5) * 100, np.ceil(ms.max() / 5) * 5
    x = left + (width - left - 10) * sizes / 1000 / top_kb
    y = height - bottom - (height - bottom - 10) * ms / top_ms
    end = min(top_kb, top_ms / slope / 1000)
    body = [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2" fill="#1f5fae" fill-opacity=".5"/>'
        for a, b in zip(x, y, strict=True)
    ]
    body.append(f'<line x1="{left}" y1="{height - bottom}" x2="{left + (width - left - 10) * end / top_kb:.1f}" '
                f'y2="{height - bottom - (height - bottom - 10) * slope * end * 1000 / top_ms:.1f}" stroke="#c2511d"/>')  # fmt: skip
    for k in range(6):
        across, up = (
            left + (width - left - 10) * k / 5,
            height - bottom - (height - bottom - 10) * k / 5,
        )
        body.append(
            f'<text x="{across:.0f}" y="{height - 22}" text-anchor="middle">{top_kb * k / 5:g}</text>'
        )
        body.append(
            f'<text x="{left - 6}" y="{up + 4:.0f}" text-anchor="end">{top_ms * k / 5:g}</text>'
        )
        body.append(
            f'<line x1="{left}" x2="{width - 10}" y1="{up:.0f}" y2="{up:.0f}" stroke="#888" stroke-opacity=".3"/>'
        )
    body.append(
        f'<text x="{width - 10}" y="{height - 6}" text-anchor="end">kB of HTML; up: milliseconds</text>'
    )
    style = 'font-family="sans-serif" font-size="11" fill="#667080"'
    inside = "\n".join(body)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>\n{inside}\n</svg>\n'


if __name__ == "__main__":
    main()
