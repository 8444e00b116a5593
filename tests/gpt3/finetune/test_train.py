from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from curation.errors import InputError, RunError
from curation.gpt3 import checkpoint
from curation.gpt3.finetune import train as module
from curation.gpt3.finetune.evaluate import evaluate_tuned, is_tuned
from curation.gpt3.finetune.train import finetune, learning_rate, load_tuned
from curation.gpt3.generate import load_checkpoint
from curation.gpt3.options import FineTuning

Write = Callable[..., Path]
OPTIONS = FineTuning(batch=8, epochs=2, learning_rate=3e-3, checkpoint_every=2, device="cpu")


def records(count: int, seed: int) -> list[dict[str, Any]]:
    """A text with w1 in it is "high", one with w2 "low": no model needs to know more."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(3, 61, (count, 4))
    rows[:, 1] = generator.integers(1, 3, count)
    return [
        {"text": " ".join(f"w{n}" for n in row), "label": "high" if row[1] == 1 else "low"}
        for row in rows
    ]


@pytest.fixture
def files(write_lines: Write) -> tuple[Path, Path]:
    return write_lines("train.jsonl", records(44, 1)), write_lines("dev.jsonl", records(20, 2))


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_task_is_learnt_logged_and_evaluated(
    pretrained: Path, files: tuple[Path, Path], write_lines: Write, words: Any, tmp_path: Path
) -> None:
    train = write_lines("many.jsonl", records(400, 5))
    options = replace(OPTIONS, epochs=8, dropout=0.0, learning_rate=1e-2)
    result = finetune(pretrained, "classify", train, files[1], tmp_path / "out", options, words)
    assert result.step == result.steps == 400
    assert result.accuracy > 0.8
    lines = log(tmp_path / "out")
    steps = [line for line in lines if "loss" in line]
    assert len(steps) == 400
    assert set(steps[0]) == {"step", "epoch", "loss", "l2", "l1", "accuracy", "lr", "grad_norm"}
    assert [line["step"] for line in lines if "dev" in line] == list(range(50, 401, 50))
    assert is_tuned(tmp_path / "out")
    assert not is_tuned(pretrained)
    (found,) = evaluate_tuned(tmp_path / "out", [files[1]], encoding=words)
    assert found["accuracy"]["value"] == pytest.approx(result.accuracy)
    assert (found["chance"], found["examples"]) == (0.5, 20)
    gold = [record["label"] for record in records(20, 2)]
    right = np.mean([a == b for a, b in zip(found["answers"], gold, strict=True)])
    assert right == pytest.approx(result.accuracy)
    model, name, _ = load_checkpoint(tmp_path / "out")  # its language model is read as any other
    assert (model.size.vocabulary, name) == (61, "gpt2")


@pytest.mark.parametrize("stop", [1, 2, 7])
def test_a_resumed_run_is_bitwise_the_undisturbed_one(
    pretrained: Path, files: tuple[Path, Path], words: Any, tmp_path: Path, stop: int
) -> None:
    whole = finetune(pretrained, "classify", *files, tmp_path / "whole", OPTIONS, words)
    part = tmp_path / "part"
    finetune(pretrained, "classify", *files, part, replace(OPTIONS, max_steps=stop), words)
    resumed = finetune(pretrained, "classify", *files, part, OPTIONS, words)
    assert content(whole.checkpoint) == content(resumed.checkpoint)
    steps = [
        [line for line in log(tmp_path / name) if "loss" in line] for name in ("whole", "part")
    ]
    assert steps[0] == steps[1]
    assert resumed == replace(whole, checkpoint=resumed.checkpoint)
    again = finetune(pretrained, "classify", *files, part, OPTIONS, words)
    assert again == resumed


KILLED = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[6])
from conftest import Words
from curation.gpt3.finetune import train as module
from curation.gpt3.options import FineTuning
step = module._step
def slow(*arguments):
    time.sleep(0.05)
    return step(*arguments)
module._step = slow
start, train, dev, out = map(Path, sys.argv[1:5])
module.finetune(start, "classify", train, dev, out, eval(sys.argv[5]), Words())
"""


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    pretrained: Path, files: tuple[Path, Path], words: Any, tmp_path: Path
) -> None:
    whole = finetune(pretrained, "classify", *files, tmp_path / "whole", OPTIONS, words)
    out = tmp_path / "killed"
    arguments = [
        str(pretrained),
        *map(str, files),
        str(out),
        repr(OPTIONS),
        str(Path(__file__).parent),
    ]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    deadline = time.monotonic() + 120
    while not checkpoint.steps(out) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = finetune(pretrained, "classify", *files, out, OPTIONS, words)
    assert content(whole.checkpoint) == content(resumed.checkpoint)


def test_another_run_in_the_same_folder_is_refused(
    pretrained: Path, files: tuple[Path, Path], words: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    finetune(pretrained, "classify", *files, out, replace(OPTIONS, max_steps=1), words)
    with pytest.raises(RunError, match="another training"):
        finetune(pretrained, "classify", *files, out, replace(OPTIONS, aux=0.1), words)
    with pytest.raises(RunError, match=r"another training \(--train was"):
        finetune(pretrained, "classify", files[1], files[1], out, OPTIONS, words)


def test_checkpoints_of_another_family_are_refused(
    pretrained: Path, files: tuple[Path, Path], words: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    finetune(pretrained, "classify", *files, out, replace(OPTIONS, max_steps=1), words)
    with pytest.raises(InputError, match="is of `curation tune finetune`"):
        finetune(out, "classify", *files, tmp_path / "two", OPTIONS, words)
    with pytest.raises(InputError, match="holds no checkpoint of ours"):
        finetune(tmp_path, "classify", *files, tmp_path / "two", OPTIONS, words)
    with pytest.raises(InputError, match="is not a checkpoint of `curation tune finetune`"):
        load_tuned(pretrained)
    with pytest.raises(InputError, match="is no file"):
        evaluate_tuned(out, [tmp_path], encoding=words)


def test_labels_of_the_development_set_must_be_known(
    pretrained: Path, files: tuple[Path, Path], write_lines: Write, words: Any, tmp_path: Path
) -> None:
    dev = write_lines("other.jsonl", [{"text": "w1", "label": "middle"}])
    with pytest.raises(InputError, match="the label 'middle' is not one that the model"):
        finetune(pretrained, "classify", files[0], dev, tmp_path / "out", OPTIONS, words)
    assert not (tmp_path / "out").exists()


def test_as_many_layers_are_transferred_as_asked(
    pretrained: Path, files: tuple[Path, Path], words: Any, tmp_path: Path
) -> None:
    start = dict(load_checkpoint(pretrained)[0].named_parameters())
    still = replace(OPTIONS, learning_rate=1e-12, max_steps=1)
    for transfer in (-1, 0, 1, 2, 1000):
        out = tmp_path / f"{transfer}"
        options = replace(still, transfer=transfer)
        finetune(pretrained, "classify", *files, out, options, words)
        found = dict(load_tuned(checkpoint.steps(out)[-1])[0].model.named_parameters())
        same = {
            name.split(".")[0] + "." + name.split(".")[1]
            if "blocks" in name
            else name.split(".")[0]
            for name, value in start.items()
            if value.dim() == 2 and torch.allclose(value, found[name], atol=1e-6)
        }
        wanted = {"tokens", "positions"} if transfer >= 0 else set()
        assert same == wanted | {f"blocks.{n}" for n in range(2) if n < transfer}


def test_the_rate_rises_and_falls_in_a_line() -> None:
    options = FineTuning()
    rates = [learning_rate(options, step, 1000) for step in range(1, 1001)]
    assert max(rates) == pytest.approx(6.25e-5, rel=0.01)
    assert rates.index(max(rates)) == 1
    assert rates[0] == pytest.approx(6.25e-5 / 2, rel=0.01)
    assert np.ptp(np.diff(rates[2:])) < 1e-12
    assert 0 < rates[-1] < 1e-7


def test_a_loss_that_is_not_a_number_stops_the_run(
    pretrained: Path,
    files: tuple[Path, Path],
    words: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gradient, calls = module.gradient, []

    def poisoned(tuned: Any, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            torch.nn.init.constant_(tuned.head.weight, float("nan"))
        return gradient(tuned, *arguments)

    monkeypatch.setattr(module, "gradient", poisoned)
    with pytest.raises(RunError, match=r"loss is nan .* in step 4; the last .*step-0000002"):
        finetune(pretrained, "classify", *files, tmp_path / "out", OPTIONS, words)
    assert [path.name for path in checkpoint.steps(tmp_path / "out")] == ["step-0000002"]


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="dropout"):
        FineTuning(dropout=1.0)
    with pytest.raises(InputError, match="aux"):
        FineTuning(aux=-0.1)
