"""`curation tune finetune`, GPT-1's; `sft`, `reward` and `ppo`, the three steps of InstructGPT."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from curation.cli.console import say, when_interrupted
from curation.cli.options import FILE, PATH, checkpoint_argument, config_options, tuned_option
from curation.cli.progress import RunLine
from curation.cli.train import need_finished, require_torch, saved_in
from curation.gpt3.options import FineTuning, PpoConfig, RewardConfig, SftConfig, Task


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
