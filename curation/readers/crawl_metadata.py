"""What a crawl itself found out about a page: its language and its charset.

Common Crawl writes both into a `metadata` record behind the page's own, and the language into the
header of its WET records. Costs some microseconds a record. The trap: nothing there is to be
trusted; what does not look as expected is as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import orjson

from curation.readers.payload import Raw
from curation.readers.records import Page, Reject, Skipped, Verdict

MAX_BLOCK_BYTES = 1 << 16
SURE_BYTES = 200  # of text
_MAX_HELD = 8  # records that hold no page, between a page and its metadata
_MAX_LANGUAGES = 8
_CODE = re.compile(r"[a-z]{3}", re.ASCII)
_CHARSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,39}", re.ASCII)
_FIELD = re.compile(rb"^(charset-detected|languages-cld2):([^\r\n]*+)", re.M)
Outcome = Page | Reject | Skipped


def with_metadata(records: Iterable[tuple[Raw | Reject | Skipped, Outcome]]) -> Iterator[Outcome]:
    """The outcomes in their order, pages with what the metadata behind them says.

    A page is held back until its metadata record, another page, or `_MAX_HELD` other records came.
    """
    held: list[Outcome] = []
    for raw, outcome in records:
        page = held[0] if held else None
        if not isinstance(page, Page) or not isinstance(outcome, Skipped):
            yield from held
            held = [outcome]
            if not isinstance(outcome, Page):
                yield held.pop()
            elif isinstance(raw, Raw) and raw.identified_language:
                held[0] = replace(outcome, verdict=identified(raw.identified_language))
            continue
        held.append(outcome)
        is_its_own = isinstance(raw, Raw) and is_about(raw, page)
        if isinstance(raw, Raw) and is_its_own:
            verdict, charset = stated(raw.block or b"")
            held[0] = replace(page, verdict=verdict, detected_charset=charset)
        if is_its_own or len(held) > _MAX_HELD:
            yield from held
            held = []
    yield from held


def is_about(raw: Raw, page: Page) -> bool:
    """Whether a record is the metadata of a page: by the ids it names, else by its address."""
    if raw.kind != "metadata" or "warc-fields" not in raw.content_type:
        return False
    if raw.refers_to and page.record_id:
        return page.record_id in raw.refers_to
    return page.url is not None and raw.url == page.url


def stated(block: bytes) -> tuple[Verdict | None, str | None]:
    r"""The language and the charset that the block of a metadata record states.

    >>> stated(b'charset-detected: UTF-8\r\nlanguages-cld2: {"reliable":true,"text-bytes":99,'
    ...        b'"languages":[{"code":"en","code-iso-639-3":"eng","text-covered":0.9}]}\r\n')
    (Verdict(shares=(('eng', 0.9),), is_reliable=True, text_bytes=99), 'UTF-8')
    """
    if len(block) > MAX_BLOCK_BYTES:
        return None, None
    fields = dict(reversed(_FIELD.findall(block)))  # of a repeated one the first
    charset = fields.get(b"charset-detected", b"").strip().decode("ascii", "replace")
    try:
        verdict = _verdict(orjson.loads(fields.get(b"languages-cld2", b"")))
    except orjson.JSONDecodeError:
        verdict = None
    return verdict, charset if _CHARSET.fullmatch(charset) else None


def _verdict(value: Any) -> Verdict | None:
    """CLD2's answer as Common Crawl writes it."""
    entries = value.get("languages") if isinstance(value, dict) else None
    if not isinstance(entries, list) or not 0 < len(entries) <= _MAX_LANGUAGES:
        return None
    shares = []
    for entry in entries:
        code = entry.get("code-iso-639-3") if isinstance(entry, dict) else None
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            return None
        share = entry.get("text-covered")
        if type(share) not in (int, float) or not 0 <= share <= 1:
            return None
        shares.append((code, float(share)))
    reliable, size = value.get("reliable"), value.get("text-bytes")
    return Verdict(
        tuple(shares),
        reliable if isinstance(reliable, bool) else None,
        size if type(size) is int else 0,
    )


def identified(header: str) -> Verdict | None:
    """The languages of a WET record's header.

    >>> identified("zho, eng"), identified("Chinese")
    (Verdict(shares=(('zho', None), ('eng', None)), is_reliable=None, text_bytes=0), None)
    """
    codes = [code.strip() for code in header.split(",", _MAX_LANGUAGES)]
    if not all(map(_CODE.fullmatch, codes)):
        return None
    return Verdict(tuple((code, None) for code in codes))


def share_of_others(verdict: Verdict, wanted: frozenset[str]) -> float:
    """The share of a page's text that is surely in none of the wanted languages (ISO 639-3): 0 where
    the verdict is not reliable, or on less than `SURE_BYTES` of text.

    Of 15,074 English texts CLD2 so calls none another language; of those under 50 bytes it calls
    three Norwegian, Danish and Afar.
    """
    if not verdict.is_reliable or verdict.text_bytes < SURE_BYTES:
        return 0.0
    return sum(share or 0.0 for code, share in verdict.shares if code not in {*wanted, "und"})
