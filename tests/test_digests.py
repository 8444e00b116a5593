"""Each key of a recipe, changed once: which tables are made again.

A key is in `FIRST`, with the first tables that it changes (those made from them follow by `FEEDS`), or in
`NO_TABLE`, with the reason. A key that a stage reads and that no digest holds would reuse stale tables.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from digests_of_a_run import run_digests

from curation import store
from curation.readers.language_model import shipped
from curation.recipe import reading as recipe
from curation.recipe import tables
from curation.recipe.line import STAGES, folders
from curation.rundir import manifest as manifests
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.stages.download.captures import COLUMNS

CRAWL = "CC-MAIN-2024-10"
LEARNED = ("classify/features", "classify/model")
FEEDS = {  # a kind of table -> the kinds made from it
    "downloads": (),
    "documents/_columns": ("documents",),
    "documents": (
        "rejects", "documents/_repeated", "filter/evidence", "classify/features", "classify/evidence", "dedup/evidence",
        "decontaminate/evidence", "tokens",
    ),
    "rejects": (),
    "documents/_repeated": (),
    "filter/evidence": ("filter/decision",),
    "filter/decision": ("classify/decision",),
    "classify/features": ("classify/model",),
    "classify/model": ("classify/evidence",),
    "classify/evidence": ("classify/decision",),
    "classify/decision": ("survivors",),
    "survivors": ("dedup/evidence", "decontaminate/evidence", "tokens"),
    "dedup/evidence": ("dedup/pairs",),
    "dedup/pairs": ("dedup/decision",),
    # With a study the evidence holds which of its grams stand in documents that dedup keeps.
    "dedup/decision": ("decontaminate/common", "decontaminate/decision", "decontaminate/evidence"),
    "decontaminate/benchmarks": ("decontaminate/evidence",),
    "decontaminate/evidence": ("decontaminate/common", "decontaminate/decision"),
    "decontaminate/common": ("decontaminate/decision",),
    "decontaminate/decision": ("decontaminate/study", "tokens"),
    "decontaminate/study": (),
    "tokens": ("shards",),
    "shards": (),
}  # fmt: skip
HOSTS = {"dataset.annotations": ("chosen", "hosts.parquet")}
TUNED = {"dedup.bands": "auto"}
ENGLISH = {"extract.languages": ["en"]}
FASTTEXT = {"classify.model": "shipped.ftz", "classify.model_label": "en"}
BY_DATE = {"mix.by": "date", "mix.by_weights": {"crawl": {"*": 1.0}}}
PAIRS = {"dedup.across": [["wiki", "crawl"]]}
# key -> new value (of a dataset's key: the dataset before it), first tables, and settings of both sides
FIRST: dict[str, tuple[Any, tuple[str, ...]] | tuple[Any, tuple[str, ...], dict[str, Any]]] = {
    "seed": (1, ("classify/features", "classify/evidence", "dedup/evidence", "shards")),
    "stages": (["download", "extract", "filter", "classify", "decontaminate", "tokenize", "mix"],
               ("dedup/evidence", "dedup/pairs", "dedup/decision")),
    "dataset.name": (("captures", "renamed"), ("downloads", "documents")),
    "dataset.role": (
        ("books", "crawl"),
        ("classify/features", "classify/decision", "filter/evidence", "filter/decision"),
    ),
    "dataset.files": (("crawl", ["wiki2.jsonl"]), ("documents/_columns", "documents")),
    "dataset.format": (("crawl", "text"), ("documents/_columns", "documents")),
    "dataset.crawls": (("cc", ["CC-MAIN-2024-18"]), ("documents",)),
    "dataset.kind": (("cc", "warc"), ("documents",)),
    "dataset.archives": (("cc", "1:3"), ("documents",)),
    "dataset.first_mb": (("cc", 2.0), ("documents",)),
    "dataset.first_pages": (("crawl", 2), ("documents",)),
    "dataset.urls": (("captures", "urls2.txt"), ("downloads", "documents")),
    "dataset.index": (("captures", ["index2.parquet"]), ("downloads", "documents")),
    "dataset.keep_records": (("captures", True), ("documents",)),
    "dataset.select": (("chosen", "fetch_status = 404"), ("downloads", "documents")),
    "dataset.annotations": (("chosen", "hosts.parquet"), ("downloads", "documents")),
    "dataset.annotations_by": (("chosen", "url"), ("downloads", "documents"), HOSTS),
    "dataset.sample": (("chosen", 0.5), ("downloads", "documents")),
    "dataset.select_shard_mb": (("chosen", 1.0), ("downloads", "documents")),
    "dataset.target_shard_mb": (("cc", 300.0), ("documents",)),
    "dataset.text_column": (("crawl", "body"), ("documents/_columns", "documents")),
    "dataset.id_column": (("crawl", "absent"), ("documents/_columns", "documents")),
    "dataset.url_column": (("crawl", "absent"), ("documents/_columns", "documents")),
    "extract.extractor": ("resiliparse", ("documents",)),
    "extract.headline": ("in", ("documents",)),
    "extract.comments": (True, ("documents",)),
    "extract.markdown": (True, ("documents",)),
    "extract.languages": (["en"], ("documents",)),
    "dataset.languages": (("crawl", ["de"]), ("documents",), ENGLISH),
    "dataset.language_threshold": (("crawl", 0.2), ("documents",), ENGLISH),
    "extract.language_threshold": (0.3, ("documents",), ENGLISH),
    "extract.language_model": ("shipped.ftz", ("documents",)),
    "extract.crawl_language_threshold": (0.5, ("documents",), ENGLISH),
    "extract.table_languages": (False, ("documents",)),
    "extract.digests": ("refuse", ("documents",)),
    "extract.max_page_bytes": (999, ("documents",)),
    "extract.max_page_s": (9.0, ("documents",)),
    "filter.rules": (["gopher"], ("filter/evidence",)),
    "filter.signals": (["fineweb"], ("filter/evidence",)),
    "filter.rule": ([{"name": "few", "drop": "words < 9 or blocked_domain"}], ("filter/decision",)),
    "filter.mask": ({"email": "X"}, ("filter/evidence",)),
    "filter.datasets": (["wiki"], ("filter/evidence", "filter/decision", "survivors")),
    "filter.block_lists": (["domains.txt"], ("filter/evidence",)),
    "filter.block_words": (["domains.txt"], ("filter/evidence",)),
    "filter.block_soft_words": (["domains.txt"], ("filter/evidence",)),
    "filter.block_subwords": (["domains.txt"], ("filter/evidence",)),
    "classify.scaling": ("l2", ("classify/model",)),
    "classify.signals": (["chars"], LEARNED),
    "classify.calibration": ("none", ("classify/model",)),
    "classify.positives_by": ("documents", ("classify/model",)),
    "classify.alpha": (3.0, ("classify/decision",)),
    "classify.C": (2.0, ("classify/model",)),
    "classify.class_weight": ("none", ("classify/model",)),
    "classify.positives": (["wiki"], LEARNED),
    "classify.negatives": (["cc"], LEARNED),
    "classify.max_documents": (6, LEARNED),
    "classify.weights": ({"wiki": 3.0}, LEARNED),
    "classify.window_chars": (500, LEARNED),
    "classify.folds": (3, ("classify/model",)),
    "classify.model": ("golden", LEARNED),
    "classify.model_label": ("de", ("classify/evidence",), FASTTEXT),
    "classify.scores_of": ("windows", ("classify/evidence",), {"classify.window_chars": 500}),
    "dedup.features": ("unigram", ("dedup/evidence",)),
    "dedup.shingle_words": (4, ("dedup/evidence",)),
    "dedup.bands": (10, ("dedup/evidence",)),
    "dedup.rows": (5, ("dedup/evidence",)),
    "dedup.hashes": (64, ("dedup/evidence",), TUNED),
    "dedup.min_jaccard": (0.7, ("dedup/pairs",)),
    "dedup.across": ([["wiki", "crawl"]], ("dedup/pairs",)),
    "dedup.within": (False, ("dedup/pairs",), PAIRS),
    "dedup.index": ("earlier", ("dedup/evidence",)),
    "dedup.max_repeated_lines": (0.5, ("dedup/evidence",)),
    "dedup.max_repeated_paragraphs": (0.5, ("dedup/evidence",)),
    "decontaminate.benchmarks": ("other.jsonl", ("decontaminate/benchmarks", "decontaminate/study")),
    "decontaminate.catalogue": ("cat.toml", ("decontaminate/benchmarks", "decontaminate/study")),
    "decontaminate.gram_words": (5, ("decontaminate/benchmarks",)),
    "decontaminate.margin_chars": (1, ("decontaminate/decision",)),
    "decontaminate.min_piece_chars": (1, ("decontaminate/decision",)),
    "decontaminate.max_pieces": (1, ("decontaminate/decision",)),
    "decontaminate.max_documents": (1, ("decontaminate/common",)),
    "decontaminate.study": (False, ("decontaminate/evidence", "decontaminate/study")),
    "tokenize.encoding": ("r50k_base", ("tokens",)),
    "tokenize.end_of_text": ("</s>", ("tokens",), {"tokenize.encoding": "vocabulary.json"}),
    "mix.tokens": (500, ("shards",)),
    "mix.shards": (3, ("shards",)),
    "mix.validation": (0.5, ("shards",)),
    "mix.weights": ({"wiki": 1, "crawl": 2}, ("shards",)),
    "mix.parquet": (True, ("shards",)),
    "mix.by": ("language", ("tokens",), BY_DATE),
    "mix.by_weights": ({"crawl": {"*": 2.0, "": 1.0}}, ("shards",), BY_DATE),
}  # fmt: skip
NO_TABLE: dict[str, tuple[Any, str]] = {
    "memory_gb": (9.0, "memory of a query; its rows are the same"),
    "dataset.range_gap_kb": (("chosen", 1), "how records are asked for"),
    "dataset.range_mb": (("chosen", 1.0), "how records are asked for"),
    "dataset.stream": (("cc", False), "the same archive, read at its address or from disk"),
    "download.base_url": ("https://mirror.example/", "archives are known by name on any mirror"),
    "download.requests_per_second": (1.0, "how fast files are asked for"),
    "download.max_attempts": (2, "how often files are asked for"),
    "download.timeout_s": (9.0, "how long an answer is waited for"),
    "download.max_failed": (0.5, "when a run stops; what failed is asked for again"),
    "mix.max_epochs": (99.0, "when a mixture is refused"),
    "dedup.max_removed": (0.5, "when a run stops, or warns"),
    "dedup.max_cluster": (0.5, "when a run stops, or warns"),
    "dedup.alarm": ("warn", "whether a run stops, or warns"),
    "filter.max_removed": (0.5, "when a run stops, or warns"),
    "filter.alarm": ("warn", "whether a run stops, or warns"),
}


def _keys() -> set[str]:
    """Every key that a recipe can have, as `key`, `table.key` or `dataset.key`."""
    out = {f"dataset.{f.name}" for f in dataclasses.fields(tables.Dataset)}
    for outer in dataclasses.fields(tables.Recipe):
        if outer.name in STAGES:
            table = outer.default_factory()  # type: ignore[misc]
            out |= {f"{outer.name}.{inner.name}" for inner in dataclasses.fields(table)}
        elif outer.name != "dataset":
            out.add(outer.name)
    return out


def _base(folder: Path) -> dict[str, Any]:
    """A recipe with a dataset of every kind, and every stage."""
    cc = {"name": "cc", "role": "crawl", "crawls": [CRAWL], "archives": "0:2", "stream": True}
    chosen = {"name": "chosen", "role": "crawl", "crawls": [CRAWL], "kind": "warc"}
    urls, index = str(folder / "urls.txt"), [str(folder / "index.parquet")]
    return {
        "dataset": [
            {"name": "wiki", "files": [str(folder / "wiki.jsonl")]},
            {"name": "books", "files": [str(folder / "book.txt")]},
            {"name": "crawl", "role": "crawl", "files": [str(folder / "crawl.jsonl")]},
            cc,
            {"name": "captures", "role": "crawl", "urls": urls, "index": index},
            chosen | {"index": index, "select": "fetch_status = 200"},
        ],
        "stages": list(STAGES),
        "filter": {"rule": [{"name": "few", "drop": "words < 5 or blocked_domain"}]},
        "classify": {"max_documents": 5},
        "decontaminate": {"benchmarks": str(folder / "bench.jsonl")},
        "mix": {"weights": {"wiki": 1, "crawl": 1}},
    }


def _changed(folder: Path, table: dict[str, Any], key: str, value: Any) -> None:
    """Set a key of a recipe's table; names of files in `folder` become their paths."""

    def located(one: Any) -> Any:
        if isinstance(one, list):
            return [located(inner) for inner in one]
        return str(folder / one) if isinstance(one, str) and (folder / one).exists() else one

    outer, _, inner = key.partition(".")
    if outer == "dataset":
        name, value = value
        (own,) = (dataset for dataset in table["dataset"] if dataset["name"] == name)
        own[inner] = located(value)
    elif inner:
        table.setdefault(outer, {})[inner] = located(value)
    else:
        table[outer] = value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The input files of `_base`, and what the changed keys name."""
    folder = tmp_path_factory.mktemp("inputs")
    # no id and url there: another name for them does not change which columns are the user's own
    for name in ("wiki", "wiki2", "crawl"):
        (folder / f"{name}.jsonl").write_text('{"text": "one two three", "body": "four"}\n')
    (folder / "book.txt").write_text("A book.")
    words = "a keeper lit the seven lamps of the harbour each evening and never once was late"
    for name, text in (("bench", words), ("other", f"{words} at all")):
        example = {"id": "1", "question": text, "hint": "of the lamps " + words[::-1]}
        (folder / f"{name}.jsonl").write_text(json.dumps(example) + "\n")
    shutil.copyfile(shipped(), folder / "shipped.ftz")
    (folder / "vocabulary.json").write_text("{}")
    (folder / "cat.toml").write_text('[[benchmark]]\nnames = ["*"]\nfields = ["question"]\n')
    (folder / "domains.txt").write_text("bad.example\n")
    (folder / "urls.txt").write_text("http://one.example/\n")
    (folder / "urls2.txt").write_text("http://two.example/other\n")
    pq.write_table(pa.table({"host": ["a.example"]}), folder / "hosts.parquet")
    for name, column in (("index", [1]), ("index2", [1, 2])):
        pq.write_table(pa.table(dict.fromkeys(COLUMNS, column)), folder / f"{name}.parquet")
    for crawl in (CRAWL, "CC-MAIN-2024-18"):
        for kind, ending in (("wet", "warc.wet.gz"), ("warc", "warc.gz")):
            names = [f"{crawl}/{i}-{crawl}.{ending}" for i in range(3)]
            path = folder / "run" / "downloads" / "_lists" / f"{crawl}.{kind}.paths.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress("\n".join(names).encode()))
            for name in names:
                file = folder / "run" / "downloads" / "cc" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"any")
    (folder / "earlier").mkdir()
    table = _base(folder)
    del table["dataset"][3:]
    earlier = recipe.parse(table)
    rundir = RunDirectory(str(folder / "earlier"), earlier)
    plans.commit(rundir, plans.make(earlier, rundir.out))
    stages = ["extract", "filter", "classify", "dedup", "decontaminate", "tokenize"]
    for stage in stages:
        store.write_json(manifests.path(rundir.out, stage), {"key": "", "files": {}})
    (folder / "golden").symlink_to(Path(__file__).parent / "golden" / "model")
    return folder


Digests = tuple[dict[str, str], dict[str, str]]


def _digests(folder: Path, settings: dict[str, Any]) -> Digests:
    table = _base(folder)
    for key, value in settings.items():
        _changed(folder, table, key, value)
    return run_digests(recipe.parse(table), folder / "run")


def _kind(path: str) -> str:
    """Which kind of table a path in a run directory is: a key of `FEEDS`."""
    first, second = path.split("/")[:2]
    nested = first in ("filter", "classify", "dedup", "decontaminate") or second.startswith("_")
    return f"{first}/{second}" if nested and first != "downloads" else first


def _followed(first: tuple[str, ...]) -> set[str]:
    """Some kinds of tables and all that is made from them."""
    out: set[str] = set()
    waiting = list(first)
    while waiting:
        kind = waiting.pop()
        if kind not in out:
            out.add(kind)
            waiting += FEEDS[kind]
    return out


def _differing(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {
        _kind(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    }


@pytest.fixture(scope="module")
def unchanged(folder: Path) -> Digests:
    return _digests(folder, {})


def test_every_key_is_in_one_of_the_two_lists() -> None:
    assert FIRST.keys() | NO_TABLE.keys() == _keys()
    assert not FIRST.keys() & NO_TABLE.keys()


@pytest.mark.parametrize("key", FIRST)
def test_a_changed_key_makes_these_tables_again(folder: Path, unchanged: Digests, key: str) -> None:
    value, first, *settings = FIRST[key]
    both = settings[0] if settings else {}
    before = _digests(folder, both) if both else unchanged
    after = _digests(folder, {**both, key: value})
    assert _differing(before[0], after[0]) == _followed(first)
    stages = {place: name for name in STAGES for place in folders(name, STAGES)}
    for stage in {stages[kind.split("/")[0]] for kind in first} - {"download"}:
        assert before[1][stage] != after[1].get(stage)  # its manifest does not fit any more


@pytest.mark.parametrize("key", NO_TABLE)
def test_a_key_of_no_table_makes_none_again(folder: Path, unchanged: Digests, key: str) -> None:
    value, _ = NO_TABLE[key]
    assert _digests(folder, {key: value})[0] == unchanged[0]
