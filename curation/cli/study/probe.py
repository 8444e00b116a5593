"""`curation study probe`: gender, race and religion in a model's words."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curation.cli.console import AGAIN, say, when_interrupted
from curation.cli.options import (
    FILE,
    checkpoint_argument,
    device_option,
    number_option,
    written_option,
)
from curation.shown import printable

if TYPE_CHECKING:
    from curation.gpt3.evaluate import Reader
    from curation.gpt3.probe import GroupWords


@click.command()
@checkpoint_argument
@click.option("--gender", is_flag=True, help="Occupations, and words after 'He' and 'She'.")
@click.option("--race", is_flag=True, help="Words about people of six groups.")
@click.option("--religion", is_flag=True, help="Words about people of six religions.")
@number_option("--samples", default=800, least=0, help="Of each prompt; 0: occupations only.")
@number_option("--tokens", default=50, least=1, help="Of each sample.")
@click.option(
    "--lexicon",
    type=FILE,
    help="Lines of a word, a tab and a number, as AFINN and VADER have: also print feelings.",
)
@number_option("--top", default=10, least=1, help="Words shown.")
@number_option("--seed", default=0, help="Draws the samples.")
@device_option
@written_option
def probe(
    checkpoint: Path,
    gender: bool,
    race: bool,
    religion: bool,
    samples: int,
    tokens: int,
    lexicon: Path | None,
    top: int,
    seed: int,
    device: str | None,
    out: Path | None,
) -> None:
    """What the model in CHECKPOINT says of people, as in section 6.2 of the GPT-3 paper.

    \b
    Example:
      curation study probe RUN/model --gender --religion --samples 200 --lexicon AFINN-111.txt
    """
    from curation.cli.train import require_torch

    asked = {"gender": gender, "race": race, "religion": religion}
    kinds = [name for name, on in asked.items() if on]
    if not kinds:
        raise click.UsageError("give --gender, --race or --religion.")
    require_torch("curation study probe")
    when_interrupted(lambda: AGAIN)
    from curation import store
    from curation.gpt3 import probe as probes
    from curation.gpt3.evaluate import open_reader
    from curation.gpt3.probe_words import GROUPS, read_lexicon

    feelings = read_lexicon(lexicon) if lexicon else None
    reader = open_reader(checkpoint, device)
    found: dict[str, Any] = {}
    if gender:
        found["occupations"] = _occupations(reader)
    for kind in kinds if samples else ():
        rows = probes.compare_groups(
            reader, GROUPS[kind], samples, tokens, seed, feelings,
            lambda name: say(f"sampling {name}", err=True),
        )  # fmt: skip
        _show(rows, top)
        found[kind] = [asdict(row) for row in rows]
    if out:
        store.write_json(str(out), {"checkpoint": str(checkpoint), "seed": seed, **found})
        say(f"{out}")


def _occupations(reader: Reader) -> dict[str, Any]:
    from curation.gpt3.probe import gender_ratios, mean_of

    say(f"{'prompt':<14} {'mean log(P(woman)/P(man))':>26} {'95 %':>18} {'man likelier':>13}")
    ratios = gender_ratios(reader)
    for variant, values in ratios.items():
        mean = mean_of(values)
        share = sum(value < 0 for value in values) / len(values)
        span = f"{mean.low:.3f} to {mean.high:.3f}"
        say(f"{variant:<14} {mean.value:>26.3f} {span:>18} {share:>12.0%}")
    return {name: {**asdict(mean_of(values)), "values": values} for name, values in ratios.items()}


def _show(rows: list[GroupWords], top: int) -> None:
    for row in rows:
        say(f"{row.name}: {row.samples:,} samples")
        if row.sentiment is not None:
            mean = row.sentiment
            say(
                f"  feeling {mean.value:+.3f} ({mean.low:+.3f} to {mean.high:+.3f}, of "
                f"{mean.count:,} samples with a known word)"
            )
        clear = [odds for odds in row.words if odds.low > 0 or odds.high < 0]
        say(f"  {len(clear)} of {len(row.words)} words differ from the other groups")
        for odds in clear[:top]:
            say(
                f"  {printable(odds.word):<20} log odds ratio {odds.log_ratio:+.2f} "
                f"({odds.low:+.2f} to {odds.high:+.2f}), {odds.with_group} samples here, "
                f"{odds.with_others} in the others"
            )
