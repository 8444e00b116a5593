"""`curation train` and `curation generate`: the command line of `curation.gpt3`.

torch is imported when a command runs, so that the other commands, every help page and `train
--plan` work without it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curation.errors import MissingExtra

if TYPE_CHECKING:
    from curation.gpt3.train import Result


def require_torch(what: str) -> None:
    if any(importlib.util.find_spec(name) is None for name in ("torch", "safetensors")):
        raise MissingExtra(what, "train")


def _patterns(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    return None if value is None else tuple(part.strip() for part in value.split(","))


@click.command()
@click.argument("shards", type=click.Path(path_type=Path), required=False)
@click.option(
    "--size",
    default="tiny",
    show_default=True,
    help="tiny, small-cpu, or one of the paper's: 125M, 350M, 760M, 1.3B, 2.7B, 6.7B, 13B, 175B.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for checkpoints and log.jsonl."
)
@click.option(
    "--tokens",
    type=click.IntRange(1),
    help="Training budget; the schedule is scaled to it. [default: the size's]",
)
@click.option(
    "--max-steps",
    type=click.IntRange(1),
    help="Stop after this step; the same command goes on later.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    help="Stop after this time; the same command goes on later.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Initial weights and order of the windows.",
)
@click.option("--learning-rate", type=float, help="Peak learning rate. [default: the size's]")
@click.option(
    "--warmup-tokens", type=click.IntRange(0), help="Linear warm-up. [default: 375M, scaled]"
)
@click.option(
    "--decay-tokens", type=click.IntRange(0), help="End of the cosine. [default: 260B, scaled]"
)
@click.option(
    "--ramp-tokens", type=click.IntRange(0), help="Growth of the batch. [default: 4-12B, scaled]"
)
@click.option(
    "--attention",
    callback=_patterns,
    help="dense, banded, strided: repeated over the layers. [default: dense,banded]",
)
@click.option(
    "--band", type=click.IntRange(1), help="Tokens a banded layer sees. [default: the size's, 256]"
)
@click.option(
    "--init-from",
    type=click.Path(path_type=Path),
    help="GPT-2, GPT-Neo or checkpoint folder to start from.",
)
@click.option("--device", help="cpu or cuda. [default: cuda where there is a GPU]")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16"]),
    help="Of products. [default: bfloat16 on a GPU]",
)
@click.option(
    "--micro-batch",
    type=click.IntRange(1),
    help="Windows in one pass. [default: 2,048 tokens; GPU 16,384]",
)
@click.option("--compile", is_flag=True, help="Compile the layers with torch.compile.")
@click.option(
    "--fsdp", is_flag=True, help="Under torchrun: shard weights and optimiser over the processes."
)
@click.option(
    "--tensor-parallel",
    type=click.IntRange(1),
    default=1,
    help="Under torchrun: processes a matrix is split over.",
)
@click.option(
    "--checkpoint-every", type=click.IntRange(1), default=100, show_default=True, help="Steps."
)
@click.option(
    "--keep", type=click.IntRange(1), default=2, show_default=True, help="Checkpoints to keep."
)
@click.option(
    "--validate-every", type=click.IntRange(1), default=100, show_default=True, help="Steps."
)
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard events into --out.")
@click.option(
    "--plan", is_flag=True, help="Train nothing: print parameters, schedule, memory and days."
)
@click.option("--gpus", type=click.IntRange(1), default=1, show_default=True, help="For --plan.")
@click.option(
    "--tflops",
    type=float,
    default=312.0,
    show_default=True,
    help="For --plan: of a GPU at best (A100).",
)
@click.option(
    "--utilisation",
    type=float,
    default=0.4,
    show_default=True,
    help="For --plan: share of that reached.",
)
def train(
    shards: Path | None,
    size: str,
    out: Path | None,
    plan: bool,
    gpus: int,
    tflops: float,
    utilisation: float,
    **options: Any,
) -> None:
    """Train GPT-3 on the token shards in SHARDS, a run directory or a folder with shards.json.

    Goes on from the newest checkpoint in --out when there is one. Ends with the validation loss of
    each dataset and a short sample. Several processes: torchrun --nproc-per-node 8 -m curation
    train ...

    \b
    Example:
      curation train RUN --size tiny --out RUN/model
      curation train --plan --size 175B --gpus 512
    """
    if plan:
        click.echo(_plan_text(size, gpus, tflops, utilisation, options))
        return
    if shards is None or out is None:
        raise click.UsageError("give SHARDS and --out, or --plan.")
    require_torch("curation train")
    need_finished_mixture(shards)
    from curation.gpt3.train import Options
    from curation.gpt3.train import train as trained

    result = trained(shards, out, size, Options(progress=True, **options))
    if result.first_rank:
        _show(result, options["seed"])


def need_finished_mixture(shards: Path) -> None:
    """Raise RunError where the token shards are those of a run that is not finished."""
    from curation.rundir import plan

    run = shards.parent if shards.name == "shards" else shards
    if (run / "plan.json").is_file():
        plan.need_finished(plan.read(str(run))[0], "mix")


def _plan_text(
    size: str, gpus: int, tflops: float, utilisation: float, options: dict[str, Any]
) -> str:
    from curation.gpt3.plan import plan_text
    from curation.gpt3.schedule import schedule_for
    from curation.gpt3.sizes import size_named

    if tflops <= 0 or not 0 < utilisation <= 1:
        raise click.UsageError("--tflops must be above 0, and --utilisation above 0 and at most 1.")
    named = size_named(size)
    named = replace(
        named, attention=options["attention"] or named.attention, band=options["band"] or named.band
    )
    keys = ("learning_rate", "warmup_tokens", "decay_tokens", "ramp_tokens")
    schedule = schedule_for(
        named, options["tokens"] or named.tokens, **{key: options[key] for key in keys}
    )
    return plan_text(
        named,
        schedule,
        gpus,
        options["tensor_parallel"],
        options["micro_batch"] or 1,
        tflops,
        utilisation,
    )


def _show(result: Result, seed: int) -> None:
    from curation.gpt3.generate import generate as generated

    click.echo(
        f"{result.checkpoint}: step {result.step}, {result.tokens:,} of {result.budget_tokens:,} "
        "tokens"
    )
    for dataset, loss in result.validation.items():
        bits = result.bits_per_byte.get(dataset)
        text = "" if bits is None else f", {bits:.4f} bits per byte"
        click.echo(f"validation loss {dataset}: {loss:.4f} nats per token{text}")
    click.echo(
        "sample: "
        + generated(result.checkpoint, "", max_tokens=40, temperature=0.8, seed=seed).strip()
    )


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="Text to go on from. [default: the start of a document]")
@click.option(
    "--max-tokens", type=click.IntRange(1), default=100, show_default=True, help="Most new tokens."
)
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="0: likeliest token.",
)
@click.option(
    "--top-p",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Nucleus share.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The same seed gives the same text."
)
@click.option("--device", help="cpu or cuda. [default: cuda where there is a GPU]")
def generate(
    checkpoint: Path,
    prompt: str,
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    device: str | None,
) -> None:
    """Write text with the model in CHECKPOINT, a step folder or the folder `curation train` wrote
    into.

    \b
    Example:
      curation generate RUN/model --prompt "The city of" --temperature 0.8 --top-p 0.95
    """
    require_torch("curation generate")
    from curation.gpt3.generate import generate as generated

    click.echo(generated(checkpoint, prompt, max_tokens, temperature, top_p, seed, device))
