from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.gpt3.detokenize import DETOKENIZERS, detokenized, detokenizer_named

WORDS = ["harbour", "the", "Old", "ferry", "1990s", "tide", "Café", "<unk>", "U2", "north"]
PIECES = {
    "wikitext": ["{a} @-@ {b}", "1 @,@ 500 {a}", "3 @.@ 25 {a}", "{a} 's {b}", "( {a} {b} )",
                 '" {a} {b} "', "{a} , {b}", "{a} ; {b}", "[ {a} ]", "( {a} , {b} )", '" {a} , {b} "'],
    "ptb": ["{a} 's {b}", "do n't {a}", "`` {a} {b} ''", "{a} , {b}", "they 're {a}", "( {a} {b} )",
            "{a} ; {b}", "`` {a} , {b} ''"],
}  # fmt: skip


def published(name: str, count: int) -> list[str]:
    """Lines as such a set prints them, with every kind of token."""
    generator = np.random.default_rng(1)
    lines = []
    for _ in range(count):
        pieces = [
            piece.format(a=generator.choice(WORDS), b=generator.choice(WORDS))
            for piece in generator.choice(PIECES[name], generator.integers(1, 6))
        ]
        lines.append(
            " ".join(pieces) + str(generator.choice([" .", " ?", " , {} .", ""])).format("tide")
        )
    return lines


@pytest.mark.parametrize("name", ["wikitext", "ptb"])
def test_a_thousand_lines_are_had_back(name: str) -> None:
    lines = published(name, 1000)
    texts, kept = detokenized(lines, name)
    rules = detokenizer_named(name)
    assert kept == 0
    assert [rules.tokens(text) for text in texts] == lines
    joined = " ".join(texts)
    for marks in (" @-@ ", " , ", " 's", "`` ", " ''", " n't", "( "):
        assert marks not in joined


def test_text_reads_as_it_is_written() -> None:
    wikitext = detokenizer_named("wikitext")
    line = ' the " well @-@ known " town , with 1 @,@ 500 people ( or 1 @.@ 5 ) . '
    assert wikitext.text('the " old " one ( 3 @.@ 5 m ) , it \'s said .') == (
        'the "old" one (3.5 m), it\'s said.'
    )
    assert wikitext.text(line) == ' the "well-known" town, with 1,500 people (or 1.5). '
    ptb = detokenizer_named("ptb")
    assert ptb.text("`` they do n't , '' he said .") == '"they don\'t," he said.'


@pytest.mark.parametrize("name", list(DETOKENIZERS))
@given(line=st.text(alphabet=st.sampled_from(list("ab1 @-,.'\"`()n t s")), max_size=40))
def test_no_line_loses_its_tokens(name: str, line: str) -> None:
    rules = DETOKENIZERS[name]
    text = rules.text(line)
    assert text == line or rules.tokens(text) == line


def test_lines_that_cannot_be_had_back_stand_as_they_are() -> None:
    lines = ["a , b", 'an odd " quote , here', "a,b , c"]
    texts, kept = detokenized(lines, "wikitext")
    assert texts[0] == "a, b"
    for line, text in zip(lines, texts, strict=True):
        assert text == line or detokenizer_named("wikitext").tokens(text) == line
    assert kept == sum(text == line for text, line in zip(texts[1:], lines[1:], strict=True))
    with pytest.raises(
        InputError, match="no de-tokeniser 'brown'; choose one of none, wikitext, ptb"
    ):
        detokenizer_named("brown")
