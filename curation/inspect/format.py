"""Numbers and tables as every view of a run prints them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.markup import escape
from rich.table import Table


def number(value: int) -> str:
    """Documents: whole below a million, then three digits and a unit.

    >>> [number(n) for n in (0, 999_999, 1_234_567)]
    ['0', '999,999', '1.23M']
    """
    return f"{value:,}" if value < 1_000_000 else compact(value)


def compact(value: int | None) -> str:
    """Tokens or characters: whole below ten thousand, then three digits and a unit.

    >>> [compact(n) for n in (9_999, 10_000, 999_950, 1_234_567, 20_008_672, 3 * 10**11)]
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


def percent(share: float | None, digits: int = 1) -> str:
    """A share, empty where it is not known.

    >>> percent(0.1234), percent(0.1234, 2), percent(None)
    ('12.3%', '12.34%', '')
    """
    return "" if share is None else f"{share:.{digits}%}"


def measure(value: float | None) -> str:
    """A figure of a fit with four decimals, "-" where it could not be measured.

    >>> measure(0.98765), measure(None)
    ('0.9877', '-')
    """
    return "-" if value is None else f"{value:.4f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them.

    >>> duration(3.2), duration(300), duration(40_000)
    ('3 s', '5 min', '11 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def plain_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]] = (),
    *,
    title: str = "",
    left: Collection[int] = (0,),
    show_header: bool = True,
) -> Table:
    """A table without lines: the columns numbered in `left` to the left, numbers to the right."""
    out = Table(
        title=escape(title) or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        show_header=show_header,
    )
    for i, name in enumerate(head):
        out.add_column(escape(name), justify="left" if i in left else "right", overflow="fold")
    for row in rows:
        out.add_row(*map(escape, row))
    return out
