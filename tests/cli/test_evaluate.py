from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from curation.cli.ablate import ablate
from curation.cli.evaluate import evaluate, line, overlap_line
from curation.errors import InputError, MissingExtra


@pytest.mark.parametrize("command", [evaluate, ablate], ids=["evaluate", "ablate"])
def test_help_has_an_example_and_documents_every_option(command: click.Command) -> None:
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert f"Example:\n    curation {command.name} " in result.output
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(evaluate, ["x", "--benchmarks", "."]), (ablate, ["x", "--out", "y"])],
    ids=["evaluate", "ablate"],
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


def test_a_line_says_what_was_cut_and_what_is_dirty() -> None:
    half = {"value": 0.5, "low": 0.4, "high": 0.6}
    result = {
        "task": "lambada",
        "examples": 90,
        "shots": 2.5,
        "accuracy": half,
        "chance": 0.0,
        "cut": 3,
    }
    sides = {
        "clean": {"examples": 80, "accuracy": half},
        "dirty": {"examples": 10, "accuracy": {**half, "value": 0.9}},
    }
    text = line({**result, **sides, "perplexity": {"value": 1234.5, "low": 1000.0, "high": 1500.0}})
    assert text.split()[:4] == ["lambada", "90", "2.5", "50.0"]
    assert (
        "perplexity 1,234 [1,000, 1,500]; clean 50.0 % of 80; dirty 90.0 % of 10; 3 cut to fit the window"
        in text
    )


def test_evaluate_a_checkpoint(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    torch.set_num_threads(1)  # does not wait for a busy second core
    from curation.gpt3.sizes import Size
    from curation.gpt3.train import Options, train

    (np.arange(500, dtype="<u2") % 300).tofile(tmp_path / "train-00000.bin")
    listing = {"encoding": "gpt2", "vocabulary": 50257, "end_of_text": 50256, "dtype": "uint16"}
    (tmp_path / "shards.json").write_text(
        json.dumps({**listing, "train": ["train-00000"], "validation": {}, "tokens": 500})
    )
    size = Size("test", 1, 8, 1, 64, 1e-2, context=64, band=16)
    model = train(tmp_path, tmp_path / "model", size, Options(tokens=64)).checkpoint
    (tmp_path / "mine.jsonl").write_text(
        "".join(
            f'{{"query": "The {star}", "choices": ["shines", "soup"], "gold": 0}}\n'
            for star in ("sun", "moon", "lamp")
        )
    )
    arguments = [
        str(model),
        "--benchmarks",
        str(tmp_path / "mine.jsonl"),
        "--shots",
        "1",
        "--out",
        str(tmp_path / "r.json"),
    ]
    result = CliRunner().invoke(evaluate, arguments)
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["results"][0]["task"] == "mine"
    assert written["results"][0]["shots"] == 1.0
    assert written["shots"] == 1
    assert written["beam"] == 4
    for options, words in (
        (["--as", "perplexity", "--shots", "2"], "--shots does not apply to --as perplexity"),
        (["--as", "answer", "--page", "a.html"], "--page does not apply to --as answer"),
        (
            ["--detokenizer", "ptb"],
            "--detokenizer does not apply to models without --as perplexity",
        ),
    ):
        result = CliRunner().invoke(evaluate, [*arguments[:3], *options])
        assert result.exit_code == 2
        assert f"{words}; leave it out." in result.output
    # A record that is none is said before anything is scored.
    odd = tmp_path / "copa.val.llmfoundry.jsonl"
    odd.write_text('{"query": "a", "choices": ["b", "c"], "gold": 2}\n')
    result = CliRunner().invoke(evaluate, [*arguments[:3], "--benchmarks", str(odd)])
    assert isinstance(result.exception, InputError)
    assert "the right answer is number 2 of 2" in str(result.exception)
    assert "mine" not in result.output


def test_curves_of_two_checkpoints_and_the_overlap_as_a_page(tmp_path: Path) -> None:
    """Two random models, three numbers of shots, both wordings, and a contamination report."""
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    torch.set_num_threads(1)  # does not wait for a busy second core
    from curation.gpt3.sizes import Size
    from curation.gpt3.train import Options, train

    np = pytest.importorskip("numpy")
    (np.arange(500, dtype="<u2") % 300).tofile(tmp_path / "train-00000.bin")
    listing = {"encoding": "gpt2", "vocabulary": 50257, "end_of_text": 50256, "dtype": "uint16"}
    (tmp_path / "shards.json").write_text(
        json.dumps({**listing, "train": ["train-00000"], "validation": {}, "tokens": 500})
    )
    models = []
    for width in (8, 16):
        size = Size("test", 1, width, 1, 64, 1e-2, context=64, band=16)
        out = tmp_path / f"model-{width}"
        models.append(str(train(tmp_path, out, size, Options(tokens=64)).checkpoint))
    words = "".join(
        json.dumps({"context": f"\n{word[::-1]} =", "completion": f" {word}"}) + "\n"
        for word in ("defeat", "objects", "casino")
    )
    (tmp_path / "gpt3_reversed_words.jsonl").write_text(words)
    run = tmp_path / "run"
    (run / "decontaminate").mkdir(parents=True)
    (run / "decontaminate" / "dirty.jsonl").write_text(
        '{"benchmark": "gpt3_reversed_words", "id": "0", "after": ["web"]}\n'
    )
    arguments = ["--benchmarks", str(tmp_path), "--shots", "0,1,2", "--describe", "--bare"]
    files = ["--page", str(tmp_path / "p.html"), "--out", str(tmp_path / "r.json")]
    more = ["--beam", "2", "--contamination", str(run)]
    result = CliRunner().invoke(evaluate, [*models, *arguments, *files, *more])
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "r.json").read_text())
    asked = {(r["model"], r["shots_asked"], r["described"]) for r in written["results"]}
    assert asked == {(m, k, d) for m in models for k in (0, 1, 2) for d in (True, False)}
    assert written["checkpoint"] == models
    assert written["shots"] == [0, 1, 2]
    page = (tmp_path / "p.html").read_text()
    assert page.count("<svg") == 3  # figures 1.2, 3.11 and 4.2
    assert "without a description" in page
    assert len(written["overlap"]) == len(asked)
    assert {(row["dirty"], row["clean"]) for row in written["overlap"]} == {(1, 2)}
    assert "66.7 % of 3 examples are clean" in result.output


@pytest.mark.parametrize("shots", ["", "1,,2", "-1", "0,1001", "many"])
def test_numbers_of_shots_are_whole_and_bounded(shots: str) -> None:
    result = CliRunner().invoke(evaluate, ["x", "--benchmarks", ".", "--shots", shots])
    assert result.exit_code == 2
    assert "whole numbers from 0 to 1,000 with commas expected" in result.output


def test_a_line_of_table_c_1_says_what_is_clean() -> None:
    row = {"task": "piqa", "clean_share": 0.71, "examples": 1838, "relative_difference": -0.04}
    assert "piqa: 71.0 % of 1,838 examples are clean" in overlap_line(row)
    assert overlap_line(row).endswith("-4.0 %")
    assert overlap_line({**row, "relative_difference": None}).endswith("not known")


def test_a_line_names_another_metric_and_a_bare_wording() -> None:
    score = {"value": 0.31, "low": 0.3, "high": 0.32}
    result = {"task": "coqa", "examples": 9, "shots": 0, "chance": 0.0, "cut": 0, "score": score}
    text = line({**result, "accuracy": {**score, "value": 0.1}, "metric": "f1", "described": False})
    assert "31.0 %" in text
    assert text.endswith("F1; bare")


def test_ablate_writes_page_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts are made by hand here; how the line makes them is tested in test_ablation.py."""
    np = pytest.importorskip("numpy")
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    torch.set_num_threads(1)  # does not wait for a busy second core
    from curation.tools import ablation

    folders = {}
    for name, step in (("raw", 3), ("mixture", 1), ("books", 1)):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        (np.arange(2100, dtype="<u2") * step % 50).tofile(folders[name] / "train-00000.bin")
        listing = {
            "encoding": "gpt2",
            "vocabulary": 50,
            "end_of_text": 0,
            "dtype": "uint16",
            "validation": {},
        }
        (folders[name] / "shards.json").write_text(
            json.dumps({**listing, "train": ["train-00000"], "tokens": 2100})
        )
    facts = ablation.TextFacts({"books": ablation.SplitCounts(rest=3, held_out=1)}, {}, {})
    texts = ablation.Texts(
        {k: str(folders[k]) for k in ("raw", "mixture")}, {"books": str(folders["books"])}, facts
    )
    monkeypatch.setattr(ablation, "prepare", lambda *args, **options: texts)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[[dataset]]\nname = "books"\nfiles = "books"\n[mix.weights]\nbooks = 1\n[decontaminate]\nbenchmarks = "b"\n'
    )
    out = tmp_path / "out"
    arguments = [
        str(recipe),
        "--out",
        str(out),
        "--tokens",
        "2048",
        "--seeds",
        "2",
        "--windows",
        "2",
    ]
    result = CliRunner().invoke(ablate, arguments)
    assert result.exit_code == 0, result.output
    written = json.loads((out / "ablation.json").read_text())
    assert (
        written["losses"]["mixture"]["books"]["difference"] < 0
    )  # it is trained on what is held out
    assert written["texts"] == dataclasses.asdict(facts)
    assert "mixture: " in result.output
    assert "<svg" in (out / "ablation.html").read_text()


def test_a_bar_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from rich.console import Console

    from curation.cli import evaluate as module

    for terminal in (True, False):
        stream = io.StringIO()
        shown = Console(file=stream, force_terminal=terminal, width=100)
        monkeypatch.setattr(module, "console", lambda stderr, shown=shown: shown)
        bar = module.Bar()
        for done in (0, 3, 8):
            bar("scoring", done, 8)
        bar("scoring", 0, 0)
        assert ("scoring" in stream.getvalue() and "8/8" in stream.getvalue()) == terminal
