"""`curation study make-tasks`: the synthetic tasks of section 3.9 of the GPT-3 paper."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from curation.cli.console import say
from curation.cli.options import FILE, number_option


@click.command()
@click.argument("kind", type=click.Choice(["arithmetic", "words"]))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the files; `curation evaluate --benchmarks` reads them there.",
)
@number_option("--seed", default=0, help="Draws every question.")
@click.option(
    "--count",
    type=click.IntRange(1),
    help="Questions of each task.  [default: 2,000 of arithmetic, 10,000 words]",
)
@click.option(
    "--words",
    type=FILE,
    help="A text, or a list with a word a line: its commonest words of 5 to 14 letters are asked "
    "for.  [default: GPT-2's vocabulary, where some are beginnings of words]",
)
def make_tasks(kind: str, out: Path, seed: int, count: int | None, words: Path | None) -> None:
    """Write the paper's synthetic tasks (section 3.9), anew for each seed: arithmetic with numbers
    of one to six digits, or words whose letters were moved.

    The files have the form of those that OpenAI published, and a seed of your own makes other
    questions than those.

    \b
    Example:
      curation study make-tasks arithmetic --seed 1 --out TASKS
      curation evaluate RUN/model --benchmarks TASKS --shots 0,1,16
    """
    if words and kind == "arithmetic":
        raise click.UsageError("--words: only with `make-tasks words`")
    from curation.gpt3.evaluation import synthetic
    from curation.gpt3.tasks import ARITHMETIC, WORDS

    out.mkdir(parents=True, exist_ok=True)
    if kind == "words":
        source = synthetic.words_of(words) if words else synthetic.vocabulary_words()
        asked = list(islice(source, count or synthetic.MOST_WORDS))
        made = {name: synthetic.scrambled(name, asked, seed) for name in WORDS}
    else:
        number = count or synthetic.SUMS
        made = {name: synthetic.arithmetic(name, seed, number) for name in ARITHMETIC}
    for name, records in made.items():
        say(f"{synthetic.write(records, out, name)}: {len(records):,} questions")
