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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from curation.errors import InputError
from curation.gpt3 import checkpoint
from curation.gpt3.checkpoint import State
from curation.gpt3.epochs import Job, Line, Parts, loop, need_finite, settings
from curation.gpt3.finetune.heads import FineTuned, answers, with_head
from curation.gpt3.finetune.inputs import Record, Rows, labels_of, read_task, rows_of
from curation.gpt3.instruct.data import Encoding
from curation.gpt3.log import Tell, untold
from curation.gpt3.model import GPT3, build
from curation.gpt3.options import FineTuning, Task
from curation.gpt3.parallel import device_named, gradient_norm
from curation.gpt3.sizes import Size
from curation.gpt3.starting import Start, model_of, opened
from curation.gpt3.update import MICRO_TOKENS, adamw, seed_dropout, take_step

KIND = "finetune"
BETAS = (0.9, 0.999)
WEIGHT_DECAY = 0.01
_TAKEN = ("encoding", "end_of_text", "schedule")  # of the config of the model to start from


@dataclass(frozen=True)
class Tuned:
    """How a fine-tuning ended: accuracy on the development set, examples that lost something by
    file, the checkpoint."""

    step: int
    steps: int
    accuracy: float
    examples: int
    cut: dict[str, int]
    checkpoint: Path


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
    first = opened(start, "", "sft")
    give = partial(first.give_vocabulary, encoding)
    encode = first.coder(encoding).encoding.encode_ordinary
    size = replace(first.size, dropout=options.dropout)
    records = {path: read_task(path, task) for path in (train, dev)}
    labels = labels_of(records[train], task)
    rows, dev_rows = (
        rows_of(records[path], task, labels, encode, size.vocabulary, size.context, str(path))
        for path in (train, dev)
    )
    config = {
        **{name: first.config[name] for name in _TAKEN if name in first.config},
        "size": asdict(size),
        "kind": KIND,
        "task": task,
        "labels": labels,
        "start": first.identity(),
        "train": _digest(records[train]),
        "options": settings(options),
    }
    model = _transferred(first, size, options, device_named(options.device))
    tuned = with_head(model, task, len(labels), options.seed)
    optimizer = adamw(tuned.parameters(), WEIGHT_DECAY, BETAS)
    job = Job.of(options, out, config, len(rows), tell, give)

    def step(state: State) -> tuple[State, list[Line]]:
        state, line = _step(job, options, tuned, optimizer, rows, state)
        if state.step % job.per_epoch and state.step != job.last:
            return state, [line]
        return state, [line, {"step": state.step, "dev": development(tuned, dev_rows)}]

    def parts() -> Parts:
        moments = checkpoint.moments(dict(tuned.named_parameters()), optimizer)
        return {**_parts(tuned), "optimizer": moments}

    ended = loop(job, parts, step)
    scores = ended.line["dev"] if ended.line else development(tuned, dev_rows)
    cut = {
        name: sum(one.cut for one in of_file)
        for name, of_file in (("train", rows), ("dev", dev_rows))
    }
    return Tuned(ended.step, ended.steps, scores["accuracy"], len(dev_rows), cut, ended.checkpoint)


def _digest(records: Sequence[Record]) -> str:
    text = json.dumps([[one.texts, one.label] for one in records])
    return hashlib.sha256(text.encode()).hexdigest()


def _transferred(first: Start, size: Size, options: FineTuning, device: torch.device) -> GPT3:
    """The model to start from; layers after the first `options.transfer` are random ones."""
    model = model_of(first, device, size)
    if options.transfer < size.layers:
        fresh = dict(build(size, options.seed).named_parameters())
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                number = int(name.split(".")[1]) if name.startswith("blocks.") else -1
                last = name.startswith("norm.")  # it fits the last layer's output
                if number >= options.transfer or last or options.transfer < 0:
                    parameter.copy_(fresh[name])
    return model


def _step(
    job: Job,
    options: FineTuning,
    tuned: FineTuned,
    optimizer: torch.optim.AdamW,
    train: Sequence[Rows],
    state: State,
) -> tuple[State, Line]:
    """One step: the state after it and its line for the log."""
    epoch, numbers = job.visited(state, KIND)
    chosen = [train[number] for number in numbers]
    step = state.step + 1
    found = gradient(tuned, chosen, options.aux, options.seed, state.window)
    norm = gradient_norm(tuned)
    rate = learning_rate(options, step, job.steps)
    need_finite(job.out, step, found["loss"], norm, rate)
    take_step(tuned.parameters(), optimizer, norm, rate)
    tokens = state.tokens + sum(len(row) for one in chosen for row in one.rows)
    after = replace(state, step=step, window=state.window + len(chosen), tokens=tokens)
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


def load_tuned(folder: Path, device: torch.device | str = "cpu") -> tuple[FineTuned, State]:
    """The fine-tuned model in a checkpoint, and its state; InputError where it is not one."""
    state = checkpoint.read_state(folder)
    if state.config.get("kind") != KIND:
        raise InputError(f"{folder} is not a checkpoint of `curation tune finetune`")
    model = checkpoint.load_model(folder, state.size, device)
    tuned = with_head(model, state.config["task"], len(state.config["labels"]), 0)
    checkpoint.load_parts(folder / "head.safetensors", _parts(tuned)["head"])
    return tuned.eval(), state
