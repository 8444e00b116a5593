"""The learned extractor: training it from pages with their true text, and looking at what it makes of one page."""

from __future__ import annotations

import click

from curation.cli.console import say


@click.command("train-extractor")
@click.argument("pages", nargs=-1, required=True, metavar="PAGES.parquet...")
@click.option(
    "--out",
    required=True,
    help="The model to write, an .npz file; its card goes beside it as .json.",
)
@click.option(
    "--folds/--no-folds",
    default=True,
    show_default=True,
    help="Score it by leaving out each source in turn.",
)
@click.option(
    "--trees",
    type=(int, int),
    default=(60, 100),
    show_default=True,
    help="Trees of the first and the second forest.",
)
@click.option(
    "--only-score",
    multiple=True,
    metavar="SOURCE",
    help="A source to score but not to learn from; may be repeated.",
)
@click.option("--seed", type=int, default=0, show_default=True)
def train_extractor(
    pages: tuple[str, ...],
    out: str,
    folds: bool,
    trees: tuple[int, int],
    only_score: tuple[str, ...],
    seed: int,
) -> None:
    """Train the extractor `blocks` from tables of pages with the columns html, truth and source (content_type and license may be there).

    Needs three sources or more: what the second forest learns from is what the first one says of sources it has not seen.

    \b
    Example:
      curation train-extractor pages.parquet mixed.parquet --out blocks.npz
    """
    from curation.tools import train_extractor as blocks_training

    how = blocks_training.Forests(trees=trees, seed=seed)
    card = blocks_training.train_files(
        pages,
        out,
        how,
        lambda line: say(line, err=True),
        folds=folds,
        only_scored=only_score,
    )
    for source, row in card["scores"].items():
        say(
            f"{row['f1']:.3f} F1 ({row['precision']:.3f} precision, {row['recall']:.3f} recall)  {source}"
        )
    say(f"{out}: {card['bytes']:,} bytes")


def show_page(page: str, out: str) -> None:
    """Write the blocks of one page (an .html file), or of each page of an archive, as a coloured
    page."""
    import os

    import curation
    from curation import store
    from curation.errors import InputError
    from curation.readers.formats import is_archive
    from curation.readers.records import PageError
    from curation.web.blocks import blocks_page

    if is_archive(page):
        return _show_archive(page, out)
    try:
        blocks = curation.extract_blocks(store.read_bytes(page))
    except PageError as error:
        raise InputError(f"{page}: no text can be taken from this page ({error})") from error
    html = blocks_page(os.path.basename(page), [("", blocks)])
    store.write_bytes(out, html.encode("utf-8", "replace"))
    say(f"{out}: {sum(block.kept for block in blocks)} of {len(blocks)} blocks kept")
    return None


SHOWN = 100  # records of an archive: a browser opens no page of ten thousand


def _show_archive(archive: str, out: str) -> None:
    """Write the blocks of an archive's first pages, record by record."""
    import os
    from itertools import islice

    import curation
    from curation import store
    from curation.errors import InputError
    from curation.readers.records import Page, PageError
    from curation.readers.warc import read_archive
    from curation.recipe.tables import ExtractConfig
    from curation.web.blocks import blocks_page

    shown, lost = [], 0
    with store.open_input(archive) as stream:
        records = read_archive(stream, archive, max_page_bytes=ExtractConfig().max_page_bytes)
        pages = (record for record in records if isinstance(record, Page))
        for page in islice(pages, SHOWN):
            try:
                blocks = curation.extract_blocks(page.body, content_type=page.content_type)
                shown.append((page.url or f"record at byte {page.offset}", blocks))
            except PageError:
                lost += 1
    if not shown:
        raise InputError(f"{archive}: no text can be taken from a page of it")
    name = os.path.basename(archive)
    store.write_bytes(out, blocks_page(name, shown).encode("utf-8", "replace"))
    more = f", {lost} more have no text" if lost else ""
    say(f"{out}: the first {len(shown)} pages of {name}, record by record{more}")
