"""`curation tune finetune`: GPT-1's fine-tuning."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from curation.cli.console import say, when_interrupted
from curation.cli.options import FILE, checkpoint_argument, config_options, tuned_option
from curation.cli.progress import RunLine
from curation.cli.train import require_torch, saved_in
from curation.gpt3.finetune.options import FineTuning, Task


@click.command()
@checkpoint_argument
@click.option("--task", type=click.Choice(get_args(Task)), required=True, help="Its layout.")
@click.option("--train", type=FILE, required=True, help="JSON lines to train on.")
@click.option("--dev", type=FILE, required=True, help="JSON lines to score after each epoch.")
@tuned_option
@config_options(FineTuning)
def finetune(
    checkpoint: Path, task: Task, train: Path, dev: Path, out: Path, settings: dict[str, Any]
) -> None:
    """Train the model in CHECKPOINT on a task with labels, as GPT-1.

    Fields of a line: classify has text; entailment premise and hypothesis; similarity first and
    second; choice context and choices. Each has a label; that of a choice is the place of the right
    answer, from 0. The same command goes on from the newest checkpoint in --out, and `curation
    evaluate` reads it.

    \b
    Example:
      curation tune finetune RUN/model --task entailment --train a.jsonl --dev b.jsonl --out tuned
      curation evaluate tuned --benchmarks test.jsonl
    """
    require_torch("curation tune finetune")
    when_interrupted(partial(saved_in, out))
    from curation.gpt3.finetune.train import finetune as tuned

    with RunLine() as shown:
        result = tuned(
            checkpoint, task, train, dev, out, FineTuning(**settings["finetuning"]), tell=shown.tell
        )
    for name, count in result.cut.items():
        if count:
            say(
                f"{count} examples of --{name} are longer than the context: the longer of their "
                "texts lost its end"
            )
    say(f"{result.checkpoint}: step {result.step} of {result.steps}")
    say(f"accuracy {100 * result.accuracy:.1f} % on {result.examples} examples of --dev")
