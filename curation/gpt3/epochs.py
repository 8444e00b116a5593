"""Training over epochs of a list of examples: what the trainings of `curation tune` share.

Each epoch visits every example once, in an order keyed by seed and epoch. A run that is started
again goes on from its newest checkpoint, on a CPU with as many threads bitwise as if it had never
stopped.

A command first reads and checks all that it was given, then asks `resumable`, which only reads, and
then calls `begin_in`, which is the first to write. So a refused command leaves nothing behind.

InstructGPT's first two steps (`run`): the learning rate follows a cosine down to 10 %, without
warm-up (appendix C); AdamW with the trainer's betas and clipping; no weight decay, of which the
paper says nothing.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor, nn

from curation import draws
from curation.errors import RunError
from curation.gpt3 import checkpoint
from curation.gpt3.checkpoint import State
from curation.gpt3.log import Log, Pace, Tell, untold
from curation.gpt3.options import FineTuning, RewardConfig, SftConfig
from curation.gpt3.schedule import FINAL_SHARE
from curation.gpt3.update import BETAS, EPSILON, take_step
from curation.shown import brief

Line = dict[str, Any]  # of the log
Parts = Mapping[str, Mapping[str, Tensor]]
Step = Callable[[State], tuple[State, list[Line]]]
# What changes neither weights nor losses but where a run stops, and how often it is kept.
FREE = ("max_steps", "checkpoint_every", "keep", "device", "micro_batch")
# Parts of a step's loss, each with numbers for the log; both are added up.
Terms = Callable[[list[int]], Iterator[tuple[Tensor, dict[str, float]]]]
Give = Callable[[Path], None]
# Keys of a config that are digests, by the argument of the command that they are of.
DIGESTS = {
    "start": "CHECKPOINT",
    "from": "CHECKPOINT",
    "train": "--train",
    "reward": "--reward",
    "demonstrations": "--demonstrations",
    "shards": "--pretrain",
}
DATA = {"sft": "--demonstrations", "reward": "--rankings", "ppo": "--prompts"}


def nothing(out: Path) -> None:
    """What a training without a vocabulary of its own puts into `out`."""


@dataclass(frozen=True)
class Job:
    """One training: how many examples, in which batches, at which rate, and where it is kept."""

    out: Path
    config: dict[str, Any]
    examples: int
    epochs: int
    batch: int
    learning_rate: float
    seed: int
    max_steps: int | None
    checkpoint_every: int
    keep: int
    tell: Tell = untold
    give: Give = nothing

    @classmethod
    def of(
        cls,
        options: SftConfig | RewardConfig | FineTuning,
        out: Path,
        config: dict[str, Any],
        examples: int,
        tell: Tell,
        give: Give,
    ) -> Job:
        """The training that the options of a command ask for."""
        named = {f.name: getattr(options, f.name) for f in fields(cls) if hasattr(options, f.name)}
        config = as_json(config)
        return cls(out=out, config=config, examples=examples, tell=tell, give=give, **named)

    @property
    def per_epoch(self) -> int:
        return -(-self.examples // self.batch)

    @property
    def steps(self) -> int:
        return self.epochs * self.per_epoch

    @property
    def last(self) -> int:
        """The step to stop at."""
        return min(self.steps, self.max_steps or self.steps)

    def visited(self, state: State, purpose: str) -> tuple[int, list[int]]:
        """The epoch of the step after `state`, and the examples of the step."""
        epoch, place = divmod(state.step, self.per_epoch)
        count = min(self.batch, self.examples - place * self.batch)
        position = epoch * self.examples + place * self.batch
        return epoch, visited(self.seed, purpose, self.examples, position, count)


@dataclass(frozen=True)
class Outcome:
    """How a training ended: steps done and planned, the last line of its log, its checkpoint."""

    step: int
    steps: int
    line: dict[str, Any] | None
    checkpoint: Path


def settings(options: Any) -> dict[str, Any]:
    """The options that a run cannot change when it goes on."""
    return {key: value for key, value in asdict(options).items() if key not in FREE}


def as_json(config: dict[str, Any]) -> dict[str, Any]:
    """A config as a checkpoint gives it back: lists for tuples."""
    return dict(json.loads(json.dumps(config)))


def optimizer_of(parameters: list[nn.Parameter]) -> torch.optim.AdamW:
    """Adam as in the trainer, without weight decay; the rate is set at each step."""
    return torch.optim.AdamW(
        parameters, lr=0.0, betas=BETAS, eps=EPSILON, weight_decay=0.0, fused=True
    )


def cosine(peak: float, done: float) -> float:
    """The rate after a share `done` of the training: a cosine from the peak to 10 % of it.

    >>> cosine(1.0, 0.0), round(cosine(1.0, 1.0), 3)
    (1.0, 0.1)
    """
    return peak * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * done)))


def visited(seed: int, purpose: str, examples: int, position: int, count: int) -> list[int]:
    """Examples number position .. position + count - 1 of the endless row of epochs.

    >>> sorted(visited(0, "x", 3, 0, 3) + visited(0, "x", 3, 3, 3))
    [0, 0, 1, 1, 2, 2]
    """
    found: list[int] = []
    while len(found) < count:
        epoch, place = divmod(position + len(found), examples)
        contents = (number.to_bytes(8, "little") for number in range(examples))
        order = np.argsort(draws.uniforms(seed, f"{purpose}/{epoch}", contents), kind="stable")
        found += order[place : place + count - len(found)].tolist()
    return found


def keyed_seed(purpose: str, *key: object) -> int:
    """A seed for torch's generators, a function of what it is for."""
    text = "/".join(str(part) for part in ("instruct", purpose, *key))
    return int(xxhash.xxh3_64_intdigest(text.encode()) >> 1)


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a model that training changes, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def clipped_step(
    parameters: dict[str, nn.Parameter], optimizer: torch.optim.AdamW, rate: float
) -> float:
    """Clip the gradient to norm 1, take one step and forget it; the norm before clipping.

    Where the norm is no number, nothing is changed.
    """
    gradients = [p.grad for p in parameters.values() if p.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(gradients))
    if math.isfinite(norm):
        take_step(parameters.values(), optimizer, norm, rate)
    optimizer.zero_grad(set_to_none=True)
    return norm


def need_finite(out: Path, step: int, loss: float, norm: float, rate: float) -> None:
    """Raise RunError where the loss or the gradient's norm is no number."""
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise RunError(
            f"the loss is {loss} and the gradient norm {norm} in step {step}; the last good "
            f"checkpoint is {checkpoint.last_good(out)}; start again in another folder with a "
            f"smaller learning rate (here {rate:.3g})"
        )


def loop(job: Job, parts: Callable[[], Parts], step: Step) -> Outcome:
    """Go on from the newest checkpoint to the last step. `parts` are the tensors of a checkpoint by
    file, `step` makes the state after one step, and lines for the log, the step's own first."""
    state = resumable(job.out, job.config)
    if state is not None:
        folder = checkpoint.newest(job.out)
        for name, tensors in parts().items():
            checkpoint.load_parts(folder / f"{name}.safetensors", tensors)
    begin_in(job.out, job.give)
    state = state or State(0, 0, 0, job.config)
    lines: list[Line] = []
    pace = Pace(job.tell, state.step, job.last)
    pace(state.step, f"{job.examples:,} examples")
    with Log(job.out, state.step, True, False) as log:
        while state.step < job.last:
            state, lines = step(state)
            for line in lines:
                log.write(line)
            pace(state.step, f"loss {lines[0]['loss']:.3f}")
            if state.step == job.last or state.step % job.checkpoint_every == 0:
                checkpoint.save_parts(job.out, state, parts(), keep=job.keep)
    return Outcome(state.step, job.steps, lines[-1] if lines else None, checkpoint.newest(job.out))


def run(
    job: Job, model: nn.Module, terms: Terms, finish: Callable[[], dict[str, float]]
) -> Outcome:
    """Train `model`; `finish` is called once after the last planned step, before it is saved."""
    parameters = trained_parameters(model)
    optimizer = optimizer_of(list(parameters.values()))

    def parts() -> Parts:
        model_parts = dict(model.named_parameters())
        return {"model": model_parts, "optimizer": checkpoint.moments(parameters, optimizer)}

    def step(state: State) -> tuple[State, list[Line]]:
        state, line = _step(job, state, parameters, optimizer, terms)
        return state, [line | finish() if state.step == job.steps else line]

    return loop(job, parts, step)


def _step(
    job: Job,
    state: State,
    parameters: dict[str, nn.Parameter],
    optimizer: torch.optim.AdamW,
    terms: Terms,
) -> tuple[State, dict[str, Any]]:
    started = time.monotonic()
    epoch, chosen = job.visited(state, f"instruct/{job.config['kind']}")
    torch.manual_seed(keyed_seed("dropout", job.seed, state.step))
    loss = 0.0
    numbers: dict[str, float] = {}
    for term, more in terms(chosen):
        term.backward()  # type: ignore[no-untyped-call]
        loss += term.item()
        for key, value in more.items():
            numbers[key] = numbers.get(key, 0) + value
    rate = cosine(job.learning_rate, state.step / job.steps)
    norm = clipped_step(parameters, optimizer, rate)
    step = state.step + 1
    need_finite(job.out, step, loss, norm, rate)
    tokens = state.tokens + int(numbers.get("tokens", 0))
    after = replace(state, step=step, window=state.window + len(chosen), tokens=tokens)
    line = {"step": step, "epoch": epoch, "loss": loss, "lr": rate, "grad_norm": norm, **numbers}
    return after, {**line, "seconds": round(time.monotonic() - started, 3)}


# ---- going on in a folder that holds checkpoints, or beginning in a new one ----------------------


def resumable(out: Path, config: Mapping[str, Any]) -> checkpoint.State | None:
    """The newest state in `out`, None where there is none.

    Raises InputError where it is no folder to train into, RunError where it is of another training,
    with what differs.
    """
    checkpoint.need_own_folder(out)
    folders = checkpoint.steps(out)
    if not folders:
        return None
    state = checkpoint.read_state(folders[-1])
    there, here = (f"curation {_command(one)}" for one in (state.config, config))
    if there != here:
        raise RunError(
            f"{out} holds checkpoints of `{there}`, not of `{here}`; train into another folder"
        )
    if differences := list(_differences(state.config, config)):
        raise RunError(
            f"{out} holds checkpoints of another training ({'; '.join(differences)}); train into "
            "another folder, or repeat the options, files and models that it was started with"
        )
    return state


def begin_in(out: Path, give: Give = nothing) -> None:
    """Make `out`, remove what an interrupted training left unfinished in it, and give it what
    stands beside its checkpoints."""
    out.mkdir(parents=True, exist_ok=True)
    checkpoint.remove_unfinished(out)
    give(out)


def _command(config: Mapping[str, Any]) -> str:
    """The command that makes checkpoints of a config."""
    kind = config.get("kind")
    return f"tune {brief(kind)}".replace("'", "") if kind else "train"


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """What differs, in words: options by their names; the size only where no option explains it."""
    options = _of(there, "options"), _of(here, "options")
    names = [n for n in {**options[0], **options[1]} if options[0].get(n) != options[1].get(n)]
    for name in names:
        yield _said(f"--{name.replace('_', '-')}", options[0].get(name), options[1].get(name))
    for key in {**there, **here}:
        if key == "options" or there.get(key) == here.get(key):
            continue
        argument = DATA.get(str(here.get("kind"))) if key == "data" else DIGESTS.get(key)
        if argument and there.get(key) and here.get(key):
            yield f"{argument} was another one there"
        elif argument:
            yield f"{argument} was {'not ' if not there.get(key) else ''}given there"
        elif key == "task":
            yield _said("--task", there.get(key), here.get(key))
        elif key != "size":
            yield _said(key, there.get(key), here.get(key))
        else:
            sizes = _of(there, key), _of(here, key)
            fields = [n for n in {**sizes[0], **sizes[1]} if sizes[0].get(n) != sizes[1].get(n)]
            yield from (
                _said(n, sizes[0].get(n), sizes[1].get(n)) for n in fields if n not in names
            )


def _of(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    return found if isinstance(found, Mapping) else {}


def _said(name: str, there: object, here: object) -> str:
    return f"{name} is {brief(there)} there and {brief(here)} here"
