"""PPO from files: checkpoints, prompts and token shards, checked before anything is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from curation import store
from curation.errors import InputError
from curation.gpt3.data import Shards, Windows, open_shards, windows
from curation.gpt3.epochs import as_json, settings
from curation.gpt3.instruct.data import Coder, Encoding, Prompt, read_prompts
from curation.gpt3.instruct.labeler import rule_named
from curation.gpt3.instruct.ppo import Networks, PpoResult, Work, train_ppo
from curation.gpt3.instruct.reward import load_reward
from curation.gpt3.log import Tell, untold
from curation.gpt3.options import PpoConfig
from curation.gpt3.parallel import device_named
from curation.gpt3.starting import Start, model_of, need_same_tokens, opened


def ppo(
    path: Path,
    reward: Path,
    prompts: Path,
    out: Path,
    pretrain: Path | None = None,
    options: PpoConfig | None = None,
    encoding: Encoding | None = None,
    tell: Tell = untold,
) -> PpoResult:
    """Train the SFT model in `path` by the reward model in `reward` on the prompts in a file.

    `pretrain` is a run directory, or its shards: the source of the pre-training windows, and of the
    validation loss. Raises InputError for models of two tokenizers, for prompts that leave no room
    for an answer, and for shards of another encoding.
    """
    options = options or PpoConfig()
    start, judge = opened(path, "sft", "ppo", ""), opened(reward, "reward")
    need_same_tokens(start, judge, "the reward model")
    shards, train = _shards(start, pretrain, options)
    coder = start.coder(encoding)
    rows = read_prompts(prompts)
    # One more token: the end-of-text that the reward model reads after an answer that was cut off.
    room = options.max_tokens + 1
    if judge.size.context < start.size.context:
        coder = Coder(coder.encoding, coder.end_of_text, coder.separator, judge.size.context)
    ids = [coder.prompt(row.prompt, row.where, room) for row in rows]
    device = device_named(options.device)
    policy, scorer = model_of(start, device), load_reward(judge, device)
    networks = Networks(
        policy, copy.deepcopy(policy), copy.deepcopy(scorer), copy.deepcopy(policy), scorer
    )
    config = {
        "kind": "ppo",
        "size": asdict(start.size),
        "encoding": start.encoding,
        "end_of_text": start.end_of_text,
        "separator": coder.separator,
        "labelers": judge.config.get("labelers"),
        "options": settings(options),
        "from": start.identity(),
        "reward": judge.identity(),
        "data": store.sha256(str(prompts)),
        "shards": None if shards is None else shards.digest(),
    }
    return train_ppo(
        Work(
            networks,
            ids,
            start.end_of_text,
            train,
            shards,
            options,
            out,
            as_json(config),
            _watched(options, coder, rows),
            tell,
            partial(start.give_vocabulary, encoding),
        )
    )


def _shards(
    start: Start, pretrain: Path | None, options: PpoConfig
) -> tuple[Shards | None, Windows | None]:
    if pretrain is None:
        if options.pretrain_weight:
            raise InputError(
                f"a pre-training weight of {options.pretrain_weight:g} needs the shards that the "
                "model was trained on: give --pretrain RUN, or --pretrain-weight 0 for PPO without "
                "them"
            )
        return None, None
    shards = open_shards(pretrain)
    if (shards.encoding, shards.vocabulary) != (start.encoding, start.size.vocabulary):
        raise InputError(
            f"{shards.folder} holds tokens of {shards.encoding} (vocabulary {shards.vocabulary:,}), "
            f"{start.folder} reads {start.encoding} ({start.size.vocabulary:,}); give the shards "
            "that the model was trained on"
        )
    train = windows(shards, shards.train, start.size.context, options.seed)
    if options.pretrain_weight and not len(train):
        raise InputError(
            f"{shards.folder} holds no window of {start.size.context + 1:,} tokens to train on"
        )
    return shards, train


def _watched(
    options: PpoConfig, coder: Coder, rows: Sequence[Prompt]
) -> Callable[[int, Sequence[int]], float] | None:
    if options.watch is None:
        return None
    rule = rule_named(options.watch)

    def score(number: int, answer: Sequence[int]) -> float:
        return rule.score(rows[number].prompt, coder.text(answer))

    return score
