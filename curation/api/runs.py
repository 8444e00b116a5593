"""`curation.run` and `curation.Run`: the whole line from a recipe, and a run directory to look at."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from curation import store
from curation.api import run_tables
from curation.api.data import path_of, shown_path
from curation.api.files import local
from curation.api.messages import in_python
from curation.api.results import ledger_table
from curation.errors import InputError
from curation.pipeline.engines import engine_for, input_size
from curation.recipe import reading
from curation.recipe.tables import Recipe
from curation.rundir import plan as plans
from curation.rundir.kept import kept_documents

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.inspect.evidence.fate import Fate
    from curation.inspect.evidence.find import RejectRow
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

Path = str | os.PathLike[str]
WIDTH = 100  # of text that is shown


def run(
    recipe: Path | Recipe | Mapping[str, Any],
    *,
    out: Path,
    engine: Literal["local", "spark"] | Engine = "local",
    workers: int | None = None,
    master: str | None = None,
    settings: Sequence[str] = (),
    again_from: str | None = None,
    until: str | None = None,
    update: bool = False,
    say: Callable[[str], None] | None = None,
) -> Run:
    """Run a recipe into a run directory; go on where a run was interrupted.

    Args:
        recipe: the path of a TOML file, its tables as a dict, or a Recipe.
        out: the run directory: a folder, or an address such as s3://bucket/run.
        engine: "local", "spark", or an engine of your own, which is not closed.
        workers: processes; one a core where it is not given. 1: none but this one.
        master: with "spark": its master, for instance "local[4]".
        settings: changes of a recipe file, such as "classify.alpha=5".
        again_from: make this stage and those after it again.
        until: stop after this stage.
        update: run again under a changed recipe; what is still valid is reused.
        say: receives messages, a line each.

    Raises:
        CurationError: one sentence. What finished stays, and the same call goes on from there.

    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.jsonl").write_text('{"id": "x", "text": "The tide turns twice."}')
    >>> recipe = {"stages": ["extract"], "dataset": [{"name": "a", "files": str(folder / "a.jsonl")}]}
    >>> run(recipe, out=folder / "run", workers=1).funnel().column("documents").to_pylist()
    [1, 1, 1, 1]
    """
    from curation.pipeline import line

    with in_python():
        parsed = _recipe(recipe, settings)
        own = None if not isinstance(engine, str) else _engine(engine, workers, master, parsed)
        try:
            rundir, _ = line.run(
                parsed,
                local(out),
                own or engine,  # type: ignore[arg-type]
                again_from=again_from,
                until=until,
                update=update,
                say=say or (lambda text: None),
            )
        finally:
            if own is not None:
                own.close()
    return Run.open(rundir.out)


def _recipe(recipe: Path | Recipe | Mapping[str, Any], settings: Sequence[str]) -> Recipe:
    if isinstance(recipe, str | os.PathLike):
        return reading.load(path_of(recipe), settings)
    if settings:
        raise InputError("run: settings change a recipe file; change the Recipe itself")
    if not isinstance(recipe, Recipe):
        recipe = reading.parse(recipe, "recipe")
    return reading.resolved(recipe, os.getcwd())


def _engine(kind: str, workers: int | None, master: str | None, recipe: Recipe) -> Engine:
    if master and kind != "spark":
        raise InputError(f'run: master goes with engine="spark", got engine={kind!r}')
    if kind == "spark":
        from curation.engine.spark import SparkEngine

        return SparkEngine(master, workers or 0, recipe.memory_gb)
    if kind != "local":
        raise InputError(f'run: engine "local" or "spark" expected, got {kind!r}')
    return engine_for(input_size(recipe), workers, recipe.memory_gb, recipe=recipe)


@dataclasses.dataclass(frozen=True, repr=False)
class Run:
    """A run directory. `run_directory`: where it is.

    It may be finished or not; what a stage has not written yet is not there.
    """

    run_directory: str

    @classmethod
    def open(cls, path: Path) -> Run:
        """The run in a directory that `run`, a step or a command wrote. Raises RunError where it is
        none."""
        opened = cls(local(path))
        plans.read(opened.run_directory)
        return opened

    @functools.cached_property
    def _opened(self) -> tuple[RunDirectory, Plan]:
        return plans.read(self.run_directory)

    @property
    def recipe(self) -> Recipe:
        """What it was made by, every default filled in."""
        return self._opened[0].recipe

    @property
    def ledger(self) -> pa.Table:
        """Documents, characters and tokens by outcome: columns stage, dataset, outcome, documents,
        chars, tokens."""
        from curation.pipeline import line

        return ledger_table(line.ledgers(*self._opened))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the run says against itself, a sentence each."""
        from curation.inspect.evidence import labels
        from curation.pipeline import line

        return (*line.warnings(self._opened[0]), *labels.warnings(*self._opened))

    def funnel(self) -> pa.Table:
        """What came in, what each stage removed and why, by dataset and in total.

        Columns stage, outcome, dataset, documents, chars, tokens (estimated where `exact` is false),
        exact.
        """
        from curation.inspect.evidence.flow import funnel

        rows = [
            {"dataset": flow.dataset, **dataclasses.asdict(line)}
            for flow in funnel(*self._opened)
            for line in flow.lines
        ]
        return pa.Table.from_pylist(rows, run_tables.FUNNEL)

    def mixture(self) -> pa.Table:
        """What the training shards are made of: a row for each dataset, and one for each value of a
        column that its documents are weighed by.

        Columns dataset, value (null: the whole dataset), weight, tokens (there are for training),
        epochs, planned (tokens * epochs), placed (in the shards; null where they are not written).
        Raises RunError where a dataset has no tokens yet.
        """
        return run_tables.mixture(*self._opened)

    def contamination(self) -> pa.Table:
        """The benchmarks that the run looked for: a row each, and how many of its examples share
        `n` words in a row with a document, before and after the cuts (appendix C.2).

        Columns benchmark, n, examples, short (fewer than `n` words: not looked for), dirty_before,
        dirty_after. Raises RunError where the run has no study of benchmarks.
        """
        return run_tables.contamination(self._opened[0])

    def documents(
        self, kept: bool = True, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The documents that stayed, with their text as it leaves the run: masked, and cut where
        benchmarks were (a row for each `piece`). With `kept=False` those that did not stay, whole,
        each with `stage` and `reason`.

        `columns`: names of columns of documents and of the input; by default all but evidence.
        Raises RunError where a stage has not ended.
        """
        if kept:
            return kept_documents(*self._opened, columns)
        return run_tables.removed_documents(*self._opened, columns or run_tables.COLUMNS)

    def tables(self) -> list[str]:
        """The names that `table` and `scan` know."""
        return run_tables.table_names(*self._opened)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A table of the run in memory.

        The name of a stage means its decisions, with dataset and id; every folder of tables is known
        by its path, for instance "classify/evidence". Raises InputError for another name.
        """
        return run_tables.table(*self._opened, name, columns)

    def scan(self, name: str) -> Any:
        """The same, of a folder of tables, as a pyarrow.dataset.Dataset that reads what is asked."""
        return run_tables.scan(*self._opened, name)

    def explain(self, key: str) -> Explanation:
        """What became of the documents with an id or url, stage by stage, with the evidence.

        Raises InputError where there is none.
        """
        from curation.inspect.evidence.fate import fate
        from curation.inspect.evidence.find import find

        documents, rejects = find(*self._opened, key)
        fates = tuple(fate(*self._opened, document) for document in documents)
        return Explanation(fates, tuple(rejects), _printed_story(self._opened, key))

    def report(self, path: Path | None = None) -> str:
        """Write the report, one page of HTML, to a path or into the run directory; returns where."""
        from curation.web.report import write_report

        page = write_report(*self._opened)
        if path is None:
            return page
        target = path_of(path)
        store.write_bytes(target, store.read_bytes(page))
        return target

    def __repr__(self) -> str:
        return f"Run({shown_path(self.run_directory)!r})\n{self._funnel_text()}".rstrip()

    def _repr_html_(self) -> str:
        return f"<p>{escape(shown_path(self.run_directory))}</p><pre>{escape(self._funnel_text())}</pre>"

    def _funnel_text(self) -> str:
        from curation.errors import RunError
        from curation.inspect.evidence.flow import funnel
        from curation.inspect.terminal.funnel import funnel_table

        try:
            return _printed(
                lambda console: console.print(funnel_table(funnel(*self._opened), WIDTH))
            )
        except RunError as error:  # nothing has been extracted yet
            return str(error)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """What became of the documents and rejects with one id or url. `text`: the same in words."""

    fates: tuple[Fate, ...]
    rejects: tuple[RejectRow, ...]
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"


def _printed_story(opened: tuple[RunDirectory, Plan], key: str) -> str:
    from curation.inspect.terminal.explain import explain

    return _printed(lambda console: explain(*opened, key, console))


def _printed(write: Callable[[Any], None]) -> str:
    """What is written to a console without colours. In a notebook it would show itself at once."""
    from rich.console import Console

    file = io.StringIO()
    write(
        Console(
            file=file, width=WIDTH, color_system=None, force_terminal=False, force_jupyter=False
        )
    )
    return file.getvalue()
