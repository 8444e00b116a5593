from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classify_corpus import DATASETS, TABLE, WORDS
from click.testing import CliRunner

from curation import store
from curation.cli import main
from curation.errors import InputError
from curation.inspect.evidence.alpha import ALPHAS, alpha_report, kept_by_alpha
from curation.inspect.evidence.fit import Feature, model_report, token_list
from curation.inspect.evidence.report import report
from curation.inspect.evidence.scores import by_score
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.stages.classify import stage as classify

# One process makes the run that they all look at.
pytestmark = pytest.mark.xdist_group("fit")
RECIPE = {**TABLE, "classify": {**WORDS, "C": 10.0, "alpha": 3.0}}


@pytest.fixture(scope="module")
def finished(
    make_run: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunDirectory, Any]:
    """For tests that change nothing in it."""
    return make_run(tmp_path_factory.mktemp("fit"), DATASETS, RECIPE)


def call(*args: str) -> Any:
    return CliRunner(env={"COLUMNS": "160"}).invoke(main, list(args), prog_name="curation")


def test_what_an_alpha_would_keep_is_what_deciding_again_keeps(
    finished: tuple[RunDirectory, Any], run_recipe: Callable[..., Any]
) -> None:
    found = kept_by_alpha(*finished)["web"]
    assert sum(found.counts) == 100
    for alpha in (1.0, 3.0, 20.0):
        rundir, plan = run_recipe(
            DATASETS, {**TABLE, "classify": {**RECIPE["classify"], "alpha": alpha}}
        )
        (shard,) = plan.of("web")
        keep = store.read_table(rundir.decision("classify", shard)).column("keep").to_numpy()
        score = (
            store.read_table(rundir.table("classify", shard, "evidence")).column("score").to_numpy()
        )
        bands = np.histogram(score[keep], np.linspace(0, 1, 11))[0].tolist()
        assert found.kept[ALPHAS.index(alpha)] == bands


def test_alpha_is_fitted_to_documents_that_the_fit_never_saw(
    finished: tuple[RunDirectory, Any],
) -> None:
    rundir, plan = finished
    found = alpha_report(rundir, plan)
    assert found is not None
    model = model_report(rundir.path("classify", "model"))
    assert model is not None
    assert model.report is not None
    fit, heldout = found.fit, model.report.datasets["good"]
    assert fit.scored == "documents, each scored by a model that has not seen its fold"
    assert fit.counts == tuple(heldout.scores)
    assert fit.documents == heldout.documents > 0
    assert (fit.dataset, sum(fit.counts)) == ("good", fit.documents)
    assert sum(fit.expected) == pytest.approx(fit.documents, abs=0.01)
    assert fit.low < fit.alpha < fit.high


def test_scores_that_no_alpha_fits_are_refused_with_the_reason(
    finished: tuple[RunDirectory, Any],
) -> None:
    rundir, plan = finished
    found = alpha_report(rundir, plan, "web")
    assert found is not None
    assert "no alpha gives 0.347" in (found.fit.refused or "")
    assert found.datasets  # the table is there all the same
    with pytest.raises(InputError, match="no dataset 'wub'"):
        alpha_report(rundir, plan, "wub")


def test_documents_by_score_are_near_it_and_have_the_fate_they_are_shown_with(
    finished: tuple[RunDirectory, Any],
) -> None:
    rundir, plan = finished
    rows = by_score(rundir, plan, "web", n=2)
    texts = {row["id"]: row["text"] for row in DATASETS["crawl:web"]}
    assert rows
    for row in rows:
        assert abs(row.score - row.near) <= 0.05
        assert row.kept == (row.draw > row.needed)
        assert row.text == texts[row.id][:300]
    assert {row.kept for row in rows} == {True, False}
    assert rows == by_score(rundir, plan, "web", n=2)
    assert rows != by_score(rundir, plan, "web", n=2, seed=1)


def test_the_commands_show_it(finished: tuple[RunDirectory, Any]) -> None:
    out = finished[0].out
    shown = call("model", out)
    assert shown.exit_code == 0, shown.output
    for word in ("Calibration", "Learning curve", "Strongest features of the negatives", "casino"):
        assert word in shown.output
    assert call("model", out + "/classify/model").output == shown.output
    shown = call("alpha", out)
    assert shown.exit_code == 0, shown.output
    assert "fits good" in shown.output
    assert "3 *" in shown.output
    assert "What each alpha keeps of web" in shown.output


def test_the_commands_refuse_what_is_not_there(
    tmp_path: Path, run_recipe: Callable[..., Any]
) -> None:
    assert "not a model" in call("model", str(tmp_path)).output
    rundir, _ = run_recipe(DATASETS, {"stages": ["extract"]})
    shown = call("alpha", rundir.out)
    assert (shown.exit_code, "classify has not scored" in shown.output) == (1, True)


def test_a_model_without_a_report_is_still_shown(
    finished: tuple[RunDirectory, Any], tmp_path: Path
) -> None:
    shutil.copytree(finished[0].path("classify", "model"), tmp_path / "model")
    (tmp_path / "model" / "report.json").unlink()
    shown = call("model", str(tmp_path / "model"))
    assert shown.exit_code == 0
    assert "how the fit went is not known" in shown.output


def test_the_page_holds_the_fit_and_escapes_tokens(run_recipe: Callable[..., Any]) -> None:
    rundir, plan = run_recipe(DATASETS, RECIPE)
    path = Path(rundir.path("classify", "model", "report.json"))
    held = json.loads(path.read_text())
    held["strongest"]["negative"][0]["tokens"][0]["token"] = "<script>"
    path.write_text(json.dumps(held))
    found = report(rundir, plan)
    assert found.by_score is not None
    assert found.by_score["web"]
    from curation.web.report import page

    html = page(found)
    assert "Fit of the classifier" in html
    assert "Kept and removed at each score" in html
    assert html.count("<script>") == 1  # ours
    assert "&#39;&lt;script&gt;&#39;" in html


def test_alarms_are_on_the_page(finished: tuple[RunDirectory, Any]) -> None:
    rundir, plan = finished
    idle = RunDirectory(
        rundir.out, replace(rundir.recipe, classify=replace(rundir.recipe.classify, alpha=0.1))
    )
    books = store.read_json(rundir.path("ledger.json"))["classify"]
    assert report(idle, plan).warnings[0] == classify.alarms(books, 0.1)[0]


def test_the_sample_run_has_a_report_of_its_fit(sample_run: Path) -> None:
    rundir, plan = plans.read(str(sample_run))
    found = report(rundir, plan)
    assert found.model is not None
    assert found.model.report is not None
    assert found.model.report.auc is None or found.model.report.auc > 0.5
    assert found.alpha is not None
    assert len(found.alpha.alphas) == 20


def test_a_token_list_counts_what_it_leaves_out() -> None:
    feature = Feature(1.0, 2, 0, [("\x1b[31m", 1000)], 3)
    assert token_list(feature) == "'\\x1b[31m' 1,000 and 2 more"
