"""Blocks from balanced HTML, features, forests, alignment, thresholds and joining, each against
something simpler."""

from html.parser import HTMLParser

import numpy as np
import pytest
import turbohtml
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.blocks import features as blocks_features
from curation.blocks import forest
from curation.blocks import join as blocks_join
from curation.blocks import text as blocks_text
from curation.blocks import vocabulary as v
from curation.blocks.align import matched
from curation.blocks.scan import scan
from curation.blocks.search import place_of

WORDS = v.vocabulary()
SKIPPED = set(v.SKIPPED.split())


def cut(html: str) -> tuple[blocks_text.Nodes, blocks_text.Blocks]:
    return scan(np.frombuffer(turbohtml.parse(html, positions=False).encode(), np.uint8), WORDS)


def texts(html: str) -> list[str]:
    blocks = cut(html)[1]
    return [bytes(blocks.text[a:b]).decode() for a, b in zip(blocks.start, blocks.end, strict=True)]


class Visible(HTMLParser):
    """The characters that are not in an element without text, white space left out; the standard
    library's way."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.found = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if (self.depth or tag in SKIPPED) and tag not in v.VOID.split():
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        self.depth -= bool(self.depth)

    def handle_data(self, data: str) -> None:
        if not self.depth:
            self.found += "".join(
                c for c in data if not c.isspace() and c not in "\u200b\u200e\u200f"
            )


TAGS = [
    "p",
    "div",
    "a",
    "b",
    "ul",
    "li",
    "h1",
    "table",
    "tr",
    "td",
    "pre",
    "br",
    "span",
    "svg",
    "select",
    "script",
    "section",
    "video",
    "img",
]
PIECES = st.one_of(
    st.sampled_from(TAGS).map(lambda tag: f"<{tag} class='entry-content nav' id=x>"),
    st.sampled_from(TAGS).map(lambda tag: f"</{tag}>"),
    st.sampled_from(
        [
            "Hello, world. ",
            "a &lt;b&gt; &amp; c",
            "你好，世界。",
            "<!-- no -->",
            "\u200b",
            "&nbsp;",
            "Grüße aus Köln! ",
            "\n",
        ]
    ),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(PIECES, max_size=40))
def test_blocks_hold_all_visible_characters_in_order(pieces: list[str]) -> None:
    html = turbohtml.parse("".join(pieces), positions=False).encode().decode()
    oracle = Visible()
    oracle.feed(html)
    oracle.close()
    found = "".join(texts(html))
    assert "".join(c for c in found if not c.isspace()) == oracle.found


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>one <b>two</b>\n three<p>four", ["one two three", "four"]),
        ("one<br>two<br><br>three<br> <br>four", ["one\ntwo", "three", "four"]),
        ("<pre>def f():\n    return  1\n</pre>", ["def f():\n    return  1"]),
        ("a<script>b</script>c<style>d</style><p>e<svg><text>f</text></svg>", ["ac", "e"]),
        ("<select><option>no</select><button>no</button><p>yes", ["yes"]),
        ("", []),
        ("<title>only</title>", []),
        ("&amp;lt; &lt; &gt;", ["&lt; < >"]),
    ],
)
def test_blocks(html: str, expected: list[str]) -> None:
    assert texts(html) == expected


def test_nodes_know_their_names_and_parents() -> None:
    nodes, blocks = cut(
        "<div class='entryContent' style='display: none'><nav id=main-Menu><p>x</nav><p>y</div>"
    )
    bits = [
        {name for name, bit in v.CATEGORY_BIT.items() if nodes.names[i] & bit}
        for i in range(len(nodes.tag))
    ]
    p = int(blocks.node[0])
    assert v.NAMES[nodes.tag[p] - 1] == "p"
    assert bits[nodes.parent[p]] == {"body", "navigation"}
    assert bits[nodes.parent[nodes.parent[p]]] >= {"article", "body", "hidden"}
    assert (nodes.parent[1:] < np.arange(1, len(nodes.parent))).all()
    assert (nodes.depth[1:] >= nodes.depth[nodes.parent[1:]]).all()


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300))
def test_anything_can_be_scanned(data: bytes) -> None:
    nodes, blocks = scan(np.frombuffer(b"<" + data, np.uint8), WORDS)
    assert (blocks.end > blocks.start).all()
    assert (blocks.node < len(nodes.parent)).all()


def test_the_number_of_blocks_is_bounded() -> None:
    html = np.frombuffer(b"<p>x</p>" * 100, np.uint8)
    assert len(scan(html, WORDS, 10)[1].start) == 10
    assert len(scan(html, WORDS)[1].start) == 100


def test_features_have_their_names_and_are_numbers() -> None:
    html = (
        "<title>A mill</title><nav><a href=/>Home</a></nav><article><h1>A mill</h1><p>"
        + "It stood by the river, and ran. " * 9
    )
    nodes, blocks = cut(html + "<p>Home<p>Home")
    x, tree, repeats = blocks_features.features(nodes, blocks, WORDS)
    names = blocks_features.feature_names()
    row = [dict(zip(names, values, strict=True)) for values in x.tolist()]
    assert len(set(names)) == len(names) == blocks_features.FEATURES
    assert np.isfinite(x).all()
    assert (row[0]["own.link_share"], row[1]["own.title_share"], row[2]["words.site"]) == (1, 1, 0)
    assert [r["own.is_repeated"] for r in row] == [0, 0, 0, 1, 1]
    assert [r["inside.nav"] for r in row] == [1, 0, 0, 0, 0]
    assert [r["distance.after_h1"] for r in row] == [-1, 0, 1, 2, 3]
    assert (
        row[1]["neighbour+1.chars"]
        == row[2]["own.chars"]
        == len("It stood by the river, and ran. " * 9) - 1
    )
    y = forest.context(np.linspace(0, 1, 5), nodes, blocks, tree, repeats)
    assert y.shape == (5, len(forest.context_names())) == (5, forest.CONTEXT)
    assert np.isfinite(y).all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 50)), min_size=1, max_size=12))
def test_the_best_threshold_is_the_best_of_all(rows: list[tuple[float, int]]) -> None:
    p, words = np.array([r[0] for r in rows]), np.array([float(r[1]) for r in rows])
    weight = words + 0.25
    order = np.argsort(-p)
    values = [
        2 * (p * weight)[order[: k + 1]].sum() / (weight[order[: k + 1]].sum() + (p * weight).sum())
        for k in range(len(p))
    ]
    assert forest.best_threshold(p, words, 0.0, 1.0)[1] == pytest.approx(max(values), abs=1e-6)


TOKENS = st.lists(st.integers(0, 4), max_size=15).map(lambda values: np.array(values, np.int32))


@settings(deadline=None)
@given(TOKENS, TOKENS)
def test_what_is_matched_stands_in_both_in_order(a: np.ndarray, b: np.ndarray) -> None:
    rest = iter(b.tolist())
    assert all(token in rest for token in a[matched(a, b)].tolist())


def test_the_alignment_prefers_one_run_to_scattered_tokens() -> None:
    menu, story = [1, 9, 2, 9, 3, 9, 4], [1, 2, 3, 4]
    found = matched(np.array(menu + story, np.int32), np.array(story, np.int32))
    assert found.tolist() == [False] * 7 + [True] * 4


@pytest.mark.parametrize(
    ("html", "markdown", "expected"),
    [
        ("<h2>A</h2><p>b<p>c", True, "## A\n\nb\n\nc"),
        ("<h2>A</h2><p>b<p>c", False, "A\n\nb\n\nc"),
        ("x<ul><li>a<li>b<p>c</ul>y", False, "x\n\n- a\n- b\nc\n\ny"),
        ("<table><tr><td>a<td>b<tr><td>c<td><p>d</table>", False, "a | b\nc | d"),
        ("<table><tr><td><p>a<p>b<td>c</table>", False, "a\n\nb | c"),
    ],
)
def test_joined_text_is_readable(html: str, markdown: bool, expected: str) -> None:
    nodes, blocks = cut(html)
    keep = np.ones(len(blocks.start), bool)
    assert bytes(blocks_join.joined(keep, nodes, blocks, markdown)).decode() == expected


def test_the_headline_is_the_heading_that_the_title_repeats() -> None:
    html = "<title>The old mill - News</title><h1>News</h1><h2>Other</h2><h1>The old mill</h1><p>text<h2>The mill</h2>"
    nodes, blocks = cut(html)
    assert blocks_join.headline(np.array([0, 0, 0, 1, 1], bool), nodes, blocks, WORDS) == 2
    nodes, blocks = cut("<p>text")
    assert blocks_join.headline(np.array([True]), nodes, blocks, WORDS) == -1


@given(st.binary(max_size=80), st.integers(0, 80))
def test_a_byte_is_found_where_it_stands_next(data: bytes, start: int) -> None:
    start = min(start, len(data))
    for sign in (0, ord("<"), 255, *data[-2:]):
        found = data.find(bytes([sign]), start)
        expected = found if found >= 0 else len(data)
        assert place_of(sign, np.frombuffer(data, np.uint8), start) == expected


@pytest.mark.parametrize("trees", [1, 5, 29, 30, 31, 37])
def test_rows_walk_a_forest_as_its_nodes_say(trees: int) -> None:
    """Whatever the numbers are: zeros of both signs, infinities, none; equal to a threshold too."""
    rng = np.random.default_rng(trees)
    numbers = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -1.5, 1e-40, 3e38], np.float32)
    feature = np.tile(np.array([0, 1, -1, -1, -1], np.int16), trees)
    root = np.arange(0, 5 * trees, 5, dtype=np.int32)
    left = np.repeat(root, 5) + np.tile(np.array([1, 3, 0, 0, 0], np.int32), trees)
    threshold = rng.choice(numbers[[0, 1, 5, 6, 7]], 5 * trees)
    threshold[feature < 0] = rng.normal(-0.1, 0.2, 3 * trees)
    x = rng.choice(numbers, (50, 2))
    totals = []
    for row in x:
        total = 0.0
        for tree, start in enumerate(root):
            if tree == 30 and total < -2.5:
                break
            at = start
            while feature[at] >= 0:
                at = left[at] + (row[feature[at]] > threshold[at])
            total += float(threshold[at])
        totals.append(total)
    given = forest.Forest(feature, threshold, left, root)
    assert forest.probabilities(given, x) == pytest.approx(1 / (1 + np.exp(-np.array(totals))))


def test_a_packed_forest_says_what_lightgbm_says() -> None:
    lightgbm = pytest.importorskip("lightgbm", reason="the extra `extractor` is not installed")
    from curation.tools.train_extractor import packed

    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 6)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + x[:, 2] > 0).astype(np.float32)
    model = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 0},
        lightgbm.Dataset(x, y),
        20,
    )
    made = packed(model.dump_model()["tree_info"])
    assert forest.probabilities(made, x) == pytest.approx(model.predict(x), abs=1e-5)
