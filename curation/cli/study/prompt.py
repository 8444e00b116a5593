"""`curation study prompt`: one query, asked with a description and examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curation.cli.console import AGAIN, say, when_interrupted
from curation.cli.options import FILE, checkpoint_argument, device_option, number_option
from curation.shown import printable

if TYPE_CHECKING:
    from curation.gpt3.evaluate import Reader
    from curation.gpt3.prompts import Prompt


@click.command()
@checkpoint_argument
@click.option("--description", default="", help="What is to be done, before the examples.")
@click.option("--examples", type=FILE, help='Lines of JSON {"input": "...", "output": "..."}.')
@click.option("--shots", type=click.IntRange(0), help="The first so many.  [default: all]")
@click.option("--query", required=True, help="The input to be answered.")
@click.option("--score", "target", help="Print the loss of this answer.")
@click.option("--show", is_flag=True, help="Print the prompt and the length of its parts.")
@click.option("--input-label", default="Input:", show_default=True, help="Before each input.")
@click.option("--output-label", default="Output:", show_default=True, help="Before each output.")
@click.option(
    "--delimiter",
    default="\\n\\n",
    show_default=True,
    help="Between two parts, and ends the answer.",
)
@number_option("--max-tokens", default=50, least=1, help="Of the answer.")
@device_option
def prompt(
    checkpoint: Path,
    description: str,
    examples: Path | None,
    shots: int | None,
    query: str,
    target: str | None,
    show: bool,
    input_label: str,
    output_label: str,
    delimiter: str,
    max_tokens: int,
    device: str | None,
) -> None:
    """Answer one query with the model in CHECKPOINT: a description, K examples, the query
    (figure 2.1 of the GPT-3 paper). The answer is the likeliest text up to the delimiter. Where the
    prompt is too long for the model's window, the first examples are left out.

    \b
    Example:
      curation study prompt RUN/model --description "Translate English to French." \\
        --examples pairs.jsonl --query cheese --score fromage --show
    """
    from curation.cli.train import require_torch

    require_torch("curation study prompt")
    when_interrupted(lambda: AGAIN)
    from curation.errors import InputError
    from curation.gpt3.evaluate import open_reader
    from curation.gpt3.prompts import Form, fitting_prompt, read_examples

    form = Form(input_label, output_label, delimiter.replace("\\n", "\n").replace("\\t", "\t"))
    if not form.delimiter:
        raise InputError("--delimiter: a text between two parts expected, got none")
    pairs = read_examples(examples, shots) if examples and shots != 0 else []
    reader = open_reader(checkpoint, device)
    answer = 0 if target is None else reader.tokens(" " + target)
    room = reader.window - max(max_tokens, answer)
    asked = fitting_prompt(description, pairs, query, reader.tokens, room, form)
    if asked.dropped:
        say(f"Warning: {asked.dropped} of {len(pairs)} examples did not fit", err=True)
    if show:
        _show(asked, reader)
    if target is not None:
        [score] = reader.score([(asked.text, " " + target)])
        say(
            f"loss of {printable(target)}: {-score.log_probability / score.tokens:.4f} nats per "
            f"token, {-score.log_probability:.4f} in all {score.tokens}"
        )
    [text] = reader.answer([asked.text], [form.delimiter], max_tokens)
    click.echo(printable(text.strip(), keep="\n\t"))


def _show(asked: Prompt, reader: Reader) -> None:
    click.echo(printable(asked.text, keep="\n\t"))
    say(f"{'part':<14} {'characters':>10} {'tokens':>8}")
    for name, text in (*asked.parts, ("whole", asked.text)):
        say(f"{name:<14} {len(text):>10,} {reader.tokens(text):>8,}")
