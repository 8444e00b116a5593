"""Parts of archives that do not fit together are read again, and only these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from curation import store
from curation.engine.inline import InlineEngine
from curation.readers.archive_parts import AT_END
from curation.rundir.directory import Shard
from curation.rundir.results import ShardResult
from curation.stages.extract import parts


def shard(number: int, start: int, end: int) -> Shard:
    file = store.File("a.warc.gz", "a.warc.gz", 300, "", start, end)
    return Shard("a", number, number, 0, (file,))


def result(begins: int | None, ends: int = AT_END) -> ShardResult:
    notes = {} if begins is None else {parts.BEGINS: begins, parts.ENDS: ends}
    return ShardResult("first", {}, notes)


class Reader:
    """Gives out what each part holds where it is read from the beginning of its file, and counts."""

    def __init__(self, right: dict[int, tuple[int, int]]) -> None:
        self.right = right
        self.read: list[int] = []

    def __call__(self, one: Shard, from_beginning: bool = False) -> ShardResult:
        assert from_beginning
        self.read.append(one.number)
        begins, ends = self.right[one.number]
        return ShardResult("again", {}, {parts.BEGINS: begins, parts.ENDS: ends})


def joined(
    reader: Callable[..., ShardResult], shards: Sequence[Shard], results: Sequence[ShardResult]
) -> list[Any]:
    engine = InlineEngine()
    out = parts.joined(engine, reader, shards, results)
    engine.close()
    return [one.identity for one in out]


SHARDS = [shard(0, 0, 0), shard(1, 0, 100), shard(2, 100, 200), shard(3, 200, 300)]
RIGHT = {1: (0, 104), 2: (104, 212), 3: (212, AT_END)}


def test_parts_that_fit_and_whole_files_are_left_as_they_are() -> None:
    reader = Reader(RIGHT)
    found = [result(None), *(result(*RIGHT[n]) for n in (1, 2, 3))]
    assert joined(reader, SHARDS, found) == ["first"] * 4
    assert joined(reader, SHARDS[:1], found[:1]) == ["first"]
    lines = [result(None)] * 4  # parts of lines of JSON say nothing
    assert joined(reader, SHARDS, lines) == ["first"] * 4
    assert reader.read == []


def test_a_part_that_begins_elsewhere_is_read_again_and_those_that_then_do() -> None:
    reader = Reader(RIGHT)
    found = [result(None), result(0, 104), result(120, 220), result(220)]
    assert joined(reader, SHARDS, found) == ["first", "first", "again", "again"]
    assert reader.read == [2, 3]
    only = Reader(RIGHT)
    found = [result(None), result(0, 104), result(120, 212), result(212)]
    assert joined(only, SHARDS, found) == ["first", "first", "again", "first"]
    assert only.read == [2]


def test_the_last_part_has_no_end_but_that_of_the_file() -> None:
    ends = [parts.archive_part(one.files[0], False).end for one in SHARDS[1:]]
    assert ends == [100, 200, 0]
