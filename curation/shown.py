"""Text as it may be shown and stored: addresses without secrets, controls escaped, values cut."""

from __future__ import annotations

import re
import reprlib

_USER = re.compile(r"(?<=://)(?:[^\s/?#@]*|[^\s/?#@:\[]+:(?!\d*/)[^\s?#@]*)@")
_SIGNED = re.compile(
    r"(?i)([?&;](?:x-(?:amz|goog)-[\w-]+|signature|awsaccesskeyid|googleaccessid|expires|policy"
    r"|key-pair-id|sig|se|st|ske|skt|token|access_token|auth|api_?key|password)=)[^\s&;#'\"<>]*"
)
# Controls, surrogates, and what turns the direction of a line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CUT = reprlib.Repr()
_CUT.maxstring = _CUT.maxother = _CUT.maxlong = 80
_CUT.maxlevel = 3


def masked(text: str) -> str:
    """Text whose addresses have no user information, and `***` for what signs them.

    Two addresses that differ in their signature are equal in this form.

    >>> masked("http://me:pw@host/x?X-Amz-Signature=ab&part=1"), masked("s3://KEY:SE/CRET@bucket/a")
    ('http://host/x?X-Amz-Signature=***&part=1', 's3://bucket/a')
    """
    return _SIGNED.sub(r"\1***", _USER.sub("", text))


def printable(text: str, keep: str = "") -> str:
    r"""Text in one line that a terminal shows and does not obey; what is in `keep` stays.

    >>> printable("a\x1b[2Jb\n\x9b")
    'a\\x1b[2Jb\\n\\x9b'
    """
    return _CONTROL.sub(lambda match: match[0] if match[0] in keep else repr(match[0])[1:-1], text)


def brief(value: object) -> str:
    """The `repr` of a value that a person gave, however long or deep, in some 80 characters.

    >>> brief("a" * 1000)[:8], brief([[[[[1]]]]]), len(brief("a" * 1000))
    ("'aaaaaaa", '[[[[...]]]]', 80)
    """
    try:
        return _CUT.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"
