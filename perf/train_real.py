"""A real training run: ten million parameters on the shards of a run, its loss curve and samples of
what it writes.

    python perf/train_real.py RUN OUT --seconds 600

trains `small-cpu` (9,979,040 parameters: 8,041,120 in the vocabulary, 81,920 in positions,
1,856,000 in the layers) with batches of 2,048 tokens, goes on from OUT's newest checkpoint, and
ends with OUT/loss.png and OUT/samples.txt. Kill it when you like.

Cost: about 1,000 tokens a second on one quiet core. Trap: the learning rate falls to a tenth over
the first two thirds of the budget and stays there (the paper's 260 of 300 billion tokens), so a run
cut short before that is a worse model than its tokens could have made.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from curation.gpt3.options import Drawing
from curation.gpt3.samples import generate_many
from curation.gpt3.sizes import size_named
from curation.gpt3.train import Options, train

TOKENS = 2_000_000
PROMPTS = ("", "The city of", "She looked at him and", "In this post we show how to")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--seconds", type=float)
    arguments = parser.parse_args()
    options = Options(
        tokens=arguments.tokens,
        decay_tokens=2 * arguments.tokens // 3,
        warmup_tokens=arguments.tokens // 45,
        ramp_tokens=0,
        seconds=arguments.seconds,
        checkpoint_every=100,
        validate_every=100,
        validation_windows=24,
        progress=True,
    )
    result = train(
        arguments.run, arguments.out, replace(size_named("small-cpu"), batch_tokens=2048), options
    )
    print(
        f"{result.tokens:,} of {result.budget_tokens:,} tokens; validation loss (nats per token): "
        f"{result.validation}"
    )
    draw(arguments.out)
    samples = (
        f"[{row['prompt'] or 'start of a document'}]\n{row['prompt']}{row['text']}"
        for row in generate_many(result.checkpoint, PROMPTS, 1, Drawing(80, 0.7, 0.95))
    )
    text = "\n\n".join(samples)
    (arguments.out / "samples.txt").write_text(text + "\n")
    print(text)


def draw(out: Path) -> None:
    """OUT/loss.png: training loss and the validation loss of each dataset, against tokens."""
    import matplotlib.pyplot as plt
    import numpy as np

    lines: list[dict[str, Any]] = [
        json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()
    ]
    steps = [(line["tokens"], line["loss"]) for line in lines if "loss" in line]
    tokens, loss = np.array(steps).T
    fig, axis = plt.subplots(figsize=(8, 4.5))
    axis.plot(tokens / 1e6, loss, color="lightgrey", label="training, each step")
    for name in sorted({name for line in lines for name in line.get("validation", ())}):
        points = [
            (line["tokens"] / 1e6, line["validation"][name])
            for line in lines
            if name in line.get("validation", ())
        ]
        axis.plot(*np.array(points).T, marker=".", label=f"validation, {name}")
    axis.set(xlabel="million tokens", ylabel="loss, nats per token")
    axis.legend()
    fig.savefig(out / "loss.png", dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
