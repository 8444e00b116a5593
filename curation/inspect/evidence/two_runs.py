"""Two runs compared: which documents have another fate, and which another text.

Documents are the same where dataset and id are; a document of one run only is looked for among the
rejects of the other, by archive and offset. Cost: the fates of both runs once, and a join on disk;
of a page of documents one look at the joined table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from curation import store
from curation.inspect.evidence.fates import FATES, KEPT, REJECTED, shard_fates, shard_rejects
from curation.recipe import reading as recipes

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory, Shard
    from curation.rundir.plan import Plan

ABSENT = "not in the run"
PLACES = (".files", ".benchmarks")  # settings that say where files are; they are listed last
Run = tuple["RunDirectory", "Plan"]


@dataclass(frozen=True, slots=True)
class Change:
    """Documents of one dataset with fate `before` in A and `after` in B; of `examples` their ids.

    `text_changed`: those whose text differs between the runs; `examples` begin with them. `urls`:
    the addresses of the examples, "" where there is none.
    """

    dataset: str
    before: str
    after: str
    documents: int
    text_changed: int
    examples: list[str]
    urls: list[str]


@dataclass(frozen=True, slots=True)
class TwoRuns:
    """`settings`: what differs in the recipes, a line each, places of files last. `kept`: documents
    kept in A, in B, in both. `changes`: all flows from fate to fate, those where the fate differs
    first."""

    settings: list[str]
    kept: tuple[int, int, int]
    text_changed: int
    changes: list[Change]

    def differing(self) -> list[Change]:
        """The flows where the fate differs, largest first."""
        return [change for change in self.changes if change.before != change.after]


@dataclass(frozen=True, slots=True)
class Pair:
    """One document of either run, with its fate in A and in B; `text_changed`: its text differs, None
    where one run lacks it."""

    dataset: str
    id: str
    url: str
    before: str
    after: str
    text_changed: bool | None


def two_runs(a: Run, b: Run, examples: int = 3, pairs: str = "") -> TwoRuns:
    """Compare two runs; every document with both of its fates is left in the file `pairs` where one
    is named, for `pairs_between`. Raises RunError where one has no documents."""
    from curation.store.query import connect, create_view

    with tempfile.TemporaryDirectory(prefix="curation-diff-") as folder:
        connection = connect(folder, 1.0, 2)
        for name, run in (("a", a), ("b", b)):
            for kind, schema, of_shard in (
                ("fates", FATES, shard_fates),
                ("rejects", REJECTED, shard_rejects),
            ):
                path = store.join(folder, f"{kind}-{name}.parquet")
                _write(run, path, schema, of_shard)
                create_view(connection, f"{kind}_{name}", store.Table((path,), schema))
        path = pairs or store.join(folder, "pairs.parquet")
        literal = path.replace("'", "''")
        connection.execute(f"COPY ({_PAIRS}) TO '{literal}' (FORMAT parquet)")
        create_view(connection, "pairs", store.Table((path,), PAIRS))
        rows = (
            connection.sql(_CHANGES.format(examples=max(1, examples))).to_arrow_table().to_pylist()
        )
        connection.close()
    for row in rows:  # DuckDB takes one at least
        row |= {name: row[name][:examples] for name in ("examples", "urls")}
    changes = [Change(**row) for row in rows]
    settings = recipes.changes(recipes.as_dict(a[0].recipe), recipes.as_dict(b[0].recipe))
    settings.sort(key=lambda line: line.partition(": ")[0].endswith(PLACES))
    kept = (
        sum(c.documents for c in changes if c.before == KEPT),
        sum(c.documents for c in changes if c.after == KEPT),
        sum(c.documents for c in changes if c.before == c.after == KEPT),
    )
    return TwoRuns(settings, kept, sum(c.text_changed for c in changes), changes)


def pairs_between(
    pairs: str, before: str | None, after: str | None, text: bool, start: int, size: int
) -> list[Pair]:
    """At most `size` documents of a file of `two_runs`, from the place `start` on: those with the fate
    `before` in A and `after` in B (None: any), and with `text` only those whose text differs."""
    from curation.store.query import connect, create_view

    with tempfile.TemporaryDirectory(prefix="curation-diff-") as folder:
        connection = connect(folder, 1.0, 2)
        create_view(connection, "pairs", store.Table((pairs,), PAIRS))
        given = [before, before, after, after, not text, size, start]
        rows = connection.sql(_PAGE, params=given).to_arrow_table().to_pylist()
        connection.close()
    return [Pair(**row) for row in rows]


PAIRS = pa.schema(
    [
        ("dataset", pa.string()),
        ("id", pa.string()),
        ("url", pa.string()),
        ("before", pa.string()),
        ("after", pa.string()),
        ("text_changed", pa.bool_()),
        ("drawn", pa.string()),  # those with another text first, else by the hash of the id
    ]
)
_PAIRS = f"""
WITH ra AS (SELECT dataset, archive, "offset", min(fate) AS fate FROM rejects_a GROUP BY ALL),
     rb AS (SELECT dataset, archive, "offset", min(fate) AS fate FROM rejects_b GROUP BY ALL),
     pairs AS (
       SELECT coalesce(a.dataset, b.dataset) AS dataset, coalesce(a.id, b.id) AS id,
              coalesce(a.url, b.url, '') AS url, a.fate AS fa, b.fate AS fb,
              a.content <> b.content AS text_changed,
              coalesce(a.archive, b.archive) AS archive, coalesce(a."offset", b."offset") AS place
       FROM fates_a AS a FULL JOIN fates_b AS b ON a.dataset = b.dataset AND a.id = b.id)
SELECT p.dataset, id, url, coalesce(fa, ra.fate, '{ABSENT}') AS before,
       coalesce(fb, rb.fate, '{ABSENT}') AS after, text_changed,
       CASE WHEN text_changed THEN '0' ELSE '1' END || md5(id) AS drawn
FROM pairs AS p
LEFT JOIN ra ON fa IS NULL AND ra.dataset = p.dataset AND ra.archive = p.archive AND ra."offset" = p.place
LEFT JOIN rb ON fb IS NULL AND rb.dataset = p.dataset AND rb.archive = p.archive AND rb."offset" = p.place
"""
_CHANGES = """
SELECT dataset, before, after, CAST(count(*) AS BIGINT) AS documents,
       CAST(count(*) FILTER (WHERE text_changed) AS BIGINT) AS text_changed,
       arg_min(id, drawn, {examples}) AS examples, arg_min(url, drawn, {examples}) AS urls
FROM pairs GROUP BY 1, 2, 3
ORDER BY before = after, documents DESC, dataset, before, after
"""
_PAGE = """
SELECT dataset, id, url, before, after, text_changed FROM pairs
WHERE (? IS NULL OR before = ?) AND (? IS NULL OR after = ?) AND (? OR text_changed)
ORDER BY dataset, drawn, id LIMIT ? OFFSET ?
"""


def _write(
    run: Run, path: str, schema: pa.Schema, of_shard: Callable[[RunDirectory, Shard], pa.Table]
) -> None:
    rundir, plan = run
    with store.TableWriter(path, schema, "") as writer:
        for shard in plan.shards:
            if store.exists(rundir.documents(shard)):
                writer.write(of_shard(rundir, shard))


def flows(changes: Sequence[Change]) -> list[tuple[str, str, int]]:
    """(before, after, documents) over all datasets, largest first.

    >>> flows([Change("a", "kept", "x: y", 2, 0, [], []), Change("b", "kept", "x: y", 3, 0, [], [])])
    [('kept', 'x: y', 5)]
    """
    sums: dict[tuple[str, str], int] = {}
    for change in changes:
        key = change.before, change.after
        sums[key] = sums.get(key, 0) + change.documents
    return sorted(((*key, n) for key, n in sums.items()), key=lambda flow: (-flow[2], flow))
