"""`curation tune demonstrations`: pairs of prompt and response that no person wrote."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click

from curation.cli.console import say
from curation.cli.options import number_option
from curation.gpt3.instruct import substitutes
from curation.gpt3.instruct.substitutes import Kind


@click.command()
@click.argument("kind", type=click.Choice(get_args(Kind)))
@click.argument("inputs", nargs=-1, type=click.Path(exists=True), metavar="[INPUT...]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@number_option("--count", default=10_000, least=2, help="At most.")
@click.option("--seed", type=int, default=0, show_default=True)
def demonstrations(kind: Kind, inputs: tuple[str, ...], out: Path, count: int, seed: int) -> None:
    """Write substitutes for demonstrations by people: demonstrations.jsonl for `sft`, and
    prompts.jsonl, with other prompts, for `rank` and `ppo`.

    \b
      titles      the title of a document -> the first sentence under it
      summaries   a document              -> its title, as the line that sums it up
      questions   a question of TriviaQA or WebQuestions -> its answer
      arithmetic  a sum in words          -> its result

    INPUT for titles and summaries: a run, or files with documents. For questions: the files of the
    benchmark, none of which should be scored afterwards. For arithmetic: none. Each line says that
    no person wrote it.

    \b
    Example:
      curation tune demonstrations titles RUN --out SHOWN
      curation tune sft RUN/model --demonstrations SHOWN/demonstrations.jsonl --out RUN/sft
    """
    if bool(inputs) == (kind == "arithmetic"):
        what = "takes no INPUT" if inputs else "needs an INPUT"
        raise click.UsageError(f"`demonstrations {kind}` {what}")
    if kind == "arithmetic":
        pairs = substitutes.of_sums(seed)
    elif kind == "questions":
        pairs = itertools.chain.from_iterable(map(substitutes.of_questions, map(Path, inputs)))
    else:
        pairs = substitutes.of_documents(_texts(inputs), kind)
    shown, asked = substitutes.write(pairs, kind, out, count, seed)
    say(f"{out / substitutes.SHOWN}: {shown:,} demonstrations that no person wrote")
    say(f"{out / substitutes.ASKED}: {asked:,} other prompts")


def _texts(inputs: tuple[str, ...]) -> Iterator[str]:
    """The texts of documents, one after the other."""
    from curation.api.read import read

    for batch in read(inputs):
        yield from batch.column("text").to_pylist()
