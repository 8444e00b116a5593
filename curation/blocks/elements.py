"""What the tags of an element do to the text around them: whether a block ends, a line of `<pre>`
begins, words are set apart, and whether the text inside is read.

What CSS displays inline never ends a block, nor does an unknown element, unless blocks are inside
it. The trap: names decide what a style sheet would say, such as which column holds line numbers.
"""

from __future__ import annotations

import numpy as np

from curation.blocks import attributes as a
from curation.blocks import byte
from curation.blocks import vocabulary as v
from curation.blocks.formulas import find, raise_exponent
from curation.blocks.jit import inner
from curation.blocks.text import (
    AT_STACK,
    BLOCKS,
    BREAKS,
    FORMULA_END,
    HIDDEN_BYTES,
    IMAGES,
    IN_BLOCK,
    IN_BOLD,
    IN_GUTTER,
    IN_HEADING,
    IN_HIDDEN,
    IN_LINK,
    IN_PRE,
    IN_SKIPPED,
    INDENT,
    LAST_BLOCK_NODE,
    LAST_INLINE_END,
    LINE_FROM,
    OUT,
    SHOWS_HIDDEN,
    SPACE,
    TEX_SCRIPTS,
    TITLE_FROM,
    TITLE_TO,
    WHOLE_WORD_STRUCK,
    Blocks,
    Bytes,
    Int32s,
    Int64s,
    begin_line,
    end_block,
    set_apart,
    set_mode,
    starts,
)

_GUTTER_REACH = 200  # bytes from the start of a line number's element to the number
_INLINE, _SKIPPED, _LINE, _BOX = v.IS_INLINE, v.IS_SKIPPED, v.IS_LINE, v.IS_BOX
_OTHER = 0  # the tag of unknown and custom elements
_A, _B, _STRONG, _TITLE, _IMG, _PRE, _LISTING, _CODE = (
    v.TAG[name] for name in ["a", "b", "strong", "title", "img", "pre", "listing", "code"]
)
_BUTTON, _DIALOG, _TEMPLATE, _SPAN, _DIV, _SUP, _DEL, _S, _STRIKE = (
    v.TAG[name]
    for name in ["button", "dialog", "template", "span", "div", "sup", "del", "s", "strike"]
)
_LI, _TR, _TD, _TH, _TABLE, _OL, _UL, _H1, _H6, _SUMMARY, _DT = (
    v.TAG[name]
    for name in ["li", "tr", "td", "th", "table", "ol", "ul", "h1", "h6", "summary", "dt"]
)
_LINE_NUMBERS, _GUTTER, _LN, _LINE_NAME, _NUMBER, _CODE_NAME = (
    v.MARKUP_BIT[name] for name in ("line_numbers", "gutter", "ln", "line", "number", "code")
)
_KATEX_HTML = v.MARKUP_BIT["katex"] | v.MARKUP_BIT["html"]
_JAX, _ASSISTIVE = v.MARKUP_BIT["jax"], v.MARKUP_BIT["mjx"] | v.MARKUP_BIT["assistive"]
_ALL_MARKUP = sum(v.MARKUP_BIT.values()) | a.IS_NUMBERED
_END_TAG, _INS_END, _NO_BREAK = b"</", b"</ins>", b"&nbsp;"
_TEX_SCRIPT = b'type="math/'


@inner(_nrt=False)
def start_block(node: int, tag: int, flags: int, blocks: Blocks, state: Int64s) -> None:
    """Before the content of a block: a line or cell of `<pre>` begins, outside of one a block."""
    state[LAST_BLOCK_NODE] = node
    if not state[IN_PRE] or not (flags & _LINE or tag in (_TD, _TH)):
        end_block(state)
    elif flags & _LINE:
        begin_line(blocks, state)
        state[LINE_FROM] = state[OUT]
    elif state[IN_BLOCK] and blocks.text[state[OUT] - 1] != byte.LINE_FEED:
        blocks.text[state[OUT]] = byte.TAB
        state[OUT] += 1


@inner(_nrt=False)
def finish_block(tag: int, flags: int, in_pre: int, blocks: Blocks, state: Int64s) -> None:
    """After the end tag of a block: a line of `<pre>` ends, outside of one the block."""
    if not state[IN_PRE] or not (flags & _LINE or tag in (_TD, _TH)):
        end_block(state)
    elif tag in (_LI, _TR) and state[IN_BLOCK] and state[LINE_FROM] == state[OUT]:
        blocks.text[state[OUT]] = byte.LINE_FEED
        state[OUT] += 1
    elif flags & _LINE:
        begin_line(blocks, state)


@inner(_nrt=False)
def break_line(blocks: Blocks, state: Int64s) -> None:
    """One `<br>` is white space, a second one ends the block; inside `<pre>` each is a line feed."""
    if state[IN_PRE]:
        state[INDENT] = 0
        if state[IN_BLOCK]:
            blocks.text[state[OUT]] = byte.LINE_FEED
            state[OUT] += 1
        return
    state[BREAKS] += 1
    state[SPACE] = 1
    if state[BREAKS] >= 2:
        end_block(state)


@inner(_nrt=False)
def start_inline(
    html: Bytes, i: int, j: int, tag: int, flags: int, blocks: Blocks, state: Int64s
) -> None:
    """Before the content of an inline element, whose start tag is html[i:j]."""
    if flags & _BOX or (tag == _OTHER and state[LAST_INLINE_END] == i):
        set_apart(state)
    elif tag == _IMG:
        if state[IN_BLOCK]:
            blocks.counts[state[BLOCKS] - 1, IMAGES] += 1
    elif tag == _SUP:
        raise_exponent(html, j, blocks, state)
    elif tag == _CODE:
        state[IN_GUTTER] = 0
    elif tag in (_DEL, _S, _STRIKE):
        if starts(html, max(i - len(_INS_END), 0), i, _INS_END):
            set_apart(state)
        last = blocks.text[state[OUT] - 1] if state[IN_BLOCK] else np.uint8(byte.SPACE)
        state[WHOLE_WORD_STRUCK] = state[SPACE] or last >= byte.ASCII_END or not _is_word(last)


@inner(_nrt=False)
def finish_inline(html: Bytes, after: int, tag: int, flags: int, node: int, state: Int64s) -> None:
    """After the end tag of an inline element, which ended before `after`."""
    if tag == _OTHER:
        if state[LAST_BLOCK_NODE] > node and not state[IN_PRE]:
            end_block(state)
        state[LAST_INLINE_END] = after
    elif flags & _BOX or (
        tag in (_DEL, _S, _STRIKE) and state[WHOLE_WORD_STRUCK] and _word_follows(html, after)
    ):
        set_apart(state)


@inner(_nrt=False)
def _word_follows(html: Bytes, i: int) -> bool:
    """Return whether what follows at i, after up to three end tags, may be a word."""
    n = html.shape[0]
    for _ in range(3):
        if not starts(html, i, n, _END_TAG):
            break
        while i < n and html[i] != byte.GREATER_THAN:
            i += 1
        i += 1
    return i < n and (_is_word(html[i]) or html[i] in (byte.LESS_THAN, byte.DOLLAR))


@inner(_nrt=False)
def _is_word(c: int) -> bool:
    return (
        byte.SMALL_A <= c | 32 <= byte.SMALL_Z or byte.ZERO <= c <= byte.NINE or c >= byte.ASCII_END
    )


@inner(_nrt=False)
def enter(
    html: Bytes,
    j: int,
    tag: int,
    flags: int,
    bits: int,
    tags: Int32s,
    stack: Int32s,
    state: Int64s,
) -> None:
    """Note what holds inside an element whose start tag ends at j: no text, `<pre>`, a heading."""
    level = state[AT_STACK]
    if (bits & a.NOT_SHOWN or (tag == _DIALOG and not bits & a.IS_OPEN)) and not state[
        SHOWS_HIDDEN
    ]:
        set_mode(state, IN_HIDDEN, level)
        return
    if bits & a.IS_CONSENT:
        set_mode(state, IN_SKIPPED, level)
        return
    if flags & _SKIPPED:
        is_heading = tag == _BUTTON and state[IN_HEADING] and not state[IN_BLOCK]
        if not is_heading and not (tag == _TEMPLATE and bits & a.IS_SHADOW_ROOT):
            set_mode(state, IN_SKIPPED, level)
            return
    is_pre = tag in (_PRE, _LISTING) or (bits & a.KEEPS_SPACE and not flags & _INLINE)
    if is_pre and not state[IN_PRE]:
        set_mode(state, IN_PRE, level)
    if _H1 <= tag <= _H6 or tag in (_SUMMARY, _DT) or bits & a.IS_HEADING:
        set_mode(state, IN_HEADING, level)
    if bits & _ALL_MARKUP:
        _enter_markup(html, j, tag, bits, tags, stack, state)


@inner(_nrt=False)
def _enter_markup(
    html: Bytes, j: int, tag: int, bits: int, tags: Int32s, stack: Int32s, state: Int64s
) -> None:
    """Note what an element's names say of its text: a formula shown twice, line numbers."""
    level = state[AT_STACK]
    if bits & _KATEX_HTML == _KATEX_HTML and state[FORMULA_END] == state[OUT]:
        set_mode(state, IN_SKIPPED, level)
    elif (bits & _JAX and tag in (_SPAN, _DIV)) or bits & _ASSISTIVE == _ASSISTIVE:
        if state[TEX_SCRIPTS] == 0:
            state[TEX_SCRIPTS] = 1 + (find(html, 0, html.shape[0], _TEX_SCRIPT) < html.shape[0])
        # MathJax 2 leaves the TeX in a script behind its output.
        if (state[TEX_SCRIPTS] == 2) == (bits & _JAX > 0):
            set_mode(state, IN_SKIPPED, level)
    elif _is_gutter(html, j, tag, bits, state):
        set_mode(state, IN_GUTTER, level)
        if not state[IN_PRE] and tag in (_TD, _TH):  # its table is a listing
            for at in range(level - 2, max(level - 5, -1), -1):
                if tags[stack[at]] == _TABLE:
                    set_mode(state, IN_PRE, at + 1)
                    half = stack.shape[0] // 2
                    stack[half + at : half + level] = at
                    break


@inner(_nrt=False)
def _is_gutter(html: Bytes, j: int, tag: int, bits: int, state: Int64s) -> bool:
    """Return whether an element holds the line numbers of a listing: by its names, and since a
    number comes first in it."""
    if bits & _CODE_NAME or tag in (_PRE, _CODE, _OL, _UL, _TABLE):
        return False
    is_cell = tag in (_TD, _TH)
    if is_cell and bits & a.IS_NUMBERED:
        return True
    named = bits & _LINE_NUMBERS or (bits & (_LINE_NAME | _LN) and bits & _NUMBER)
    loosely = bits & _GUTTER or (bits & _LN and not bits & _LINE_NAME)
    if not named and not (loosely and (is_cell or state[IN_PRE])):
        return False
    for k in range(j, min(j + _GUTTER_REACH, html.shape[0])):
        if (html[k - 1] == byte.GREATER_THAN or html[k - 1] <= byte.SPACE) and byte.ZERO <= html[
            k
        ] <= byte.NINE:
            return True
    return False


@inner(_nrt=False)
def is_in_hidden_line(flags: Int64s, tags: Int32s, stack: Int32s, state: Int64s) -> bool:
    """Return whether what hides the text here is inline: MathML hidden so stands for a picture."""
    if state[IN_SKIPPED] or not state[IN_HIDDEN]:
        return False
    return flags[tags[stack[state[IN_HIDDEN] - 1]]] & _INLINE > 0


@inner(_nrt=False)
def count_open(html: Bytes, j: int, tag: int, state: Int64s) -> int:
    """Count an element that was opened before j; return where to go on: behind the title's text."""
    if tag == _A:
        state[IN_LINK] += 1
    elif tag in (_B, _STRONG):
        state[IN_BOLD] += 1
    elif tag == _TITLE and state[TITLE_TO] == 0:
        state[TITLE_FROM] = j
        while j < html.shape[0] and html[j] != byte.LESS_THAN:
            j += 1
        state[TITLE_TO] = j
    return j


@inner(_nrt=False)
def after_hidden(html: Bytes, i: int, state: Int64s) -> int:
    """Return where the text at i ends if it is not shown, or a line number; else i."""
    n, first = html.shape[0], i
    if state[IN_SKIPPED]:
        while i < n and html[i] != byte.LESS_THAN:
            i += 1
        return i
    visible, is_number = 0, True
    while i < n and html[i] != byte.LESS_THAN:
        c = html[i]
        if c == byte.AMPERSAND and starts(html, i, n, _NO_BREAK):
            i += len(_NO_BREAK)
            continue
        visible += c > byte.SPACE
        if c > byte.COLON or byte.SPACE < c < byte.ZERO:
            is_number &= c in (byte.BAR, byte.FULL_STOP) or c in byte.NO_BREAK_SPACE
        i += 1
    if state[IN_HIDDEN]:
        state[HIDDEN_BYTES] += visible * (state[IN_LINK] == 0)
        return i
    return i if is_number else first
