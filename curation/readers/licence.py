"""The licence that a page states for itself, where machines are told: `rel="license"`, `meta` tags,
JSON-LD.

Sought is the licence of the page's own text. One of a picture, a quotation, a data set, a program
or a theme is none, so a link in a figure does not count, nor does JSON-LD of another type than a
text. Known licences get their SPDX identifier. Where a page states two different ones, it states
none. The trap: a link says nothing of what it is about; what stands before it in the text does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urljoin

import orjson

MAX_CHARS = 300  # of an address that is kept as it is
MAX_JSON_BYTES = 1 << 20  # of all scripts of a page
MAX_JSON_DEPTH, MAX_JSON_NODES = 12, 5000
REL, META, JSON_LD, DUMP = "rel", "meta", "json-ld", "dump"
Statement = tuple[str, str]  # what is stated, and where: REL, META or JSON_LD

_CC = re.compile(
    r"(?:https?:)?//(?:[a-z]{2,3}\.)?creativecommons\.org/(licen[cs]es|publicdomain)/"
    r"([a-z+-]{2,20})(?:/(\d\.\d))?(?:/([a-z]{2,3}|igo|scotland)(?![a-z.]))?",
    re.IGNORECASE,
)
_CC_NAME = re.compile(
    r"(?:https?://spdx\.org/licenses/)?cc(?:[ -](by(?:[ -](?:nc|nd|sa))*)|[ -]?(?:0|zero))"
    r"[ -]v?(\d\.\d)(?:[ -](?:international|unported))?(?:\.(?:html|json))?",
    re.IGNORECASE,
)
_PARTS = ("by", "nc", "nd", "sa")
_ARCHIVED = re.compile(r"https?://web\.archive\.org/web/\d{4,14}[a-z_]{0,4}/", re.IGNORECASE)
# An address of no known licence counts where a word of it says that it is about terms of use: many
# rel="license" lead to an imprint or to a page about open content.
_TERMS = re.compile(
    r"licen|lizenz|lisens|copyright|rights|terms|conditions|voorwaarden|nutzung|legal|"
    r"creative-?_?commons",
    re.IGNORECASE,
)
_OTHERS = tuple(
    (re.compile(r"(?:https?:)?//(?:www\.)?" + pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?fdl(?:-(1\.\d))?\b", "GFDL"),
        (r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?gpl(?:-(\d\.\d))?\b", "GPL"),
        (r"gnu\.org/(?:licenses|copyleft)/agpl(?:-(\d\.\d))?\b", "AGPL"),
        (r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?lgpl(?:-(\d\.\d))?\b", "LGPL"),
        (
            r"[a-z-]{2,12}\.wikipedia\.org/wiki/Wikipedia:Text_of_(?:the_)?Creative_Commons_"
            r"Attribution-ShareAlike_(\d\.\d)",
            "CC-BY-SA",
        ),
        (r"apache\.org/licenses/LICENSE-(\d\.\d)\b", "Apache"),
        (r"opensource\.org/licen[sc]es?/mit(?:-license)?(?:\.php|\.html)?/?$", "MIT"),
        (r"nationalarchives\.gov\.uk/doc/open-government-licence/version/(\d)\b", "OGL-UK"),
        (r"opendatacommons\.org/licenses/odbl/(?:(?:summary|1-0|1\.0)/?)?$", "ODbL-1.0"),
        (r"opendatacommons\.org/licenses/by/(?:(?:summary|1-0|1\.0)/?)?$", "ODC-By-1.0"),
        (r"opendatacommons\.org/licenses/pddl/(?:(?:summary|1-0|1\.0)/?)?$", "PDDL-1.0"),
    )
)  # fmt: skip
_URL = re.compile(r"https?://[^\s<>\"'\\^`{|}]+", re.IGNORECASE)


def identifier(statement: str) -> str | None:
    """The identifier of a known licence, from its address or its name; None for all else.

    >>> identifier("http://creativecommons.org/licenses/by-nd-nc/2.0/de/deed.en")
    'CC-BY-NC-ND-2.0-DE'
    >>> identifier("//creativecommons.org/publicdomain/zero/1.0/"), identifier("CC BY-SA 4.0")
    ('CC0-1.0', 'CC-BY-SA-4.0')
    >>> identifier("https://www.gnu.org/licenses/fdl-1.3.html"), identifier("https://a.example/terms")
    ('GFDL-1.3', None)
    """
    statement = _ARCHIVED.sub("", statement.strip()[:MAX_CHARS], count=1)
    if match := _CC.match(statement):
        return _creative_commons(*match.groups())
    if match := _CC_NAME.fullmatch(statement):
        kind = match[1] and match[1].lower().replace(" ", "-")
        return _by(kind, match[2], None) if kind else f"CC0-{match[2]}"
    for pattern, name in _OTHERS:
        if match := pattern.match(statement):
            version = match[1] if pattern.groups else None
            number = f"{version}.0" if name == "OGL-UK" else version
            return f"{name}-{number}" if version else name
    return None


def _creative_commons(folder: str, kind: str, version: str | None, place: str | None) -> str | None:
    folder, kind = folder.lower(), kind.lower()
    if folder == "publicdomain":
        return {"zero": "CC0-1.0", "mark": "PDM-1.0"}.get(kind)
    if kind == "publicdomain":
        return "CC-PDDC"
    return _by(kind, version, place)


def _by(kind: str, version: str | None, place: str | None) -> str | None:
    parts = set(kind.split("-"))
    if not parts <= set(_PARTS):
        return None
    name = "-".join(part.upper() for part in _PARTS if part in parts)
    return "-".join(
        ["CC", name, *([version] if version else []), *([place.upper()] if place else [])]
    )


def page_license(statements: Sequence[Statement], url: str | None) -> tuple[str | None, str | None]:
    """The licence of a page and where it is stated, from all of its statements.

    An identifier goes before an address that is none, a more exact one before one without version
    or country. Two that differ in more than that are none. Of equal ones the first place of rel,
    meta, json-ld is named.

    >>> page_license([("/terms", "rel"), ("https://creativecommons.org/licenses/by/4.0/", "json-ld")],
    ...              "https://a.example/b")
    ('CC-BY-4.0', 'json-ld')
    """
    places: dict[str, str] = {}
    order = (REL, META, JSON_LD)
    for stated, place in sorted(statements, key=lambda statement: order.index(statement[1])):
        name = identifier(stated) or _address(stated, place, url)
        if name is not None:
            places.setdefault(name, place)
    known = [name for name in places if "://" not in name] or list(places)
    longest = max(known, key=len, default=None)
    if longest is None or not all(_is_part(name, longest) for name in known):
        return None, None
    return longest, places[longest]


def _is_part(name: str, longest: str) -> bool:
    """Whether the longest says all that a name says: CC-BY of CC-BY-4.0, not of CC-BY-SA-4.0."""
    if name == longest:
        return True
    return longest.startswith(f"{name}-") and not longest[len(name) + 1 :].startswith(("N", "SA"))


def _address(stated: str, place: str, url: str | None) -> str | None:
    """An address as it is, those of links made whole; None for what is no http address."""
    stated = stated.strip()
    if not stated or stated.startswith("#") or len(stated) > MAX_CHARS:
        return None
    if place == REL and "://" not in stated[:10]:
        try:
            stated = urljoin(url or "", stated)
        except ValueError:
            return None
    is_address = _URL.fullmatch(stated) is not None and len(stated) <= MAX_CHARS
    return stated if is_address and _TERMS.search(stated) else None


def addresses_in(text: str) -> Iterator[str]:
    """The addresses of known licences in a text such as a `meta` tag's, or its name where the text is
    one.

    >>> list(addresses_in("Copyright A. Smith; see https://creativecommons.org/licenses/by/4.0/."))
    ['https://creativecommons.org/licenses/by/4.0/.']
    """
    text = text.strip()[:2000]
    if identifier(text):
        yield text
        return
    for match in _URL.finditer(text):
        if identifier(match[0]):
            yield match[0]


def dump_license(value: Any) -> str | None:
    """The licence in a field of Wikimedia's dumps: an object with `identifier` or `url`, or a list of
    these; None for several that differ.

    >>> dump_license([{"name": "...", "identifier": "CC-BY-SA-3.0", "url": "https://a.example"}])
    'CC-BY-SA-3.0'
    """
    names = set()
    for item in (value if isinstance(value, list) else [value])[:20]:
        stated = [item.get(key) for key in ("identifier", "url")] if isinstance(item, dict) else []
        texts = [text for text in stated if isinstance(text, str)]
        names.update([name for text in texts if (name := identifier(text))][:1])
    return names.pop() if len(names) == 1 else None


# ---- JSON-LD -------------------------------------------------------------------------------------

# Types of schema.org that are the text of a page; others (ImageObject, Dataset, SoftwareApplication,
# Product, WebSite ...) are works on it or things that it is about.
_TEXTS = re.compile(
    r"(?:https?://schema\.org/|schema:)?(?:\w{0,30}Article|\w{0,20}Posting|\w{0,20}Page|CreativeWork|"
    r"Report|Blog|Book|Chapter|Course|LearningResource|HowTo|Recipe|Guide|Review|"
    r"Question|Answer|DefinedTerm|Quiz|Thesis|Poem|ShortStory|Legislation)"
)
_WHOLE = ("@graph", "mainEntity", "mainEntityOfPage")


def json_ld_licenses(script: bytes) -> Iterator[str]:
    """What JSON-LD states as the licence of the texts that it describes at its top, in lists, in
    `@graph`, and as main entity; nothing where it is no JSON.

    >>> list(json_ld_licenses(b'{"@type": "Article", "license": "https://a.example/l",'
    ...                       b' "image": {"@type": "ImageObject", "license": "https://b.example"}}'))
    ['https://a.example/l']
    """
    try:
        top = orjson.loads(script.decode("utf-8", "replace").strip().removesuffix(";"))
    except (orjson.JSONDecodeError, RecursionError):
        return
    waiting: list[tuple[Any, int]] = [(top, 0)]
    for _ in range(MAX_JSON_NODES):
        if not waiting:
            return
        node, depth = waiting.pop()
        if depth > MAX_JSON_DEPTH:
            continue
        if isinstance(node, list):
            waiting += [(item, depth + 1) for item in node[:MAX_JSON_NODES]]
        elif isinstance(node, dict):
            waiting += [(node[key], depth + 1) for key in _WHOLE if key in node]
            if _is_text(node.get("@type")):
                yield from _stated(node.get("license"))


def _is_text(kind: Any) -> bool:
    kinds = kind if isinstance(kind, list) else [kind]
    return any(isinstance(kind, str) and _TEXTS.fullmatch(kind) for kind in kinds[:20])


def _stated(value: Any) -> Iterator[str]:
    """The address, or the name, of a licence: a text, an object, or a list of these."""
    for item in (value if isinstance(value, list) else [value])[:20]:
        if isinstance(item, dict):
            item = next(
                (item[k] for k in ("@id", "url", "name") if isinstance(item.get(k), str)), None
            )
        if isinstance(item, str):
            yield item
