from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from word_encoding import WORDS, WordEncoding

from curation.errors import InputError, RunError
from curation.gpt3.instruct.ppo_files import ppo
from curation.gpt3.instruct.reward import reward
from curation.gpt3.options import PpoConfig, RewardConfig
from curation.gpt3.sizes import Size

Make, Write = Callable[..., Path], Callable[..., Path]
OPTIONS = PpoConfig(
    episodes=8,
    batch=4,
    minibatches=2,
    max_tokens=5,
    pretrain_windows=1,
    validate_every=1,
    watch="brief",
)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for name, count in (("train-00000", 400), ("validation", 60)):
        (np.arange(count, dtype="<u2") % len(WORDS)).tofile(folder / f"{name}.bin")
    listing = {
        "encoding": "words",
        "vocabulary": len(WORDS),
        "end_of_text": 0,
        "dtype": "uint16",
        "train": ["train-00000"],
        "validation": {"wiki": ["validation"]},
        "tokens": 400,
    }
    (folder / "shards.json").write_text(json.dumps(listing))
    return folder


@pytest.fixture
def judge(make_checkpoint: Make, write_lines: Write, tmp_path: Path) -> Path:
    base = make_checkpoint("sft", kind="sft", separator="\n")
    row = {"prompt": "name a river?", "responses": ["the Nile.", "a a"], "ranking": [1, 2]}
    rankings = write_lines("r.jsonl", {**row, "by": "simulated labeler (rule brief)"})
    reward(base, rankings, tmp_path / "rm", RewardConfig(), encoding=WordEncoding())
    return tmp_path / "rm"


@pytest.fixture
def prompts(write_lines: Write) -> Path:
    return write_lines("p.jsonl", {"prompt": "name a river?"}, {"prompt": "tell a peak?"})


def test_it_trains_from_files_and_names_who_ranked(
    judge: Path, prompts: Path, shards: Path, tmp_path: Path, encoding: WordEncoding
) -> None:
    result = ppo(tmp_path / "sft", judge, prompts, tmp_path / "ppo", shards, OPTIONS, encoding)
    assert (result.step, result.steps) == (2, 2)
    assert set(result.validation) == {"wiki"}
    assert result.watched is not None
    assert 0 <= result.watched <= 4
    config = json.loads((result.checkpoint / "state.json").read_text())["config"]
    assert config["labelers"] == ["simulated labeler (rule brief)"]
    other = replace(OPTIONS, kl_weight=0.5)
    with pytest.raises(RunError, match="another training"):
        ppo(tmp_path / "sft", judge, prompts, tmp_path / "ppo", shards, other, encoding)
    # A model of PPO can be trained on.
    ppo(tmp_path / "ppo", judge, prompts, tmp_path / "again", shards, OPTIONS, encoding)


def test_a_reward_model_of_another_tokenizer_is_refused(
    judge: Path,
    prompts: Path,
    shards: Path,
    tmp_path: Path,
    encoding: WordEncoding,
    make_checkpoint: Make,
) -> None:
    for name, config in (("o", {"encoding": "other"}), ("e", {"end_of_text": 3})):
        other = make_checkpoint(name, kind="sft", **config)
        with pytest.raises(InputError, match=r"the reward model .* reads tokens of another") as e:
            ppo(other, judge, prompts, tmp_path / "x", shards, OPTIONS, encoding)
        assert "\n" not in str(e.value)
    larger = replace(Size("w", 1, 8, 1, 64, 1e-2, context=16), vocabulary=50)
    with pytest.raises(InputError, match="vocabulary 19, end-of-text"):
        ppo(
            make_checkpoint("v", size=larger, kind="sft"),
            judge,
            prompts,
            tmp_path / "x",
            shards,
            OPTIONS,
            encoding,
        )
    with pytest.raises(InputError, match="a checkpoint of `curation tune reward` expected"):
        ppo(tmp_path / "sft", tmp_path / "sft", prompts, tmp_path / "x", None, OPTIONS, encoding)


def test_shards_and_prompts_that_cannot_be_used_are_said(
    judge: Path,
    prompts: Path,
    shards: Path,
    tmp_path: Path,
    encoding: WordEncoding,
    write_lines: Write,
) -> None:
    def run(file: Path, pretrain: Path | None) -> None:
        ppo(tmp_path / "sft", judge, file, tmp_path / "x", pretrain, OPTIONS, encoding)

    with pytest.raises(InputError, match="give --pretrain RUN, or --pretrain-weight 0"):
        run(prompts, None)
    # 16 of context: a prompt of 10 with an answer of 5 and its end fits, one of 11 does not.
    fits = write_lines("fits.jsonl", {"prompt": "the " * 9})
    run(fits, shards)
    with pytest.raises(InputError, match="line 1: the prompt has 11 tokens"):
        run(write_lines("long.jsonl", {"prompt": "the " * 10}), shards)
    listing = json.loads((shards / "shards.json").read_text())
    (shards / "shards.json").write_text(json.dumps({**listing, "encoding": "other"}))
    with pytest.raises(InputError, match="holds tokens of other"):
        run(prompts, shards)


def test_without_pretraining_no_shards_are_needed(
    judge: Path, prompts: Path, tmp_path: Path, encoding: WordEncoding
) -> None:
    options = replace(OPTIONS, pretrain_weight=0.0)
    result = ppo(tmp_path / "sft", judge, prompts, tmp_path / "ppo", None, options, encoding)
    assert result.validation == {}
    log = (tmp_path / "ppo" / "log.jsonl").read_text()
    assert '"pretrain_loss": null' in log


def test_minibatches_must_share_a_batch_out() -> None:
    with pytest.raises(InputError, match="batch 10 is not a multiple of 4 minibatches"):
        PpoConfig(batch=10, minibatches=4)
    with pytest.raises(InputError, match="clip"):
        PpoConfig(clip=1.5)
