"""The quality classifier with scikit-learn's words: what a run fits, scores and writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tiny_corpus import sentences

import curation
from curation.errors import InputError

GOOD = [sentences(i, 15, "good") for i in range(40)]
BAD = [sentences(100 + i, 15, "spam") for i in range(40)]


@pytest.fixture(scope="module")
def model() -> curation.QualityClassifier:
    return curation.QualityClassifier(scaling="tf", signals=()).fit(GOOD, BAD)


def test_it_tells_the_classes_apart(model: curation.QualityClassifier) -> None:
    new = [sentences(900, 15, "good"), None, sentences(901, 15, "spam")]
    chances = model.predict_proba(pa.table({"body": new}), text_column="body")
    assert chances.shape == (3, 2)
    assert np.allclose(chances[[0, 2]].sum(axis=1), 1.0)
    assert np.isnan(chances[1]).all()
    assert chances[0, 1] > 0.5 > chances[2, 1]
    assert model.predict([new[0], new[2]]).tolist() == [1, 0]
    assert "AUC 1.000" in repr(model)


def test_it_is_the_model_that_classify_fits(model: curation.QualityClassifier) -> None:
    done = curation.classify(BAD, positives=GOOD, scaling="tf", signals=())
    both = [m.predict_proba(GOOD + BAD) for m in (done.model, model)]
    assert np.array_equal(both[0], both[1])
    scored = curation.classify(GOOD, model=model)
    rows = [*scored.kept.to_pylist(), *scored.removed.to_pylist()]
    quality = {row["text"]: row["quality"] for row in rows}
    assert [quality[text] for text in GOOD] == model.predict_proba(GOOD)[:, 1].tolist()


def test_saved_and_loaded_it_is_the_same(model: curation.QualityClassifier, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    again = curation.QualityClassifier.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(GOOD), model.predict_proba(GOOD))
    assert again.card == model.card
    assert curation.classify(GOOD, model=tmp_path / "model", alpha=0.01).kept.num_rows > 30
    assert {p.suffix for p in (tmp_path / "model").iterdir()} == {".npz", ".json"}
    model.save(tmp_path / "model")  # over itself
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"not empty \(it holds 'notes.txt'\)"):
        model.save(tmp_path / "other")


def test_what_it_cannot_do_is_one_sentence(tmp_path: Path) -> None:
    model = curation.QualityClassifier()
    assert repr(model) == "QualityClassifier(not fitted)"
    for call in (lambda: model.predict(["a"]), lambda: model.save(tmp_path / "m")):
        with pytest.raises(InputError, match=r"not fitted; call fit"):
            call()
    with pytest.raises(InputError, match="not a model"):
        curation.QualityClassifier.load(tmp_path)
    with pytest.raises(InputError, match=r"not to be told from chance|worse than chance"):
        model.fit(GOOD[:20], GOOD[20:])


def test_the_shipped_model_scores_texts() -> None:
    chances = curation.QualityClassifier.shipped().predict_proba([GOOD[0], "click here now"])
    assert chances.shape == (2, 2)
    assert curation.QualityClassifier.shipped().predict_proba([]).shape == (0, 2)
