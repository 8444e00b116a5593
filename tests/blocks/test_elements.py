"""What elements do to the text around them: inline ones, `<pre>` and listings, formulas, hidden
text; each page of a test is small enough to see what is right."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.blocks import attributes
from curation.blocks import join as blocks_join
from curation.blocks import vocabulary as v
from curation.blocks.extractor import cut
from curation.blocks.scan import scan

WORDS = v.vocabulary()
PROSE = "A sentence that is long enough to be the larger part of a small page. "


def texts(html: str) -> list[str]:
    page = cut(html)
    if page is None:
        return []
    blocks = page[1]
    return [bytes(blocks.text[a:b]).decode() for a, b in zip(blocks.start, blocks.end, strict=True)]


# fmt: off
INLINE_WITHOUT_TEXT = [
    "svg", "canvas", "audio", "video", "iframe", "object", "select", "textarea", "button", "img",
    "input", "embed", "meter", "progress", "map", "datalist", "script", "style", "template",
    "noscript", "link", "meta", "wbr",
]
# fmt: on


@pytest.mark.parametrize("tag", INLINE_WITHOUT_TEXT)
def test_what_is_inline_does_not_end_a_paragraph(tag: str) -> None:
    assert texts(f"<p>Turn the <{tag} class=x></{tag}> wheel.</p>") == ["Turn the wheel."]


@pytest.mark.parametrize("inside", ["<title>no</title>", "<g><text>no</text></g>"])
def test_what_stands_inside_a_drawing_ends_no_paragraph(inside: str) -> None:
    assert texts(f"<p>Turn the <svg>{inside}</svg> wheel.</p>") == ["Turn the wheel."]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>in <st1:place>Rome</st1:place>, <x-term>now</x-term>.", ["in Rome, now."]),
        ("<p>a<o:p></o:p> <output>b</output> <slot>c</slot>", ["a b c"]),
        ("<div><x-a><p>one</p>two</x-a><x-a>three<p>four</p></x-a></div>", ["one", "two", "three", "four"]),
        ("<div><x-a>one</x-a><x-a>two</x-a></div>", ["one two"]),
        ("name<input>place<select><option>x</select>end", ["name place end"]),
        ("<fieldset><legend>one</legend>two</fieldset>", ["one", "two"]),
    ],
)  # fmt: skip
def test_unknown_elements_are_inline_and_glue_no_words(html: str, expected: list[str]) -> None:
    assert texts(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<h3><button>Why?</button></h3>Because.", ["Why?", "Because."]),
        ("<details><summary><button>Why?</button></summary>Because.", ["Why?", "Because."]),
        ("<div role=heading><button><span>Why?</span></button></div>", ["Why?"]),
        ("<dl><dt><button>Why?</button><dd>Because.", ["Why?", "Because."]),
        ("<button><svg></svg><h3>Why?</h3></button><p>Because.", ["Why?", "Because."]),
        ("<h2>Mills <button>copy link</button></h2>", ["Mills"]),
        ("<p><button>Send</button> it", ["it"]),
    ],
)
def test_the_button_of_a_heading_is_the_heading(html: str, expected: list[str]) -> None:
    assert texts(html) == expected


LISTING = ["if x:\n    return\n\n7"]
LINES = ("if x:", "    return", "", "7")


def numbered(row: str) -> str:
    """The lines of LISTING, each in `row` with its number."""
    return "".join(row.replace("NN", str(k + 1)).replace("LINE", s) for k, s in enumerate(LINES))


@pytest.mark.parametrize(
    "html",
    [
        "<pre>if x:\n    return\n\n7</pre>",
        "<pre>\n<b>if</b> x:<br>    return<br><br>7</pre>",
        "<pre><code>" + numbered("<span>LINE</span>\n") + "</code></pre>",
        "<pre>if x:<div>    return</div><div>\n</div><div>7</div></pre>",
        "<pre><ol class=linenums>" + numbered("<li>LINE</li>") + "</ol></pre>",
        "<pre>" + numbered("<span class='lineno'>NN </span>LINE\n") + "</pre>",
        "<pre>" + numbered("<i class=ln>NN</i><span class=cl>LINE\n</span>") + "</pre>",
        "<pre><table class='hljs-ln'>"
        + numbered(
            "<tr><td class='hljs-ln-line hljs-ln-numbers' data-line-number=NN><div data-line-number=NN>"
            "</div><td class='hljs-ln-line hljs-ln-code' data-line-number=NN>LINE"
        )
        + "</table></pre>",
        "<table class=file>"
        + numbered("<tr><td class=blob-num data-line-number=NN></td><td class=blob-code>LINE")
        + "</table>",
        "<table><tr><td class=linenos><div><pre>1\n2\n3\n4</pre></div><td class=code><div><pre><i></i>"
        + "\n".join(LINES)
        + "</pre></div></table>",
        "<pre><table><tr><td class='rouge-gutter gl'><pre class=lineno>1\n2\n3\n4\n</pre><td><pre>"
        + "\n".join(LINES)
        + "\n</pre></table></pre>",
        "<figure><table><tr><td class=gutter><pre>1<br>2<br>3<br>4<br></pre><td><pre>"
        + "<br>".join(LINES)
        + "<br></pre></table></figure>",
        "<pre class=line-numbers><code>"
        + "\n".join(LINES)
        + "<span class=line-numbers-rows><span></span></span></code></pre>",
        "<div class=line-numbers-mode><pre>"
        + "\n".join(LINES)
        + "</pre><div class=line-numbers><span>1</span><br><span>2</span></div></div>",
        "<div style='white-space: pre'>" + numbered("<div>LINE\n</div>") + "</div>",
    ],
)
def test_a_listing_keeps_its_lines_and_loses_their_numbers(html: str) -> None:
    assert texts(html) == LISTING


def test_a_first_line_keeps_its_indentation_and_a_page_in_pre_its_blocks() -> None:
    assert texts("<pre>\n  <b>  a</b>\n b</pre>c") == ["    a\n b", "c"]
    assert texts("<pre>a<p>b</p><h2>c</h2></pre>") == ["a", "b", "c"]
    assert texts("<td class=gutter></td><p class=gutter>12</p><p>3") == ["12", "3"]


MATHML = "<math {}><mfrac><mrow> <mi>a</mi><mo>+</mo><mn>1</mn></mrow><mi> b </mi></mfrac>{}</math>"
KATEX = (
    "<span class=katex><span class=katex-mathml>{}</span><span class=katex-html>ab</span></span>"
)
MATHJAX_2 = (
    "<span class=MathJax_Preview>x?</span><span class=MathJax><nobr>x</nobr></span>"
    "<script type='math/tex'>x^2</script>"
)
MATHJAX_3 = (
    "<mjx-container class=MathJax><mjx-math><mjx-c>x</mjx-c></mjx-math><mjx-assistive-mml><math>"
    "<mi>x</mi></math></mjx-assistive-mml></mjx-container>"
)
ASSISTIVE = (
    "<span class=MathJax><nobr>x</nobr><span class=MJX_Assistive_MathML><math><mi>x</mi></math>"
    "</span></span>"
)
HIDDEN_MATHML = "<span style='display:none'>{}</span><img alt=x>"
TEX = "<annotation encoding='application/x-tex'>\\frac{a&lt;1}{b}</annotation>"


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (MATHML.format("", ""), "(a+1)/b"),
        (MATHML.format("alttext='\\tfrac a&quot;b'", ""), '\\tfrac a"b'),
        (MATHML.format("alttext=no", TEX), "\\frac{a<1}{b}"),
        (MATHML.format("", "<annotation encoding='text/plain'>no</annotation>"), "(a+1)/b"),
        ("<math><msup><mn>10</mn><mn>6</mn></msup><mo>&InvisibleTimes;</mo><mi>k</mi></math>", "10^6k"),
        ("<math><munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover></math>", "∑_i^n"),
        ("<math><msub><mi>x</mi><mrow><mi>i</mi><mi>j</mi></mrow></msub></math>", "x_(ij)"),
        (HIDDEN_MATHML.format(MATHML.format("alttext='{\\displaystyle x^{2}}'", "")), "x^{2}"),
        ("<script type='math/tex'>x < y & z</script>", "x < y & z"),
        ("<script type='math/tex; mode=display'>% <![CDATA[\nx<y %]]></script>", "x<y"),
        (KATEX.format(MATHML.format("", TEX)), "\\frac{a<1}{b}"),
        (KATEX.format(""), "ab"),
        (MATHJAX_2, "x^2"),
        (ASSISTIVE, "x"),
        (MATHJAX_3, "x"),
    ],
)  # fmt: skip
def test_a_formula_is_read_once_in_its_sentence(formula: str, expected: str) -> None:
    assert texts(f"<p>Take {formula} twice.</p>") == [f"Take {expected} twice."]


def test_a_formula_without_signs_is_nothing() -> None:
    assert texts("<p>a <math><mo>&InvisibleTimes;</mo><mspace></mspace></math> b") == ["a b"]
    assert texts("<math><mfrac><mrow><mi>a</mi></mrow><mi>b</mi></mfrac></math>") == ["(a)/b"]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("10<sup>6</sup> 5<sup>−3</sup> 2<sup>-1</sup>", "10^6 5^−3 2^-1"),
        ("1<sup>1</sup>/<sub>2</sub>", "1 1/2"),
        ("21<sup>st</sup> x<sup>2</sup> 7<sup><a href=#n>1</a></sup>", "21st x2 71"),
        ("<ruby>水<rp>(</rp><rt>みず</rt><rp>)</rp></ruby>と<ruby><rb>木</rb><rtc><rt>き</rt></rtc></ruby>", "水と木"),
        ("<del>old</del><ins>new</ins> <s>$20</s>$15, <s>x</s>.", "old new $20 $15, x."),
        ("colo<del>u</del>r <ins>new</ins><del>old</del>", "colour new old"),
        ("co\u00adop\u200ber\u2060ate \u0645\u06cc\u200c\u062e 👩\u200d🚀", "cooperate \u0645\u06cc\u200c\u062e 👩\u200d🚀"),
    ],
)  # fmt: skip
def test_parts_of_a_line(html: str, expected: str) -> None:
    assert texts(f"<p>{html}</p>") == [expected]


HIDING = (
    "p hidden",
    "p HIDDEN=hidden",
    "p style='color:red; DISPLAY : None !important'",
    "div style=visibility:hidden",
    "span style=display:none",
    "dialog",
    "div popover",
    "template",
    "div style='display:block;display:none'",
)
SHOWING = (
    "p hidden=until-found",
    "p aria-hidden=true",
    "p style='display:none; display:block'",
    "p hidden style=display:flex",
    "p style='--display:none'",
    "dialog open",
    "div class=hidden",
    "template shadowrootmode=open",
)


@pytest.mark.parametrize("tag", HIDING)
def test_hidden_text_is_left_out_unless_it_is_most_of_the_prose(tag: str) -> None:
    hidden = f"<{tag}>{PROSE}</{tag.split()[0]}>"
    assert texts(f"<p>{PROSE * 2}</p>{hidden}") == [(PROSE * 2).strip()]
    if tag != "template":
        assert texts(f"<h2>Why?</h2>{hidden}") == ["Why?", PROSE.strip()]


def test_a_consent_managers_dialog_is_left_out_however_long_it_is() -> None:
    dialog = f"<div id='CybotCookiebotDialog' style='display:block'><p>{PROSE * 3}</p></div>"
    assert texts(f"<h2>Why?</h2>{dialog}<p>So.</p>") == ["Why?", "So."]
    assert texts("<p id='CookieBotDialog'>a</p><p class='didomi-host'>b</p>") == ["a", "b"]


@pytest.mark.parametrize("tag", SHOWING)
def test_text_that_only_may_be_hidden_is_kept(tag: str) -> None:
    shown = f"<{tag}>Shown</{tag.split()[0]}>"
    assert texts(f"<p>{PROSE}</p><div>{shown}</div>") == [PROSE.strip(), "Shown"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("<tr><th><th>A<th>B<tr><td>x<td><td>2<tr><td>y<td>&nbsp;<td>3", "| A | B\nx |  | 2\ny |  | 3"),
        ("<tr><td>a<td>b<td>c<tr><td colspan=2>d<td>e<tr><td><td><td>f", "a | b | c\nd |  | e\n|  | f"),
        ("<tr><td rowspan=2>a<td>b<td>c<tr><td>d<td>e<tr><td>f<td>g", "a | b | c\n| d | e\nf | g"),
        ("<tr><td>a<td colspan=0 rowspan=x>b<tr><td>c<td colspan=99999>d", "a | b\nc | d"),
        ("<tr><td><td><p>a<p>b<td>", "a\n\nb"),
    ],
)  # fmt: skip
def test_cells_stand_in_their_columns(rows: str, expected: str) -> None:
    nodes, blocks = cut(f"<table>{rows}</table>") or pytest.fail("no text")
    keep = np.ones(len(blocks.start), bool)
    assert bytes(blocks_join.joined(keep, nodes, blocks, False)).decode() == expected


PIECES = st.sampled_from(
    [*"ax1 <>&", "<pre>", "</pre>", "<math alttext='", "<annotation encoding=tex", "</math>", "<msup>", "<mrow>", "\n",
     "<sup>", "</sup>", "<x-a>", "</x-a>", "<del>", "</del>", "<li>", "</li>", "<td class=gutter>", "<tr>", "<table>",
     "<script type='math/tex'>", "</script>", "<p hidden>", "<span style='display:none", "'>", "<button>", "<h2>",
     "<span class=katex-html>", "<span class=MathJax>", "<td colspan=9 rowspan=9>", "&lt;", "\u00ad", "<br>"]
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(st.lists(PIECES, max_size=60).map("".join), st.booleans())
def test_any_page_gives_blocks_that_are_whole(html: str, is_parsed: bool) -> None:
    page = cut(html) if is_parsed else scan(np.frombuffer(b"<" + html.encode(), np.uint8), WORDS)
    if page is None:
        return
    nodes, blocks = page
    assert (blocks.end > blocks.start).all()
    assert (blocks.start[1:] >= blocks.end[:-1]).all()
    assert all(
        bytes(blocks.text[a:b]).strip() for a, b in zip(blocks.start, blocks.end, strict=True)
    )
    keep = np.ones(len(blocks.start), bool)
    assert len(blocks_join.joined(keep, nodes, blocks, True)) >= len(keep)


def test_no_two_signs_of_an_element_share_a_bit() -> None:
    flags = [
        *v.CATEGORY_BIT.values(),
        *v.MARKUP_BIT.values(),
        *(getattr(attributes, name) for name in ("HIDDEN_ATTRIBUTE", "KEEPS_SPACE", "NOT_SHOWN")),
        attributes.MOST_SPAN << attributes.SPAN_AT,
        attributes.MOST_SPAN << attributes.ROW_SPAN_AT,
    ]
    assert sum(flags) == functools.reduce(operator.or_, flags) < 1 << 63


@pytest.mark.parametrize("name", sorted(v.MARKUP))
def test_a_class_of_any_name_hides_nothing(name: str) -> None:
    page = f"<p>Before it.</p><div class='{name}'><p>What stands in it is read.</p></div>"
    assert texts(page) == ["Before it.", "What stands in it is read."]
