"""Two and four processes over gloo: the losses of one, and checkpoints that any of them goes on from.

One fresh interpreter imports torch once and forks the processes of every case: importing is what costs.
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

from curation.errors import InputError
from curation.gpt3 import checkpoint
from curation.gpt3.sizes import Size
from curation.gpt3.train import Options, train

MakeShards = Callable[..., Path]
OPTIONS = Options(tokens=1024, max_steps=5, checkpoint_every=2, validate_every=2, micro_batch=1)
CASES: list[tuple[str, int, dict[str, Any]]] = [  # folder, processes, options
    ("ddp2", 2, {}),
    ("ddp4", 4, {}),
    ("fsdp2", 2, {"fsdp": True}),
    ("tensor2", 2, {"tensor_parallel": 2}),
    ("both4", 4, {"tensor_parallel": 2, "fsdp": True}),
    ("resumed", 2, {"fsdp": True}),
]
PROCESSES = """
import json, os, sys
from pathlib import Path
import torch, torch.multiprocessing
from curation.gpt3.sizes import Size
from curation.gpt3.train import Options, train

def work(rank, case, world, options):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1",
                      MASTER_PORT=sys.argv[1])
    torch.set_num_threads(1)
    result = train(Path(shards), Path(out, case), size, Options(**options))
    assert result.first_rank == (rank == 0)

shards, out, size, cases = json.loads(sys.argv[2])
size = Size(**{**size, "attention": tuple(size["attention"])})
for case, world, options in cases:
    torch.multiprocessing.start_processes(work, (case, world, options), nprocs=world, start_method="fork")
"""


def numbers(out: Path) -> list[float]:
    """Losses, gradient norms and validation of a run's log."""
    found: list[float] = []
    for line in map(json.loads, (out / "log.jsonl").read_text().splitlines()):
        found += (line["loss"], line["grad_norm"]) if "loss" in line else line["validation"].values()
    return found


def test_more_processes_give_the_losses_of_one(make_shards: MakeShards, size: Size, tmp_path: Path) -> None:
    shards = make_shards()
    wide = replace(size, batch_tokens=112, heads=4)  # 7 windows: uneven shares, and an empty one of four
    train(shards, tmp_path / "one", wide, OPTIONS)
    train(shards, tmp_path / "resumed", wide, replace(OPTIONS, max_steps=2))  # begun by one process, ended by two
    given = {key: value for key, value in asdict(OPTIONS).items() if value is not None}
    cases = [(name, world, {**given, **options}) for name, world, options in CASES]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = json.dumps([str(shards), str(tmp_path), asdict(wide), cases])
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES, str(port), text], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = numbers(tmp_path / "one")
    assert len(expected) == 5 * 2 + 3
    for name, _, _ in CASES:
        assert numbers(tmp_path / name) == pytest.approx(expected, rel=2e-4), name
        last = checkpoint.steps(tmp_path / name)[-1]
        model, one = (checkpoint.load_model(path, wide) for path in (last, tmp_path / "one/step-0000005"))
        for found, wanted in zip(model.parameters(), one.parameters(), strict=True):
            assert found.detach().flatten().tolist() == pytest.approx(wanted.detach().flatten().tolist(), abs=2e-3)
    train(shards, tmp_path / "both4", wide, replace(OPTIONS, max_steps=8))  # and the other way round
    train(shards, tmp_path / "one", wide, replace(OPTIONS, max_steps=8))
    assert numbers(tmp_path / "both4") == pytest.approx(numbers(tmp_path / "one"), rel=1e-3)


def test_heads_that_cannot_be_shared_out_are_refused(make_shards: MakeShards, size: Size, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tensor parallel 2 must divide the number of processes \(1; torchrun"):
        train(make_shards(), tmp_path / "out", size, replace(OPTIONS, tensor_parallel=2))
