"""One document whole: its fate, its text with marks, its duplicates, its blocks, its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation import store
from curation.errors import CurationError, InputError
from curation.inspect.evidence import frames
from curation.inspect.evidence.differences import Differences, compare
from curation.inspect.evidence.extracted import document_blocks
from curation.inspect.evidence.fate import Fate, fate
from curation.inspect.evidence.find import COLUMNS, DocumentRow, find
from curation.inspect.evidence.words import Weights, model_of, word_weights
from curation.inspect.terminal.explain import fate_lines, verdict
from curation.web import render
from curation.web.marked import Segment, repeated_lines, segments, weight_spans

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from curation.rundir.directory import Shard
    from curation.web.opened import OpenRun

PART = 50_000  # characters of a text on one page
MOST_COMPARED = 200_000  # characters of each text whose differences are looked for
MOST_PLACES = 400
MOST_DUPLICATES = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows of a text: characters [start, stop) of `chars`."""

    segments: list[Segment]
    start: int
    stop: int
    chars: int
    before: int | None
    after: int | None


def document(run: OpenRun, request: Request) -> Response:
    """`/document/DATASET/SHARD/ROW`."""
    place = shard_and_row(run, request)
    row = _row(run, *place)
    known = fate(*run.opened(), row)
    colour = request.query_params.get("marks", "decisions")
    weights = _weights(run, known)
    start = _start(request, len(known.text))
    line, state = verdict(known)
    stop = min(len(known.text), start + PART)
    spans = (
        weight_spans(weights.words) if colour == "words" and weights else _marks(known, run, row)
    )
    shown = Shown(
        segments(known.text, spans, start, stop),
        start,
        stop,
        len(known.text),
        max(0, start - PART) if start else None,
        stop if stop < len(known.text) else None,
    )
    values: dict[str, Any] = {
        "row": row,
        "verdict": line,
        "state": {"red": "removed"}.get(state, "kept"),
        "fate": known,
        "lines": fate_lines(run.rundir, known),
        "shown": shown,
        "colour": colour if weights else "decisions",
        "weights": weights,
        "strongest": _strongest(known.text, weights) if weights else [],
        "copies": _copies(run, place, known),
        "other": run.runs_other(),
        "has_blocks": document_blocks_possible(run, place[0]),
        "here_path": request.url.path,
    }
    return render.page(request, run, "document.html", _title(row), values)


def blocks(run: OpenRun, request: Request) -> Response:
    """`/document/DATASET/SHARD/ROW/blocks`: its page as the extractor cut it."""
    shard, number = shard_and_row(run, request)
    row = _row(run, shard, number)
    page = document_blocks(run.rundir, shard, number, True)
    return render.page(request, run, "blocks.html", "Blocks of a page", {"row": row, "page": page})


def duplicate(run: OpenRun, request: Request) -> Response:
    """`/document/DATASET/SHARD/ROW/duplicate`: it beside the document that was kept."""
    shard, number = shard_and_row(run, request)
    row = _row(run, shard, number)
    known = fate(*run.opened(), row)
    removed = known.duplicate
    if removed is None or removed.kept_text is None:
        raise InputError(f"{shard} {number}: it was not removed as a duplicate of another document")
    texts = known.text[:MOST_COMPARED], removed.kept_text[:MOST_COMPARED]
    parts = compare(*texts)
    values = {
        "row": row,
        "removed": removed,
        "sides": (side(parts, "removed"), side(parts, "kept")),
        "parts": parts,
        "is_cut": max(len(known.text), len(removed.kept_text)) > MOST_COMPARED,
    }
    return render.page(request, run, "duplicate.html", "A duplicate beside its original", values)


def side(parts: Differences, kind: str) -> list[Segment]:
    """The words of one of the two texts; those that the other lacks are marked."""
    shown = [part for part in parts.parts if part.kind in ("both", kind)][:MOST_PLACES]
    return [
        Segment(" ".join(part.words), "" if part.kind == "both" else f"only-{part.kind}")
        for part in shown
    ]


def shard_and_row(run: OpenRun, request: Request) -> tuple[Shard, int]:
    """The shard and row of an address, as the plan has them. Raises InputError for others."""
    given = request.path_params
    for shard in (
        run.plan.of(given["dataset"]) if given["dataset"] in run.rundir.recipe.names() else ()
    ):
        if shard.number == given["shard"]:
            size = run.sizes().get(shard.ordinal, 0)
            if given["row"] < size:
                return shard, given["row"]
            raise InputError(f"{shard} has {size:,} documents here; a row below that is expected")
    raise InputError("no such dataset or shard in the plan of this run; go on from its documents")


def _row(run: OpenRun, shard: Shard, row: int) -> DocumentRow:
    columns = frames.take_one(run.rundir.documents(shard), row, COLUMNS)
    return DocumentRow(shard, row, columns)


def _title(row: DocumentRow) -> str:
    return f"Document {row.columns['id']}"


def _start(request: Request, chars: int) -> int:
    from curation.web.views.documents import count_of

    return min(count_of(request.query_params.get("from", "")), max(0, chars - 1))


def _marks(known: Fate, run: OpenRun, row: DocumentRow) -> list[tuple[int, int, str]]:
    """Repeated lines, what was masked, what benchmarks hold, and what was cut for them."""
    spans = repeated_lines(known.text)
    if known.ruled:
        for signal in run.rundir.recipe.filter.mask:
            found = known.ruled.signals.get(signal) or ()
            spans += [(span["start"], span["end"], "masked") for span in found]
    if known.benchmarks:
        spans += [(quote.start, quote.end, "quoted") for quote in known.benchmarks.quotes]
        spans += [(start, end, "cut") for start, end in known.benchmarks.cuts]
    return spans


def _weights(run: OpenRun, known: Fate) -> Weights | None:
    if known.quality is None:
        return None
    fold = known.quality.fold
    try:
        model = run.cached(("model", fold), lambda: model_of(run.rundir, fold))
        return word_weights(model, known.text)
    except CurationError:  # a model folder that was moved or is of another version
        return None


def _strongest(text: str, weights: Weights) -> list[tuple[str, int, float]]:
    """(word, how often, what it adds in all), the strongest first."""
    sums: dict[str, tuple[int, float]] = {}
    for start, end, weight in weights.words:
        word = text[start:end].lower()
        count, total = sums.get(word, (0, 0.0))
        sums[word] = count + 1, total + weight
    order = sorted(sums.items(), key=lambda item: (-abs(item[1][1]), item[0]))
    return [(word, count, total) for word, (count, total) in order[:16]]


def _copies(
    run: OpenRun, place: tuple[Shard, int], known: Fate
) -> list[tuple[str, str, str, float]]:
    """Documents that were removed as duplicates of this one: (address, dataset, id, similarity)."""
    if not known.duplicate or not known.duplicate.keep or not known.duplicate.duplicates:
        return []
    copies: list[tuple[str, str, str, float]] = []
    wanted = known.document.columns["id"]
    for shard in run.plan.shards:
        path = run.rundir.decision("dedup", shard)
        if not store.exists(path) or len(copies) >= MOST_DUPLICATES:
            continue
        table = store.read_table(path, ["kept_id", "kept_dataset", "jaccard"]).combine_chunks()
        ids, datasets = (table.column(name).to_pylist() for name in ("kept_id", "kept_dataset"))
        at = [i for i, pair in enumerate(zip(ids, datasets, strict=True))
              if pair == (wanted, known.dataset)]  # fmt: skip
        for row in at[: MOST_DUPLICATES - len(copies)]:
            survivors = run.rundir.survivors(shard)
            number = row
            if survivors != run.rundir.documents(shard):
                number = frames.take_one(survivors, row, ["row"])["row"]
            id_ = frames.take_one(run.rundir.documents(shard), number, ["id"])["id"]
            jaccard = table.column("jaccard")[row].as_py() or 1.0
            copies.append((address(run, shard, number), shard.dataset, id_, jaccard))
    return copies


def address(run: OpenRun, shard: Shard, row: int) -> str:
    """Where a document is shown."""
    from urllib.parse import quote

    return f"{run.prefix}/document/{quote(shard.dataset, safe='')}/{shard.number}/{row}"


def document_blocks_possible(run: OpenRun, shard: Shard) -> bool:
    """Whether the page may be found again in an archive."""
    from curation.readers.formats import guess_format

    is_ours = run.rundir.recipe.extract.extractor == "blocks"
    return is_ours and any(guess_format(file.name) == "archive" for file in shard.files)


def in_run(run: OpenRun, request: Request) -> Response:
    """`/id?dataset=&id=`: sends to the document with this id."""
    from starlette.responses import RedirectResponse

    dataset, id_ = (request.query_params.get(name, "")[:2000] for name in ("dataset", "id"))
    found, _ = find(*run.opened(), id_)
    for row in found:
        if row.shard.dataset == dataset and row.columns["id"] == id_:
            return RedirectResponse(address(run, row.shard, row.row), 303)
    raise InputError(f"{dataset} has no document {id_[:80]!r} in this run; look for its address")
