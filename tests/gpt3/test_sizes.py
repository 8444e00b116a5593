from __future__ import annotations

from dataclasses import replace

import pytest

from curation.errors import InputError
from curation.gpt3 import plan, update
from curation.gpt3.model import build, parameter_count
from curation.gpt3.sizes import SIZES, Size, size_named

# Table 2.1: name, layers, width, head width, batch, learning rate.
TABLE = [
    ("125M", 125e6, 12, 768, 64, 0.5e6, 6.0e-4),
    ("350M", 350e6, 24, 1024, 64, 0.5e6, 3.0e-4),
    ("760M", 760e6, 24, 1536, 96, 0.5e6, 2.5e-4),
    ("1.3B", 1.3e9, 24, 2048, 128, 1e6, 2.0e-4),
    ("2.7B", 2.7e9, 32, 2560, 80, 1e6, 1.6e-4),
    ("6.7B", 6.7e9, 32, 4096, 128, 2e6, 1.2e-4),
    ("13B", 13e9, 40, 5120, 128, 2e6, 1.0e-4),
    ("175B", 175e9, 96, 12288, 128, 3.2e6, 0.6e-4),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_the_sizes_are_those_of_the_paper(
    row: tuple[str, float, int, int, int, float, float],
) -> None:
    name, parameters, layers, width, head_width, batch, rate = row
    size = size_named(name)
    found = (size.layers, size.width, size.head_width, size.batch_tokens, size.learning_rate)
    assert found == (layers, width, head_width, batch, rate)
    assert size.context == 2048
    assert parameter_count(size) == pytest.approx(parameters, rel=0.025)


def test_the_declared_inconsistencies_are_needed() -> None:
    # 24 heads of 128 would widen the projections of every layer from 2048 to 3072: 1.52B, not 1.3B.
    size = SIZES["1.3B"]
    literal = parameter_count(size) + size.layers * 4 * size.width * (24 * 128 - 2048)
    assert literal == pytest.approx(1.52e9, rel=0.005)
    with pytest.raises(InputError, match="width 5140 is not a multiple of 40 heads"):
        replace(SIZES["13B"], width=5140, heads=40)


def test_the_small_sizes_are_small() -> None:
    assert parameter_count(SIZES["tiny"]) < 8e6
    assert parameter_count(SIZES["small-cpu"]) == pytest.approx(10e6, rel=0.02)


# Table 2 of GPT-2's paper: layers, width, and the parameters that its layers and widths have.
GPT2 = [
    ("gpt2-117M", 12, 768, 124_439_808),
    ("gpt2-345M", 24, 1024, 354_823_168),
    ("gpt2-762M", 36, 1280, 774_030_080),
    ("gpt2-1542M", 48, 1600, 1_557_611_200),
]


@pytest.mark.parametrize(("name", "layers", "width", "parameters"), GPT2)
def test_the_sizes_of_gpt2(name: str, layers: int, width: int, parameters: int) -> None:
    size = size_named(name)
    assert (size.layers, size.width, size.head_width, size.context) == (layers, width, 64, 1024)
    assert size.batch_tokens == 512 * 1024
    assert set(size.patterns) == {"dense"}
    assert (size.norm, size.dropout, size.vocabulary) == ("pre", 0.0, 50257)
    assert parameter_count(size) == plan.parameters(size) == parameters


def test_the_size_of_gpt1() -> None:
    size = size_named("gpt1")
    assert (size.layers, size.width, size.heads, size.context) == (12, 768, 12, 512)
    assert (size.norm, size.dropout, set(size.patterns)) == ("post", 0.1, {"dense"})
    assert parameter_count(size) == plan.parameters(size) == 116_534_784
    assert size.batch_tokens == 64 * 512
    optimizer = update.optimizer_for(build(replace(size, layers=1, width=12, vocabulary=5), 0))
    decayed, others = optimizer.param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.01, 0.0)
    assert decayed["betas"] == (0.9, 0.999)


def test_an_unknown_size_lists_those_there_are() -> None:
    with pytest.raises(
        InputError, match=r"no size '125m'; choose one of minute, tiny, .*175B.*gpt2-117M.*gpt1"
    ):
        size_named("125m")


def test_nonsense_is_refused_at_birth() -> None:
    with pytest.raises(InputError, match="band must be a whole number from 1 to 10,000,000, not 0"):
        Size("x", 1, 4, 2, 8, 1e-3, band=0)
    with pytest.raises(
        InputError, match=r"attention is a list of dense, banded, strided, sparse.*; not dense,wide"
    ):
        Size("x", 1, 4, 2, 8, 1e-3, attention=("dense", "wide"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="norm must be one of pre, post, not 'middle'"):
        Size("x", 1, 4, 2, 8, 1e-3, norm="middle")  # type: ignore[arg-type]
    for dropout in (1.0, -0.1, None, float("nan")):
        with pytest.raises(InputError, match=r"dropout must be a number in \[0, 1\), not "):
            Size("x", 1, 4, 2, 8, 1e-3, dropout=dropout)  # type: ignore[arg-type]
