"""Labels of a person: what is drawn, how labels find their documents, and the figures against scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from curation.cli import main
from curation.errors import InputError
from curation.inspect.evidence import labels
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan


def call(run: Path, *args: str, keys: str | None = None) -> Result:
    return CliRunner().invoke(main, ["label", str(run), *args], input=keys, prog_name="curation")


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 2]), st.integers(1, 4)), min_size=2
    )
)
def test_the_auc_is_that_of_scikit_learn(rows: list[tuple[int, int, int]]) -> None:
    values, label, weight = (np.array(column) for column in zip(*rows, strict=True))
    found = labels._auc(values.astype(float), label, weight.astype(float))
    if not {0, 2} <= set(label.tolist()):
        assert np.isnan(found)
        return
    both = label != 1
    expected = roc_auc_score(label[both] == 2, values[both], sample_weight=weight[both])
    assert found == pytest.approx(expected)


def test_every_band_of_scores_is_drawn_from_in_turn(opened: tuple[RunDirectory, Plan]) -> None:
    documents = labels.scored_documents(*opened)
    everything = labels.to_label(*opened, documents, len(documents.row), 3)
    assert sorted(everything) == list(range(len(documents.row)))
    bands = documents.band[everything]
    for band, size in zip(*np.unique(documents.band, return_counts=True), strict=True):
        turns = [int((bands[:at] == band).sum()) for at in np.flatnonzero(bands == band)]
        assert turns == list(range(size))
    present = len(np.unique(documents.band))
    assert len(set(bands[:present].tolist())) == present
    assert labels.to_label(*opened, documents, 4, 3) == everything[:4]
    assert labels.to_label(*opened, documents, len(documents.row), 4) != everything


def test_labels_find_their_documents_by_id_address_and_place(
    opened: tuple[RunDirectory, Plan],
) -> None:
    rundir, plan = opened
    documents = labels.scored_documents(rundir, plan)
    shard = plan.shards[documents.ordinal[0]]
    rows = labels.store.read_table(rundir.documents(shard)).to_pylist()[:3]
    given_labels = [
        {"id": rows[0]["id"], "label": 1},
        {"url": rows[1]["url"], "label": 2, "dataset": "of another run"},
        {"archive": f"else/where/{rows[2]['archive']}", "offset": rows[2]["offset"], "label": 0},
        {"id": rows[0]["id"], "label": 2},
        {"id": "nobody", "label": 2},
    ]
    other = next(name for name in rundir.recipe.names() if name != shard.dataset)
    given_labels.append({"id": rows[0]["id"], "label": 0, "dataset": other})
    found, strange = labels.placed_labels(rundir, plan, documents, given_labels)
    places = {int(documents.row[i]): int(found[i]) for i in np.flatnonzero(found >= 0)}
    assert places[0] == 2
    assert places[1] == 2
    assert 0 in places.values() or rows[2]["archive"] is None
    assert strange >= 2


def test_a_drawn_label_counts_for_its_band_and_a_given_one_once(
    opened: tuple[RunDirectory, Plan],
) -> None:
    rundir, plan = opened
    documents = labels.scored_documents(rundir, plan)
    found = np.full(len(documents.row), -1, np.int64)
    found[:] = np.arange(len(found)) % 3
    chance = (2 - documents.score) ** -rundir.recipe.classify.alpha
    for drawn in (True, False):  # all are labelled, so both are the same
        report = labels.label_report(rundir, plan, documents, found, drawn=drawn)
        assert report.kept.value == pytest.approx(chance.mean())
        assert report.mean_all.value == pytest.approx(found.mean() / 2)
        assert report.mean_kept.value == pytest.approx((chance * found).sum() / chance.sum() / 2)
        good = found == 2
        assert report.precision.value == pytest.approx(chance[good].sum() / chance.sum())
        assert report.recall.value == pytest.approx(chance[good].mean())
        assert report.auc.low <= report.auc.value <= report.auc.high
    again = labels.label_report(rundir, plan, documents, found, drawn=False)
    assert again == report
    with pytest.raises(InputError, match="needs both 0 and 2: label more"):
        labels.label_report(rundir, plan, documents, np.minimum(found, 1), drawn=False)


def test_labels_that_the_score_contradicts_are_warned_of(copied: Path) -> None:
    rundir, plan = plans.read(str(copied))
    documents = labels.scored_documents(rundir, plan)
    assert labels.warnings(rundir, plan) == []
    for good_is_high in (True, False):
        rows = []
        middle = np.median(documents.score)
        for ordinal, row, score in zip(
            documents.ordinal.tolist(), documents.row.tolist(), documents.score, strict=True
        ):
            ids = labels.frames.column(rundir.documents(plan.shards[ordinal]), "id")
            good = (score > middle) == good_is_high
            rows.append({"id": ids[row].as_py(), "label": 2 if good else 0})
        labels.write_labels(rundir.path(labels.FILE), rows)
        warned = labels.warnings(rundir, plan)
        assert ("no better than chance" in " ".join(warned)) is not good_is_high
    shown = CliRunner().invoke(main, ["alpha", str(copied)], prog_name="curation")
    assert shown.exit_code == 0, shown.output
    assert f"by {len(rows)} labels" in shown.output


def test_weights_are_the_documents_of_a_band_for_each_label_in_it() -> None:
    weights = labels._weights(np.array([0, 0, 2]), np.array([10, 7, 3]))
    assert weights.tolist() == [5, 5, 3]


def test_one_key_labels_a_document_and_the_next_call_goes_on(copied: Path) -> None:
    path = copied / labels.FILE
    assert call(copied, "-n", "3", keys="sq").exit_code == 0  # nothing is labelled, or written
    assert not path.exists()
    first = call(copied, "-n", "3", keys="2x0bq")
    assert first.exit_code == 1  # one label: no figures yet
    assert "label more" in first.output
    (row,) = map(json.loads, path.read_text().splitlines())
    assert row["label"] == 2
    second = call(copied, "-n", "3", keys="s01")
    assert second.exit_code == 0, second.output
    assert "AUC of 2 against 0" in second.output
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows[0] == row
    assert len({row["id"] for row in rows}) == len(rows) <= 3
    assert "score" not in second.output.split("labels:")[0]  # it would sway
    assert call(copied, "--labels", str(path)).exit_code == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "no labels in it"),
        ("{", "line 1: not JSON"),
        ('\n{"id": "a", "label": 3}', "line 2: `label` 0, 1 or 2 expected"),
        ('{"label": 2}', "`id`, `url`, or `archive` and `offset`"),
        ('{"id": "a", "label": true}', "`label` 0, 1 or 2 expected"),
        ('{"id": "nobody", "label": 2}', "none of the labels is of a document"),
    ],
)
def test_what_is_no_label_is_said(
    tiny_run: Path, tmp_path: Path, content: str, expected: str
) -> None:
    (tmp_path / "l.jsonl").write_text(content)
    result = call(tiny_run, "--labels", str(tmp_path / "l.jsonl"))
    assert result.exit_code == 1
    assert expected in result.output


def test_a_run_without_scores_is_said(mixed_run: Path) -> None:
    result = call(mixed_run, "-n", "3")
    assert result.exit_code == 1
    assert "run it to the end of classify" in result.output
    assert plans.read(str(mixed_run))
