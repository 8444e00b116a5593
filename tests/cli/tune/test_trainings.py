"""The four commands of InstructGPT, one after the other on a model of GPT-2's tokens."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from curation.cli import main
from curation.cli.tune.rank import rank
from curation.cli.tune.trainings import ppo, reward, sft
from curation.errors import MissingExtra

COMMANDS = [sft, rank, reward, ppo]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: str(c.name))
def test_help_has_an_example_and_documents_every_option(command: click.Command) -> None:
    result = CliRunner().invoke(main, ["tune", str(command.name), "--help"])
    assert result.exit_code == 0
    assert f"    curation tune {command.name} " in result.output
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_without_torch_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else find(name)
    )
    file = tmp_path / "x.jsonl"
    file.write_text("{}\n")
    required = {
        "sft": ["--demonstrations", str(file)],
        "rank": ["--prompts", str(file)],
        "reward": ["--rankings", str(file)],
        "ppo": ["--reward", "x", "--prompts", str(file)],
    }
    for command in COMMANDS:
        arguments = ["x", *required[str(command.name)], "--out", str(tmp_path / "out")]
        result = CliRunner().invoke(command, arguments)
        assert isinstance(result.exception, MissingExtra), command.name


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A run directory's shards and a model trained on them for one step."""
    np = pytest.importorskip("numpy")
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    torch.set_num_threads(1)  # does not wait for a busy second core
    from curation.gpt3.sizes import Size
    from curation.gpt3.train import Options, train

    for name in ("train-00000", "validation"):
        (np.arange(500, dtype="<u2") % 300).tofile(tmp_path / f"{name}.bin")
    listing = {"encoding": "gpt2", "vocabulary": 50257, "end_of_text": 50256, "dtype": "uint16"}
    names = {"train": ["train-00000"], "validation": {"wiki": ["validation"]}, "tokens": 500}
    (tmp_path / "shards.json").write_text(json.dumps({**listing, **names}))
    size = Size("test", 1, 8, 1, 64, 1e-2, context=64, band=16)
    train(tmp_path, tmp_path / "base", size, Options(tokens=64))
    return tmp_path


def call(*arguments: object, typed: str | None = None, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["tune", *map(str, arguments)], input=typed)
    assert result.exit_code == code, result.output
    return result.output


def test_the_three_steps_with_a_simulated_labeler_named_everywhere(base: Path) -> None:
    prompts, shown = base / "prompts.jsonl", base / "shown.jsonl"
    texts = ["Name a river.", "Name a high mountain."]
    prompts.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    shown.write_text(
        "".join(json.dumps({"prompt": t, "response": "The Nile river."}) + "\n" for t in texts)
    )
    output = call(
        "sft", base / "base", "--demonstrations", shown, "--out", base / "sft", "--epochs", 2,
        "--learning-rate", 1e-3,
    )  # fmt: skip
    assert "step 2 of 2" in output
    ranked = base / "ranked.jsonl"
    rank_it = ("rank", base / "sft", "--prompts", prompts, "--out", ranked, "--max-tokens", 50)
    output = call(*rank_it, "--by", "brief", "--agreement", 0.6)
    assert "simulated labeler (rule brief), not a person. Score: 1 if the answer ends" in output
    assert "agree on 60.0 %" in output
    assert "2 rankings by a simulated labeler (rule brief)" in output
    assert "every prompt has its ranking" in call(*rank_it, "--by", "brief")
    output = call(
        "reward", base / "sft", "--rankings", ranked, "--demonstrations", shown, "--held-out",
        ranked, "--out", base / "rm",
    )  # fmt: skip
    assert "ranked by: simulated labeler (rule brief)" in output
    assert "% of 12" in output
    ppo_it = (
        "ppo", base / "sft", "--reward", base / "rm", "--prompts", prompts, "--pretrain", base,
        "--out", base / "ppo", "--episodes", 8, "--batch", 4, "--minibatches", 2, "--max-tokens",
        6, "--pretrain-windows", 1, "--watch", "brief",
    )  # fmt: skip
    output = call(*ppo_it, "--max-steps", 1)
    assert "step 1 of 2" in output
    output = call(*ppo_it)
    assert "trained on rankings by: simulated labeler (rule brief)" in output
    assert "validation loss wiki: " in output
    assert "watched rule " in output
    assert "step 2 of 2" in output
    made = CliRunner().invoke(main, ["generate", str(base / "ppo"), "--max-tokens", "3"])
    assert made.exit_code == 0
    refused = CliRunner().invoke(main, ["generate", str(base / "rm")])
    assert refused.exit_code == 1
    assert "a reward model, which writes no text" in refused.output
    output = call("ppo", base / "sft", "--reward", base / "sft", "--prompts", prompts, "--out",
                  base / "x", "--pretrain-weight", 0, code=1)  # fmt: skip
    assert "a checkpoint of `curation tune reward` expected here" in output


def test_a_person_ranks_skips_stops_and_goes_on(base: Path) -> None:
    prompts, ranked = base / "prompts.jsonl", base / "ranked.jsonl"
    texts = [f"Name a river {n}\x1b[2J." for n in range(3)]
    prompts.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    rank_it = (
        "rank", base / "base", "--prompts", prompts, "--out", ranked, "-k", 3, "--max-tokens", 8,
    )  # fmt: skip
    output = call(*rank_it, typed="zz\ncab\ns\nq\n")
    assert "each of the letters a to c once expected" in output
    assert "1 of 3" in output
    assert "3 of 3" in output
    assert "\x1b[2J" not in output
    rows = [json.loads(line) for line in ranked.read_text().splitlines()]
    assert [(row["prompt"], row["ranking"], row["by"]) for row in rows] == [
        (texts[0], [2, 3, 1], "a person")
    ]
    assert len(set(rows[0]["responses"])) == 3
    output = call(*rank_it, typed="abc\nbac\n")
    assert "1 of 2" in output
    assert "no prompt is left" in output
    assert len(ranked.read_text().splitlines()) == 3
    call(*rank_it, typed="")  # nothing to ask


def test_the_end_of_input_is_a_stop(base: Path) -> None:
    prompts = base / "prompts.jsonl"
    prompts.write_text(json.dumps({"prompt": "Name a river."}) + "\n")
    rank_it = (
        "rank", base / "base", "--prompts", prompts, "--out", base / "r.jsonl", "--max-tokens", 8,
    )  # fmt: skip
    output = call(*rank_it, typed="")
    assert "the same command goes on" in output
    assert not (base / "r.jsonl").exists()
    output = call(*rank_it, "--by", "brief", "--browse", code=2)
    assert "give one" in output
    output = call(*rank_it, "--by", "short", code=1)
    assert "there is no simulated labeler 'short'" in output
