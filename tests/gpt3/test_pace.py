from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from curation.errors import RunError
from curation.gpt3 import checkpoint, pace
from curation.gpt3 import train as module
from curation.gpt3.display import losses
from curation.gpt3.options import Options
from curation.gpt3.schedule import Schedule, batch_windows, learning_rate, schedule_for
from curation.gpt3.sizes import SIZES, Size
from curation.gpt3.train import train

MakeShards = Callable[..., Path]
SIZE = replace(SIZES["tiny"], batch_tokens=1024)


def rates(options: Options, first: int, speed: float, limit: int = 10**9) -> list[float]:
    """The learning rate of each step of a run of so many tokens a second."""
    this = pace.Pace(options, SIZE, pace.SECONDS, first, limit)
    whole = schedule_for(SIZE, limit)
    tokens, seconds, found = first, 0.0, []
    assert options.seconds is not None
    while seconds < options.seconds and tokens < limit:
        schedule = this.schedule(whole, tokens, seconds)
        tokens += batch_windows(schedule, tokens) * SIZE.context
        found.append(learning_rate(schedule, tokens))
        seconds += 1024 / speed
    return found


@pytest.mark.parametrize("seconds", [10.0, 60.0, 600.0])
@pytest.mark.parametrize("speed", [5_000.0, 50_000.0])
def test_the_learning_rate_ends_when_the_time_does(seconds: float, speed: float) -> None:
    found = rates(Options(seconds=seconds), 0, speed)
    peak = SIZE.learning_rate
    assert 0 < found[0] < 0.2 * peak
    assert max(found) == pytest.approx(peak, rel=0.03)
    assert found.index(max(found)) <= max(3, 0.06 * len(found))
    assert found[-1] == pytest.approx(0.1 * peak, rel=0.05)
    middle = found[len(found) // 2]
    assert 0.4 * peak < middle < 0.75 * peak
    falling = found[found.index(max(found)) :]
    assert all(a >= b for a, b in itertools.pairwise(falling))


def test_a_second_run_goes_on_as_half_of_twice_the_tokens() -> None:
    first = rates(Options(seconds=60), 0, 10_000.0)
    seen = len(first) * 1024
    second = rates(Options(seconds=60), seen, 10_000.0)[5:]
    whole = [learning_rate(schedule_for(SIZE, 2 * seen), seen + 1024 * i) for i in range(600)]
    assert second[0] == pytest.approx(whole[5], rel=0.1)
    assert second[0] < 0.75 * SIZE.learning_rate
    assert second[-1] == pytest.approx(0.1 * SIZE.learning_rate, rel=0.05)


def test_where_the_tokens_end_first_the_schedule_ends_with_them() -> None:
    found = rates(Options(seconds=10**6), 0, 10_000.0, limit=200 * 1024)
    assert len(found) == 200
    assert found[-1] == pytest.approx(0.1 * SIZE.learning_rate, rel=1e-6)


def test_with_tokens_the_schedule_is_that_of_the_tokens() -> None:
    whole = schedule_for(SIZE, 10**6)
    this = pace.Pace(Options(seconds=5, tokens=10**6), SIZE, pace.TOKENS, 0, 10**6)
    assert this.schedule(whole, 1024, 2.5) is whole


def test_the_share_done_is_that_of_what_ends_first() -> None:
    this = pace.Pace(Options(seconds=100, max_steps=40), SIZE, pace.SECONDS, 0, 1000)
    assert this.share(0, 0, 0.0) == 0
    assert this.share(10, 100, 30.0) == 0.3
    assert this.share(30, 100, 30.0) == 0.75
    assert this.share(30, 900, 200.0) == 1.0


def test_given_parts_of_the_schedule_stay() -> None:
    plan = pace.paced(SIZE, 10_000, Options(warmup_tokens=500, decay_tokens=900, learning_rate=0.5))
    assert (plan.warmup_tokens, plan.decay_tokens, plan.learning_rate) == (500, 900, 0.5)
    longer = pace.paced(SIZE, 1_000, Options(warmup_tokens=5_000))
    assert longer.warmup_tokens == longer.decay_tokens == 866
    assert isinstance(longer, Schedule)


# ---- a run


def test_the_clock_is_followed_only_by_runs_that_began_so(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    shards, out = make_shards(), tmp_path / "clock"
    clock = Options(seconds=600, max_steps=3)
    train(shards, out, size, clock)
    assert checkpoint.read_state(checkpoint.steps(out)[-1]).config["follows"] == "seconds"
    for other in (Options(max_steps=5), Options(tokens=320, seconds=60)):
        with pytest.raises(RunError, match="follows the clock, so it needs `seconds`"):
            train(shards, out, size, other)
    assert train(shards, out, size, replace(clock, seconds=50, max_steps=5)).step == 5
    plain = tmp_path / "plain"
    train(shards, plain, size, Options(max_steps=3))
    train(shards, plain, size, replace(clock, max_steps=5))
    whole = train(shards, tmp_path / "whole", size, Options(max_steps=5))
    assert losses(plain / "log.jsonl") == losses(tmp_path / "whole/log.jsonl")
    assert whole.step == 5


STOPPED = """
import sys, time
from dataclasses import replace
import torch
torch.set_num_threads(1)
from curation.cli import main
from curation.gpt3 import train as module
from curation.gpt3.sizes import SIZES
SIZES["tiny"] = replace(SIZES["tiny"], layers=1, width=32, context=64, batch_tokens=256, band=16)
step = module._step
def slow(*arguments):
    if HANG:
        print("in a step", flush=True)
        time.sleep(60)
    found = step(*arguments)
    print("step", found[0].step, flush=True)
    time.sleep(0.05)
    return found
module._step = slow
main(sys.argv[1:])
"""


def stopped(
    shards: Path, out: Path, signals: list[int], hang: bool, until: str
) -> tuple[int, str, str]:
    """The exit code and the words of a command that gets signals after it printed `until`."""
    code = STOPPED.replace("HANG", str(hang))
    arguments = ["train", str(shards), "--out", str(out), "--size", "tiny", "--tokens", "51200"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if line.strip() == until:
            break
    for number in signals:
        process.send_signal(number)
        time.sleep(1.0)
    rest, errors = process.communicate(timeout=120)
    return process.returncode, seen + rest, errors


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_run_that_is_asked_to_stop_saves_its_step_and_says_so(
    make_shards: MakeShards, tmp_path: Path, number: int
) -> None:
    shards, out = make_shards((60_000,)), tmp_path / "out"
    code, said, errors = stopped(shards, out, [number], False, "step 2")
    assert code == 128 + number, errors
    (saved,) = checkpoint.steps(out)
    step = checkpoint.read_state(saved).step
    assert step >= 2
    assert f"Stopped early: step {step} is saved. The same command goes on from it." in said
    assert "Stopping after this step" in errors
    assert len(losses(out / "log.jsonl")) == step
    assert "Traceback" not in errors


def test_who_stops_at_once_is_told_what_is_kept(make_shards: MakeShards, tmp_path: Path) -> None:
    out = tmp_path / "out"
    both = [signal.SIGINT, signal.SIGINT]
    code, _, errors = stopped(make_shards((60_000,)), out, both, True, "in a step")
    assert code == 130
    assert "No checkpoint was saved yet" in errors
    assert not checkpoint.steps(out)


def test_signals_have_their_handlers_back(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(make_shards(), tmp_path / "out", size, module.Options(max_steps=2))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
