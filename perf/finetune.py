"""GPT-1's two claims on a planted task: `python -m perf.finetune OUT [--seeds 5] [--picture SVG]`.

Pre-training text: random words, of two kinds in turn, in texts of 8; a word that stood in its text
before is followed by a mark. The planted task, entailment: does the hypothesis, one word, occur in
the premise of 4? Nothing in it can be learnt by words alone, and no text has a premise's form.

1. Accuracy on 500 new examples after each epoch of fine-tuning, by how many layers come from the
   pre-trained model: all of them to none, its embeddings alone, and nothing.
2. Two heuristics without fine-tuning, by steps of pre-training (section 5 of the paper):
   `recurrence` says that a word stood before where the mark is likelier after it than after
   the median word; `order` calls a text of two kinds of words in turn right where its mean log probability
   is above the median, half of the texts being shuffled.

The model is smaller than `tiny`: 2 layers, width 128, 14 tokens. One thread. Each seed's figures are
kept in OUT/seed-N.json; --only N makes those of one, so that seeds can run beside each other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from curation.gpt3.checkpoint import load_model, read_state, steps
from curation.gpt3.evaluate import Reader
from curation.gpt3.finetune.train import finetune
from curation.gpt3.model import build
from curation.gpt3.options import FineTuning
from curation.gpt3.sizes import Size
from curation.gpt3.train import Options, train

WORDS = 12
MARK = WORDS + 1
RUN = 4  # words of a premise
TEXT = 8  # words of a text, without marks
LAYERS = 2
SIZE = Size("planted", LAYERS, 128, 4, 18 * 32, 1e-3, ramp_tokens=0, context=18,
            vocabulary=MARK + 1, attention=("dense",), weight_decay=0.01,
            second_beta=0.99)  # fmt: skip
STEPS = 1200
SHOWN = (0, 100, 200, 300, 400, 600, 900, 1200)
TUNING = FineTuning(epochs=6, batch=32, learning_rate=5e-4, dropout=0.0, device="cpu")
TRANSFERS = {"both layers": LAYERS, "1 layer": 1, "embeddings": 0, "nothing": -1}


@dataclass(frozen=True)
class Words:
    """An encoding whose tokens are w1, w2 and so on."""

    def encode_ordinary(self, text: str) -> list[int]:
        return [int(word[1:]) for word in text.split()]

    def decode(self, tokens: Sequence[int]) -> str:
        return " ".join(f"w{token}" for token in tokens)


def _texts(generator: np.random.Generator, count: int, length: int) -> np.ndarray[Any, Any]:
    """Texts of words of two kinds in turn (even and odd numbers), no word twice: (count, length)."""
    half = np.argsort(generator.random((2, count, WORDS // 2)), axis=2) * 2 + 1
    texts = np.empty((count, length), np.int64)
    texts[:, ::2] = half[0][:, : -(-length // 2)]
    texts[:, 1::2] = half[1][:, : length // 2] + 1
    return texts


def _marked(generator: np.random.Generator) -> list[int]:
    """A text: words of two kinds in turn, drawn anew each, a mark after each that stood before."""
    found: list[int] = []
    for place in range(TEXT):
        word = int(generator.integers(WORDS // 2)) * 2 + 1 + place % 2
        found += [word, MARK] if word in found else [word]
    return found


def write_shards(folder: Path, seed: int, tokens: int) -> Path:
    """Shards of marked texts, each after an end-of-text."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    stream: list[int] = []
    while len(stream) < tokens:
        stream += [0, *_marked(generator)]
    np.array(stream[:tokens], "<u2").tofile(folder / "train-00000.bin")
    listing = {"encoding": "gpt2", "vocabulary": MARK + 1, "end_of_text": 0, "dtype": "uint16",
               "train": ["train-00000"], "validation": {}, "tokens": tokens}  # fmt: skip
    (folder / "shards.json").write_text(json.dumps(listing))
    return folder


def _text(words: np.ndarray[Any, Any]) -> str:
    return " ".join(f"w{word}" for word in words)


def write_task(path: Path, seed: int, count: int) -> Path:
    """Entailment iff the hypothesis occurs in the premise; half of the examples each."""
    generator = np.random.default_rng(seed)
    premises = _texts(generator, count, RUN)
    lines = []
    for number, premise in enumerate(premises):
        others = np.setdiff1d(np.arange(1, WORDS + 1), premise)
        word = generator.choice(premise if number % 2 else others)
        record = {"premise": _text(premise), "hypothesis": f"w{word}", "label": number % 2}
        lines.append(json.dumps(record) + "\n")
    path.write_text("".join(lines))
    return path


def pretrain(out: Path, seed: int) -> Path:
    """Checkpoints at every step of SHOWN but 0."""
    tokens = STEPS * SIZE.batch_tokens
    shards = write_shards(out / "shards", seed, tokens + SIZE.context + 1)
    options = Options(tokens=tokens, seed=seed, checkpoint_every=100, keep=100, device="cpu",
                      warmup_tokens=50 * SIZE.batch_tokens, decay_tokens=2 * tokens,
                      validate_every=10**6)  # fmt: skip
    return train(shards, out / "model", SIZE, options).checkpoint


def heuristics(reader: Reader, seed: int, count: int = 300) -> dict[str, float]:
    """Accuracy of both heuristics on new texts."""
    generator = np.random.default_rng(seed + 1000)
    runs = _texts(generator, count, RUN)
    again = np.arange(count) % 2 == 1
    pairs = []
    for run, is_again in zip(runs, again, strict=True):
        kind = [word for word in range(1, WORDS + 1) if word % 2 == run[0] % 2]
        others = [word for word in kind if word not in run]
        word = generator.choice(run[::2] if is_again else others)
        pairs.append((_text(np.append(run, word)), f" w{MARK}"))
    marks = np.array([score.log_probability for score in reader.score(pairs)])
    recurrence = float(np.mean((marks > np.median(marks)) == again))
    ordered = _texts(generator, count, 6)
    shuffled = generator.permuted(ordered, axis=1)
    texts = np.concatenate(
        (ordered, shuffled[(shuffled[:, 1:] % 2 == shuffled[:, :-1] % 2).any(1)])
    )
    texts = texts[len(ordered) - (len(texts) - len(ordered)) :]  # as many of each
    values = np.array(
        [one.log_probability for one in reader.score([("", _text(t)) for t in texts])]
    )
    right = np.arange(len(texts)) < len(texts) // 2
    return {
        "recurrence": recurrence,
        "order": float(np.mean((values > np.median(values)) == right)),
    }


def of_seed(out: Path, seed: int) -> dict[str, Any]:
    """Both curves of one seed."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    last = pretrain(out, seed)
    by_steps = {}
    for step in SHOWN:
        folder = out / "model" / f"step-{step:07d}"
        model = load_model(folder, read_state(folder).size) if step else build(SIZE, seed).eval()
        by_steps[step] = heuristics(Reader(model, Words(), 0), seed)
    train_file = write_task(out / "train.jsonl", seed, 640)
    dev_file = write_task(out / "dev.jsonl", seed + 500, 500)
    curves = {}
    for name, layers in TRANSFERS.items():
        options = FineTuning(**{**TUNING.__dict__, "seed": seed, "transfer": layers})
        finetune(last, "entailment", train_file, dev_file, out / name, options, Words())
        lines = map(json.loads, (out / name / "log.jsonl").read_text().splitlines())
        curves[name] = [line["dev"]["accuracy"] for line in lines if "dev" in line]
    assert steps(out / "model")[-1] == last
    return {"heuristics": by_steps, "transfer": curves}


def _mean(values: np.ndarray[Any, Any]) -> list[str]:
    """Mean with the smallest and largest of the seeds, in percent."""
    return [
        f"{100 * m:.1f} ({100 * low:.1f} to {100 * high:.1f})"
        for m, low, high in zip(values.mean(0), values.min(0), values.max(0), strict=True)
    ]


def curves_of(results: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Accuracy by seed and point, (seeds, points), of each curve of both pictures."""
    transfer = {name: np.array([one["transfer"][name] for one in results]) for name in TRANSFERS}
    zero = {
        name: np.array([[row[name] for row in one["heuristics"].values()] for one in results])
        for name in ("recurrence", "order")
    }
    return transfer, zero


def svg(results: list[dict[str, Any]]) -> str:
    """Both pictures beside each other: a line for the mean, an area from the worst seed to the best."""
    transfer, zero = curves_of(results)
    epochs = list(range(1, TUNING.epochs + 1))
    colours = ("#1b6ca8", "#3a9188", "#b8860b", "#c05a2e", "#777777")
    of = f"{len(results)} seed{'s' * (len(results) > 1)}"
    left = _panel(0, f"Fine-tuning: layers transferred ({of})", "epochs", epochs, transfer, colours)
    right = _panel(380, f"Heuristics, not fine-tuned ({of})", "steps of pre-training", SHOWN, zero,
                   colours)  # fmt: skip
    style = 'font-family="sans-serif" font-size="11" fill="#444"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 290" {style}>\n'
        f'<rect width="760" height="290" fill="white"/>\n{left}\n{right}\n</svg>\n'
    )


def _panel(
    x0: int, title: str, under: str, points: Sequence[int], curves: dict[str, Any],
    colours: Sequence[str],
) -> str:  # fmt: skip
    def x(value: float) -> float:
        return x0 + 45 + 225 * (value - points[0]) / (points[-1] - points[0])

    def y(share: float) -> float:
        return 240 - 200 * (share - 0.4) / 0.6

    parts = [f'<text x="{x0 + 45}" y="20" font-weight="bold">{title}</text>']
    for tick in (40, 50, 60, 70, 80, 90, 100):
        height = y(tick / 100)
        parts.append(f'<path d="M{x0 + 45} {height:.1f}h225" stroke="#ddd"/>')
        parts.append(f'<text x="{x0 + 40}" y="{height + 4:.1f}" text-anchor="end">{tick}</text>')
    for point in (points[0], points[len(points) // 2], points[-1]):
        parts.append(f'<text x="{x(point):.1f}" y="256" text-anchor="middle">{point}</text>')
    parts.append(f'<text x="{x0 + 157}" y="274" text-anchor="middle">{under}; accuracy, %</text>')
    for number, (name, values) in enumerate(curves.items()):
        lines = [
            [f"{x(p):.1f},{y(v):.1f}" for p, v in zip(points, row, strict=True)]
            for row in (values.mean(0), values.min(0), values.max(0))
        ]
        colour, at = colours[number], 50 + 16 * number
        area = " ".join([*lines[1], *reversed(lines[2])])
        parts += [
            f'<polygon points="{area}" fill="{colour}" opacity="0.15"/>',
            f'<polyline points="{" ".join(lines[0])}" fill="none" stroke="{colour}" '
            'stroke-width="2"/>',
            f'<path d="M{x0 + 280} {at - 4}h14" stroke="{colour}" stroke-width="2"/>',
            f'<text x="{x0 + 298}" y="{at}">{name}</text>',
        ]
    return "\n".join(parts)


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--only", type=click.IntRange(0), help="Only this seed, and no tables.")
@click.option("--picture", type=click.Path(path_type=Path), help="Write the pictures to this file.")
def main(out: Path, seeds: int, only: int | None, picture: Path | None) -> None:
    """Run what OUT does not hold yet, and print both tables."""
    torch.set_num_threads(1)
    results = []
    for seed in range(seeds) if only is None else [only]:
        kept = out / f"seed-{seed}.json"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            result = of_seed(out / f"seed-{seed}", seed)
            kept.write_text(json.dumps(result))
        results.append(json.loads(kept.read_text()))
        click.echo(f"seed {seed}", err=True)
    if only is not None:
        return
    transfer, zero = curves_of(results)
    click.echo(f"accuracy in %, mean (worst to best of {seeds} seeds); chance 50")
    for name, values in transfer.items():
        click.echo(f"{name:12} by epoch: " + ", ".join(_mean(values)))
    for name, values in zero.items():
        click.echo(f"{name:12} after {SHOWN} steps: " + ", ".join(_mean(values)))
    if picture:
        picture.write_text(svg(results))


if __name__ == "__main__":
    main()
