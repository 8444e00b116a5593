"""Kinds of pages: means of features, and a forest of several classes as LightGBM has it."""

import numpy as np
import pytest

from curation.blocks.kinds import KINDS, kind_names, kind_probabilities, page_means


def test_means_of_blocks_plain_and_by_length() -> None:
    x = np.array([[1, 4], [9, 8]], np.float32)
    assert page_means(x).tolist() == [5, 6, (1 + 27) / 4, (4 + 24) / 4]


def test_probabilities_are_those_of_lightgbm() -> None:
    lightgbm = pytest.importorskip("lightgbm", reason="the extra `extractor` is not installed")
    from curation.tools.train_extractor import packed

    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 4)).astype(np.float32)
    y = (np.abs(x[:, 0] * 3 + x[:, 1]).astype(int)) % len(KINDS)
    settings = {"objective": "multiclass", "num_class": len(KINDS), "verbose": -1, "num_threads": 1}
    model = lightgbm.train(settings, lightgbm.Dataset(x, y), 6)
    forest = packed(model.dump_model()["tree_info"])
    found = np.array([kind_probabilities(forest, row) for row in x[:50]])
    assert found == pytest.approx(model.predict(x[:50]), abs=1e-5)


def test_without_trees_all_kinds_are_alike() -> None:
    pytest.importorskip("lightgbm", reason="the extra `extractor` is not installed")
    from curation.tools.train_extractor import packed

    found = kind_probabilities(packed([]), np.zeros(2, np.float32))
    assert found == pytest.approx(np.full(len(kind_names()), 1 / len(KINDS)))
