"""`curation tune`: train a model further, as GPT-1 and InstructGPT were."""

from __future__ import annotations

import click

from curation.cli.lazy import LazyGroup, Sections

SECTIONS: Sections = {
    "Before training": {
        "vocabulary": ("tune.vocabulary:vocabulary", "Learn a vocabulary from your text."),
    },
    "GPT-1": {
        "finetune": ("tune.trainings:finetune", "Fine-tune a model on a task with labels."),
    },
    "InstructGPT": {
        "demonstrations": (
            "tune.demonstrations:demonstrations",
            "Make substitutes for demonstrations by people.",
        ),
        "sft": ("tune.trainings:sft", "Train on demonstrations."),
        "rank": ("tune.rank:rank", "Rank several answers to each prompt."),
        "reward": ("tune.trainings:reward", "Train a reward model on rankings."),
        "ppo": ("tune.trainings:ppo", "Train a model by its reward, with pre-training gradients."),
    },
}


@click.group(cls=LazyGroup, sections=SECTIONS)
def tune() -> None:
    """Train a model further: fine-tuning as GPT-1, and people's preferences as InstructGPT.

    \b
    Example:
      curation tune finetune MODEL --task classify --train A.jsonl --dev B.jsonl --out TUNED
    """
