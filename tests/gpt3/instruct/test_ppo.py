from __future__ import annotations

import copy
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from curation.errors import RunError
from curation.gpt3 import checkpoint, epochs
from curation.gpt3.data import open_shards, windows
from curation.gpt3.instruct import ppo as module
from curation.gpt3.instruct.episodes import Episodes, episodes_of
from curation.gpt3.instruct.ppo import Networks, PpoResult, Work, accumulate, train_ppo
from curation.gpt3.instruct.reward import RewardModel
from curation.gpt3.instruct.sequences import Batch, answer_log_probabilities
from curation.gpt3.model import GPT3, build
from curation.gpt3.options import PpoConfig
from curation.gpt3.sizes import Size

MakeShards = Callable[..., Path]
OPTIONS = PpoConfig(
    episodes=64,
    batch=16,
    minibatches=2,
    micro_batch=4,
    max_tokens=6,
    pretrain_weight=2.0,
    pretrain_windows=1,
    learning_rate=1e-3,
    value_rate=1e-3,
    checkpoint_every=2,
    validate_every=2,
    validation_windows=4,
)
PROMPTS = [(1, 2, 3), (4, 5), (6, 7, 8), (9, 10, 11, 12)]
SHAPE = {"layers": 2, "width": 16, "heads": 2, "context": 16, "band": 4}
SMALL = Size("small", batch_tokens=32, learning_rate=1e-2, vocabulary=61, **SHAPE)  # type: ignore[arg-type]


def evens(batch: Batch) -> Tensor:
    """A reward that a model can find: the share of even tokens in the answer."""
    mask = batch.mask()
    return ((batch.ids[:, 1:] % 2 == 0) & mask).sum(1) / mask.sum(1)


def networks(size: Size, seed: int = 0) -> Networks:
    policy = build(size, seed).eval()
    value = RewardModel(build(size, seed + 1)).eval()
    with torch.no_grad():
        value.last.weight.normal_(generator=torch.Generator().manual_seed(seed))
    return Networks(policy, copy.deepcopy(policy), value, copy.deepcopy(policy), evens)


def work(out: Path, options: PpoConfig, shards: Path | None = None, size: Size = SMALL) -> Work:
    opened = None if shards is None else open_shards(shards)
    train = None if opened is None else windows(opened, opened.train, size.context, options.seed)
    config = epochs.as_json(
        {"kind": "ppo", "size": asdict(size), "encoding": "x", "end_of_text": 0}
    )
    return Work(networks(size), PROMPTS, 0, train, opened, options, out, config)


def lines(out: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in found]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def sampled(nets: Networks, options: PpoConfig, seed: int = 3) -> Episodes:
    prompts = [PROMPTS[n % 4] for n in range(options.batch)]
    return episodes_of(
        nets.policy, nets.reference, nets.value, nets.score, prompts, 0, seed, options
    )[0]


def test_at_the_first_minibatch_the_ratio_is_1_and_the_kl_0(tmp_path: Path) -> None:
    nets = networks(SMALL)
    episodes = sampled(nets, OPTIONS)
    assert episodes.kl() == 0
    assert episodes.log_ratio.abs().max() == 0
    part = episodes.rows(slice(0, 4))
    logs, _ = answer_log_probabilities(nets.policy, part.batch)
    assert torch.equal((logs - part.old).exp(), torch.ones_like(logs))
    # And not by accident: after an update neither holds.
    accumulate(nets, episodes.rows(slice(0, 8)), np.empty((0, 0), np.int64), OPTIONS)
    epochs.clipped_step(
        parameters := epochs.trained_parameters(nets.policy),
        epochs.optimizer_of(list(parameters.values())),
        1e-2,
    )
    logs, _ = answer_log_probabilities(nets.policy, part.batch)
    assert (logs - part.old).abs().max() > 1e-3
    assert sampled(nets, OPTIONS).kl() != 0


def gradients(model: torch.nn.Module) -> list[Tensor]:
    found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad(set_to_none=True)
    return found


def test_the_gradient_is_the_sum_of_the_two_parts_computed_apart(
    make_shards: MakeShards, tmp_path: Path
) -> None:
    one = work(tmp_path, OPTIONS, make_shards())
    nets = one.networks
    part = sampled(nets, OPTIONS).rows(slice(0, 8))
    rows = module._windows(one, 3, 8)
    assert rows.shape == (8, 17)
    accumulate(nets, part, rows, OPTIONS)
    both = gradients(nets.policy)
    nets.value.zero_grad(set_to_none=True)

    # The reward's part, with plain PyTorch and no parts of batches.
    batch, mask = part.batch, part.batch.mask()
    logs = nets.policy(batch.ids[:, :-1]).log_softmax(-1)
    chosen = logs.gather(2, batch.ids[:, 1:, None])[:, :, 0]
    ratio = (chosen - part.old).exp()
    surrogate = torch.minimum(ratio * part.advantage, ratio.clamp(0.8, 1.2) * part.advantage)
    (-surrogate[mask].mean()).backward()  # type: ignore[no-untyped-call]
    of_reward = gradients(nets.policy)
    # The pre-training part.
    text = torch.from_numpy(rows)
    loss = torch.nn.functional.cross_entropy(
        nets.policy(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten()
    )
    (2.0 * loss).backward()  # type: ignore[no-untyped-call]
    of_text = gradients(nets.policy)
    for found, first, second in zip(both, of_reward, of_text, strict=True):
        assert torch.allclose(found, first + second, atol=1e-6)
        assert not torch.allclose(found, second, atol=1e-6)
    largest = max(float(g.abs().max()) for g in of_reward)
    assert largest > 1e-3


def test_one_update_is_one_step_of_adam_on_both_parts(
    make_shards: MakeShards, tmp_path: Path
) -> None:
    one = work(tmp_path / "out", replace(OPTIONS, max_steps=1), make_shards())
    train_ppo(one)
    stored = checkpoint.steps(tmp_path / "out")[-1] / "optimizer.safetensors"
    moment = {"policy/norm.bias/step": torch.zeros(()), "value/last.weight/step": torch.zeros(())}
    checkpoint.load_parts(stored, moment)
    assert [int(x) for x in moment.values()] == [2, 2]  # one a minibatch
    assert checkpoint.read_state(stored.parent).window == 16


def test_the_windows_begin_again_when_the_shards_are_used_up(
    make_shards: MakeShards, tmp_path: Path
) -> None:
    one = work(tmp_path, OPTIONS, make_shards((100,)))
    assert one.pretrain is not None
    count = len(one.pretrain)
    assert count == 6
    found = module._windows(one, 4, 8)
    again = np.concatenate([one.pretrain.batch((4 + n) % 6, 1) for n in range(8)])
    assert np.array_equal(found, again)


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_a_bandit_converges_to_the_closed_form_of_the_kl_objective(
    tmp_path: Path, beta: float
) -> None:
    """Two answers of one token with known rewards: pi_SFT * exp(r / beta) / Z, to 2 %."""
    size = Size("bandit", 1, 8, 1, 8, 1e-2, context=4, band=4, vocabulary=2, attention=("dense",))
    policy = build(size, 0).eval()
    with torch.no_grad():
        policy.tokens.weight.mul_(10)
    rewards = torch.tensor([0.0, 0.6])
    prompt = (1, 0)
    sft = policy(torch.tensor([prompt]))[0, -1].softmax(-1).detach()
    wanted = sft * (rewards / beta).exp()
    wanted /= wanted.sum()

    def score(batch: Batch) -> Tensor:
        return rewards[batch.ids.gather(1, batch.prompt[:, None])[:, 0]]

    value = RewardModel(build(size, 1)).eval()
    nets = Networks(policy, copy.deepcopy(policy), value, copy.deepcopy(policy), score)
    options = PpoConfig(
        episodes=512 * 40,
        batch=512,
        minibatches=4,
        micro_batch=128,
        max_tokens=1,
        kl_weight=beta,
        pretrain_weight=0,
        learning_rate=4e-3,
        value_rate=1e-2,
        whiten=False,
        average=0.96,
        checkpoint_every=1000,
    )
    config = epochs.as_json(
        {"kind": "ppo", "size": asdict(size), "encoding": "x", "end_of_text": -1}
    )
    result = train_ppo(Work(nets, [prompt], -1, None, None, options, tmp_path, config))
    found = nets.averaged(torch.tensor([prompt]))[0, -1].softmax(-1).detach()
    assert (wanted - sft).abs().max() > 0.1  # far from where it began
    assert torch.allclose(found, wanted, rtol=0.02, atol=0)
    exact = float((wanted * (wanted / sft).log()).sum())
    assert result.kl == pytest.approx(exact, abs=0.06)  # of 512 samples


def test_a_reward_is_found_and_logged(make_shards: MakeShards, tmp_path: Path) -> None:
    options = replace(
        OPTIONS, episodes=16 * 24, pretrain_weight=0.1, learning_rate=1e-2, max_kl=1000.0
    )
    told: list[str] = []
    asked = replace(work(tmp_path / "out", options, make_shards()), tell=told.append)
    result = train_ppo(replace(asked, watch=lambda n, a: n + 0.5))
    log = lines(tmp_path / "out")
    assert told[0] == "step 0 of 24: sampling 16 answers"
    updates = [text for text in told if text.startswith("step 3 of 24: reward ")]
    assert len(updates) == 1 + options.minibatches
    assert "update 1 of" in updates[1]
    steps = [line for line in log if "policy_loss" in line]
    assert [line["step"] for line in steps] == list(range(1, 25))
    assert [line["episodes"] for line in steps[:2]] == [16, 32]
    assert steps[0]["kl"] == 0
    assert result.kl > 0.5
    assert (
        np.mean([s["reward"] for s in steps[-5:]]) > np.mean([s["reward"] for s in steps[:5]]) + 0.2
    )
    assert {line["watched"] for line in steps} == {2.0}
    assert [line["step"] for line in log if "validation" in line] == list(range(0, 25, 2))
    assert log[-1]["final"] is True
    assert log[-1]["kl"] == result.kl
    assert steps[0]["lr"] == pytest.approx(1e-3)
    assert steps[10]["lr"] == pytest.approx(1e-2)


@pytest.mark.parametrize("stops", [[1], [2], [1, 3]])
def test_a_resumed_run_is_bitwise_the_undisturbed_one(
    make_shards: MakeShards, tmp_path: Path, stops: list[int]
) -> None:
    shards = make_shards()
    whole = train_ppo(work(tmp_path / "whole", OPTIONS, shards))
    for stop in stops:
        train_ppo(work(tmp_path / "parts", replace(OPTIONS, max_steps=stop), shards))
    parts = train_ppo(work(tmp_path / "parts", OPTIONS, shards))
    assert files(whole.checkpoint) == files(parts.checkpoint)
    assert set(files(whole.checkpoint)) == {
        "model.safetensors",
        "optimizer.safetensors",
        "policy.safetensors",
        "state.json",
        "value.safetensors",
    }
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")
    assert whole.validation == parts.validation
    again = train_ppo(work(tmp_path / "parts", OPTIONS, shards))
    assert (again.step, again.reward, again.kl) == (4, whole.reward, whole.kl)
    assert files(whole.checkpoint) == files(again.checkpoint)


def exploding(out: Path) -> PpoResult:
    """A learning rate at which the KL is beyond all bounds after a few steps."""
    options = replace(
        OPTIONS,
        episodes=16 * 30,
        learning_rate=0.3,
        pretrain_weight=0,
        max_kl=3.0,
        checkpoint_every=1,
    )
    return train_ppo(work(out, options))


def test_a_kl_that_explodes_stops_the_run_at_its_step_with_a_good_checkpoint(
    tmp_path: Path,
) -> None:
    with pytest.raises(RunError, match=r"the KL .* nats an answer in step \d+") as caught:
        exploding(tmp_path)
    kept = checkpoint.steps(tmp_path)
    assert f"the last good checkpoint is {kept[-1]}" in str(caught.value)
    assert "\n" not in str(caught.value)
    said = int(str(caught.value).split("in step ")[1].split(",")[0])
    last = checkpoint.read_state(kept[-1]).step
    # Step `said` would begin with weights that are too far away; those before it were measured.
    assert said == last + 2
    nets = networks(SMALL)
    checkpoint.load_parts(kept[-1] / "policy.safetensors", dict(nets.policy.named_parameters()))
    assert sampled(nets, OPTIONS).kl() < 6


def test_weights_that_are_no_numbers_stop_the_run(tmp_path: Path) -> None:
    one = work(tmp_path, replace(OPTIONS, pretrain_weight=0))
    with torch.no_grad():
        one.networks.value.last.weight[0, 0] = torch.nan
    with pytest.raises(RunError, match="in step 1"):
        train_ppo(one)


KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
import torch
torch.set_num_threads(1)
import test_ppo as tests
from curation.gpt3.instruct import ppo
step = ppo._step
def slow(*arguments):
    time.sleep(0.05)
    return step(*arguments)
ppo._step = slow
ppo.train_ppo(tests.work(Path(sys.argv[2]), tests.replace(tests.OPTIONS, episodes=320), Path(sys.argv[3])))
"""


@pytest.mark.slow
def test_a_run_killed_in_the_middle_goes_on_as_if_nothing_happened(
    make_shards: MakeShards, tmp_path: Path
) -> None:
    shards, options = make_shards(), replace(OPTIONS, episodes=320)
    whole = train_ppo(work(tmp_path / "whole", options, shards))
    out = tmp_path / "parts"
    kills = 0
    for wanted in (2, 6, 12):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(out), str(shards)]
        )
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until:
            done = checkpoint.steps(out)
            if done and int(done[-1].name.split("-")[1]) >= wanted:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        kills += process.wait(120) == -signal.SIGKILL
    assert kills >= 2  # the last may have ended by itself
    parts = train_ppo(work(out, options, shards))
    assert files(whole.checkpoint) == files(parts.checkpoint)
    assert lines(tmp_path / "whole") == lines(out)


def test_networks_are_apart(tmp_path: Path) -> None:
    """Training moves policy, value and average, never the reference."""
    one = work(tmp_path, replace(OPTIONS, pretrain_weight=0))
    before = build(SMALL, 0)
    train_ppo(one)

    def same(a: GPT3, b: GPT3) -> bool:
        return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))

    assert same(one.networks.reference, before)
    assert not same(one.networks.policy, before)
    assert not same(one.networks.averaged, before)
    assert not same(one.networks.averaged, one.networks.policy)
    far = (one.networks.policy.norm.bias - before.norm.bias).abs().max()
    near = (one.networks.averaged.norm.bias - before.norm.bias).abs().max()
    assert near < far
