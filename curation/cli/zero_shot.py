"""`curation evaluate --as`, GPT-2's tasks without training, a line a file; and what it says of a
fine-tuned model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from curation.cli.console import say


def show(
    checkpoint: Path,
    kind: str,
    files: Sequence[Path],
    options: dict[str, Any],
    device: str | None,
    out: Path | None,
) -> None:
    """Measure each file, print a line of it, and write everything to `out`."""
    from curation import store
    from curation.errors import InputError
    from curation.gpt3.evaluate import open_reader
    from curation.gpt3.zeroshot import Kind, zero_shot

    for path in files:
        if not path.is_file():
            raise InputError(f"{path} is no file; --as {kind} reads files")
    reader = open_reader(checkpoint, device)
    results = []
    for path in files:
        results.append(zero_shot(reader, cast("Kind", kind), path, **options))
        say(line(results[-1]))
    if out:
        store.write_json(str(out), {"checkpoint": str(checkpoint), **options, "results": results})
        say(f"{out}")


def show_tuned(
    checkpoint: Path,
    files: Sequence[Path],
    device: str | None,
    out: Path | None,
    show_result: Callable[[dict[str, Any]], None],
) -> None:
    """Score a fine-tuned model on each file, and write everything to `out`."""
    from curation import store
    from curation.gpt3.finetune.evaluate import evaluate_tuned

    results = evaluate_tuned(checkpoint, files, device, say=show_result)
    if out:
        store.write_json(str(out), {"checkpoint": str(checkpoint), "results": results})
        say(f"{out}")


def line(result: dict[str, Any]) -> str:
    """One file's figures in words."""
    head = f"{result['file']}: "
    if result["task"] == "perplexity":
        kept = result["lines_as_they_stand"]
        return (
            head + f"perplexity {result['perplexity_per_word']:,.4g} per word, "
            f"{result['perplexity_per_token']:,.4g} per token; "
            f"{result['bits_per_byte']:.4f} bits per byte; {result['words']:,} words"
            + (f"; {kept:,} lines read as they stand" if kept else "")
        )
    head += f"{result['examples']:,} examples; "
    if result["task"] == "summarize":
        parts = [
            f"{name} " + " ".join(f"{100 * value:.1f}" for value in row.values())
            for name, row in result["rouge"].items()
        ]
        return head + "ROUGE 1, 2, L: " + "; ".join(parts)
    score = result["score"]
    return (
        head + f"{result['metric']} {100 * score['value']:.1f} "
        f"[{100 * score['low']:.1f}, {100 * score['high']:.1f}]"
    )
