"""`curation tune vocabulary`: a byte-pair vocabulary learned from the text that a run keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from curation.cli.console import say
from curation.cli.options import number_option


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@number_option(
    "--size",
    default=2048,
    least=257,
    most=1_000_000,
    help="Tokens: the 256 bytes, the end of text, and what is learned.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The tokenizer.json to write.",
)
def vocabulary(inputs: tuple[str, ...], size: int, out: Path) -> None:
    """Learn a byte-pair vocabulary from text: a tokenizer.json for `tokenize.encoding`.

    INPUT is a run directory, which means what that run keeps, or files. A vocabulary as small as
    this one makes a small model faster: most of the weights of a model of a million parameters
    would be those of GPT-2's 50,257 tokens, and it would see most of them a few times only.

    \b
    Example:
      curation tune vocabulary RUN --size 2048 --out vocabulary.json
      curation tokenize RUN --encoding vocabulary.json --out TOKENS
    """
    from curation.api.read import read
    from curation.errors import InputError
    from curation.kernels import vocabularies

    if out.suffix != ".json":
        raise InputError(f"--out: a file that ends with .json expected, got {out}")
    documents = 0

    def texts() -> Iterator[str]:
        nonlocal documents
        for batch in read(list(inputs)):
            documents += batch.num_rows
            yield from batch.column("text").to_pylist()

    data = vocabularies.trained(texts(), size)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(data)
    made = vocabularies.load(data, out.name).n_vocab
    say(f"{out}: {made:,} tokens learned from {documents:,} documents")
