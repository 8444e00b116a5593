"""`curation study memorise`: how much of its training text a model repeats."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from curation.cli.console import AGAIN, say, when_interrupted
from curation.cli.options import (
    PATH,
    checkpoint_argument,
    device_option,
    number_option,
    written_option,
)


@click.command()
@checkpoint_argument
@click.argument("shards", type=PATH)
@number_option("--prefix", default=32, least=1, help="Tokens that are given.")
@number_option(
    "--length", default=32, least=1, help="Tokens after them that must be the document's."
)
@number_option(
    "--examples", default=200, least=1, help="Documents asked for each number of times seen."
)
@number_option("--seed", default=0, help="Draws the documents.")
@device_option
@written_option
def memorise(
    checkpoint: Path,
    shards: Path,
    prefix: int,
    length: int,
    examples: int,
    seed: int,
    device: str | None,
    out: Path | None,
) -> None:
    """Whether the model in CHECKPOINT continues documents of the token SHARDS it was trained on (a
    run directory, or a folder with shards.json) word for word, by how often it had seen them.

    \b
    Example:
      curation study memorise RUN/model RUN --prefix 32 --length 32
    """
    from curation.cli.train import require_torch

    require_torch("curation study memorise")
    when_interrupted(lambda: AGAIN)
    from curation import store
    from curation.errors import RunError
    from curation.gpt3 import checkpoint as checkpoints
    from curation.gpt3.data import open_shards
    from curation.gpt3.evaluate import open_reader
    from curation.gpt3.memorise import memorisation, table

    reader = open_reader(checkpoint, device)
    folder = checkpoints.newest(checkpoint)
    state, opened = checkpoints.read_state(folder), open_shards(shards)
    if state.config.get("shards_sha256") != opened.digest():
        raise RunError(
            f"{folder} was trained on other shards than those in {opened.folder}, so how often it "
            "saw their documents is not known; give the shards it was trained on"
        )
    rows = memorisation(reader.model, opened, state, prefix, length, examples, seed)
    say(
        f"{folder}: step {state.step:,}, {state.tokens:,} tokens; tokens: right before the first wrong"
    )
    for line in table(rows):
        say(line)
    if out:
        settings = {"checkpoint": str(checkpoint), "prefix": prefix, "length": length, "seed": seed}
        store.write_json(str(out), {**settings, "rows": [asdict(row) for row in rows]})
        say(f"{out}")
