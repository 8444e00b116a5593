"""StoryCloze of a model of ten million parameters: `python -m perf.storycloze BENCHMARKS OUT
TEXT.parquet...`

1. `small-cpu` is trained for --tokens on real text, in GPT-2's encoding.
2. Frozen, it picks the likelier ending per token of the 1,871 test stories (`curation evaluate`).
3. Fine-tuned on the 1,871 validation stories with --aux 0.5 (`curation tune finetune --task choice`),
   it is scored on the same test stories.
4. The same from random weights, the pre-training left out.

Every score has its 95 % interval, and 3 is compared with 2 and 4 story by story. One thread; each
part goes on where it stopped. Cost at the defaults: 17 minutes of one processor. Traps: one seed,
and the text is not searched for the stories.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from curation.gpt3.evaluate import measure, open_reader
from curation.gpt3.evaluation.metrics import share
from curation.gpt3.finetune.evaluate import evaluate_tuned
from curation.gpt3.finetune.inputs import read_task
from curation.gpt3.finetune.train import finetune
from curation.gpt3.options import FineTuning
from curation.gpt3.sizes import size_named
from curation.gpt3.tasks import examples, find_tasks
from curation.gpt3.train import Options, train

TUNING = FineTuning(aux=0.5, epochs=1, batch=8, learning_rate=5e-4, device="cpu")
FROZEN, TUNED, RANDOM = "frozen, zero-shot", "fine-tuned", "fine-tuned from random weights"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("texts", nargs="+", metavar="TEXT.parquet")
    parser.add_argument("--tokens", type=int, default=200 * 2048)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = arguments.out
    validation, test = (
        next(iter(sorted(arguments.benchmarks.glob(f"storycloze*.{part}.jsonl"))))
        for part in ("val", "test")
    )
    model = _pretrained(_shards(arguments.texts, out, arguments.tokens), out, arguments.tokens)
    gold = np.array([int(record.label) for record in read_task(test, "choice")])
    right = {FROZEN: _frozen(model, test)}
    _tell(right, FROZEN)
    for name, transfer in ((TUNED, 1000), (RANDOM, -1)):
        folder = out / name.replace(" ", "-")
        started = time.process_time()
        finetune(model, "choice", validation, test, folder, replace(TUNING, transfer=transfer))
        (found,) = evaluate_tuned(folder, [test])
        right[name] = np.array([int(answer) for answer in found["answers"]]) == gold
        print(f"{name}: {time.process_time() - started:.0f} s, {found['cut']} cut")
        _tell(right, name)


def _command(*arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "curation", *map(str, arguments)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)


def _shards(texts: list[str], out: Path, tokens: int) -> Path:
    """Token shards of the texts."""
    mixed = out / "mixed"
    if not (mixed / "shards" / "shards.json").is_file():
        _command("tokenize", *texts, "--out", out / "tokens", "--workers", 1, "--update")
        mixing = ["--tokens", 2 * tokens, "--validation", 0.01, "--shards", 1, "--workers", 1]
        _command("mix", f"text={out / 'tokens'}", *mixing, "--out", mixed, "--update")
    return mixed


def _pretrained(shards: Path, out: Path, tokens: int) -> Path:
    size = replace(size_named("small-cpu"), batch_tokens=2048)
    options = Options(
        tokens=tokens,
        decay_tokens=tokens,
        warmup_tokens=tokens // 20,
        ramp_tokens=0,
        checkpoint_every=50,
        validate_every=100,
        validation_windows=16,
        device="cpu",
    )
    started = time.process_time()
    result = train(shards, out / "model", size, options)
    print(
        f"pre-training: {time.process_time() - started:.0f} s, {result.step} steps, "
        f"{result.tokens:,} tokens, validation {result.validation}",
        flush=True,
    )
    return result.checkpoint


def _frozen(model: Path, test: Path) -> np.ndarray:
    """Whether the model's likelier ending is the right one, for each story."""
    ((task, file),) = find_tasks(test)
    stories = examples(task, file)
    started = time.process_time()
    result = measure(open_reader(model), task, stories, [*range(len(stories))], [], 0, 0)
    print(f"zero-shot: {time.process_time() - started:.0f} s", flush=True)
    return np.array([row["right"] for row in result["rows"]]) > 0


def _tell(right: dict[str, np.ndarray], name: str) -> None:
    """A model's score, and how the fine-tuned one differs from it or from the frozen one."""
    found = share(int(right[name].sum()), len(right[name]))
    low, high = 100 * found["low"], 100 * found["high"]
    print(f"{name}: {100 * found['value']:.1f} % ({low:.1f} to {high:.1f}) of {len(right[name]):,}")
    if TUNED in right:
        other = FROZEN if name == TUNED else name
        apart = 100 * (right[TUNED].astype(float) - right[other])
        wide = 1.96 * apart.std(ddof=1) / len(apart) ** 0.5
        print(f"{TUNED} less {other}: {apart.mean():+.1f} points, 95 % "
              f"{apart.mean() - wide:+.1f} to {apart.mean() + wide:+.1f}")  # fmt: skip
    sys.stdout.flush()


if __name__ == "__main__":
    main()
