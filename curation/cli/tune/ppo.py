"""`curation tune ppo`: step 3 of InstructGPT."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from curation.cli.console import say, when_interrupted
from curation.cli.options import FILE, PATH, checkpoint_argument, config_options, tuned_option
from curation.cli.progress import RunLine
from curation.cli.train import need_finished, require_torch, saved_in
from curation.gpt3.instruct.options import PpoConfig


@click.command()
@checkpoint_argument
@click.option(
    "--reward",
    type=PATH,
    required=True,
    help="The reward model: a folder of `curation tune reward`.",
)
@click.option("--prompts", type=FILE, required=True, help="JSON lines with `prompt`.")
@tuned_option
@click.option(
    "--pretrain", type=PATH, help="The run directory, or its shards, that the model was trained on."
)
@config_options(PpoConfig)
def ppo(
    checkpoint: Path,
    reward: Path,
    prompts: Path,
    out: Path,
    pretrain: Path | None,
    settings: dict[str, Any],
) -> None:
    """Train the SFT model in CHECKPOINT by a reward model: step 3 of InstructGPT, PPO-ptx.

    Gradients of the reward and of the pre-training loss are added up and make one step.
    --pretrain-weight 0 is plain PPO; with --pretrain it still measures the loss on the shards.

    \b
    Example:
      curation tune ppo RUN/sft --reward RUN/rm --prompts prompts.jsonl --pretrain RUN --out RUN/ppo
    """
    require_torch("curation tune ppo")
    when_interrupted(partial(saved_in, out))
    if pretrain is not None:
        need_finished(pretrain, "mix")
    from curation.gpt3.instruct.ppo_files import ppo as tuned
    from curation.gpt3.starting import opened

    who = opened(reward, "reward").config.get("labelers") or ["unknown"]
    say(f"the reward model was trained on rankings by: {', '.join(map(str, who))}")
    with RunLine() as shown:
        result = tuned(
            checkpoint,
            reward,
            prompts,
            out,
            pretrain,
            PpoConfig(**settings["ppo"]),
            tell=shown.tell,
        )
    watched = "" if result.watched is None else f", watched rule {result.watched:.3f}"
    say(f"reward {result.reward:.4f}, KL {result.kl:.3f} nats an answer{watched}")
    for dataset, loss in result.validation.items():
        say(f"validation loss {dataset}: {loss:.4f} nats per token")
    say(f"{result.checkpoint}: step {result.step} of {result.steps}")
