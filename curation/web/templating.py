"""Templates and their filters, for browse and for pages that stand alone. Every value is escaped; what
could turn or hide text is shown as its code.

Only charts and rendered sections of ours are passed as `Markup`: they escape what they show.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from curation.inspect.numbers import counted, number, percent, volume
from curation.rundir.metrics import span
from curation.rundir.schema import REASONS
from curation.shown import printable
from curation.web import charts
from curation.web.marked import words_found

TEMPLATES = Path(__file__).with_name("templates")
STYLE = Path(__file__).with_name("static") / "style.css"
# The one script of a page that stands alone: what is folded up is printed too.
SCRIPT = (
    'addEventListener("beforeprint",()=>{for(const folded of document.querySelectorAll("details"))'
    "folded.open=true})"
)
# Marks that turn the direction of what follows, or that take no room.
_HIDDEN = re.compile("[\u061c\u200b\u200e\u200f\u2060\ufeff\U000e0000-\U000e007f]")


def shown(text: object, keep: str = "\n\t") -> str:
    r"""Text whose control and direction marks are visible codes.

    >>> shown("a\x1b[2J\u202eb\u200f")
    'a\\x1b[2J\\u202eb\\u200f'
    """
    return _HIDDEN.sub(lambda match: _code(match[0]), printable(str(text), keep))


def _code(mark: str) -> str:
    return mark.encode("unicode_escape").decode()


def cut(text: object, most: int) -> str:
    """The first characters of a text, in one line."""
    flat = " ".join(str(text).split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def beginning(text: str, most: int = 400, lines: int = 8) -> str:
    """The first lines of a text that is cut somewhere, to the end of a word.

    >>> beginning("one two thr", 11), beginning("one", 11)
    ('one two …', 'one')
    """
    shown = [line for line in text.splitlines() if line.strip()][:lines]
    flat = "\n".join(shown)
    if len(text) < most and len(shown) < lines:
        return flat
    return flat.rpartition(" ")[0] + " …" if " " in flat else flat


def reason_of(fate: str) -> str:
    """What a fate's reason means; empty for a rule of the user, and for kept."""
    return REASONS.get(fate.partition(": ")[2], "")


@cache
def environment() -> Environment:
    """The templates, with our filters."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "shown": shown,
        "cut": cut,
        "beginning": beginning,
        "count": number,
        "whole": "{:,}".format,
        "counted": counted,
        "percent": percent,
        "volume": volume,
        "reason": reason_of,
        "span": span,
        "found": words_found,
        "part": lambda text: quote(str(text), safe=""),
    }
    templates.globals["query"] = query
    templates.globals["draw"] = DRAWINGS
    return templates


def query(**values: Any) -> str:
    """A query string of the values that are there.

    >>> query(fate="dedup: duplicate", host="", low=None)
    '?fate=dedup%3A+duplicate'
    """
    given = {name: value for name, value in values.items() if value not in ("", None)}
    return f"?{urlencode(given)}" if given else ""


def svg(drawing: str) -> Markup:
    """HTML that is ours: a drawing, or a rendered section, which escape what they show."""
    return Markup(shown(drawing))


def _drawn(chart: Callable[..., str]) -> Callable[..., Markup]:
    """A chart that a template may draw."""
    return lambda *given, **options: svg(chart(*given, **options))


DRAWINGS = {
    chart.__name__: _drawn(chart)
    for chart in (charts.histogram, charts.lines, charts.columns, charts.bars, charts.intervals)
}


def standalone(template: str, title: str, **values: Any) -> str:
    """A page in one file: its style sheet and its one script are inside, nothing is fetched.

    The page's own policy allows these two by their hashes and nothing else.
    """
    style = shown(STYLE.read_text("utf-8"))
    html = (
        environment()
        .get_template(template)
        .render(
            title=title,
            style=Markup(style),
            style_hash=_hash(style),
            script=Markup(SCRIPT),
            script_hash=_hash(SCRIPT),
            **values,
        )
    )
    return shown(html)


def _hash(text: str) -> str:
    """The hash of a style sheet or script, as a policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
