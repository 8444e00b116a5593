"""extract: archives, MediaWiki dumps, tables and text files -> documents/<dataset>/<shard>.parquet and rejects/.

Every record of every input file becomes one document or is counted under one reason. Memory: one page, and a batch of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import xxhash

from curation import store
from curation.digests import config_digest, text_digest
from curation.errors import InputError
from curation.recipe.tables import ExtractConfig
from curation.rundir import ledger, schema
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.results import ShardResult, run_once, stored_ledgers
from curation.stages.extract import captures
from curation.stages.extract.columns import extra_types, fitted, repeated_ids
from curation.stages.extract.inputs import input_format, opened, pages, read_table_rows

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.readers.records import Document, Reject, Skipped
    from curation.recipe.tables import Dataset
    from curation.rundir.plan import Plan

VERSION = 3
BATCH_ROWS = 512
BATCH_CHARS = 4 << 20
UNREACHABLE = "unreachable"


def run(rundir: RunDirectory, plan: Plan, engine: Engine) -> list[ShardResult]:
    """Extract every shard.

    Raises InputError where nothing became a document, a dataset of tables repeats an id, or too much could not be read from its address.
    """
    types = extra_types(rundir, plan, engine)
    patience = rundir.recipe.download.patience(engine.workers)
    made = engine.map("extract", partial(extract_shard, rundir, types, patience), plan.shards)
    reach(rundir, plan, made)
    books = ledger.total(m.ledger for m in made)
    if not ledger.documents(books, ledger.KEPT):
        raise InputError(
            f"no documents in {', '.join(rundir.recipe.names())}: {why_empty(books)}; look at {rundir.path('rejects')}"
        )
    if repeated := repeated_ids(rundir, plan, engine, [m.identity for m in made]):
        dataset, id_, times = repeated
        raise InputError(
            f"dataset {dataset!r}: the id {id_!r} is there {times} times; ids must be unique in a dataset "
            "(remove the column, or name another with id_column)"
        )
    return made


def reach(rundir: RunDirectory, plan: Plan, made: list[ShardResult]) -> None:
    """Raise InputError where more than download.max_failed of a dataset's files or addresses could not be read."""
    most = rundir.recipe.download.max_failed
    for dataset in rundir.recipe.dataset:
        own = [
            (s, m.ledger)
            for s, m in zip(plan.shards, made, strict=True)
            if s.dataset == dataset.name
        ]
        failed = sum(ledger.documents(books, UNREACHABLE) for _, books in own)
        total = sum(
            ledger.documents(books, ledger.IN) if dataset.urls else len(s.files) for s, books in own
        )
        if failed > most * total:
            raise InputError(
                f"dataset {dataset.name!r}: {failed} of {total} {'addresses' if dataset.urls else 'files'} could not be read "
                f"(download.max_failed allows {most:.0%}); {rundir.path('rejects', dataset.name)} says why; "
                "the same command asks for them again"
            )


def warnings(rundir: RunDirectory) -> list[str]:
    """What a finished run lost while reading, a line each."""
    out = []
    for name, books in stored_ledgers(rundir, "extract").items():
        if not ledger.documents(books, ledger.KEPT):
            out.append(f"extract: {name} has no documents: {why_empty(books)}")
        lost = {reason: ledger.documents(books, reason) for reason in ("too_slow", "crashed")}
        if any(lost.values()):
            told = " and ".join(
                f"{count} pages as {reason}" for reason, count in lost.items() if count
            )
            out.append(
                f"extract: {name} lost {told}. That depends on the machine too, so another run may keep some of them and write "
                "other bytes; rejects/ lists them"
            )
        if failed := ledger.documents(books, UNREACHABLE):
            out.append(
                f"extract: {failed} files or records of {name} could not be read from their addresses ({rundir.path('rejects', name)} "
                "says why); the same command asks for them again"
            )
    return out


def why_empty(books: ledger.Ledger) -> str:
    """What became of a dataset's records where none is a document."""
    lost = [f"{counts[0]} {reason}" for reason, counts in sorted(ledger.removed(books).items())]
    return (
        "the files hold no records"
        if not lost
        else f"of {ledger.documents(books, ledger.IN)} records {', '.join(lost)}"
    )


def extract_shard(
    rundir: RunDirectory,
    types: Mapping[str, pa.DataType | None],
    patience: store.Patience,
    shard: Shard,
) -> ShardResult:
    """Write one shard's rejects and documents, in this order, unless they are there already."""
    dataset = rundir.recipe.dataset[rundir.recipe.place(shard.dataset)]
    kind = types[dataset.name]
    shape = (
        dataset.format,
        dataset.text_column,
        dataset.id_column,
        dataset.url_column,
        str(kind),
        dataset.first_mb,
    )
    inputs = tuple(_told_of(dataset, file) for file in shard.files)
    digest = config_digest("extract", VERSION, rundir.recipe.extract, dataset.name, shape, inputs)
    path, rejects_path = rundir.documents(shard), rundir.table("rejects", shard)

    def make() -> ShardResult:
        books: ledger.Ledger = {}
        identity = xxhash.xxh3_128(digest.encode())
        columns = schema.with_extra(kind)
        with (  # the rejects are committed first, the documents that vouch for them last
            store.TableWriter(path, columns, digest) as documents,
            store.TableWriter(rejects_path, schema.REJECTS, digest) as rejects,
        ):
            for rows, refused in _batches(rundir, dataset, shard, patience, books):
                rejects.write(pa.RecordBatch.from_pylist(refused, schema.REJECTS))
                for row in rows:
                    row["extra"] = fitted(row["extra"], kind)
                    identity.update(
                        row["content"] + orjson.dumps([row[name] for name in _TOLD], default=str)
                    )
                documents.write(pa.RecordBatch.from_pylist(rows, columns))
            ledger.check("extract", str(shard), books)
            rejects.ledger = documents.ledger = books
            if UNREACHABLE in books:  # vouched for by nothing, so that the next run asks again
                rejects.digest = documents.digest = f"{digest}/{UNREACHABLE}"
            documents.identity = identity.hexdigest()
        return ShardResult(documents.identity, books)

    return run_once(path, digest, make, rejects_path)


def _told_of(dataset: Dataset, file: store.File) -> tuple[str, int]:
    """What a file is known by. A published archive never changes under its name, and is not asked for its size where it is streamed."""
    return file.name, 0 if dataset.crawls else file.size


# What tells two documents of one text apart, for everything made from them.
_TOLD = ("id", "record_id", "url", "date", "offset", "extra")
Row = dict[str, Any]


def _batches(
    rundir: RunDirectory,
    dataset: Dataset,
    shard: Shard,
    patience: store.Patience,
    books: ledger.Ledger,
) -> Iterator[tuple[list[Row], list[Row]]]:
    """Rows of documents and of rejects, some hundred at a time; counts every record in `books`."""
    from curation.readers.records import Document, Reject

    config = rundir.recipe.extract
    rows: list[Row] = []
    refused: list[Row] = []
    chars = 0
    for input_ in shard.files:
        ours = input_.name.endswith(".parquet") and store.footer(input_.path) is not None
        told = config.table_languages or input_format(dataset, input_) != "table"
        for file, outcome in _found(rundir, dataset, input_, patience):
            if isinstance(outcome, Document) and not outcome.text.strip():
                refused.append(
                    _refused(file, Reject("empty", outcome.url, outcome.offset, "only white space"))
                )
            elif isinstance(outcome, Document):
                rows.append(_row(dataset, file, outcome, ours))
                if not told:
                    rows[-1]["language"] = rows[-1]["language_score"] = None
                chars += len(outcome.text)
            elif isinstance(outcome, Reject):
                refused.append(_refused(file, outcome))
            else:
                ledger.add(books, ledger.IN, 1)
                ledger.add(books, "not_a_page", 1)
            if len(rows) + len(refused) >= BATCH_ROWS or chars >= BATCH_CHARS:
                yield _settle(config, rows, refused, books)
                rows, refused, chars = [], [], 0
    yield _settle(config, rows, refused, books)


def _settle(
    config: ExtractConfig, rows: list[Row], refused: list[Row], books: ledger.Ledger
) -> tuple[list[Row], list[Row]]:
    """Add the languages, refuse those not wanted, and enter everything in the books."""
    from curation.readers.language import languages

    asked = [row for row in rows if "language" not in row]
    names, scores = languages([row["text"] for row in asked]) if asked else ([], [])
    for row, name, score in zip(asked, names, scores, strict=True):
        row["language"], row["language_score"] = name, score
    kept = []
    for row in rows:
        if config.languages and row["language"] not in config.languages:
            detail = f"{row['language']} ({row['language_score']:.2f})"
            refused.append(
                {
                    **{k: row[k] for k in ("url", "archive", "offset")},
                    "reason": "language",
                    "detail": detail,
                }
            )
        else:
            kept.append(row)
    for row in kept:
        ledger.add(books, ledger.IN, 1, len(row["text"]))
        ledger.add(books, ledger.KEPT, 1, len(row["text"]))
    for row in refused:
        ledger.add(books, ledger.IN, 1)
        ledger.add(books, row["reason"], 1)
    return kept, refused


def _row(dataset: Dataset, file: store.File, document: Document, ours: bool) -> Row:
    place = f"{dataset.name}\x00{file.name}\x00{document.offset}"
    # what `decontaminate` left, several rows of one id
    piece = (document.extra or {}).get("piece") if ours and document.id else None
    id_ = document.id or text_digest(place.encode()).hex()
    return {
        "id": id_ if piece is None else f"{id_}/{piece}",
        "record_id": document.record_id,
        "url": document.url,
        "text": document.text,
        "content": text_digest(document.text.encode()),
        "date": document.date,
        "archive": file.name,
        "offset": document.offset,
        "extra": document.extra,
    }


def _refused(file: store.File, reject: Reject) -> Row:
    return {
        "url": reject.url,
        "archive": file.name,
        "offset": reject.offset,
        "reason": reject.reason,
        "detail": reject.detail,
    }


# ---- reading ---------------------------------------------------------------------------------------------------------------------------


def _found(
    rundir: RunDirectory, dataset: Dataset, file: store.File, patience: store.Patience
) -> Iterator[tuple[store.File, Document | Reject | Skipped]]:
    """What one input file holds, record by record, each with the file it is from."""
    from curation.readers.records import Reject

    config = rundir.recipe.extract
    if dataset.urls:
        yield from captures.records(rundir, config, file, patience)
        return
    with opened(dataset, file, patience) as stream:
        for outcome in _records(config, dataset, stream, file):
            yield file, outcome
        if isinstance(stream, store.RemoteFile) and stream.failure is not None:
            yield file, Reject(UNREACHABLE, file.path, stream.position, str(stream.failure))


def _records(
    config: ExtractConfig, dataset: Dataset, stream: Any, file: store.File
) -> Iterator[Document | Reject | Skipped]:
    """What one stream holds, record by record."""
    from curation.readers import mediawiki, tables

    kind = input_format(dataset, file)
    if kind == "archive":
        yield from pages(config, stream, file.name)
    elif kind == "mediawiki":
        yield from mediawiki.read_dump(stream, file.name)
    elif kind == "table":
        yield from read_table_rows(dataset, stream, file)
    else:
        yield from tables.read_text_file(stream, file.name)
