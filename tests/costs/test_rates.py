"""Files of rates and prices."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.costs import rates
from curation.errors import InputError
from curation.recipe.line import STAGES, folders


def test_those_that_ship_know_every_stage_and_folder_and_are_rough() -> None:
    shipped = rates.load()
    assert shipped.is_rough
    assert set(shipped.stages) == set(STAGES) - {"download"}
    known = {name for stage in STAGES[1:] for name in folders(stage, STAGES)}
    assert known == set(shipped.disk)
    assert set(shipped.extract) == {"warc", "wet", "mediawiki", "table", "text", "html"}


def test_saved_rates_are_read_back(tmp_path: Path) -> None:
    path = str(tmp_path / "rates.json")
    shipped = rates.load()
    rates.save(path, shipped)
    assert rates.load(path) == shipped


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 3", "chars_per_token"),
        ("name = ", "TOML"),
        ("name = 'x'\nchars_per_token = 'four'", "a file of rates"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "rates.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        rates.load(str(path))


def test_prices(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    text = rates.PRICES.read_text().replace("0.05", "0.10")
    path.write_text(text)
    assert rates.prices(str(path)).machine_per_core_hour == 0.10
    path.write_text(text.replace("put_per_1000", "puts"))
    with pytest.raises(InputError, match="put"):
        rates.prices(str(path))
    path.write_text(text.replace("0.10", "-1"))
    with pytest.raises(InputError, match="at least 0"):
        rates.prices(str(path))
