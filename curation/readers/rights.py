"""What a page says of its use: robots directives and licence, from the tags that were found in it.

The trap: all of it is hostile text. Sizes are bounded, and what is malformed counts as not there.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator
from functools import cache

from curation.blocks.shape import Tags
from curation.blocks.tags import JSON_LD, META, Flags, first_letters, rights_tags
from curation.readers import licence, robots
from curation.readers.records import Page, Rights

MAX_TAG_BYTES = 8192
# A value may be cut off at `MAX_TAG_BYTES`.
_ATTRIBUTE = re.compile(
    r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)(?:"|\Z)|'([^']*)(?:'|\Z)|([^\s"'<>]+)))?""", re.ASCII
)
_META_NAME = re.compile(
    rb"""[\s"'/](?:name|property)\s*=\s*["']?\s*([\w.:*-]{1,40})""", re.IGNORECASE
)
_METAS = (
    "dc.rights dc.rights.license dc:rights dcterms.rights dcterms:rights dcterms.license "
    "dcterms:license dcterms.rights.license dc.license dc:license cc:license license licence rights "
    "copyright"
)
_RELS = "license licence cc:license dct:license dcterms:license xhv:license"
_ADDRESSES = "dcterms.license dcterms:license dc.rights.license cc:license"
_LICENSE_METAS = frozenset(_METAS.split())
_LICENSE_RELS = frozenset(_RELS.split())
_ADDRESS_METAS = frozenset(_ADDRESSES.split())


def page_rights(page: Page, tags: Tags) -> Rights:
    """The rights that a page's headers and tags state."""
    metas: list[tuple[str, str]] = []
    statements: list[licence.Statement] = []
    left = licence.MAX_JSON_BYTES
    html = tags.html
    for kind, is_aside, start, end, content_end in rights_tags(tags, _meta_letters()).tolist():
        if kind == META:
            if (name := _meta_name(html, start, min(end, start + 300))) is None:
                continue
            content = _attributes(html[start:end]).get("content", "")
            if name in robots.NAMES:
                metas.append((name, content))
            if name in _LICENSE_METAS:
                statements += [(text, licence.META) for text in _meta_statements(name, content)]
        elif kind == JSON_LD:
            left -= content_end - end
            script = html[end:content_end] if left >= 0 else b""
            if b'"license"' in script:
                statements += [(text, licence.JSON_LD) for text in licence.json_ld_licenses(script)]
        elif not is_aside:
            statements += [(text, licence.REL) for text in _link(html[start:end])]
    license_, source = licence.page_license(statements, page.url)
    return Rights(robots.with_page(page.robots, metas), license_, source)


@cache
def _meta_letters() -> Flags:
    return first_letters(robots.NAMES | _LICENSE_METAS)


def _meta_name(html: bytes, start: int, end: int) -> str | None:
    """The name of a `meta` tag in small letters, None where nothing is sought under it."""
    match = _META_NAME.search(html, start, end)
    name = match[1].decode("ascii", "replace").lower() if match else ""
    return name if name in robots.NAMES or name in _LICENSE_METAS else None


def _meta_statements(name: str, content: str) -> Iterator[str]:
    known = list(licence.addresses_in(content))
    yield from known
    if not known and name in _ADDRESS_METAS:
        yield content


def _link(tag: bytes) -> Iterator[str]:
    attributes = _attributes(tag)
    rels = attributes.get("rel", "").lower().split()
    if not _LICENSE_RELS.isdisjoint(rels) and (address := attributes.get("href")):
        yield address


def _attributes(tag: bytes) -> dict[str, str]:
    """The attributes of a start tag, names in small letters; of equal names the first counts."""
    text = tag[:MAX_TAG_BYTES].decode("utf-8", "replace")
    found: dict[str, str] = {}
    for name, *values in _ATTRIBUTE.findall(text[1:]):
        found.setdefault(name.lower(), entities.unescape("".join(values)))
    return found
