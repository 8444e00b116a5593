"""Items that fail again and again: they are listed, and the others are done."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import toy_shuffle
from hypothesis import given
from hypothesis import strategies as st

from curation.engine.attempts import ATTEMPTS, MOST_FAILED, Attempts
from curation.engine.inline import InlineEngine
from curation.engine.local import LocalEngine
from curation.errors import TaskError


@pytest.fixture
def two_workers() -> Iterator[LocalEngine]:
    engine = LocalEngine(2)
    yield engine
    engine.close()


def items(*special: tuple[int, str], count: int = 40) -> list[tuple[str, str]]:
    what = dict(special)
    return [(f"web-{number:05d}", what.get(number, "")) for number in range(count)]


def marked(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.suffix}


@pytest.mark.parametrize("kind", ["local", "inline"])
def test_items_that_raise_are_listed_and_the_others_done(
    two_workers: LocalEngine, tmp_path: Path, kind: str
) -> None:
    engine = two_workers if kind == "local" else InlineEngine()
    work = items((3, "raise"), (20, "raise"))
    sentence = (
        r"^cut failed on web-00003: ValueError: no web-00003; it failed on 1 more: "
        r"web-00020: ValueError: no web-00020$"
    )
    with pytest.raises(TaskError, match=sentence):
        engine.map("cut", partial(toy_shuffle.mark_or_die, str(tmp_path)), work)
    assert marked(tmp_path) == {name for name, what in work if not what}


def test_an_item_whose_worker_dies_is_tried_again_and_the_others_are_done(
    two_workers: LocalEngine, tmp_path: Path
) -> None:
    work = items((5, "die"), (6, "die once"), (30, "die once"))
    with pytest.raises(TaskError, match=r"^cut failed on web-00005: .* died, after 3 attempts"):
        two_workers.map("cut", partial(toy_shuffle.mark_or_die, str(tmp_path)), work)
    assert marked(tmp_path) == {name for name, what in work if what != "die"}
    again = items((6, "die once"), (30, "die once"))
    done = two_workers.map("cut", partial(toy_shuffle.mark_or_die, str(tmp_path)), again)
    assert done == [name for name, _ in again]


def test_where_all_fail_it_ends_soon(two_workers: LocalEngine, tmp_path: Path) -> None:
    work = items(*((number, "raise") for number in range(1, 2000)), count=2000)
    with pytest.raises(TaskError, match=r"; \.\.\.$|it failed on \d+ more"):
        two_workers.map("cut", partial(toy_shuffle.mark_or_die, str(tmp_path)), work)


@given(st.integers(1, 40), st.data())
def test_every_item_ends_once(count: int, data: st.DataObject) -> None:
    """Whatever fails or dies, in a pool of two that sends up to three packets of five."""
    fate = data.draw(
        st.lists(st.sampled_from(["", "", "raise", "die"]), min_size=count, max_size=count)
    )
    attempts, under_way, done, sent = Attempts(count), list[list[int]](), list[int](), [0] * count
    while True:
        while attempts.may_send(len(under_way), 3):
            under_way.append(attempts.take(5))
        if not under_way:
            if not attempts.need_workers(RuntimeError(), again=True):
                break
            continue
        numbers = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
        ends = next((i for i, n in enumerate(numbers) if fate[n]), len(numbers))
        for number in numbers[: ends + 1]:
            sent[number] += 1
        if ends < len(numbers) and fate[numbers[ends]] == "die":
            for packet in [numbers, *under_way]:
                attempts.worker_died(packet)
            under_way.clear()
        elif ends == 0:
            attempts.ended(numbers, 0, ValueError())
        else:
            done += numbers[:ends]
            attempts.ended(numbers, ends)
    failed = set(attempts.failed)
    assert len(done) == len(set(done))
    assert not failed & set(done)
    assert all(fate[number] for number in failed)
    assert max(sent) <= 2 * ATTEMPTS
    if len(failed) < MOST_FAILED:
        assert failed == {number for number in range(count) if fate[number]}
        assert set(done) | failed == set(range(count))
