"""The training loop of GPT-3 (Brown et al. 2020, appendix B): one CPU, one GPU or many.

Learning rate and batch size are functions of tokens seen (`schedule.py`), the batch is reached by
accumulating gradients (`update.py`) over the processes that torchrun started (`parallel.py`).

`out` gets `log.jsonl` (one line a step, one a validation), `step-...` checkpoints (`checkpoint.py`)
and nothing else unless TensorBoard's events are asked for. The same call again goes on from the
newest checkpoint; on the CPU with as many threads and processes the losses are bitwise those of a
run never disturbed. Lines that a killed run logged after its last checkpoint are dropped and
written anew.

Trap: `seconds` stops by the clock, and without `tokens` its schedule follows the clock too
(`pace.py`), so such a run differs from one time to the next; one with `tokens` or `max_steps` does
not.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from curation.errors import InputError, RunError
from curation.gpt3 import checkpoint
from curation.gpt3.checkpoint import State
from curation.gpt3.data import Shards, Windows, open_shards, windows
from curation.gpt3.display import words
from curation.gpt3.log import Log, peak_flops, progress, shown_of
from curation.gpt3.model import GPT3, empty, initial_values
from curation.gpt3.options import Options
from curation.gpt3.pace import SECONDS, Pace, follows, stoppable
from curation.gpt3.parallel import Ranks, fill, ranks, split
from curation.gpt3.pipeline import Stage
from curation.gpt3.plan import flops_per_token
from curation.gpt3.positions import NOTED
from curation.gpt3.pretrained import load_pretrained, pretrained_size
from curation.gpt3.schedule import Schedule, batch_windows, learning_rate, schedule_for
from curation.gpt3.shards import keep_vocabulary
from curation.gpt3.sizes import Size, size_named
from curation.gpt3.update import Learner, apply, gradient, learner, pass_windows
from curation.gpt3.validate import validated, validation_loss

__all__ = ["Options", "Result", "train", "validation_loss"]


@dataclass(frozen=True)
class Result:
    """How a run ended: `loss` of the last step made here and `validation` by dataset (nats per
    token)."""

    step: int
    tokens: int
    budget_tokens: int
    loss: float | None
    validation: dict[str, float]
    bits_per_byte: dict[str, float]
    checkpoint: Path
    first_rank: bool = True
    stopped_by: int = 0  # the signal that ended it early
    finished: bool = False  # whether the budget is used up


@dataclass(frozen=True)
class _Plan:
    shards: Shards
    size: Size
    schedule: Schedule
    train: Windows
    total: int  # windows in the budget
    follows: str  # what the schedule follows: tokens, or seconds
    config: dict[str, Any]


def train(shards: Path, out: Path, size: Size | str, options: Options | None = None) -> Result:
    """Train a model of `size` on the token shards in `shards`, keeping log and checkpoints in
    `out`.

    Goes on from the newest checkpoint in `out`. The vocabulary is that of the shards. Raises
    InputError for shards that cannot be used or hold fewer tokens than asked for or than one batch,
    and for a device that is not there; RunError when `out` holds checkpoints of another
    configuration or the loss is no longer a number.
    """
    options = options or Options()
    chosen = shaped(size_named(size) if isinstance(size, str) else size, options)
    checkpoint.need_own_folder(out)
    plan = _plan(open_shards(shards, options.encoding), chosen, options, follows(out, options))
    parallel = (options.tensor_parallel, options.fsdp, options.pipeline_parallel)
    with ranks(options.device, plan.size, *parallel) as here:
        if here.first:
            out.mkdir(parents=True, exist_ok=True)
            checkpoint.remove_unfinished(out)
            keep_vocabulary(plan.shards, out)
        here.wait()
        this, state = _start(plan, out, options, here)
        with (
            Log(out, state.step, here.first, options.tensorboard) as log,
            progress(options.progress and here.first) as bar,
        ):
            return _loop(plan, out, options, this, state, log, bar)


def shaped(size: Size, options: Options) -> Size:
    """`size` with the shape of the weights to start from and the attention asked for."""
    if options.init_from is not None:
        size = pretrained_size(options.init_from, size)
    return options.shaped(size)


def _plan(shards: Shards, size: Size, options: Options, followed: str) -> _Plan:
    """Everything that is fixed before the first step; refuses a budget that the shards
    cannot fill."""
    if options.init_from is not None and size.vocabulary != shards.vocabulary:
        raise InputError(
            f"{options.init_from} has a vocabulary of {size.vocabulary:,} tokens, the shards in "
            f"{shards.folder} one of {shards.vocabulary:,} ({shards.encoding}); tokenize with the "
            "encoding of those weights"
        )
    size = replace(size, vocabulary=shards.vocabulary)
    available = windows(shards, shards.train, size.context, options.seed)
    tokens = len(available) * size.context
    if options.tokens is not None and options.tokens > tokens:
        raise InputError(
            f"{options.tokens:,} training tokens were asked for, but the train shards in "
            f"{shards.folder} hold {tokens:,} in whole windows of {size.context}; ask for fewer, "
            "or raise `tokens` in the recipe's [mix]"
        )
    budget = options.tokens or (tokens if followed == SECONDS else min(size.tokens, tokens))
    schedule = schedule_for(size, max(budget, 1), **options.rates())
    first = batch_windows(schedule, 0) * size.context
    if budget < first:
        raise InputError(
            f"{budget:,} training tokens are fewer than one batch of size {size.name!r} ({first:,} "
            f"tokens); {shards.folder} holds {tokens:,} in whole windows of {size.context}: mix "
            "more, or choose a smaller size"
        )
    config = {
        "size": asdict(size),
        "seed": options.seed,
        "schedule": asdict(schedule),
        "follows": followed,
        "encoding": shards.encoding,
        "end_of_text": shards.end_of_text,
        "shards_sha256": shards.digest(),
        "init_from": None if options.init_from is None else options.init_from.name,
        NOTED: str(shards.folder.resolve()),
    }
    whole = budget // size.context
    return _Plan(shards, size, schedule, available, whole, followed, json.loads(json.dumps(config)))


def _start(plan: _Plan, out: Path, options: Options, here: Ranks) -> tuple[Learner, State]:
    """Model, optimiser and position: those of the newest checkpoint in `out`, or fresh ones."""
    folders = checkpoint.steps(out)
    state = checkpoint.read_state(folders[-1]) if folders else State(0, 0, 0, plan.config)
    if state.config.get("shards_sha256") != plan.config["shards_sha256"]:
        raise RunError(
            f"{out} holds checkpoints trained on other shards than those in {plan.shards.folder} "
            "(or made before checkpoints noted them), where their position in the data means "
            "nothing; train into another folder, or give the shards that they were trained on"
        )
    here_now = {key: plan.config[key] for key in (NOTED, "follows")}
    state = replace(state, config={**state.config, **here_now})
    difference = _difference("", state.config, plan.config)
    if difference:
        raise RunError(
            f"{out} holds checkpoints of another configuration ({difference}); train into another "
            "folder, or repeat the options that the run was started with"
        )
    dtype = getattr(
        torch, options.dtype or ("bfloat16" if here.device.type == "cuda" else "float32")
    )
    with torch.device("meta"):
        model = GPT3(plan.size) if here.pipe == 1 else Stage(plan.size, here, dtype)
    split(model, here, dtype)
    model.to_empty(device=here.device)
    if folders:
        checkpoint.load_weights(folders[-1], plan.size, model)
    elif options.init_from is not None:
        load_pretrained(options.init_from, plan.size, model)
    else:
        parameters = dict(model.named_parameters())
        names = [name for name, _ in empty(plan.size).named_parameters()]
        values = initial_values(plan.size, options.seed)
        for name, value in zip(names, values, strict=True):
            if name in parameters:
                fill(parameters[name], value)
    batch = batch_windows(plan.schedule, plan.schedule.budget_tokens)
    micro = options.micro_batch or pass_windows(plan.size, here, batch)
    this = learner(model, here, dtype, micro, options.compile)
    if folders:
        checkpoint.load_optimizer(folders[-1], model, this.optimizer)
    return this, state


def _difference(key: str, there: Any, here: Any) -> str:
    """The first value in which two configurations differ, in words; empty when they do not."""
    if isinstance(there, dict) and isinstance(here, dict):
        parts = (_difference(f"{key}.{name}", there.get(name), here.get(name)) for name in here)
        return next((part for part in parts if part), "")
    return "" if there == here else f"{key.removeprefix('.')} is {there!r} there and {here!r} here"


def _loop(
    plan: _Plan, out: Path, options: Options, this: Learner, state: State, log: Log, bar: Progress
) -> Result:
    first, losses = state.step, [math.nan]
    here, validation = this.here, None
    pace = Pace(options, plan.size, plan.follows, state.tokens, plan.total * plan.size.context)
    task = bar.add_task("", total=1.0, step=state.step, shown="starting")
    _show_words(plan, options, this, state, bar)
    half = pace.share(state.step, state.tokens, 0.0) / 2 + 0.5
    started = time.monotonic()  # words before the first step cost none of the user's seconds
    with stoppable(here.devices == 1, _sayer(bar)) as stop:
        while not stop.asked:
            # However slow the machine, one step is made.
            seconds = time.monotonic() - started if state.step > first else 0.0
            if _finished(plan, options, state, here, seconds):
                break
            schedule = pace.schedule(plan.schedule, state.tokens, seconds)
            state, line = _step(plan, out, this, state, schedule)
            losses.append(line["loss"])
            log.write(line)
            share = pace.share(state.step, state.tokens, time.monotonic() - started)
            shown = shown_of(line, here.device.type == "cuda")
            bar.update(task, completed=share, step=state.step, shown=shown)
            if share >= half:
                half = math.inf
                _show_words(plan, options, this, state, bar)
            if state.step % options.validate_every == 0:
                validation = _validation(plan, options, this, state, bar)
                log.write(validation)
            if state.step % options.checkpoint_every == 0:
                checkpoint.save(out, state, this.model, this.optimizer, here, options.keep)
        # Saved first: whoever asked to stop may lose patience.
        if state.step > first and state.step % options.checkpoint_every:
            checkpoint.save(out, state, this.model, this.optimizer, here, options.keep)
    if not stop.asked and (validation is None or validation["step"] != state.step):
        validation = _validation(plan, options, this, state, bar)
        if state.step > first:
            log.write(validation)
    return _result(plan, out, state, losses, validation or {}, here, stop.asked)


def _result(
    plan: _Plan,
    out: Path,
    state: State,
    losses: list[float],
    validation: dict[str, Any],
    here: Ranks,
    stopped_by: int,
) -> Result:
    folders = checkpoint.steps(out)
    if not folders:
        raise InputError(
            "no step was trained: max_steps and seconds must leave room for at least one"
        )
    return Result(
        step=state.step,
        tokens=state.tokens,
        budget_tokens=plan.schedule.budget_tokens,
        loss=losses[-1] if len(losses) > 1 else None,
        validation=validation.get("validation", {}),
        bits_per_byte=validation.get("bits_per_byte", {}),
        checkpoint=folders[-1],
        first_rank=here.first,
        stopped_by=stopped_by,
        finished=state.window >= plan.total,
    )


def _sayer(bar: Progress) -> Callable[[str], None]:
    return lambda text: bar.console.print(text, markup=False, highlight=False)


def _show_words(plan: _Plan, options: Options, this: Learner, state: State, bar: Progress) -> None:
    """A sample of the model, for whoever watches; several processes hold no whole model."""
    if not options.progress or this.here.devices > 1:
        return
    shards = plan.shards
    with _uncompiled(this):
        text = words(this.model, shards.encoding_path, shards.end_of_text, options.seed)
    if text is not None:
        _sayer(bar)(f"step {state.step}, its words: {text}")


def _uncompiled(this: Learner) -> Any:
    """A context for passes of other shapes than those of training: compiled layers, and what a GPU
    compiles of the loss, would be compiled for each of them, for many seconds."""
    if not this.compiled and this.here.device.type == "cpu":
        return contextlib.nullcontext()  # without loading the compiler
    return torch.compiler.set_stance("force_eager")


def _finished(plan: _Plan, options: Options, state: State, here: Ranks, seconds: float) -> bool:
    if state.window >= plan.total or (
        options.max_steps is not None and state.step >= options.max_steps
    ):
        return True
    return options.seconds is not None and bool(here.of_first(seconds >= options.seconds))


def _step(
    plan: _Plan, out: Path, this: Learner, state: State, schedule: Schedule
) -> tuple[State, dict[str, Any]]:
    """One optimiser step: the state after it and its line for the log; the last batch may be
    smaller."""
    started = time.monotonic()
    context = plan.size.context
    count = min(batch_windows(schedule, state.tokens), plan.total - state.window)
    window = state.window + count
    after = replace(state, step=state.step + 1, window=window, tokens=window * context)
    # Counted with this batch: without it the first step of a warm-up would have rate 0 and learn
    # nothing.
    rate = learning_rate(schedule, after.tokens)
    step = gradient(this, plan.train, state.window, count)
    if not step.finite:
        raise RunError(
            f"the loss is {step.loss} and the gradient norm {step.norm} in step {after.step}, at "
            f"token {after.tokens:,}; the last good checkpoint is {checkpoint.last_good(out)}; "
            f"start again in another folder with a smaller learning rate (here {rate:.3g}) or a "
            "longer warm-up"
        )
    apply(this, step, rate)
    if step.small is not None:
        noise = state.noise.updated(
            step.small * context,
            step.small_norm,
            count * context,
            step.norm,
        )
        after = replace(after, noise=noise)
    speed = count * context / (time.monotonic() - started)
    peak = peak_flops(this.here.device, this.dtype) * this.here.devices
    return after, {
        "step": after.step,
        "tokens": after.tokens,
        "loss": step.loss,
        "lr": rate,
        "batch_tokens": count * context,
        "grad_norm": step.norm,
        "noise_scale_tokens": after.noise.tokens,
        "tokens_per_s": round(speed, 1),
        "mfu": round(speed * flops_per_token(plan.size) / peak, 4),
    }


def _validation(
    plan: _Plan, options: Options, this: Learner, state: State, bar: Progress
) -> dict[str, Any]:
    """The validation line of the log: nats per token and bits per byte of each dataset."""
    with _uncompiled(this):
        losses = validated(
            this.model,
            plan.shards,
            options.validation_windows,
            this.micro,
            this.here,
            this.autocast(),
        )
    if losses:
        text = ", ".join(f"{dataset} {one.loss:.3f}" for dataset, one in losses.items())
        bar.console.print(
            f"step {state.step}, {state.tokens:,} tokens, validation loss: {text}", markup=False
        )
    return {
        "step": state.step,
        "tokens": state.tokens,
        "validation": {dataset: one.loss for dataset, one in losses.items()},
        "bits_per_byte": {
            dataset: one.bits_per_byte
            for dataset, one in losses.items()
            if one.bits_per_byte is not None
        },
    }
