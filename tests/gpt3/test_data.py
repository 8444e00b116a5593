from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.gpt3 import data
from curation.kernels.indexed import index_bytes

MakeShards = Callable[..., Path]


def opened(folder: Path, context: int = 16, seed: int | None = 0) -> data.Windows:
    shards = data.open_shards(folder)
    return data.windows(shards, shards.train, context, seed)


def stream(folder: Path) -> np.ndarray:
    return np.concatenate([np.fromfile(path, "<u2") for path in sorted(folder.glob("train-*.bin"))])


@pytest.mark.parametrize("lengths", [(700, 900), (10, 10, 10, 10), (33, 1, 0, 16, 50), (17,)])
def test_every_token_is_predicted_once(make_shards: MakeShards, lengths: tuple[int, ...]) -> None:
    folder = make_shards(lengths)
    windows, tokens = opened(folder), stream(folder)
    assert len(windows) == (sum(lengths) - 1) // 16
    found = {tuple(row) for row in windows.batch(0, len(windows))}
    expected = {tuple(tokens[start : start + 17]) for start in range(0, len(windows) * 16, 16)}
    assert found == expected
    assert windows.rest().tolist() == tokens[len(windows) * 16 :].tolist()


def test_each_window_is_visited_once_shard_after_shard(make_shards: MakeShards) -> None:
    windows = opened(make_shards((700, 900)))
    order = windows.visited(0, len(windows)).tolist()
    assert sorted(order[: windows.firsts[1]]) == list(range(windows.firsts[1]))
    assert sorted(order) == list(range(len(windows)))
    assert order != sorted(order)


def test_the_order_hangs_on_the_seed_and_not_on_the_other_shards(make_shards: MakeShards) -> None:
    both, one = opened(make_shards((700, 900), seed=1)), opened(make_shards((700,), seed=2))
    assert both.visited(0, 43).tolist() == one.visited(0, 43).tolist()
    other = opened(both.shards.folder, seed=1)
    assert both.visited(0, 43).tolist() != other.visited(0, 43).tolist()


def test_a_batch_is_its_parts(make_shards: MakeShards) -> None:
    windows = opened(make_shards())
    parts = [windows.batch(3, 2), windows.batch(5, 7)]
    assert np.array_equal(windows.batch(3, 9), np.concatenate(parts))
    with pytest.raises(IndexError):
        windows.batch(len(windows), 1)


class FakeShards:
    """Knows only how long its shards are."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths = lengths
        self.epochs: dict[str, tuple[int, ...]] = {}

    def tokens(self, name: str) -> int:
        return self.lengths[int(name)]


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 12))
def test_windows_cover_the_stream_for_any_lengths(lengths: list[int], context: int) -> None:
    windows = data.windows(
        FakeShards(lengths), tuple(map(str, range(len(lengths)))), context, seed=0
    )
    # The design's words, done by hand: each shard is the tail before it and its own tokens.
    tail, count = 0, 0
    for length in lengths:
        here = max(0, (tail + length - 1) // context)
        tail, count = tail + length - here * context, count + here
    assert len(windows) == count


def test_shards_of_another_dtype_are_refused(make_shards: MakeShards) -> None:
    """32-bit tokens read as 16-bit ones are twice as many, every second one 0: no single token
    betrays them.
    """
    path = make_shards(dtype="uint32") / "shards.json"
    path.write_text(path.read_text().replace("uint32", "uint16"))
    with pytest.raises(
        InputError, match=r"announces 1,600 training tokens, but its files hold 3,200 of uint16"
    ):
        data.open_shards(path.parent)


def test_wide_tokens_are_read(make_shards: MakeShards) -> None:
    narrow, wide = make_shards(dtype="uint16"), make_shards(dtype="uint32")
    assert np.array_equal(opened(narrow).batch(0, 20), opened(wide).batch(0, 20))


def test_a_run_directory_is_taken_for_its_shards(make_shards: MakeShards, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    make_shards().rename(run / "shards")
    assert data.open_shards(run).folder == run / "shards"
    with pytest.raises(InputError, match="holds no token shards"):
        data.open_shards(tmp_path)


def write_idx(path: Path, lengths: list[int]) -> None:
    path.write_bytes(index_bytes(np.array(lengths), np.dtype("<u2")))


def test_a_truncated_shard_is_refused(make_shards: MakeShards) -> None:
    folder = make_shards()
    path = folder / "train-00001.bin"
    write_idx(path.with_suffix(".idx"), [400, 500])
    assert data.open_shards(folder).tokens("train-00001") == 900
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    with pytest.raises(InputError, match=r"1,798 bytes, but its \.idx announces 900 tokens"):
        data.open_shards(folder)
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="1,799 bytes, not a multiple of 2"):
        data.open_shards(folder)
    path.unlink()
    with pytest.raises(InputError, match=r"is listed in shards.json but is not there"):
        data.open_shards(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Megatron"),
        (b"x" * 40, "Megatron"),
        (None, "bytes for 2 sequences; run `curation mix` again"),
    ],
)
def test_a_broken_index_is_refused(
    make_shards: MakeShards, content: bytes | None, words: str
) -> None:
    folder = make_shards()
    path = folder / "train-00000.idx"
    write_idx(path, [300, 400])
    path.write_bytes(path.read_bytes()[:-4] if content is None else content)
    with pytest.raises(InputError, match=words):
        data.open_shards(folder)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("dtype", "float32", "dtype 'float32' is not one of uint16, uint32"),
        ("dtype", None, "is not one of"),
        ("vocabulary", "many", "ValueError"),
        ("validation", [], "AttributeError"),
        ("train", 3, "TypeError"),
    ],
)
def test_a_listing_that_makes_no_sense_is_refused(
    make_shards: MakeShards, key: str, value: object, words: str
) -> None:
    path = make_shards() / "shards.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(InputError, match=words):
        data.open_shards(path.parent)


def test_tokens_of_another_vocabulary_are_refused(make_shards: MakeShards) -> None:
    folder = make_shards()
    tokens = np.fromfile(folder / "train-00000.bin", "<u2")
    tokens[3] = 5000
    tokens.tofile(folder / "train-00000.bin")
    with pytest.raises(InputError, match=r"holds token 5000 .* ends at 60"):
        opened(folder).window(0)


def test_the_digest_is_that_of_the_content(make_shards: MakeShards) -> None:
    folder = make_shards()
    before = data.open_shards(folder).digest()
    first = folder / "train-00000.bin"
    rows = [
        {"name": path.stem, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.glob("*.bin"))
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "manifest.parquet")
    assert data.open_shards(folder).digest() == before
    tokens = np.fromfile(first, "<u2")
    tokens[::-1].tofile(first)
    newer = (folder / "manifest.parquet").stat().st_mtime_ns + 1
    os.utime(first, ns=(newer, newer))
    assert data.open_shards(folder).digest() != before
    tokens.tofile(first)
    listing = folder / "shards.json"
    text = json.loads(listing.read_text())
    listing.write_text(json.dumps({**text, "train": text["train"][::-1]}))
    assert data.open_shards(folder).digest() != before


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=5),
    st.lists(st.floats(0, 1), max_size=8),
    st.integers(1, 12),
)
def test_no_window_crosses_the_beginning_of_an_epoch(
    lengths: list[int], shares: list[float], context: int
) -> None:
    """For any places: every token before one is visited before every token after it."""
    shards = FakeShards(lengths)
    total = sum(lengths)
    places = sorted({int(share * total) for share in shares})
    for number, length in enumerate(lengths):
        start = sum(lengths[:number])
        own = tuple(place - start for place in places if start <= place < start + length)
        shards.epochs[str(number)] = own
    windows = data.windows(shards, tuple(shards.epochs), context, seed=0)
    order = windows.visited(0, len(windows)).tolist()
    assert sorted(order) == list(range(len(windows)))
    visited = [
        token for number in order for token in range(number * context, (number + 1) * context)
    ]
    for place in places:
        last_before = max((i for i, token in enumerate(visited) if token < place), default=-1)
        first_after = min(
            (i for i, token in enumerate(visited) if token >= place), default=len(visited)
        )
        assert last_before < first_after
    half = len(order) // 2
    parts = [windows.visited(0, half), windows.visited(half, len(order) - half)]
    assert np.concatenate(parts).tolist() == order


def test_the_places_of_epochs_are_read_and_belong_to_the_digest(make_shards: MakeShards) -> None:
    folder = make_shards()
    before = data.open_shards(folder)
    listing = folder / "shards.json"
    text = json.loads(listing.read_text())
    listing.write_text(json.dumps({**text, "epochs": {"train-00001": [0, 450]}}))
    after = data.open_shards(folder)
    assert (before.epochs, after.epochs) == ({}, {"train-00001": (0, 450)})
    assert before.digest() != after.digest()
    # Window 71 holds token 1,150, at which an epoch begins, and window 43 token 700.
    order = opened(folder).visited(0, 99).tolist()
    assert (order[43], order[71]) == (43, 71)
    assert (sorted(order[44:71]), sorted(order[72:])) == ([*range(44, 71)], [*range(72, 99)])
