"""Where epochs begin in the order of the training shards.

Copy e of a text that is read E times stands at e / E and above, and below (e + 1) / E.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from curation.stages.mix.mixture import Share


def epoch_starts(shares: Sequence[Share], shards: int) -> list[npt.NDArray[np.int64]]:
    """The keys of rows at which an epoch of a dataset, or of a group of one, begins: int64[n] of
    each training shard, ascending. The first epoch begins with the first row."""
    found: list[set[int]] = [set() for _ in range(shards)]
    for epochs in {part.epochs for share in shares for part in share.groups or (share,)}:
        at = np.arange(1, int(np.ceil(epochs))) / epochs
        part = np.minimum((at * shards).astype(np.int64), shards - 1)
        for shard, key in zip(part.tolist(), keys_at(at).tolist(), strict=True):
            found[shard].add(key)
    return [np.array(sorted(keys), np.int64) for keys in found]


def keys_at(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Positions in [0, 1) as whole numbers, in the same order: the column `key`."""
    return (positions * 2.0**63).astype(np.int64)
