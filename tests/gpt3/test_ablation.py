from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from curation.errors import InputError
from curation.gpt3.ablation import Settings, comparisons, effects, half_width, measure
from curation.gpt3.sizes import Size

MakeShards = Callable[..., Path]


def test_every_arm_and_seed_is_trained_once_and_scored(
    size: Size, make_shards: MakeShards, tmp_path: Path
) -> None:
    arms = {"raw": make_shards(seed=1), "mixture": make_shards(seed=2)}
    held = {"books": make_shards(seed=3)}
    said: list[str] = []
    result = measure(arms, held, tmp_path / "models", size, 320, 2, 5, said.append)
    assert len(said) == 4
    assert result.settings == Settings("test", 320, 2, 5, 16)
    raw, mixture = result.losses["raw"]["books"], result.losses["mixture"]["books"]
    assert (raw.difference, raw.half_width) == (0.0, 0.0)
    assert result.comparisons == 1
    assert mixture.difference == pytest.approx(mixture.loss - raw.loss)
    assert len(raw.by_seed) == 2
    assert raw.by_seed[0] != raw.by_seed[1]
    models = sorted((tmp_path / "models").rglob("model.safetensors"))
    before = [file.stat().st_mtime_ns for file in models]
    assert len(models) == 4
    assert measure(arms, held, tmp_path / "models", size, 320, 2, 5, said.append) == result
    assert [file.stat().st_mtime_ns for file in models] == before


def test_an_interval_needs_seeds_and_held_out_text_a_window(
    size: Size, make_shards: MakeShards, tmp_path: Path
) -> None:
    shards = make_shards()
    with pytest.raises(InputError, match="at least 2 seeds"):
        measure({"raw": shards}, {"books": shards}, tmp_path, size, 320, 1)
    short = make_shards(lengths=(10,), seed=5)
    with pytest.raises(InputError, match="held-out text of at least 16 tokens expected"):
        measure({"raw": shards}, {"books": short}, tmp_path, size, 320, 2)


def test_the_interval_holds_the_true_mean_19_times_of_20() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        values = (
            generator.normal(0, 1, (4, 1))
            + generator.normal(0, 2, (1, 30))
            + generator.normal(0, 0.5, (4, 30))
        )
        hits += abs(values.mean()) <= half_width(values)
    assert 0.93 < hits / 400 <= 1.0


def test_differences_are_paired() -> None:
    """A hard window is hard for both arms; what counts is what the arm changes."""
    windows = np.array([[4.0, 8.0, 6.0], [4.2, 8.2, 6.2]])
    effect = effects({"raw": {"books": windows}, "dedup": {"books": windows - 0.1}})["dedup"][
        "books"
    ]
    assert effect.difference == pytest.approx(-0.1)
    assert effect.half_width == pytest.approx(0.0, abs=1e-12)


def test_of_nine_intervals_without_a_difference_all_hold_0_19_times_of_20() -> None:
    """Three arms on three datasets, all alike; and with intervals of one comparison they do not."""
    generator = np.random.default_rng(1)
    together = alone = 0
    for _ in range(300):
        losses = {
            arm: {
                name: generator.normal(0, 1, (4, 1)) + generator.normal(0, 1, (4, 20))
                for name in ("books", "web", "wiki")
            }
            for arm in ("raw", "classify", "dedup", "mixture")
        }
        found = [one for arm, of in effects(losses).items() if arm != "raw" for one in of.values()]
        assert len(found) == comparisons(losses) == 9
        together += all(abs(one.difference) <= one.half_width for one in found)
        alone += all(abs(one.difference) <= one.single_half_width for one in found)
    assert together / 300 > 0.95
    assert alone < together


def test_the_interval_for_nine_is_bonferronis() -> None:
    """The 99.722 % point of Student's t with two degrees of freedom is 13.360."""
    values = np.array([[1.0], [2.0], [4.0]])
    expected = 13.3604 * values.std(ddof=1) / np.sqrt(3)
    assert half_width(values, 9) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("seeds", "t"), [(2, 12.706), (3, 4.303), (10, 2.262), (31, 2.042)])
def test_the_interval_uses_students_t_of_the_seeds(seeds: int, t: float) -> None:
    """The 97.5 % points of a printed table, for seeds - 1 degrees of freedom."""
    values = np.arange(float(seeds))[:, None]
    assert half_width(values) == pytest.approx(t * values.std(ddof=1) / np.sqrt(seeds), rel=2e-4)
