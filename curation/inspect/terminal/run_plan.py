"""The plan of a run as tables for a terminal."""

from __future__ import annotations

from curation.costs.estimate import MB, RunPlan
from curation.costs.inputs import Input
from curation.inspect.evidence.listing import Listing
from curation.inspect.numbers import percent
from curation.stages.download.stage import duration, megabytes

SHOWN_FILES = 3


def plan_tables(plan: RunPlan) -> list[Listing]:
    """Inputs, stages, folders, and what the whole takes."""
    return [_inputs(plan), _stages(plan), _folders(plan), _whole(plan)]


def _inputs(plan: RunPlan) -> Listing:
    head = (
        "dataset",
        "kind",
        "files",
        "stored",
        "shards",
        "documents",
        "text",
        "kept",
        "from",
    )
    rows = [
        (
            one.input.dataset,
            one.input.kind,
            f"{one.input.files:,}",
            megabytes(one.input.bytes),
            _shards(one.input),
            _count(one.documents, one.input.records > 0 and one.input.is_exact),
            megabytes(round(one.text_mb * MB)),
            megabytes(round(one.kept_mb * MB)),
            one.input.known,
        )
        for one in plan.datasets
    ]
    return Listing("Inputs", head, tuple(rows), (0, 1, 8))


def _shards(one: Input) -> str:
    return f"{one.shards:,}" + (f", {one.parts:,} of them parts" if one.parts else "")


def _count(number: float, is_exact: bool) -> str:
    return f"{'' if is_exact else '~'}{number:,.0f}"


def _stages(plan: RunPlan) -> Listing:
    head = ("stage", "tasks", "text in", "core-hours", "wall time", "share")
    total = plan.core_s or 1.0
    rows = [
        (
            one.stage,
            f"{one.tasks:,}",
            megabytes(round(one.text_mb * MB)),
            f"{one.core_s / 3600:,.3g}" if one.core_s < 36e5 else f"{one.core_s / 3600:,.0f}",
            duration(one.wall_s),
            percent(one.core_s / total, 0),
        )
        for one in plan.stages
    ]
    hours = plan.core_s / 3600
    whole = f"{hours:,.3g}" if hours < 1000 else f"{hours:,.0f}"
    rows.append(("all", "", "", whole, duration(plan.wall_s), "100 %"))
    machines = f"{plan.cluster.machines:,} x {plan.cluster.cores} cores"
    return Listing(f"Stages, on {machines}", head, tuple(rows), strong=(len(rows) - 1,))


def _folders(plan: RunPlan) -> Listing:
    rows = [(one.folder, megabytes(round(one.bytes))) for one in plan.folders]
    rows.append(("all", megabytes(round(plan.disk_bytes))))
    return Listing("Disk", ("folder", "bytes"), tuple(rows), strong=(len(rows) - 1,))


def _whole(plan: RunPlan) -> Listing:
    workers = plan.cluster.cores * plan.memory_per_worker_mb / 1000
    dollars = plan.dollars
    rows = (
        ("memory of a machine", f"{workers:.1f} GB for {plan.cluster.cores} workers"),
        ("memory of the driver", f"{plan.memory_of_driver_mb / 1000:.1f} GB"),
        ("shuffled", megabytes(round(plan.shuffle_bytes))),
        ("tokens of the mixture", f"{plan.mixture_tokens:,.0f}"),
        ("requests for inputs", f"{plan.requests:,.0f}, {megabytes(round(plan.transfer_bytes))}"),
        (
            "requests with RUN in object storage",
            f"{plan.storage_gets:,.0f} to read at least, {plan.storage_puts:,.0f} to write",
        ),
        (
            "dollars",
            f"{dollars.total:,.2f}: machines {dollars.machines:,.2f}, storage {dollars.storage:,.2f}, "
            f"requests {dollars.requests:,.2f}, transfer {dollars.transfer:,.2f}",
        ),
    )
    return Listing("All", ("", ""), rows, (0, 1))


def alone_line(one: Input) -> str:
    """The sentence about the large files of a dataset that cannot be split; empty where none is."""
    if not one.alone:
        return ""
    shown = [f"{name} ({megabytes(size)})" for name, size in one.alone[:SHOWN_FILES]]
    more = f" and {len(one.alone) - SHOWN_FILES:,} more" if len(one.alone) > SHOWN_FILES else ""
    return (
        f"{one.dataset}: {', '.join(shown)}{more} cannot be split, so one core works alone on each. "
        "Plain lines of JSON, Parquet, and archives that are packed record by record can."
    )
