from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from curation.cli import main
from curation.kernels import vocabularies

tokenizers = pytest.importorskip("tokenizers", reason="the extra `tokenizers` is not installed")


def test_a_vocabulary_is_learned_from_what_a_run_keeps(
    run_recipe: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{"id": str(i), "text": f"the boats of pier {i} turn with the tide"} for i in range(30)]
    rundir, _ = run_recipe({"a": rows}, {"stages": ["extract"]})
    out = tmp_path / "new" / "vocabulary.json"
    arguments = ["tune", "vocabulary", rundir.out, "--size", "290", "--out", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "290 tokens learned from 30 documents" in result.output
    expected = vocabularies.trained((row["text"] for row in rows), 290)
    assert json.loads(out.read_bytes()) == json.loads(expected)
    loaded = vocabularies.load(out.read_bytes(), out.name)
    assert len(loaded.encode_ordinary(rows[0]["text"])) < 20
    wrong = CliRunner().invoke(main, [*arguments[:-1], str(tmp_path / "a.model")])
    assert wrong.exit_code == 1
    assert "a file that ends with .json expected" in wrong.output
