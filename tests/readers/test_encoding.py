"""Bytes to text as the web means it: labels, tables, damaged bytes, texts that are none."""

import random
import zlib

import pytest
from resiliparse.parse.encoding import map_encoding_to_html5

from curation.readers.encoding import codec_and_text, codec_for, decoded, why_unreadable
from curation.readers.html import page_text
from curation.readers.records import Page, PageError

JAPANESE = "昔々あるところに、おじいさんとおばあさんが住んでいました。"
RUSSIAN = "Мельник каждое утро открывал шлюз и слушал, как шумит вода. "
FRENCH = "L’été dernier, la forêt brûlée près du château était déjà à moitié repoussée. "

TABLES = [  # what Python's codecs of these names get wrong
    ("euc-jp", b"\xad\xa1 \xad\xea", "① ㈱"),  # NEC's row 13
    ("euc-jp", b"\x8e\xb1\xf9\xa1", "ｱ纊"),  # half-width kana, IBM's extension
    ("euc-jp", b"\x8f\xb0\xa1", "丂"),  # JIS X 0212
    ("iso-2022-jp", b"\x1b$B-!\x1b(I1\x1b(B", "①ｱ"),
    ("iso-2022-jp", b"\x1b(J\\~\x1b(B", "¥‾"),
    ("shift_jis", b"\x87\x40\xfa\x40\x81\x60\xb1", "①ⅰ～ｱ"),
    ("gbk", b"\x80 \xa2\xe3", "€ €"),
    ("gb2312", b"\x98\x7a\x81\x30\x84\x36", "榸¥"),
    ("gb18030", b"\x90\x30\x81\x30", "\U00010000"),
    ("big5", b"\xa3\xe1\xf9\xfe\x87\x40", "€￭䏰"),
    ("euc-kr", b"\x8c\x63\xa2\xe6", "똠€"),
    ("koi8-u", b"\xae\xbe\xa4", "ўЎє"),
    ("x-mac-cyrillic", b"\x80\xff", "А€"),
    ("windows-1252", b"\x80\x93\x81", "€“\x81"),
]


@pytest.mark.parametrize(("label", "body", "expected"), TABLES)
def test_tables_are_those_of_the_web(label, body, expected):
    assert body.decode(codec_for(label)) == expected


MULTIBYTE = ["utf-8", "euc-jp", "iso-2022-jp", "shift_jis", "gb18030", "big5", "euc-kr"]
TEXTS = {"euc-kr": "옛날 옛적에 방앗간 주인이 강가에 살았습니다. ", "big5": "很久以前，磨坊主人住在河邊。",
         "gb18030": "很久以前，磨坊主人住在河边。"}  # fmt: skip
PYTHON = {"euc-kr": "cp949", "shift_jis": "cp932"}


@pytest.mark.parametrize("label", MULTIBYTE)
@pytest.mark.parametrize("is_declared", [True, False])
@pytest.mark.parametrize("repeats", [2, 40])
def test_a_bad_byte_costs_its_neighbour_at_most(label, is_declared, repeats):
    sentence = TEXTS.get(label, JAPANESE)
    codec = PYTHON.get(label, label)
    bad = b"\xff" if label != "iso-2022-jp" else b"\x80"
    if label == "iso-2022-jp" and not is_declared:
        return
    parts = [f"<p>{sentence}</p>".encode(codec) for _ in range(2 * repeats)]
    body = b"".join([*parts[:repeats], bad, *parts[repeats:]])
    text = decoded(body, f"text/html; charset={label}" if is_declared else None)
    assert text.count(f"<p>{sentence}</p>") == 2 * repeats
    assert text.count("\ufffd") == 1


def test_labels_are_those_of_the_standard():
    """Where the standard and resiliparse's table know a label, both mean the same text."""
    for label in ("latin1", "tis-620", "x-sjis", "ks_c_5601-1987", "unicode-1-1-utf-8", "chinese",
                  "csisolatin5", "koi", "cp866", "windows-31j", "cn-big5", "logical", "asmo-708"):  # fmt: skip
        theirs = map_encoding_to_html5(label)
        body = bytes(byte for byte in range(0xA1, 0xFB)) if "125" in theirs else b"abc"
        assert body.decode(codec_for(label), "replace") == body.decode(theirs, "replace"), label
    assert codec_for("x-user-defined") == "ascii"
    for label in ("hz-gb-2312", "ISO-2022-KR", "iso-2022-cn", "replacement"):
        assert codec_for(label) == "whatwg-replacement"


HZ = b"<p>~{<:Ky2;SNJ)!#~} and more</p>"


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (HZ, "text/html; charset=hz-gb-2312", "\ufffd"),
        (b"<p>\x1b$)C\x0e;g6w\x0f</p>", "text/html; charset=iso-2022-kr", "\ufffd"),
        (b"<p>plain words</p>", "text/html; charset=iso-2022-kr", "<p>plain words</p>"),
        ("<p>été</p>".encode(), "text/html; charset=hz-gb-2312", "<p>été</p>"),
        (RUSSIAN.encode("cp1251"), "text/html; charset=x-user-defined", RUSSIAN),
        (RUSSIAN.encode("utf-16-le"), "text/html; charset=utf-16", RUSSIAN),
        (RUSSIAN.encode("utf-16-be"), "text/html; charset=utf-16", RUSSIAN),
        ("Всё".encode("utf-16-le"), "text/html; charset=UTF-16LE", "Всё"),
        (RUSSIAN.encode(), "text/html; charset=utf-16", RUSSIAN),
        (b"<p>words", "text/html; charset=utf-16le", "<p>words"),
        (RUSSIAN.encode("cp1251"), "text/html; charset=iso-8859-1", RUSSIAN),
        (JAPANESE.encode("euc-jp") * 4, "text/html; charset=windows-1252", JAPANESE * 4),
        (FRENCH.encode("cp1252"), "text/html; charset=iso-8859-1", FRENCH),
        ("Žluťoučký kůň".encode("cp1250"), "text/html; charset=windows-1250", "Žluťoučký kůň"),
    ],
)
def test_what_is_declared_and_what_is_not_believed(body, content_type, expected):
    assert decoded(body, content_type) == expected


def test_a_meta_tag_that_the_bytes_confirm_goes_before_the_header():
    meta = b"<!-- <meta charset=big5> --><meta charset=koi8-r>"
    body = meta + (RUSSIAN * 5).encode("koi8-r")
    assert decoded(body, "text/html; charset=iso-8859-1").endswith(RUSSIAN)
    assert decoded(body, "text/html; charset=windows-1251").endswith(RUSSIAN)
    body = meta + (RUSSIAN * 5).encode("cp1251")  # a server that recodes changes its header
    assert decoded(body, "text/html; charset=windows-1251").endswith(RUSSIAN)


def test_what_the_crawler_detected_is_one_more_candidate():
    body = "Ψάρι και ψωμί".encode("iso-8859-7")
    assert decoded(body, None, detected_charset="ISO-8859-7") == "Ψάρι και ψωμί"
    assert decoded("été".encode(), None, detected_charset="ISO-8859-7") == "été"
    assert decoded(RUSSIAN.encode("utf-16-le"), None, detected_charset="UTF-16LE") == RUSSIAN
    for hint in ("nonsense", "", "UTF-8"):
        assert decoded(body, "text/html; charset=iso-8859-7", detected_charset=hint)[0] == "Ψ"


@pytest.mark.parametrize("code_page", ["cp1252", "cp1251", "cp1250", "latin-1"])
def test_utf_8_that_was_encoded_twice_is_decoded_twice(code_page):
    text = {"cp1251": RUSSIAN, "cp1250": "Žlutý kůň šel čtvrtou cestou. "}.get(code_page, FRENCH)
    high = bytes(range(128, 256)).decode(code_page, "replace")
    sign_of = {byte: sign for byte, sign in enumerate(high, 128) if sign != "\ufffd"}
    read = "".join(sign_of.get(byte, chr(byte)) for byte in text.encode())
    assert decoded(f"<p>{read}</p>".encode(), None) == f"<p>{text}</p>"
    for whole in (f"<p>{read} é</p>", f"<p>é {read}</p>", f"<p>{text}</p>", "<p>Ã© and Ã¨"):
        assert decoded(whole.encode(), None) == whole


def reason(body: bytes, content_type: str | None = "text/html", *, is_text: bool = False) -> str:
    """Why a page has no text; "" where it has some."""
    try:
        return "" * len(page_text(Page(body, None, None, None, content_type, 0, is_text), "blocks"))
    except PageError as error:
        return error.reason


LABELS = ["utf-8", "latin1", "windows-1251", "koi8-r", "gbk", "shift_jis", "big5", "euc-kr", "x-user-defined"]  # fmt: skip
STORY = b"<html><p>" + b"The miller wound the sluice at dawn. " * 20


@pytest.mark.parametrize("label", [*LABELS, None])
@pytest.mark.parametrize("is_text", [True, False])
def test_packed_and_random_bytes_are_no_text_in_any_encoding(label, is_text):
    rng = random.Random(str(label))
    words = [b"%x" % rng.getrandbits(40) for _ in range(400)]
    content_type = f"text/html; charset={label}" if label else None
    for body in (rng.randbytes(3000), zlib.compress(b" ".join(words))[2:]):
        assert reason(body, content_type, is_text=is_text) == "undecodable"
        assert reason(STORY + body, content_type, is_text=is_text) == "undecodable"


@pytest.mark.parametrize("stray", [b"\x0c", b"\x1b[1m", b"\0", b"\x02", b"\x1a", b"\x0b\x0b\x0b"])
def test_a_stray_control_character_costs_nothing(stray):
    for body in (STORY + stray + STORY, b"<p>one" + stray + b" page"):
        assert reason(body) == ""
    assert why_unreadable(*text_of(b"one" * 30 + stray), is_text=True) == ""


def text_of(body: bytes) -> tuple[bytes, str, str]:
    return body, *codec_and_text(body, None)


@pytest.mark.parametrize("body", [b"", b"<div id=root></div><script>x=1</script>", b"<canvas></canvas>"])  # fmt: skip
def test_a_page_of_a_title_alone_is_empty(body):
    for title in (b"<title>Portal</title>", b"<TITLE lang=en>Portal</TITLE >", b"<title>Portal"):
        if body and not title.endswith(b">"):
            continue
        assert reason(b"<html><head>" + title + b"</head><body>" * bool(body) + body) == "empty"
    assert reason(b"<title>The mill<body><p>" + b"It stands by the river. " * 9) == ""
