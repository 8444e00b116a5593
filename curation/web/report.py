"""What a run says of itself, as one dictionary: the same numbers for `report.json` and for the page.

Cost: the decision and evidence tables once, column by column, a shard at a time; texts only of the few documents that are shown (and, where
nothing was tokenized, for their lengths). No time stamps and no paths: the same run gives the same bytes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from curation import store
from curation.inspect.evidence import frames
from curation.inspect.evidence.benchmarks import benchmark_table
from curation.inspect.evidence.contamination import contamination
from curation.inspect.evidence.duplicates import duplicates, repeats
from curation.inspect.evidence.extracted import extracted_pages
from curation.inspect.evidence.fit import alpha_report, by_score, model_report
from curation.inspect.evidence.funnel import Flow, funnel
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipes
from curation.rundir.survivors import char_lengths
from curation.version import __version__
from curation.web.page import page

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

BINS = 50  # of the score histograms
BANDS = 10
LANGUAGES = 15
HIGH_LOSS = 0.2  # of a dataset at one stage other than classify: worth a warning
Data = dict[str, Any]
Int64s = npt.NDArray[np.int64]


def write_report(rundir: RunDirectory, plan: Plan) -> str:
    """Write `report.json` and, after it, `report.html`; returns the page's path."""
    data = report(rundir, plan)
    store.write_bytes(
        rundir.path("report.json"), orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n"
    )
    path = rundir.path("report.html")
    store.write_bytes(path, page(data).encode())
    return path


def report(rundir: RunDirectory, plan: Plan) -> Data:
    """Everything the page shows. Parts whose stage has not run are None.

    Raises RunError where nothing has been extracted.
    """
    flows = funnel(rundir, plan)
    mixture = _mixture(rundir, flows)
    return {
        "curation": __version__,
        "recipe": recipes.as_dict(rundir.recipe),
        "funnel": [asdict(flow) for flow in flows],
        "model": _model(rundir),
        "scores": _scores(rundir, plan),
        "alpha": alpha_report(rundir, plan),
        "by_score": _by_score(rundir, plan),
        "languages": _languages(rundir, plan),
        "lengths": _lengths(rundir, plan),
        "duplicates": duplicates(rundir, plan),
        "repeats": repeats(rundir, plan),
        "benchmarks": benchmark_table(rundir, plan),
        "contamination": contamination(rundir),
        "mixture": mixture,
        "warnings": _warnings(rundir, flows, mixture),
        "samples": _samples(rundir, plan),
        "extracted": extracted_pages(rundir, plan),
    }


# ---- classify --------------------------------------------------------------------------------------------------------------------------


def _model(rundir: RunDirectory) -> Data | None:
    return (
        model_report(rundir.path("classify", "model"))
        if "classify" in rundir.recipe.stages
        else None
    )


def _scores(rundir: RunDirectory, plan: Plan) -> Data | None:
    """Per dataset: how many documents have each score, and of a filtered one how many of those stayed."""
    alpha = rundir.recipe.classify.alpha
    edges = np.linspace(0.0, 1.0, BINS + 1)
    found: dict[str, Data] = {}
    for part in frames.score_parts(rundir, plan):
        if not part.num_rows:
            continue
        name = part.column("dataset")[0].as_py()
        score = part.column("score").to_numpy()
        keep = part.column("keep").fill_null(False).to_numpy()
        own = found.setdefault(
            name,
            {
                "counts": np.zeros(BINS, np.int64),
                "kept": np.zeros(BINS, np.int64),
                "expected": np.zeros(BINS),
            },
        )
        own["counts"] += np.histogram(score, edges)[0]
        own["kept"] += np.histogram(score[keep], edges)[0]
        own["expected"] += np.histogram(score, edges, weights=frames.keep_chance(score, alpha))[0]
    if not found:
        return None
    datasets = {
        name: _dataset_scores(rundir.recipe.filtered(name), own) for name, own in found.items()
    }
    chance = frames.keep_chance(edges, alpha)
    return {
        "alpha": alpha,
        "edges": edges.tolist(),
        "keep_chance": chance.tolist(),
        "datasets": datasets,
    }


def _dataset_scores(filtered: bool, own: Data) -> Data:
    out: Data = {"filtered": filtered, "counts": own["counts"].tolist()}
    if filtered:
        out["kept"] = own["kept"].tolist()
        width = BINS // BANDS
        bands = [slice(i, i + width) for i in range(0, BINS, width)]
        out["bands"] = [
            {
                "from": i / BANDS,
                "to": (i + 1) / BANDS,
                "documents": int(own["counts"][band].sum()),
                "kept": int(own["kept"][band].sum()),
                "expected": round(float(own["expected"][band].sum()), 3),
            }
            for i, band in enumerate(bands)
        ]
    return out


def _by_score(rundir: RunDirectory, plan: Plan) -> Data | None:
    """Documents at scores near 0, 0.1 ... 1 of each filtered dataset, kept and not."""
    names = [name for name in rundir.recipe.names() if rundir.recipe.filtered(name)]
    found = {name: by_score(rundir, plan, name, chars=400) for name in names}
    return {name: rows for name, rows in found.items() if rows} or None


def _samples(rundir: RunDirectory, plan: Plan) -> Data | None:
    """Random documents of each filtered dataset that just stayed and just left."""
    out = {}
    for name in rundir.recipe.names():
        scored = any(part.num_rows for part in frames.score_parts(rundir, plan, name))
        if rundir.recipe.filtered(name) and scored:
            out[name] = frames.near_threshold(rundir, plan, name, n=5, chars=400).to_pylist()
    return out or None


# ---- what the documents are ------------------------------------------------------------------------------------------------------------


def _languages(rundir: RunDirectory, plan: Plan) -> Data:
    """Per dataset: documents of each language, and how many of them are kept."""
    out: Data = {}
    for name in rundir.recipe.names():
        came: Counter[str] = Counter()
        kept: Counter[str] = Counter()
        for shard in plan.of(name):
            if not store.exists(rundir.documents(shard)):
                continue
            came.update(_counts(frames.column(rundir.documents(shard), "language")))
            path, rows = frames.kept_rows(rundir, shard)
            if path is not None:
                kept.update(_counts(frames.column(path, "language").take(pa.array(rows))))
        order = sorted(came, key=lambda language: (-came[language], language))
        out[name] = [
            {"language": x, "documents": came[x], "kept": kept[x]} for x in order[:LANGUAGES]
        ]
        if rest := order[LANGUAGES:]:
            sums = {"documents": sum(came[x] for x in rest), "kept": sum(kept[x] for x in rest)}
            out[name].append({"language": f"{len(rest)} others", **sums})
    return out


def _counts(column: pa.Array) -> dict[str, int]:
    pairs = pc.value_counts(column.fill_null("unknown"))
    return {pair["values"]: pair["counts"] for pair in pairs.to_pylist()}


def _lengths(rundir: RunDirectory, plan: Plan) -> Data:
    """Per dataset: how many kept documents have a length of [2**i, 2**(i+1)) tokens, or characters where there are no tokens."""
    unit = (
        "tokens"
        if any(store.exists(rundir.table("tokens", s)) for s in plan.shards)
        else "characters"
    )
    datasets: Data = {}
    for name in rundir.recipe.names():
        counts: Counter[int] = Counter()
        for shard in plan.of(name):
            lengths = _shard_lengths(rundir, shard, unit)
            values, times = np.unique(
                np.log2(np.maximum(lengths, 1)).astype(np.int64), return_counts=True
            )
            counts.update(dict(zip(values.tolist(), times.tolist(), strict=True)))
        if counts:
            datasets[name] = [counts[i] for i in range(max(counts) + 1)]
    return {"unit": unit, "datasets": datasets}


def _shard_lengths(rundir: RunDirectory, shard: Any, unit: str) -> Int64s:
    if unit == "tokens":
        path = rundir.table("tokens", shard)
        if not store.exists(path):
            return np.zeros(0, np.int64)
        counts = [sum(c) for c in frames.column(path, "counts").to_pylist() if c]
        return np.array(counts, np.int64)
    survivors, rows = frames.kept_rows(rundir, shard)
    if survivors is None:
        return np.zeros(0, np.int64)
    parts = [char_lengths(batch.column(0)) for batch in store.read_groups(survivors, ["text"])]
    return np.concatenate([np.zeros(0, np.int64), *parts])[rows]


# ---- mix -------------------------------------------------------------------------------------------------------------------------------


def _mixture(rundir: RunDirectory, flows: list[Flow]) -> Data | None:
    """Planned and achieved shares of each dataset, over all training shards and the range over single ones."""
    manifest = rundir.path("shards", "manifest.parquet")
    if "mix" not in rundir.recipe.stages or not store.exists(manifest):
        return None
    rows = store.read_table(manifest).to_pylist()
    train = np.array([row["dataset_tokens"] for row in rows if row["split"] == "train"], np.float64)
    per_shard = train / np.maximum(train.sum(axis=1, keepdims=True), 1)
    parts = {
        part["dataset"]: part
        for part in store.read_json(rundir.path("shards", "shards.json"))["mixture"]
    }
    datasets = []
    for flow in flows:
        if flow.dataset in parts and flow.placed is not None:
            place = rundir.recipe.place(flow.dataset)
            low, high = float(per_shard[:, place].min()), float(per_shard[:, place].max())
            placed = {
                "placed": flow.placed,
                "share": flow.share,
                "lowest_share": low,
                "highest_share": high,
            }
            datasets.append({**parts[flow.dataset], **placed})
    shards = [
        {key: row[key] for key in ("name", "split", "tokens", "sequences", "sha256")}
        for row in rows
    ]
    return {"datasets": datasets, "shards": shards}


def _warnings(rundir: RunDirectory, flows: list[Flow], mixture: Data | None) -> list[str]:
    """The run's own warnings, datasets without validation tokens, and stages that remove much."""
    out = pipeline.warnings(rundir)
    if mixture:
        parts = mixture["datasets"]
        out += [
            f"{part['dataset']} has no validation tokens: nothing of it is held out"
            for part in parts
            if not part["validation_tokens"]
        ]
    for flow in flows[:-1]:
        for line in flow.lines:
            came = flow.find(line.stage, "in")
            removes = line.outcome not in ("in", "kept", "cut") and line.stage in (
                "dedup",
                "decontaminate",
                "tokenize",
            )
            if removes and came and line.documents > HIGH_LOSS * came.documents:
                share = line.documents / came.documents
                out.append(f"{line.stage} removed {share:.0%} of {flow.dataset} as {line.outcome}")
    return out
