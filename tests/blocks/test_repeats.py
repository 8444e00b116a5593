"""Repeated elements: the items, cards and paths that a block stands in."""

import numpy as np
import turbohtml
from hypothesis import given
from hypothesis import strategies as st

from curation.blocks import features as blocks_features
from curation.blocks import vocabulary as v
from curation.blocks.repeats import numbered
from curation.blocks.scan import scan

WORDS = v.vocabulary()


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3), max_size=40))
def test_equal_keys_get_equal_numbers_in_order(keys: list[int]) -> None:
    numbers, count = numbered(np.array(keys, np.uint64))
    order = list(dict.fromkeys(keys))
    assert numbers.tolist() == [order.index(key) for key in keys]
    assert count == len(order)


def test_the_cards_of_a_shop_are_seen() -> None:
    cards = "".join(
        f"<div class='card c{k}'><h3>Lamp {name}</h3><span>${k}9.50</span><p>Add to cart</p></div>"
        for k, name in enumerate(("one", "two", "three", "four"))
    )
    page = f"<body><p>Lamps</p><div class=grid>{cards}</div>"
    data = np.frombuffer(turbohtml.parse(page, positions=False).encode(), np.uint8)
    nodes, blocks = scan(data, WORDS)
    x, _, repeats = blocks_features.features(nodes, blocks, WORDS)
    rows = [
        dict(zip(blocks_features.feature_names(), values, strict=True)) for values in x.tolist()
    ]
    intro, third = rows[0], rows[7:10]  # a card has three blocks
    assert intro["card.log_items"] == -1
    assert [row["card.log_items"] for row in third] == [2, 2, 2]
    assert [row["card.place"] for row in third] == [0.5, 0.5, 0.5]
    assert [row["card.prices"] for row in third] == [1, 1, 1]
    assert [row["text.has_price"] for row in third] == [0, 1, 0]
    assert [row["text.log_equal"] for row in third] == [0, 0, 2]
    assert [row["text.log_alike"] for row in third] == [0, 2, 2]
    assert [row["same_classes.log_blocks"] for row in rows[:2]] == [0, 2]
    assert intro["page.log_cards"] == 2
    assert repeats.group[1].tolist() == [-1] + [repeats.group[1][1]] * 12
