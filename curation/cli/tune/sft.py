"""`curation tune sft`: step 1 of InstructGPT."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import click

from curation.cli.console import say, when_interrupted
from curation.cli.options import config_options
from curation.cli.progress import RunLine
from curation.cli.train import require_torch, saved_in
from curation.gpt3.instruct.options import SftConfig


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--demonstrations",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="JSON lines with `prompt` and `response`.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to train into.")
@config_options(SftConfig, *(f.name for f in fields(SftConfig)))
def sft(checkpoint: Path, demonstrations: Path, out: Path, settings: dict[str, Any]) -> None:
    """Train the model in CHECKPOINT on demonstrations: step 1 of InstructGPT.

    The loss is over the answers alone. Defaults are the paper's; a small model needs a larger
    --learning-rate. The same command goes on from the newest checkpoint in --out.

    \b
    Example:
      curation tune sft RUN/model --demonstrations mine.jsonl --out RUN/sft --learning-rate 3e-4
    """
    require_torch("curation tune sft")
    when_interrupted(partial(saved_in, out))
    from curation.gpt3.instruct.sft import sft as tuned

    with RunLine() as shown:
        config = SftConfig(**settings["sft"])
        outcome = tuned(checkpoint, demonstrations, out, config, tell=shown.tell)
    if outcome.line is not None:
        say(f"loss {outcome.line['loss']:.4f} nats per token of the answers")
    say(f"{outcome.checkpoint}: step {outcome.step} of {outcome.steps}")
