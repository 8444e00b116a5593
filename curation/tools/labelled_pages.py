"""Pages with their true text to train and judge extractors on: their blocks, labels, folds, and the
scores of a text.

Cutting and labelling takes about 30 ms a page. The trap: pages of one site are alike, so folds are
made of sources and sites, never of pages.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import store
from curation.blocks.align import matched
from curation.blocks.extractor import block_texts, cut, vocabulary
from curation.blocks.features import features
from curation.blocks.repeats import Repeats
from curation.blocks.text import Blocks, Nodes
from curation.blocks.tree import Tree
from curation.errors import InputError
from curation.readers.encoding import decoded

_TOKENS = re.compile(
    "[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|(?:(?![\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])\\w)+"
)
_WORDS = re.compile(r"\w+")
_MAX_CELLS = 1_000_000_000
_GRAM_TOKENS = 4
_MIN_TRUTH_TOKENS = 60
_MAX_PAGE_WEIGHT = 4.0
FOLDS = 5
LARGE_SOURCE = 500  # pages
_COLUMNS = {"html", "truth", "source", "content_type", "license", "page_type", "url"}


@dataclass(slots=True)
class Lesson:
    """A page to learn from: its blocks, their features, and how much of each is in the truth."""

    source: str
    kind: str  # of the page, "" where the table has no column page_type
    site: str
    truth: str
    nodes: Nodes
    blocks: Blocks
    x: npt.NDArray[np.float32]  # [B, F]
    tree: Tree
    repeats: Repeats
    share: npt.NDArray[np.float32]  # [B], tokens of the block that the truth accounts for
    tokens: npt.NDArray[np.int64]  # [B]
    weight: npt.NDArray[np.float64]  # [B]
    fold: int = 0  # as `folds_of` says


def tokens(text: str) -> list[str]:
    """Words in lower case; each Chinese or Japanese character by itself.

    >>> tokens("Der Bär, 2 熊猫")
    ['der', 'bär', '2', '熊', '猫']
    """
    return _TOKENS.findall(text.lower())


def scores(text: str, truth: str) -> tuple[float, float, float]:
    """(precision, recall, F1) of the token 4-grams of a text; of its whole where it has fewer than
    four tokens."""
    grams, wanted = _grams(tokens(text)), _grams(tokens(truth))
    right = sum((grams & wanted).values())
    precision, recall = right / max(1, grams.total()), right / max(1, wanted.total())
    return precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0


def _grams(words: list[str]) -> Counter[tuple[str, ...]]:
    return Counter(
        tuple(words[i : i + _GRAM_TOKENS]) for i in range(max(1, len(words) - _GRAM_TOKENS + 1))
    )


def word_scores(text: str, truth: str) -> tuple[float, float, float]:
    """(precision, recall, F1) of the words of a text, each as often as it stands there."""
    words, wanted = Counter(_WORDS.findall(text.lower())), Counter(_WORDS.findall(truth.lower()))
    right = (words & wanted).total()
    precision, recall = right / max(1, words.total()), right / max(1, wanted.total())
    return precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0


def site(url: str) -> str:
    """The last two labels of a host, three where the last two are like co.uk.

    >>> site("https://shop.example.co.uk/x"), site("https://www.example.com/")
    ('example.co.uk', 'example.com')
    """
    labels = (urlsplit(url).hostname or url).split(".")
    is_long = len(labels[-1]) == 2 and len(labels) > 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if is_long else -2 :])


def lesson(
    html: bytes,
    content_type: str | None,
    truth: str,
    source: str,
    *,
    kind: str = "",
    url: str = "",
) -> Lesson | None:
    """A page with its labels; None where page or truth has no text."""
    page = cut(decoded(html, content_type))
    if page is None or not truth.strip():
        return None
    x, tree, repeats = features(*page, vocabulary())
    blocks = [tokens(text) for text in block_texts(page[1])]
    wanted = tokens(truth)
    count = np.array([len(b) for b in blocks], np.int64)
    numbers: dict[str, int] = {}
    flat = np.array([numbers.setdefault(w, len(numbers)) for b in blocks for w in b], np.int32)
    goal = np.array([numbers.setdefault(w, len(numbers)) for w in wanted], np.int32)
    accounted = np.zeros(len(flat), bool)
    reach = min(len(flat), _MAX_CELLS // max(1, len(goal)))
    accounted[:reach] = matched(flat[:reach], goal)
    upto = np.concatenate([[0], np.cumsum(accounted)])
    ends = np.cumsum(count)
    share = (upto[ends] - upto[ends - count]) / np.maximum(count, 1)
    weight = np.minimum((count + 1.0) / max(len(wanted), _MIN_TRUTH_TOKENS), 1.0)
    weight *= min(1.0, _MAX_PAGE_WEIGHT / weight.sum())
    share = share.astype(np.float32)
    return Lesson(source, kind, site(url), truth, *page, x, tree, repeats, share, count, weight)


def folds_of(pages: Sequence[tuple[str, str]]) -> list[int]:
    """The fold of each page, given as (source, site).

    A source of more than `LARGE_SOURCE` pages is divided by the hash of a page's site; any other
    one stands in one fold as a whole: the largest first, each in the fold with the fewest pages of
    such sources.
    """
    counts = Counter(source for source, _ in pages)
    small = [0] * FOLDS
    whole: dict[str, int] = {}
    for source, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count <= LARGE_SOURCE:
            whole[source] = small.index(min(small))
            small[whole[source]] += count
    return [
        whole[source] if source in whole else zlib.crc32(site.encode()) % FOLDS
        for source, site in pages
    ]


def read_pages(
    pages: Sequence[str], say: Callable[[str], None]
) -> tuple[list[Lesson], dict[str, set[str]]]:
    """The pages of all tables with their folds, and the licences of each source's pages.

    Raises InputError where a column is missing.
    """
    lessons: list[Lesson] = []
    licenses: dict[str, set[str]] = {}
    for path in pages:
        try:
            names = set(store.read_schema(path).names)
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: a Parquet table expected ({error})") from error
        if missing := {"html", "truth", "source"} - names:
            raise InputError(
                f"{path}: the columns html, truth and source expected, "
                f"{', '.join(sorted(missing))} missing"
            )
        for batch in store.read_groups(path, sorted(names & _COLUMNS)):
            for row in batch.to_pylist():
                page = lesson(
                    row["html"],
                    row.get("content_type"),
                    row["truth"] or "",
                    row["source"],
                    kind=row.get("page_type") or "",
                    url=row.get("url") or "",
                )
                if page is not None:
                    lessons.append(page)
                    licenses.setdefault(row["source"], set()).add(row.get("license") or "unknown")
        say(f"{path}: {len(lessons)} pages with text and truth so far")
    folds = folds_of([(page.source, page.site) for page in lessons])
    for page, fold in zip(lessons, folds, strict=True):
        page.fold = fold
    return lessons, licenses
