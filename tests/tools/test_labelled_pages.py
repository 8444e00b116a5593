"""Pages with their true text: scores of a text, and folds by source and site."""

import numpy as np
import pytest

from curation.tools import labelled_pages
from curation.tools.labelled_pages import FOLDS, LARGE_SOURCE


def test_words_are_scored_as_often_as_they_stand_there() -> None:
    precision, recall, f1 = labelled_pages.word_scores("A b b c", "b a b b")
    assert (precision, recall) == (0.75, 0.75)
    assert f1 == pytest.approx(0.75)
    assert labelled_pages.word_scores("", "x") == (0, 0, 0)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example.com/x", "example.com"),
        ("http://example.com:80/", "example.com"),
        ("https://www.shop.co.uk/", "shop.co.uk"),
        ("https://de.wikipedia.org/", "wikipedia.org"),
        ("https://ab.museum.de/", "museum.de"),
        ("", ""),
    ],
)
def test_the_site_of_an_address(url: str, expected: str) -> None:
    assert labelled_pages.site(url) == expected


def test_small_sources_stand_in_one_fold_and_large_ones_are_divided_by_site() -> None:
    large = [("large", f"site{k % 100}.example") for k in range(LARGE_SOURCE + 1)]
    small = [(f"s{k}", f"site{j}.example") for k in range(7) for j in range(10 * (k + 1))]
    folds = labelled_pages.folds_of(large + small)
    fold_of = dict(zip(large + small, folds, strict=True))
    assert set(folds) == set(range(FOLDS))
    assert [fold_of[pair] for pair in large + small] == folds  # one fold for a source's site
    assert len({fold for (source, _), fold in fold_of.items() if source == "large"}) == FOLDS
    for k in range(7):
        assert len({fold for (source, _), fold in fold_of.items() if source == f"s{k}"}) == 1
    pages = np.bincount([f for f, (s, _) in zip(folds, large + small, strict=True) if s != "large"])
    assert pages.tolist() == [70, 60, 50, 50, 50]


def test_blocks_are_labelled_by_what_the_truth_accounts_for() -> None:
    html = b"<p>Menu Home<p>the mill ran all year<p>by the river<p>Imprint"
    truth = "The mill ran all year, by the river."
    page = labelled_pages.lesson(html, None, truth, "s", kind="forum", url="http://a.example.org/")
    assert page is not None
    assert page.share.tolist() == [0, 1, 1, 0]
    assert (page.kind, page.site, page.tokens.tolist()) == ("forum", "example.org", [2, 5, 3, 1])
    assert labelled_pages.lesson(html, None, " ", "s") is None
    assert labelled_pages.lesson(b"", None, truth, "s") is None
