"""Token shards as training windows, by memory map.

The shards are one stream in the order of `shards.json`. Window k is tokens k * context .. (k + 1) *
context of it, both ends included: context + 1 tokens read, stride context, so each token is
predicted once and a tail shorter than a window goes on in the next shard. A shard's windows (those
that start in it, or in the tail before it) are visited in a permutation keyed by seed, shard name
and window number. So a position is one number, however many ranks share a step, and the windows of
a step are taken in order.

Epochs stay apart: `shards.json` says at which tokens of a shard a new epoch of some text begins.
Windows are permuted between two such places only, and a window that holds one is visited between
those before it and those after it. So no token of an epoch is visited before one of the epoch
before it. Shards without the places (of an earlier version, or of another program) are permuted
as a whole.

Cost: the permutation of a shard is made when it is entered, about 1 microsecond a window. Trap: the
stream is never repeated; a second pass over the corpus is `mix`'s business, which places whole
epochs into the shards.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from curation.errors import InputError
from curation.gpt3.shards import DTYPES, Shards, open_shards

__all__ = ["DTYPES", "Shards", "Windows", "open_shards", "windows"]


@dataclass(frozen=True)
class Windows:
    """The windows of a list of shards; `seed` None leaves them in their order (validation)."""

    shards: Shards
    names: tuple[str, ...]
    # Stream offset of each shard's first token, and the length of the stream at the end.
    starts: tuple[int, ...]
    # Number of each shard's first window, and the count of all windows at the end.
    firsts: tuple[int, ...]
    context: int
    seed: int | None

    def __len__(self) -> int:
        return self.firsts[-1]

    def batch(self, position: int, count: int) -> NDArray[np.int64]:
        """Windows number position .. position + count - 1 in visiting order: (count, context + 1)
        token ids.

        Raises InputError for a token id that is not in the vocabulary.
        """
        if position + count > len(self):
            raise IndexError(f"windows {position} .. {position + count} of {len(self)}")
        return np.stack([self.window(number) for number in self.visited(position, count).tolist()])

    def visited(self, position: int, count: int) -> NDArray[np.int64]:
        """The numbers of the windows at position .. position + count - 1 in visiting order."""
        end = position + count
        if self.seed is None or not count:
            return np.arange(position, end)
        shards = np.searchsorted(self.firsts, (position, end - 1), side="right") - 1
        parts: list[NDArray[np.int64]] = []
        for shard in range(int(shards[0]), int(shards[1]) + 1):
            first = self.firsts[shard]
            parts.append(self._order(shard)[max(0, position - first) : max(0, end - first)])
        return np.concatenate(parts)

    def positions(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """When windows are visited: the position of each of `numbers` in visiting order."""
        if self.seed is None:
            return numbers
        found = np.empty(len(numbers), np.int64)
        shards = np.searchsorted(self.firsts, numbers, side="right") - 1
        for shard in np.unique(shards).tolist():
            first, own = self.firsts[shard], shards == shard
            found[own] = first + np.argsort(self._order(shard))[numbers[own] - first]
        return found

    def window(self, number: int) -> NDArray[np.int64]:
        """The context + 1 tokens of window `number` of the stream."""
        return self._read(number * self.context, self.context + 1)

    def rest(self) -> NDArray[np.int64]:
        """The tokens after the last whole window, the one before them included; at most `context`
        tokens."""
        start = len(self) * self.context
        return self._read(start, self.starts[-1] - start)

    def _order(self, shard: int) -> NDArray[np.int64]:
        """The numbers of the windows of shard number `shard`, in the order they are visited."""
        assert self.seed is not None
        first, last = self.firsts[shard], self.firsts[shard + 1]
        parts = self._parts(shard, first, last)
        return first + _permutation(self.seed, self.names[shard], last - first, parts)

    def _parts(self, shard: int, first: int, last: int) -> tuple[int, ...]:
        """The windows of a shard, counted from its first, at which a part begins that is permuted
        by itself; a window that holds the first token of an epoch, and one before it, is a part."""
        # The first window may begin in the tail of an earlier shard.
        earliest = int(np.searchsorted(self.starts, first * self.context, side="right")) - 1
        places = [
            self.starts[number] + place
            for number in range(earliest, shard + 1)
            for place in self.shards.epochs.get(self.names[number], ())
        ]
        # Window k holds tokens k * context .. (k + 1) * context.
        holding = np.unique((np.array(places, np.int64) - 1) // self.context)
        inside = holding[(holding >= first) & (holding < last)] - first
        return tuple(np.unique(np.concatenate([inside, inside + 1])).tolist())

    def _read(self, start: int, count: int) -> NDArray[np.int64]:
        shard = int(np.searchsorted(self.starts, start, side="right")) - 1
        parts: list[NDArray[np.int64]] = []
        while count > 0:
            name, offset = self.names[shard], start - self.starts[shard]
            part = _mapped(self.shards.path(name), self.shards.dtype)[
                offset : offset + count
            ].astype(np.int64)
            if part.size and int(part.max()) >= self.shards.vocabulary:
                raise InputError(
                    f"{self.shards.path(name)} holds token {int(part.max())} near token "
                    f"{offset:,}, but its vocabulary ({self.shards.encoding}) ends at "
                    f"{self.shards.vocabulary - 1}: the shard was written with another encoding or "
                    "dtype; run `curation mix` again"
                )
            parts.append(part)
            start, count, shard = start + len(part), count - len(part), shard + 1
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


def windows(shards: Shards, names: tuple[str, ...], context: int, seed: int | None) -> Windows:
    """The windows of `names`, each visited once, in an order keyed by `seed` (None: as they
    lie)."""
    starts, firsts = [0], [0]
    for name in names:
        starts.append(starts[-1] + shards.tokens(name))
        firsts.append(max(firsts[-1], (starts[-1] - 1) // context))
    return Windows(shards, names, tuple(starts), tuple(firsts), context, seed)


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, name: str, count: int, parts: tuple[int, ...]) -> NDArray[np.int64]:
    """The order in which a shard's windows are visited: part after part, each sorted by a keyed
    hash of their number."""
    key = xxhash.xxh3_64_intdigest(f"gpt3/windows/{seed}/{name}".encode())
    hashes = (
        xxhash.xxh3_64_intdigest(number.to_bytes(8, "little"), key) for number in range(count)
    )
    part = np.searchsorted(np.array(parts, np.int64), np.arange(count), side="right")
    return np.lexsort((np.fromiter(hashes, np.uint64, count), part))


@functools.lru_cache(maxsize=16)
def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r")
