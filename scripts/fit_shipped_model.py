"""Make the model that ships from a finished run: `python scripts/fit_shipped_model.py RUN`.

RUN has classified a crawl with Wikipedia and public-domain books as trusted corpora, with the
default signals and `classify.window_chars = 3000`. Only the model's numbers are taken, and what its
card needs: no text, no tokens. `--figures` is a JSON file with what was measured on labels.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from curation import store
from curation.stages.classify.model import NUM_FEATURES, load_model, write_model
from curation.stages.classify.shipped import SHIPPED

LICENCE = (
    "The weights are numbers computed from text: Apache-2.0, like the package. The trusted texts "
    "are Wikipedia's (CC BY-SA) and books in the public domain; none of them is in the model."
)
TAKEN = ("scaling", "signals", "link", "C", "class_weight", "positives_by", "window_chars")


@click.command()
@click.argument("run")
@click.option("--figures", type=click.Path(exists=True, dir_okay=False), required=True)
def main(run: str, figures: str) -> None:
    """Write curation/stages/classify/shipped/ from RUN/classify/model."""
    folder = store.join(run, "classify", "model")
    model, fitted = load_model(folder), store.read_json(store.join(folder, "card.json"))
    if model.weights[:NUM_FEATURES].any():
        raise click.ClickException("a model of signals alone ships; this one has weights of words")
    card = {name: fitted[name] for name in TAKEN} | {
        "kind": "logistic regression on signals of prose",
        "trained_on": {
            side: {name: dataset["documents"] for name, dataset in of_side["datasets"].items()}
            for side, of_side in fitted["training"].items()
        },
        "languages": "trusted text in English, crawl in all languages; the signals know no words",
        "licence": LICENCE,
        "figures": json.loads(Path(figures).read_text(encoding="utf-8")),
    }
    write_model(SHIPPED, model.weights.astype(np.float32), model.intercept, card)


if __name__ == "__main__":
    main()
