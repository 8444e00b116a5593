"""Made-up corpora for the tests of deduplication, and what became of each document."""

from __future__ import annotations

import random
from typing import Any

from curation import store

WORDS = [f"w{i}" for i in range(3000)]
TABLE: dict[str, Any] = {"stages": ["extract", "dedup"]}


def random_text(rng: random.Random, n: int = 150) -> str:
    return " ".join(rng.choices(WORDS, k=n))


def changed(rng: random.Random, text: str, words: int) -> str:
    parts = text.split()
    for _ in range(words):
        parts[rng.randrange(len(parts))] = rng.choice(WORDS)
    return " ".join(parts)


def copies_of_copies(seed: int, n: int = 120) -> list[dict[str, Any]]:
    """Texts, half of them copies of earlier ones with none to a dozen words changed, copies of copies too."""
    rng = random.Random(seed)
    texts: list[str] = []
    for _ in range(n):
        copy = texts and rng.random() < 0.5
        texts.append(
            changed(rng, rng.choice(texts), rng.choice([0, 1, 3, 6, 12]))
            if copy
            else random_text(rng)
        )
    return [{"id": f"d{i}", "text": text} for i, text in enumerate(texts)]


def fates_of(rundir: Any, plan: Any, *datasets: str) -> dict[str, dict[str, Any]]:
    out = {}
    for shard in plan.of(*datasets):
        ids = store.read_table(rundir.survivors(shard), ["id"]).column(0).to_pylist()
        out.update(
            zip(ids, store.read_table(rundir.decision("dedup", shard)).to_pylist(), strict=True)
        )
    return out
