"""Bytes of a page -> text: byte order mark, valid UTF-8, HTTP header, meta tag, then detection.

Encodings are those of the WHATWG's Encoding standard, as browsers have them: turbohtml's decoders
and labels. Costs about 20 microseconds a page that is UTF-8 and a few milliseconds for one whose
encoding must be guessed. The traps: Python's codecs of the same names are other encodings (no row
13 in EUC-JP, no euro in GBK, a bad byte takes its neighbour along); and every single-byte code page
decodes everything, so it proves nothing. 336 of 341 pages in 30 legacy encodings are guessed right
by resiliparse's detector when not asked for HTML5 names (which turn Korean into UTF-8), 332 by
charset-normalizer.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from resiliparse.parse.encoding import detect_encoding

_BOMS = ((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
         (codecs.BOM_UTF16_LE, "whatwg-utf-16le"), (codecs.BOM_UTF16_BE, "whatwg-utf-16be"))  # fmt: skip
_HEADER_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w:.+-]+)", re.IGNORECASE)
_META_CHARSET = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w:.+-]+)", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w:.+-]+)", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META_BYTES = 8192
_DETECT_BYTES = 65_536
_LABEL = re.compile(r"[a-z0-9_:.()+-]{1,40}")

# Encodings that pages were written in and the web standard lacks, by Python's codecs.
_PYTHON = {"utf-32-le", "utf-32-be", "cp437", "cp850", "cp852", "cp855"}
# Labels outside the standard that mean an encoding of it, or one of Python's above.
_ALSO = {
    "cp936": "gbk", "ms936": "gbk", "euc-cn": "gbk", "cp950": "big5", "big5hkscs": "big5", "cp932": "shift_jis",
    "cp949": "euc-kr", "ms949": "euc-kr", "uhc": "euc-kr", "euckr": "euc-kr", "eucjp": "euc-jp", "ujis": "euc-jp",
    "iso2022-jp": "iso-2022-jp", "iso2022jp": "iso-2022-jp", "iso-2022-jp-1": "iso-2022-jp", "jis": "iso-2022-jp",
    "iso-2022-jp-2": "iso-2022-jp", "iso-2022-jp-3": "iso-2022-jp", "iso-2022-jp-ext": "iso-2022-jp", "hz": "hz-gb-2312",
    "latin-1": "latin1", "latin-2": "latin2", "cp874": "windows-874", "dos-866": "ibm866", "mac-roman": "macintosh",
    "mac-cyrillic": "x-mac-cyrillic", "maccyrillic": "x-mac-cyrillic", "utf8mb4": "utf-8", "utf-8-sig": "utf-8",
    "utf16": "utf-16", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be", "ucs2": "utf-16",
    "utf-32": "utf-32-le", "utf-32le": "utf-32-le", "utf-32be": "utf-32-be", "ucs-4": "utf-32-be",
    "ibm437": "cp437", "ibm850": "cp850", "ibm852": "cp852", "ibm855": "cp855",
}  # fmt: skip
# The decoder of GBK is that of gb18030; the upper half of x-user-defined stands for no characters.
_NAMES = {"utf-8": "utf-8", "gbk": "whatwg-gb18030", "x-user-defined": "ascii"}
_WINDOWS = re.compile(r"(?:win|windows|cp|ms|x-cp)-?(125[0-8])")
_REPLACED = "whatwg-replacement"
_UTF_16 = {"whatwg-utf-16le", "whatwg-utf-16be"}
_MULTIBYTE = {"utf-8", *(f"whatwg-{name}" for name in (
    "gb18030", "big5", "euc-jp", "iso-2022-jp", "shift_jis", "euc-kr"))}  # fmt: skip
_LATIN = {f"whatwg-{name}" for name in ("macintosh", *(f"windows-{n}" for n in (1250, 1252, 1254, 1257, 1258)),
          *(f"iso-8859-{n}" for n in (2, 3, 4, 10, 13, 14, 15, 16)))}  # fmt: skip
_HIGH_RUN = re.compile(rb"[\x80-\xff]{4,}")
_C1 = re.compile("[\x80-\x9f]")
_WIDE = {*_UTF_16, "utf-32-le", "utf-32-be"}
_HZ_LABELS = (b"hz-gb", b"HZ-GB")  # in a meta tag, of pages that are else like ASCII
_JIS = "whatwg-iso-2022-jp"
MAX_LOST_SHARE = 0.05
_MAX_CONTROL_SHARE, _FEW_CONTROLS = 0.02, 3
_MIN_WIDE_SHARE = 0.02  # of zeros and other control bytes in UTF-16
_MISREAD_AS = ("whatwg-windows-1252", "whatwg-windows-1251", "whatwg-windows-1250")
_ASCII_TAG = re.compile(rb"</[a-z]|<[a-z]+[ >]", re.IGNORECASE)
_MIN_UNDONE = 4  # characters that were encoded twice


def codec_for(label: str | None) -> str | None:
    """The codec for an encoding label as the web means it, by a name that `bytes.decode` takes:
    `whatwg-` and the standard's name, or Python's codec where the standard lacks the encoding; None
    for an unknown or unsafe one.

    `whatwg-replacement` decodes to one U+FFFD: the standard refuses ISO-2022-KR, HZ and the like.

    >>> codec_for("latin1"), codec_for("Shift_JIS"), codec_for("cp936"), codec_for("rot13"), codec_for("UTF8")
    ('whatwg-windows-1252', 'whatwg-shift_jis', 'whatwg-gb18030', None, 'utf-8')
    """
    word = (label or "").strip().strip("\"'").lower()
    return _known_codec(word) if _LABEL.fullmatch(word) else None


@lru_cache(maxsize=1024)
def _known_codec(word: str) -> str | None:
    import turbohtml.detect  # its import registers the codecs

    dashed = word.replace("_", "-")
    for name in (word, dashed, _ALSO.get(dashed, ""), _WINDOWS.sub(r"windows-\1", dashed)):
        if name in _PYTHON:
            return name
        try:
            parsed = turbohtml.parse(b"", encoding=name, positions=False)
        except LookupError:
            continue
        name = str(parsed.encoding).lower()
        return _NAMES.get(name, f"whatwg-{name}")
    return None


def decoded(body: bytes, content_type: str | None, *, detected_charset: str | None = None) -> str:
    """The text of a page by the first of: byte order mark, UTF-16 that is declared, valid UTF-8,
    HTTP charset, meta charset, what the crawler detected, detection.

    An encoding that leaves too many replacement characters is doubted, and the candidate with the
    fewest is taken. UTF-8 that was encoded twice is decoded twice. Never raises; what cannot be
    decoded is U+FFFD.
    """
    return codec_and_text(body, content_type, detected_charset)[1]


def encoding_of(body: bytes, content_type: str | None) -> str:
    """The codec by which `decoded` reads a page."""
    return codec_and_text(body, content_type)[0]


def codec_and_text(
    body: bytes, content_type: str | None, detected_charset: str | None = None
) -> tuple[str, str]:
    """The codec of a page (a name that `bytes.decode` takes) and its text, as `decoded` has it."""
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return codec, _decode(body[len(mark) :], codec)
    outside = [codec_for(_header_label(content_type)), codec_for(detected_charset)]
    wide = _wide_codec(body[:1024]) or _declared_utf_16(body, outside)
    if wide:
        return wide, _decode(body, wide)
    body = body.removeprefix(codecs.BOM_UTF8)
    is_hz = any(body.find(label, 0, _META_BYTES) >= 0 for label in _HZ_LABELS)
    if b"\x1b" in body or is_hz or _REPLACED in outside:
        seven_bits = _by_escapes(body, outside)
        if seven_bits is not None:
            return seven_bits
    try:
        return "utf-8", _undoubled(body.decode("utf-8"), body)
    except UnicodeDecodeError:
        return _by_candidates(body, *outside)


def why_unreadable(body: bytes, codec: str, text: str, *, is_text: bool) -> str:
    """Why what `codec` made of a page is no text: "" where it is.

    More than 5 % of its characters are U+FFFD, or more than 2 % are control characters that stand
    in no text (`binary_bytes`): packed and random bytes have 10 % of these, and none of 2,900
    crawled pages that are text has more than 0.2 %. Up to three cost a page nothing. NUL counts
    only where `is_text`, since HTML parsers drop it.

    >>> why_unreadable(b"\\1\\2\\3\\4 and", "ascii", "\\1\\2\\3\\4 and", is_text=True)
    '4 of 8 characters are control characters'
    """
    from curation.kernels.controls import binary_bytes

    # Counting takes three times as long as looking.
    lost = text.count("\ufffd") if "\ufffd" in text else 0
    lost += text.count("\0") if is_text else 0
    if lost > MAX_LOST_SHARE * len(text):
        return f"{lost} of {len(text)} characters"
    controls = binary_bytes(text.encode("utf-8", "replace") if codec in _WIDE else body)
    if controls > max(_FEW_CONTROLS, _MAX_CONTROL_SHARE * len(text)):
        return f"{controls} of {len(text)} characters are control characters"
    return ""


def _declared_utf_16(body: bytes, outside: list[str | None]) -> str | None:
    """UTF-16 where it is declared outside the page and the bytes are those of no other text.

    Which of the two it is the zero bytes tell, where there are some.
    """
    named = next((codec for codec in outside if codec in _UTF_16), None)
    if named is None:
        return None
    from curation.kernels.controls import binary_bytes

    even, odd = body[::2].count(0), body[1::2].count(0)
    if _MIN_WIDE_SHARE * len(body) > even + odd + binary_bytes(body):
        return None
    return named if even == odd else f"whatwg-utf-16{'le' if odd > even else 'be'}"


def _by_escapes(body: bytes, outside: list[str | None]) -> tuple[str, str] | None:
    """ISO-2022-JP, and the encodings that the standard refuses: both look like ASCII."""
    if not body.isascii():
        return None
    named = [*outside, codec_for(_meta_label(body))]
    if _REPLACED in named and (b"~{" in body or b"\x1b" in body or b"\x0e" in body):
        return _REPLACED, _decode(body, _REPLACED)
    if _JIS in named or b"\x1b$B" in body or b"\x1b$@" in body:
        text = _decode(body, _JIS)
        if _JIS in named or text.count("\ufffd") * 1000 <= len(text):
            return _JIS, text
    return None


def _by_candidates(body: bytes, header: str | None, hint: str | None) -> tuple[str, str]:
    """The codec and text of a page that is not valid UTF-8."""
    utf_8 = _candidate("utf-8", body)
    if utf_8.letters > 4 * utf_8.bad:  # no other text makes so many sequences of UTF-8 by chance
        return "utf-8", _undoubled(utf_8.text, body)
    doubted = []
    for codec in _named_codecs(body, header, hint):
        candidate = _candidate(codec, body)
        if not candidate.is_doubtful(body):
            return codec, candidate.text
        doubted.append(candidate)
    # A code page has a letter for nearly each byte, so it is no rival of a multi-byte encoding
    # that fits but for some bytes.
    fitting = [c for c in doubted if c.codec in _MULTIBYTE and 10 * c.bad <= c.letters]
    best = min(fitting or doubted, key=lambda candidate: candidate.bad)
    return best.codec, best.text


def _named_codecs(body: bytes, header: str | None, hint: str | None) -> Iterator[str]:
    """What is named and detected, the likeliest first: the header, the meta tag, what the crawler
    detected, detection. A meta tag goes first where detection agrees with it."""
    meta = codec_for(_meta_label(body))
    order = [header, meta, hint]
    if None not in (header, meta) and header != meta and _detected_codec(body) == meta:
        order = [meta, header, hint]
    yield from (codec for codec in dict.fromkeys(order) if codec is not None)
    yield _detected_codec(body) or "whatwg-windows-1252"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A page's text by one encoding; of its characters beyond ASCII those that are `bad`, and the
    others, `letters`."""

    codec: str
    text: str
    bad: int
    letters: int

    def is_doubtful(self, body: bytes) -> bool:
        """Whether the page seems to be in another encoding.

        More than one bad character in a thousand; in a multi-byte encoding also more than one and
        one in fifty of those beyond ASCII, so that a damaged byte does not change how all others
        are read. For the code pages of Latin script also bytes beyond ASCII that mostly stand in
        runs of four and more, since these have a letter for each byte and servers name them unasked.
        """
        if self.codec in _LATIN:
            runs = (run for run in _HIGH_RUN.findall(body) if len(set(run)) > 2)
            if 2 * sum(map(len, runs)) > self.letters + self.bad:
                return True
        if self.codec in _UTF_16 and _ASCII_TAG.search(body):
            return True
        if self.bad * 1000 <= len(self.text):
            return False
        is_multibyte = self.codec in _MULTIBYTE and self.letters >= 2 * self.bad
        return not (is_multibyte and self.bad <= 1 + self.letters // 50)


def _candidate(codec: str, body: bytes) -> _Candidate:
    text = _decode(body, codec)
    bad = text.count("\ufffd")
    if codec.startswith("whatwg-windows-"):  # bytes that stand for no letter
        bad += len(_C1.findall(text))
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    return _Candidate(codec, text, bad, max(beyond_ascii - bad, 0))


def _decode(body: bytes, codec: str) -> str:
    if codec.startswith("whatwg-"):
        import turbohtml.detect  # noqa: F401, registers the codecs
    return body.decode(codec, "replace")


def _header_label(content_type: str | None) -> str | None:
    match = _HEADER_CHARSET.search(content_type or "")
    return match[1] if match else None


def _meta_label(body: bytes) -> str | None:
    head = _COMMENT.sub(b"", body[:_META_BYTES])
    match = _META_CHARSET.search(head) or _XML_ENCODING.match(head)
    label = match[1].decode("ascii", "replace").lower() if match else None
    if label and codec_for(label) in _UTF_16:  # it could be read, so the page is not UTF-16
        return "utf-8"
    return "windows-1252" if label == "x-user-defined" else label  # as the HTML standard has it


def _detected_codec(body: bytes) -> str | None:
    return codec_for(detect_encoding(body, max_len=_DETECT_BYTES, html5_compatible=False))


def _undoubled(text: str, body: bytes) -> str:
    """The text of a page in UTF-8, decoded once more where all of it was encoded twice: read as
    windows-1252, 1251 or 1250 and written as UTF-8 again.

    All characters beyond ASCII must show it, at least `_MIN_UNDONE`: a text of any language has
    some that are no UTF-8 when they are made bytes again, and mostly its first one is such.
    """
    if text.isascii():
        return text
    try:
        body.decode("ascii")
        return text
    except UnicodeDecodeError as error:
        pair = body[error.start : error.start + 8].decode("utf-8", "ignore")[:2]
    for code_page in _MISREAD_AS:
        to_byte = _bytes_of(code_page)
        lead, trail = (to_byte.get(ord(sign), 0) for sign in pair.ljust(2))
        if 0xC2 <= lead <= 0xF4 and 0x80 <= trail <= 0xBF:
            undone = _redecoded(text, to_byte)
            if undone is not None and len(text) - len(undone) >= _MIN_UNDONE:
                return undone
    return text


@cache
def _bytes_of(code_page: str) -> dict[int, int]:
    """The byte of each character of a code page, ASCII too; control characters as they are."""
    to_byte = {code: code for code in range(0xA0)}
    high = _decode(bytes(range(0x80, 0x100)), code_page)
    return to_byte | {ord(sign): byte for byte, sign in enumerate(high, 0x80)}


def _redecoded(text: str, to_byte: dict[int, int]) -> str | None:
    """A text made bytes by a code page and decoded as UTF-8; None where that fails."""
    try:
        return codecs.charmap_encode(text, "strict", to_byte)[0].decode("utf-8")
    except UnicodeError:
        return None


def _wide_codec(head: bytes) -> str | None:
    """Return UTF-16 or UTF-32 for text without a mark, by where the zero bytes of its ASCII
    characters stand."""
    size = len(head) // 4
    if size < 2 or head.count(0) * 4 < len(head):
        return None
    zeros = "".join(
        "0" if head[lane : 4 * size : 4].count(0) > 0.7 * size else "x" for lane in range(4)
    )
    codec = {"x000": "utf-32-le", "000x": "utf-32-be", "x0x0": "utf-16le", "0x0x": "utf-16be"}
    name = codec.get(zeros)
    return f"whatwg-{name}" if name and name.startswith("utf-16") else name
