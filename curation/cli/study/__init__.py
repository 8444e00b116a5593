"""`curation study`: experiments on a trained model, as in the GPT-3 paper."""

from __future__ import annotations

import click

from curation.cli.lazy import LazyGroup, Sections

SECTIONS: Sections = {
    "Studies": {
        "make-tasks": ("study.make_tasks:make_tasks", "Write the paper's synthetic tasks."),
        "prompt": ("study.prompt:prompt", "Answer one query with a prompt of examples."),
        "probe": ("study.probe:probe", "Gender, race and religion in a model's words."),
        "memorise": ("study.memorise:memorise", "How much of its training text it repeats."),
    },
}


@click.group(cls=LazyGroup, sections=SECTIONS)
def study() -> None:
    """Experiments on a trained model: prompts, synthetic tasks, bias, memorisation.

    \b
    Example:
      curation study make-tasks arithmetic --seed 1 --out TASKS
    """
