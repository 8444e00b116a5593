"""`curation STEP -`: what a pipe holds as an input, and rows as lines of JSON for the next program.

Cost: the pipe is written to a temporary file once. Small inputs start no worker processes, as in the
Python API. Messages go to stderr.

Trap: nothing is written to stdout before the step has ended, so what fails prints no row.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import click

from curation.cli.console import say, when_interrupted

if TYPE_CHECKING:
    from curation.recipe.tables import Recipe
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

MAX_STDIN_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20
HEAD_BYTES = 4096  # of the text that says what it is
_PACKED = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"BZh": ".bz2"}
_KINDS = {
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"WARC/": ".warc",
    b"filedesc://": ".arc",
    b"<mediawiki": ".xml",
}
_FORMATS = {"archive": ".warc", "mediawiki": ".xml", "text": ".txt"}
_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body", b"<!--", b"<?xml")
PAGE_URL = "stdin:page"  # the address of a page that came by itself


# ---- in ------------------------------------------------------------------------------------------


def stdin_path() -> str:
    """The path of a file with what stdin holds, which is gone when the command ends.

    Its name says what it is, unless `--dataset-set format=...` does, and changes with what it holds:
    a run directory is of one input.

    Raises InputError where nothing comes, or too much.
    """
    context = click.get_current_context()
    if "curation.stdin" in context.meta:
        raise click.UsageError("- (stdin) is named twice; name it once")
    folder: str = context.with_resource(tempfile.TemporaryDirectory(prefix="curation-"))
    path = os.path.join(folder, "stdin")
    with open(path, "wb") as file:
        digest = _copy(sys.stdin.buffer, file)
    os.rename(path, path := f"{path}-{digest}")
    given = (text.rpartition("format=") for text in context.params.get("dataset_keys", ()))
    path = _named(path, next((value for name, equals, value in given if equals), ""))
    context.meta["curation.stdin"] = path
    return path


def _copy(source: IO[bytes], file: IO[bytes]) -> str:
    """Copy it, and return 16 letters and digits that stand for its bytes."""
    import xxhash

    from curation.errors import InputError

    size, digest = 0, xxhash.xxh3_64()
    while chunk := source.read(CHUNK_BYTES):
        size += len(chunk)
        if size > MAX_STDIN_BYTES:
            raise InputError(
                f"stdin: at most {MAX_STDIN_BYTES:,} bytes expected, got more; write them to a file "
                "and name that"
            )
        file.write(chunk)
        digest.update(chunk)
    if not size:
        raise InputError("stdin: rows or a page expected, got nothing; see what writes to the pipe")
    return digest.hexdigest()


def _named(path: str, file_format: str) -> str:
    """The file under a name that says what it is: lines of JSON unless it looks like something else."""
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    packing = next((end for magic, end in _PACKED.items() if head.startswith(magic)), "")
    if packing:
        head = _unpacked_head(path, packing)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    kind = next((end for magic, end in _KINDS.items() if head.startswith(magic)), ".jsonl")
    kind = _FORMATS.get(file_format, kind)
    if not file_format and kind == ".jsonl" and start.startswith(_PAGE):
        kind = ".xml" if b"<mediawiki" in start else ".warc"
        if kind == ".warc":
            return _page_archive(path, packing)
    named = path + kind + packing
    os.rename(path, named)
    return named


def _unpacked_head(path: str, packing: str) -> bytes:
    """The first bytes inside of a packed file; none where they cannot be unpacked."""
    import bz2
    import gzip
    import zlib

    import pyarrow as pa

    try:
        if packing == ".zst":
            with pa.input_stream(path, compression="zstd") as stream:
                return bytes(stream.read(HEAD_BYTES))
        opener = gzip.open if packing == ".gz" else bz2.open
        with opener(path, "rb") as unpacked:
            return bytes(unpacked.read(HEAD_BYTES))
    except (OSError, EOFError, ValueError, zlib.error):
        return b""


def _page_archive(path: str, packing: str) -> str:
    """A page that came by itself as an archive of one record, which every stage can read."""
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    coding = [("Content-Encoding", "gzip")] if packing == ".gz" else []
    headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html"), *coding], "HTTP/1.1")
    archive = path + ".warc"
    with open(path, "rb") as body, open(archive, "wb") as file:
        writer = WARCWriter(file, gzip=False)
        size = os.path.getsize(path)
        record = writer.create_warc_record(PAGE_URL, "response", body, size, http_headers=headers)
        for name in ("WARC-Date", "WARC-Record-ID"):  # the page has none, and each run another
            record.rec_headers.remove_header(name)
        writer.write_record(record)
    return archive


def with_stdin(recipe: Recipe, out: str, update: bool) -> Recipe:
    """The recipe with what came from stdin in the run directory, so that the run can be looked at
    later. Raises RunError where nothing may be written there."""
    path = click.get_current_context().meta.get("curation.stdin")
    if path is None:
        return recipe
    from curation import store
    from curation.api.files import local
    from curation.rundir import plan as plans
    from curation.rundir.directory import RunDirectory

    datasets = []
    place = ""
    for dataset in recipe.dataset:
        if path in dataset.files:
            folder = store.join(local(out), "downloads", dataset.name)
            place = store.join(folder, os.path.basename(path))
            files = tuple(place if file == path else file for file in dataset.files)
            dataset = dataclasses.replace(dataset, files=files)
        datasets.append(dataset)
    recipe = dataclasses.replace(recipe, dataset=tuple(datasets))
    if place:
        plans.check_directory(RunDirectory(out, recipe), update)
        with open(path, "rb") as source, store.atomic(place) as file:
            shutil.copyfileobj(source, file, CHUNK_BYTES)
    return recipe


# ---- out -----------------------------------------------------------------------------------------


def run_to_stdout(recipe: Recipe, workers: int | None) -> None:
    """Run a step in a directory that is gone afterwards, and write what it keeps as lines of JSON."""
    from curation.compiler import load_without_extras
    from curation.recipe.own import is_own

    load_without_extras(pandas=any(map(is_own, recipe.filter.signals)))
    when_interrupted(lambda: "Nothing is kept: rows go to stdout. With --out DIR a run goes on.")
    from curation import store
    from curation.errors import CurationError
    from curation.pipeline import line
    from curation.pipeline.engines import engine_for, input_size
    from curation.recipe.line import DECIDING

    # A page of stdin is one file, however long pages take otherwise.
    stdin = click.get_current_context().meta.get("curation.stdin")
    alone = stdin is not None and [file for d in recipe.dataset for file in d.files] == [stdin]
    size = os.path.getsize(stdin) if alone and stdin else input_size(recipe)
    decides = bool(set(DECIDING) & set(recipe.stages))
    with tempfile.TemporaryDirectory(prefix="curation-") as folder, store.unsynced(folder):
        engine = engine_for(size, workers, recipe=recipe)
        try:
            out = store.join(folder, "run")
            rundir, plan = line.run(
                recipe, out, engine, export=decides, export_format="jsonl", say=_to_stderr
            )
        except CurationError as error:  # what it names is gone afterwards
            rejects = f"look at {store.join(out, 'rejects')}"
            error.args = (str(error).replace(rejects, "--out DIR keeps the rejects"),)
            raise
        finally:
            engine.close()
        _say_counts(rundir, plan)
        output = sys.stdout.buffer
        for part in _kept_lines(rundir, plan, decides):
            output.write(part)
        output.flush()


def _kept_lines(rundir: RunDirectory, plan: Plan, decides: bool) -> Iterator[bytes]:
    """The kept rows of the dataset `input`, some at a time."""
    from curation import store
    from curation.pipeline.export import input_columns

    for shard in plan.of("input"):
        if decides:
            path = rundir.path("kept", shard.name + ".jsonl")
            if os.path.exists(path):  # of an input without documents there is none
                with open(path, "rb") as file:
                    while chunk := file.read(CHUNK_BYTES):
                        yield chunk
            continue
        for batch in store.read_groups(rundir.documents(shard)):
            columns = input_columns(rundir, shard, batch)
            columns = {"id": batch.column("id"), **columns}
            rows = (column.to_pylist() for column in columns.values())
            for row in zip(*rows, strict=True):
                named = zip(columns, row, strict=True)
                yield store.json_line(
                    {k: store.without_nulls(v) for k, v in named if v is not None}
                )


def _say_counts(rundir: RunDirectory, plan: Plan) -> None:
    """What became of the records, in a line, and the warnings."""
    from curation.pipeline import line
    from curation.rundir import ledger

    by_stage = line.ledgers(rundir, plan)
    books = [of["input"] for of in by_stage.values() if "input" in of]
    removed: dict[str, int] = {}
    for reason, counts in itertools.chain.from_iterable(
        ledger.removed(book).items() for book in books
    ):
        removed[reason] = removed.get(reason, 0) + counts[0]
    came, stayed = (
        ledger.documents(book, name)
        for book, name in ((books[0], ledger.IN), (books[-1], ledger.KEPT))
    )
    why = ", ".join(f"{n:,} {reason}" for reason, n in sorted(removed.items()))
    records = f"{came:,} record{'s' * (came != 1)}"
    say(f"{records}, {stayed:,} kept" + (f"; removed: {why}" if why else ""), err=True)
    for warning in line.warnings(rundir):
        say(f"! {warning}", err=True)


def _to_stderr(text: Any) -> None:
    say(text, err=True)
