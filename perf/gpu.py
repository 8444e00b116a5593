"""The trainer on one GPU, in under seven minutes: right, equal to the CPU, fast, and from end to end.

    python -m perf.gpu [--limit 400]                   # on a GPU
    python -m perf.gpu --device cpu --tiny             # the same parts in tiny shapes, in a minute

(a) Every attention kernel, forward and backward, in float32 and bfloat16 against the naive
    reference in double precision.
(b) Losses of a model on the CPU and here, and of a few training steps.
(c) Tokens a second, share of the peak (`mfu` of the log) and memory, dense and banded, eager and
    compiled, beside a nanoGPT-like model compiled by torch in the same run, with its vocabulary
    padded to 50,304 and not.
(d) `curation train` for a minute and `curation generate`.

Each line begins with the seconds since the start. What no longer fits into `--limit` is skipped and
said; the rows of (c) stand in the order of what they are worth, and (c) of the larger size comes
last, since it compiles longest. Ends with exit code 1 where (a), (b) or (d) failed.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
import torch
from torch import Tensor

from curation.gpt3.attention import attention, masked_attention, naive_attention
from curation.gpt3.log import peak_flops
from curation.gpt3.model import GPT3, build, empty
from curation.gpt3.parallel import ONE
from curation.gpt3.plan import flops_per_token
from curation.gpt3.sizes import Pattern, Size, size_named
from curation.gpt3.update import (
    BETAS,
    CLIP_NORM,
    EPSILON,
    apply,
    gradient,
    learner,
    pass_windows,
)
from perf.train import Plain

ALLOWED = {torch.float32: 1e-4, torch.bfloat16: 2e-2}  # relative, of results and gradients
LOSS_ALLOWED = {torch.float32: 1e-4, torch.bfloat16: 1e-2}
PASSES = 4  # of one timed step: weights are cast and gradients added up as in training
TINY = Size("125M", 2, 64, 4, 256, 1e-3, context=64, band=16, stride=8, vocabulary=509)


@dataclass
class Report:
    """Lines with the time since the start, and what failed."""

    device: torch.device
    limit_s: float
    tiny: bool
    started: float = field(default_factory=time.monotonic)
    failed: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.started:6.1f}] {text}", flush=True)

    def check(self, name: str, error: float, allowed: float) -> None:
        right = error <= allowed  # not for a NaN
        self.say(f"{'ok  ' if right else 'FAIL'} {name}: relative error {error:.2e}")
        if not right:
            self.failed.append(name)

    def left(self, seconds: float) -> bool:
        """Whether a part that takes so many seconds still fits."""
        return time.monotonic() - self.started + (0 if self.tiny else seconds) < self.limit_s

    def size(self, name: str) -> Size:
        return TINY if self.tiny else size_named(name)


def fresh() -> None:
    """Forget compiled code and free memory: each part is measured alone."""
    torch._dynamo.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# ---- (a) kernels ---------------------------------------------------------------------------------


def check_kernels(report: Report) -> None:
    lengths = (33, 64) if report.tiny else (1000, 2048)
    band, stride = (16, 6) if report.tiny else (256, 96)
    for dtype in ALLOWED:
        for pattern in get_args(Pattern):
            fresh()
            for length in lengths:
                check_kernel(report, dtype, pattern, (length, band, stride))


def check_kernel(
    report: Report, dtype: torch.dtype, pattern: Pattern, shape: tuple[int, int, int]
) -> None:
    """One kernel against the reference in double precision, on the numbers as `dtype` has them."""
    length, band, stride = shape
    generator = torch.Generator().manual_seed(length)
    values = [torch.randn(2, 4, length, 64, generator=generator) for _ in range(4)]
    *inputs, weights = (x.to(report.device, dtype) for x in values)
    ours = [x.detach().requires_grad_() for x in inputs]
    exact = [x.detach().double().requires_grad_() for x in inputs]
    y = attention(*ours, pattern, band, stride)
    reference = naive_attention(*exact, pattern, band, stride)
    (y * weights).sum().backward()
    (reference * weights.double()).sum().backward()
    with torch.no_grad():
        read = masked_attention(*ours, pattern, band, stride)
    found = {"forward": (y, reference), "without gradient": (read, reference)}
    for name, one, other in zip("qkv", ours, exact, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        found[f"gradient of {name}"] = (one.grad, other.grad)
    errors = {name: relative(*pair) for name, pair in found.items()}
    worst = max(errors, key=lambda name: errors[name])
    name = f"attention {pattern} {str(dtype)[6:]} length {length} (worst: {worst})"
    report.check(name, errors[worst], ALLOWED[dtype])


def relative(found: Tensor, expected: Tensor) -> float:
    return float(((found.double() - expected).norm() / expected.norm()).detach())


# ---- (b) losses ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class RandomWindows:
    """Stands in for `data.Windows`: drawn tokens, the same for the same position."""

    size: Size
    seed: int | None = None

    def batch(self, position: int, count: int) -> Any:
        generator = np.random.default_rng(position)
        return generator.integers(0, self.size.vocabulary, (count, self.size.context + 1))


def check_losses(report: Report) -> None:
    size = report.size("125M")
    windows: Any = RandomWindows(size)
    batch = torch.from_numpy(windows.batch(0, 1))
    model = build(size, 0)
    with torch.no_grad():
        expected = float(model.loss(batch))
        model.to(report.device)
        for dtype, allowed in LOSS_ALLOWED.items():
            with torch.autocast(report.device.type, dtype, enabled=dtype != torch.float32):
                loss = float(model.loss(batch.to(report.device)))
            name = f"loss {str(dtype)[6:]} {loss:.5f}, on the CPU {expected:.5f}"
            report.check(name, abs(loss - expected) / expected, allowed)
    del model
    small = replace(size_named("tiny"), layers=2, vocabulary=1000)
    of_cpu, here = (steps_of(small, device) for device in (torch.device("cpu"), report.device))
    worst = max(abs(a - b) / b for a, b in zip(here, of_cpu, strict=True))
    report.check(f"losses and norms of {len(here) // 2} training steps, float32", worst, 2e-3)


def steps_of(size: Size, device: torch.device) -> list[float]:
    """Losses and gradient norms of three training steps in 32 bits."""
    on = replace(ONE, device=device)
    this = learner(build(size, 0, str(device)), on, torch.float32, 2, False)
    windows: Any = RandomWindows(size)
    numbers: list[float] = []
    for step in range(3):
        found = gradient(this, windows, 4 * step, 4)
        apply(this, found, 1e-3)
        numbers += [found.loss, found.norm]
    return numbers


# ---- (c) speed -----------------------------------------------------------------------------------


def plain_step(size: Size, micro: int, device: torch.device) -> Callable[[], None]:
    """A step of the nanoGPT-like model, compiled whole."""
    torch.manual_seed(0)
    with device:  # drawn there: a billion numbers take the CPU half a minute
        model = Plain(size)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=1e-4,
        betas=BETAS,
        eps=EPSILON,
        weight_decay=size.weight_decay,
        fused=True,
    )
    net: Any = torch.compile(model, backend=backend(device))
    windows = RandomWindows(replace(size, vocabulary=size.vocabulary // 128 * 128))

    def step() -> None:
        for number in range(PASSES):
            batch = torch.from_numpy(windows.batch(number, micro)).to(device)
            with torch.autocast(device.type, torch.bfloat16):
                loss = net(batch[:, :-1], batch[:, 1:])
            (loss / PASSES).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def our_step(size: Size, micro: int, device: torch.device, compiled: bool) -> Callable[[], None]:
    """A step as `curation train` makes it."""
    on = replace(ONE, device=device)
    in_gpu = compiled and device.type == "cuda"
    this = learner(drawn(size, device), on, torch.bfloat16, micro, in_gpu)
    if compiled and not in_gpu:
        for block in this.model.blocks:
            block.compile(backend=backend(device))
    windows: Any = RandomWindows(size)
    return lambda: apply(this, gradient(this, windows, 0, PASSES * micro), 1e-4)


def drawn(size: Size, device: torch.device) -> GPT3:
    """A model whose values are drawn on the device, which is all that speed asks for."""
    model = empty(size).to_empty(device=device)
    with torch.no_grad():
        for name, value in model.named_parameters():
            is_gain = "norm" in name and name.endswith("weight")
            value.normal_(std=0.02) if value.dim() >= 2 else value.fill_(float(is_gain))
    return model


def backend(device: torch.device) -> str:
    """On a CPU, where only the parts are proved to work, nothing is compiled to machine code."""
    return "inductor" if device.type == "cuda" else "aot_eager"


def measure(report: Report, name: str, size: Size, micro: int, make: Callable[[], Any]) -> None:
    """One row of the table."""
    on_gpu = report.device.type == "cuda"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    fresh()
    try:
        step = make()
        for _ in range(2):
            step()
        wait()
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        steps = 1 if report.tiny else 8
        started = time.perf_counter()
        for _ in range(steps):
            step()
        wait()
    except torch.cuda.OutOfMemoryError:
        report.say(f"{name}: out of memory")
        return
    rate = steps * PASSES * micro * size.context / (time.perf_counter() - started)
    share = rate * flops_per_token(size) / peak_flops(report.device, torch.bfloat16)
    memory = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else 0.0
    report.say(f"{name:<52} {rate:>10,.0f} tokens/s  {share:6.1%} of peak  {memory:5.1f} GiB")


def measure_size(report: Report, name: str, plain_s: float, ours_s: float) -> None:
    """The rows of a size, those worth most first; `plain_s` and `ours_s` are what a row takes at
    most, compiling included. Both sides take as many windows in a pass as `curation train` does.
    """
    size, device = report.size(name), report.device
    micro = pass_windows(size, replace(ONE, device=device), 10**6)
    kinds = {
        "dense": replace(size, attention=("dense",)),
        "dense,banded": replace(size, attention=("dense", "banded")),
        "dense,sparse": replace(size, attention=("dense", "sparse"), stride=size.stride or 128),
    }
    padded, unpadded = (512, 509) if report.tiny else (50304, 50257)

    def row(text: str, one: Size, seconds: float, make: Callable[[], Any]) -> None:
        if report.left(seconds):
            measure(report, f"{name} {text}, {micro} windows", one, micro, make)
        else:
            report.say(f"{name} {text}: skipped, no time left")

    def plain(vocabulary: int) -> None:
        whole, text = replace(kinds["dense"], vocabulary=vocabulary), "nanoGPT-like, compiled"
        make = lambda: plain_step(whole, micro, device)  # noqa: E731
        row(f"{text}, vocabulary {vocabulary}", kinds["dense"], plain_s, make)

    def ours(kind: str, compiled: bool) -> None:
        text, one = f"ours, {kind}, {'compiled' if compiled else 'eager'}", kinds[kind]
        row(text, one, ours_s, lambda: our_step(one, micro, device, compiled))

    ours("dense", True)
    ours("dense,banded", True)
    plain(padded)
    ours("dense", False)
    ours("dense,banded", False)
    plain(unpadded)
    ours("dense,sparse", True)
    ours("dense,sparse", False)


# ---- (d) from end to end -------------------------------------------------------------------------


def train_and_generate(report: Report, folder: Path) -> None:
    """The commands, on shards of this project's own text, repeated."""
    seconds, tokens = (6, 40_000) if report.tiny else (60, 20_000_000)
    shards = write_shards(folder / "shards", tokens + 4096)
    name, model = ("tiny" if report.tiny else "125M"), str(folder / "model")
    train = ["train", str(shards), "--size", name, "--out", model, "--seconds", str(seconds)]
    # The schedule follows the tokens, for compiling takes part of the minute. The batch is still
    # growing when they are read: more steps, of 32,768 tokens to a quarter of a million.
    train += ["--tokens", str(tokens), "--ramp-tokens", str(2 * tokens)]
    train += ["--device", report.device.type, "--warmup-tokens", str(tokens // 40)]
    train += ["--compile"] if report.device.type == "cuda" else []
    prompt = ["--prompt", "The trainer", "--preset", "story", "--device", report.device.type]
    for command in (train, ["generate", model, "--max-tokens", "60", *prompt]):
        # Ended where it hangs, so that what was measured before it is told.
        whole = ["timeout", "-s", "INT", "200", sys.executable, "-m", "curation", *command]
        done = subprocess.run(whole, capture_output=True, text=True, check=False)
        report.say(f"curation {command[0]}: exit code {done.returncode}\n{done.stdout.strip()}")
        if done.returncode:
            report.failed.append(f"curation {command[0]}")
            report.say(done.stderr[-2000:])
            return
    lines = [json.loads(line) for line in (Path(model) / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    first, last, later = steps[0], steps[-1], steps[len(steps) // 2 :]
    later.sort(key=lambda line: line["mfu"])
    middle = later[len(later) // 2]
    report.say(
        f"{last['step']} steps, {last['tokens']:,} tokens: loss {first['loss']:.3f} to "
        f"{last['loss']:.3f}; middle step of the later half: {middle['batch_tokens']:,} tokens, "
        f"{middle['tokens_per_s']:,.0f} tokens/s, mfu {middle['mfu']:.1%}"
    )


def write_shards(folder: Path, tokens: int) -> Path:
    """Token shards of the project's own pages, as often as `tokens` need."""
    from curation.kernels import bpe

    root = Path(__file__).parents[1]
    text = "\n".join(path.read_text() for path in sorted(root.glob("*.md")))
    ids = np.array(bpe.encoding("gpt2").encode_ordinary(text), "<u2")
    folder.mkdir()
    np.resize(ids, tokens).tofile(folder / "train-00000.bin")
    ids[-2100:].tofile(folder / "validation-00000.bin")
    listing = {
        "encoding": "gpt2",
        "vocabulary": 50257,
        "end_of_text": 50256,
        "dtype": "uint16",
        "train": ["train-00000"],
        "validation": {"own": ["validation-00000"]},
        "tokens": tokens,
    }
    (folder / "shards.json").write_text(json.dumps(listing))
    return folder


@click.command()
@click.option("--device", default="cuda", show_default=True)
@click.option("--tiny", is_flag=True, help="Tiny shapes: to see that the parts work.")
@click.option("--limit", "limit_s", default=400.0, show_default=True, help="Seconds.")
@click.option("--part", "parts", multiple=True, help="a, b, c or d.  [default: all]")
def main(device: str, tiny: bool, limit_s: float, parts: tuple[str, ...]) -> None:
    """Kernels, losses, speed, and a minute of training on one GPU."""
    report = Report(torch.device(device), limit_s, tiny)
    on_gpu = report.device.type == "cuda"
    report.say(
        f"torch {torch.__version__}, {torch.cuda.get_device_name() if on_gpu else 'CPU'}, peak "
        f"{peak_flops(report.device, torch.bfloat16) / 1e12:,.3g} TFLOP/s of 16 bits"
    )
    with tempfile.TemporaryDirectory() as folder:
        todo: dict[str, Callable[[], None]] = {
            "a": lambda: check_kernels(report),
            "b": lambda: check_losses(report),
            "c": lambda: measure_size(report, "125M", 30, 15),
            "d": lambda: train_and_generate(report, Path(folder)),
        }
        for name, part in todo.items():
            if name in (parts or todo):
                fresh()  # (d) shares the GPU with this process
                part()
    if "c" in (parts or todo):
        measure_size(report, "1.3B", 80, 25)
    report.say("failed: " + "; ".join(report.failed) if report.failed else "nothing failed")
    sys.exit(bool(report.failed))


if __name__ == "__main__":
    main()
