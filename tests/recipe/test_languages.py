"""Codes of languages: those of the model are known, and what was meant is said of others."""

from __future__ import annotations

import pytest

from curation.readers.language import _model
from curation.recipe.languages import CODES, NAMES, check_languages


def test_the_codes_are_those_of_the_model() -> None:
    labels = _model().predict("any text", k=300, threshold=-1.0)[0]
    assert {label.removeprefix("__label__") for label in labels} | {"und"} == CODES
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
