"""Interrupts that are put off, and a query that one ends."""

from __future__ import annotations

import signal
import sys
import threading
import time
import types
from collections.abc import Iterator

import pytest

from curation.__main__ import run
from curation.engine.attempts import MOST_FAILED
from curation.engine.inline import InlineEngine
from curation.errors import TaskError
from curation.interrupts import put_off, task_runs
from curation.store.query import connect, interrupts_end


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """SIGINT raises here, also where the suite was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_counts_at_the_end_of_its_block() -> None:
    heard: list[str] = []
    with pytest.raises(KeyboardInterrupt), put_off(lambda: heard.append("at once")):  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        heard.append("after it")
    assert heard == ["at once", "after it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_change_nothing() -> None:
    seen: list[object] = []

    def work() -> None:
        with put_off():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_an_interrupt_ends_a_query(tmp_path: object) -> None:
    connection = connect(str(tmp_path), 0.5, 1)
    threading.Timer(0.5, signal.pthread_kill, [threading.get_ident(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt), interrupts_end(connection):
        connection.sql(
            "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
        ).fetchall()
    connection.close()


def test_a_task_without_workers_is_not_interrupted_but_left() -> None:
    """What is raised reaches who waits for the task; the next task never begins."""
    done: list[int] = []

    def task(item: int) -> None:
        if not item:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.3)
        done.append(item)

    with pytest.raises(KeyboardInterrupt):
        InlineEngine().map("count", task, [0, 1])
    assert done == [0]
    assert not task_runs()


def test_no_task_runs_on_after_many_failures() -> None:
    begun: list[int] = []

    def task(item: int) -> None:
        begun.append(item)
        if item >= MOST_FAILED:
            time.sleep(0.2)
        raise ValueError(item)

    with pytest.raises(TaskError, match="it failed on 7 more"):
        InlineEngine().map("fail", task, range(100))
    assert not task_runs()
    assert len(begun) <= MOST_FAILED + 1


def test_what_ends_a_thread_reaches_who_waits() -> None:
    def task(item: str) -> None:
        raise SystemExit(7) if item == "exit" else ValueError(item)

    with pytest.raises(SystemExit):
        InlineEngine().map("end", task, ["exit"])
    with pytest.raises(TaskError, match="end failed on web/1: ValueError"):
        InlineEngine().map("end", task, ["web/1"])


def test_ctrl_c_while_the_command_line_is_loaded_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []
    loaded = types.ModuleType("curation.cli")
    loaded.main = lambda **_: seen.append(signal.getsignal(signal.SIGINT))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "curation.cli", loaded)
    run()
    assert seen == [signal.SIG_DFL]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup does
    run()
    assert seen[1:] == [signal.SIG_IGN]
