"""Good prose and junk, as datasets for the tests of the classifier, and its recipe."""

from __future__ import annotations

import random
from typing import Any

GOOD = "the river rose slowly through spring while farmers watched quiet fields and wrote letters about rain".split()  # noqa: SIM905
JUNK = "buy cheap click here free offer login cart sale best price casino bonus deal now".split()  # noqa: SIM905


def labelled_rows(words: list[str], n: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "id": f"{seed}-{i}",
            "url": f"http://s{i % 17}.example/{i}",
            "text": " ".join(rng.choices(words, k=60)),
        }
        for i in range(n)
    ]


DATASETS = {
    "good": labelled_rows(GOOD, 60, 1),
    "crawl:web": labelled_rows(GOOD, 20, 2) + labelled_rows(JUNK, 80, 3),
}
# These texts are words in a row, without a sentence: only words tell them apart.
WORDS = {"scaling": "log-l2", "signals": [], "calibration": "none", "positives_by": "documents"}
TABLE: dict[str, Any] = {
    "stages": ["extract", "classify"],
    "classify": {"C": 1.0, "alpha": 2.0, **WORDS},
}
