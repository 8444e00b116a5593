"""The words that the block kernels know: tags, parts of class names, and words of text, as hash
tables for Numba.

Each table is open addressing over FNV-1a hashes (64 bits, so that a false match is no concern).
Costs nothing after import. The trap: a model is trained on the features these lists make, so a
changed list needs a new model (`curation train-extractor`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

FNV_OFFSET = 14695981039346656037
FNV_PRIME = 1099511628211

# ---- tags ----------------------------------------------------------------------------------------

# What CSS displays inline, or not at all; so is every element that is not among NAMES.
INLINE = """a span b i em strong u s small big sub sup font code kbd var samp tt abbr acronym cite
q dfn mark time label ins del bdi bdo br wbr img picture source data ruby rb rt rp rtc strike nobr
input script style template noscript svg iframe select option optgroup button textarea object canvas
audio video math datalist noembed map embed meter progress output applet slot area base link meta
param track mjx-math"""
SKIPPED = """script style noscript template svg iframe select option optgroup button textarea object
canvas audio video head datalist noembed noframes map embed meter progress applet rt rp rtc
mjx-math"""
VOID = "area base br col embed hr img input link meta source track wbr param"
RAW = "script style xmp iframe noembed noframes plaintext"
# A line each inside `<pre>`, where other blocks end the text.
LINES = "div li ul ol dl dt dd table thead tbody tfoot tr pre listing"
# Boxes of their own in a line: the words on both sides do not touch.
BOXES = "iframe select button textarea object canvas audio video embed input meter progress applet"
BLOCK = """p div li ul ol dl dt dd h1 h2 h3 h4 h5 h6 td th tr table thead tbody tfoot blockquote
pre article section main aside nav header footer form figure figcaption address center body html
details summary fieldset caption hgroup menu dialog title legend dir listing search colgroup
frameset frame"""
NAMES = sorted({*" ".join((INLINE, SKIPPED, VOID, RAW, BLOCK)).split()})
TAG = {name: number + 1 for number, name in enumerate(NAMES)}  # 0 is any other element
IS_INLINE, IS_SKIPPED, IS_VOID, IS_RAW, IS_LINE, IS_BOX = 1, 2, 4, 8, 16, 32

# Ancestors that a block is told of, one bit each.
ANCESTORS = {
    "nav": "nav", "footer": "footer", "header": "header", "aside": "aside", "article": "article", "main": "main",
    "form": "form dialog", "table": "table", "ul": "ul menu", "ol": "ol", "li": "li", "blockquote": "blockquote",
    "figure": "figure", "dl": "dl", "section": "section", "pre": "pre", "cell": "td th", "details": "details", "p": "p",
    "heading": "h1 h2 h3 h4 h5 h6", "a": "a", "figcaption": "figcaption",
}  # fmt: skip
# What kind of block a container makes, as an ordinal: 0 is any other.
KINDS = ("p", "div body html center", "li", "h1", "h2", "h3 h4", "h5 h6", "td th caption", "dt dd", "blockquote", "pre",
         "figcaption figure", "section article main", "ul ol dl menu", "header footer nav aside form")  # fmt: skip
KIND_H1, KIND_H6 = 4, 7

# ---- parts of class, id, role and itemprop -------------------------------------------------------

CATEGORIES = {
    "navigation": """nav navbar navigation menu menus submenu breadcrumb breadcrumbs crumb crumbs
        topbar toolbar tabs tab pagination pager paging pagenav topnav mainnav subnav navi
        sitemap""",
    "footer": "footer foot copyright legal bottom colophon disclaimer ftr contentinfo fineprint",
    "header": "header masthead banner logo top skip head hdr branding sitename",
    "sidebar": """sidebar side aside rail widget widgets right left sidebars secondary rightcol
        leftcol col1 rightrail complementary portlet""",
    "comments": """comment comments disqus respond reply replies commentlist discussion livefyre
        commenter commentform feedback responses""",
    "sharing": """share sharing social facebook twitter follow addthis sharebar sharethis
        sharedaddy socials tweet whatsapp pinterest email print tools actions buttons utility""",
    "related": """related recommend recommended recommendations more popular trending teaser
        teasers promo promos promoted promotion outbrain taboola next latest recirc recirculation
        similar suggested suggestions carousel slider also trc mostread mostpopular most prev
        previous upsell""",
    "advertising": """ad ads adv advert advertisement advertising sponsor sponsored sponsors dfp
        gpt adsense banner adbox adslot commercial partner""",
    "asking": """newsletter subscribe subscription signup signin login cookie cookies consent gdpr
        modal popup overlay paywall search register registration donate donation cta optin
        onetrust alert notification popover lightbox tooltip dialog""",
    "byline": """byline author authors date time meta published timestamp tags tag category
        categories info credit source dateline metadata postmeta bio writer taglist keywords
        topics labels""",
    "article": "article story entry post hentry news articles blogpost blog posts",
    "body": """body content text main maincontent copy prose rich richtext paragraph articlebody
        storybody contents page document bodytext maintext description wysiwyg markdown primary
        center articletext storytext entrycontent postcontent articlecontent""",
    "hidden": """hidden visually sr screenreader hide noprint invisible collapsed accessibility
        assistive offscreen""",
    "media": """caption figure gallery image photo img media video player images photos thumbnail
        thumb picture slideshow""",
    "title": """title headline heading subtitle dek summary lead standfirst intro subheadline lede
        excerpt abstract subhead""",
    "product": """product price cart review reviews rating ratings shop buy checkout basket stock
        specs features feature offer""",
    "forum": """thread message topic quote signature user profile forum member answer question
        answers postbody replies avatar""",
    "listing": "list listing items item grid card cards row tile tiles feed archive results result",
    "reference": """toc table contents index faq accordion docs documentation readme wiki mw
        reference references footnote footnotes ref""",
    "price": "price prices pricing amount cost saleprice msrp currency",
    "facets": """filter filters facet facets refine refinement refinements sort sorting sortby
        swatch swatches variant variants option options selector""",
    "rating": "review reviews rating ratings star stars",
    "user": "user username userinfo profile avatar member signature badge rank poster author",
    "cart": "cart basket checkout buy addtocart wishlist compare qty quantity minicart",
    "home": "home index front hero landing pricing testimonial testimonials services contact about",
}
CATEGORY_BIT = {name: 1 << number for number, name in enumerate(CATEGORIES)}
# Parts of names that say how text is shown, not what it is; bits after those of CATEGORIES.
MARKUP = {
    "line_numbers": "lineno linenos linenodiv linenumber linenumbers linenum lnt lntd lnos",
    "gutter": "gutter",
    "ln": "ln",
    "line": "line",
    "number": "number numbers num nums",
    "code": "code",
    "katex": "katex",
    "html": "html",
    "jax": "jax",
    "mjx": "mjx",
    "assistive": "assistive",
}
MARKUP_BIT = {name: 1 << (len(CATEGORIES) + number) for number, name in enumerate(MARKUP)}
ALL_CATEGORIES = (1 << len(CATEGORIES)) - 1
GOOD_NAMES = CATEGORY_BIT["article"] | CATEGORY_BIT["body"]
BAD_NAMES = sum(
    CATEGORY_BIT[c]
    for c in ("navigation", "footer", "sidebar", "comments", "related", "advertising", "asking")
)

# ---- bytes of text -------------------------------------------------------------------------------

# Sorts of bytes: the first of a character as it counts, a later byte of one, white space; SPECIAL
# ones need a look at what follows.
PLAIN, CAPITAL, DIGIT, PUNCTUATION, WIDE, CONTINUED, BLANK, SPECIAL = range(8)

# ---- words of text -------------------------------------------------------------------------------

STOP_WORDS = """
the of and to a in is that for it as was with on be by at this have from or had not are but which
you we they he she his her an were their been has will would who more when there what so if out
about up into than them can no de la le les et des en un une du que est pour qui dans par sur au
il ne pas plus se ce el los y del las por con una su al lo como para der die und den von zu das
mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie nach wird
bei di che il non per della i una sono del è le da al het een van dat niet zijn op te и в не на
что с по как это из за от к для"""
WORD_LISTS = {
    "copyright": "copyright rights reserved © ®",
    "account": "subscribe newsletter sign signup inbox email register login account password",
    "share": "share tweet facebook twitter pinterest linkedin whatsapp instagram print",
    "related": "read related also recommended popular trending latest stories next previous",
    "comment": "comment comments reply replies respond",
    "privacy": "cookie cookies privacy terms policy conditions",
    "advertisement": "advertisement sponsored ad advertise",
    "byline": "posted by updated published author written",
    "picture": "photo image credit getty reuters ap images file picture",
    "date": """jan feb mar apr may jun jul aug sep sept oct nov dec january february march april
        june july august september october november december pm am ago hours""",
    "action": "click here view show load all see download learn",
    "site": "home about contact menu search sitemap help faq",
    "price": "price prices sale off save was now msrp regular usd eur gbp discount deal",
    "cart": "cart bag basket wishlist compare quick buy shop options checkout qty quantity stock",
    "rating": "review reviews rating ratings star stars verified helpful customer customers",
    "sorting": "filter filters sort results result items products clear apply page per showing",
    "thread": """posts joined member members location quote topic topics thread threads views
        likes registered user solved answers""",
    "delivery": "shipping delivery returns return free warranty pickup ship ships order orders",
}


class Vocabulary(NamedTuple):
    """The tables as Numba takes them: three hash tables (keys uint64, values int64; a power of two
    long) and three arrays by tag."""

    tag_keys: UInt64s
    tag_values: Int64s
    name_keys: UInt64s
    name_values: Int64s  # bits of CATEGORIES and MARKUP
    word_keys: UInt64s
    word_values: Int64s  # bit 0 a stop word, then bits of WORD_LISTS
    flags: Int64s  # by tag: IS_INLINE, IS_SKIPPED ...
    ancestors: Int64s  # by tag: bits of ANCESTORS
    kinds: Int64s  # by tag: 1 + place in KINDS
    sorts: npt.NDArray[np.uint8]  # [256], of a byte: PLAIN to SPECIAL
    letters: npt.NDArray[
        np.uint8
    ]  # [256], the byte in lower case where it belongs to a word (all beyond ASCII do), else 0


def fnv1a(word: str) -> int:
    """The 64-bit FNV-1a hash of a word's UTF-8 bytes.

    >>> hex(fnv1a("a"))
    '0xaf63dc4c8601ec8c'
    """
    value = FNV_OFFSET
    for byte in word.encode():
        value = ((value ^ byte) * FNV_PRIME) % 2**64
    return value


def hash_table(entries: dict[str, int], size: int) -> tuple[UInt64s, Int64s]:
    """Keys and values of an open-addressing table; `size` must exceed the number of entries."""
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for word, value in entries.items():
        key = fnv1a(word)
        at = key % size
        while keys[at] not in (0, key):
            at = (at + 1) % size
        keys[at], values[at] = key, value
    return keys, values


def _bits(lists: list[str], first: int = 0, start: dict[str, int] | None = None) -> dict[str, int]:
    """Each word with a bit for every list it is on."""
    out = dict(start or {})
    for number, words in enumerate(lists):
        for word in words.split():
            out[word] = out.get(word, 0) | 1 << (first + number)
    return out


def _by_tag(bits: dict[str, int]) -> Int64s:
    return np.array([0, *(bits.get(name, 0) for name in NAMES)], np.int64)


def _sorts() -> npt.NDArray[np.uint8]:
    sorts = np.zeros(256, np.uint8)
    for sort, values in (
        (CAPITAL, range(65, 91)), (DIGIT, range(48, 58)), (PUNCTUATION, (*b",.!?|/", 0xEF, 0xD8)), (WIDE, range(0xE3, 0xEA)),
        (CONTINUED, range(0x80, 0xC0)), (BLANK, (*range(9, 14), 32)), (SPECIAL, (0, *b"<&", 0xC2, 0xE2)),
    ):  # fmt: skip
        sorts[list(values)] = sort
    return sorts


def vocabulary() -> Vocabulary:
    """All tables, made in two milliseconds."""
    flags = _by_tag(_bits([INLINE, SKIPPED, VOID, RAW, LINES, BOXES]))
    flags[0] = IS_INLINE
    kinds = {name: place + 1 for place, names in enumerate(KINDS) for name in names.split()}
    return Vocabulary(
        *hash_table(TAG, 1024),
        *hash_table(_bits([*CATEGORIES.values(), *MARKUP.values()]), 2048),
        *hash_table(
            _bits(list(WORD_LISTS.values()), 1, dict.fromkeys(STOP_WORDS.split(), 1)), 2048
        ),
        flags,
        _by_tag(_bits(list(ANCESTORS.values()))),
        _by_tag(kinds),
        _sorts(),
        np.array(
            [
                ord(chr(c).lower()) if c < 128 and chr(c).isalnum() else c * (c >= 128)
                for c in range(256)
            ],
            np.uint8,
        ),
    )
