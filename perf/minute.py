"""Which small model says most after a minute: `python perf/minute.py RUN --seconds 60`.

For each vocabulary, batch and shape the text that RUN keeps is encoded anew, a model of that size is
trained as `make train` does, and its validation loss in bits per byte, which compares vocabularies,
stands beside its tokens, its passes over the text and a sample. `--processor-time` counts the
seconds of the processor on one thread, for machines that do other work.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

# vocabulary, layers, width, heads, context, windows in a batch, learning rate
CONFIGURATIONS = (
    (2048, 4, 128, 4, 128, 2, 3e-3),
    (2048, 4, 128, 4, 128, 4, 3e-3),
    (4096, 4, 128, 4, 128, 2, 3e-3),
    (4096, 2, 128, 4, 128, 2, 3e-3),
    (2048, 4, 192, 6, 128, 2, 2e-3),
)


def command(*arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "curation", *map(str, arguments)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)


def mixed(run: str, folder: Path, vocabulary: int, tokens: int) -> Path:
    """Shards of the text of `run` in a vocabulary learned from it."""
    out = folder / f"mixed-{vocabulary}"
    if not (out / "shards" / "shards.json").is_file():
        learned, encoded = folder / f"{vocabulary}.json", folder / f"tokens-{vocabulary}"
        command("tune", "vocabulary", run, "--size", vocabulary, "--out", learned)
        command("tokenize", run, "--encoding", learned, "--out", encoded, "--update")
        mixing = ["--tokens", tokens, "--max-epochs", 10000, "--validation", 0.05, "--shards", 4]
        command("mix", f"text={encoded}", *mixing, "--out", out, "--update")
    return out


def measured(shards: Path, out: Path, choice: tuple[float, ...], seconds: float) -> str:
    """A line for one configuration, and a sample."""
    import json

    from curation.gpt3.display import ending
    from curation.gpt3.options import Options
    from curation.gpt3.sizes import Size
    from curation.gpt3.train import train

    vocabulary, layers, width, heads, context, windows, rate = choice
    whole = [int(number) for number in (layers, width, heads, context * windows)]
    size = Size("x", *whole, rate, context=int(context), band=64)
    shutil.rmtree(out, ignore_errors=True)
    options = Options(seconds=seconds, validate_every=10**9, checkpoint_every=10**9)
    result = train(shards, out, size, options)
    facts = json.loads((shards / "shards" / "shards.json").read_text())["mixture"][0]
    figures = (
        f"{int(vocabulary):>6} {int(layers)} x {int(width):<4} {int(context)} x {int(windows)} "
        f"{rate:<6g} {result.step:>6,} steps {result.tokens:>9,} tokens "
        f"{result.tokens / facts['tokens']:>5.1f} epochs  validation "
        f"{next(iter(result.bits_per_byte.values())):.3f} bits per byte"
    )
    return "\n".join([figures, *ending(result.checkpoint, out / "log.jsonl", 0)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--only", help="numbers of configurations, from 0: 0,2")
    parser.add_argument("--folder", type=Path, help="kept between calls")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    chosen = (
        [int(n) for n in options.only.split(",")] if options.only else range(len(CONFIGURATIONS))
    )
    if options.processor_time:
        import torch

        from curation.gpt3 import train as module

        torch.set_num_threads(1)
        module.time = SimpleNamespace(monotonic=time.process_time)  # type: ignore[assignment]
    for number in chosen:
        choice = CONFIGURATIONS[number]
        shards = mixed(options.run, folder, int(choice[0]), 20_000_000)
        print(measured(shards, folder / f"model-{number}", choice, options.seconds), flush=True)


if __name__ == "__main__":
    main()
