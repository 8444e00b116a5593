"""A refused command of `curation tune` leaves nothing behind, and says what differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("tokenizers", reason="the extra `tokenizers` is not installed")

from curation.cli import main  # noqa: E402
from curation.errors import InputError, RunError  # noqa: E402
from curation.gpt3 import checkpoint  # noqa: E402
from curation.gpt3.checkpoint import State  # noqa: E402
from curation.gpt3.epochs import begin_in, resumable  # noqa: E402
from curation.gpt3.model import build  # noqa: E402
from curation.gpt3.sizes import Size  # noqa: E402
from curation.gpt3.update import optimizer_for  # noqa: E402
from curation.kernels import vocabularies  # noqa: E402

COMMANDS = ("finetune", "sft", "reward", "ppo")
LEARNED = vocabularies.trained(["the tide turns and the boats turn", "the boats turn late"], 280)
NAME = vocabularies.stored_name(LEARNED, "a.json")
TEXTS = {
    "task": [{"text": "the tide", "label": 0}, {"text": "the boats", "label": 1}],
    "shown": [{"prompt": "the", "response": "boats"}, {"prompt": "a", "response": "tide"}],
    "ranked": [{"prompt": "the", "responses": ["tide", "boats"], "ranking": [1, 2]}],
    "prompts": [{"prompt": "the"}, {"prompt": "a"}],
    "odd": [{"some": "thing"}],
    "third": [{"text": "the tide", "label": 2}],
    "long": [{"prompt": "the " * 60, "response": "boats"}],
}
Call = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of every kind, a model with a vocabulary of its own, and a reward model."""
    for name, rows in TEXTS.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text)
    loaded = vocabularies.load(LEARNED, NAME)
    size = Size("test", 1, 8, 1, 64, 1e-2, context=32, vocabulary=loaded.n_vocab,
                attention=("dense",))  # fmt: skip
    model = build(size, 0)
    config = {"size": json.loads(json.dumps(asdict(size))), "encoding": NAME,
              "end_of_text": loaded.eot_token}  # fmt: skip
    checkpoint.save(tmp_path / "base", State(0, 0, 0, config), model, optimizer_for(model))
    (tmp_path / "base" / NAME).write_bytes(LEARNED)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("of somebody else")
    tune(tmp_path, "reward", "base", "--rankings", "ranked.jsonl", "--out", "judge")
    return tmp_path


def tune(folder: Path, *arguments: object, code: int = 0) -> str:
    """A command of `curation tune`; names of files and folders are those in `folder`."""
    known = {path.name for path in folder.iterdir()} | {"out", "judge"}
    named = [str(folder / str(one)) if str(one) in known else str(one) for one in arguments]
    result = CliRunner().invoke(main, ["tune", *named, "--device", "cpu"])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def given(command: str, **changed: object) -> list[object]:
    """The arguments of a command that works, with some changed; None leaves one out."""
    small = {"--checkpoint-every": 1}
    arguments: dict[str, dict[str, object]] = {
        "finetune": {"--task": "classify", "--train": "task.jsonl", "--dev": "task.jsonl"},
        "sft": {"--demonstrations": "shown.jsonl", "--epochs": 1},
        "reward": {"--rankings": "ranked.jsonl"},
        "ppo": {
            "--reward": "judge",
            "--prompts": "prompts.jsonl",
            "--pretrain-weight": 0,
            "--episodes": 2,
            "--batch": 2,
            "--minibatches": 1,
            "--max-tokens": 4,
        },
    }
    options = {**arguments[command], **small, "--out": "out"}
    options |= {"--" + name.replace("_", "-"): value for name, value in changed.items()}
    pairs = [(name, value) for name, value in options.items() if value is not None]
    return [command, "base", *(part for pair in pairs for part in pair)]


@pytest.mark.parametrize(
    ("command", "changed", "words"),
    [
        ("finetune", {"train": "odd.jsonl"}, "odd.jsonl, line 1: classify needs the fields"),
        ("finetune", {"dev": "odd.jsonl"}, "odd.jsonl, line 1: classify needs the fields"),
        ("finetune", {"dev": "third.jsonl"}, "the label '2' is not one that the model was trained"),
        ("finetune", {"train": "third.jsonl"}, "a task has 2 to 10,000 labels; found 1"),
        ("finetune", {"out": "task.jsonl"}, "a folder to train into expected"),
        ("finetune", {"out": "foreign"}, "holds no checkpoint, and is not empty ('notes.txt' is in"),
        ("sft", {"demonstrations": "odd.jsonl"}, "odd.jsonl, line 1"),
        ("sft", {"demonstrations": "long.jsonl"}, "long.jsonl, line 1"),
        ("sft", {"out": "task.jsonl"}, "a folder to train into expected"),
        ("reward", {"rankings": "odd.jsonl"}, "odd.jsonl, line 1"),
        ("reward", {"demonstrations": "odd.jsonl"}, "odd.jsonl, line 1"),
        ("reward", {"held_out": "odd.jsonl"}, "odd.jsonl, line 1"),
        ("reward", {"out": "task.jsonl"}, "a folder to train into expected"),
        ("ppo", {"prompts": "odd.jsonl"}, "odd.jsonl, line 1"),
        ("ppo", {"prompts": "long.jsonl"}, "long.jsonl, line 1"),
        ("ppo", {"reward": "base"}, "a checkpoint of `curation tune reward` expected here"),
        ("ppo", {"pretrain_weight": 1}, "give --pretrain RUN"),
        ("ppo", {"watch": "nobody"}, "there is no simulated labeler 'nobody'"),
        ("ppo", {"out": "task.jsonl"}, "a folder to train into expected"),
        *((command, {"out": "base"}, f"of `curation train`, not of `curation tune {command}`;")
          for command in COMMANDS),
    ],
)  # fmt: skip
def test_a_refused_command_leaves_nothing_behind(
    folder: Path, command: str, changed: dict[str, object], words: str
) -> None:
    before = sorted(folder.rglob("*"))
    assert words in tune(folder, *given(command, **changed), code=1)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_checkpoint_leaves_nothing_behind(folder: Path, command: str) -> None:
    (weights,) = (folder / "base").glob("step-*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    before = sorted(folder.rglob("*"))
    assert "cannot be read" in tune(folder, *given(command), code=1)
    (folder / "base" / NAME).unlink()
    assert f"{NAME} expected in" in tune(folder, *given(command), code=1)
    assert sorted(folder.rglob("*")) == [path for path in before if path.name != NAME or
                                         "base" not in path.parts]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "changed", "words"),
    [
        ("finetune", {"learning_rate": 0.5, "aux": 0.25},
         "(--aux is 0.5 there and 0.25 here; --learning-rate is 6.25e-05 there and 0.5 here)"),
        ("finetune", {"dropout": 0.5}, "(--dropout is 0.1 there and 0.5 here)"),
        ("finetune", {"train": "more.jsonl"}, "(--train was another one there)"),
        ("sft", {"batch": 7}, "(--batch is 32 there and 7 here)"),
        ("sft", {"dropout": 0.5}, "(--dropout is 0.2 there and 0.5 here)"),
        ("sft", {"demonstrations": "pairs.jsonl"}, "(--demonstrations was another one there)"),
        ("reward", {"epochs": 2}, "(--epochs is 1 there and 2 here)"),
        ("reward", {"demonstrations": "shown.jsonl"}, "(--demonstrations was not given there)"),
        ("ppo", {"kl_weight": 0.5}, "(--kl-weight is 0.02 there and 0.5 here)"),
        ("ppo", {"prompts": "pairs.jsonl"}, "(--prompts was another one there)"),
    ],
)  # fmt: skip
def test_another_training_in_the_folder_is_refused_with_what_differs(
    folder: Path, command: str, changed: dict[str, object], words: str
) -> None:
    rows = [*TEXTS["task"], {"text": "late", "label": 1}]
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "pairs.jsonl").write_text(json.dumps(TEXTS["shown"][0]) + "\n")
    tune(folder, *given(command))
    assert (folder / "out" / NAME).read_bytes() == LEARNED
    before = {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}
    output = tune(folder, *given(command, **changed), code=1)
    assert "out holds checkpoints of another training " + words in output
    assert {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")} == before
    tune(folder, *given(command))  # and the same command goes on, or has nothing to do


def test_what_an_option_does_not_explain_is_named_too(folder: Path, tmp_path: Path) -> None:
    config = checkpoint.read_state(checkpoint.steps(folder / "base")[-1]).config
    assert resumable(folder / "nothing", config) is None
    assert resumable(folder / "base", config) is not None
    other = {**config, "size": {**config["size"], "width": 16}, "end_of_text": 99}
    with pytest.raises(RunError, match=r"width is 8 there and 16 here; end_of_text is \d+ there"):
        resumable(folder / "base", other)
    (folder / "base" / ".step-0000007").mkdir()
    begin_in(folder / "base", lambda out: (out / "given").touch() or None)
    assert {path.name for path in (folder / "base").iterdir()} == {"given", NAME, "step-0000000"}
    with pytest.raises(InputError, match="is a file"):
        resumable(folder / "base" / "given", config)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_interrupted_training_says_what_it_has_kept(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "read_state", interrupted)
        output = tune(folder, *given(command), code=130)
        assert "Interrupted. No checkpoint was saved yet. The same command begins again." in output
    tune(folder, *given(command))
    monkeypatch.setattr(checkpoint, "read_state", interrupted)
    output = tune(folder, *given(command), code=130)
    newest = sorted((folder / "out").glob("step-*"))[-1]
    assert f"The newest checkpoint is {newest}: the same command goes on from it" in output


def test_other_commands_that_keep_nothing_say_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "read_state", interrupted)
    base, file, out = (str(folder / name) for name in ("base", "task.jsonl", "scores.json"))
    for arguments, words in (
        (["generate", base], "Interrupted. The same command begins again."),
        (["study", "prompt", base, "--query", "the"], "Interrupted. The same command begins again."),
        (["evaluate", base, "--benchmarks", file, "--out", out],
         f"Interrupted. What was scored stands above. Not written: {out}. The same command"),
    ):  # fmt: skip
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 130
        assert words in " ".join(result.output.split())
