"""`curation train` and `curation generate`: the command line of `curation.gpt3`.

torch is imported when a command runs, so that the other commands, every help page and `train
--plan` work without it.
"""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curation.cli.console import AGAIN, say, when_interrupted
from curation.cli.options import (
    FILE,
    PATH,
    checkpoint_argument,
    config_options,
    device_option,
    number_option,
)
from curation.errors import MissingExtra
from curation.gpt3.options import Drawing, Machines, Options
from curation.shown import printable

if TYPE_CHECKING:
    from curation.gpt3.train import Result

NOT_ASKED = ("validation_windows", "progress")  # of Options: not options of the command


def require_torch(what: str) -> None:
    """Raise MissingExtra where torch or safetensors is not installed.

    Before torch is loaded its threads are told to sleep while they wait for one another, where the
    user says nothing: on a machine that does other work those that spin keep the processor from the
    one they wait for (measured at load 8 on two cores: 13 steps in 10 s, and 178 asleep).
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "safetensors")):
        raise MissingExtra(what, "train")
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "100")


@click.command()
@click.argument("shards", type=PATH, required=False)
@click.option(
    "--size",
    default="tiny",
    show_default=True,
    help="minute, tiny, small-cpu, or one of the papers': 125M, 350M, 760M, 1.3B, 2.7B, 6.7B, 13B, "
    "175B, gpt2-117M, gpt2-345M, gpt2-762M, gpt2-1542M, gpt1.",
)
@click.option("--out", type=PATH, help="Folder for checkpoints and log.jsonl.")
@config_options(Options, *(f.name for f in fields(Options) if f.name not in NOT_ASKED))
@click.option(
    "--plan", is_flag=True, help="Train nothing: print parameters, schedule, memory and days."
)
@config_options(Machines)
def train(
    shards: Path | None,
    size: str,
    out: Path | None,
    plan: bool,
    settings: dict[str, Any],
) -> None:
    """Train GPT-3, GPT-2 or GPT-1 on the token shards in SHARDS, a run directory or a folder with shards.json.

    Goes on from the newest checkpoint in --out when there is one. Prints the model's words at the
    start, half way and at the end, the curve of its loss, and its validation loss. With --seconds
    and no --tokens the learning rate follows the clock. ctrl-C saves the step it is at.

    Several processes: torchrun --nproc-per-node 8 -m curation train ...

    \b
    Example:
      curation train RUN --size tiny --out RUN/model
      curation train RUN --size gpt1 --out RUN/gpt1
      curation train RUN --size minute --seconds 60 --out RUN/model
      curation train nanogpt/data/openwebtext --encoding gpt2 --size 125M --out model
      curation train --plan --size 175B --gpus 512 --watts 300 --pue 1.1
    """
    options = Options(progress=True, **settings["options"])
    if plan:
        click.echo(_plan_text(size, Machines(**settings["machines"]), options))
        return
    if shards is None or out is None:
        raise click.UsageError("give SHARDS and --out, or --plan.")
    require_torch("curation train")
    need_finished(shards, "mix")
    from curation.gpt3.train import train as trained

    when_interrupted(partial(saved_in, out))
    result = trained(shards, out, size, options)
    if result.first_rank:
        _show(result, options)
    if result.stopped_by:
        raise click.exceptions.Exit(128 + result.stopped_by)


def need_finished(folder: Path, until: str) -> None:
    """Raise RunError where a run directory, or the shards/ in one, is of a run that is not finished
    up to a stage."""
    from curation.rundir import plan

    run = folder.parent if folder.name == "shards" else folder
    if (run / "plan.json").is_file():
        plan.need_finished(plan.read(str(run))[0], until)


def _plan_text(size: str, machines: Machines, options: Options) -> str:
    from curation.gpt3.plan import plan_text
    from curation.gpt3.schedule import schedule_for
    from curation.gpt3.sizes import size_named

    named = options.shaped(size_named(size))
    schedule = schedule_for(named, options.tokens or named.tokens, **options.rates())
    return plan_text(
        named,
        schedule,
        machines,
        options.tensor_parallel,
        options.micro_batch or 1,
        options.pipeline_parallel,
    )


def _show(result: Result, options: Options) -> None:
    from curation.gpt3.display import ending

    log = result.checkpoint.parent / "log.jsonl"
    say(
        f"{result.checkpoint}: step {result.step}, {result.tokens:,} of {result.budget_tokens:,} "
        "tokens"
    )
    for line in ending(result.checkpoint, log, options.seed):
        say(line)
    for dataset, loss in result.validation.items():
        bits = result.bits_per_byte.get(dataset)
        text = "" if bits is None else f", {bits:.4f} bits per byte"
        say(f"validation loss {dataset}: {loss:.4f} nats per token{text}")
    if result.stopped_by:
        say(f"Stopped early: step {result.step} is saved. The same command goes on from it.")
    elif result.finished:
        say("All tokens of the budget are read. Mix more, or train another size.")
    else:
        longer = "--seconds" if options.seconds is not None else "--max-steps"
        say(
            f"The same command goes on from step {result.step}; a larger {longer} takes it further."
        )


def saved_in(out: Path) -> str:
    """What an interrupted training has kept, and what its command does next."""
    from curation.gpt3 import checkpoint

    saved = checkpoint.steps(out)
    if not saved:
        return f"No checkpoint was saved yet. {AGAIN}"
    return (
        f"The newest checkpoint is {saved[-1]}: the same command goes on from it, and trains the steps "
        "after it again."
    )


@click.command()
@checkpoint_argument
@click.option("--prompt", default="", help="Text to go on from. [default: the start of a document]")
@config_options(Drawing, "max_tokens", "temperature", "top_p", "top_k")
@click.option("--stop", multiple=True, help="End before this text; may be repeated.")
@number_option("--samples", default=1, least=1, most=10_000, help="Of each prompt.")
@click.option(
    "--prompts", type=FILE, help="A prompt a line, or JSON lines with `prompt`; writes JSON lines."
)
@number_option("--seed", default=0, help="The same seed gives the same text.")
@click.option(
    "--preset",
    type=click.Choice(("story", "code", "answer")),
    help="Temperature and top-p: story 0.9, 0.92; code 0.3, 0.95, up to a blank line; answer "
    "greedily, a line after 'Answer:'. Other options go before it.",
)
@device_option
def generate(
    checkpoint: Path,
    prompt: str,
    stop: tuple[str, ...],
    samples: int,
    prompts: Path | None,
    seed: int,
    preset: str | None,
    device: str | None,
    settings: dict[str, Any],
) -> None:
    """Write text with the model in CHECKPOINT, a step folder or the folder `curation train` wrote
    into.

    Several texts are drawn in batches; each is the same however many others there are.

    \b
    Example:
      curation generate RUN/model --prompt "The city of" --temperature 0.8 --top-p 0.95
      curation generate RUN/model --prompts lines.txt --samples 3 --top-k 40 --stop END
      curation generate RUN/model --prompt "Question: Who wrote Emma?" --preset answer
    """
    require_torch("curation generate")
    when_interrupted(lambda: AGAIN)
    if prompts and prompt:
        raise click.UsageError("give --prompt or --prompts, not both.")
    from curation.gpt3.prompts import PRESETS
    from curation.gpt3.samples import generate_many, read_prompts

    texts, keys = read_prompts(prompts) if prompts else [prompt], settings["drawing"]
    if preset:
        chosen = PRESETS[preset]
        keys = {"temperature": chosen.temperature, "top_p": chosen.top_p, **keys}
        texts, stop = [chosen.prompt(text) for text in texts], (*chosen.stops, *stop)
    drawing = Drawing(seed=seed, **keys)
    warn = partial(say, err=True)
    for row in generate_many(checkpoint, texts, samples, drawing, stop, device, warn):
        if prompts or samples > 1:
            click.echo(json.dumps(row, ensure_ascii=False))
        else:
            click.echo(printable(row["prompt"] + row["text"], keep="\n\t"))
