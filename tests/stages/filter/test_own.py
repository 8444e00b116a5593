"""A user's own signals: loaded from a file or a module, the same in every worker, and one sentence for each mistake."""

from __future__ import annotations

import itertools
import re
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from curation.engine.base import Engine
from curation.errors import RecipeError, TaskError
from curation.recipe.own import resolve_own, split_own
from curation.recipe.rules import check
from curation.rundir import schema
from curation.stages.filter.expressions import decide
from curation.stages.filter.own import OwnSignal, find_signal, measure_own, signal_types
from curation.stages.filter.own_values import SPANS, example_documents, read_only

PAGE = Path(__file__).parents[3] / "docs" / "own-signals.md"
HEAD = "import pyarrow as pa, pyarrow.compute as pc\nimport numpy as np\n"
LENGTHS = HEAD + "def s(batch):\n    return pc.utf8_length(batch.column('text'))\n"
TAKEN = (*schema.DOCUMENTS.names, "extra", "words")


def own_signal(folder: Path, source: str, function: str = "s") -> OwnSignal:
    (folder / "mine.py").write_text(source, encoding="utf-8")
    return find_signal(resolve_own(f"mine.py:{function}", str(folder)))


def returning(expression: str, columns: str = "('text',)", before: str = "") -> str:
    return f"{HEAD}{before}\ndef s(batch):\n    return {expression}\ns.columns = {columns}\n"


def texts(*values: str) -> pa.RecordBatch:
    return pa.record_batch({"text": list(values)})


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The file of the page, as a reader saves it."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "signals.py").write_text(block, encoding="utf-8")
    return tmp_path


def test_the_page_s_example_measures_and_its_rules_decide(example: Path) -> None:
    batch = texts("a1b2", "the cat the cat", "12345678", " ", "x")
    columns: dict[str, pa.Array] = {}
    types: dict[str, pa.DataType] = {}
    names = re.findall(r'"(signals.py:\w+)"', PAGE.read_text(encoding="utf-8"))
    assert len(names) == 2
    for name in names:
        own = find_signal(resolve_own(name, str(example)))
        types |= signal_types(own, TAKEN)
        columns |= measure_own(own, batch, signal_types(own, TAKEN))
    assert types == dict.fromkeys(("digits", "distinct_words", "spaced_words"), pa.float64())
    assert columns["digits"].to_pylist() == [0.5, 0, 1, 0, 0]
    assert columns["spaced_words"].to_pylist()[:3] == [1, 4, 1]
    assert columns["distinct_words"].to_pylist()[:3] == [1, 0.5, 1]
    rules = re.findall(r'name = "(\w+)"\ndrop = "(.*)"', PAGE.read_text(encoding="utf-8"))
    assert [check(name, drop, types) for name, drop in rules]
    fires = decide(pa.table(columns), rules)
    assert fires["tables"].to_pylist() == [True, False, True, False, False]


@pytest.mark.parametrize("cuts", [[1], [3, 5], [1, 2, 3, 4, 5, 6, 7]])
def test_batches_do_not_matter(example: Path, cuts: list[int]) -> None:
    own = find_signal(resolve_own("signals:diversity", str(example)))
    types = signal_types(own, TAKEN)
    batch = example_documents(own.columns, None)
    whole = measure_own(own, batch, types)
    edges = [0, *cuts, batch.num_rows]
    for start, end in itertools.pairwise(edges):
        part = measure_own(own, batch.slice(start, end - start), types, start)
        for name, array in part.items():
            assert array.equals(whole[name].slice(start, end - start))
    assert [len(a) for a in measure_own(own, batch.slice(0, 0), types).values()] == [0, 0]


@pytest.mark.parametrize(
    "engine", ["inline", pytest.param("spark_engine", marks=pytest.mark.spark)]
)
def test_a_file_s_signal_works_in_workers_that_do_not_have_the_file(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The source goes with the task; the same on both engines."""
    workers: Engine = request.getfixturevalue(engine)
    own = own_signal(tmp_path, LENGTHS)
    types = signal_types(own, TAKEN)
    (tmp_path / "mine.py").unlink()
    task = partial(measure_own, own, types=types)
    results = workers.map("signals", task, [texts("ab"), texts("c", "def")])
    assert [r["s"].to_pylist() for r in results] == [[2], [1, 3]]


@pytest.mark.parametrize(
    "engine", ["inline", pytest.param("spark_engine", marks=pytest.mark.spark)]
)
def test_what_it_raises_in_a_worker_is_one_sentence_with_the_shard_and_the_row(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    workers: Engine = request.getfixturevalue(engine)
    source = returning(
        "pa.array([check(t) for t in batch.column('text').to_pylist()])",
        before="def check(t):\n    if t == 'bad':\n        raise KeyError('lost\\nlines')\n    return 1",
    )
    own = own_signal(tmp_path, source)
    types = signal_types(own, TAKEN)
    batch = texts(*["good"] * 700, "bad", *["good"] * 299)
    task = partial(measure_named, own, types)
    if engine == "spark_engine":
        send_to_spark()
    with pytest.raises(
        TaskError, match=r"^signals failed on web/00001: signal .*mine.py:s: it"
    ) as caught:
        workers.map("signals", task, [("web/00001", batch)])
    assert re.search(r"raised KeyError: .*lost.* on row 8,700$", str(caught.value))
    with pytest.raises(RecipeError) as direct:
        measure_own(own, batch, types)
    frames = traceback.format_exception(direct.value)
    assert any("raise KeyError('lost" in line for line in frames), "the user's own line is shown"


def measure_named(own: OwnSignal, types: dict[str, pa.DataType], item: tuple[str, Any]) -> Any:
    return measure_own(own, item[1], types, 8000)


def send_to_spark() -> None:
    """Spark's workers cannot import the tests: this module's functions are pickled with their code."""
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.mark.parametrize(
    ("expression", "kind", "values"),
    [
        ("pc.utf8_length(batch.column('text'))", pa.float64(), [3.0, 0.0]),
        ("pc.utf8_length(batch.column('text')).cast('uint16')", pa.float64(), [3.0, 0.0]),
        ("pc.equal(batch.column('text'), '')", pa.bool_(), [False, True]),
        ("batch.column('text').dictionary_encode()", pa.string(), ["abc", ""]),
        ("pa.array([float('nan')] * len(batch))", pa.float64(), [None, None]),
        ("pa.array([None] * len(batch), pa.int32())", pa.float64(), [None, None]),
        ("pa.chunked_array([[1] * len(batch)])", pa.float64(), [1.0, 1.0]),
        (
            "pa.array([[(0, 1)] if t else None for t in batch.column('text').to_pylist()],"
            " pa.list_(pa.struct([('start', pa.int32()), ('end', pa.int32())])))",
            SPANS,
            [[{"start": 0, "end": 1}], None],
        ),
    ],
)
def test_the_types_that_values_are_kept_as(
    tmp_path: Path, expression: str, kind: pa.DataType, values: list[Any]
) -> None:
    own = own_signal(tmp_path, returning(expression))
    types = signal_types(own, TAKEN)
    assert types == {"s": kind}
    result = measure_own(own, texts("abc", ""), types)["s"]
    assert result.type == kind
    assert result.to_pylist() == values


def test_whole_numbers_fractions_and_nulls_may_alternate(tmp_path: Path) -> None:
    source = returning("pa.array([float(t) if '.' in t else int(t) for t in T(batch)])", before=(
        "def T(batch):\n    return [t if t.strip('0123456789.') == '' else '1'"
        " for t in batch.column('text').to_pylist()]"
    ))  # fmt: skip
    own = own_signal(tmp_path, source)
    types = signal_types(own, TAKEN)
    assert measure_own(own, texts("3", "4"), types)["s"].to_pylist() == [3.0, 4.0]
    assert measure_own(own, texts("3.5"), types)["s"].to_pylist() == [3.5]
    nulls = own_signal(
        tmp_path,
        returning("pa.array([None if t == 'x' else 1 for t in batch['text'].to_pylist()])"),
    )
    assert (
        measure_own(nulls, texts("x", "x"), signal_types(nulls, TAKEN))["s"].to_pylist()
        == [None] * 2
    )


WRONG = [
    ("pa.array([1])", "8 values expected, got 1 .on the example documents|rows 0 to 7"),
    ("[1] * len(batch)", "a pyarrow array expected, got list; return pa.array"),
    ("None", "a pyarrow array expected, got NoneType"),
    ("np.ones(len(batch))", "a pyarrow array expected, got ndarray"),
    ("{}", "1 to 100 columns expected, got 0"),
    ("{f'c{i}': pa.array([1] * len(batch)) for i in range(101)}", "1 to 100 columns expected"),
    ("{'Words': pa.array([1] * len(batch))}", "the name Words is taken"),
    ("{'url': pa.array([1] * len(batch))}", "the name url is taken"),
    ("{'a': pa.array([1] * len(batch)), 'A': pa.array([1] * len(batch))}", "the name A is taken"),
    ("{'a b': pa.array([1] * len(batch))}", "letters, digits and _ expected, got 'a b'"),
    ("{1: pa.array([1] * len(batch))}", "letters, digits and _ expected, got 1"),
    ("pa.array([None] * len(batch))", "only nulls without a type"),
    ("pa.array([[1]] * len(batch))", "numbers, flags, texts, or lists of spans"),
    ("pa.array([b'a'] * len(batch))", "numbers, flags, texts, or lists of spans"),
    ("pa.array([{'a': 1}] * len(batch))", "numbers, flags, texts, or lists of spans"),
    ("pa.array(['x' * 5000] * len(batch))", "at most 4,096 bytes a value, got 5,000"),
    ("pa.array([2**60 + 1] * len(batch))", "s: Integer value 1152921504606846977 not in range"),
    ("pa.array([[{'start': 0, 'end': 999999}]] * len(batch))", "spans in the text, ascending"),
    ("pa.array([[{'start': -1, 'end': 1}]] * len(batch))", "spans in the text, ascending"),
    ("pa.array([[{'start': 0, 'end': 0}]] * len(batch))", "spans in the text, ascending"),
    ("pa.array([[{'start': 0, 'end': 1}] * 2] * len(batch))", "spans in the text, ascending"),
    ("1 / 0", "it raised ZeroDivisionError: division by zero on row 0 of the example documents$"),
    ("exit(3)", "it raised SystemExit: 3 on row 0"),
    ("batch.column('nothing')", "it raised KeyError"),
    ("pa.array(range(len(batch)))", "a value of the row alone expected"),
    ("pa.array([len(batch)] * len(batch))", "a value of the row alone expected"),
    ("pa.array(np.random.random(len(batch)))", "a value of the row alone expected"),
    ("np.frombuffer(batch.column('text').buffers()[2], np.uint8).fill(0)", "read-only"),
    ("np.asarray(batch.column('text').buffers()[2]).view(np.uint8).fill(0)", "read-only"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "message"), WRONG, ids=range(len(WRONG)))
def test_a_mistake_is_one_sentence_before_the_run_starts(
    tmp_path: Path, expression: str, message: str
) -> None:
    own = own_signal(tmp_path, returning(expression))
    with pytest.raises(RecipeError, match=rf"^signal .*mine.py:s: .*({message})") as caught:
        signal_types(own, TAKEN)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("pc.utf8_length(batch['text']) if N(batch) < 9 else pa.array([1])", "9 values expected, got 1"),
        ("pc.utf8_length(batch['text']) if N(batch) < 9 else batch['text']", "double expected, as before, got string"),
        ("{'a' if N(batch) < 9 else 'b': pc.utf8_length(batch['text'])}", "the columns a expected, got b"),
        ("pa.array([1] * N(batch)) if N(batch) < 9 else {'s': pa.array([1] * 9), 't': 1}", "the columns s expected, got s, t"),
    ],
)  # fmt: skip
def test_a_later_batch_of_another_form_is_one_sentence_with_the_rows(
    tmp_path: Path, expression: str, message: str
) -> None:
    own = own_signal(tmp_path, returning(expression, before="N = len"))
    types = signal_types(own, TAKEN)
    with pytest.raises(RecipeError, match=rf"{message} \(on rows 8,192 to 8,200\)$"):
        measure_own(own, texts(*"abcdefghi"), types, 8192)


@pytest.mark.parametrize(
    ("source", "function", "message"),
    [
        ("import no_such_module_x\n" + LENGTHS, "s", "cannot be imported: ModuleNotFoundError.*installed packages only"),
        ("def s(batch:\n", "s", "cannot be imported: SyntaxError"),
        ("raise SystemExit('bye')\n", "s", "cannot be imported: SystemExit: bye"),
        (LENGTHS, "t", "no function 't' in it"),
        (LENGTHS + "t = 3\n", "t", "no function 't' in it"),
        (LENGTHS + "s.columns = ('txt',)\n", "s", "documents have no column 'txt'; did you mean 'text'"),
        (LENGTHS + "s.columns = ()\n", "s", "columns, each once, expected"),
        (LENGTHS + "s.version = 1.5\n", "s", "a version of text expected, got 1.5"),
    ],
)  # fmt: skip
def test_one_that_cannot_be_loaded(
    tmp_path: Path, source: str, function: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=rf"^signal .*mine.py.*: {message}") as caught:
        own_signal(tmp_path, source, function)
    assert "\n" not in str(caught.value)


def test_files_and_modules_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a Python file expected beside the recipe"):
        find_signal(resolve_own("gone.py:s", str(tmp_path)))
    with pytest.raises(
        RecipeError, match=r"no file no_such_module_x[.]py beside the recipe and no"
    ):
        find_signal(resolve_own("no_such_module_x:s", str(tmp_path)))
    with pytest.raises(RecipeError, match="cannot be imported: ModuleNotFoundError"):
        find_signal(resolve_own("no_such_package_x.module:s", str(tmp_path)))
    for bad in ("mine.py", ":s", "mine.py:", "mine.py:a.b", "mine.py:1", "a b:c", "mine.py:s:t"):
        with pytest.raises(ValueError, match=r"'file[.]py:function' or 'module:function' expected"):
            split_own(bad)


def test_the_identity_is_the_version_or_the_source(tmp_path: Path) -> None:
    first = own_signal(tmp_path, LENGTHS).identity
    assert own_signal(tmp_path, LENGTHS).identity == first
    assert own_signal(tmp_path, LENGTHS + "\n# a comment\n").identity != first
    versioned = own_signal(tmp_path, LENGTHS + "s.version = '1'\n").identity
    assert own_signal(tmp_path, LENGTHS + "# more\ns.version = '1'\n").identity == versioned
    assert own_signal(tmp_path, LENGTHS + "s.version = '2'\n").identity != versioned
    both = LENGTHS + "s.version = '1'\ns.columns = ('text', 'url')\n"
    assert own_signal(tmp_path, both).identity != versioned


def test_a_module_of_a_package_is_imported_and_must_be_the_same_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lib" / "curation_test_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "part.py").write_text(LENGTHS)
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    own = find_signal(resolve_own("curation_test_package.part:s", str(tmp_path)))
    assert own.source == ""
    assert measure_own(own, texts("abc"), {"s": pa.float64()})["s"].to_pylist() == [3.0]
    other = OwnSignal(own.where, own.function, "", own.columns, "other")
    with pytest.raises(RecipeError, match="this worker has another version of the module"):
        measure_own(other, texts("abc"), {"s": pa.float64()})
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path / "lib")])
    for name in [n for n in sys.modules if n.startswith("curation_test_package")]:
        monkeypatch.delitem(sys.modules, name)
    gone = OwnSignal(own.where, own.function, "", own.columns, "gone")
    with pytest.raises(
        RecipeError, match=r"curation_test_package[.]part: cannot be imported: Module"
    ):
        measure_own(gone, texts("abc"), {"s": pa.float64()})


def test_extra_and_other_columns_reach_the_function(tmp_path: Path) -> None:
    source = returning(
        "pc.add(pc.utf8_length(batch['url']), pc.struct_field(batch['extra'], 'stars'))",
        columns="('url', 'extra')",
    )
    own = own_signal(tmp_path, source)
    extra = pa.struct([("stars", pa.int64())])
    types = signal_types(own, TAKEN, extra)
    stars = pa.array([{"stars": 2}, None], extra)
    batch = pa.record_batch({"text": ["t", "u"], "extra": stars, "url": ["ab", "c"]})
    assert measure_own(own, batch, types)["s"].to_pylist() == [4.0, None]
    with pytest.raises(RecipeError, match="it raised"):
        signal_types(own, TAKEN)


def test_example_documents_have_every_column_and_nothing_can_be_written() -> None:
    batch = example_documents(schema.DOCUMENTS.names, None)
    assert batch.schema.types == schema.DOCUMENTS.types
    copy = read_only(batch.slice(2, 3))
    assert copy.equals(batch.slice(2, 3))
    assert not any(b.is_mutable for c in copy.columns for b in c.buffers() if b is not None)
    assert pc.sum(pc.utf8_length(copy["text"])).as_py() > 0


def test_the_public_name() -> None:
    import curation

    @curation.signal(columns="url", version="3")
    def long(batch: pa.RecordBatch) -> pa.Array:
        return batch.column("url")

    assert (long.columns, long.version) == (("url",), "3")  # type: ignore[attr-defined]


def test_names_are_resolved_once_and_for_all(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LENGTHS)
    resolved = resolve_own("mine:s", str(tmp_path))
    assert resolved == f"{tmp_path}/mine.py:s" == resolve_own("./mine.py:s", str(tmp_path))
    assert resolve_own(resolved, "/elsewhere") == resolved
    assert resolve_own("os.path:join", str(tmp_path)) == "os.path:join"
    assert resolve_own("a/mine.py:s", "s3://bucket/recipes") == "s3://bucket/recipes/a/mine.py:s"
    remote = "s3://bucket/mine.py:s"
    assert resolve_own(remote, str(tmp_path)) == remote
    assert split_own(remote) == ("s3://bucket/mine.py", "s")
