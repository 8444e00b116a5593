"""`curation evaluate --as`, GPT-2's tasks without training, a line a file; and what it says of a
fine-tuned model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import click
from click.core import ParameterSource

from curation.cli.console import say

# Options that say how models are scored, and those that each way of scoring takes.
TAKEN = {
    "perplexity": ("detokenizer",),
    "translate": ("shots", "limit", "seed"),
    "summarize": ("limit", "seed"),
    "answer": ("limit", "seed"),
    "tuned": (),
    "plain": (
        "task",
        "shots",
        "describe",
        "bare",
        "beam",
        "limit",
        "seed",
        "contamination",
        "page",
    ),
}


def shown(
    checkpoints: Sequence[Path],
    kind: str | None,
    files: Sequence[Path],
    shots: Sequence[int],
    options: dict[str, Any],
    device: str | None,
    out: Path | None,
    table: tuple[str, Callable[[dict[str, Any]], None]],
) -> bool:
    """Measure, print and write what `kind` asks for, or the scores of fine-tuned models; False where
    the models are to be scored as language models. `table` is a heading, and what prints a row."""
    from curation import store
    from curation.errors import InputError
    from curation.gpt3.finetune.evaluate import evaluate_tuned, is_tuned

    tuned = [is_tuned(checkpoint) for checkpoint in checkpoints]
    _need_taken(kind or ("tuned" if any(tuned) else "plain"))
    if not kind and not any(tuned):
        return False
    if not kind and not all(tuned):
        raise InputError(
            f"{checkpoints[tuned.index(False)]} is not a checkpoint of `curation tune finetune`, and "
            f"{checkpoints[tuned.index(True)]} is one; score them apart"
        )
    results: list[dict[str, Any]] = []
    for checkpoint in checkpoints:
        if len(checkpoints) > 1:
            say(f"{checkpoint}")
        if kind:
            found = _of_kind(checkpoint, kind, files, shots, options, device)
        else:
            say(table[0])
            found = evaluate_tuned(checkpoint, files, device, say=table[1])
        results += [{"model": str(checkpoint), **result} for result in found]
    if out:
        store.write_json(str(out), {**options, "results": results})
        say(f"{out}")
    return True


def _need_taken(way: str) -> None:
    """Raise UsageError for an option that was typed and would change nothing."""
    given = click.get_current_context().get_parameter_source
    for option in dict.fromkeys(name for names in TAKEN.values() for name in names):
        name = "tasks" if option == "task" else option
        if option not in TAKEN[way] and given(name) is ParameterSource.COMMANDLINE:
            other = {"tuned": "a fine-tuned model", "plain": "models without --as perplexity"}
            raise click.UsageError(
                f"--{option} does not apply to {other.get(way, f'--as {way}')}; leave it out."
            )


def _of_kind(
    checkpoint: Path,
    kind: str,
    files: Sequence[Path],
    shots: Sequence[int],
    options: dict[str, Any],
    device: str | None,
) -> list[dict[str, Any]]:
    """Figures of each file, printed as they come; translation for each number of shots."""
    from curation.errors import InputError
    from curation.gpt3.evaluate import open_reader
    from curation.gpt3.zeroshot import Kind, zero_shot

    for path in files:
        if not path.is_file():
            raise InputError(f"{path} is no file; --as {kind} reads files")
    reader, results = open_reader(checkpoint, device), []
    for path in files:
        for number in shots if kind == "translate" else (0,):
            results.append(zero_shot(reader, cast("Kind", kind), path, shots=number, **options))
            say(line(results[-1]))
    return results


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
        return head + "ROUGE 1, 2, L: " + "; ".join(parts) + _cut(result)
    if result["task"] == "translate":
        head += f"{result['shots']:g} shots; "
    score = result["score"]
    return (
        head + f"{result['metric']} {100 * score['value']:.1f} "
        f"[{100 * score['low']:.1f}, {100 * score['high']:.1f}]" + _cut(result)
    )


def _cut(result: dict[str, Any]) -> str:
    """What the model did not read, in words; nothing where it read all."""
    if not result["cut"]:
        return ""
    end = (
        "documents lost their end" if result["task"] == "summarize" else "prompts lost their start"
    )
    return f"; {result['cut']:,} {end}, beyond {result['room']:,} tokens"
