"""Codes of languages: those of the model are known, and what was meant is said of others."""

from __future__ import annotations

import pytest

from curation.readers.language_model import model_labels, shipped
from curation.recipe.languages import (
    CODES,
    NAMES,
    THREE,
    alike,
    check_labels,
    check_languages,
    three_letters,
)


def test_the_codes_are_those_of_the_model() -> None:
    assert {*model_labels(shipped()), "und"} == CODES
    assert set(NAMES.values()) <= CODES
    check_languages(sorted(CODES))


@pytest.mark.parametrize(
    ("code", "meant"),
    [("english", "en"), ("EN", "en"), ("en-US", "en"), ("zh_Hans", "zh"), ("Deutsch", "de"),
     ("spa", "es"), (" fr ", "fr")],
)  # fmt: skip
def test_an_unknown_code_is_refused_with_what_is_meant(code: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        check_languages(["en", code])
    with pytest.raises(ValueError, match=r"got 'klingon' \(ISO 639-1"):
        check_languages(["klingon"])


def test_every_language_of_the_model_has_one_code_of_three_letters() -> None:
    """Crawls name languages by ISO 639-3, so a page's own verdict can be compared."""
    codes = {code: three_letters(code) for code in CODES}
    assert not [code for code, three in codes.items() if three is None]
    assert len(set(codes.values())) == len(codes)
    assert set(THREE) <= CODES
    assert three_letters("eng_Latn") == three_letters("eng") == three_letters("en") == "eng"
    assert alike(["en", "Englisch"]) is None  # what that label means cannot be said


@pytest.mark.parametrize(
    ("code", "nearest"),
    [("en", "'eng_Latn'"), ("English", "'eng_Latn'"), ("zh", "'zho_Hans', 'zho_Hant'"),
     ("eng-Latn", "'eng_Latn'"), ("por_Latm", "'por_Latn', 'glg_Latn'"), ("Klingon", "'afr_Latn', ")],
)  # fmt: skip
def test_a_label_that_a_model_has_not_is_refused_with_the_nearest(code: str, nearest: str) -> None:
    labels = ["afr_Latn", "eng_Latn", "zho_Hans", "zho_Hant", "glg_Latn", "por_Latn"]
    check_labels(labels, labels, "x.bin")
    with pytest.raises(ValueError, match=rf"6 labels of x\.bin .*nearest: {nearest}"):
        check_labels(["eng_Latn", code], labels, "x.bin")
