"""`curation tune reward`: step 2 of InstructGPT."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from curation.cli.console import say, when_interrupted
from curation.cli.options import FILE, checkpoint_argument, config_options, tuned_option
from curation.cli.progress import RunLine
from curation.cli.train import require_torch, saved_in
from curation.gpt3.instruct.options import RewardConfig


@click.command()
@checkpoint_argument
@click.option(
    "--rankings",
    type=FILE,
    required=True,
    help="JSON lines with `prompt`, `responses` and `ranking`, as `curation tune rank` writes them.",
)
@tuned_option
@click.option(
    "--demonstrations", type=FILE, help="Give their answers the mean reward 0, as the paper does."
)
@click.option("--held-out", type=FILE, help="Other rankings, to measure the model on at the end.")
@config_options(RewardConfig)
def reward(
    checkpoint: Path,
    rankings: Path,
    out: Path,
    demonstrations: Path | None,
    held_out: Path | None,
    settings: dict[str, Any],
) -> None:
    """Train a reward model on rankings, from the model in CHECKPOINT: step 2 of InstructGPT.

    All pairs of one prompt are one element of a batch. Defaults are the paper's.

    \b
    Example:
      curation tune reward RUN/sft --rankings ranked.jsonl --demonstrations mine.jsonl --out RUN/rm
    """
    require_torch("curation tune reward")
    when_interrupted(partial(saved_in, out))
    from curation.gpt3.instruct.reward import reward as tuned

    config = RewardConfig(**settings["reward"])
    with RunLine() as shown:
        result = tuned(checkpoint, rankings, out, config, demonstrations, held_out, tell=shown.tell)
    say(f"ranked by: {', '.join(result.labelers)}")
    if result.outcome.line is not None:
        say(f"loss {result.outcome.line['loss']:.4f} (0.6931 is chance)")
    if demonstrations is None:
        say("Note: without --demonstrations the rewards have no zero; PPO does not need one")
    if result.accuracy is not None:
        say(f"held-out pairs put right: {100 * result.accuracy:.1f} % of {result.pairs:,}")
    say(f"{result.outcome.checkpoint}: step {result.outcome.step} of {result.outcome.steps}")
