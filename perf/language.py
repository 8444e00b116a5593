"""Languages of texts, before and after: `python perf/language.py [FOLDER]`.

FOLDER holds multilingual.parquet (columns text and lang) and webtext.parquet (text, English but for
some). Prints for thresholds from .5 to .9 which share of the non-English texts is called English,
by the languages it happens to most, and which share of webtext is lost with `languages = ["en"]`;
how many texts keep their language in capitals; what is found where a menu in English stands above a
text in another language; and texts a second. Before is fastText on the first 1,000 characters as
they are. Both sides read the same texts in one process, in turn.

With `pycld2` installed also: how many English texts CLD2, which Common Crawl uses, calls surely
another language.
"""

from __future__ import annotations

import collections
import functools
import importlib.util
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from curation.readers import language_model
from curation.readers.crawl_metadata import share_of_others
from curation.readers.language import languages
from curation.readers.records import Verdict
from curation.recipe.languages import alike, three_letters

THRESHOLDS = (0.5, 0.6, 0.65, 0.7, 0.8, 0.9)
MENU = "Home\nAbout us\nContact\nYour account\nSign in\nPrivacy policy\nSearch this site\nHelp\n"
MENU_CHARS = (300, 600, 1000, 1500)
LONG_CHARS = 2500  # of a text that a menu is put above
Guess = Callable[[Sequence[str]], tuple[list[str], list[float]]]


@functools.cache
def _model() -> Any:
    return language_model.load(language_model.shipped())


def before(texts: Sequence[str]) -> tuple[list[str], list[float]]:
    """The first 1,000 characters as they are."""
    predict = _model().predict
    codes, scores = [], []
    for text in texts:
        labels, chances = predict(text[:1000].translate(_ONE_LINE))
        codes.append(labels[0].removeprefix("__label__") if labels else "und")
        scores.append(min(float(chances[0]), 1.0) if labels else 0.0)
    return codes, scores


_ONE_LINE = str.maketrans("\n\r\x00", "   ")
SIDES: dict[str, Guess] = {"before": before, "after": languages}


def capitals(text: str, code: str) -> str:
    return (text.replace("i", "İ") if code in ("tr", "az") else text).upper()


def print_thresholds(console: Console, texts: list[str], codes: list[str], web: list[str]) -> None:
    table = Table(title="languages = ['en']: others called English | webtext lost")
    others = [i for i, code in enumerate(codes) if code != "en"]
    for head in ("threshold", *SIDES, "after, by language"):
        table.add_column(head)
    guesses = {name: (guess(texts), guess(web)) for name, guess in SIDES.items()}
    for threshold in THRESHOLDS:
        cells, worst = [], ""
        for (found, scores), (web_found, web_scores) in guesses.values():
            wrong = [i for i in others if found[i] == "en" and scores[i] >= threshold]
            pairs = zip(web_found, web_scores, strict=True)
            lost = sum(code != "en" or score < threshold for code, score in pairs)
            share = len(wrong) / len(others)
            cells.append(f"{len(wrong)} {share:.3%} | {lost} {lost / len(web):.3%}")
            commonest = collections.Counter(codes[i] for i in wrong).most_common(5)
            worst = ", ".join(f"{code} {n}" for code, n in commonest)
        table.add_row(f"{threshold:g}", *cells, worst)
    console.print(table)


def print_forms(console: Console, texts: list[str], codes: list[str]) -> None:
    table = Table(title="share of texts in the language they are labelled with")
    for head in ("form", *SIDES):
        table.add_column(head)
    forms = {
        "as it is": texts,
        "capitals": [capitals(text, code) for text, code in zip(texts, codes, strict=True)],
        "Title Case": [text.title() for text in texts],
    }
    rows = [(name, form, codes) for name, form in forms.items()]
    long = [pair for pair in zip(texts, codes, strict=True) if len(pair[0]) > LONG_CHARS]
    long = [(text, code) for text, code in long if code != "en"]
    for size in MENU_CHARS:
        menu = (MENU * 99)[:size]
        form = [f"{menu}\n{text}" for text, _ in long]
        rows.append((f"{size} characters of a menu above", form, [code for _, code in long]))
    for name, form, right in rows:
        cells = []
        for guess in SIDES.values():
            same = [a == b for a, b in zip(guess(form)[0], right, strict=True)]
            cells.append(f"{sum(same) / len(same):.1%} of {len(same):,}")
        table.add_row(name, *cells)
    console.print(table)


def print_speed(console: Console, corpora: dict[str, list[str]]) -> None:
    table = Table(title="texts a second, one core, processor time, best of three")
    for head in ("texts", *SIDES, "after / before"):
        table.add_column(head)
    for name, texts in corpora.items():
        best = dict.fromkeys(SIDES, 1e9)
        for _ in range(3):
            for side, guess in SIDES.items():
                start = time.process_time()
                guess(texts)
                best[side] = min(best[side], time.process_time() - start)
        rates = [f"{len(texts) / seconds:,.0f}" for seconds in best.values()]
        table.add_row(name, *rates, f"{best['before'] / best['after']:.2f}")
    console.print(table)


def print_crawl(console: Console, corpora: dict[str, list[str]]) -> None:
    import pycld2  # type: ignore[import-not-found]  # not needed for the other tables

    table = Table(title="English texts that CLD2 reliably calls another language")
    for head in ("texts", "English by ours", "threshold .5", ".7", ".9", ".95"):
        table.add_column(head)
    wanted = alike(["en"]) or frozenset()
    for name, texts in corpora.items():
        found, scores = languages(texts)
        rows = zip(texts, found, scores, strict=True)
        english = [text for text, code, score in rows if code == "en" and score >= 0.65]
        shares = []
        for text in english:
            try:
                reliable, size, parts = pycld2.detect(text.encode(), isPlainText=True)[:3]
            except pycld2.error:  # control characters
                continue
            codes = [(three_letters(p[1]) or "und", p[2] / 100) for p in parts if p[1] != "un"]
            shares.append(share_of_others(Verdict(tuple(codes), reliable, size), wanted))
        lost = (str(sum(share >= t for share in shares)) for t in (0.5, 0.7, 0.9, 0.95))
        table.add_row(name, f"{len(english):,}", *lost)
    console.print(table)


@click.command()
@click.argument("folder", default="../shared/data/text")
def main(folder: str) -> None:
    def column(name: str, column: str = "text") -> list[str]:
        return list(pq.read_table(f"{folder}/{name}.parquet", columns=[column])[column].to_pylist())

    console = Console(width=110)
    texts, codes, web = column("multilingual"), column("multilingual", "lang"), column("webtext")
    print_thresholds(console, texts, codes, web)
    print_forms(console, texts, codes)
    if importlib.util.find_spec("pycld2"):
        print_crawl(console, {"webtext": web, "lowquality": column("lowquality")})
    print_speed(console, {"webtext": web[::3], "multilingual": texts[::3]})


if __name__ == "__main__":
    main()
