"""Plain text files -> one document each, without what Project Gutenberg puts around a book.

Costs one reading; a file is held in memory whole, up to `MAX_TEXT_BYTES`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from curation.readers.encoding import codec_and_text, why_unreadable
from curation.readers.html import clean_text
from curation.readers.records import Document, PageError, Reject
from curation.readers.unpack import UnpackedFile

MAX_TEXT_BYTES = 256 << 20
# Project Gutenberg's marks, since 1991 in many spellings; what stands before the first and after
# the last is not the book.
_GUTENBERG_START = re.compile(
    r"(?im)^[ \t]*(?:\*{3}[ \t]*START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]*(?:\n(?![ \t]*\n)[^\n*]*)?\*{3}"
    r"|\*{1,2}END[ *]*THE SMALL PRINT!?[^\n]*\*END\*)[^\n]*\n"
)
_GUTENBERG_END = re.compile(
    r"(?im)^[ \t]*(?:\*{3}[ \t]*END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the |this )?(?:Project )?Gutenberg(?:'s|’s)? )[^\n]*"
)
# Whom the file is owed to: paragraphs in front of the title page.
_GUTENBERG_CREDIT = re.compile(
    r"(?is)\s*(?:\[(?:Portions of this header|Project Gutenberg is a)"
    r"|(?:This )?e-?(?:text|book) (?:was |is )?(?:prepared|produced|revised) "
    r"|(?:Produced|Prepared|Transcribed|Scanned|Digitized) (?:by|from) |\(?Additional editing by ).{0,800}?(?:\n[ \t]*\n|\Z)"
)


def read_text_file(stream: BinaryIO, name: str) -> Iterator[Document | Reject]:
    """The one document of a `.txt` or `.md` file (packed or not), Project Gutenberg's header and
    footer cut off.

    Reasons: too_large, undecodable, empty, truncated or malformed (packed and damaged).
    """
    source = UnpackedFile(stream)
    body = io.BufferedReader(source).read(MAX_TEXT_BYTES + 1)
    if source.damage is not None:
        yield Reject(source.damage.reason, offset=0, detail=source.damage.detail)
        return
    if len(body) > MAX_TEXT_BYTES:
        yield Reject("too_large", offset=0, detail=f"more than {MAX_TEXT_BYTES} bytes in {name}")
        return
    codec, text = codec_and_text(body, None)
    if detail := why_unreadable(body, codec, text, is_text=True):
        yield Reject("undecodable", offset=0, detail=detail)
        return
    try:
        yield Document(clean_text(gutenberg_body(clean_text(text))), offset=0)
    except PageError as error:
        yield Reject(error.reason, offset=0, detail=error.detail)


def gutenberg_body(text: str) -> str:
    r"""A book (line ends \n) without Project Gutenberg's header, credits and footer; any other text
    unchanged.

    >>> gutenberg_body("Notice\n*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***\nEmma was.\n*** END OF THE PROJECT "
    ...                "GUTENBERG EBOOK EMMA ***\nLicence")
    'Emma was.\n'
    """
    start = 0
    for match in _GUTENBERG_START.finditer(text, 0, min(len(text), 100_000)):
        start = match.end()
    if not start:
        return text
    for _ in range(3):
        if credit := _GUTENBERG_CREDIT.match(text, start):
            start = credit.end()
    end = _GUTENBERG_END.search(text, start)
    return text[start : end.start() if end else len(text)]
