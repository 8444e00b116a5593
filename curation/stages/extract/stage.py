"""extract: archives, dumps of wikis, tables and text files -> documents/<dataset>/<shard>.parquet
and rejects/.

Every record of every input file becomes one document or is counted under one reason. Memory: one
page, and a batch of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import xxhash

from curation import store
from curation.digests import config_digest
from curation.errors import InputError
from curation.rundir import ledger, schema
from curation.rundir import manifest as manifests
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.results import ShardResult, run_once, stored_ledgers
from curation.stages.extract import languages, parts
from curation.stages.extract.columns import (
    extra_types,
    fitted_to,
    repeated_ids,
    with_address,
)
from curation.stages.extract.inputs import input_format
from curation.stages.extract.outcomes import UNREACHABLE, outcomes_of
from curation.stages.extract.rows import IDENTITY_COLUMNS, Row, document_row, reject_row

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.readers.language_model import ModelFile
    from curation.readers.records import Document, Reject, Skipped
    from curation.recipe.tables import Dataset, ExtractConfig
    from curation.rundir.plan import Plan

VERSION = 9
BATCH_ROWS = 512
BATCH_CHARS = 4 << 20
FETCHED = ("requests", "bytes")  # notes of what records cost that a dataset selects
NO_LOSS = (*FETCHED, parts.BEGINS, parts.ENDS)
MISFIT = "does not fit its digest or its length"
LOST = "lost in "  # and the name of an archive


def check(rundir: RunDirectory) -> None:
    """Raise InputError where the model of languages is none, or has not the languages to keep."""
    languages.check(rundir)


def run(rundir: RunDirectory, plan: Plan, engine: Engine) -> list[ShardResult]:
    """Extract every shard.

    Raises InputError where nothing became a document, a dataset of tables repeats an id, or too
    much could not be read from its address.
    """
    types = extra_types(rundir, plan, engine)
    patience = rundir.recipe.download.patience(engine.workers)
    model = languages.given_model(rundir)
    task = partial(extract_shard, rundir, types, patience, model)
    results = engine.map("extract", task, plan.shards)
    results = parts.joined(engine, task, plan.shards, results)
    _check_unreachable(rundir, plan, results)
    totals = ledger.total(result.ledger for result in results)
    if not ledger.documents(totals, ledger.KEPT):
        raise InputError(
            f"no documents in {', '.join(rundir.recipe.names())}: {_why_no_documents(totals)}; "
            + (f"look at {rundir.path('rejects')}" if totals else "are these the right files?")
        )
    if repeated := repeated_ids(rundir, plan, engine, [result.identity for result in results]):
        dataset, id_, times = repeated
        raise InputError(
            f"dataset {dataset!r}: the id {id_!r} is there {times} times; ids must be unique in a "
            "dataset "
            "(remove the column, or name another with id_column)"
        )
    return results


def warnings(rundir: RunDirectory) -> list[str]:
    """What a finished run lost while reading, a line each."""
    out = _damage_warnings(rundir)
    for name, counts in stored_ledgers(rundir, "extract").items():
        if not ledger.documents(counts, ledger.KEPT):
            out.append(f"extract: {name} has no documents: {_why_no_documents(counts)}")
        unsure = ("too_slow", "too_heavy", "crashed")
        lost = {reason: ledger.documents(counts, reason) for reason in unsure}
        if any(lost.values()):
            pages = " and ".join(f"{n} pages as {reason}" for reason, n in lost.items() if n)
            out.append(
                f"extract: {name} lost {pages}. That depends on the machine too, so another run "
                "may "
                "keep some of them and write other bytes; rejects/ lists them"
            )
        if failed := ledger.documents(counts, UNREACHABLE):
            out.append(
                f"extract: {failed} files or records of {name} could not be read from their "
                "addresses "
                f"({rundir.path('rejects', name)} says why); the same command asks for them again"
            )
    return out


def _damage_warnings(rundir: RunDirectory) -> list[str]:
    out = []
    for name, notes in damage(rundir).items():
        if misfits := notes.pop(MISFIT, 0):
            out.append(
                f"extract: {misfits} records of {name} do not fit their digest or their length: "
                "their bytes are not those that were crawled, or bytes of no record follow them; "
                'extract.digests = "refuse" leaves them out'
            )
        if notes:
            worst = sorted(notes, key=lambda archive: (-notes[archive], archive))
            more = f" and in {len(worst) - 3} more archives" if len(worst) > 3 else ""
            places = ", ".join(f"{notes[a]} in {a.removeprefix(LOST)}" for a in worst[:3])
            out.append(
                f"extract: damaged archives of {name}: places where records are lost: {places}{more}; "
                f"{rundir.path('rejects', name)} says why"
            )
    return out


def damage(rundir: RunDirectory) -> dict[str, dict[str, int]]:
    """By dataset: how many records do not fit their digest or their length (not where that is
    ignored), and how often something was lost in each damaged archive."""
    out: dict[str, dict[str, int]] = {}
    for dataset, note, count in _notes(rundir) if "extract" in rundir.recipe.stages else ():
        if note not in NO_LOSS and (note != MISFIT or rundir.recipe.extract.digests == "warn"):
            notes = out.setdefault(dataset, {})
            notes[note] = notes.get(note, 0) + count
    return out


def _notes(rundir: RunDirectory) -> Iterator[tuple[str, str, int]]:
    """Dataset, note and count of every table of documents."""
    manifest = manifests.read(rundir.out, "extract")
    for name, entry in manifest.files.items() if manifest else ():
        for note, count in entry.notes.items() if name.startswith("documents/") else ():
            yield name.split("/")[1], note, count


def fetched(rundir: RunDirectory) -> dict[str, dict[str, int]]:
    """By dataset that selects records: the requests that they took, and the bytes that came."""
    out: dict[str, dict[str, int]] = {}
    for dataset, note, count in _notes(rundir):
        if note in FETCHED:
            out.setdefault(dataset, dict.fromkeys(FETCHED, 0))[note] += count
    return out


def _check_unreachable(rundir: RunDirectory, plan: Plan, results: list[ShardResult]) -> None:
    """Raise InputError where more than download.max_failed of a dataset's inputs could not be read.

    Its inputs are files, or with `urls` addresses.
    """
    most = rundir.recipe.download.max_failed
    for dataset in rundir.recipe.dataset:
        shards = [
            (shard, result.ledger)
            for shard, result in zip(plan.shards, results, strict=True)
            if shard.dataset == dataset.name
        ]
        failed = sum(ledger.documents(counts, UNREACHABLE) for _, counts in shards)
        total = sum(
            ledger.documents(counts, ledger.IN) if dataset.by_record else len(shard.files)
            for shard, counts in shards
        )
        if failed > most * total:
            what = "records" if dataset.selects else "addresses" if dataset.urls else "files"
            raise InputError(
                f"dataset {dataset.name!r}: {failed} of {total} "
                f"{what} could not be read "
                f"(download.max_failed allows {100 * most:.0f} %); "
                f"{rundir.path('rejects', dataset.name)} says why; "
                "the same command asks for them again"
            )


def _why_no_documents(counts: ledger.Ledger) -> str:
    """What became of records of which none is a document."""
    lost = [f"{n} {reason}" for reason, (n, *_) in sorted(ledger.removed(counts).items())]
    if not lost:
        return "the files hold no records"
    return f"of {ledger.documents(counts, ledger.IN)} records {', '.join(lost)}"


def extract_shard(
    rundir: RunDirectory,
    types: Mapping[str, pa.DataType | None],
    patience: store.Patience,
    model: ModelFile | None,
    shard: Shard,
    from_beginning: bool = False,
) -> ShardResult:
    """Write one shard's rejects and documents, in this order, unless they are there already.
    `from_beginning`: a part of an archive is looked for from the beginning of its file."""
    dataset = rundir.recipe.dataset[rundir.recipe.place(shard.dataset)]
    kind, config = types[dataset.name], rundir.recipe.extracted(dataset.name)
    digest = _digest(config, dataset, shard, kind, model, from_beginning)
    path, rejects_path = rundir.documents(shard), rundir.table("rejects", shard)

    def make() -> ShardResult:
        shard_ledger: ledger.Ledger = {}
        identity = xxhash.xxh3_128(digest.encode())
        columns = schema.with_extra(kind)
        with (  # the rejects are committed first, the documents that vouch for them last
            store.TableWriter(path, columns, digest) as documents,
            store.TableWriter(rejects_path, schema.REJECTS, digest) as rejects,
        ):
            notes = documents.notes
            batches = row_batches(
                rundir, dataset, shard, patience, shard_ledger, notes, from_beginning
            )
            for read, refused_records in batches:
                rows, refused = languages.kept_and_refused(config, model, read, refused_records)
                count_rows(shard_ledger, rows, refused)
                rejects.write(pa.RecordBatch.from_pylist(refused, schema.REJECTS))
                for row in rows:
                    row["extra"] = fitted_to(with_address(dataset, row, kind), kind)
                    identity.update(
                        row["content"]
                        + orjson.dumps([row[name] for name in IDENTITY_COLUMNS], default=str)
                    )
                documents.write(pa.RecordBatch.from_pylist(rows, columns))
            ledger.check("extract", str(shard), shard_ledger)
            rejects.ledger = documents.ledger = shard_ledger
            # Vouched for by nothing, so that the next run asks again.
            if UNREACHABLE in shard_ledger:
                rejects.digest = documents.digest = f"{digest}/{UNREACHABLE}"
            documents.identity = identity.hexdigest()
        return ShardResult(documents.identity, shard_ledger, parts.notes_of(notes))

    return run_once(path, digest, make, rejects_path)


def _digest(
    config: ExtractConfig,
    dataset: Dataset,
    shard: Shard,
    kind: pa.DataType | None,
    model: ModelFile | None,
    from_beginning: bool,
) -> str:
    """What stands for all that a shard's tables depend on."""
    shape = (
        dataset.format,
        dataset.text_column,
        dataset.id_column,
        dataset.url_column,
        str(kind),
        dataset.first_mb,
        dataset.first_pages,
    )
    inputs = tuple(_input_identity(dataset, file) for file in shard.files)
    digests = ("refuse",) if config.digests == "refuse" else ()
    kept = ("records",) if dataset.keep_records else ()
    again = ("again",) if from_beginning else ()
    others = (*digests, *kept, *((model,) if model else ()), *again)
    return config_digest("extract", VERSION, config, dataset.name, shape, inputs, *others)


def _input_identity(dataset: Dataset, file: store.File) -> tuple[str | int, ...]:
    """The name and size that stand for a file in digests, and where a part of it begins and ends.

    A published archive never changes under its name, and is not asked for its size where it is
    streamed. Of records that a dataset selects the digest of their table stands.
    """
    if dataset.selects:
        return store.need_footer(file.path).digest, 0
    return (file.name, 0 if dataset.crawls else file.size, *file.part)


def row_batches(
    rundir: RunDirectory,
    dataset: Dataset,
    shard: Shard,
    patience: store.Patience,
    shard_ledger: ledger.Ledger,
    notes: dict[str, int],
    from_beginning: bool = False,
) -> Iterator[tuple[list[Row], list[Row]]]:
    """Rows of documents without their languages, and of rejects, some hundred at a time. Counts in
    `shard_ledger` records that hold no page; in `notes` those that do not fit their digest or their
    length, and what was lost in damaged archives."""
    from curation.readers.records import Document, Reject

    config = rundir.recipe.extracted(dataset.name)
    rows: list[Row] = []
    refused: list[Row] = []
    chars = 0
    for input_ in shard.files:
        from_curation = input_.name.endswith(".parquet") and store.footer(input_.path) is not None
        is_table = not dataset.selects and input_format(dataset, input_) == "table"
        needs_language = config.table_languages or not is_table
        outcomes = outcomes_of(rundir, dataset, input_, patience, notes, from_beginning)
        for file, outcome in _first_pages(outcomes, dataset.first_pages):
            if isinstance(outcome, Document) and not outcome.fits_digest:
                if config.digests == "refuse":
                    outcome = Reject("malformed", outcome.url, outcome.offset, MISFIT)
                elif config.digests == "warn":
                    notes[MISFIT] = notes.get(MISFIT, 0) + 1
            if isinstance(outcome, Document) and not outcome.text.strip():
                refused.append(
                    reject_row(
                        file, Reject("empty", outcome.url, outcome.offset, "only white space")
                    )
                )
            elif isinstance(outcome, Document):
                rows.append(document_row(dataset, file, outcome, from_curation))
                if outcome.language is not None or not needs_language:
                    rows[-1] |= {
                        "language": outcome.language,
                        "language_score": outcome.language_score,
                    }
                chars += len(outcome.text)
            elif isinstance(outcome, Reject):
                refused.append(reject_row(file, outcome))
                if outcome.is_damage:
                    notes[LOST + file.name] = notes.get(LOST + file.name, 0) + 1
            else:
                ledger.add(shard_ledger, ledger.IN, 1)
                ledger.add(shard_ledger, "not_a_page", 1)
            if len(rows) + len(refused) >= BATCH_ROWS or chars >= BATCH_CHARS:
                yield rows, refused
                rows, refused, chars = [], [], 0
    yield rows, refused


def _first_pages(
    outcomes: Iterator[tuple[store.File, Document | Reject | Skipped]], most: int
) -> Iterator[tuple[store.File, Document | Reject | Skipped]]:
    """What a file holds up to its `most`-th document or reject; all of it where `most` is 0."""
    from curation.readers.records import Skipped

    left = most
    for file, outcome in outcomes:
        yield file, outcome
        left -= not isinstance(outcome, Skipped)
        if most and not left:
            return


def count_rows(shard_ledger: ledger.Ledger, kept: list[Row], refused: list[Row]) -> None:
    """Count documents and rejects."""
    for row in kept:
        ledger.add(shard_ledger, ledger.IN, 1, len(row["text"]))
        ledger.add(shard_ledger, ledger.KEPT, 1, len(row["text"]))
    for row in refused:
        ledger.add(shard_ledger, ledger.IN, 1)
        ledger.add(shard_ledger, row["reason"], 1)
