"""What a page and its HTTP headers forbid to crawlers: X-Robots-Tag, `<meta name="robots">`, the
TDM Reservation Protocol, Content-Usage.

The result is a list of directives in small letters, sorted, joined by commas. What permits or says
nothing (`all`, `index`, `max-snippet:-1`) is left out, and so is a word that is no known directive.
Directives for one crawler count where it gathers for AI (`AI_AGENTS`); those for a search engine do
not. The trap: silence permits nothing. It is "" where headers and page were read, and None where
the headers were not there.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterable, Mapping, Sequence

MAX_CHARS = 4000  # of one header or attribute that are read
MAX_LINES = 50  # of a header
MAX_DIRECTIVES = 40
# Crawlers whose pages go into training data or into answers of models, by their own names.
_AGENTS = (
    "ai2bot ai2bot-dolma amazonbot anthropic-ai applebot-extended bytespider ccbot chatgpt-user "
    "claude-searchbot claude-user claude-web claudebot cohere-ai cohere-training-data-crawler "
    "diffbot duckassistbot facebookbot friendlycrawler google-cloudvertexbot google-extended "
    "gptbot icc-crawler imagesiftbot img2dataset kangaroo-bot meta-externalagent meta-externalfetcher "
    "mistralai-user oai-searchbot omgili omgilibot pangubot perplexity-user perplexitybot "
    "petalbot semrushbot-ocob sidetrade-indexer-bot timpibot velenpublicwebcrawler webzio-extended "
    "youbot"
)
AI_AGENTS = frozenset(_AGENTS.split())
_EVERYONE = frozenset(["*", "robots"])
NAMES = AI_AGENTS | {"robots", "tdm-reservation"}  # of `<meta name=...>`
_FORBIDDING = (
    "disallowaitraining noai noarchive nocache nofollow noimageai noimageindex noindex noml "
    "nosnippet notranslate"
)
_WORDS = frozenset(_FORBIDDING.split())
_NUMBERS = frozenset(["max-snippet", "max-video-preview"])  # -1 is no limit
_PREVIEWS = frozenset(["none", "standard"])  # "large" is no limit
_UNTIL = "unavailable_after"
_UNTIL_DATE = re.compile(r"unavailable_after\s*:?\s*([^,;]*(?:,\s*\d[^,;]*)?)")
_ISO_DATE = re.compile(r"\d{4}-[01]\d-[0-3]\d")
_AROUND_COLON = re.compile(r"\s{0,99}:\s{0,99}")
_SEPARATORS = re.compile(r"[,;\s]+")
_AGENT = re.compile(r"([a-z0-9*][a-z0-9_.*+-]{0,60}):(.*)", re.DOTALL)
_USAGE = re.compile(r"([a-z][a-z0-9-]{0,30})\s{0,9}=\s{0,9}n\b")


def header_directives(fields: Mapping[str, str]) -> str:
    r"""The directives of HTTP headers, names in small letters; the lines of X-Robots-Tag are joined
    by line feeds.

    >>> header_directives({"x-robots-tag": "noindex, nofollow\nbingbot: noarchive\nGPTBot: noai"})
    'noai,nofollow,noindex'
    >>> header_directives({"tdm-reservation": "1", "content-usage": "train-ai=n, search=y"})
    'tdm-reservation,train-ai=n'
    >>> header_directives({"content-type": "text/html"})
    ''
    """
    found: set[str] = set()
    if tag := fields.get("x-robots-tag"):
        for line in tag[:MAX_CHARS].split("\n")[:MAX_LINES]:
            found |= _directives(line, has_agents=True)
    if _is_reserved(fields.get("tdm-reservation", "")):
        found.add("tdm-reservation")
    if usage := fields.get("content-usage"):
        found.update(f"{use}=n" for use in _USAGE.findall(usage[:MAX_CHARS].lower()))
    return _listed(found)


def with_page(headers: str | None, metas: Sequence[tuple[str, str]]) -> str | None:
    """The directives of headers, and those of a page's `meta` tags (small name, content).

    >>> with_page("noai", [("robots", "INDEX, NoFollow"), ("googlebot", "noindex")])
    'noai,nofollow'
    >>> with_page("", []), with_page(None, []), with_page(None, [("tdm-reservation", "1")])
    ('', None, 'tdm-reservation')
    """
    found = set(headers.split(",")) if headers else set()
    for name, content in metas:
        if name == "tdm-reservation":
            found.update([name] if _is_reserved(content) else [])
        elif name in AI_AGENTS or name in _EVERYONE:
            found |= _directives(content)
    return _listed(found) or headers


def _is_reserved(value: str) -> bool:
    """Whether one of the values of `tdm-reservation` is 1."""
    return "1" in (part.strip() for part in value[:MAX_CHARS].split(","))


def _listed(directives: Iterable[str]) -> str:
    return ",".join(sorted(directives)[:MAX_DIRECTIVES])


def _directives(value: str, *, has_agents: bool = False) -> set[str]:
    """The directives of one header or attribute that count.

    In a header a name with a colon before a directive says whom it, and those behind it, are for.
    """
    value = value[:MAX_CHARS].lower()
    found: set[str] = set()
    counts = True
    date = _UNTIL_DATE.search(value)
    if date is not None:
        value = f"{value[: date.start()]} {_UNTIL} {value[date.end() :]}"
    for word in _SEPARATORS.split(_AROUND_COLON.sub(":", value)):
        agent = _AGENT.fullmatch(word) if has_agents else None
        while agent is not None and not agent[1].startswith("max-"):
            counts = agent[1] in AI_AGENTS or agent[1] in _EVERYONE
            word = agent[2]
            agent = _AGENT.fullmatch(word)
        if counts:
            found.update(_normal(word, date[1] if date else ""))
    return found


def _normal(word: str, date: str) -> tuple[str, ...]:
    """One directive as it is written in the list; none where it forbids nothing or is not known."""
    if word in _WORDS:
        return (word,)
    if word == "none":
        return ("nofollow", "noindex")
    if word == _UNTIL:
        day = _day(date)
        return (f"{_UNTIL}:{day}" if day else _UNTIL,)
    name, _, value = word.partition(":")
    is_limit = name in _NUMBERS and value.isdecimal() and value.isascii() and len(value) < 10
    if is_limit or (name == "max-image-preview" and value in _PREVIEWS):
        return (f"{name}:{int(value) if is_limit else value}",)
    return ()


def _day(date: str) -> str | None:
    """The day of a date as RFC 850, RFC 822 or ISO 8601 write it, None for anything else.

    >>> _day("25 jun 2010 15:00:00 pst"), _day("2020-09-21t10:00"), _day("soon")
    ('2010-06-25', '2020-09-21', None)
    """
    if match := _ISO_DATE.search(date):
        return match[0]
    parsed = email.utils.parsedate(date[:60])
    return "{:04d}-{:02d}-{:02d}".format(*parsed) if parsed else None
