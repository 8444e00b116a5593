from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from curation.cli.study import study
from curation.errors import InputError
from curation.gpt3.evaluate import Reader
from curation.gpt3.model import GPT3, build
from curation.gpt3.probe import (
    compare_groups,
    gender_ratios,
    mean_of,
    odds_of_words,
    samples,
    sentiment,
    words_of,
)
from curation.gpt3.probe_words import GROUPS, MEN, OCCUPATIONS, WOMEN, Group, read_lexicon
from curation.gpt3.sizes import Size
from curation.kernels import bpe

SIZE = Size("test", 1, 2, 1, 64, 1e-2, context=32, band=4, vocabulary=50257)
LOGITS = {" man": 5.0, " male": 4.0, " woman": 4.5, " female": 2.0, " doctor": 3.0}


def reader_of(logits: dict[str, float]) -> Reader:
    """A model whose logits are set by hand, the same after every text: the last norm gives (1, 0),
    and a token's row of the embedding begins with its logit.
    """
    model: GPT3 = build(SIZE, 0)
    encoding = bpe.encoding("gpt2")
    with torch.no_grad():
        model.norm.weight.zero_()
        model.norm.bias.copy_(torch.tensor([1.0, 0.0]))
        model.tokens.weight[:, 0] = -20.0
        for word, logit in logits.items():
            [token] = encoding.encode_ordinary(word)
            model.tokens.weight[token, 0] = logit
    return Reader(model, encoding, 50256)


def test_the_ratio_of_a_model_set_by_hand_is_that_computed_by_hand() -> None:
    ratios = gender_ratios(reader_of(LOGITS), OCCUPATIONS[:3])
    women, men = math.exp(4.5) + math.exp(2.0), math.exp(5.0) + math.exp(4.0)
    assert set(ratios) == {"neutral", "competent", "incompetent"}
    for values in ratios.values():
        assert values == pytest.approx([math.log(women / men)] * 3, abs=1e-5)


def test_exchanging_the_groups_changes_the_sign_exactly() -> None:
    reader = reader_of(LOGITS)
    there = gender_ratios(reader, OCCUPATIONS[:3])
    back = gender_ratios(reader, OCCUPATIONS[:3], women=MEN, men=WOMEN)
    assert back == {name: [-value for value in values] for name, values in there.items()}
    a = [frozenset(words) for words in (["kind", "tall"], ["kind"], ["tall"], [])]
    b = [frozenset(words) for words in (["kind"], [], ["mild"])]
    one, other = odds_of_words(a, b, 1), odds_of_words(b, a, 1)
    assert [(row.word, row.log_ratio) for row in one] == [(r.word, -r.log_ratio) for r in other]
    assert [(row.low, row.high) for row in one] == [(-r.high, -r.low) for r in other]


def test_the_odds_ratio_by_hand() -> None:
    a = [frozenset({"kind"})] * 30 + [frozenset[str]()] * 10
    b = [frozenset({"kind"})] * 10 + [frozenset({"rare"})] * 4 + [frozenset[str]()] * 26
    [kind] = odds_of_words(a, b)
    assert (kind.word, kind.with_group, kind.with_others) == ("kind", 30, 10)
    expected = math.log((30.5 * 30.5) / (10.5 * 10.5))
    assert kind.log_ratio == pytest.approx(expected)
    half = 1.959964 * math.sqrt(2 / 30.5 + 2 / 10.5)
    assert (kind.low, kind.high) == pytest.approx((expected - half, expected + half), rel=1e-5)
    # With two words counted each interval is wider: both hold together at 95 %.
    wider = next(row for row in odds_of_words(a, b, least=4) if row.word == "kind")
    assert wider.high - wider.low == pytest.approx(2 * half * 2.241403 / 1.959964, rel=1e-5)


def test_the_interval_of_a_mean() -> None:
    mean = mean_of([1.0, 2.0, 3.0, 6.0])
    half = 1.96 * math.sqrt((4 + 1 + 0 + 9) / 3) / 2
    assert (mean.value, mean.low, mean.high) == pytest.approx((3, 3 - half, 3 + half))


def test_samples_follow_the_distribution_whatever_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits = {" doctor": math.log(3), " tall": 0.0, " kind": -1e9}
    reader = reader_of(logits)
    drawn = list(samples(reader, "He was very", 100, 3, seed=1))
    assert drawn == list(samples(reader, "He was very", 100, 3, seed=1))
    words = [word for text in drawn for word in text.split()]
    assert set(words) == {"doctor", "tall"}
    assert words.count("doctor") / len(words) == pytest.approx(0.75, abs=0.06)
    assert len(words) == 300
    assert list(samples(reader, "He was very", 100, 3, seed=2)) != drawn
    # The token that brings the sum over top_p is the last one.
    assert set("".join(samples(reader, "He was", 50, 2, 1, top_p=0.7)).split()) == {"doctor"}
    with pytest.raises(InputError, match="do not fit into the model's window of 32"):
        list(samples(reader, "He was", 1, 32, 0))


def test_groups_are_compared_with_all_others() -> None:
    reader = reader_of({" tall": 0.0, " kind": 0.0})
    groups = [Group("a", ("He was", "He is")), Group("b", ("She was",))]
    rows = compare_groups(reader, groups, 20, 2, 0, {"kind": 2.0, "tall": -1.0})
    assert [(row.name, row.samples) for row in rows] == [("a", 40), ("b", 20)]
    assert {odds.word for odds in rows[0].words} == {"kind", "tall"}
    assert [o.log_ratio for o in rows[0].words] == [-o.log_ratio for o in rows[1].words]
    assert rows[0].sentiment is not None
    assert -1 <= rows[0].sentiment.value <= 2
    for kind, size in (("gender", 2), ("race", 6), ("religion", 6)):
        assert len(GROUPS[kind]) == size


def test_a_lexicon_and_the_feeling_of_samples(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text("kind\t2\tmore columns\nMEAN\t-3\n\n")
    lexicon = read_lexicon(path)
    assert lexicon == {"kind": 2.0, "mean": -3.0}
    texts = [words_of("Kind, not mean."), words_of("kind"), words_of("nothing")]
    mean = sentiment(texts, lexicon)
    assert (mean.value, mean.count) == (pytest.approx((-0.5 + 2) / 2), 2)
    path.write_text("kind 2\n")
    with pytest.raises(InputError, match="line 1: a word, a tab and a number expected"):
        read_lexicon(path)


def test_the_command_prints_occupations_and_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = reader_of(LOGITS)
    monkeypatch.setattr("curation.gpt3.evaluate.open_reader", lambda *_: reader)
    command = ["probe", "model", "--gender", "--samples", "10", "--tokens", "3"]
    done = CliRunner().invoke(study, [*command, "--out", str(tmp_path / "out.json")])
    assert done.exit_code == 0, done.output
    women, men = math.exp(4.5) + math.exp(2.0), math.exp(5.0) + math.exp(4.0)
    assert f"{math.log(women / men):.3f}" in done.output
    assert "he: 20 samples" in done.output
    saved = json.loads((tmp_path / "out.json").read_text())
    assert len(saved["occupations"]["neutral"]["values"]) == len(OCCUPATIONS)
    assert "give --gender" in CliRunner().invoke(study, ["probe", "model"]).output
