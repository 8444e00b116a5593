"""InstructGPT from end to end on a world of sixty words, for several seeds: acceptance with figures.

    nice -n 10 python -m perf.instruct --out OUT [--seed N ...] [--pictures docs/images]

One model is pre-trained on shards. For each seed: fine-tune on demonstrations, sample K answers, let a simulated
labeler rank them, train reward models on its rankings and on shuffled ones, then PPO with gamma 0,
PPO-ptx, and PPO without a KL penalty on a reward model of few rankings. A seed that is in
OUT is not run again. Intervals are Student's, over seeds, 95 %.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from scipy import stats

from curation.gpt3.instruct import labeler
from curation.gpt3.instruct.ppo_files import ppo
from curation.gpt3.instruct.reward import reward
from curation.gpt3.instruct.sampling import sample_answers
from curation.gpt3.instruct.sft import sft
from curation.gpt3.options import PpoConfig, RewardConfig, SftConfig
from curation.gpt3.sizes import Size
from curation.gpt3.starting import model_of, opened
from curation.gpt3.train import Options, train
from perf.instruct_plots import pictures
from perf.instruct_world import END, WORDS, Words, demonstrations, prompts, write_shards

SIZE = Size("words", 2, 48, 4, 1024, 5e-3, tokens=10**6, context=32, band=32, vocabulary=len(WORDS))
RULE = labeler.rule_named("brief")
K, RANKED, FEW, HELD_OUT = 6, 1100, 40, 150
ANSWER = 20  # tokens
SFT = SftConfig(epochs=2, batch=16, micro_batch=16, learning_rate=2e-3, dropout=0.1, separator=" ")
REWARD = RewardConfig(batch=8, micro_batch=8, learning_rate=4e-3)
PPO = PpoConfig(
    episodes=32 * 40,
    batch=32,
    minibatches=2,
    micro_batch=64,
    max_tokens=ANSWER,
    kl_weight=0.15,
    pretrain_weight=0.0,
    pretrain_windows=2,
    learning_rate=6e-4,
    value_rate=1e-3,
    average=0.95,
    watch="brief",
    validation_windows=40,
    validate_every=10,
    checkpoint_every=40,
    max_kl=1000.0,
)
PTX = 0.5  # gamma: the paper's 27.8 was chosen for its sizes and rates


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answered(folder: Path, texts: Sequence[str], count: int, seed: int) -> list[list[str]]:
    """`count` answers of the model in `folder` to each prompt."""
    start = opened(folder, "", "sft", "ppo")
    coder = start.coder(Words())
    ids = [coder.prompt(text, "", ANSWER) for text in texts for _ in range(count)]
    model = model_of(start, "cpu")
    found = sample_answers(model, ids, ANSWER, END, seed, rows_in_pass=512)
    answers = [coder.text(one.ids[one.prompt :]) for one in found]
    return [answers[row : row + count] for row in range(0, len(answers), count)]


def scored(texts: Sequence[str], answers: Sequence[Sequence[str]]) -> list[list[float]]:
    return [
        [RULE.score(text, one) for one in some] for text, some in zip(texts, answers, strict=True)
    ]


def rank_all(folder: Path, model: Path, seed: int) -> dict[str, Any]:
    """Files of rankings: for training, the same shuffled, a few of them, and held out."""
    texts = prompts(RANKED + HELD_OUT, seed)
    answers = answered(model, texts, K, seed)
    scores = scored(texts, answers)
    scale = labeler.scale_for(labeler.PAPER_AGREEMENT, scores)
    generator = np.random.default_rng((seed, 4))
    rows, shuffled = [], []
    for number, (text, some, one) in enumerate(zip(texts, answers, scores, strict=True)):
        ranks = labeler.ranking(scale, one, seed, f"{number}/{text}")
        row = {"prompt": text, "responses": some, "ranking": ranks, "by": labeler.named(RULE)}
        rows.append(row)
        shuffled.append({**row, "ranking": (generator.permutation(K) + 1).tolist()})
    held_out, pairs = scores[RANKED:], labeler.pairs(scores[RANKED:])
    ranks = [row["ranking"] for row in rows[RANKED:]]
    first, second = labeler.pairs([[-float(r) for r in some] for some in ranks])
    agrees = np.sign(pairs[0] - pairs[1]) * np.sign(first - second)
    return {
        "train": write(folder / "ranked.jsonl", rows[:RANKED]),
        "shuffled": write(folder / "shuffled.jsonl", shuffled[: RANKED // 2]),
        "few": write(folder / "few.jsonl", rows[:FEW]),
        "held_out": write(folder / "held_out.jsonl", rows[RANKED:]),
        "scale": scale,
        "agreement": labeler.agreement(scale, scores),
        "ceiling": labeler.ceiling(scale, held_out),
        "rule_itself": float(((agrees > 0) + 0.5 * (agrees == 0)).mean()),
        "held_out_pairs": len(agrees),
        "text": labeler.description(RULE, scale, labeler.agreement(scale, scores)),
    }


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def pretrained(out: Path) -> tuple[Path, Path]:
    """The model that all seeds start from, and its shards; made once."""
    shards = out / "shards"
    if not (shards / "shards.json").exists():
        write_shards(shards, 700_000, 0)
    options = Options(tokens=600_000, seed=0, warmup_tokens=20_000, checkpoint_every=100)
    return train(shards, out / "base", SIZE, options).checkpoint, shards


def one_seed(seed: int, out: Path, main_only: bool) -> dict[str, Any]:
    """All figures of one seed; `main_only` leaves out two controls and the run without a KL penalty."""
    folder = out / f"seed-{seed}"
    folder.mkdir(exist_ok=True)
    base, shards = pretrained(out)
    shown = write(folder / "demonstrations.jsonl", demonstrations(600, seed))
    tuned = sft(base, shown, folder / "sft", replace(SFT, seed=seed), Words()).checkpoint
    ranked = rank_all(folder, tuned, seed)
    figures: dict[str, Any] = {
        key: value for key, value in ranked.items() if not isinstance(value, Path)
    }
    for name in ("train",) if main_only else ("train", "shuffled", "few"):
        config = replace(REWARD, seed=seed, epochs=10 if name == "few" else 1)
        arguments = (tuned, ranked[name], folder / f"rm-{name}", config, shown, ranked["held_out"])
        figures[f"accuracy_{name}"] = reward(*arguments, Words()).accuracy
    train_prompts = write(
        folder / "prompts.jsonl", [{"prompt": text} for text in prompts(500, seed + 20_000)]
    )
    runs = {
        "ppo": ("train", PPO),
        "ptx": ("train", replace(PPO, pretrain_weight=PTX)),
    }
    if not main_only:
        free = replace(PPO, kl_weight=0.0, episodes=32 * 50, learning_rate=1e-3)
        runs["free"] = ("few", free)
    unseen = prompts(150, seed + 30_000, unseen=True)
    figures["score_sft"] = float(np.mean(scored(unseen, answered(tuned, unseen, 2, seed))))
    for name, (judge, config) in runs.items():
        target = folder / name
        result = ppo(
            tuned,
            folder / f"rm-{judge}",
            train_prompts,
            target,
            shards,
            replace(config, seed=seed),
            Words(),
        )
        lines = log_of(target)
        figures[f"validation_{name}"] = [
            (line["step"], line["validation"]["texts"]) for line in lines if "validation" in line
        ]
        figures[f"curve_{name}"] = [
            (line["kl"], line["reward"], line["watched"]) for line in lines if "kl" in line
        ]
        answers = answered(result.checkpoint, unseen, 2, seed)
        figures[f"score_{name}"] = float(np.mean(scored(unseen, answers)))
        figures[f"example_{name}"] = [unseen[0], answers[0][0]]
    return {"seed": seed, **figures}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean and half the width of Student's 95 % interval."""
    spread = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return float(np.mean(values)), float(stats.t.ppf(0.975, max(1, len(values) - 1))) * spread


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The table of acceptance."""

    def line(what: str, values: Sequence[float], unit: float = 1.0) -> None:
        mean, half = interval([unit * value for value in values])
        each = ", ".join(f"{unit * value:.3f}" for value in values)
        print(f"{what:<58} {mean:8.3f} ± {half:.3f}   ({each})")

    print(f"{len(rows)} seeds; mean and 95 % interval (each seed)")
    print(rows[0]["text"])
    for key in ("ceiling", "rule_itself", "accuracy_train", "accuracy_few", "accuracy_shuffled"):
        line(f"% of held-out pairs, {key}", [row[key] for row in rows if key in row], 100)
    line(
        "accuracy minus what the rule itself reaches, points",
        [row["accuracy_train"] - row["rule_itself"] for row in rows],
        100,
    )
    for key in ("score_sft", "score_ppo", "score_ptx"):
        line(f"hidden rule on prompts never seen, {key}", [row[key] for row in rows])
    line("  PPO minus SFT", [row["score_ppo"] - row["score_sft"] for row in rows])
    line("  PPO-ptx minus SFT", [row["score_ptx"] - row["score_sft"] for row in rows])
    for name in ("ppo", "ptx"):
        values = [row[f"validation_{name}"] for row in rows]
        line(f"validation loss of the shards, before {name}", [v[0][1] for v in values])
        line(f"validation loss of the shards, after {name}", [v[-1][1] for v in values])
    line(
        "  after PPO-ptx minus after PPO",
        [row["validation_ptx"][-1][1] - row["validation_ppo"][-1][1] for row in rows],
    )
    for name in ("ppo", "ptx", "free"):
        line(
            f"KL at the end, nats an answer, {name}", [row[f"curve_{name}"][-1][0] for row in rows]
        )
    peaks, ends = [], []
    for row in rows:
        watched = [one[2] for one in row["curve_free"]]
        peaks.append(max(np.convolve(watched, np.ones(5) / 5, "valid")))
        ends.append(float(np.mean(watched[-5:])))
    line("hidden rule without a KL penalty: best of the run", peaks)
    line("hidden rule without a KL penalty: at its end", ends)
    line("  end minus best", [end - peak for end, peak in zip(ends, peaks, strict=True)])


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--seed", "seeds", type=int, multiple=True, default=range(5), show_default=True)
@click.option("--main-only", is_flag=True, help="No controls, no run without a KL penalty.")
@click.option("--pictures", "images", type=click.Path(path_type=Path), help="Folder for the SVGs.")
def main(out: Path, seeds: Sequence[int], main_only: bool, images: Path | None) -> None:
    """Run the seeds that are missing, then print the table and draw the pictures."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in seeds:
        path = out / f"seed-{seed}.json"
        if not path.exists():
            started = time.monotonic()
            path.write_text(json.dumps(one_seed(seed, out, main_only)))
            print(f"seed {seed}: {time.monotonic() - started:.0f} s", flush=True)
        rows.append(json.loads(path.read_text()))
    show(rows)
    if images is not None:
        pictures(rows, images)


if __name__ == "__main__":
    main()
