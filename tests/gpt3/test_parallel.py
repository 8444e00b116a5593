"""Two and four processes over gloo: the losses of one, and checkpoints that any of them goes on
from.

One fresh interpreter imports torch once and forks the processes of every case: importing is what
costs.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from curation.errors import InputError
from curation.gpt3 import checkpoint
from curation.gpt3.data import open_shards, windows
from curation.gpt3.model import build
from curation.gpt3.parallel import ONE
from curation.gpt3.sizes import Size
from curation.gpt3.train import Options, train
from curation.gpt3.update import gradient, learner

MakeShards = Callable[..., Path]
OPTIONS = Options(tokens=1024, max_steps=3, checkpoint_every=2, validate_every=2, micro_batch=1)
CASES: list[tuple[str, int, dict[str, Any]]] = [  # folder, processes, options
    ("ddp4", 4, {}),
    ("fsdp2", 2, {"fsdp": True}),
    ("tensor2", 2, {"tensor_parallel": 2}),
    ("both4", 4, {"tensor_parallel": 2, "fsdp": True}),
    ("stages4", 4, {"pipeline_parallel": 4, "micro_batch": 2}),
    ("stages2-data2", 4, {"pipeline_parallel": 2, "micro_batch": 2}),
    ("stages2-tensor2", 4, {"pipeline_parallel": 2, "tensor_parallel": 2}),
]
FEW = [case for case in CASES if case[0] in ("ddp4", "fsdp2", "stages2-tensor2")]
ALL = [("all8", 8, {"pipeline_parallel": 2, "tensor_parallel": 2})]
PROCESSES = """
import json, os, sys
from pathlib import Path
import torch, torch._dynamo, torch.multiprocessing  # the compiler too: every optimiser imports it
from curation.gpt3.sizes import Size
from curation.gpt3.data import open_shards, windows
from curation.gpt3.model import build
from curation.gpt3.parallel import ranks
from curation.gpt3.train import Options, train
from curation.gpt3.update import gradient, learner
from curation.kernels import bpe

def work(rank):
    torch.set_num_threads(1)
    for (case, world, options), port in zip(cases, ports):
        if rank < world:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world),
                              MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
            result = train(Path(shards), Path(out, case), size, Options(**options))
            assert result.first_rank == (rank == 0)
            if case == "ddp4":
                measure_noise()

def measure_noise():
    os.environ["MASTER_PORT"] = str(ports[-1])
    shares = windows(open_shards(Path(shards)), ("train-00000",), size.context, 0)
    with ranks(None, size, 1, False) as here:
        found = gradient(learner(build(size, 0), here, torch.float32, 1, False), shares, 0, 8)
        if here.first:
            measured = [found.small, found.small_norm, found.norm]
            Path(out, "noise.json").write_text(json.dumps(measured))

shards, out, size, cases, ports = json.loads(sys.argv[1])
size = Size(**{**size, "attention": tuple(size["attention"])})
bpe.encoding("gpt2")
torch.multiprocessing.start_processes(work, nprocs=max(world for _, world, _ in cases), start_method="fork")
"""


def numbers(out: Path) -> list[float]:
    """Losses and gradient norms of a run's log, and its last validation."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line[key] for line in lines if "loss" in line for key in ("loss", "grad_norm")] + [
        *lines[-1]["validation"].values()
    ]


def check_noise(shards: Path, size: Size, found: list[float]) -> None:
    """What four ranks noted of their own gradients is what one process finds for their four shares
    of eight windows.
    """
    train_windows = windows(open_shards(shards), ("train-00000",), size.context, 0)
    this = learner(build(size, 0), ONE, torch.float32, 1, False)
    squares = []
    for share in range(4):
        squares.append(gradient(this, train_windows, 2 * share, 2).norm ** 2)
        this.optimizer.zero_grad()
    whole = gradient(this, train_windows, 0, 8)
    assert found == pytest.approx([2, (sum(squares) / 4) ** 0.5, whole.norm], rel=1e-4)
    this.optimizer.zero_grad()
    first = gradient(this, train_windows, 0, 1)
    assert (whole.small, whole.small_norm) == (1, pytest.approx(first.norm, rel=1e-4))


def run(cases: list[tuple[str, int, dict[str, Any]]], shards: Path, size: Size, out: Path) -> None:
    """Train once for each case, in its processes, and hold the result equal to that of one."""
    train(shards, out / "one", size, OPTIONS)
    given = {key: value for key, value in asdict(OPTIONS).items() if value is not None}
    cases = [(name, world, {**given, **options}) for name, world, options in cases]
    free = [socket.socket() for _ in range(len(cases) + 1)]
    for one in free:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in free]
    for one in free:
        one.close()
    text = json.dumps([str(shards), str(out), asdict(size), cases, ports])
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES, text],
        capture_output=True,
        text=True,
        timeout=900,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = numbers(out / "one")
    assert len(expected) == 3 * 2 + 1
    one = checkpoint.load_model(out / "one/step-0000003", size)
    for name, _, _ in cases:
        assert numbers(out / name) == pytest.approx(expected, rel=2e-4), name
        model = checkpoint.load_model(checkpoint.steps(out / name)[-1], size)
        for found, wanted in zip(model.parameters(), one.parameters(), strict=True):
            assert found.detach().flatten().tolist() == pytest.approx(
                wanted.detach().flatten().tolist(), abs=2e-3
            )
    # One process goes on from what many left.
    train(shards, out / "one", size, replace(OPTIONS, max_steps=5))
    for name in ("both4", "stages2-data2", "all8"):
        if (out / name).exists():
            train(shards, out / name, size, replace(OPTIONS, max_steps=5))
            assert numbers(out / name) == pytest.approx(numbers(out / "one"), rel=1e-3), name


@pytest.fixture
def wide(size: Size) -> Size:
    """A batch of 7 windows: uneven shares, and an empty one of four."""
    return replace(size, batch_tokens=112, heads=4, layers=4)


@pytest.mark.parametrize("cases", [FEW, pytest.param(CASES, marks=pytest.mark.slow)])
def test_more_processes_give_the_losses_of_one(
    make_shards: MakeShards,
    wide: Size,
    tmp_path: Path,
    cases: list[tuple[str, int, dict[str, Any]]],
) -> None:
    shards = make_shards()
    # Begun by one process, ended by two and by four.
    for name in {"fsdp2", "stages4"} & {name for name, _, _ in cases}:
        train(shards, tmp_path / name, wide, replace(OPTIONS, max_steps=1))
    run(cases, shards, wide, tmp_path)
    check_noise(shards, wide, json.loads((tmp_path / "noise.json").read_text()))
    check_damage(tmp_path / "stages2-tensor2", wide)


@pytest.mark.slow
def test_stages_shares_and_matrices_at_once(
    make_shards: MakeShards, wide: Size, tmp_path: Path
) -> None:
    run(ALL, make_shards(), wide, tmp_path)


def check_damage(out: Path, size: Size) -> None:
    """A checkpoint of many processes without one of its files, or with a file cut short, is
    refused.
    """
    last = checkpoint.steps(out)[-1]
    assert not [
        path for path in last.rglob("*") if path.suffix not in ("", ".json", ".safetensors")
    ]
    file = sorted((last / "model").iterdir())[1]
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cannot be read .*; remove .*step-0000003 to go on from"):
        checkpoint.load_model(last, size)
    file.unlink()
    with pytest.raises(InputError, match=r"numbers of .*a file of it is missing|of shape"):
        checkpoint.load_model(last, size)


def test_heads_that_cannot_be_shared_out_are_refused(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=r"tensor parallel 2 must divide the number of processes \(1; torchrun"
    ):
        train(make_shards(), tmp_path / "out", size, replace(OPTIONS, tensor_parallel=2))


def test_stages_that_cannot_be_filled_are_refused(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=r"pipeline parallel 3 times tensor parallel 1 must divide"
    ):
        train(make_shards(), tmp_path / "out", size, replace(OPTIONS, pipeline_parallel=3))
