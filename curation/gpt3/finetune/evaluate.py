"""Scores of a fine-tuned model on files of its task: what `curation evaluate` shows of one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from curation.errors import InputError
from curation.gpt3 import checkpoint
from curation.gpt3.evaluation.metrics import share
from curation.gpt3.finetune.heads import answers
from curation.gpt3.finetune.inputs import read_task, rows_of
from curation.gpt3.finetune.train import KIND, load_tuned
from curation.gpt3.instruct.data import Encoding
from curation.gpt3.parallel import device_named
from curation.gpt3.starting import opened


def is_tuned(path: Path) -> bool:
    """Whether `path` is a fine-tuned checkpoint, or a folder whose newest one is."""
    folders = [path] if (path / "state.json").is_file() else checkpoint.steps(path)[-1:]
    return any(checkpoint.read_state(folder).config.get("kind") == KIND for folder in folders)


def evaluate_tuned(
    path: Path,
    files: Sequence[Path],
    device: str | None = "cpu",
    encoding: Encoding | None = None,
    say: Callable[[dict[str, Any]], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Accuracy with its 95 % interval of the model in `path` on each file of its task."""
    first = opened(path, KIND)
    tuned, state = load_tuned(first.folder, device_named(device))
    encode = first.coder(encoding).encoding.encode_ordinary
    task, labels, size = tuned.task, state.config["labels"], state.size
    results = []
    for file in files:
        if not file.is_file():
            raise InputError(f"{file} is no file; a fine-tuned model is scored on files of {task}")
        started = time.monotonic()
        records = read_task(file, task)
        rows = rows_of(records, task, labels, encode, size.vocabulary, size.context, str(file))
        numbers, losses = answers(tuned, rows)
        right = sum(number == one.label for number, one in zip(numbers, rows, strict=True))
        options = [len(one.rows) if task == "choice" else len(labels) for one in rows]
        accuracy = share(right, len(rows))
        results.append(
            {
                "task": f"{task} (fine-tuned)",
                "file": file.name,
                "kind": task,
                "examples": len(rows),
                "shots": 0,
                "cut": sum(one.cut for one in rows),
                "chance": round(sum(1 / n for n in options) / len(rows), 4),
                "accuracy": accuracy,
                "metric": "accuracy",
                "score": accuracy,
                "loss": sum(losses) / len(rows),
                "answers": [number if task == "choice" else labels[number] for number in numbers],
                "seconds": round(time.monotonic() - started, 1),
            }
        )
        say(results[-1])
    return results
