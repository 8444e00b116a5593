"""Step 3: PPO, and PPO-ptx with pre-training gradients (Ouyang et al. 2022, section 3.5, C.4).

A step samples one answer to each of `batch` prompts, splits them into minibatches, and updates once
on each. An update adds up, in one gradient buffer,

    the clipped surrogate of the minibatch        (mean over its answer tokens)
    gamma times the pre-training loss             (nats per token, over `pretrain_windows` windows
                                                   of the run's own shards for each episode)

and takes one step of Adam. The value network starts as the reward model and has its own optimiser.
What is saved as `model` is the average of the weights (decay .992, once an update).

    step-.../model.safetensors      the average: what `generate`, `evaluate` and `tune` read
    step-.../policy.safetensors     the weights that are trained; value.safetensors beside it
    step-.../optimizer.safetensors  policy/NAME/exp_avg ... and value/NAME/exp_avg ...

A checkpoint is written after the KL of its weights was measured, so the newest one is always good.
Trap: one process, one device; five models are in memory, each in 32 bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from curation.errors import RunError
from curation.gpt3 import checkpoint, epochs
from curation.gpt3.checkpoint import State
from curation.gpt3.data import Shards, Windows
from curation.gpt3.epochs import Give, begin_in, nothing, resumable
from curation.gpt3.instruct.episodes import (
    Episodes,
    Scorer,
    episodes_of,
    minibatches_of,
    passes_of,
    policy_loss,
    value_loss,
)
from curation.gpt3.instruct.reward import RewardModel
from curation.gpt3.instruct.sequences import answer_log_probabilities
from curation.gpt3.log import Log, Pace, Tell, untold
from curation.gpt3.model import GPT3
from curation.gpt3.options import PpoConfig
from curation.gpt3.parallel import Ranks
from curation.gpt3.validate import validated

WARMUP_STEPS = 10  # from a tenth of the rate (appendix C.4)


@dataclass(frozen=True)
class Networks:
    """The five models of PPO, on one device."""

    policy: GPT3
    reference: GPT3
    value: RewardModel
    averaged: GPT3
    score: Scorer


@dataclass(frozen=True)
class Work:
    """All that a training by PPO needs, as tokens. `watch` scores (prompt number, answer) for the
    log alone."""

    networks: Networks
    prompts: Sequence[tuple[int, ...]]
    end_of_text: int
    pretrain: Windows | None
    shards: Shards | None
    options: PpoConfig
    out: Path
    config: dict[str, Any]
    watch: Callable[[int, Sequence[int]], float] | None = None
    tell: Tell = untold
    give: Give = nothing

    @property
    def steps(self) -> int:
        return -(-self.options.episodes // self.options.batch)


@dataclass(frozen=True)
class PpoResult:
    """How PPO ended: the last episodes' reward and KL, and the validation loss of the average."""

    step: int
    steps: int
    reward: float
    kl: float
    watched: float | None
    validation: dict[str, float]
    checkpoint: Path


class _Optimizers:
    """The two optimisers with the parameters they change, by name."""

    def __init__(self, networks: Networks) -> None:
        self.policy = epochs.trained_parameters(networks.policy)
        self.value = epochs.trained_parameters(networks.value)
        self.of_policy = epochs.optimizer_of(list(self.policy.values()))
        self.of_value = epochs.optimizer_of(list(self.value.values()))

    def tensors(self) -> dict[str, torch.Tensor]:
        both = (
            ("policy", checkpoint.moments(self.policy, self.of_policy)),
            ("value", checkpoint.moments(self.value, self.of_value)),
        )
        return {f"{name}/{key}": x for name, found in both for key, x in found.items()}


def train_ppo(work: Work) -> PpoResult:
    """Train by PPO, from the newest checkpoint in `work.out` where there is one.

    Raises RunError where the KL explodes or a number is none, naming the step and the last good
    checkpoint.
    """
    optimizers = _Optimizers(work.networks)
    state = resumable(work.out, work.config)
    if state is not None:
        _restore(work, optimizers)
    begin_in(work.out, work.give)
    saved = None if state is None else state.step
    state = state or State(0, 0, 0, work.config)
    last = min(work.steps, work.options.max_steps or work.steps)
    validation: dict[str, float] = {}
    pace, was = Pace(work.tell, state.step, last), ""
    with Log(work.out, state.step, True, False) as log:
        while True:
            pace(state.step, f"{was}sampling {work.options.batch:,} answers")
            episodes, measured = _measured(work, state)
            was = f"reward {measured['reward']:.3f}, KL {measured['kl']:.3f}, "
            ended = state.step >= last
            planned = state.step == work.steps or state.step % work.options.validate_every == 0
            if planned or ended:
                validation = _validation(work)
            if saved != state.step:
                if planned:
                    log.write({"step": state.step, "validation": validation})
                if state.step == work.steps:
                    log.write({"step": state.step, "final": True, **measured})
                if ended or state.step % work.options.checkpoint_every == 0:
                    _save(work, optimizers, state)
            if ended:
                break
            told = partial(_told, pace, state.step, was)
            state, line = _step(work, optimizers, state, episodes, told)
            log.write({**line, **measured})
    return PpoResult(
        state.step,
        work.steps,
        measured["reward"],
        measured["kl"],
        measured.get("watched"),
        validation,
        checkpoint.newest(work.out),
    )


def _told(pace: Pace, step: int, was: str, text: str) -> None:
    pace(step, was + text)


def _measured(work: Work, state: State) -> tuple[Episodes, dict[str, Any]]:
    """The episodes of the next step, and what the log says of them; RunError where the KL is too
    large."""
    options, networks = work.options, work.networks
    chosen = epochs.visited(
        options.seed,
        "instruct/ppo",
        len(work.prompts),
        state.step * options.batch,
        options.batch,
    )
    episodes, answers = episodes_of(
        networks.policy,
        networks.reference,
        networks.value,
        networks.score,
        [work.prompts[number] for number in chosen],
        work.end_of_text,
        epochs.keyed_seed("episodes", options.seed, state.step),
        options,
    )
    kl = episodes.kl()
    if not (episodes.finite() and kl <= options.max_kl):
        raise RunError(_explosion(work, state, kl))
    tokens = int(episodes.batch.mask().sum())
    line = {
        "reward": episodes.reward.mean().item(),
        "kl": kl,
        "entropy": episodes.entropy.sum().item() / tokens,
        "answer_tokens": tokens / len(answers),
        "cut": sum(one.ids[-1] != work.end_of_text for one in answers) / len(answers),
    }
    if work.watch is not None:
        scores = [
            work.watch(number, one.ids[one.prompt :])
            for number, one in zip(chosen, answers, strict=True)
        ]
        line["watched"] = sum(scores) / len(scores)
    return episodes, line


def _explosion(work: Work, state: State, kl: float) -> str:
    return (
        f"the KL from the SFT model is {kl:.4g} nats an answer in step {state.step + 1}, where at "
        f"most {work.options.max_kl:g} was allowed (--max-kl); the last good checkpoint is "
        f"{checkpoint.last_good(work.out)}: go on from it in another folder with a larger "
        f"--kl-weight (here {work.options.kl_weight:g}) or a smaller --learning-rate (here "
        f"{work.options.learning_rate:.3g})"
    )


def _step(
    work: Work, optimizers: _Optimizers, state: State, episodes: Episodes, tell: Tell
) -> tuple[State, dict[str, Any]]:
    """One pass over the step's minibatches: the state after it, and its line for the log."""
    started = time.monotonic()
    warm = min(1.0, 0.1 + 0.9 * state.step / WARMUP_STEPS)
    window, sums = state.window, dict.fromkeys(("policy", "value", "pretrain", "clipped"), 0.0)
    norms = []
    for number, rows in enumerate(minibatches_of(len(episodes.batch), work.options), 1):
        tell(f"update {number} of {work.options.minibatches}")
        part = episodes.rows(rows)
        windows = _windows(work, window, len(part.batch))
        window += len(windows)
        for key, value in accumulate(work.networks, part, windows, work.options).items():
            sums[key] += value / work.options.minibatches
        norms.append(
            epochs.clipped_step(
                optimizers.policy, optimizers.of_policy, warm * work.options.learning_rate
            )
        )
        value_norm = epochs.clipped_step(
            optimizers.value, optimizers.of_value, warm * work.options.value_rate
        )
        if not (math.isfinite(norms[-1]) and math.isfinite(value_norm)):
            raise RunError(
                f"the gradient is no number in step {state.step + 1}; the last good checkpoint is "
                f"{checkpoint.last_good(work.out)}: go on from it in another folder with smaller learning rates"
            )
        _average(work.networks, work.options.average)
    step, read = state.step + 1, int(episodes.batch.mask().sum())
    line = {
        "step": step,
        "episodes": step * work.options.batch,
        "policy_loss": sums["policy"],
        "value_loss": sums["value"],
        "pretrain_loss": sums["pretrain"] if window > state.window else None,
        "clipped": sums["clipped"],
        "grad_norm": sum(norms) / len(norms),
        "lr": warm * work.options.learning_rate,
        "seconds": round(time.monotonic() - started, 3),
    }
    return State(step, window, state.tokens + read, work.config), line


def _windows(work: Work, position: int, episodes: int) -> NDArray[np.int64]:
    """The pre-training windows of one minibatch; the shards begin again when they are used up."""
    if work.pretrain is None or not work.options.pretrain_weight:
        return np.empty((0, 0), np.int64)
    count, parts = episodes * work.options.pretrain_windows, []
    while count:
        place = position % len(work.pretrain)
        rows = min(count, len(work.pretrain) - place)
        parts.append(work.pretrain.batch(place, rows))
        position, count = position + rows, count - rows
    return np.concatenate(parts)


def accumulate(
    networks: Networks, part: Episodes, windows: NDArray[np.int64], options: PpoConfig
) -> dict[str, float]:
    """Add the gradient of one minibatch's objective to what the parameters hold: both parts of it,
    and the value network's."""
    tokens = int(part.batch.mask().sum())
    sums = {"policy": 0.0, "value": 0.0, "pretrain": 0.0, "clipped": 0.0}
    for rows in passes_of(slice(0, len(part.batch)), options):
        one = part.rows(rows)
        mask = one.batch.mask()
        logs, _ = answer_log_probabilities(networks.policy, one.batch)
        loss, clipped = policy_loss(logs, one.old, one.advantage, mask, options.clip)
        (loss / tokens).backward()  # type: ignore[no-untyped-call]
        values = networks.value.values(one.batch.ids[:, :-1])
        error = value_loss(values, one.returns, mask)
        (error / tokens).backward()  # type: ignore[no-untyped-call]
        sums["policy"] += loss.item() / tokens
        sums["value"] += error.item() / tokens
        sums["clipped"] += clipped.item() / tokens
    device = networks.policy.tokens.weight.device
    for start in range(0, len(windows), options.micro_batch):
        some = torch.from_numpy(windows[start : start + options.micro_batch]).to(device)
        share = len(some) / len(windows)
        loss = networks.policy.loss(some)
        (loss * (options.pretrain_weight * share)).backward()  # type: ignore[no-untyped-call]
        sums["pretrain"] += loss.item() * share
    return sums


@torch.no_grad()
def _average(networks: Networks, decay: float) -> None:
    for kept, trained in zip(
        networks.averaged.parameters(), networks.policy.parameters(), strict=True
    ):
        kept.lerp_(trained, 1 - decay)


def _validation(work: Work) -> dict[str, float]:
    """Validation loss of the average on the shards, by dataset."""
    if work.shards is None:
        return {}
    model = work.networks.averaged
    here = Ranks(model.tokens.weight.device)
    with torch.no_grad():
        found = validated(
            model,
            work.shards,
            work.options.validation_windows,
            work.options.micro_batch,
            here,
            nullcontext(),
        )
    return {dataset: held.loss for dataset, held in found.items()}


def _save(work: Work, optimizers: _Optimizers, state: State) -> None:
    networks = work.networks
    parts: dict[str, Mapping[str, torch.Tensor]] = {
        "model": dict(networks.averaged.named_parameters()),
        "policy": dict(networks.policy.named_parameters()),
        "value": dict(networks.value.named_parameters()),
        "optimizer": optimizers.tensors(),
    }
    checkpoint.save_parts(work.out, state, parts, keep=work.options.keep)


def _restore(work: Work, optimizers: _Optimizers) -> None:
    folder, networks = checkpoint.steps(work.out)[-1], work.networks
    for name, model in (
        ("model", networks.averaged),
        ("policy", networks.policy),
        ("value", networks.value),
    ):
        checkpoint.load_parts(folder / f"{name}.safetensors", dict(model.named_parameters()))
    checkpoint.load_parts(folder / "optimizer.safetensors", optimizers.tensors())
