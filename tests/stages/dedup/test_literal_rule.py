"""Why the paper's sentence is not taken literally: any one of ten equal hashes as a link deletes a corpus that holds few duplicates."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curation import store
from curation.kernels import minhash
from curation.kernels.buffers import text_buffers

COMMON = [f"common{i}" for i in range(34)]


def _text(rng: random.Random, words: int = 120) -> str:
    """Prose of its own: half of the words are the language's commonest, the others from 30,000."""
    return " ".join(
        rng.choice(COMMON) if rng.random() < 0.5 else f"w{rng.randrange(30_000)}"
        for _ in range(words)
    )


def _corpus(n: int, copies: int) -> list[str]:
    rng = random.Random(0)
    texts = [_text(rng) for _ in range(n - copies)]
    return texts + [text + " and one word more" for text in texts[:copies]]


def _survivors_by_the_literal_rule(texts: list[str]) -> int:
    """10 hashes on unigrams, one equal hash links, one document of each connected component stays."""
    sets = minhash.feature_sets(*text_buffers(pa.array(texts)), "unigram")
    hashes = minhash.signatures(*sets, *minhash.permutations(0, 10))
    firsts: list[npt.NDArray[np.int64]] = []
    for column in hashes.T:
        _, first, inverse = np.unique(column, return_index=True, return_inverse=True)
        firsts.append(first[inverse])
    links = np.concatenate(firsts), np.tile(np.arange(len(texts)), 10)
    n = len(texts)
    components, _ = connected_components(
        coo_array((np.ones(len(links[0])), links), (n, n)), directed=False
    )
    return int(components)


def test_the_literal_rule_deletes_the_corpus_and_ours_the_copies(
    run_recipe: Callable[..., Any],
) -> None:
    texts = _corpus(1000, 50)
    assert _survivors_by_the_literal_rule(texts) <= 10
    preset = {"features": "unigram", "bands": 5, "rows": 2, "min_jaccard": 0.8}
    table = {"stages": ["extract", "dedup"], "dedup": preset}
    rundir, plan = run_recipe(
        {"a": [{"id": f"d{i}", "text": text} for i, text in enumerate(texts)]}, table
    )
    (shard,) = plan.shards
    keep = store.read_table(rundir.decision("dedup", shard), ["keep"]).column(0).to_pylist()
    assert sum(keep) == 950
    assert not any(keep[:50])  # the longer of two copies stays
