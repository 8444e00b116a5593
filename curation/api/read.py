"""`curation.read`: files as Arrow batches, one after another, in the calling process.

Cost: that of `extract` on one core. A page that a parser hangs on costs itself alone, since pages
become text in a child process; tables and texts need none. For many files run `extract` with
workers.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from curation import store
from curation.api.data import Columns, path_of
from curation.api.messages import in_python
from curation.api.results import html_table, ledger_table
from curation.errors import CurationError, InputError, TaskError
from curation.recipe import reading
from curation.rundir import ledger, schema
from curation.rundir import plan as plans
from curation.rundir.directory import RunDirectory
from curation.rundir.shards import whole_files
from curation.shown import brief

INPUT = "input"
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def read(
    files: Paths,
    *,
    languages: str | Sequence[str] = (),
    language_threshold: float = 0.65,
    extractor: str = "blocks",
    comments: bool = False,
    markdown: bool = False,
    first_pages: int = 0,
    text_column: str = "text",
    id_column: str = "id",
    url_column: str = "url",
) -> Documents:
    """The documents of some files, as Arrow batches that are made while they are read.

    The files are archives (WARC, WET, ARC), JSON lines, Parquet tables, text files or dumps of
    MediaWiki; a run directory stands for the documents that it kept. Rows of tables have their own
    columns; pages have id, url, text, date, language and where they stand.

    Args:
        files: a path, a folder, a pattern or an address, or several of them.
        languages: a code such as "en", or several; texts in others are refused.
        language_threshold: least probability of its language with which a text is kept.
        extractor: what finds the main text of a page.
        comments: take readers' comments too, with the extractor "blocks".
        markdown: mark headings with "#", with the extractor "blocks".
        first_pages: only so many pages or rows of each file; 0: all.
        text_column, id_column, url_column: columns of tables.

    Raises:
        InputError: a file that is missing, unreadable or of an unknown kind.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.jsonl").write_text('{"id": "x", "text": "A tide turns twice a day."}')
    >>> read(folder / "a.jsonl").table().to_pylist()
    [{'id': 'x', 'text': 'A tide turns twice a day.'}]
    """
    given = _paths(files)
    columns = Columns(text_column, id_column, url_column)
    extract = {
        "languages": (languages,) if isinstance(languages, str) else tuple(languages),
        "language_threshold": language_threshold,
        "extractor": extractor,
        "comments": comments,
        "markdown": markdown,
        "table_languages": bool(languages),
    }
    dataset = {
        "name": INPUT,
        "role": "crawl",
        "files": given,
        "stream": any(map(store.is_web, given)),
        "first_pages": first_pages,
        **columns.of_files(given).as_keys(),
    }
    tables = {"stages": ["extract"], "extract": extract, "dataset": [dataset]}
    return Documents(tables)


def _paths(files: Any) -> tuple[str, ...]:
    paths = [files] if isinstance(files, str | os.PathLike) else files
    is_paths = isinstance(paths, Sequence) and all(isinstance(p, str | os.PathLike) for p in paths)
    if not is_paths or not paths:
        raise InputError(f"read: a path or a list of paths expected, got {brief(files)}")
    return tuple(map(path_of, paths))


class Documents:
    """The documents of some files; each iteration reads them from the start.

    `schema`: the columns. `ledger` and `rejects`: of the last iteration, as far as it went. Arrow's
    capsule interface is there, so polars, pandas and DuckDB read it too.
    """

    def __init__(self, tables: dict[str, Any]) -> None:
        with in_python():
            recipe = reading.parse(tables, "read")
        folder = tempfile.mkdtemp(prefix="curation-")  # of the columns of tables
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._rundir = RunDirectory(store.join(folder, "run"), recipe)
        self._plan = plans.Plan(tuple(whole_files(plans.make(recipe, self._rundir.out).shards)))
        self._types = self._extra_types()
        self._ledger: ledger.Ledger = {}
        self._rejects: list[dict[str, Any]] = []
        self.schema = self._schema()

    @property
    def ledger(self) -> pa.Table:
        """Records by outcome: columns stage, dataset, outcome, documents, chars, tokens."""
        return ledger_table({"extract": {INPUT: self._ledger}})

    @property
    def rejects(self) -> pa.Table:
        """Records that are no documents: url, archive, offset, reason, detail."""
        return pa.Table.from_pylist(self._rejects, schema.REJECTS)

    def table(self) -> pa.Table:
        """All documents as one table."""
        return pa.Table.from_batches(list(self), self.schema)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self._ledger, self._rejects = {}, []
        for shard in self._plan.shards:
            yield from self._batches(shard)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self.schema, iter(self))
        return reader.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        names = (file.name for shard in self._plan.shards for file in shard.files)
        files = list(dict.fromkeys(names))
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        return f"Documents({files[0]}{more}: {', '.join(self.schema.names)})"

    def _repr_html_(self) -> str:
        from curation.api.results import SHOWN_ROWS

        told = self._ledger, self._rejects  # of the user's own iteration
        first = next((batch for batch in self if batch.num_rows), None)
        self._ledger, self._rejects = told
        if first is None:
            return "<p>no documents</p>"
        return html_table(pa.Table.from_batches([first.slice(0, SHOWN_ROWS)]))

    def _extra_types(self) -> dict[str, pa.DataType | None]:
        from curation.engine.inline import InlineEngine
        from curation.stages.extract import languages
        from curation.stages.extract.columns import extra_types

        languages.check(self._rundir)
        engine = InlineEngine()
        try:
            return extra_types(self._rundir, self._plan, engine)
        except TaskError as error:  # of one file, which its cause names
            if isinstance(error.__cause__, CurationError):
                raise error.__cause__ from None
            raise
        finally:
            engine.close()

    def _schema(self) -> pa.Schema:
        """The columns of all shards: of one kind of file those of that kind."""
        schemas = []
        for shard in self._plan.shards:
            empty = pa.RecordBatch.from_pylist([], schema.with_extra(self._types[INPUT]))
            schemas.append(self._columns(shard, empty).schema)
        return pa.unify_schemas(schemas, promote_options="permissive")

    def _columns(self, shard: Any, batch: pa.RecordBatch) -> pa.RecordBatch:
        from curation.pipeline.export import input_columns

        return pa.RecordBatch.from_pydict(input_columns(self._rundir, shard, batch))

    def _batches(self, shard: Any) -> Iterator[pa.RecordBatch]:
        """The documents of one file, in batches of some hundred rows with all columns."""
        from curation.stages.extract import languages
        from curation.stages.extract.columns import fitted_to, with_address
        from curation.stages.extract.stage import count_rows, row_batches

        recipe, kind = self._rundir.recipe, self._types[INPUT]
        (dataset,), config = recipe.dataset, recipe.extracted(INPUT)
        model = languages.given_model(self._rundir)
        patience = recipe.download.patience(1)
        read_rows = partial(row_batches, self._rundir, dataset, shard, patience)
        for rows, refused in read_rows(self._ledger, {}):
            kept, refused = languages.kept_and_refused(config, model, rows, refused)
            count_rows(self._ledger, kept, refused)
            self._rejects += refused
            for row in kept:
                row["extra"] = fitted_to(with_address(dataset, row, kind), kind)
            if kept:
                batch = pa.RecordBatch.from_pylist(kept, schema.with_extra(kind))
                yield self._fitted(self._columns(shard, batch))

    def _fitted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch with the columns of all files, nulls where its own file has none."""
        if batch.schema == self.schema:
            return batch
        arrays = [
            batch.column(field.name).cast(field.type)
            if field.name in batch.schema.names
            else pa.nulls(batch.num_rows, field.type)
            for field in self.schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def need_files(paths: Sequence[str], name: str) -> None:
    """Raise InputError where a path is nothing that is there, saying how texts are given."""
    for path in paths:
        if store.is_web(path):
            continue
        try:
            store.find(path)
        except InputError as error:
            raise InputError(
                f"{name}: {error} (a str is a path or a pattern; give texts as a list)"
            ) from error
