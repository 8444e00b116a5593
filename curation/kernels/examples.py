"""Examples of benchmark files: their records, and the one rule for how an example is called.

`decontaminate` writes these ids into `dirty.jsonl`, and `evaluate --contamination` looks them up.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

import orjson

from curation.errors import InputError

ID_KEYS = (
    "id",
    "ID",
    "uid",
    "eid",
    "qid",
    "qId",
    "qID",
    "example_id",
    "task_id",
    "InputStoryid",
)


def json_records(data: bytes, file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file, one a line, each with the number of its line from 0.

    Lines end at \\n only; blank ones are counted and left out. NaN and infinities are read as null.
    Raises InputError naming file and line where a line is not a JSON object.

    >>> list(json_records(b'{"id": 7}\\n\\n{"id": 8}\\n', "a.jsonl"))
    [(0, {'id': 7}), (2, {'id': 8})]
    """
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n")):
        if not line.strip():
            continue
        try:
            record = _parsed(line)
        except (ValueError, TypeError) as error:
            raise InputError(f"{file}, line {number + 1}: not JSON ({error})") from error
        if not isinstance(record, dict):
            raise InputError(
                f"{file}, line {number + 1}: a JSON object expected, got {str(record)[:40]!r}"
            )
        yield number, record


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        if not (b"NaN" in line or b"Infinity" in line):
            raise
        return orjson.loads(orjson.dumps(json.loads(line)))


def example_id(record: dict[str, Any], line: int, key: str = "") -> str:
    """The id of an example: its value under `key`, or under the first of ID_KEYS that has one.

    A record without any is called by the number of its line, from 0.

    >>> example_id({"task_id": 3, "id": None}, 9), example_id({"text": "a"}, 9)
    ('3', '9')
    """
    keys = (key,) if key else ID_KEYS
    values = (record.get(key) for key in keys)
    return str(next((value for value in values if value not in (None, "")), line))


def benchmark_name(file: str) -> str:
    """The name of a benchmark: that of its file without folder, compression and kind.

    >>> benchmark_name("sets/piqa.val.jsonl.gz"), benchmark_name("mine.json")
    ('piqa.val', 'mine')
    """
    name = PurePath(file).name.removesuffix(".gz").removesuffix(".zst")
    return name.removesuffix(".jsonl").removesuffix(".json").removesuffix(".parquet")


def benchmark_names(files: Sequence[str]) -> list[str]:
    """The names of different files, no two alike: `benchmark_name` after as many folders as
    needed, and whole file names where files of one folder differ in their kind only.

    >>> benchmark_names(["sets/a/test.jsonl", "sets/b/test.jsonl", "sets/b/dev.jsonl"])
    ['a/test', 'b/test', 'dev']
    >>> benchmark_names(["a/test.jsonl", "a/test.parquet"])
    ['test.jsonl', 'test.parquet']
    """
    paths = [PurePath(file) for file in files]
    stems = [(*path.parts[:-1], benchmark_name(path.name)) for path in paths]
    parts = [
        path.parts if stems.count(stem) > 1 else stem
        for path, stem in zip(paths, stems, strict=True)
    ]
    names = [part[-1] for part in parts]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        times = Counter(names)
        names = [
            "/".join(part[-depth:]) if times[name] > 1 else name
            for part, name in zip(parts, names, strict=True)
        ]
    return names


def is_benchmark_of(name: str, file: str) -> bool:
    """Whether the benchmark called `name` is that file; a name may begin with folders.

    >>> is_benchmark_of("a/test", "/sets/a/test.jsonl"), is_benchmark_of("b/test", "a/test.jsonl")
    (True, False)
    """
    parts = PurePath(name).parts
    path = PurePath(file)
    stem = (*path.parts[:-1], benchmark_name(path.name))
    return parts in (stem[-len(parts) :], path.parts[-len(parts) :])
