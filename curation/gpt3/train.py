"""The training loop of GPT-3 (Brown et al. 2020, appendix B), on one CPU.

AdamW with betas 0.9 and 0.95 and epsilon 1e-8, the gradient clipped at norm 1.0, learning rate and batch size
as functions of tokens seen (`schedule.py`), the batch reached by accumulating gradients. The paper says
"weight decay of 0.1" and not on what: here on matrices (embeddings included), not on biases and layer norms.

`out` gets `log.jsonl` (one line a step, one a validation), `step-...` checkpoints (`checkpoint.py`) and
nothing else. The same call again goes on from the newest checkpoint; on the CPU with as many threads the
losses are bitwise those of a run never disturbed. Lines that a killed run logged after its last checkpoint
are dropped and written anew.

Trap: `seconds` stops by the clock, so where such a run stops differs from one time to the next; `max_steps`
does not.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from curation.errors import InputError, RunError
from curation.gpt3 import checkpoint
from curation.gpt3.checkpoint import State
from curation.gpt3.data import Shards, Windows, open_shards, windows
from curation.gpt3.model import GPT3, build
from curation.gpt3.schedule import Schedule, batch_windows, learning_rate, schedule_for
from curation.gpt3.sizes import Size, size_named

BETAS = (0.9, 0.95)
EPSILON = 1e-8
WEIGHT_DECAY = 0.1
CLIP_NORM = 1.0
_MICRO_TOKENS = 2048  # tokens in one forward and backward pass; more only takes more memory on a CPU


@dataclass(frozen=True)
class Options:
    """What may be chosen about a run besides the size; None means what appendix B and the size say.

    `tokens` is the budget that the schedule is scaled to; `max_steps` (counted from the start of training)
    and `seconds` (of this process) only say when to stop, and a later run may go on. `validation_windows`
    limits how many windows of each dataset are scored every `validate_every` steps and at the end.
    """

    tokens: int | None = None
    max_steps: int | None = None
    seconds: float | None = None
    seed: int = 0
    learning_rate: float | None = None
    warmup_tokens: int | None = None
    decay_tokens: int | None = None
    ramp_tokens: int | None = None
    checkpoint_every: int = 100
    validate_every: int = 100
    validation_windows: int = 64
    progress: bool = False


@dataclass(frozen=True)
class Result:
    """How a run ended: `loss` of the last step made here and `validation` by dataset (nats per token)."""

    step: int
    tokens: int
    budget_tokens: int
    loss: float | None
    validation: dict[str, float]
    checkpoint: Path


@dataclass(frozen=True)
class _Plan:
    shards: Shards
    size: Size
    schedule: Schedule
    train: Windows
    total: int  # windows in the budget
    config: dict[str, Any]


def train(shards: Path, out: Path, size: Size | str, options: Options | None = None) -> Result:
    """Train a model of `size` on the token shards in `shards`, keeping log and checkpoints in `out`.

    Goes on from the newest checkpoint in `out`. The vocabulary is that of the shards. Raises InputError for
    shards that cannot be used or hold fewer tokens than asked for or than one batch, and RunError when `out`
    holds checkpoints of another configuration or the loss is no longer a number.
    """
    options = options or Options()
    plan = _plan(open_shards(shards), size_named(size) if isinstance(size, str) else size, options)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint.remove_unfinished(out)
    model, optimizer, state = _start(plan, out, options.seed)
    with _open_log(out / "log.jsonl", state.step) as log, _progress(options.progress) as bar:
        return _loop(plan, out, options, model, optimizer, state, log, bar)


def _plan(shards: Shards, size: Size, options: Options) -> _Plan:
    """Everything that is fixed before the first step; refuses a budget that the shards cannot fill."""
    size = replace(size, vocabulary=shards.vocabulary)
    available = windows(shards, shards.train, size.context, options.seed)
    tokens = len(available) * size.context
    if options.tokens is not None and options.tokens > tokens:
        raise InputError(
            f"{options.tokens:,} training tokens were asked for, but the train shards in {shards.folder} "
            f"hold {tokens:,} in whole windows of {size.context}; ask for fewer, or raise `tokens` in the "
            "recipe's [mix]"
        )
    budget = options.tokens or min(size.tokens, tokens)
    schedule = schedule_for(
        size,
        max(budget, 1),
        learning_rate=options.learning_rate,
        warmup_tokens=options.warmup_tokens,
        decay_tokens=options.decay_tokens,
        ramp_tokens=options.ramp_tokens,
    )
    first = batch_windows(schedule, 0) * size.context
    if budget < first:
        raise InputError(
            f"{budget:,} training tokens are fewer than one batch of size {size.name!r} ({first:,} tokens); "
            f"{shards.folder} holds {tokens:,} in whole windows of {size.context}: mix more, or choose a "
            "smaller size"
        )
    config = {
        "size": asdict(size),
        "seed": options.seed,
        "schedule": asdict(schedule),
        "encoding": shards.encoding,
        "end_of_text": shards.end_of_text,
        "shards": shards.digest(),
    }
    return _Plan(shards, size, schedule, available, budget // size.context, json.loads(json.dumps(config)))


def _start(plan: _Plan, out: Path, seed: int) -> tuple[GPT3, torch.optim.AdamW, State]:
    """Model, optimiser and position: those of the newest checkpoint in `out`, or fresh ones."""
    found = checkpoint.steps(out)
    if not found:
        model = build(plan.size, seed)
        return model, _optimizer(model), State(0, 0, 0, plan.config)
    state = checkpoint.read_state(found[-1])
    difference = _difference("", state.config, plan.config)
    if difference:
        raise RunError(
            f"{out} holds checkpoints of another configuration ({difference}); train into another folder, or "
            "repeat the options that the run was started with"
        )
    model = checkpoint.load_model(found[-1], plan.size)
    optimizer = _optimizer(model)
    checkpoint.load_optimizer(found[-1], model, optimizer)
    return model, optimizer, state


def _difference(key: str, there: Any, here: Any) -> str:
    """The first value in which two configurations differ, in words; empty when they do not."""
    if isinstance(there, dict) and isinstance(here, dict):
        parts = (_difference(f"{key}.{name}", there.get(name), here.get(name)) for name in here)
        return next((part for part in parts if part), "")
    return "" if there == here else f"{key.removeprefix('.')} is {there!r} there and {here!r} here"


def _optimizer(model: GPT3) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": WEIGHT_DECAY},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=EPSILON, fused=True)


def _loop(
    plan: _Plan,
    out: Path,
    options: Options,
    model: GPT3,
    optimizer: torch.optim.AdamW,
    state: State,
    log: TextIO,
    bar: Progress,
) -> Result:
    started, first = time.monotonic(), state.step
    loss: float | None = None
    validated: dict[str, Any] | None = None
    task = bar.add_task("", total=plan.total, completed=state.window, step=state.step, loss=math.nan, rate=0.0)
    while not _finished(plan, options, state, time.monotonic() - started):
        state, line = _step(plan, out, model, optimizer, state)
        loss = line["loss"]
        _write(log, line)
        bar.update(task, completed=state.window, step=state.step, loss=loss, rate=line["tokens_per_s"])
        if state.step % options.validate_every == 0:
            validated = _validated(plan, options, model, state, bar)
            _write(log, validated)
        if state.step % options.checkpoint_every == 0:
            checkpoint.save(out, state, model, optimizer)
    if validated is None or validated["step"] != state.step:
        validated = _validated(plan, options, model, state, bar)
        if state.step > first:
            _write(log, validated)
    if state.step > first and state.step % options.checkpoint_every:
        checkpoint.save(out, state, model, optimizer)
    folders = checkpoint.steps(out)
    if not folders:
        raise InputError("no step was trained: max_steps and seconds must leave room for at least one")
    budget = plan.schedule.budget_tokens
    return Result(state.step, state.tokens, budget, loss, validated["validation"], folders[-1])


def _finished(plan: _Plan, options: Options, state: State, seconds: float) -> bool:
    return (
        state.window >= plan.total
        or (options.max_steps is not None and state.step >= options.max_steps)
        or (options.seconds is not None and seconds >= options.seconds)
    )


def _step(
    plan: _Plan, out: Path, model: GPT3, optimizer: torch.optim.AdamW, state: State
) -> tuple[State, dict[str, Any]]:
    """One optimiser step: the state after it and its line for the log; the last batch may be smaller."""
    started = time.monotonic()
    count = min(batch_windows(plan.schedule, state.tokens), plan.total - state.window)
    batch = torch.from_numpy(plan.train.batch(state.window, count))
    window = state.window + count
    after = replace(state, step=state.step + 1, window=window, tokens=window * plan.size.context)
    # Counted with this batch: without it the first step of a warm-up would have rate 0 and learn nothing.
    rate = learning_rate(plan.schedule, after.tokens)
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = _accumulate(model, batch)
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM))
    if not (math.isfinite(loss) and math.isfinite(norm)):
        kept = checkpoint.steps(out)
        raise RunError(
            f"the loss is {loss} and the gradient norm {norm} in step {after.step}, at token "
            f"{after.tokens:,}; the last good checkpoint is {kept[-1] if kept else 'none'}; start again in "
            f"another folder with a smaller learning rate (here {rate:.3g}) or a longer warm-up"
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    seconds = time.monotonic() - started
    tokens = count * plan.size.context
    return after, {
        "step": after.step,
        "tokens": after.tokens,
        "loss": loss,
        "lr": rate,
        "batch_tokens": tokens,
        "grad_norm": norm,
        "tokens_per_s": round(tokens / seconds, 1),
    }


def _accumulate(model: GPT3, batch: torch.Tensor) -> float:
    """Mean loss over `batch` (windows, context + 1); its gradient is added up in the parameters."""
    total = 0.0
    micro = max(1, _MICRO_TOKENS // model.size.context)
    for start in range(0, len(batch), micro):
        part = batch[start : start + micro]
        loss = model.loss(part) * (len(part) / len(batch))
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total


def _validated(plan: _Plan, options: Options, model: GPT3, state: State, bar: Progress) -> dict[str, Any]:
    losses = {}
    for dataset, names in plan.shards.validation.items():
        held_out = windows(plan.shards, names, plan.size.context, seed=None)
        loss = validation_loss(model, held_out, options.validation_windows)
        if loss is not None:
            losses[dataset] = loss
    if losses:
        text = ", ".join(f"{dataset} {loss:.3f}" for dataset, loss in losses.items())
        bar.console.print(f"step {state.step}, {state.tokens:,} tokens, validation loss: {text}")
    return {"step": state.step, "tokens": state.tokens, "validation": losses}


@torch.no_grad()
def validation_loss(model: GPT3, held_out: Windows, limit: int) -> float | None:
    """Mean loss in nats per token over the first `limit` windows; None when there is nothing to predict.

    Where there are fewer windows the tail shorter than a window counts too.
    """
    count = min(limit, len(held_out))
    parts = [held_out.batch(number, 1) for number in range(count)]
    if count == len(held_out) < limit:
        parts.append(held_out.rest()[None])
    total, tokens = 0.0, 0
    for part in parts:
        predicted = part.shape[1] - 1
        if predicted > 0:
            total += model.loss(torch.from_numpy(part)).item() * predicted
            tokens += predicted
    return total / tokens if tokens else None


def _open_log(path: Path, step: int) -> TextIO:
    """The log, opened to go on after `step`: later lines and a line cut short by a kill are dropped."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    kept = [line for line in whole if json.loads(line)["step"] <= step]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text("".join(kept))
    temporary.replace(path)
    return path.open("a", buffering=1)


def _write(log: TextIO, line: dict[str, Any]) -> None:
    log.write(json.dumps(line) + "\n")


def _progress(shown: bool) -> Progress:
    return Progress(
        TextColumn("step {task.fields[step]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  {task.fields[rate]:,.0f} tokens/s "),
        TimeRemainingColumn(),
        console=Console(stderr=True, quiet=not shown),
        disable=not shown,
    )
