from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from curation.cli.evaluate import evaluate  # noqa: E402
from curation.cli.tune.trainings import finetune  # noqa: E402
from curation.gpt3 import checkpoint  # noqa: E402
from curation.gpt3.checkpoint import State  # noqa: E402
from curation.gpt3.model import build  # noqa: E402
from curation.gpt3.options import FineTuning  # noqa: E402
from curation.gpt3.sizes import Size  # noqa: E402
from curation.gpt3.update import optimizer_for  # noqa: E402


def test_help_has_an_example_and_every_choice() -> None:
    result = CliRunner().invoke(finetune, ["--help"])
    assert result.exit_code == 0
    assert "Example:\n    curation tune finetune " in result.output
    for field in fields(FineTuning):
        assert "--" + field.name.replace("_", "-") in result.output


def test_a_model_is_fine_tuned_and_evaluated(tmp_path: Path) -> None:
    size = Size("test", 1, 4, 1, 64, 1e-2, context=12, vocabulary=50257, attention=("dense",),
                norm="post")  # fmt: skip
    model = build(size, 0)
    optimizer = optimizer_for(model)
    model.loss(torch.zeros(1, 5, dtype=torch.long)).backward()
    optimizer.step()
    config = {"size": size.__dict__, "encoding": "gpt2", "end_of_text": 50256}
    start = checkpoint.save(tmp_path / "model", State(1, 0, 0, config), model, optimizer)
    records = [
        {"text": "the harbour and " * 8, "label": "long"},
        {"text": "a tide", "label": "short"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    arguments = [str(start), "--task", "classify", "--train", str(path), "--dev", str(path),
                 "--out", str(tmp_path / "out"), "--epochs", "1", "--aux", "0", "--device", "cpu"]  # fmt: skip
    result = CliRunner().invoke(finetune, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "1 examples of --dev are longer than the context" in result.output
    assert "step 1 of 1" in result.output
    scores = tmp_path / "scores.json"
    arguments = [
        str(tmp_path / "out"),
        "--benchmarks",
        str(path),
        "--out",
        str(scores),
        "--device",
        "cpu",
    ]
    result = CliRunner().invoke(evaluate, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "classify (fine-tuned)" in result.output
    assert "1 cut to fit the window" in result.output
    (found,) = json.loads(scores.read_text())["results"]
    assert (found["examples"], found["chance"]) == (2, 0.5)
    for option in (["--limit", "1"], ["--shots", "2"], ["--task", "copa"], ["--page", "a.html"]):
        result = CliRunner().invoke(evaluate, [*arguments, *option])
        assert result.exit_code == 2
        assert f"{option[0]} does not apply to a fine-tuned model; leave it out." in result.output
