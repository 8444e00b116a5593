from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from curation.cli.study import study
from curation.cli.train import generate as generate_command
from curation.errors import InputError
from curation.gpt3.evaluate import open_reader
from curation.gpt3.options import Drawing
from curation.gpt3.prompts import (
    PRESETS,
    Example,
    Form,
    fitting_prompt,
    prompt_of,
    read_examples,
)
from curation.gpt3.samples import before_stop, generate_many
from curation.gpt3.sizes import Size
from curation.gpt3.train import Options, train

EXAMPLES = [Example("one", "eins"), Example("two", "zwei"), Example("three", "drei")]
WHOLE = (
    "Count in German.\n\nInput: one\nOutput: eins\n\nInput: two\nOutput: zwei\n\n"
    "Input: three\nOutput: drei\n\nInput: four\nOutput:"
)


@pytest.fixture
def model(make_shards: Callable[..., Path], tmp_path: Path) -> Path:
    """A model of all of GPT-2's tokens, trained for a step: it writes nonsense."""
    shards = make_shards()
    listing = shards / "shards.json"
    listing.write_text(json.dumps({**json.loads(listing.read_text()), "vocabulary": 50257}))
    size = Size("test", 1, 8, 2, 64, 1e-2, context=64, band=4)
    train(shards, tmp_path / "model", size, Options(max_steps=1, tokens=640))
    return tmp_path / "model"


def test_the_prompt_byte_for_byte() -> None:
    prompt = prompt_of("Count in German.", EXAMPLES, "four")
    assert prompt.text == WHOLE
    assert [name for name, _ in prompt.parts] == [
        "description",
        "example 1",
        "example 2",
        "example 3",
        "query",
    ]
    bare = prompt_of("", EXAMPLES[:1], "q", Form("Q:", "A:", "\n###\n"))
    assert bare.text == "Q: one\nA: eins\n###\nQ: q\nA:"
    assert prompt_of("", [], "q").text == "Input: q\nOutput:"


def test_a_long_prompt_loses_its_first_examples_and_never_the_query() -> None:
    tokens = len
    for room in range(len(WHOLE) + 3, 0, -1):
        least = len("Count in German.\n\nInput: four\nOutput:")
        if room < least:
            with pytest.raises(InputError, match=f"description and query are {least} tokens"):
                fitting_prompt("Count in German.", EXAMPLES, "four", tokens, room)
            continue
        prompt = fitting_prompt("Count in German.", EXAMPLES, "four", tokens, room)
        assert len(prompt.text) <= room
        assert prompt.text == prompt_of("Count in German.", EXAMPLES[prompt.dropped :], "four").text
        if prompt.dropped:
            more = prompt_of("Count in German.", EXAMPLES[prompt.dropped - 1 :], "four").text
            assert len(more) > room


def test_examples_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text('{"input": "a", "output": "b"}\n{"input": "c"}\n')
    assert read_examples(path, 1) == [("a", "b")]
    with pytest.raises(InputError, match=r'line 2: expected \{"input"'):
        read_examples(path)
    path.write_text('{"input": "a", "output": 3}\n')
    with pytest.raises(InputError, match="line 1: input and output must be texts"):
        read_examples(path)


def test_presets_are_those_of_the_design() -> None:
    values = {name: (p.temperature, p.top_p, p.stops) for name, p in PRESETS.items()}
    assert values == {
        "story": (0.9, 0.92, ()),
        "code": (0.3, 0.95, ("\n\n",)),
        "answer": (0.0, 1.0, ("\n",)),
    }
    assert PRESETS["answer"].prompt("Q: x ") == "Q: x\nAnswer:"
    assert PRESETS["answer"].prompt("Q: x\nAnswer: ") == "Q: x\nAnswer:"
    assert PRESETS["story"].prompt("Once ") == "Once "


def test_a_stop_is_never_in_the_output(model: Path) -> None:
    def text(*stops: str) -> str:
        return str(next(generate_many(model, ["Once"], 1, Drawing(40, seed=5), stops))["text"])

    whole = text()
    for start in range(0, len(whole) - 3, 20):
        stop = whole[start : start + 3]
        stopped = text(stop, "never there")
        assert stopped == whole[: whole.index(stop)] == before_stop(whole, [stop])[0]


def test_the_command_scores_as_the_reader_and_shows_every_part(model: Path, tmp_path: Path) -> None:
    examples = tmp_path / "examples.jsonl"
    examples.write_text("".join(json.dumps(e._asdict()) + "\n" for e in EXAMPLES))
    arguments = ["prompt", str(model), "--description", "Count in German."]
    arguments += ["--examples", str(examples), "--query", "four", "--max-tokens", "8"]
    done = CliRunner().invoke(study, [*arguments, "--score", "vier", "--show"])
    assert done.exit_code == 0, done.output
    assert WHOLE in done.output
    reader = open_reader(model)
    [score] = reader.score([(WHOLE, " vier")])
    loss = -score.log_probability / score.tokens
    assert f"loss of vier: {loss:.4f} nats per token" in done.output
    rows = [line.split() for line in done.output.splitlines()]
    assert ["whole", str(len(WHOLE)), str(reader.tokens(WHOLE))] in rows
    assert [
        "query",
        str(len("Input: four\nOutput:")),
        str(reader.tokens("Input: four\nOutput:")),
    ] in rows
    [answer] = reader.answer([WHOLE], ["\n\n"], 8)
    assert done.output.rstrip().endswith(answer.strip())
    # A window of 64 tokens and an answer of 40: not all examples fit.
    less = CliRunner().invoke(study, [*arguments[:-1], "40", "--show"])
    assert "of 3 examples did not fit" in less.output
    assert "Input: four\nOutput:" in less.output


def test_generate_takes_a_preset_and_lets_options_go_before_it(model: Path) -> None:
    def written(*options: str) -> str:
        command = [str(model), "--max-tokens", "12", "--prompt", "Q: who?", *options]
        done = CliRunner().invoke(generate_command, command)
        assert done.exit_code == 0, done.output
        return done.output

    assert written("--preset", "answer").startswith("Q: who?\nAnswer:")
    assert written("--preset", "story") == written("--temperature", "0.9", "--top-p", "0.92")
    cooler = written("--preset", "story", "--temperature", "0.5")
    assert cooler == written("--temperature", "0.5", "--top-p", "0.92")


def test_generate_says_what_of_a_long_prompt_is_not_read(model: Path, tmp_path: Path) -> None:
    def written(*options: str) -> str:
        done = CliRunner().invoke(generate_command, [str(model), "--max-tokens", "4", *options])
        assert done.exit_code == 0, done.output
        return done.output

    long = " tide" * 70
    said = "longer than the context of 64 tokens: the model reads its last 64 (of at most 70)"
    output = written("--prompt", long)
    assert f"1 of 1 prompts is {said}" in output
    assert output.endswith(written("--prompt", " tide" * 64).removeprefix(" tide" * 64))
    assert "longer" not in written("--prompt", " tide" * 64)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text(f"one\n{long}\n")
    assert f"1 of 2 prompts is {said}" in written("--prompts", str(prompts))
