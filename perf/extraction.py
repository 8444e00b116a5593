"""Main-content extractors side by side: `python perf/extraction.py PAGES.parquet... [--sample N]`.

Quality by source: token 4-gram F1 (Chinese and Japanese by character), mean over pages. Then each
public benchmark by its own measure: the Web Content Extraction Benchmark (pages with a `page_type`)
by F1 of words and by its snippets, scrapinghub's by its 4-grams with a confidence interval.
`blocks` is scored by models that have not seen the source, `blocks, by sites` by models that have
seen other sites of it (`--folds` keeps the models between runs). Speed: pages a second on one core
in the same process, in turns, with the model that ships. `--growth PLOT.svg` draws milliseconds
against bytes instead, for the claim that time is linear in bytes, and names the slowest pages.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import pickle
import re
import time
from collections import Counter
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
from curation.blocks.shape import page_shape
from curation.readers import html
from curation.readers.encoding import decoded
from curation.tools import labelled_pages
from curation.tools import train_extractor as blocks_training

Row = dict[str, Any]
SCRAPINGHUB = "scrapinghub/article-extraction-benchmark"
BOOTSTRAPS = 1000
AS_IT_IS = html.Form()


def ours(text: str, form: html.Form = AS_IT_IS) -> str:
    return html._by_blocks(text, page_shape(text.encode("utf-8", "replace")), form)


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
    help="A file that keeps the models between runs.",
)
@click.option(
    "--only-score", multiple=True, metavar="SOURCE", help="A source to score but not to learn from."
)
@click.option(
    "--trafilatura-tests",
    default="",
    metavar="DIR",
    help="The folder tests/ of trafilatura's sources: score on its own pages too.",
)
@click.option("--shipped", is_flag=True, help="Train none: the model that ships, on what it knows.")
@click.option("--growth", default="", metavar="PLOT.svg", help="Draw time against bytes instead.")
def main(
    pages: tuple[str, ...],
    sample: int,
    folds_path: str,
    only_score: tuple[str, ...],
    trafilatura_tests: str,
    shipped: bool,
    growth: str,
) -> None:
    """Score and time every extractor on the same pages."""
    rows = [
        row for path in pages for row in pq.read_table(path).to_pylist() if row["truth"].strip()
    ]
    if growth:
        return print_growth(rows, growth)
    chosen = sampled(list(range(len(rows))), [row["source"] for row in rows], sample)
    texts = {}
    if not shipped:
        models = trained_without(rows, folds_path, only_score)
        for name, own in zip(("blocks", "blocks, by sites"), models, strict=True):
            texts[name] = modelled([rows[i] for i in chosen], [own[i] for i in chosen])
        # scrapinghub's truth has no headlines.
        known, form = [models[0][i] for i in chosen], html.Form(headline="out")
        texts["blocks, no headline"] = modelled([rows[i] for i in chosen], known, form)
    rows = [rows[i] for i in chosen]
    speed = {}
    for name, extract in EXTRACTORS.items():
        text, speed[name] = measured(rows, extract)
        texts.setdefault(name, text)
    print_sources(rows, texts, speed)
    print_kinds(rows, texts)
    print_scrapinghub(rows, texts)
    if trafilatura_tests:
        print_trafilatura(Path(trafilatura_tests))


def sampled(numbers: list[int], sources: list[str], limit: int) -> list[int]:
    """Every so many-th page of each source."""
    by_source: dict[str, list[int]] = {}
    for number, source in zip(numbers, sources, strict=True):
        by_source.setdefault(source, []).append(number)
    return [
        number
        for some in by_source.values()
        for number in some[:: max(1, len(some) // limit) if limit else 1]
    ]


def trained_without(
    rows: list[Row], path: str, only_score: tuple[str, ...]
) -> tuple[list[blocks.Model], list[blocks.Model]]:
    """For each page a model without its source, and one without its fold; from `path` where an
    earlier run left the models.

    A source that is divided by sites needs a model of its own; the fold of any other holds it all.
    """
    sites = [(row["source"], labelled_pages.site(row["url"] or "")) for row in rows]
    folds = labelled_pages.folds_of(sites)
    if path and Path(path).exists():
        by_fold, by_source = pickle.loads(Path(path).read_bytes())
    else:
        by_fold, by_source = train_all(rows, folds, only_score)
        if path:
            Path(path).write_bytes(pickle.dumps((by_fold, by_source)))
    by_sites = [by_fold[fold] for fold in folds]
    known = [by_source.get(row["source"], model) for row, model in zip(rows, by_sites, strict=True)]
    return known, by_sites


def train_all(
    rows: list[Row], folds: list[int], only_score: tuple[str, ...]
) -> tuple[dict[int, blocks.Model], dict[str, blocks.Model]]:
    """Models without each fold, and without each source that stands in more than one."""
    lessons = []
    for row, fold in zip(rows, folds, strict=True):
        page = labelled_pages.lesson(
            row["html"],
            row.get("content_type"),
            row["truth"],
            row["source"],
            kind=row.get("page_type") or "",
            url=row["url"] or "",
        )
        if page and row["source"] not in only_score:
            page.fold = fold
            lessons.append(page)
    how = blocks_training.Forests()
    parts = {page.source: {p.fold for p in lessons if p.source == page.source} for page in lessons}
    by_source = {
        source: blocks_training.train(
            [page for page in lessons if page.source != source], how, click.echo, folds=False
        )[0]
        for source, its_folds in parts.items()
        if len(its_folds) > 1
    }
    return blocks_training.train(lessons, how, click.echo)[1], by_source


def modelled(rows: list[Row], models: list[blocks.Model], form: html.Form = AS_IT_IS) -> list[str]:
    """The text of each page by its model."""
    texts = []
    shipped = blocks.shipped_model
    for row, model in zip(rows, models, strict=True):
        blocks.shipped_model = lambda model=model: model  # type: ignore[assignment, misc]
        texts.append(ours(decoded(row["html"], row.get("content_type")), form) or "")
    blocks.shipped_model = shipped
    return texts


def measured(rows: list[Row], extract: Callable[[str], str | None]) -> tuple[list[str], float]:
    """(the text of each page, seconds for all pages, decoding included)."""
    extract(decoded(rows[0]["html"], None))
    texts = []
    began = time.perf_counter()
    for row in rows:
        texts.append(extract(decoded(row["html"], row.get("content_type"))) or "")
    return texts, time.perf_counter() - began


def show(title: str, columns: list[str], lines: list[list[str]]) -> None:
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if name == columns[0] else "right")
    for line in lines:
        table.add_row(*line)
    Console(width=200).print(table)


def print_sources(rows: list[Row], texts: dict[str, list[str]], speed: dict[str, float]) -> None:
    sources = sorted({row["source"] for row in rows})
    size = sum(len(row["html"]) for row in rows)
    lines = []
    for name, some in texts.items():
        scores: dict[str, list[tuple[float, float, float]]] = {}
        for row, text in zip(rows, some, strict=True):
            scores.setdefault(row["source"], []).append(labelled_pages.scores(text, row["truth"]))
        means = np.array([np.mean(scores[s], axis=0) for s in sources])
        seconds = speed.get(name)
        rates = (
            [f"{len(rows) / seconds:.0f}", f"{size / seconds / 1e6:.1f}"] if seconds else ["", ""]
        )
        lines.append([name, *(f"{x:.3f}" for x in (*means[:, 2], *means.mean(axis=0))), *rates])
    title = (
        f"{len(rows)} pages, {size / len(rows) / 1000:.0f} kB on average; F1 of 4-grams, one core"
    )
    short = [s.split("/")[-1][:14] for s in sources]
    show(title, ["extractor", *short, "precision", "recall", "F1", "pages/s", "MB/s"], lines)


def print_kinds(rows: list[Row], texts: dict[str, list[str]]) -> None:
    """The Web Content Extraction Benchmark's measures: F1 of words, and shares of snippets found."""
    numbers = [i for i, row in enumerate(rows) if row.get("page_type")]
    if not numbers:
        return
    kinds = sorted({rows[i]["page_type"] for i in numbers})
    lines = []
    for name, some in texts.items():
        f1 = {i: labelled_pages.word_scores(some[i], rows[i]["truth"])[2] for i in numbers}
        by_kind = [
            np.mean([f1[i] for i in numbers if rows[i]["page_type"] == kind]) for kind in kinds
        ]
        snippets = [
            np.mean([found_share(some[i], rows[i][column]) for i in numbers])
            for column in ("must", "must_not")
        ]
        values = (*by_kind, np.mean(list(f1.values())), *snippets)
        lines.append([name, *(f"{x:.3f}" for x in values)])
    title = f"Web Content Extraction Benchmark, {len(numbers)} development pages; F1 of words"
    show(title, ["extractor", *kinds, "all", "must", "must not"], lines)


def found_share(text: str, snippets: list[str] | None) -> float:
    """The share of a page's snippets that stand in a text; 1 where it has none, as the benchmark
    says."""
    low = text.lower()
    return float(np.mean([s.lower() in low for s in snippets])) if snippets else 1.0


def print_scrapinghub(rows: list[Row], texts: dict[str, list[str]]) -> None:
    """Its measure: F1 of the mean precision and the mean recall of 4-grams, and 1.96 standard
    deviations of each over draws of pages."""
    numbers = [i for i, row in enumerate(rows) if row["source"] == SCRAPINGHUB]
    if not numbers:
        return
    lines = []
    for name, some in texts.items():
        pages = np.array([precision_and_recall(some[i], rows[i]["truth"]) for i in numbers])
        draws = np.random.default_rng(0).integers(len(pages), size=(BOOTSTRAPS, len(pages)))
        spread = 1.96 * np.array([official_f1(pages[draw]) for draw in draws]).std(axis=0)
        value = official_f1(pages)
        lines.append([name, *(f"{v:.3f} ± {s:.3f}" for v, s in zip(value, spread, strict=True))])
    show(f"{SCRAPINGHUB}, {len(numbers)} pages", ["extractor", "F1", "precision", "recall"], lines)


def precision_and_recall(text: str, truth: str) -> tuple[float, float]:
    """Of 4-grams of words as they are written; NaN where there are none to be right."""
    found, wanted = (Counter(shingles(re.findall(r"\w+", some))) for some in (text, truth))
    right = (found & wanted).total()
    return (
        right / found.total() if found else np.nan,
        right / wanted.total() if wanted else np.nan,
    )


def shingles(words: list[str]) -> list[tuple[str, ...]]:
    return [s for i in range(max(1, len(words) - 3)) if (s := tuple(words[i : i + 4]))]


def official_f1(pages: Any) -> Any:
    """[F1, precision, recall] of rows of precision and recall."""
    precision, recall = np.nanmean(pages, axis=0)
    return np.array([2 * precision * recall / (precision + recall), precision, recall])


def print_trafilatura(tests: Path) -> None:
    """The measure of trafilatura's `tests/evaluate.py`: of all snippets of all pages, those wanted
    and found against those missing and those found that must not be."""
    items = list(json.loads((tests / "evaldata.json").read_text()).values())
    pages = [
        next(path for part in ("cache", "eval") if (path := tests / part / item["file"]).is_file())
        for item in items
    ]
    lines = []
    for name, extract in EXTRACTORS.items():
        right = wrong = wanted = 0
        for item, page in zip(items, pages, strict=True):
            text = " ".join((extract(decoded(page.read_bytes(), None)) or "").split())
            right += sum(" ".join(s.split()) in text for s in item["with"])
            wrong += sum(" ".join(s.split()) in text for s in item["without"])
            wanted += len(item["with"])
        values = (2 * right / (right + wrong + wanted), right / (right + wrong), right / wanted)
        lines.append([name, *(f"{value:.3f}" for value in values)])
    title = f"trafilatura's own set, {len(items)} pages; snippets; blocks with the model that ships"
    show(title, ["extractor", "F1", "precision", "recall"], lines)


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
