"""`curation tune rank`: a person, or a simulated labeler, ranks answers to each prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curation.cli.console import console, say
from curation.cli.options import FILE, checkpoint_argument, number_option
from curation.cli.train import require_torch
from curation.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from curation.gpt3.instruct.answers import Sampler
    from curation.gpt3.instruct.data import Prompt

KEYS = "letters, the best first (such as {order})   s skip   q quit"


@click.command()
@checkpoint_argument
@click.option("--prompts", type=FILE, required=True, help="JSON lines with `prompt`.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file of rankings; the same command goes on in it.",
)
@number_option(
    "-k",
    "count",
    default=4,
    least=2,
    most=9,
    help="Answers to each prompt; the paper shows 4 to 9.",
)
@click.option("--by", metavar="RULE", help="No person: a simulated labeler with this rule (brief).")
@number_option(
    "--agreement",
    default=0.73,
    above=0.5,
    below=1,
    help="With --by: share of pairs on which two such labelers agree.",
)
@number_option("--max-tokens", default=64, least=1, help="Of an answer.")
@number_option("--temperature", default=1.0, above=0, most=10, help="Of sampling.")
@number_option("--seed", default=0, least=0, help="Draws the answers.")
@click.option("--device", help="cpu or cuda.  [default: cuda where there is a GPU]")
@click.option(
    "--browse", is_flag=True, help="Rank on a page in the browser, on this machine alone."
)
@number_option("--port", default=0, least=0, most=65535, help="With --browse; 0: a free one.")
@click.option("--open/--no-open", "opens", default=True, help="Open a browser.  [default: open]")
def rank(
    checkpoint: Path,
    prompts: Path,
    out: Path,
    count: int,
    by: str | None,
    agreement: float,
    max_tokens: int,
    temperature: float,
    seed: int,
    device: str | None,
    browse: bool,
    port: int,
    opens: bool,
) -> None:
    """Sample answers of the model in CHECKPOINT to each prompt, and rank them.

    You type the letters of the answers, the best first. Each ranking is written at once. --by names
    a simulated labeler in your place; its rule and noise are printed, and its rows say so.

    \b
    Examples:
      curation tune rank RUN/sft --prompts prompts.jsonl -k 6 --out ranked.jsonl
      curation tune rank RUN/sft --prompts prompts.jsonl --out ranked.jsonl --browse
      curation tune rank RUN/sft --prompts prompts.jsonl --by brief --out simulated.jsonl
    """
    require_torch("curation tune rank")
    if browse and by is not None:
        raise click.UsageError("--browse is for a person, --by for a simulated labeler: give one.")
    from curation.gpt3.instruct import answers
    from curation.gpt3.instruct.labeler import rule_named

    rule = rule_named(by) if by is not None else None
    todo = answers.waiting(prompts, out)
    if not todo:
        say(f"{out}: every prompt has its ranking")
        return
    sampler = answers.open_sampler(checkpoint, count, max_tokens, temperature, seed, device)
    if browse:
        _serve(sampler, todo, out, port, opens)
        return
    if rule is None:
        _ask(sampler, todo, out)
        return
    found = answers.simulated(sampler.answers, todo, rule, agreement, seed)
    answers.append(out, found.rows)
    say(found.text)
    say(f"best accuracy that a reward model can reach on these pairs: {100 * found.ceiling:.1f} %")
    if found.skipped:
        say(f"{found.skipped:,} prompts skipped: fewer than two different answers")
    say(f"{out}: {len(found.rows):,} rankings by a {found.rows[0]['by']}")


def _serve(sampler: Sampler, todo: list[Prompt], out: Path, port: int, opens: bool) -> None:
    """Rank in a browser, until ctrl-C."""
    from curation.gpt3.instruct import answers

    try:
        from curation.web.ranking import Questions, serve_ranking
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "anyio"):
            raise
        raise MissingExtra("curation tune rank --browse", "browse") from error

    def record(number: int, texts: list[str], ranks: list[int]) -> None:
        answers.append(out, [answers.ranking_row(todo[number].prompt, texts, ranks)])

    questions = Questions(
        [prompt.prompt for prompt in todo], lambda number: sampler.answers(todo[number]), record
    )
    serve_ranking(questions, port, opens, say)


def _ask(sampler: Sampler, todo: list[Prompt], out: Path) -> None:
    """Show each prompt with its answers, and write the ranking that is typed."""
    from curation.gpt3.instruct import answers

    for number, prompt in enumerate(todo, 1):
        texts = sampler.answers(prompt)
        if len(texts) < 2:
            say(f"{prompt.where}: the model gives fewer than two different answers; skipped")
            continue
        _show(f"{number} of {len(todo)}", prompt.prompt, texts)
        ranks = _ranks(len(texts))
        if ranks is None:
            say(f"{out}: what you ranked is kept; the same command goes on")
            return
        if ranks:
            answers.append(out, [answers.ranking_row(prompt.prompt, texts, ranks)])
    say(f"{out}: no prompt is left")


def _show(title: str, prompt: str, texts: list[str]) -> None:
    from rich.panel import Panel
    from rich.text import Text

    screen = console()
    screen.print(Panel(Text(prompt), title=title))
    for letter, text in zip("abcdefghi", texts, strict=False):
        screen.print(Panel(Text(text), title=letter, title_align="left"))


def _ranks(count: int) -> list[int] | None:
    """The ranks that a person types; empty to skip, None to quit."""
    from curation.gpt3.instruct.answers import ranks_of

    say(KEYS.format(order="abcdefghi"[:count][::-1]))
    while True:
        try:
            typed = click.prompt("best to worst", prompt_suffix="> ").strip().lower()
        except click.Abort:
            return None
        if typed == "q":
            return None
        if typed == "s":
            return []
        try:
            return ranks_of(typed, count)
        except InputError as error:
            say(str(error))
