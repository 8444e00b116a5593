"""How likely bands of a MinHash signature are to find a pair, and which bands to take.

Two documents of Jaccard similarity J agree in a band of r hashes with probability J^r, so b bands
find them with 1 - (1 - J^r)^b (Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", 3.4).
Pure arithmetic; no files.

Trap: datasketch's optimal parameters weigh pairs missed against unlike pairs found, since its
candidates are the answer: for 0.8 and 128 hashes 9 bands of 13, which find 4 of 10 pairs at 0.8.
Here every candidate is measured and an unlike one costs only time, so what a pair at the threshold
is found with is given, and the cost is least under it.
"""

from __future__ import annotations

FOUND = 0.99  # probability with which chosen bands find a pair that is just similar enough


def chance_found(jaccard: float, bands: int, rows: int) -> float:
    """The probability that a pair of this similarity is found.

    >>> [round(chance_found(j, 20, 6), 3) for j in (0.3, 0.5, 0.8, 1.0)]
    [0.014, 0.27, 0.998, 1.0]
    """
    return 1.0 - (1.0 - jaccard**rows) ** bands


def choose_bands(min_jaccard: float, hashes: int) -> tuple[int, int]:
    """Bands and rows of at most so many hashes that find a pair at `min_jaccard` with FOUND: most
    rows, then fewest bands.

    Raises ValueError where no bands do.

    >>> choose_bands(0.8, 128), choose_bands(0.5, 128), choose_bands(0.95, 128)
    ((16, 6), (35, 3), (8, 16))
    """
    for rows in range(hashes, 0, -1):
        for bands in range(1, hashes // rows + 1):
            if chance_found(min_jaccard, bands, rows) >= FOUND:
                return bands, rows
    raise ValueError(
        f"hashes: {hashes} cannot find pairs of a Jaccard similarity of {min_jaccard:g} with probability {FOUND:g}; "
        "give more hashes or a higher min_jaccard"
    )
