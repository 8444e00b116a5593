"""extract: archives, MediaWiki dumps, tables and text files -> documents/<dataset>/<shard>.parquet and rejects/.

Every record of every input file becomes one document or is counted under one reason. Memory: one page, and a batch of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import orjson
import pyarrow as pa
import xxhash

from curation import draws, ledger, schema, store
from curation.context import Context, Shard
from curation.errors import InputError
from curation.stages.common import Made, query

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.plan import Plan
    from curation.readers.records import Document, Reject, Skipped
    from curation.recipe import Dataset

VERSION = 1
BATCH_ROWS = 512
BATCH_CHARS = 4 << 20


@dataclass(frozen=True, slots=True)
class ExtractConfig:
    """How pages become text. `languages` keeps only those (fastText codes); none means all, as in the paper."""

    extractor: Literal["resiliparse", "none"] = "resiliparse"
    languages: tuple[str, ...] = ()
    max_page_bytes: int = 10 << 20

    def __post_init__(self) -> None:
        if self.max_page_bytes < 1:
            raise ValueError(f"max_page_bytes: at least 1 expected, got {self.max_page_bytes}")


def run(context: Context, plan: Plan, engine: Engine) -> list[Made]:
    """Extract every shard; raises InputError where a dataset of tables repeats an id."""
    made = engine.map("extract", partial(extract_shard, context), plan.shards)
    _check_ids(context, plan, engine, made)
    return made


def extract_shard(context: Context, shard: Shard) -> Made:
    """Write one shard's rejects and documents, in this order, unless they are there already."""
    dataset = context.recipe.dataset[context.recipe.place(shard.dataset)]
    path = context.documents(shard)
    shape = (dataset.format, dataset.text_column, dataset.id_column, dataset.url_column)
    inputs = tuple((file.name, file.size) for file in shard.files)
    digest = draws.digest("extract", VERSION, context.recipe.extract, dataset.name, shape, inputs)
    if found := store.done(path, digest):
        return Made(found.identity, found.ledger)
    books: ledger.Ledger = {}
    identity = xxhash.xxh3_128(digest.encode())
    kind = _extra_type(dataset, shard)
    columns = schema.with_extra(kind)
    rejects_path = context.table("rejects", shard)
    with store.TableWriter(path, columns, digest) as documents:
        with store.TableWriter(rejects_path, schema.REJECTS, digest) as rejects:
            for rows, refused in _batches(context.recipe.extract, dataset, shard, books):
                rejects.write(pa.RecordBatch.from_pylist(refused, schema.REJECTS))
                for row in rows:
                    row["extra"] = _fit(row["extra"], kind)
                documents.write(pa.RecordBatch.from_pylist(rows, columns))
                for row in rows:
                    identity.update(row["content"] + row["id"].encode())
            ledger.check("extract", str(shard), books)
            rejects.ledger = documents.ledger = books
        documents.identity = identity.hexdigest()
    return Made(identity.hexdigest(), books)


Row = dict[str, Any]


def _batches(
    config: ExtractConfig, dataset: Dataset, shard: Shard, books: ledger.Ledger
) -> Iterator[tuple[list[Row], list[Row]]]:
    """Rows of documents and of rejects, some hundred at a time; counts every record in `books`."""
    from curation.readers.records import Document, Reject

    rows: list[Row] = []
    refused: list[Row] = []
    chars = 0
    for file in shard.files:
        for outcome in _records(config, dataset, file):
            if isinstance(outcome, Document) and not outcome.text.strip():
                refused.append(_refused(file, Reject("empty", outcome.url, outcome.offset, "only white space")))
            elif isinstance(outcome, Document):
                rows.append(_row(dataset, file, outcome))
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

    names, scores = languages([row["text"] for row in rows])
    kept = []
    for row, name, score in zip(rows, names, scores, strict=True):
        row["language"], row["language_score"] = name, score
        if config.languages and name not in config.languages:
            detail = f"{name} ({score:.2f})"
            refused.append(
                {**{k: row[k] for k in ("url", "archive", "offset")}, "reason": "language", "detail": detail}
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


def _row(dataset: Dataset, file: store.File, document: Document) -> Row:
    place = f"{dataset.name}\x00{file.name}\x00{document.offset}"
    piece = (
        (document.extra or {}).get("piece") if document.id else None
    )  # a table that `decontaminate` left: ids repeat
    return {
        "id": f"{document.id}/{piece}"
        if piece is not None
        else document.id or draws.content_hash(place.encode()).hex(),
        "record_id": document.record_id,
        "url": document.url,
        "text": document.text,
        "content": draws.content_hash(document.text.encode()),
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


def _format(dataset: Dataset, file: store.File) -> str:
    from curation.readers.formats import guess_format

    return guess_format(file.name) if dataset.format == "auto" else dataset.format


def _records(config: ExtractConfig, dataset: Dataset, file: store.File) -> Iterator[Document | Reject | Skipped]:
    """What one input file holds, record by record."""
    from curation.readers import mediawiki, tables

    kind = _format(dataset, file)
    with store.open_input(file.path) as stream:
        if kind == "archive":
            yield from _pages(config, stream, file.name)
        elif kind == "mediawiki":
            yield from mediawiki.read_dump(stream, file.name)
        elif kind == "table":
            yield from _table(dataset, stream, file)
        else:
            yield from tables.read_text_file(stream, file.name)


def _table(dataset: Dataset, stream: Any, file: store.File) -> Iterator[Document | Reject]:
    from curation.readers import tables

    return tables.read_table_file(
        stream,
        file.name,
        text_column=dataset.text_column,
        id_column=dataset.id_column,
        url_column=dataset.url_column,
    )


def _pages(config: ExtractConfig, stream: Any, name: str) -> Iterator[Document | Reject | Skipped]:
    from curation.readers import html, warc
    from curation.readers.records import Document, Page, PageError, Reject

    for record in warc.read_archive(stream, name, max_page_bytes=config.max_page_bytes):
        if not isinstance(record, Page):
            yield record
            continue
        try:
            text = html.page_text(record, config.extractor)
        except PageError as error:  # the one place that isolates a bad page; it is counted under its reason
            yield Reject(error.reason, record.url, record.offset, error.detail)
            continue
        yield Document(text, None, record.url, record.record_id, record.date, record.offset, None)


# ---- the user's other columns ----------------------------------------------------------------------------------------------------------


def _extra_type(dataset: Dataset, shard: Shard) -> pa.DataType | None:
    """The struct that holds every other column of the shard's tables; None where there are none.

    Parquet says its types; JSON lines are read once to find them, and a column of mixed types is kept as JSON text.
    """
    fields: dict[str, pa.DataType] = {}
    for file in shard.files:
        if _format(dataset, file) != "table":
            continue
        for name, kind in _columns(dataset, file).items():
            fields[name] = _common(fields.get(name, pa.null()), kind)
    known = (dataset.text_column, dataset.id_column, dataset.url_column)
    plain = {n: pa.string() if k == pa.null() else k for n, k in fields.items() if n not in known}
    return pa.struct(sorted(plain.items())) if plain else None


def _columns(dataset: Dataset, file: store.File) -> dict[str, pa.DataType]:
    if file.name.endswith(".parquet"):
        return {field.name: field.type for field in store.read_schema(file.path)}
    found: dict[str, pa.DataType] = {}
    with store.open_input(file.path) as stream:
        for outcome in _table(dataset, stream, file):
            for name, value in (getattr(outcome, "extra", None) or {}).items():
                found[name] = _common(found.get(name, pa.null()), _json_type(value))
    return found


def _json_type(value: Any) -> pa.DataType:
    if value is None:
        return pa.null()
    return {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}.get(type(value), pa.string())


def _common(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """One type for the values of both: text (JSON) where they do not go together."""
    if a == b or b == pa.null():
        return a
    if a == pa.null():
        return b
    return pa.float64() if {a, b} == {pa.int64(), pa.float64()} else pa.string()


def _fit(extra: Row | None, kind: pa.DataType | None) -> Row | None:
    """The values of one document as the struct holds them."""
    if extra is None or kind is None:
        return None
    out: Row = {}
    for part in kind:
        value = extra.get(part.name)
        if pa.types.is_string(part.type) and value is not None and not isinstance(value, str):
            value = orjson.dumps(value).decode()
        out[part.name] = value
    return out


def _check_ids(context: Context, plan: Plan, engine: Engine, made: Sequence[Made]) -> None:
    """An id that the user gave must be there once in its dataset."""
    given = [d for d in context.recipe.dataset if any(_is_table(d, shard) for shard in plan.of(d.name))]
    if not given:
        return
    narrow = pa.schema([schema.DOCUMENTS.field("id")])
    tables = {
        f"documents{i}": store.Table(tuple(map(context.documents, plan.of(d.name))), narrow)
        for i, d in enumerate(given)
    }
    rows = " UNION ALL ".join(f"SELECT {i} AS dataset, id FROM documents{i}" for i in range(len(given)))
    repeated = query(
        engine,
        f"SELECT CAST(dataset AS BIGINT) AS dataset, id, count(*) AS times FROM ({rows}) AS d GROUP BY dataset, id HAVING count(*) > 1",
        tables,
        context.path("documents", "_repeated"),
        pa.schema([("dataset", pa.int64()), ("id", pa.string()), ("times", pa.int64())]),
        [m.identity for m in made],
        sort_by=["dataset", "id"],
    )
    for path in repeated.paths:
        for row in store.read_table(path).slice(0, 1).to_pylist():
            raise InputError(
                f"dataset {given[row['dataset']].name!r}: the id {row['id']!r} is there {row['times']} times; "
                "ids must be unique in a dataset (remove the column, or name another with id_column)"
            )


def _is_table(dataset: Dataset, shard: Shard) -> bool:
    return any(_format(dataset, file) == "table" for file in shard.files)
