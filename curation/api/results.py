"""What a step gives back: Arrow tables of what it kept and removed, and its ledger.

Of rows in memory `kept` and `removed` have the user's own columns, in their order and types; then
those of the step. With `out=` the same properties read what the command writes into the directory,
each time they are asked for.

Trap: in a notebook the text of pages is shown. It is escaped, and cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, TypeAlias

import pyarrow as pa

from curation import store
from curation.api.data import shown_path
from curation.rundir import ledger as ledgers
from curation.shown import printable

LEDGER = pa.schema(
    [
        ("stage", pa.string()),
        ("dataset", pa.string()),
        ("outcome", pa.string()),
        ("documents", pa.int64()),
        ("chars", pa.int64()),
        ("tokens", pa.int64()),
    ]
)
# Shown before others: what a row is, and what a step says of it.
FIRST = (
    *("id", "url", "text", "reason", "fired", "quality"),
    *("kept_id", "jaccard", "cluster_size", "piece", "cuts", "tokens"),
)
SHOWN_ROWS, SHOWN_CHARS, SHOWN_COLUMNS = 5, 120, 8
INPUT = "input"  # the dataset of what the user gave
Side: TypeAlias = "pa.Table | store.Table"  # rows in memory, or the files that hold them


def ledger_table(by_stage: Mapping[str, Mapping[str, ledgers.Ledger]]) -> pa.Table:
    """The ledgers of some stages (stage -> dataset -> ledger) as one table, a row an outcome."""
    rows = [
        (stage, dataset, outcome, *counts)
        for stage, datasets in by_stage.items()
        for dataset, of_dataset in datasets.items()
        for outcome, counts in sorted(of_dataset.items(), key=_place)
    ]
    columns = zip(*rows, strict=True) if rows else [()] * len(LEDGER)
    return pa.table(
        [pa.array(list(c), f.type) for c, f in zip(columns, LEDGER, strict=True)], schema=LEDGER
    )


def _place(entry: tuple[str, Any]) -> tuple[int, str]:
    """What came in first, what stays last, the reasons by name between them."""
    ends = {ledgers.IN: 0, ledgers.CUT: 2, ledgers.MASKED: 2, ledgers.KEPT: 3}
    return ends.get(entry[0], 1), entry[0]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Result:
    """What a step kept and removed.

    `stage`: its name. `ledger`: documents and characters by outcome, of the reading (`extract`) and
    of the step: columns stage, dataset, outcome, documents, chars, tokens. `warnings`: sentences.
    `out`: the run directory, where `out=` was given; `curation.Run.open(out)` looks at it.
    """

    stage: str
    ledger: pa.Table
    warnings: tuple[str, ...]
    out: str | None
    sides: Mapping[str, Side] = field(repr=False)

    @property
    def kept(self) -> pa.Table:
        """The rows that stay."""
        return self._side("kept")

    @property
    def removed(self) -> pa.Table:
        """The rows that do not, with the `reason` and what was measured. Of rows in memory also
        those without text, which no stage has seen."""
        return self._side("removed")

    @property
    def rejects(self) -> pa.Table:
        """Records that are no documents: url, archive, offset (the row), reason, detail."""
        return self._side("rejects")

    def batches(self, side: str = "kept") -> Iterator[pa.RecordBatch]:
        """`kept`, `removed` or `rejects` as record batches, one file after another."""
        table = self.sides[side]
        if isinstance(table, pa.Table):
            yield from table.to_batches()
            return
        for path in table.paths:
            yield from store.read_groups(path)

    def count(self, outcome: str, stage: str = "") -> int:
        """Documents of the main data with an outcome of the ledger: `in`, `kept` or a reason."""
        return sum(
            row["documents"]
            for row in self.ledger.to_pylist()
            if (row["stage"], row["dataset"]) == (stage or self.stage, INPUT)
            and row["outcome"] == outcome
        )

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """`kept` by Arrow's capsule interface: the next step, pandas, polars and DuckDB take a
        result as it is."""
        return self._for_next().__arrow_c_stream__(requested_schema)

    def _for_next(self) -> pa.Table:
        return self.kept

    def _side(self, name: str) -> pa.Table:
        table = self.sides[name]
        if isinstance(table, pa.Table):
            return table
        parts = [store.read_table(path) for path in table.paths]
        return pa.concat_tables(parts) if parts else pa.Table.from_batches([], table.schema)

    def __repr__(self) -> str:
        where = f", out={shown_path(self.out)!r}" if self.out else ""
        removed = ", ".join(f"{name} {count:,}" for name, count in self._reasons().items())
        lines = [
            f"{type(self).__name__}({self.stage}: {self._kept():,} documents kept, removed: "
            f"{removed or 'none'}{where})",
            *(f"! {line}" for line in self.warnings),
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        title = f"<p><b>{escape(self.stage)}</b>: {self._kept():,} documents kept</p>"
        reasons = pa.table(
            {"removed": list(self._reasons()), "documents": list(self._reasons().values())}
        )
        parts = [title, html_table(reasons) if reasons.num_rows else ""]
        parts += [f"<p>{escape(printable(line))}</p>" for line in self.warnings]
        for side in ("kept", "removed"):
            first = next((batch for batch in self.batches(side) if batch.num_rows), None)
            if first is not None:
                parts.append(f"<p>{side}, the first rows</p>")
                parts.append(html_table(pa.Table.from_batches([first.slice(0, SHOWN_ROWS)])))
        return "".join(parts)

    def _kept(self) -> int:
        return self.count(ledgers.KEPT)

    def _reasons(self) -> dict[str, int]:
        """Documents by reason, those of the reading first."""
        counts: dict[str, int] = {}
        for row in self.ledger.to_pylist():
            known = row["outcome"] in ledgers.NO_REASONS
            if row["dataset"] == INPUT and not known:
                counts[row["outcome"]] = counts.get(row["outcome"], 0) + row["documents"]
        return counts


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Decontaminated(Result):
    """A Result of `decontaminate`: `kept` has a row for each piece that stays, with its number in
    `piece`; `removed` has the spans in `cuts`."""

    @property
    def hits(self) -> pa.Table:
        """Every gram that a document shares with a benchmark: id, start, end (code points),
        benchmark, example, gram."""
        return self._side("hits")

    def _for_next(self) -> pa.Table:
        """`kept` with ids that are unique: those of a document in several pieces end in `/PIECE`, as
        in `Run.documents`."""
        kept = self.kept
        if "id" not in kept.column_names or "piece" not in kept.column_names:
            return kept
        pieces = kept.column("piece").to_pylist()
        ids = [str(value) for value in kept.column("id").to_pylist()]
        counts = Counter(ids)
        unique = [f"{i}/{p}" if counts[i] > 1 else i for i, p in zip(ids, pieces, strict=True)]
        place = kept.column_names.index("id")
        return kept.set_column(place, "id", pa.array(unique, pa.string()))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Tokenized(Result):
    """A Result of `tokenize`: `kept` has `tokens`, the token ids of each document, which end with
    the end-of-text token. `encoding`: its name, `vocabulary`, `end_of_text` and `dtype`."""

    encoding: Mapping[str, Any]


def html_table(table: pa.Table) -> str:
    """A few rows as an HTML table, each value escaped and cut."""
    names = _shown_names(table)
    head = "".join(f"<th>{_cell(name)}</th>" for name in names)
    columns = [shown_values(table.column(name)) for name in names]
    rows = "".join(
        f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>"
        for row in zip(*columns, strict=True)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _shown_names(table: pa.Table) -> list[str]:
    """Columns to show, in their order: those that say why come first, then the first of those that
    have a value."""
    valued = [name for name in table.column_names if table.column(name).null_count < len(table)]
    valued = valued or table.column_names
    first = [name for name in FIRST if name in valued]
    chosen = [*first, *(name for name in valued if name not in first)][:SHOWN_COLUMNS]
    return [name for name in table.column_names if name in chosen]


def shown_values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column, long texts cut before Python gets them."""
    import pyarrow.compute as pc

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_slice_codeunits(column, 0, SHOWN_CHARS + 1)
    return [column[row].as_py() if column[row].is_valid else None for row in range(len(column))]


def _cell(value: Any) -> str:
    if value is None:
        return "<i>null</i>"
    text = f"{value:.4g}" if isinstance(value, float) else printable(str(value))
    return escape(text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…")
