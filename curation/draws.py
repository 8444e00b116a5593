"""Chance as a function of content: every random decision of the pipeline is made here.

A draw depends on the seed, on what it is for, and on the bytes it is made for; never on a generator with state. So it does not depend
on partitioning, order, engine or file names, and identical texts share their draws. Cost: about 0.3 microseconds a draw.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import xxhash


def _key(seed: int, purpose: str) -> int:
    return xxhash.xxh3_64_intdigest(f"{seed}/{purpose}".encode())


def uniform(seed: int, purpose: str, content: bytes) -> float:
    """A number in [0, 1), a multiple of 2**-53: the same for the same seed, purpose and content, on every machine.

    >>> uniform(0, "pareto", b"some text") == uniform(0, "pareto", b"some text")
    True
    >>> uniform(0, "pareto", b"some text") == uniform(0, "validation", b"some text")
    False
    """
    return (xxhash.xxh3_64_intdigest(content, _key(seed, purpose)) >> 11) * 2.0**-53


def uniforms(seed: int, purpose: str, contents: Iterable[bytes]) -> npt.NDArray[np.float64]:
    """`uniform` of each of `contents`: float64[n]."""
    key, digest = _key(seed, purpose), xxhash.xxh3_64_intdigest
    hashes = np.fromiter((digest(content, key) for content in contents), np.uint64)
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
