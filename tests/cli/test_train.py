from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from curation.cli.train import generate, need_finished, train
from curation.errors import InputError, MissingExtra, RunError
from curation.gpt3.sizes import SIZES


@pytest.mark.parametrize("command", [train, generate], ids=["train", "generate"])
def test_help_has_an_example_and_documents_every_option(command: click.Command) -> None:
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert f"Example:\n    curation {command.name} " in result.output
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_help_names_every_size() -> None:
    text = " ".join(CliRunner().invoke(train, ["--help"]).output.split())
    assert (
        f"{', '.join(list(SIZES)[:3])}, or one of the papers': {', '.join(list(SIZES)[3:])}."
        in text
    )


def test_the_command_line_does_not_import_torch() -> None:
    code = (
        "import sys, curation.cli.train; "
        "print(sorted({'torch', 'numpy', 'rich'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(train, ["x", "--out", "y"]), (generate, ["x"])],
    ids=["train", "generate"],
)
def test_without_torch_it_says_what_to_install(
    command: click.Command, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else find(name)
    )
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, MissingExtra)
    assert str(result.exception) == (
        f"curation {command.name} needs the optional part 'train'; in the folder of curation's "
        "source, run pip install '.[train]'"
    )


def test_the_plan_needs_no_torch() -> None:
    arguments = ["train", "--plan", "--size", "175B", "--gpus", "512"]
    code = (
        "import sys; sys.modules['torch'] = None\n"  # importing it fails
        f"from curation.cli import main; main({arguments!r})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "174,604,259,328 parameters" in result.stdout
    assert "57.4 days on 512 GPUs of 312 TFLOP/s at 40 % utilisation" in result.stdout
    assert "FSDP 64 x tensor 8" in result.stdout


def test_only_the_trainer_imports_torch() -> None:
    """Every module of the package but the trainer's, imported where torch cannot be."""
    code = (
        "import sys, pkgutil, importlib, curation; sys.modules['torch'] = None\n"
        "names = [m.name for m in pkgutil.walk_packages(curation.__path__, 'curation.')]\n"
        "skipped = ('curation.gpt3', 'curation.engine.spark', 'curation.__main__', "
        "'curation.demo.__main__')\n"
        "for name in names:\n"
        "    if not name.startswith(skipped): importlib.import_module(name)\n"
        "print(len(names))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout) > 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give SHARDS and --out, or --plan."),
        (["x"], "give SHARDS and --out, or --plan."),
        (["--plan", "--utilisation", "1.5"], "1.5 is not in the range 0<x<=1"),
    ],
)
def test_a_command_line_without_what_it_needs(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(train, arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_train_then_generate(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    torch.set_num_threads(1)  # does not wait for a busy second core
    tokens = np.arange(2100, dtype="<u2") % 300
    tokens.tofile(tmp_path / "train-00000.bin")
    tokens[:50].tofile(tmp_path / "validation-books-00000.bin")
    listing = {"encoding": "gpt2", "vocabulary": 50257, "end_of_text": 50256, "dtype": "uint16"}
    names = {"train": ["train-00000"], "validation": {"books": ["validation-books-00000"]}}
    (tmp_path / "shards.json").write_text(json.dumps({**listing, **names, "tokens": 2100}))
    out = str(tmp_path / "model")
    result = CliRunner().invoke(train, [str(tmp_path), "--out", out, "--max-steps", "1"])
    assert result.exit_code == 0, result.output
    assert "step-0000001: step 1, 1,024 of 2,048 tokens" in result.output
    assert "validation loss books: " in result.output
    assert " bits per byte" in result.output
    assert "sample: " in result.output
    foreign = CliRunner().invoke(train, [str(tmp_path), "--out", str(tmp_path), "--max-steps", "1"])
    assert isinstance(foreign.exception, InputError)
    assert "holds no checkpoint, and is not empty ('model'" in str(foreign.exception)
    arguments = [out, "--prompt", "Once", "--max-tokens", "4", "--seed", "1", "--top-p", "0.9"]
    texts = [CliRunner().invoke(generate, arguments).output for _ in range(2)]
    assert texts[0].startswith("Once")
    assert texts[0] == texts[1]


def test_shards_of_an_unfinished_run_are_not_trained_on(run_recipe: Callable[..., Any]) -> None:
    table = {
        "stages": ["extract", "tokenize", "mix"],
        "mix": {"weights": {"a": 1}, "shards": 1, "validation": 0},
    }
    rundir, _ = run_recipe({"a": [{"id": "1", "text": "one two three"}]}, table)
    for folder in ("", "shards"):
        need_finished(Path(rundir.out, folder), "mix")
    Path(rundir.path("manifests", "mix.json")).unlink()
    for folder in ("", "shards"):
        with pytest.raises(RunError, match=r"mix has not ended.*curation run RECIPE"):
            need_finished(Path(rundir.out, folder), "mix")
