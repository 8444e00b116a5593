"""Fine-tuning (Radford et al. 2018, sections 3.2 and 4.1) on the trainer's steps, checkpoints and
log.

"we use a learning rate of 6.25e-5 and a batchsize of 32 ... 3 epochs of training was sufficient ...
a linear learning rate decay schedule with warmup over 0.2% of training. lambda was set to 0.5".
Adam, its second beta of 0.999 and the decay of 0.01 on matrices are those of the paper's
pre-training. Each epoch visits all examples once, in an order keyed by seed and epoch.

`out` gets `log.jsonl` (a line a step; after each epoch one of the development set) and checkpoints.
A checkpoint is one of a language model, with `head.safetensors` beside it: the further tokens and
the head. The same call again goes on from the newest; on a CPU with as many threads it is bitwise a
run never disturbed.

Trap: a step's rows go through the model a few at a time; with dropout, another number is another
draw.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from curation import draws, store
from curation.errors import InputError, RunError
from curation.gpt3 import checkpoint
from curation.gpt3.checkpoint import State
from curation.gpt3.evaluate import Encoding
from curation.gpt3.finetune.heads import FineTuned, answers, with_head
from curation.gpt3.finetune.inputs import Record, Rows, labels_of, read_task, rows_of
from curation.gpt3.finetune.options import FineTuning, Task
from curation.gpt3.log import Log, Pace, Tell, untold
from curation.gpt3.model import GPT3, build, empty
from curation.gpt3.parallel import device_named, gradient_norm
from curation.gpt3.positions import NOTED, copy_vocabulary, vocabulary_beside
from curation.gpt3.resuming import Give, begin_in, nothing, resumable
from curation.gpt3.sizes import Size
from curation.gpt3.update import MICRO_TOKENS, adamw, seed_dropout, take_step
from curation.shown import brief

KIND = "finetune"
BETAS = (0.9, 0.999)
WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Tuned:
    """How a fine-tuning ended: accuracy on the development set, examples that lost something by
    file, the checkpoint.
    """

    step: int
    steps: int
    accuracy: float
    examples: int
    cut: dict[str, int]
    checkpoint: Path


@dataclass(frozen=True)
class _Job:
    tuned: FineTuned
    optimizer: torch.optim.AdamW
    train: list[Rows]
    dev: list[Rows]
    options: FineTuning
    out: Path
    tell: Tell
    give: Give

    @property
    def steps(self) -> int:
        return self.options.epochs * self.per_epoch

    @property
    def per_epoch(self) -> int:
        return -(-len(self.train) // self.options.batch)

    @property
    def parameters(self) -> dict[str, Tensor]:
        return dict(self.tuned.named_parameters())


def finetune(
    start: Path,
    task: Task,
    train: Path,
    dev: Path,
    out: Path,
    options: FineTuning | None = None,
    encoding: Encoding | None = None,
    tell: Tell = untold,
) -> Tuned:
    """Train the model in `start` further on the records in `train`, and score those in `dev`.

    `encoding` stands in for the one that the checkpoint names. Raises InputError for records,
    labels and checkpoints that cannot be used, RunError where `out` holds another run or the loss
    is no longer a number.
    """
    options = options or FineTuning()
    folder = newest(start)
    state = checkpoint.read_state(folder)
    kind = state.config.get("kind", "")
    if kind not in ("", "sft"):
        raise InputError(
            f"{folder} is of another family (`curation tune {brief(kind)}`); a checkpoint of "
            "`curation train` expected"
        )
    give = nothing if encoding else partial(give_vocabulary, state, folder)
    encoding = encoding or own_encoding(state, folder)
    size = replace(state.size, dropout=options.dropout)
    records = {"train": read_task(train, task), "dev": read_task(dev, task)}
    labels = labels_of(records["train"], task)
    rows = {
        name: rows_of(
            of_file,
            task,
            labels,
            encoding.encode_ordinary,
            size.vocabulary,
            size.context,
            str(path),
        )
        for (name, of_file), path in zip(records.items(), (train, dev), strict=True)
    }
    config = _config(state, folder, size, task, labels, records["train"], options)
    model = _transferred(folder, state, options, device_named(options.device))
    tuned = with_head(model, task, len(labels), options.seed)
    optimizer = adamw(tuned.parameters(), WEIGHT_DECAY, BETAS)
    job = _Job(tuned, optimizer, rows["train"], rows["dev"], options, out, tell, give)
    ended, line = _run(job, config)
    cut = {name: sum(one.cut for one in of_file) for name, of_file in rows.items()}
    return Tuned(ended.step, job.steps, line["accuracy"], len(job.dev), cut,
                 checkpoint.steps(out)[-1])  # fmt: skip


_FREE = ("max_steps", "checkpoint_every", "keep", "device")  # may differ when a run goes on


def _config(
    state: State,
    folder: Path,
    size: Size,
    task: Task,
    labels: Sequence[str],
    train: Sequence[Record],
    options: FineTuning,
) -> dict[str, Any]:
    """What a run is, as a checkpoint keeps it."""
    taken = ("encoding", "end_of_text", "schedule")
    config = {
        **{name: state.config[name] for name in taken if name in state.config},
        "size": asdict(size),
        "kind": KIND,
        "task": task,
        "labels": labels,
        "start": str(store.sha256(str(folder / "model.safetensors"))),
        "train": _digest(train),
        "options": {key: value for key, value in asdict(options).items() if key not in _FREE},
    }
    return dict(json.loads(json.dumps(config)))


def newest(path: Path) -> Path:
    """The checkpoint at `path`, or the newest in it; InputError where there is none."""
    if (path / "state.json").is_file():
        return path
    folders = checkpoint.steps(path)
    if not folders:
        raise InputError(
            f"{path} holds no checkpoint of ours; expected state.json in it, or folders named "
            "step-...; other weights go through `curation train --init-from` first"
        )
    return folders[-1]


def own_encoding(state: State, folder: Path) -> Encoding:
    """The encoding of a checkpoint."""
    from curation.kernels import bpe

    encoding: Encoding = bpe.encoding(vocabulary_beside(folder, *_vocabulary(state, folder)))
    return encoding


def give_vocabulary(state: State, folder: Path, out: Path) -> None:
    """Put the file of a checkpoint's vocabulary, where it has one, into `out`."""
    copy_vocabulary(folder, *_vocabulary(state, folder), out)


def _vocabulary(state: State, folder: Path) -> tuple[str, str | None]:
    """The encoding that a checkpoint names, and where its shards were."""
    name = state.config.get("encoding")
    if not isinstance(name, str):
        raise InputError(f"{folder / 'state.json'}: encoding expected in its config")
    return name, state.config.get(NOTED)


def _digest(records: Sequence[Record]) -> str:
    text = json.dumps([[one.texts, one.label] for one in records])
    return hashlib.sha256(text.encode()).hexdigest()


def _transferred(folder: Path, state: State, options: FineTuning, device: torch.device) -> GPT3:
    """The model in `folder`; layers after the first `options.transfer` are random ones."""
    size = replace(state.size, dropout=options.dropout)
    model = empty(size)
    model.to_empty(device=device)
    checkpoint.load_weights(folder, state.size, model)
    if options.transfer < size.layers:
        fresh = dict(build(size, options.seed).named_parameters())
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                number = int(name.split(".")[1]) if name.startswith("blocks.") else -1
                last = name.startswith("norm.")  # it fits the last layer's output
                if number >= options.transfer or last or options.transfer < 0:
                    parameter.copy_(fresh[name])
    return model


def _run(job: _Job, config: dict[str, Any]) -> tuple[State, dict[str, Any]]:
    """Go on from the newest checkpoint to the last step; the state and the last line of the
    development set.
    """
    state = resumable(job.out, config)
    if state:
        _load(checkpoint.steps(job.out)[-1], job)
    begin_in(job.out, job.give)
    state = state or State(0, 0, 0, config)
    last = min(job.steps, job.options.max_steps or job.steps)
    line: dict[str, Any] = {}
    pace = Pace(job.tell, state.step, last)
    pace(state.step, f"{len(job.train):,} examples")
    with Log(job.out, state.step, True, False) as log:
        while state.step < last:
            state, of_step = _step(job, state)
            log.write(of_step)
            pace(state.step, f"loss {of_step['loss']:.3f}")
            if state.step % job.per_epoch == 0 or state.step == last:
                line = {"step": state.step, "dev": development(job.tuned, job.dev)}
                log.write(line)
            if state.step % job.options.checkpoint_every == 0 or state.step == last:
                _save(job, state)
    return state, line["dev"] if line else development(job.tuned, job.dev)


def _step(job: _Job, state: State) -> tuple[State, dict[str, Any]]:
    """One step: the state after it and its line for the log."""
    options = job.options
    epoch, place = divmod(state.step, job.per_epoch)
    order = _order(options.seed, epoch, len(job.train))
    chosen = [job.train[n] for n in order[place * options.batch : (place + 1) * options.batch]]
    step = state.step + 1
    found = gradient(job.tuned, chosen, options.aux, options.seed, state.window)
    norm = gradient_norm(job.tuned)
    rate = learning_rate(options, step, job.steps)
    if not (math.isfinite(found["loss"]) and math.isfinite(norm)):
        kept = checkpoint.steps(job.out)
        raise RunError(
            f"the loss is {found['loss']} and the gradient norm {norm} in step {step}; the last "
            f"good checkpoint is {kept[-1] if kept else 'none'}; start again in another folder "
            f"with a smaller learning rate (here {rate:.3g})"
        )
    take_step(job.tuned.parameters(), job.optimizer, norm, rate)
    tokens = sum(len(row) for one in chosen for row in one.rows)
    after = replace(
        state, step=step, window=state.window + len(chosen), tokens=state.tokens + tokens
    )
    return after, {"step": step, "epoch": epoch, **found, "lr": rate, "grad_norm": norm}


def gradient(
    tuned: FineTuned, chosen: Sequence[Rows], aux: float, seed: int, position: int
) -> dict[str, float]:
    """The gradient of L3 over examples, left in the parameters; L3, L2, L1 and the share right."""
    tuned.train()
    ordinary = sum(one.ordinary for one in chosen)
    longest = max(len(row) for one in chosen for row in one.rows)
    most = max(len(one.rows) for one in chosen)
    micro = max(1, MICRO_TOKENS[tuned.special.device.type] // (longest * most))
    task_loss = language = right = 0.0
    for begin in range(0, len(chosen), micro):
        seed_dropout(tuned.model.size, seed, position + begin)
        part, words, _, good = tuned.losses(chosen[begin : begin + micro])
        loss = part / len(chosen)
        if aux and ordinary:
            loss = loss + aux * words / ordinary
        loss.backward()  # type: ignore[no-untyped-call]
        task_loss += float(part.detach())
        language += float(words.detach())
        right += good
    l2, l1 = task_loss / len(chosen), language / max(1, ordinary)
    return {"loss": l2 + aux * l1, "l2": l2, "l1": l1, "accuracy": right / len(chosen)}


def _order(seed: int, epoch: int, examples: int) -> list[int]:
    """The examples in the order of an epoch."""
    contents = (number.to_bytes(8, "little") for number in range(examples))
    keys = draws.uniforms(seed, f"finetune/{epoch}", contents)
    order: list[int] = np.argsort(keys, kind="stable").tolist()
    return order


def learning_rate(options: FineTuning, step: int, steps: int) -> float:
    """The rate of a step counted from 1: rising over the warm-up, falling in a line to 0 after the
    last.

    >>> of = FineTuning(learning_rate=1.0, warmup=0.5)
    >>> [learning_rate(of, step, 4) for step in (1, 2, 3, 4)]
    [0.5, 0.75, 0.5, 0.25]
    """
    warm = max(1.0, options.warmup * steps)
    return options.learning_rate * min(step / warm, (steps - step + 1) / steps)


def development(tuned: FineTuned, dev: list[Rows]) -> dict[str, float]:
    """Accuracy and mean loss (nats) on examples."""
    numbers, losses = answers(tuned, dev)
    right = sum(number == one.label for number, one in zip(numbers, dev, strict=True))
    return {"accuracy": right / len(dev), "loss": sum(losses) / len(dev)}


# ---- checkpoints ---------------------------------------------------------------------------------


def _parts(tuned: FineTuned) -> dict[str, dict[str, Tensor]]:
    """The weights by file: the language model's under its own names, and the rest."""
    named: dict[str, Tensor] = dict(tuned.named_parameters())
    model = {n.removeprefix("model."): p for n, p in named.items() if n.startswith("model.")}
    return {"model": model, "head": {n: p for n, p in named.items() if not n.startswith("model.")}}


def _moments(job: _Job) -> dict[str, Tensor]:
    """AdamW's state by NAME/exp_avg, NAME/exp_avg_sq and NAME/step; zeros before the first step."""
    found: dict[str, Tensor] = {}
    for name, parameter in job.parameters.items():
        state = job.optimizer.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        found |= {f"{name}/{key}": state[key] for key in ("exp_avg", "exp_avg_sq", "step")}
    return found


def _save(job: _Job, state: State) -> None:
    parts = {**_parts(job.tuned), "optimizer": _moments(job)}
    checkpoint.save_parts(job.out, state, parts, keep=job.options.keep)


def _load(folder: Path, job: _Job) -> None:
    for name, tensors in {**_parts(job.tuned), "optimizer": _moments(job)}.items():
        checkpoint.load_parts(folder / f"{name}.safetensors", tensors)


def load_tuned(folder: Path, device: torch.device | str = "cpu") -> tuple[FineTuned, State]:
    """The fine-tuned model in a checkpoint, and its state; InputError where it is not one."""
    state = checkpoint.read_state(folder)
    if state.config.get("kind") != KIND:
        raise InputError(f"{folder} is not a checkpoint of `curation tune finetune`")
    model = checkpoint.load_model(folder, state.size, device)
    tuned = with_head(model, state.config["task"], len(state.config["labels"]), 0)
    checkpoint.load_parts(folder / "head.safetensors", _parts(tuned)["head"])
    return tuned.eval(), state
