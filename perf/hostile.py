"""Pages made to hurt, at five sizes: `python perf/hostile.py [--extractor blocks] [--only a]`.

Each page runs in a process of its own that has extracted a small page before, as the child of a
worker has. Prints seconds of the processor and the peak of memory in MB (that of the process, its
libraries included) at 1, 2, 4, 8 and 10 MB, the largest growth of seconds and of the page's own
memory for a doubling of the size, and what became of the page. A page refused by counting shows the
cost of the counting.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import click
import orjson

from curation.blocks.shape import page_shape
from curation.compiler import load_without_extras
from curation.readers import page_sandbox
from curation.readers.html import EXTRACTORS, MAX_NODES, MAX_OTHER_NODES, Form, page_text
from curation.readers.records import Page

STORY = (
    "The whole story of the little mill by the river is told here, and it is a long one indeed. "
)
TAGS = ("p", "div", "li", "td", "tr", "table", "a", "b", "font", "span", "h1", "pre", "button",
        "select", "option", "svg", "math", "template", "html", "body", "nobr", "form", "script",
        "title", "ruby")  # fmt: skip
# What stands for one tag; `T` is the tag's name, `N` a running number.
SHAPES = {
    "open": "<T>x ",
    "closed": "<T>x</T> ",
    "closed without text": "<T></T>",
    "ended only": "x</T>",
    "an attribute": "<T aN=1>x ",
    "a class": '<T class="cN">x</T>',
    "name with a number": "<TN>x</TN>",
    "in a table": "<table><T>x ",
}
SPECIAL = {
    "deep, often": "<div>" * 1000 + "x" + "</div>" * 1000,
    "lists nested": "<ul><li>",
    "tables nested": "<table><tr><td>",
    "formatting left open": "<b><i><font><p>",
    "links left open": "<a href=x><p>x",
    "misnested": "<b><p></b></p><i><div></i>",
    "breaks": "x<br>",
    "less than": "<",
    "less than, letter": "<a",
    "slashes": "</",
    "end tags without a name": "</>",
    "names with numbers": "<tN>x</tN>",
    "comments": "<!-- -->",
    "comments without an end": "<!--",
    "comments of a sign": "<!x>",
    "instructions": "<?x>",
    "entities": "&amp;",
    "entities that are none": "&nosuch",
    "entities, cut": "&am",
    "numeric entities": "&#x10ffff;",
    "doctypes": "<!doctype html>",
    "cdata": "<![CDATA[",
    "one line": STORY,
    "words": "x ",
    "a word": "x",
    "spaces": " ",
    "line feeds": "\n x",
    "tabs": "\t",
    "right to left marks": "\u202e\u2066x",
    "zeros": "\0",
    "control characters": "\x01",
    "control characters of two bytes": "\x80",
    "han": "\u6f22",
    "emoji": "\U0001f600",
    "marks": "a\u0300\u0316",
    "rows": "<tr><td>x<td>y",
    "captions": "<table><caption>",
    "quotes": "<p a='x\"' b=\"y'\">x",
    "frames": "<frameset><frame>",
    "foreign text": "<svg><desc><p>x",
    "foster parents": "<table><b>x<tr>",
    "headings": "<h1>x<h2>y",
    "end of head": "</head><meta a=1>",
    "forms": "<form><input>",
}
IN = {
    "after a script's start": "<script>",
    "after a title's start": "<title>",
    "after a tag's start": "<p ",
}


HEAVY = {"li": "<li>x</li> ", "table": "<table><td>x</table>y "}
MOST_GROWTH = 2.3  # for a doubling; measured anew where it is more, since other processes disturb


class Cost(NamedTuple):
    """Seconds and peak MB of a page, and "ok" or the reason of its refusal."""

    seconds: float
    mb: float
    outcome: str


def generators() -> dict[str, Callable[[int], bytes]]:
    """Return functions of a size in bytes, by name."""
    found: dict[str, Callable[[int], bytes]] = {}

    def add(name: str, unit: str, head: str = "") -> None:
        found[name] = lambda size: (head + "".join(_units(unit, size))).encode()

    for shape, unit in SHAPES.items():
        for tag in TAGS:
            add(f"{tag}, {shape}", unit.replace("T", tag))
    for name, unit in SPECIAL.items():
        add(name, unit)
    for place, head in IN.items():
        for name in ("slashes", "a word", "less than, letter", "comments", "spaces"):
            add(f"{name} {place}", SPECIAL[name], head)
    add("attributes in one tag", " aN=1", "<p ")
    add("one attribute", STORY, "<p title='")
    attributes = " ".join(f"a{n}=1" for n in range(4000))
    add("attributes, many tags", f"<p {attributes}>x</p>")
    for name in ("li", "table"):  # as many as are let through, then text of four bytes a character
        for most in (MAX_OTHER_NODES, MAX_NODES):
            found[f"{name}, {most} nodes"] = partial(_up_to, HEAVY[name], most)
    found["bytes that are no encoding"] = lambda size: bytes(range(128, 256)) * (size // 128)
    found["charsets"] = lambda size: b"<meta charset=x-none>" * (size // 21) + b"\xff"
    return found


def _up_to(unit: str, most: int, size: int) -> bytes:
    """Return a page of `most` nodes where it has room for them, then text."""
    nodes = page_shape(unit.encode()).nodes
    body = ("\U0001f600" + unit * min((most - 2) // nodes, size // len(unit))).encode()
    return body + b"<p>" + STORY.encode() * ((size - len(body)) // len(STORY))


def _units(unit: str, size: int) -> Iterator[str]:
    """Yield a unit until it has `size` bytes, a running number in place of N."""
    if "N" not in unit:
        yield unit * (size // len(unit.encode()))
        return
    n = 0
    while size > 0:
        text = unit.replace("N", str(n))
        yield text
        size -= len(text.encode())
        n += 1


def cost(body: bytes, extractor: str, most_s: float, most_bytes: int) -> Cost:
    """Return the cost of a page in a process of its own, forked from this one."""
    page = pickle.dumps([Page(body, None, None, None, "text/html", 0)])
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        _measure(page, extractor, most_s, most_bytes, write)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        answer = stream.read()
    _, status, usage = os.wait4(pid, 0)
    if answer:
        return Cost(*orjson.loads(answer))
    code = os.waitstatus_to_exitcode(status)
    outcome = "too_slow" if code == -signal.SIGPROF else f"died ({code})"
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, outcome)


def _measure(page: bytes, extractor: str, most_s: float, most_bytes: int, line: int) -> None:
    """Extract as the child of a worker does, write the cost to a pipe and end the process."""
    try:
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
        # Libraries that this process has not touched yet are not in its memory, and count.
        missing = page_sandbox._memory("VmRSS", os.getppid()) - page_sandbox._memory("VmRSS")
        with open("/proc/self/clear_refs", "w") as stream:  # the peak begins anew
            stream.write("5")
        began = time.process_time()
        (one,) = pickle.loads(page)
        answer = page_sandbox._limited(one, extractor, Form(), most_s)
        orjson.dumps([answer])
        seconds = time.process_time() - began
        peak = (missing + page_sandbox._memory("VmHWM")) / 1e6
        outcome = answer[0] if len(answer) == 2 else "ok"  # the text itself may be 10 MB
        os.write(line, orjson.dumps([seconds, peak, outcome]))
    except MemoryError:
        os._exit(9)
    finally:
        os._exit(0)


def growth(costs: dict[int, Cost], base: float) -> tuple[float, float]:
    """Return the largest growth of seconds and of MB above `base` for a doubling, noise left out."""
    sizes = [size for size in costs if 2 * size in costs]
    seconds = [costs[2 * n].seconds / max(costs[n].seconds, 0.1) for n in sizes]
    mb = [max(costs[2 * n].mb - base, 40) / max(costs[n].mb - base, 40) for n in sizes]
    return max(seconds, default=0), max(mb, default=0)


def row(name: str, costs: dict[int, Cost], base: float) -> str:
    """Return one line of the table."""
    cells = [f"{one.seconds:7.2f}{one.mb:7.0f}" for one in costs.values()]
    seconds, mb = growth(costs, base)
    outcomes = ", ".join(dict.fromkeys(one.outcome for one in costs.values()))
    return f"{name[:42]:42}{''.join(cells)}{seconds:6.2f}{mb:6.2f}  {outcomes}"


@click.command()
@click.option("--extractor", type=click.Choice(EXTRACTORS), default="blocks", show_default=True)
@click.option("--only", default="", help="pages whose name holds this")
@click.option("--sizes", default="1,2,4,8,10", show_default=True, help="MB")
@click.option("--seconds", default=30.0, show_default=True, help="limit of processor time")
@click.option("--gb", default=8.0, show_default=True, help="limit of address space")
@click.option("--most", default=10, show_default=True, help="lines of the lists of the worst")
def main(extractor: str, only: str, sizes: str, seconds: float, gb: float, most: int) -> None:
    """Print the table, then its worst lines."""
    load_without_extras(pandas=True)  # as the child does
    page_text(page_sandbox._TRIAL, extractor, Form())
    megabytes = [int(size) for size in sizes.split(",")]
    trial = page_sandbox._TRIAL.body
    base = min(cost(trial, extractor, seconds, int(gb * 1e9)).mb for _ in range(5))
    print(
        f"{extractor}: {base:.0f} MB before a page; seconds and peak MB at {sizes} MB, growth of each"
    )
    costs: dict[str, dict[int, Cost]] = {}
    for name, make in generators().items():
        if only not in name:
            continue
        costs[name] = {}
        for _ in range(3):
            for size in megabytes:
                new = cost(make(size * 1_000_000), extractor, seconds, int(gb * 1e9))
                costs[name][size] = min(costs[name].get(size, new), new)
            if growth(costs[name], base)[0] <= MOST_GROWTH:
                break
        print(row(name, costs[name], base), flush=True)
    orders: dict[str, Callable[[str], float]] = {
        "seconds": lambda name: max(one.seconds for one in costs[name].values()),
        "MB": lambda name: max(one.mb for one in costs[name].values()),
        "growth of seconds": lambda name: growth(costs[name], base)[0],
        "growth of MB": lambda name: growth(costs[name], base)[1],
    }
    print(f"\n{len(costs)} pages")
    for title, order in orders.items():
        print(f"\nthe worst in {title}")
        for name in sorted(costs, key=order, reverse=True)[:most]:
            print(row(name, costs[name], base))


if __name__ == "__main__":
    sys.exit(main())
