"""Outbound links of Reddit submissions, as GPT-2's WebText took them: a link that people gave at
least three points.

Reads dumps in Pushshift's form: one JSON object a line with `url`, `score` and `is_self`, in .zst
(long windows too), .gz or plain. Costs what decompression and JSON cost. The trap: such .zst files
need a window of up to 2 GB, and that much memory a worker.
"""

from __future__ import annotations

import gzip
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson
import zstandard

from curation.readers.unpack import MAX_WINDOW

MAX_URL = 2000
_READ_BYTES = 1 << 16
# Why a submission gives no link, in the order in which it is asked.
REASONS = {
    "malformed": "the line is no JSON object with `url` and `score`",
    "low_score": "fewer points than asked for",
    "self_post": "a post without an outbound link",
    "not_http": "no http address, or one of more than 2,000 characters",
    "reddit": "a link to Reddit itself",
    "media": "an image, video or sound: by its host, or by the ending of its path",
    "wikipedia": "a link to Wikipedia, which is a corpus of its own (GPT-2 left it out of WebText too)",
    "repeated": "another submission gives the same page",
}
_REDDIT = ("reddit.com", "redd.it", "redditmedia.com", "reddituploads.com", "redditstatic.com")
_MEDIA = (
    "imgur.com", "gfycat.com", "giphy.com", "tenor.com", "flickr.com", "staticflickr.com", "photobucket.com", "tinypic.com",
    "instagram.com", "pinterest.com", "deviantart.com", "minus.com", "qkme.me", "quickmeme.com", "memegenerator.net", "imgflip.com",
    "youtube.com", "youtu.be", "vimeo.com", "dailymotion.com", "liveleak.com", "streamable.com", "twitch.tv", "vine.co", "vid.me",
    "tiktok.com", "soundcloud.com", "spotify.com", "bandcamp.com",
)  # fmt: skip
_MEDIA_PATH = re.compile(
    r"\.(?:jpe?g|png|gifv?|webp|bmp|tiff?|svg|ico|mp[34]|m4[av]|webm|mov|avi|mkv|flv|ogg|wav|flac)$",
    re.IGNORECASE,
)
_TRACKING = re.compile(
    r"(?:utm_[a-z_]+|fbclid|gclid|dclid|msclkid|yclid|igshid|mc_[ce]id|_ga|ocid|cmpid|ncid|smid|partner|ref_src|ref_url)$",
    re.IGNORECASE,
)


def links(stream: BinaryIO, name: str, min_score: int) -> Iterator[tuple[str, str]]:
    """(reason, "") or ("", link) for every line of a dump; empty lines do not count. Never raises
    for what a line holds."""
    rest = b""
    for piece in _unpacked(stream, name):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield link_of(line, min_score)
    if rest.strip():
        yield link_of(rest, min_score)


def _unpacked(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the plain bytes of a dump, by the ending of its name.

    Raises EOFError and what zlib and zstandard raise for a broken one.
    """
    if not name.endswith(".zst"):
        plain = gzip.GzipFile(fileobj=stream) if name.endswith(".gz") else stream
        while piece := plain.read(_READ_BYTES):
            yield piece
        return
    unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    frame = None
    while chunk := stream.read(_READ_BYTES):
        while chunk:
            frame = frame or unpacker.decompressobj()
            yield frame.decompress(chunk)
            chunk = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:  # a stream reader of zstandard would end here without an error
        raise EOFError("the zstd frame breaks off")


def link_of(line: bytes, min_score: int) -> tuple[str, str]:
    """
    >>> link_of(b'{"url": "http://a.org/x?utm_source=r&id=3#top", "score": 5, "is_self": false}', 3)
    ('', 'http://a.org/x?id=3')
    >>> link_of(b'{"url": "http://i.imgur.com/x", "score": 5}', 3), link_of(b'{"url": "http://a.org/x", "score": 2}', 3)
    (('media', ''), ('low_score', ''))
    """
    try:
        row = orjson.loads(line)
        url, score = row["url"], int(row["score"])
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
        return "malformed", ""
    if not isinstance(url, str):
        return "malformed", ""
    if score < min_score:
        return "low_score", ""
    if row.get("is_self") is True or str(row.get("domain", "")).startswith("self."):
        return "self_post", ""
    return cleaned(url)


def cleaned(url: str) -> tuple[str, str]:
    """(reason, "") or ("", the address without fragment and tracking parameters)."""
    url = url.strip().replace("&amp;", "&")
    try:
        parts = urllib.parse.urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return "not_http", ""
    if (
        parts.scheme.lower() not in ("http", "https")
        or "." not in host
        or len(url) > MAX_URL
        or re.search(r"\s", url)
    ):
        return "not_http", ""
    if _under(host, _REDDIT):
        return "reddit", ""
    if _under(host, _MEDIA) or _MEDIA_PATH.search(parts.path):
        return "media", ""
    if _under(host, ("wikipedia.org",)):
        return "wikipedia", ""
    fields = [
        field
        for field in parts.query.split("&")
        if field and not _TRACKING.match(field.partition("=")[0])
    ]
    place: Any = parts.netloc.rpartition("@")[2].lower()
    return "", urllib.parse.urlunsplit(
        (parts.scheme.lower(), place, parts.path or "/", "&".join(fields), "")
    )


def _under(host: str, domains: tuple[str, ...]) -> bool:
    """
    >>> _under("i.imgur.com", ("imgur.com",)), _under("notimgur.com", ("imgur.com",))
    (True, False)
    """
    return host.endswith(domains) and any(
        host == domain or host.endswith("." + domain) for domain in domains
    )
