"""The choice against a plain walk, on thousands of small corpora at once: they share no edge, so one run decides them all."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curation import store
from curation.recipe import reading as recipe
from curation.rundir import schema
from curation.rundir.directory import RunDirectory, Shard
from curation.stages.dedup import choice
from curation.stages.dedup.candidates import scopes
from curation.stages.dedup.index import IndexedShard

CORPORA = 3000
Fates = dict[
    int, tuple[int, int, int, bool]
]  # document -> the one it leaves for, shared, total, exact copy


def corpora(seed: int) -> tuple[list[dict[str, Any]], list[tuple[int, int, int, int]]]:
    """Documents (priority, tie, content) of thousands of corpora of one to nine, and measured pairs (a, b, shared, total) within each.

    Similarities lie on both sides of 0.8 and on it; some documents are exact copies of one before; one corpus is a chain of a thousand.
    """
    rng = random.Random(seed)
    documents: list[dict[str, Any]] = []
    pairs = []
    for corpus in range(CORPORA + 1):
        chain = corpus == CORPORA
        size = 1000 if chain else rng.randint(1, 9)
        numbers = range(len(documents), len(documents) + size)
        firsts = []
        for number in numbers:
            copied = rng.choice(firsts) if firsts and not chain and rng.random() < 0.15 else number
            if copied == number:
                firsts.append(number)
            content = (
                documents[copied]["content"] if copied != number else number.to_bytes(16, "little")
            )
            documents.append({"priority": number // 3, "tie": number % 3, "content": content})
        for b in firsts:
            for a in (a for a in firsts if a < b and (b - a <= 3 if chain else rng.random() < 0.5)):
                pairs.append(
                    (
                        a,
                        b,
                        *(
                            (9, 10)
                            if chain
                            else rng.choice([(9, 10), (8, 10), (799_999, 1_000_000), (1, 3)])
                        ),
                    )
                )
    return documents, pairs


def walked(documents: list[dict[str, Any]], pairs: list[tuple[int, int, int, int]]) -> Fates:
    """The rule, plainly: in order of priority a document leaves for the first of its links that has not left; copies follow their first."""
    links: dict[int, list[tuple[int, int, int]]] = {}
    for a, b, shared, total in sorted(pairs):
        if shared * 10 >= total * 8:
            links.setdefault(b, []).append((a, shared, total))
    fates: Fates = {}
    first: dict[bytes, int] = {}
    for number, row in enumerate(documents):
        one = first.setdefault(row["content"], number)
        if one != number:
            fates[number] = fates.get(one, (one, 1, 1, True))
        for a, shared, total in links.get(number, []):
            if a not in fates:
                fates[number] = (a, shared, total, False)
                break
    return fates


def decided(
    folder: Path, engine: Any, shards: int, documents: list[dict[str, Any]], pairs: list[Any]
) -> Fates:
    """What the stage's queries say of the same, the documents dealt out to some shards."""
    rundir = RunDirectory(
        str(folder), recipe.parse({"stages": ["dedup"], "dataset": [{"name": "a", "files": ["x"]}]})
    )
    members = [IndexedShard(rundir, Shard("a", i, i, 0, ()), i, 0, 0, False) for i in range(shards)]
    dealt = random.Random(shards)
    where: list[list[int]] = [[] for _ in members]
    for number in range(len(documents)):
        dealt.choice(where).append(number)
    doc = {
        number: member.doc(row)
        for member, held in zip(members, where, strict=True)
        for row, number in enumerate(held)
    }
    for member, held in zip(members, where, strict=True):
        rows = [
            {
                "doc": doc[n],
                "id": f"{n:06d}",
                "dataset": 0,
                "chars": 9,
                "features": 9,
                "repetitive": 0,
                **documents[n],
            }
            for n in held
        ]
        with store.TableWriter(member.documents, schema.DEDUP_DOCUMENTS, f"{shards}") as writer:
            writer.write(pa.Table.from_pylist(rows, schema.DEDUP_DOCUMENTS))
    order = {
        name: [documents[pair[end]][key] for pair in pairs]
        for end, side in enumerate("ab")
        for name, key in ((f"priority_{side}", "priority"), (f"tie_{side}", "tie"))
    }
    a, b, shared, total = zip(*pairs, strict=True)
    columns = {
        **order,
        "a": [doc[n] for n in a],
        "b": [doc[n] for n in b],
        "shared": shared,
        "total": total,
    }
    path = rundir.path("measured.parquet")
    with store.TableWriter(path, schema.PAIRS, f"{shards}") as writer:
        writer.write(pa.table(columns).select(schema.PAIRS.names).cast(schema.PAIRS))
    root = rundir.path("pairs")
    copies = choice.exact_copies(
        engine, members, scopes(rundir.recipe), store.join(root, "copies"), []
    )
    removed = choice.settled_removals(
        engine, 0.8, store.Table((path,), schema.PAIRS), copies, members, root, []
    )
    number_of = {d: n for n, d in doc.items()}
    rows = [row for path in removed.paths for row in store.read_table(path).to_pylist()]
    assert all(int(row["kept_id"]) == number_of[row["kept"]] for row in rows)
    return {
        number_of[r["doc"]]: (number_of[r["kept"]], r["shared"], r["total"], bool(r["exact"]))
        for r in rows
    }


@pytest.mark.parametrize("shards", [1, 7, 40])
def test_the_choice_is_the_plain_walk_for_any_number_of_shards(
    tmp_path: Path, inline: Any, shards: int
) -> None:
    documents, pairs = corpora(shards)
    expected = walked(documents, pairs)
    assert decided(tmp_path, inline, shards, documents, pairs) == expected
    assert any(fate[3] for fate in expected.values())
    assert 4000 < len(expected) < len(documents)


@pytest.mark.spark
@pytest.mark.slow  # the verbs of the engine on Spark have fast tests of their own
def test_spark_chooses_the_same(
    tmp_path: Path, spark_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two rounds: each asks the same two queries, which take Spark seconds; a task does the rest."""
    monkeypatch.setattr(choice, "ROUNDS", 2)
    documents, pairs = corpora(0)
    assert decided(tmp_path, spark_engine, 3, documents, pairs) == walked(documents, pairs)
