"""`curation tune sft`: step 1 of InstructGPT."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from curation.cli.console import say, when_interrupted
from curation.cli.options import FILE, checkpoint_argument, config_options, tuned_option
from curation.cli.progress import RunLine
from curation.cli.train import require_torch, saved_in
from curation.gpt3.instruct.options import SftConfig


@click.command()
@checkpoint_argument
@click.option(
    "--demonstrations", type=FILE, required=True, help="JSON lines with `prompt` and `response`."
)
@tuned_option
@config_options(SftConfig)
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
