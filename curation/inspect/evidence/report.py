"""Everything the report says of a run: the same numbers for `report.json` and for the page.

Cost: the decision and evidence tables once, column by column, a shard at a time; texts only of the
few documents that are shown (and, where nothing was tokenized, for their lengths). No time stamps
and no paths: the same run directory gives the same bytes; what the slowest shards took is from its
metrics.jsonl, and differs between two runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation.inspect.evidence.alpha import AlphaReport, alpha_report
from curation.inspect.evidence.benchmarks import BenchmarkHits, benchmark_hits
from curation.inspect.evidence.contamination import BenchmarkStudy, contamination
from curation.inspect.evidence.corpus import LanguageCount, Lengths, languages, lengths
from curation.inspect.evidence.duplicates import Duplicates, Repeats, duplicates, repeats
from curation.inspect.evidence.extracted import ExtractedPage, extracted_pages
from curation.inspect.evidence.fate import common_grams
from curation.inspect.evidence.fit import Model, model_report
from curation.inspect.evidence.flow import Flow, funnel, nothing_kept
from curation.inspect.evidence.frames import AFTER_SURVIVORS
from curation.inspect.evidence.mixture import PlacedMixture, placed_mixture
from curation.inspect.evidence.rules import RuleReport, rule_reports
from curation.inspect.evidence.scores import (
    ScoredDocument,
    ScoreHistograms,
    by_score,
    near_threshold,
    score_histograms,
)
from curation.inspect.evidence.status import SlowShard, slowest_shards
from curation.inspect.numbers import counted, percent
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipes
from curation.rundir import ledger
from curation.version import __version__

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

HIGH_LOSS = 0.2  # of a dataset at one stage other than classify: worth a warning
CHARS = 400  # of each text shown


@dataclass(frozen=True, slots=True)
class Report:
    """All parts of the report; a part is None where its stage has not run.

    `curation`: the version. `recipe`: every setting, by table. `by_score`, `samples`: documents of
    each filtered dataset near every score, and near the threshold. `ignored_grams`: a sentence on
    those that were too common to be cut, empty where there are none.
    """

    curation: str
    recipe: dict[str, Any]
    funnel: list[Flow]
    rules: list[RuleReport] | None
    model: Model | None
    scores: ScoreHistograms | None
    alpha: AlphaReport | None
    by_score: dict[str, list[ScoredDocument]] | None
    languages: dict[str, list[LanguageCount]]
    lengths: Lengths
    duplicates: Duplicates | None
    repeats: dict[str, Repeats] | None
    benchmarks: list[BenchmarkHits] | None
    ignored_grams: str
    contamination: list[BenchmarkStudy] | None
    mixture: PlacedMixture | None
    warnings: list[str]
    samples: dict[str, list[ScoredDocument]] | None
    extracted: list[ExtractedPage] | None
    slowest: list[SlowShard] | None


def report(rundir: RunDirectory, plan: Plan) -> Report:
    """Read every part. Raises RunError where nothing has been extracted."""
    flows = funnel(rundir, plan)
    mixture = placed_mixture(rundir)
    scores = score_histograms(rundir, plan)
    filtered = [n for n, part in scores.datasets.items() if part.filtered] if scores else []
    model = model_report(rundir.path("classify", "model"))
    shown = {name: by_score(rundir, plan, name, chars=CHARS) for name in filtered}
    samples = {name: near_threshold(rundir, plan, name, chars=CHARS) for name in filtered}
    return Report(
        curation=__version__,
        recipe=recipes.as_dict(rundir.recipe),
        funnel=flows,
        rules=rule_reports(rundir, plan),
        model=model if "classify" in rundir.recipe.stages else None,
        scores=scores,
        alpha=alpha_report(rundir, plan),
        by_score=shown or None,
        languages=languages(rundir, plan),
        lengths=lengths(rundir, plan),
        duplicates=duplicates(rundir, plan),
        repeats=repeats(rundir, plan),
        benchmarks=benchmark_hits(rundir, plan),
        ignored_grams=ignored_grams(rundir),
        contamination=contamination(rundir),
        mixture=mixture,
        warnings=all_warnings(rundir, flows, mixture),
        samples=samples or None,
        extracted=extracted_pages(rundir, plan),
        slowest=slowest_shards(rundir.out) or None,
    )


def ignored_grams(rundir: RunDirectory) -> str:
    """How many grams are in too many documents to be cut, as a sentence; empty where none are."""
    config = rundir.recipe.decontaminate
    is_decontaminated = "decontaminate" in rundir.recipe.stages
    grams = len(common_grams(rundir)) if is_decontaminated else 0
    if not grams:
        return ""
    return (
        f"{counted(grams, 'gram')} of benchmarks stayed in the text, each in more than "
        f"{config.max_documents} distinct documents (decontaminate.max_documents); "
        "`curation explain` names them document by document."
    )


def all_warnings(
    rundir: RunDirectory, flows: list[Flow], mixture: PlacedMixture | None
) -> list[str]:
    """What the stages warn of, and what the funnel and the mixture show."""
    return [*pipeline.warnings(rundir), *nothing_kept(flows), *_report_warnings(flows, mixture)]


def _report_warnings(flows: list[Flow], mixture: PlacedMixture | None) -> list[str]:
    """Datasets without validation tokens, and stages that remove much of a dataset."""
    warnings = [
        f"{row.dataset} has no validation tokens: nothing of it is held out"
        for row in (mixture.datasets if mixture else ())
        if not row.validation_tokens
    ]
    for flow in flows[:-1]:
        for line in flow.lines:
            entered = flow.find(line.stage, ledger.IN)
            kept = line.outcome in ledger.NO_REASONS
            if kept or entered is None or line.stage not in AFTER_SURVIVORS:
                continue
            if line.documents > HIGH_LOSS * entered.documents:
                share = line.documents / entered.documents
                removed = (
                    f"{line.stage} removed {percent(share, 0)} of {flow.dataset} as {line.outcome}"
                )
                warnings.append(removed)
    return warnings
