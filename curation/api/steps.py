"""`curation.dedup`, `classify` and `decontaminate`: a stage on a user's own rows or files.

Each names its settings; the defaults are those of the recipe, which a test holds. Rows in memory are
worked on in memory; with `out=`, and of files, the command's own recipe runs.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from curation import store
from curation.api import files, memory
from curation.api.data import Batches, Columns, given, path_of
from curation.api.memory import Dataset
from curation.api.messages import listed
from curation.api.results import INPUT, Decontaminated, Result
from curation.errors import InputError
from curation.pipeline import export as exports
from curation.pipeline import line
from curation.recipe.tables import DecontaminateConfig, DedupConfig
from curation.rundir import sources
from curation.rundir.directory import RunDirectory
from curation.shown import brief

if TYPE_CHECKING:
    from curation.api.quality import Classified, QualityClassifier

AnyResult = TypeVar("AnyResult", bound=Result)
Path = str | os.PathLike[str]


def dedup(
    data: Any,
    *,
    against: Any = None,
    index: Path | None = None,
    min_jaccard: float = 0.8,
    features: Literal["unigram", "shingle"] = "shingle",
    shingle_words: int = 5,
    bands: int | Literal["auto"] = 20,
    rows: int = 6,
    hashes: int = 128,
    max_repeated_lines: float = 1.0,
    max_repeated_paragraphs: float = 1.0,
    seed: int = 0,
    text_column: str = "text",
    id_column: str = "id",
    url_column: str = "url",
    out: Path | None = None,
    workers: int | None = None,
    update: bool = False,
) -> Result:
    """Remove near duplicates, each with a measured similarity to a document that stays.

    `kept` has `cluster_size`, the documents that each stands for. `removed` has `reason`, `kept_id`
    and `kept_dataset` (the document that stays), `jaccard` (0 to 1), and the shares of the text in
    repeated lines and paragraphs. Of copies the longest stays.

    Args:
        data: texts, a table, a DataFrame, an iterator, or a path.
        against: data that stays as it is; what resembles it is removed from `data`.
        index: a run directory with a finished dedup; what resembles what it kept is removed.
        min_jaccard: Jaccard similarity from which a document is removed.
        features: what a document is a set of: word shingles, or single words.
        shingle_words: words of a shingle.
        bands: bands of a signature; "auto" chooses bands and rows for `min_jaccard`.
        rows: hashes of a band.
        hashes: with `bands="auto"`: hashes to choose from, at most.
        max_repeated_lines: remove documents with a larger share of text in repeated lines.
        max_repeated_paragraphs: the same for repeated paragraphs.
        seed: every random decision depends on it and on the content.
        text_column, id_column, url_column: columns of `data`; ids are made where there are none.
        out: a run directory to write, which stays; without it nothing does.
        workers: processes; by default none below 20 MB of text, and one a core above.
        update: run again where `out` was made with other settings.

    Raises:
        CurationError: data or a setting that cannot be used, in one sentence.

    >>> text = "the ferry turns at noon and the tide turns with it and so does the wind"
    >>> result = dedup([text, "something else altogether", text])
    >>> result.kept.num_rows, result.removed.column("reason").to_pylist()
    (2, ['exact_duplicate'])
    """
    keys = _keys(DedupConfig, locals())
    call = _Call("dedup", Columns(text_column, id_column, url_column), out, workers, update)
    return _dedup(call, data, against, index, {"dedup": keys, "seed": seed})


def filter(
    data: Any,
    *,
    rules: str | Sequence[str] = (),
    drop: Mapping[str, str] | None = None,
    mask: Mapping[str, str] | None = None,
    signals: str | Callable[..., Any] | Sequence[str | Callable[..., Any]] = (),
    block_lists: Sequence[str] = (),
    text_column: str = "text",
    id_column: str = "id",
    url_column: str = "url",
    out: Path | None = None,
    workers: int | None = None,
    update: bool = False,
) -> Result:
    """Rules on measured signals: a document is removed where a rule is true of it.

    `kept` and `removed` have every signal as a column; `removed` also the rule (`reason`) and all
    rules that are true (`fired`). Masks stand in the text of `kept`.

    Args:
        data: texts, a table, a DataFrame, an iterator, or a path.
        rules: sets of rules that ship ("fineweb", "gopher", "c4", "cs336"), or TOML files.
        drop: rules of your own: name -> expression on signals and columns.
        mask: signal of spans -> what stands in the text for them; "" removes them.
        signals: groups or names of signals, `file.py:function`, or functions of a file.
        block_lists: lists of domains and addresses, for `blocked_domain` and `blocked_url`.
        text_column, id_column, url_column: columns of `data`; ids are made where there are none.
        out: a run directory to write, which stays; without it nothing does.
        workers: processes; by default none below 20 MB of text, and one a core above.
        update: run again where `out` was made with other settings.

    Raises:
        CurationError: data or a setting that cannot be used, in one sentence.

    >>> result = filter(["Too few.", "a " * 60], drop={"few_words": "words < 50"})
    >>> result.removed.column("reason").to_pylist(), result.kept.column("words").to_pylist()
    (['few_words'], [60])
    """
    for what, pairs in (("drop", drop), ("mask", mask)):
        if not isinstance(pairs, Mapping | None) or not all(
            isinstance(n, str) for n in pairs or ()
        ):
            raise InputError(
                f"filter: {what}: a dict of names and texts expected, got {brief(pairs)}"
            )
    measured = listed("filter", "signals", signals or (), str, Callable)
    sets = listed("filter", "rules", rules or (), str)
    if not (sets or drop or mask or measured):
        raise InputError("filter: rules, drop, mask or signals expected, got none of them")
    named = {
        "rules": [_path(name) for name in sets],
        "rule": [{"name": name, "drop": expression} for name, expression in (drop or {}).items()],
        "mask": dict(mask or {}),
        "signals": [name if isinstance(name, str) else _function_name(name) for name in measured],
        "block_lists": [path_of(path) for path in block_lists],
        "alarm": "warn",
    }
    call = _Call("filter", Columns(text_column, id_column, url_column), out, workers, update)
    return call.run([call.dataset(data, "crawl")], {"filter": named}, Result)


def classify(
    data: Any,
    *,
    positives: Any = None,
    negatives: Any = None,
    model: Path | QualityClassifier | None = None,
    alpha: float = 9.0,
    scaling: Literal["none", "tf", "binary", "l2", "log-l2"] = "none",
    signals: str | Sequence[str] = ("prose",),
    seed: int = 0,
    text_column: str = "text",
    id_column: str = "id",
    url_column: str = "url",
    out: Path | None = None,
    workers: int | None = None,
    update: bool = False,
) -> Classified:
    """GPT-3's quality filter: a document stays where a Pareto draw is above 1 - quality.

    `kept` and `removed` have `quality` (0 to 1) and `pareto_draw`. Without `positives` and `model`
    the model that ships with curation scores.

    Args:
        data: texts, a table, a DataFrame, an iterator, or a path.
        positives: data of the kind to keep; a classifier is fitted to it.
        negatives: unfiltered data to fit it against; by default `data`.
        model: a QualityClassifier, or the folder of one.
        alpha: Pareto shape: the higher, the stricter.
        scaling: how term counts become features; "none": only signals.
        signals: signals beside the terms, groups or names.
        seed: every random decision depends on it and on the content.
        text_column, id_column: columns of `data`; ids are made where there are none.
        url_column: the column of addresses; pages of one site are in one fold.
        out: a run directory to write, which stays; without it nothing does.
        workers: processes; by default none below 20 MB of text, and one a core above.
        update: run again where `out` was made with other settings.

    Raises:
        CurationError: data or a setting that cannot be used, in one sentence.

    >>> result = classify(["The miller wound the sluice at dawn, and by noon it was open."])
    >>> result.kept.num_rows + result.removed.num_rows, "quality" in result.kept.column_names
    (1, True)
    """
    named = tuple(listed("classify", "signals", signals, str))
    keys = {"alpha": alpha, "scaling": scaling, "signals": named}
    call = _Call("classify", Columns(text_column, id_column, url_column), out, workers, update)
    return _classify(call, data, positives, negatives, model, {"classify": keys, "seed": seed})


def decontaminate(
    data: Any,
    benchmarks: Any,
    *,
    gram_words: int = 13,
    margin_chars: int = 200,
    min_piece_chars: int = 200,
    max_pieces: int = 10,
    max_documents: int = 10,
    text_column: str = "text",
    id_column: str = "id",
    url_column: str = "url",
    out: Path | None = None,
    workers: int | None = None,
    update: bool = False,
) -> Decontaminated:
    """Cut out what overlaps with benchmarks (GPT-3, appendix C).

    `kept` has a row for each piece of text that stays, with its number in `piece`; `removed` has
    the documents of which too little stays. `hits` says what was found.

    Args:
        data: texts, a table, a DataFrame, an iterator, or a path.
        benchmarks: a path or pattern of JSONL or Parquet files, or a list of `Path`; a list of
            texts; or a dict of names and any of these.
        gram_words: words in a row that count as overlap.
        margin_chars: characters cut on each side of it.
        min_piece_chars: shorter pieces are dropped.
        max_pieces: a document in more pieces is removed.
        max_documents: grams in more documents than this are ignored.
        text_column, id_column, url_column: columns of `data`; ids are made where there are none.
        out: a run directory to write, which stays; without it nothing does.
        workers: processes; by default none below 20 MB of text, and one a core above.
        update: run again where `out` was made with other settings.

    Raises:
        CurationError: data or a setting that cannot be used, in one sentence.

    >>> question = "which of these four rivers does not reach the sea at any time of the year"
    >>> result = decontaminate(["A quiz asks " + question + "."], [question])
    >>> result.kept.num_rows, result.removed.column("reason").to_pylist()
    (0, ['no_piece_left'])
    """
    keys = _keys(DecontaminateConfig, locals())
    columns = Columns(text_column, id_column, url_column)
    call = _Call("decontaminate", columns, out, workers, update)
    with _beside(out) as folder:
        paths, texts = files.benchmark_files(benchmarks, store.join(folder, sources.BENCHMARKS))
        settings = {"decontaminate": {**keys, "benchmarks": paths}}
        datasets = [call.dataset(data)]
        return call.run(datasets, settings, Decontaminated, partial(files.write_benchmarks, texts))


# ---- what they share -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Call:
    """What every step is called with."""

    stage: str
    columns: Columns
    out: Path | None
    workers: int | None
    update: bool

    def dataset(
        self, data: Any, role: str = "trusted", name: str = INPUT, called: str = "data"
    ) -> Dataset:
        """Data as a dataset of a recipe."""
        return Dataset(name, role, given(data, called, self.columns.text), self.columns)

    def run(
        self,
        datasets: Sequence[Dataset],
        settings: Mapping[str, Any],
        kind: type[AnyResult],
        before: Callable[[], None] | None = None,
    ) -> AnyResult:
        """Run the stage in memory where the rows are and nothing is to stay, else by files;
        `before` writes what the recipe names beside the data."""
        own = next(dataset for dataset in datasets if dataset.name == INPUT)
        stage, workers = self.stage, self.workers
        if self.out is None and isinstance(own.data, Batches):
            with memory.finished(stage, datasets, settings, workers, before) as done:
                sides = memory.result_sides(done, stage)
                more = _more(stage, done.rundir, done.plan, done.engine)
                if "hits" in more:
                    sides["hits"] = more.pop("hits")
                return kind(stage, done.ledger, done.warnings, None, sides, **more)
        with files.directory(self.out) as folder:
            rundir, plan = files.run_step(
                stage, datasets, settings, folder,
                workers=workers, update=self.update, before=before,
            )  # fmt: skip
            sides = files.sides(rundir, plan, is_kept=self.out is not None)
            told = (files.ledger_of(rundir, plan), tuple(line.warnings(rundir)))
            out = folder if self.out is not None else None
            return kind(stage, *told, out, sides, **_more(stage, rundir))


def _path(name: str) -> str:
    """A set of rules: a name, or the whole path of a file."""
    return path_of(name) if name.endswith(".toml") else name


def _function_name(function: Callable[..., Any]) -> str:
    """How a recipe names a function: `file.py:function`."""
    import inspect

    code = getattr(function, "__code__", None)
    file = inspect.getsourcefile(function) if code else None
    is_script = getattr(function, "__module__", "") == "__main__"  # importing runs it again
    if is_script or not file or not file.endswith(".py") or not os.path.exists(file):
        raise InputError(
            f"signals: a function of a module expected, got {brief(function)}; write it into a "
            "file of its own, which worker processes can read, and import it from there"
        )
    return f"{file}:{function.__name__}"


def _keys(config: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are keys of a stage's table."""
    return {f.name: arguments[f.name] for f in fields(config) if f.name in arguments}


def _dedup(
    call: _Call, data: Any, against: Any, index: Path | None, settings: dict[str, Any]
) -> Result:
    if against is not None and index is not None:
        raise InputError("dedup: give either against or index")
    datasets, keys = [call.dataset(data)], settings["dedup"]
    keys |= {"alarm": "warn", "index": "" if index is None else path_of(index).rstrip("/")}
    if against is not None:
        datasets.insert(0, call.dataset(against, "reference", "reference", "against"))
        keys["across"] = [["reference", INPUT]]
    return call.run(datasets, settings, Result)


def _classify(
    call: _Call,
    data: Any,
    positives: Any,
    negatives: Any,
    model: Path | QualityClassifier | None,
    settings: dict[str, Any],
) -> Classified:
    from curation.api.quality import Classified, QualityClassifier

    if positives is not None and model is not None:
        raise InputError("classify: give either positives or model")
    datasets, keys = [call.dataset(data, "crawl")], settings["classify"]
    for name, some in (("positives", positives), ("negatives", negatives)):
        if some is not None:
            datasets.append(call.dataset(some, "reference", name, name))
            keys[name] = [name]
    if positives is not None and negatives is None:
        keys["negatives"] = [INPUT]
    with _beside(call.out) as folder:
        before = None
        if isinstance(model, str | os.PathLike):
            keys["model"] = path_of(model)
        elif model is not None:
            if not isinstance(model, QualityClassifier):
                raise InputError(
                    f"classify: a QualityClassifier or the folder of one expected, got {brief(model)}"
                )
            keys["model"] = store.join(folder, "_model")
            before = partial(model.save, keys["model"])
        return call.run(datasets, settings, Classified, before)


@contextlib.contextmanager
def _beside(out: Path | None) -> Iterator[str]:
    """A folder for files that a recipe names: in the run directory, or gone after the block."""
    if out is not None:
        yield store.join(files.local(out), "downloads")
        return
    with tempfile.TemporaryDirectory(prefix="curation-") as folder:
        yield folder


def _more(stage: str, rundir: RunDirectory, *made: Any) -> dict[str, Any]:
    """What a result has beside its rows."""
    if stage == "classify":
        from curation.api.quality import QualityClassifier

        return {"model": QualityClassifier.load(rundir.path("classify", "model"))}
    if stage == "decontaminate" and made:
        plan, engine = made
        exports.write_hits(rundir, plan, engine)
        return {"hits": store.read_table(rundir.path("hits.parquet"))}
    return {}
