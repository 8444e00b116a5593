"""Both engines: the same results, the same bytes, and one line when a task fails. Tasks are the library's own, or builtins."""

from __future__ import annotations

import math
import operator
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import toy_shuffle

from curation import store
from curation.engine.base import Engine, runs, write_parts
from curation.engine.inline import InlineEngine
from curation.engine.local import SPILL, LocalEngine
from curation.errors import RunError, TaskError
from curation.store.query import connect, create_view

ROWS = pa.schema([("a", pa.int64()), ("b", pa.binary()), ("s", pa.string())])


@pytest.fixture
def inline() -> Iterator[InlineEngine]:
    """The engine without worker processes."""
    engine = InlineEngine(memory_gb=1.0)
    yield engine
    engine.close()


@pytest.fixture(params=["local", "inline", pytest.param("spark_engine", marks=pytest.mark.spark)])
def engine(request: pytest.FixtureRequest) -> Engine:
    made: Engine = request.getfixturevalue(request.param)
    return made


def send_toys_to_spark(engine: Engine) -> None:
    """Spark's workers cannot import the tests: toy tasks are pickled with their code."""
    if type(engine).__name__ == "SparkEngine":
        from pyspark import cloudpickle

        cloudpickle.register_pickle_by_value(toy_shuffle)


@pytest.fixture
def table(tmp_path: Path) -> store.Table:
    paths = []
    for part in range(3):
        path = str(tmp_path / f"{part}.parquet")
        rows = range(part * 100, part * 100 + 100)
        batch = pa.record_batch(
            [list(rows), [str(i * 7919 % 300).encode() for i in rows], [f"s{i % 3}" for i in rows]],
            schema=ROWS,
        )
        with store.TableWriter(path, ROWS, "d") as writer:
            writer.write(batch)
        paths.append(path)
    return store.Table(tuple(paths), ROWS)


def test_map_keeps_the_order_of_the_items(engine: Engine) -> None:
    assert engine.map("neg", operator.neg, list(range(20))) == [-i for i in range(20)]
    assert engine.map("none", operator.neg, []) == []


def test_a_failing_task_is_one_line_with_item_and_cause(engine: Engine) -> None:
    with pytest.raises(TaskError, match=r"^root failed on -1.0: ValueError: .*$") as caught:
        engine.map("root", math.sqrt, [4.0, -1.0, 9.0])
    assert "\n" not in str(caught.value)


def test_a_task_on_a_tuple_is_named_by_its_first_element(engine: Engine) -> None:
    send_toys_to_spark(engine)
    with pytest.raises(TaskError, match=r"^root failed on web/00001: ValueError: math domain"):
        engine.map("root", toy_shuffle.root, [("web/00000", 4.0), ("web/00001", -1.0)])


@pytest.mark.parametrize(
    ("emit", "reduce", "message"),
    [
        (
            toy_shuffle.emit_or_fail,
            toy_shuffle.reduce,
            "^toy: emit failed on web/00001: ValueError: no such row$",
        ),
        (
            partial(toy_shuffle.emit, 7),
            toy_shuffle.reduce_or_fail,
            "^toy failed on part 3: KeyError: 'lost'$",
        ),
    ],
)
def test_a_failing_shuffle_names_the_item_or_the_part(
    engine: Engine, emit: Any, reduce: Any, message: str
) -> None:
    send_toys_to_spark(engine)
    items = [0, 1] if isinstance(emit, partial) else [("web/00000", 0), ("web/00001", 1)]
    with pytest.raises(TaskError, match=message):
        engine.shuffle("toy", emit, items, 4, reduce, toy_shuffle.SCHEMA, ["key", "item"])


JAVA = """Py4JJavaError: An error occurred while calling z:org.apache.spark.api.python.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 0.0 failed 1 \
times, most recent failure: Lost task 0.0 in stage 0.0 (TID 0) (192.0.2.2 executor 1): {}
\tat java.base/java.lang.ProcessBuilder.start(ProcessBuilder.java:1143)
Caused by: java.io.IOException: error=2, No such file or directory
"""
PYTHON = "org.apache.spark.SparkException: \nError from python worker:\n{}PYTHONPATH was:\n  /x\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            JAVA.format(
                'java.io.IOException: Cannot run program "/no/python": error=2, No such file'
            ),
            r'^map failed: a worker has no Python at "/no/python" error=2, No such file; install',
        ),
        (
            JAVA.format(PYTHON.format("  /bin/python3: No module named pyspark\n")),
            r"the Python of a worker did not start \(/bin/python3: No module named pyspark\); install",
        ),
        (JAVA.format(PYTHON.format("")), r"did not start \(no reason told\); install the same"),
        (
            JAVA.format(
                "ExecutorLostFailure (executor 1 exited) Reason: Command exited with code 137"
            ),
            r"executors were lost again and again \(.*code 137\); look at the logs of the workers",
        ),
        (JAVA.format("java.io.IOException: odd"), r"^map failed: java\.io\.IOException: odd$"),
        ("KeyError: 'p'", r"Spark's JVM no longer answers: 'p'; look at its log"),
        ("Py4JNetworkError: Answer from Java side is empty", "no longer answers: Answer from Java"),
        (
            JAVA.format("x") + "Traceback (most recent call last):\n  File\nKeyError: 'lost'\n",
            r"^map failed: KeyError: 'lost'$",
        ),
        (
            JAVA.format("x") + "curation.errors.TaskError: root failed on web/1: ValueError: no\n",
            r"^root failed on web/1: ValueError: no$",
        ),
        (
            ": java.lang.X: Cannot call methods on a stopped SparkContext.",
            "Spark has stopped .*page",
        ),
    ],
)
def test_what_spark_throws_is_one_sentence_that_says_what_to_look_at(
    text: str, expected: str
) -> None:
    from curation.engine.spark import spark_sentence

    said = spark_sentence("map", text)
    assert re.search(expected, said), said
    assert "\n" not in said


@pytest.mark.parametrize(
    "master", ["spark://127.0.0.1:9", "spark://a:b", "spark://h..h:1,127.0.0.1:9"]
)
def test_a_master_that_is_not_there_is_said_at_once(master: str) -> None:
    from curation.engine.spark_session import need_master

    with pytest.raises(RunError, match=r"no master answers there .*sbin/start-master\.sh"):
        need_master(master)
    need_master("local[2]")


def test_a_cluster_without_workers_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from curation.engine import spark_session

    monkeypatch.setattr(spark_session, "EXECUTORS_S", 0.3)
    there = SimpleNamespace(size=lambda: 1)
    with pytest.raises(RunError, match=r"no worker took this application .*free cores"):
        spark_session.need_executors("spark://h:1", lambda: there)
    there.size = lambda: 2
    spark_session.need_executors("spark://h:1", lambda: there)


def test_close_ends_workers_that_are_busy(tmp_path: Path) -> None:
    """As after a ctrl-C: what is under way is not waited for."""
    engine = LocalEngine(1)
    started = tmp_path / "pid"
    with ThreadPoolExecutor(1) as threads:
        sleeping = threads.submit(engine.map, "sleep", toy_shuffle.sleep_long, [str(started)])
        while not (started.exists() and started.read_text()):
            time.sleep(0.01)
        engine.close()
        with pytest.raises(TaskError, match=r"^sleep failed on .*: its worker process died"):
            sleeping.result(timeout=60)
    assert not store.process_alive(int(started.read_text()))


def test_ctrl_c_ends_a_map_of_10_000_items() -> None:
    engine = LocalEngine(1)
    done: list[int] = []
    engine.progress = lambda label, number, total: done.append(number)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(2, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            engine.map("nap", time.sleep, [0.02] * 10_000)
    finally:
        signal.signal(signal.SIGINT, before)
        engine.close()
    assert done[-1] < 500


def test_sql_writes_one_sorted_file_a_value(
    engine: Engine, table: store.Table, tmp_path: Path
) -> None:
    query = "SELECT a % 4 AS p, a, b, s FROM t WHERE a >= 10"
    parts = engine.sql(
        query, {"t": table}, str(tmp_path / "q"), ROWS, "d", partition_by="p", sort_by=["b", "a"]
    )
    assert [value for value, _ in parts] == [0, 1, 2, 3]
    assert sum(rows for _, rows in parts) == 290
    for value, rows in parts:
        read = store.read_table(str(tmp_path / "q" / f"{value:05d}.parquet"))
        assert read.num_rows == rows
        pairs = list(zip(read.column("b").to_pylist(), read.column("a").to_pylist(), strict=True))
        assert pairs == sorted(pairs)
        assert {a % 4 for _, a in pairs} == {value}


def test_sql_takes_paths_by_their_letters(local: LocalEngine, tmp_path: Path) -> None:
    """`[x]` is no pattern that its neighbour `x` fits."""
    for number, folder in enumerate(("[x]'s", "x's")):
        with store.TableWriter(str(tmp_path / folder / "t.parquet"), ROWS, "d") as writer:
            writer.write(pa.record_batch([[number], [b"b"], ["s"]], schema=ROWS))
    table = store.Table((str(tmp_path / "[x]'s" / "t.parquet"),), ROWS)
    local.sql("SELECT * FROM t", {"t": table}, str(tmp_path / "q"), ROWS, "d", sort_by=["a"])
    assert store.read_table(str(tmp_path / "q" / "00000.parquet")).column("a").to_pylist() == [0]


def test_a_view_takes_the_place_of_one_of_its_name(tmp_path: Path) -> None:
    connection = connect(str(tmp_path), 1.0, 1)
    for number in range(2):
        path = str(tmp_path / f"{number}.parquet")
        with store.TableWriter(path, ROWS, "d") as writer:
            writer.write(pa.record_batch([[number], [b"b"], ["s"]], schema=ROWS))
        create_view(connection, "t", store.Table((path,), ROWS))
        assert connection.sql("SELECT a FROM t").fetchall() == [(number,)]
    connection.close()


def test_sql_without_rows_still_writes_a_table(
    engine: Engine, table: store.Table, tmp_path: Path
) -> None:
    assert (
        engine.sql(
            "SELECT * FROM t WHERE a < 0",
            {"t": table},
            str(tmp_path / "q"),
            ROWS,
            "d",
            sort_by=["a"],
        )
        == []
    )
    assert store.read_table(str(tmp_path / "q" / "00000.parquet")).num_rows == 0
    empty = store.Table((), ROWS)
    engine.sql("SELECT * FROM t", {"t": empty}, str(tmp_path / "e"), ROWS, "d", sort_by=["a"])
    assert store.read_schema(str(tmp_path / "e" / "00000.parquet")).names == ROWS.names


def test_without_workers_nothing_is_started_and_the_bytes_are_the_same(
    local: Engine, table: store.Table, tmp_path: Path
) -> None:
    """In a fresh process: no fork server, no pool; queries and shuffles as with workers."""
    code = f"""
import multiprocessing.forkserver as forkserver, os
import pyarrow as pa
from curation import store
from curation.engine.inline import InlineEngine
engine = InlineEngine()
assert engine.map("pid", lambda _: os.getpid(), [1, 2]) == [os.getpid()] * 2
schema = pa.schema([("a", pa.int64()), ("b", pa.binary()), ("s", pa.string())])
table = store.Table({table.paths!r}, schema)
query = "SELECT a % 5 AS p, a, b, s FROM t"
engine.sql(query, {{"t": table}}, {str(tmp_path / "i")!r}, schema, "d", partition_by="p", sort_by=["b"])
assert forkserver._forkserver._forkserver_pid is None
assert engine._pool is None
engine.close()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    query = "SELECT a % 5 AS p, a, b, s FROM t"
    local.sql(query, {"t": table}, str(tmp_path / "l"), ROWS, "d", partition_by="p", sort_by=["b"])
    for name in os.listdir(tmp_path / "l"):
        assert (tmp_path / "l" / name).read_bytes() == (tmp_path / "i" / name).read_bytes()


def test_threads_run_at_once_and_results_keep_the_order() -> None:
    engine = InlineEngine(threads=3)
    together = threading.Barrier(3, timeout=10)

    def task(item: int) -> int:
        if item < 3:
            together.wait()
        time.sleep(0.002 * (10 - item))
        return item * item

    assert engine.map("square", task, range(10)) == [item * item for item in range(10)]
    with pytest.raises(TaskError, match=r"^cut failed on 1: .*it failed on 1 more: 3: "):
        engine.map("cut", lambda item: 1 // (item % 2 - 1) if item in (1, 3) else item, range(5))
    engine.close()


@pytest.mark.spark
def test_both_engines_write_the_same_bytes(
    local: Engine, spark_engine: Engine, table: store.Table, tmp_path: Path
) -> None:
    query = """
        SELECT a % 5 AS p, a, b, s FROM (
            SELECT a, b, s, row_number() OVER (PARTITION BY s ORDER BY b, a) AS place FROM t
        ) x WHERE place <= 60"""
    for name, engine in (("l", local), ("s", spark_engine)):
        engine.sql(
            query,
            {"t": table},
            str(tmp_path / name),
            ROWS,
            "d",
            partition_by="p",
            sort_by=["b", "a"],
        )
    assert sorted(os.listdir(tmp_path / "l")) == [f"{p:05d}.parquet" for p in range(5)]
    for name in os.listdir(tmp_path / "l"):
        assert (tmp_path / "l" / name).read_bytes() == (tmp_path / "s" / name).read_bytes()


def test_runs_and_parts_of_sorted_rows(tmp_path: Path) -> None:
    schema = pa.schema([("p", pa.int64()), ("x", pa.int64())])
    batches = [
        pa.record_batch([[0, 0, 2], [1, 2, 3]], schema=schema),
        pa.record_batch([[], []], schema=schema),
        pa.record_batch([[2, 5], [4, 5]], schema=schema),
    ]
    assert [(value, rows.num_rows) for value, rows in runs(batches, "p")] == [
        (0, 2),
        (2, 1),
        (2, 1),
        (5, 1),
    ]
    assert list(write_parts(iter(batches), str(tmp_path), schema, "d", "p")) == [
        (0, 2),
        (2, 2),
        (5, 1),
    ]


def test_nothing_half_written_when_the_source_fails(tmp_path: Path) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([[0], [1], [2]], names=["p", "x", "y"])
        raise ValueError("gone")

    schema = pa.schema([("p", pa.int64())])
    with pytest.raises(ValueError, match="gone"):
        list(write_parts(failing(), str(tmp_path), schema, "d", "p"))
    assert os.listdir(tmp_path) == []


def test_shuffle_brings_each_part_its_rows_in_order(engine: Engine, tmp_path: Path) -> None:
    """The real users of shuffle, dedup and mix, are held to equal bytes in test_pipeline; here its contract on a toy."""
    send_toys_to_spark(engine)
    emit = partial(toy_shuffle.emit, 7)
    order = ["key", "item"]
    results: list[Any] = engine.shuffle(
        "toy", emit, [0, 1, 2], 5, toy_shuffle.reduce, toy_shuffle.SCHEMA, order
    )
    assert [part for part, _ in results] == [0, 1, 2, 3, 4]
    assert results[4][1] == []
    for part, rows in results:
        assert rows == sorted(rows)
        assert all(key % 4 == part for key, _ in rows)
    assert sum(len(rows) for _, rows in results) == 3 * 40


def test_what_a_killed_run_spilled_is_cleared_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    for owner in (int(dead.stdout), os.getpid()):
        (tmp_path / f"{SPILL}{owner}-x").mkdir()
    LocalEngine(1).close()
    assert os.listdir(tmp_path) == [f"{SPILL}{os.getpid()}-x"]


@pytest.mark.parametrize("guard", [True, False])
def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path, guard: bool) -> None:
    script = tmp_path / "script.py"
    lines = ["engine = LocalEngine(1)", "print(engine.map('x', abs, [-3]))", "engine.close()"]
    body = "if __name__ == '__main__':\n    " + "\n    ".join(lines) if guard else "\n".join(lines)
    script.write_text("from curation.engine.local import LocalEngine\n" + body + "\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == guard
    assert "[3]" in done.stdout if guard else "has no main guard" in done.stderr


def test_short_tasks_travel_together_and_long_ones_do_not(tmp_path: Path) -> None:
    """A turn ends once it is long; what was not begun is sent again, maybe to another worker."""
    engine = LocalEngine(2)
    costs: list[float] = []
    engine.observe = lambda label, item, result, cost: costs.append(cost.seconds)
    try:
        numbers = list(range(2000))
        assert engine.map("short", operator.neg, numbers) == [-n for n in numbers]
        assert len(costs) == 2000
        naps = [0.0] * 500 + [0.3] * 4 + [0.0] * 20
        assert engine.map("nap", time.sleep, naps) == [None] * len(naps)
        with pytest.raises(TaskError, match=r"^root failed on -7.0: ValueError: "):
            engine.map("root", math.sqrt, [*[4.0] * 300, -7.0, *[9.0] * 300])
    finally:
        engine.close()


def test_a_turn_of_tasks_returns_what_it_did_and_leaves_the_rest(tmp_path: Path) -> None:
    import pickle

    from curation.engine import tasks

    terms = store.terms()

    for name, task in (("nap", time.sleep), ("root", math.sqrt)):
        (tmp_path / name).write_bytes(pickle.dumps(task))
    done = tasks.run_stored(str(tmp_path / "nap"), terms, [0.0, 2 * tasks.TURN_S, 0.0])
    assert [result for result, _ in done] == [None, None]
    assert done[1][1].seconds >= 2 * tasks.TURN_S
    assert done[0][1].peak_mb > 10
    path = str(tmp_path / "root")
    assert [result for result, _ in tasks.run_stored(path, terms, [4.0, 9.0, -1.0, 16.0])] == [2, 3]
    with pytest.raises(ValueError, match="math domain"):
        tasks.run_stored(path, terms, [-1.0, 4.0])
