"""Token shards as training windows, by memory map.

A folder of token shards holds `shards.json` and, for each name in it, `NAME.bin` (little-endian
tokens, nothing else) and mostly `NAME.idx` (Megatron's indexed dataset layout, read here only to
see whether the `.bin` is whole).

The shards are one stream in the order of `shards.json`. Window k is tokens k * context .. (k + 1) *
context of it, both ends included: context + 1 tokens read, stride context, so each token is
predicted once and a tail shorter than a window goes on in the next shard. A shard's windows (those
that start in it, or in the tail before it) are visited in a permutation keyed by seed, shard name
and window number. So a position is one number, however many ranks share a step, and the windows of
a step are taken in order.

Cost: the permutation of a shard is made when it is entered, about 1 microsecond a window. Trap: the
stream is never repeated; a second pass over the corpus is `mix`'s business, which places whole
epochs into the shards.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from curation import store
from curation.errors import InputError
from curation.kernels.indexed import read_index

DTYPES: dict[str, np.dtype[Any]] = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}


@dataclass(frozen=True)
class Shards:
    """A folder of token shards, as its `shards.json` describes it; names are without the `.bin`."""

    folder: Path
    encoding: str
    vocabulary: int
    end_of_text: int
    dtype: np.dtype[Any]
    train: tuple[str, ...]
    validation: dict[str, tuple[str, ...]]

    def tokens(self, name: str) -> int:
        """How many tokens the shard holds, judged by the size of its file."""
        return self.path(name).stat().st_size // self.dtype.itemsize

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.bin"

    def digest(self) -> str:
        """sha256 of what a position in the train shards depends on: the shards themselves.

        That is encoding, token type, and the name, length and content of each, in their order.
        """
        noted = _noted_sha256(self.folder)
        parts = [
            [name, self.tokens(name), noted.get(name) or store.sha256(str(self.path(name)))]
            for name in self.train
        ]
        text = json.dumps([self.encoding, self.vocabulary, self.dtype.str, parts])
        return hashlib.sha256(text.encode()).hexdigest()


def _noted_sha256(folder: Path) -> dict[str, str]:
    """Shard -> sha256 of its `.bin`, from the manifest that `mix` writes last.

    A shard that is newer than the manifest is left out, and so are all where the manifest cannot be
    read: their content must be.
    """
    manifest = folder / "manifest.parquet"
    if not manifest.is_file():
        return {}
    try:
        rows = store.read_table(str(manifest), ["name", "sha256"]).to_pylist()
    except (pa.ArrowInvalid, KeyError):
        return {}
    written = manifest.stat().st_mtime_ns
    files = ((row, folder / f"{row['name']}.bin") for row in rows)
    return {
        row["name"]: row["sha256"]
        for row, file in files
        if file.is_file() and file.stat().st_mtime_ns <= written
    }


def open_shards(path: Path) -> Shards:
    """The token shards in `path`, a folder with `shards.json` or a run directory with `shards/` in
    it.

    Raises InputError when a file is missing, of another size than its index says, or not what was
    announced.
    """
    folder = next((f for f in (path, path / "shards") if (f / "shards.json").is_file()), None)
    if folder is None:
        raise InputError(
            f"{path} holds no token shards (no shards.json in it nor in its folder shards/); "
            "give a run directory after `curation mix`, or the folder itself"
        )
    listing = folder / "shards.json"
    try:
        raw = json.loads(listing.read_bytes())
        dtype = str(raw["dtype"])
        if dtype not in DTYPES:
            raise InputError(f"{listing}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        shards = Shards(
            folder=folder,
            encoding=str(raw["encoding"]),
            vocabulary=int(raw["vocabulary"]),
            end_of_text=int(raw["end_of_text"]),
            dtype=DTYPES[dtype],
            train=tuple(raw["train"]),
            validation={str(name): tuple(parts) for name, parts in raw["validation"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{listing} is not a list of token shards ({type(error).__name__}: {error}); run "
            "`curation mix` again"
        ) from error
    for name in (*shards.train, *(part for parts in shards.validation.values() for part in parts)):
        _check_shard(shards, name)
    tokens = sum(shards.tokens(name) for name in shards.train)
    if raw.get("tokens", tokens) != tokens:
        raise InputError(
            f"{listing} announces {raw['tokens']:,} training tokens, but its files hold {tokens:,} "
            f"of {dtype}: they are of another dtype, or cut short; run `curation mix` again"
        )
    return shards


def _check_shard(shards: Shards, name: str) -> None:
    path = shards.path(name)
    if not path.is_file():
        raise InputError(
            f"{path} is listed in shards.json but is not there; run `curation mix` again"
        )
    size, width = path.stat().st_size, shards.dtype.itemsize
    if size % width:
        raise InputError(
            f"{path} has {size:,} bytes, not a multiple of {width} as {shards.dtype.name} tokens "
            "need: it is cut short or of another dtype; run `curation mix` again"
        )
    announced = _index_tokens(path.with_suffix(".idx"))
    if announced is not None and announced * width != size:
        raise InputError(
            f"{path} has {size:,} bytes, but its .idx announces {announced:,} tokens of {width} "
            f"bytes ({announced * width:,} bytes): it is cut short or of another dtype; run "
            "`curation mix` again"
        )


def _index_tokens(path: Path) -> int | None:
    """The number of tokens a Megatron index announces; None where there is no index."""
    if not path.is_file():
        return None
    try:
        lengths, _ = read_index(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path}: {error}; run `curation mix` again") from error
    return int(lengths.sum())


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
        return np.stack(
            [self.window(self._visited(number)) for number in range(position, position + count)]
        )

    def visited(self, position: int, count: int) -> NDArray[np.int64]:
        """The numbers of the windows at position .. position + count - 1 in visiting order."""
        numbers = (self._visited(place) for place in range(position, position + count))
        return np.fromiter(numbers, np.int64, count)

    def window(self, number: int) -> NDArray[np.int64]:
        """The context + 1 tokens of window `number` of the stream."""
        return self._read(number * self.context, self.context + 1)

    def rest(self) -> NDArray[np.int64]:
        """The tokens after the last whole window, the one before them included; at most `context`
        tokens.
        """
        start = len(self) * self.context
        return self._read(start, self.starts[-1] - start)

    def _visited(self, position: int) -> int:
        if self.seed is None:
            return position
        shard = int(np.searchsorted(self.firsts, position, side="right")) - 1
        first, last = self.firsts[shard], self.firsts[shard + 1]
        return first + int(
            _permutation(self.seed, self.names[shard], last - first)[position - first]
        )

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
    lie).
    """
    starts, firsts = [0], [0]
    for name in names:
        starts.append(starts[-1] + shards.tokens(name))
        firsts.append(max(firsts[-1], (starts[-1] - 1) // context))
    return Windows(shards, names, tuple(starts), tuple(firsts), context, seed)


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, name: str, count: int) -> NDArray[np.int64]:
    """The order in which a shard's windows are visited: sorted by a keyed hash of their number."""
    key = xxhash.xxh3_64_intdigest(f"gpt3/windows/{seed}/{name}".encode())
    hashes = (
        xxhash.xxh3_64_intdigest(number.to_bytes(8, "little"), key) for number in range(count)
    )
    return np.argsort(np.fromiter(hashes, np.uint64, count), kind="stable")


@functools.lru_cache(maxsize=16)
def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r")
