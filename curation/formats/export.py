"""`export`: a finished run in the format of another program.

The documents are those that the run keeps, as `kept_documents` gives them; tokens are those of its
mixture, or of its documents. Each part is made by a worker and recorded when it is whole; the
manifest comes last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from curation import store
from curation.engine.base import Progress, silent
from curation.errors import InputError, did_you_mean
from curation.formats import manifest
from curation.formats.layouts import FORMATS, Format
from curation.formats.parts import Job, Part, mixture_parts, text_parts, token_parts
from curation.formats.texts import NEEDED, write_texts
from curation.formats.tokens import write_tokens
from curation.rundir import kept
from curation.rundir import plan as plans
from curation.rundir.lock import Lock
from curation.shown import brief

if TYPE_CHECKING:
    from curation.engine.base import Engine
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan

VERSION = 1
SMALL_BYTES = 20_000_000  # of a run's text and tokens: less is written without worker processes
TokensFrom = Literal["auto", "mixture", "documents"]


@dataclass(frozen=True, slots=True, repr=False)
class Exported:
    """What an export wrote.

    `files`: names in the folder `out`, without the manifest. `documents` counts rows, a cut
    document's pieces each; `tokens` are those in token files. 0 where the format has none. `address`:
    where it was pushed to.
    """

    out: str
    files: tuple[str, ...]
    documents: int
    tokens: int
    bytes: int
    address: str = ""

    def __repr__(self) -> str:
        counts = {"files": len(self.files), "documents": self.documents, "tokens": self.tokens}
        parts = [f"{count:,} {name}" for name, count in counts.items() if count]
        where = f", {self.address}" if self.address else ""
        return f"Exported({self.out!r}: {', '.join([*parts, f'{self.bytes:,} bytes'])}{where})"


def export(
    run: str | os.PathLike[str] | Any,
    format: str,
    out: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    max_file_mb: float = 500.0,
    compression: Literal["", "gz", "zst"] = "",
    validation: float | None = None,
    tokens_from: TokensFrom = "auto",
    license: str = "",
    push: str = "",
    private: bool = False,
    update: bool = False,
    workers: int = 0,
    engine: Engine | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Write what a finished run keeps into the folder `out`, in the format of another program.

    Args:
        run: a run directory, a `curation.Run`, or a result of a step that was called with `out=`.
        format: a name of `layouts.FORMATS`, for instance "jsonl.zst", "hf" or "llmc".
        columns: the columns of the documents; by default all that say something of a document.
        max_file_mb: the most million bytes of one file.
        compression: of Dolma's and datatrove's lines, "gz" (default) or "zst".
        validation: the share of documents held out, drawn by content; by default that of a recipe
            that mixes, else 0. A mixture's own parts are kept as they are.
        tokens_from: "mixture", "documents" (in their order), or "auto": a mixture where there is one.
        license: of the card that "hf" writes, for instance "odc-by".
        push: with "hf", a data set OWNER/NAME of the Hub to send the folder to, `private` if made.
        update: write again where `out` has an export of another state or other settings.
        workers: processes; 0 means one a core, and none for a small run. `engine` takes their place.
        progress, say: receive what is done, and messages.

    Raises CurationError, one sentence, before anything is written where it can. What an interrupted
    call finished is kept, and the same call goes on from there.

    >>> import pathlib, tempfile, curation
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.jsonl").write_text('{"id": "x", "text": "The tide turns twice."}')
    >>> recipe = {"stages": ["extract"], "dataset": [{"name": "a", "files": str(folder / "a.jsonl")}]}
    >>> run = curation.run(recipe, out=folder / "run", workers=1)
    >>> export(run, "jsonl.zst", folder / "for-others").documents
    1
    """
    run, out = _directories(run, os.fspath(out).rstrip("/"))
    rundir, plan = plans.read(run)
    form = _format_named(format)
    if push:
        _check_push(format, push, out)
    source = _token_source(rundir, form, tokens_from)
    job = _job(rundir, plan, out, format, columns, max_file_mb, compression, validation, source)
    header = _header(job, source, license)
    manifest.need_own_folder(out, header, update)
    parts = _parts(job, plan, source, header)
    make = partial(_made, job, engine=engine, workers=workers, progress=progress)
    data = _written(job, plan, header, parts, make, say)
    return _exported(data, out, push, private)


def _directories(run: Any, out: str) -> tuple[str, str]:
    """The run directory of what was given, and `out`. Raises InputError where it has none, or `out`
    is in it."""
    found = getattr(run, "run_directory", None) or getattr(run, "out", run)
    if not isinstance(found, str | os.PathLike):
        raise InputError(
            f"export: a run directory expected, got {brief(run)}; give a Run, or the result of a "
            "step that was called with out="
        )
    path = os.fspath(found).rstrip("/")
    if f"{os.path.abspath(out)}/".startswith(f"{os.path.abspath(path)}/"):
        raise InputError(f"{out}: it is in the run directory {path}; name a folder outside of it")
    return path, out


def _written(
    job: Job,
    plan: Plan,
    header: dict[str, Any],
    parts: Sequence[Part],
    make: Callable[[Sequence[Part]], list[dict[str, Any]]],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Write what is missing of an export, and its manifest; returns what that says."""
    with Lock(job.out, say):
        store.sweep(job.out)
        before = manifest.begin(job.out, header)
        missing = [part for part in parts if not manifest.is_done(job.out, part, before.parts)]
        made = {record["part"]: record for record in make(missing)}
        records = [made.get(part.label) or before.parts[part.label] for part in parts]
        others = _card(job, plan, records, header["license"]) if job.name == "hf" else {}
        return manifest.end(job.out, header, records, others, before)


def _exported(data: dict[str, Any], out: str, push: str, private: bool) -> Exported:
    """What a manifest says; pushed, where that was asked for."""
    address = ""
    if push:
        from curation.formats.hub import push as send

        address = send(out, push, private=private)
    totals = data["totals"]
    size = sum(row["size"] for row in data["files"].values())
    counts = (totals.get("documents", 0), totals.get("tokens", 0))
    return Exported(out, tuple(data["files"]), *counts, size, address)


def _check_push(format: str, repo: str, out: str) -> None:
    """Raise what would keep an export from the Hub, before it begins."""
    from curation.formats.hub import need_hub

    if format != "hf":
        raise InputError(f"a push goes with the format 'hf', not with {format!r}")
    if store.is_remote(out):
        raise InputError(f"{out}: a push sends a local folder; name one")
    need_hub(repo)


def _format_named(name: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"no format {name!r}{did_you_mean(name, list(FORMATS))}")
    return FORMATS[name]


def _token_source(rundir: RunDirectory, form: Format, asked: TokensFrom) -> str:
    """Where tokens come from: "mixture", "documents", or "" where none are written.

    Raises RunError where the format is one of tokens and the run has none.
    """
    if asked not in ("auto", "mixture", "documents"):
        raise InputError(f"tokens_from: auto, mixture or documents expected, got {asked!r}")
    stages = rundir.recipe.stages
    if not form.tokens or (form.texts and "tokenize" not in stages and "mix" not in stages):
        return ""
    source = asked
    if asked == "auto":
        source = "mixture" if "mix" in stages else "documents"
    plans.need_finished(rundir, "mix" if source == "mixture" else "tokenize")
    return source


def _job(
    rundir: RunDirectory,
    plan: Plan,
    out: str,
    format: str,
    columns: Sequence[str] | None,
    max_file_mb: float,
    compression: str,
    validation: float | None,
    source: str,
) -> Job:
    import pyarrow as pa

    form = FORMATS[format]
    _check_settings(format, columns, max_file_mb, compression)
    share = validation
    if share is None:
        share = rundir.recipe.mix.validation if "mix" in rundir.recipe.stages else 0.0
    if not 0 <= share < 1:
        raise InputError(f"validation: a share of at least 0 and below 1 expected, got {share!r}")
    schema, names = pa.schema([]), []
    if form.texts and ("extract" in rundir.recipe.stages or not source):
        kept.need_texts(rundir)
        known = kept.kept_schema(rundir, plan)
        names = kept.default_columns(known) if columns is None else list(columns)
        kept.check_columns(rundir, known, names)
        if "content" in names:
            raise InputError("the column 'content' is bytes of ours; leave it out")
        hidden = ("content",) if form.split and share else ()
        read = dict.fromkeys((*names, *NEEDED[form.texts], *hidden))
        schema = pa.schema([known.field(name) for name in read])
        names = list(
            dict.fromkeys((*names, *(n for n in NEEDED[form.texts] if n in ("id", "text"))))
        )
    encoding = store.read_json(rundir.path("tokens", "encoding.json")) if source else {}
    packing: Any = compression or form.packing
    size = int(max_file_mb * 1e6)
    return Job(rundir, out, form, format, size, packing, schema, tuple(names), encoding, share)


def _check_settings(
    format: str, columns: Sequence[str] | None, max_file_mb: float, compression: str
) -> None:
    """Raise InputError where settings are none, or do not go with the format."""
    form = FORMATS[format]
    if not max_file_mb >= 1:
        raise InputError(f"max_file_mb: a number of at least 1 expected, got {max_file_mb!r}")
    if compression not in ("", "gz", "zst"):
        raise InputError(f"compression: gz or zst expected, got {compression!r}")
    if compression and form.texts not in ("dolma", "datatrove"):
        raise InputError(f"the format {format!r} has no choice of compression; leave it out")
    if columns is not None and not form.texts:
        raise InputError(f"the format {format!r} has tokens and no columns; leave them out")


def _header(job: Job, source: str, license: str) -> dict[str, Any]:
    """What an export is of: two are the same where this is equal."""
    return {
        "format": job.name,
        "version": VERSION,
        "run": manifest.run_identity(job.rundir),
        "columns": list(job.columns),
        "max_file_mb": job.max_bytes / 1e6,
        "compression": job.packing,
        "validation": job.validation,
        "tokens_from": source,
        "encoding": job.encoding,
        "license": license,
    }


def _parts(job: Job, plan: Plan, source: str, header: dict[str, Any]) -> list[Part]:
    settings = [header[key] for key in ("format", "version", "max_file_mb", "compression")]
    settings += [job.validation, job.rundir.recipe.seed]
    parts: list[Part] = []
    if len(job.schema):
        columns = [str(job.schema), job.columns]
        parts += text_parts(job.rundir, plan, job.max_bytes, [*settings, *columns])
    limit = None if job.format.one_file else job.max_bytes
    if source == "mixture":
        parts += mixture_parts(job.rundir, limit, [*settings, job.encoding])
    elif source:
        parts += token_parts(job.rundir, plan, limit, [*settings, job.encoding])
    return parts


def _made(
    job: Job, parts: Sequence[Part], *, engine: Engine | None, workers: int, progress: Progress
) -> list[dict[str, Any]]:
    """Write parts, in worker processes unless there is little to do."""
    task = partial(write_part, job)
    if engine is not None:
        return engine.map("export", task, parts)
    if workers == 1 or sum(part.bytes for part in parts) < SMALL_BYTES:
        records = []
        for number, part in enumerate(parts, 1):
            records.append(task(part))
            progress("export", number, len(parts))
        return records
    from curation.engine.local import LocalEngine

    local = LocalEngine(workers, progress=progress)
    try:
        return local.map("export", task, parts)
    except KeyboardInterrupt:
        local.close(interrupted=True)
        raise
    finally:
        local.close()


def write_part(job: Job, part: Part) -> dict[str, Any]:
    """Write the files of one part and its record, which comes last."""
    write = write_texts if part.kind == "texts" else write_tokens
    return manifest.record_part(job.out, part, write(job, part))


def _card(
    job: Job, plan: Plan, records: Sequence[dict[str, Any]], license: str
) -> dict[str, dict[str, Any]]:
    """Write README.md; returns what the manifest says of it."""
    from curation.formats.card import card

    path = store.join(job.out, "README.md")
    names = [name for record in records for name in record["files"]]
    text = card(job, plan, names, license)
    store.write_bytes(path, text.encode())
    (file,) = store.find(path)
    return {"README.md": {"size": file.size, "sha256": store.sha256(path)}}
