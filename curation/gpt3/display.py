"""What a terminal shows of a run besides its progress line: its words, and the curve of its loss.

Samples come from a generator of their own, so that a run with them and one without have the same
losses. Cost: a few hundred passes of one token each.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import torch

from curation.errors import InputError
from curation.gpt3.generate import load_checkpoint
from curation.gpt3.model import GPT3
from curation.gpt3.options import Drawing
from curation.gpt3.samples import draw
from curation.shown import printable

BARS = "▁▂▃▄▅▆▇█"
LINE_BARS = 34  # the line of the loss has 80 columns
SAMPLE_TOKENS = 80
SAMPLE_CHARACTERS = 240
TEMPERATURE, TOP_P = 0.7, 0.95


def words(
    model: GPT3, encoding_path: str, end: int, seed: int = 0, tokens: int = SAMPLE_TOKENS
) -> str | None:
    """The beginning of a document by `model`, and of the next where it ends early, on one line;
    None where the encoding cannot be had here."""
    from curation.kernels import bpe

    try:
        encoding = bpe.encoding(encoding_path)
    except InputError:
        return None
    state = torch.get_rng_state()
    ((drawn,),) = draw(model, [[end]], 1, Drawing(tokens, TEMPERATURE, TOP_P, None, seed))
    known = [token for token in drawn if token != end and token < encoding.n_vocab]
    torch.set_rng_state(state)
    return one_line(encoding.decode(known))


def one_line(text: str, most: int = SAMPLE_CHARACTERS) -> str:
    """A text on one line, cut to `most` characters, with nothing that a terminal would obey.

    >>> one_line("The tide\\n\\n turns \\x1b[31m")
    'The tide turns \\\\x1b[31m'
    """
    shown = printable(" ".join(text.split()))
    return shown if len(shown) <= most else shown[: most - 2].rstrip() + " …"


def sparkline(values: list[float], width: int = 60) -> str:
    """A curve of means over equal parts of `values`, its lowest a low bar and its highest a full
    one.

    >>> sparkline([8.0, 6.0, 5.0, 4.0, 4.0, 1.0])
    '█▆▅▄▄▁'
    """
    if not values:
        return ""
    count = min(width, len(values))
    bounds = [len(values) * part // count for part in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(bounds)]
    low, span = min(means), (max(means) - min(means)) or 1.0
    return "".join(BARS[min(7, int(8 * (mean - low) / span))] for mean in means)


def losses(log: Path) -> list[float]:
    """The loss of each step in a `log.jsonl`; of none where it is not there."""
    if not log.is_file():
        return []
    rows = (json.loads(line) for line in log.read_text().splitlines(True) if line.endswith("\n"))
    return [row["loss"] for row in rows if "loss" in row]


def loss_line(log: Path) -> str:
    """The curve of the loss in words; empty before two steps."""
    values = losses(log)
    if len(values) < 2:
        return ""
    tail = values[-max(1, len(values) // 20) :]
    return (
        f"loss {values[0]:.2f} {sparkline(values, LINE_BARS)} {sum(tail) / len(tail):.2f} nats per token, "
        f"{len(values):,} steps"
    )


def ending(folder: Path, log: Path, seed: int) -> list[str]:
    """What a finished run shows of the model in the checkpoint `folder`: its loss, and its words at
    the start of two documents."""
    model, encoding_path, end = load_checkpoint(folder)
    samples = (words(model, encoding_path, end, seed + number) for number in range(2))
    return [
        line for line in (loss_line(log), *(f"sample: {text}" for text in samples if text)) if line
    ]
