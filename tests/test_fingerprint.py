"""The content of every table and shard of the sample's run is what it was."""

from __future__ import annotations

import json
from pathlib import Path

import fingerprint
import numpy as np
import pytest

from curation.engine.local import LocalEngine
from curation.stages.classify.model import load_model


def test_the_sample_run_has_the_stored_fingerprint(
    sample_folder: Path, local: LocalEngine, tmp_path: Path
) -> None:
    fingerprint.golden_run(sample_folder, tmp_path / "run", local)
    stored = json.loads(fingerprint.STORED.read_text(encoding="utf-8"))
    if message := fingerprint.differences(stored, fingerprint.run_fingerprint(tmp_path / "run")):
        pytest.fail(message, pytrace=False)


def test_a_fit_on_the_sample_agrees_with_the_stored_model(sample_run: Path) -> None:
    """Linear algebra libraries differ by machine, so a fit agrees to 1e-6 and not to the last bit."""
    fitted = load_model(str(sample_run / "classify" / "model"))
    stored = load_model(str(fingerprint.FOLDER / "model"))
    assert np.count_nonzero(stored.weights) > 4000
    np.testing.assert_allclose(fitted.weights, stored.weights, rtol=0, atol=1e-6)
    assert fitted.intercept == pytest.approx(stored.intercept, abs=1e-6)


def test_a_difference_names_the_stage_and_its_version() -> None:
    stored = {"tokens/web/00000.parquet": "a", "dedup/pairs/links/00000.parquet": "b", "x": "c"}
    found = {"tokens/web/00000.parquet": "A", "x": "c", "dedup/bands/web/00000.parquet": "d"}
    message = fingerprint.differences(stored, found).splitlines()
    assert "dedup/pairs/links: VERSION = " in message[1]
    assert message[2].strip() == "missing dedup/pairs/links/00000.parquet"
    assert message[4].strip() == "new dedup/bands/web/00000.parquet"
    assert message[6].strip() == "changed tokens/web/00000.parquet"
    assert fingerprint.COMMAND in message[-1]
    assert not fingerprint.differences(stored, stored)
