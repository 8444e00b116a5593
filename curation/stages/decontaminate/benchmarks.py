"""Benchmark files: which texts make an example, and the gram table of them all.

A catalogue (TOML) says which fields of a record count; one for the common sets comes with the
package, benchmarks.toml beside this file.

Cost: seconds, once for each set of benchmarks (kept_tables.py). Memory: the texts of all benchmarks while the table is made; afterwards
its arrays, which workers on a local disk map and share (sizes in benchmarks/card.json).

Trap: in some sets the texts are the keys of an object and its values are scores; such keys are
taken.
"""

from __future__ import annotations

import functools
import gzip
import itertools
import re
import tomllib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from curation import store
from curation.digests import config_digest, text_digest
from curation.errors import InputError, RecipeError
from curation.kernels.examples import benchmark_name, benchmark_names, example_id, json_records
from curation.recipe import reading
from curation.rundir import sources
from curation.shown import brief
from curation.stages.decontaminate import kept_tables

if TYPE_CHECKING:
    from curation.kernels.grams import GramTable
    from curation.recipe.tables import DecontaminateConfig
    from curation.rundir.directory import RunDirectory

VERSION = 5
EXAMPLES = pa.schema([("example", pa.int64()), ("benchmark", pa.string()), ("id", pa.string())])
ARRAYS = ("pool", "starts", "ends", "hashes", "slots", "filter", "example_indptr", "examples")
# Keys that hold no text, for files that no catalogue names.
NO_TEXT = re.compile(r"(?i)(.*[_ ]?id|idx|label|gold|split|source|url|type|category)$")


@dataclass(frozen=True, slots=True)
class Layout:
    """One table of a catalogue: how the records of some files are read.

    No `fields` means every string.
    """

    names: tuple[str, ...] = ("*",)
    fields: tuple[str, ...] = ()
    separators: tuple[str, ...] = ()
    synthetic: bool = False
    id: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One example of a benchmark. Grams never cross from one of its `fields` to the next."""

    benchmark: str
    id: str
    fields: tuple[str, ...]
    synthetic: bool = False


def benchmark_files(patterns: Sequence[str]) -> dict[str, store.File]:
    """The benchmark files of some patterns by the name of each, no file twice.

    Other files in a folder are left out. Raises InputError where one that is named is of another
    kind.
    """
    files: dict[str, store.File] = {}
    for pattern in patterns:
        for file in store.find(pattern):
            name = file.path.removesuffix(".gz").removesuffix(".zst")
            if name.endswith((".jsonl", ".json")) or file.path.endswith(".parquet"):
                files[file.path] = file
            elif file.path == pattern:
                raise InputError(
                    f"{pattern}: a benchmark in .jsonl, .jsonl.gz, .jsonl.zst or .parquet "
                    "expected; convert the file"
                )
    return dict(zip(benchmark_names(list(files)), files.values(), strict=True))


def read_benchmarks(patterns: Sequence[str], catalogue: str = "") -> Iterator[Example]:
    """Every record of every JSONL file, plain, gzip or zstd, and of every Parquet file; lines end
    at \\n only.

    Raises InputError naming file and line where a line is not a JSON object, and the file where the
    catalogue's fields are in no record.
    """
    layouts = read_catalogue(catalogue)
    for name, file in benchmark_files(patterns).items():
        alone = benchmark_name(file.path)
        named = (layout for layout in layouts if any(fnmatchcase(alone, n) for n in layout.names))
        yield from _examples(file.path, name, next(named, Layout()))


def _records(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of a file, each with the number of its line or row from 0."""
    if not path.endswith(".parquet"):
        yield from json_records(_unpacked(path), path)
        return
    try:
        table = pq.ParquetFile(pa.BufferReader(store.read_bytes(path)))
        # Times hold no text, and not every time is one of Python's.
        names = [f.name for f in table.schema_arrow if not pa.types.is_temporal(f.type)]
        batches = (batch for batch in table.iter_batches(columns=names))
        yield from enumerate(itertools.chain.from_iterable(b.to_pylist() for b in batches))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a Parquet file ({error}); fetch it again") from error


def _unpacked(path: str) -> bytes:
    data = store.read_bytes(path)
    try:
        if path.endswith(".gz"):
            return gzip.decompress(data)
        if path.endswith(".zst"):
            with zstandard.ZstdDecompressor().stream_reader(
                data, read_across_frames=True
            ) as reader:
                return bytes(reader.readall())
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); fetch the file again") from error
    return data


def _examples(path: str, name: str, layout: Layout) -> Iterator[Example]:
    empty = 0
    paths = [[path.strip() for path in field.split(" + ")] for field in layout.fields]
    separator = (
        re.compile("|".join(map(re.escape, layout.separators))) if layout.separators else None
    )
    for number, record in _records(path):
        fields = tuple(_fields(record, paths, separator))
        empty = 0 if fields else empty + 1
        if empty == 100:
            raise InputError(
                f"{path}: 100 records in a row hold no text under "
                f"{', '.join(layout.fields) or 'any key'}; name the "
                "fields of this file in a catalogue (decontaminate.catalogue)"
            )
        yield Example(name, example_id(record, number, layout.id), fields, layout.synthetic)


def read_catalogue(path: str = "") -> list[Layout]:
    """The tables of a user's catalogue, then those that come with the package.

    Raises RecipeError where it is no catalogue.
    """
    own = _layouts(path, store.read_bytes(path)) if path else []
    return [*own, *_shipped_layouts()]


@functools.cache
def _shipped_layouts() -> list[Layout]:
    name = "benchmarks.toml"
    return _layouts(name, files("curation.stages.decontaminate").joinpath(name).read_bytes())


def _layouts(where: str, data: bytes) -> list[Layout]:
    """The tables of one catalogue."""
    try:
        tables = tomllib.loads(data.decode("utf-8"))["benchmark"]
    except (ValueError, KeyError, RecursionError) as error:
        raise RecipeError(
            f"{where}: not a catalogue of benchmarks, which is TOML with [[benchmark]]: {error}"
        ) from error
    if not isinstance(tables, list):
        raise RecipeError(f"{where}: [[benchmark]] expected, got {brief(tables)}")
    return [reading.build(Layout, table, where) for table in tables]


def _fields(
    record: dict[str, Any], paths: list[list[str]], separator: re.Pattern[str] | None
) -> Iterator[str]:
    """The texts of a record; `paths` are those of the parts of each field."""
    texts = (
        itertools.chain.from_iterable(_joined(record, parts) for parts in paths)
        if paths
        else _all(record)
    )
    for text in texts:
        for part in separator.split(text) if separator else (text,):
            if part and not part.isspace():
                yield part


def _joined(record: dict[str, Any], paths: list[str]) -> Iterator[str]:
    if len(paths) == 1:
        yield from _at(record, paths[0])
    else:
        parts = itertools.product(*(tuple(_at(record, path)) for path in paths))
        yield from (" ".join(part.strip() for part in texts) for texts in parts)


def _at(value: Any, path: str) -> Iterator[str]:
    """The strings at a dotted path, through lists; the path's whole name is tried first, as keys
    may hold dots."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif isinstance(value, dict):
        if path in value:
            yield from _all(value[path])
        elif "." in path:
            key, _, rest = path.partition(".")
            yield from _at(value.get(key), rest)


def _all(value: Any) -> Iterator[str]:
    """Every string of a value; of an object of scores its keys; nothing under keys that hold no
    text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        if (
            value
            and all(isinstance(inner, int | float) for inner in value.values())
            and any(" " in key for key in value)
        ):
            yield from value
        for key, inner in value.items():
            if not NO_TEXT.match(key):
                yield from _all(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _all(inner)


# ---- the gram table ------------------------------------------------------------------------------


def asked(rundir: RunDirectory) -> str:
    """What the benchmarks' texts depend on: the files as they are, and the catalogue."""
    config = rundir.recipe.decontaminate
    inputs = [
        (name, f.name, f.size, f.tag)
        for name, f in benchmark_files(sources.local_patterns(rundir, config.benchmarks)).items()
    ]
    return config_digest(
        "decontaminate/benchmarks", VERSION, inputs, read_catalogue(config.catalogue)
    )


def contents(patterns: Sequence[str], catalogue: str) -> str:
    """What the benchmarks' texts depend on, whatever run they are of: the bytes of the files."""
    files = _digests(tuple(benchmark_files(patterns).items()))
    return config_digest("decontaminate/benchmarks", VERSION, files, read_catalogue(catalogue))


@functools.lru_cache(maxsize=1)
def _digests(files: tuple[tuple[str, store.File], ...]) -> list[tuple[str, str]]:
    """The name of each file and the digest of its bytes. Asked for twice in a run."""
    return [(name, text_digest(store.read_bytes(file.path)).hex()) for name, file in files]


def tables_key(contents: str, gram_words: int) -> str:
    """The name under which gram tables are kept between runs."""
    return config_digest("grams", contents, gram_words)


def prepare(rundir: RunDirectory, read: Callable[[], Sequence[Example]], contents: str) -> str:
    """Write the gram table of the benchmarks that `read` gives once, its card last; returns its
    identity."""
    config = rundir.recipe.decontaminate
    folder = rundir.path("decontaminate", "benchmarks")
    card = kept_tables.prepared(
        folder,
        config_digest(asked(rundir), config.gram_words),
        tables_key(contents, config.gram_words),
        (*(f"{name}.npy" for name in ARRAYS), "examples.parquet"),
        lambda: _make(folder, config, read()),
    )
    return str(card["identity"])


def _make(folder: str, config: DecontaminateConfig, read: Sequence[Example]) -> dict[str, Any]:
    """Write the arrays and the examples; returns what their card says."""
    from curation.kernels import grams, ngrams

    texts: list[str] = []
    owners: list[int] = []
    examples: list[tuple[int, str, str]] = []
    for number, example in enumerate(read):
        examples.append((number, example.benchmark, example.id))
        texts += example.fields
        owners += [number] * len(example.fields)
    if not examples:
        raise InputError(
            f"decontaminate.benchmarks: no examples in {', '.join(config.benchmarks)}; JSONL or "
            "Parquet files expected"
        )
    table = grams.build_table(texts, owners, config.gram_words)
    identity = write_arrays(
        folder, {name: getattr(table, name) for name in ARRAYS}, str(config.gram_words)
    )
    with store.TableWriter(store.join(folder, "examples.parquet"), EXAMPLES, identity) as writer:
        columns = [
            pa.array(c, f.type) for c, f in zip(zip(*examples, strict=True), EXAMPLES, strict=True)
        ]
        writer.write(pa.record_batch(columns, schema=EXAMPLES))
    return {
        "identity": identity,
        "examples": len(examples),
        "grams": len(table),
        "gram_words": config.gram_words,
        "bytes": sum(getattr(table, name).nbytes for name in ARRAYS),
        "without_grams": _without_grams(
            [benchmark for _, benchmark, _ in examples],
            np.array(owners, np.int64)[ngrams.normalised_texts(texts).words >= config.gram_words],
        ),
    }


def _without_grams(benchmarks: list[str], with_grams: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Benchmark -> examples that are not among the numbers `with_grams`, and all; only those that
    have some."""
    lacks = np.ones(len(benchmarks), bool)
    lacks[with_grams] = False
    of = Counter(benchmarks)
    return {
        name: [lacking, of[name]]
        for name, lacking in Counter(np.array(benchmarks)[lacks].tolist()).items()
    }


def write_arrays(folder: str, arrays: dict[str, Any], also: str = "") -> str:
    """Write each array to `<name>.npy`; returns an identity of them all, and of `also`."""
    parts = [also]
    for name, array in arrays.items():
        store.write_array(store.join(folder, f"{name}.npy"), array)
        parts.append(f"{name} {text_digest(np.ascontiguousarray(array).tobytes()).hex()}")
    return config_digest(*parts)


@functools.lru_cache(maxsize=1)
def load_table(folder: str, identity: str) -> GramTable:
    """The gram table, once a worker; mapped where the folder is local."""
    from curation.kernels.grams import GramTable

    gram_words = store.read_json(store.join(folder, "card.json"))["gram_words"]
    return GramTable(
        gram_words, **{name: store.read_array(store.join(folder, f"{name}.npy")) for name in ARRAYS}
    )
