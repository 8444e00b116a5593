"""What a run tells while it goes: `log.jsonl`, optional TensorBoard events, a progress line, the
speed.

One line of JSON a step and one a validation; only the first rank writes. MFU (model operations
utilisation, Chowdhery et al. 2022, appendix B) is the operations the model needs
(`plan.flops_per_token`) over what the device could do at best: the data sheet's figure for the GPUs
named here, a matrix product measured on the spot for others and for CPUs.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from curation.errors import MissingExtra

# Dense, 16 bits.
PEAK_TFLOPS = {
    "B200": 2250.0,
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "V100": 125.0,
}


Tell = Callable[[str], None]  # receives one line that says how far a training is


def untold(text: str) -> None:
    """For who does not want to know."""


class Pace:
    """Says how far a training is, and about how long it takes to its last step."""

    def __init__(self, tell: Tell, step: int, last: int) -> None:
        self._tell, self._first, self._last = tell, step, last
        self._began = time.monotonic()

    def __call__(self, step: int, doing: str) -> None:
        """Tell what is done in, or was the result of, a step; `step` of them have ended."""
        ended, text = step - self._first, f"step {step} of {self._last}: {doing}"
        if ended and step < self._last:
            left = (time.monotonic() - self._began) / ended * (self._last - step)
            text += (
                f", about {left:.0f} s left" if left < 100 else f", about {left / 60:.0f} min left"
            )
        self._tell(text)


class Log:
    """The log of a run in `out`, opened to go on after `step`; a rank that is not `first` writes
    nothing.

    Lines of later steps and a line cut short by a kill are dropped: a resumed run writes them anew.
    Use as a context.
    """

    def __init__(self, out: Path, step: int, first: bool, tensorboard: bool) -> None:
        self.path = out / "log.jsonl" if first else Path(os.devnull)
        if first:
            lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
            kept = [
                line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step
            ]
            temporary = out / f".log.jsonl.{os.getpid()}"
            temporary.write_text("".join(kept))
            temporary.replace(self.path)
        self.events = event_writer(out / "tensorboard", step) if tensorboard and first else None
        self.file: TextIO = self.path.open("a", buffering=1)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        if self.events is not None:
            self.events.close()

    def write(self, line: dict[str, Any]) -> None:
        """Append `line`, which has a `step`; its numbers also go to TensorBoard, a dictionary's as
        KEY/NAME."""
        self.file.write(json.dumps(line) + "\n")
        if self.events is not None:
            for key, value in line.items():
                pairs = value.items() if isinstance(value, dict) else [(None, value)]
                for name, number in pairs:
                    if isinstance(number, int | float) and key != "step":
                        self.events.add_scalar(
                            f"{key}/{name}" if name else key, number, line["step"]
                        )


def event_writer(folder: Path, step: int) -> Any:
    """torch's TensorBoard writer, which hides the events of an earlier process after `step`."""
    if find_spec("tensorboard") is None:
        raise MissingExtra("curation train --tensorboard", "tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1)


@functools.cache
def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second that one device can do at best: known by name, else measured (0.1 s)."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        known = [peak for part, peak in PEAK_TFLOPS.items() if part in name]
        if known:
            return known[0] * 1e12
    width = 8192 if device.type == "cuda" else 768  # a GPU is not filled by less
    a = torch.randn(width, width, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        (a @ a).sum().item()
        best = min(best, time.perf_counter() - started)
    return float(2 * width**3 / best)


def shown_of(line: dict[str, Any], on_gpu: bool) -> str:
    """What the progress line shows of a step's line in the log; MFU of GPUs only, since the best of
    a CPU is measured while it does other work.

    >>> shown_of({"loss": 7.6, "tokens_per_s": 2218.4, "mfu": 0.031}, True)
    'loss 7.600  2,218 tokens/s  MFU 3 %'
    """
    share = f"  MFU {100 * line['mfu']:.0f} %" if on_gpu else ""
    return f"loss {line['loss']:.3f}  {line['tokens_per_s']:,.0f} tokens/s{share}"


def progress(shown: bool) -> Progress:
    """The progress line on standard error: step, loss, tokens a second, time left."""
    return Progress(
        TextColumn("step {task.fields[step]}"),
        BarColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True, quiet=not shown),
        disable=not shown,
    )
