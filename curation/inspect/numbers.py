"""Numbers for people: on a terminal and on a page alike."""

from __future__ import annotations


def number(value: int) -> str:
    """Documents: whole below a million, then three digits and a unit.

    >>> [number(n) for n in (0, 999_999, 1_234_567)]
    ['0', '999,999', '1.23M']
    """
    return f"{value:,}" if value < 1_000_000 else volume(value)


def volume(value: int | None) -> str:
    """Tokens or characters: whole below ten thousand, then three digits and a unit.

    >>> [volume(n) for n in (9_999, 10_000, 999_950, 1_234_567, 20_008_672, 3 * 10**11)]
    ['9,999', '10.0K', '1.00M', '1.23M', '20.0M', '300B']
    """
    if value is None or value < 10_000:
        return "" if value is None else f"{value:,}"
    size, unit = next(
        (s, u)
        for s, u in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
        if value >= 0.9995 * s
    )
    scaled = value / size
    return f"{scaled:.{max(0, 2 - (scaled >= 9.995) - (scaled >= 99.95))}f}{unit}"


def file_size(size: float) -> str:
    """A size in bytes on disk or in memory.

    >>> file_size(900), file_size(2_040_000), file_size(2.34e9)
    ('1 kB', '2 MB', '2.3 GB')
    """
    unit, name = next(
        (u, n)
        for u, n in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
        if size >= u or n == "kB"
    )
    return f"{size / unit:.{0 if unit < 1e9 else 1}f} {name}"


def duration(seconds: float) -> str:
    """A rough time.

    >>> duration(3.2), duration(300), duration(40_000)
    ('3 s', '5 min', '11 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def metric(value: float | None) -> str:
    """A measure of a model, to four digits; `-` where it could not be measured.

    >>> metric(0.5), metric(None)
    ('0.5000', '-')
    """
    return "-" if value is None else f"{value:.4f}"


def counted(count: int, noun: str) -> str:
    """A count and its noun.

    >>> counted(1, "place"), counted(1200, "place")
    ('1 place', '1,200 places')
    """
    return f"{count:,} {nouns(count, noun)}"


def nouns(count: int, noun: str) -> str:
    """A noun as its count has it.

    >>> nouns(1, "document"), nouns(0, "document")
    ('document', 'documents')
    """
    return noun if count == 1 else f"{noun}s"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of a whole; empty where it is unknown.

    >>> percent(0.1234), percent(1.0, 0), percent(None)
    ('12.3 %', '100 %', '')
    """
    return "" if share is None else f"{100 * share:.{digits}f} %"
