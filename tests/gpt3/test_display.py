from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from curation.gpt3 import display
from curation.gpt3.data import open_shards
from curation.gpt3.model import build
from curation.gpt3.options import Options
from curation.gpt3.sizes import Size
from curation.gpt3.train import train

MakeShards = Callable[..., Path]


def test_a_falling_loss_is_a_falling_line() -> None:
    falling = display.sparkline([8.0 - 0.01 * step for step in range(500)])
    assert len(falling) == 60
    assert (falling[0], falling[-1]) == ("█", "▁")
    assert sorted(falling, reverse=True) == list(falling)
    assert display.sparkline([]) == ""
    assert display.sparkline([3.0]) == "▁"
    assert display.sparkline([3.0, 3.0]) == "▁▁"
    assert display.sparkline([1.0, 1.0, 9.0, 9.0], 2) == "▁█"


def test_the_line_of_the_loss_has_its_ends(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert display.loss_line(log) == ""
    rows: list[dict[str, object]] = [{"step": i, "loss": 7.0 - i / 50} for i in range(1, 101)]
    rows.insert(50, {"step": 50, "validation": {"books": 3.0}})
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 101, "lo')
    line = display.loss_line(log)
    assert line.startswith("loss 6.98 █")
    assert line.endswith("▁ 5.04 nats per token, 100 steps")


def test_words_are_one_line_and_draw_nothing_from_torchs_generator(
    make_shards: MakeShards, size: Size
) -> None:
    shards = open_shards(make_shards())
    model = build(replace(size, vocabulary=shards.vocabulary), 0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    path, end = shards.encoding_path, shards.end_of_text
    text = display.words(model, path, end, tokens=30)
    assert text is not None
    assert text
    assert "\n" not in text
    assert torch.equal(torch.rand(3), expected)
    assert display.words(model, path, end, tokens=30) == text
    assert display.words(model, "not-an-encoding", end) is None


def test_long_words_are_cut() -> None:
    assert display.one_line("a " * 200, 20) == "a a a a a a a a a …"
    assert display.one_line("\x1b[2J\u202egone") == "\\x1b[2J\\u202egone"


def test_a_run_that_is_watched_shows_its_words_at_the_start_and_half_way(
    make_shards: MakeShards, size: Size, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shards = make_shards()
    watched = train(shards, tmp_path / "a", size, Options(tokens=1280, progress=True))
    shown = [line for line in capfd.readouterr().err.splitlines() if "its words: " in line]
    assert [line.split(",")[0] for line in shown] == ["step 0", "step 20"]
    plain = train(shards, tmp_path / "b", size, Options(tokens=1280))
    assert capfd.readouterr().err == ""
    assert watched.validation == plain.validation
    logs = [display.losses(tmp_path / name / "log.jsonl") for name in "ab"]
    assert logs[0] == logs[1]
    lines = display.ending(watched.checkpoint, tmp_path / "a/log.jsonl", 0)
    assert lines[0].startswith("loss 4.")
    assert [line[:8] for line in lines[1:]] == ["sample: "] * 2
