"""`curation train` and `curation generate`: the command line of `curation.gpt3`.

torch is imported when a command runs, so that the other commands and every help page work without it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from curation.errors import MissingExtra


def require_torch(what: str) -> None:
    if any(importlib.util.find_spec(name) is None for name in ("torch", "safetensors")):
        raise MissingExtra(what, "train")


@click.command()
@click.argument("shards", type=click.Path(path_type=Path))
@click.option(
    "--size",
    default="tiny",
    show_default=True,
    help="tiny, small-cpu, or one of the paper's: 125M, 350M, 760M, 1.3B, 2.7B, 6.7B, 13B, 175B.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for checkpoints and log.jsonl.")
@click.option(
    "--tokens",
    type=click.IntRange(1),
    help="Training budget; the schedule is scaled to it. [default: the size's]",
)
@click.option("--max-steps", type=click.IntRange(1), help="Stop after this step; the same command goes on later.")
@click.option("--seconds", type=click.FloatRange(0), help="Stop after this time; the same command goes on later.")
@click.option("--seed", type=int, default=0, show_default=True, help="Initial weights and order of the windows.")
@click.option("--learning-rate", type=float, help="Peak learning rate. [default: the size's]")
@click.option("--warmup-tokens", type=click.IntRange(0), help="Linear warm-up. [default: 375M, scaled]")
@click.option("--decay-tokens", type=click.IntRange(0), help="End of the cosine. [default: 260B, scaled]")
@click.option("--ramp-tokens", type=click.IntRange(0), help="Growth of the batch. [default: 4-12B, scaled]")
def train(
    shards: Path,
    size: str,
    out: Path,
    tokens: int | None,
    max_steps: int | None,
    seconds: float | None,
    seed: int,
    learning_rate: float | None,
    warmup_tokens: int | None,
    decay_tokens: int | None,
    ramp_tokens: int | None,
) -> None:
    """Train GPT-3 on the token shards in SHARDS, a run directory or a folder with shards.json.

    Goes on from the newest checkpoint in --out when there is one. Ends with the validation loss of each
    dataset and a short sample.

    \b
    Example:
      curation train RUN --size tiny --out RUN/model
    """
    require_torch("curation train")
    from curation.gpt3.generate import generate as generated
    from curation.gpt3.train import Options
    from curation.gpt3.train import train as trained

    options = Options(
        tokens=tokens,
        max_steps=max_steps,
        seconds=seconds,
        seed=seed,
        learning_rate=learning_rate,
        warmup_tokens=warmup_tokens,
        decay_tokens=decay_tokens,
        ramp_tokens=ramp_tokens,
        progress=True,
    )
    result = trained(shards, out, size, options)
    click.echo(f"{result.checkpoint}: step {result.step}, {result.tokens:,} of {result.budget_tokens:,} tokens")
    for dataset, loss in result.validation.items():
        click.echo(f"validation loss {dataset}: {loss:.4f} nats per token")
    click.echo("sample: " + generated(result.checkpoint, "", max_tokens=40, temperature=0.8, seed=seed).strip())


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="Text to go on from. [default: the start of a document]")
@click.option("--max-tokens", type=click.IntRange(1), default=100, show_default=True, help="Most new tokens.")
@click.option("--temperature", type=click.FloatRange(0), default=1.0, show_default=True, help="0: likeliest token.")
@click.option(
    "--top-p",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Nucleus share.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same text.")
def generate(checkpoint: Path, prompt: str, max_tokens: int, temperature: float, top_p: float, seed: int) -> None:
    """Write text with the model in CHECKPOINT, a step folder or the folder `curation train` wrote into.

    \b
    Example:
      curation generate RUN/model --prompt "The city of" --temperature 0.8 --top-p 0.95
    """
    require_torch("curation generate")
    from curation.gpt3.generate import generate as generated

    click.echo(generated(checkpoint, prompt, max_tokens, temperature, top_p, seed))
