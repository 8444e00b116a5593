"""The result of `curation ablate` on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from curation.inspect.evidence.ablation import Ablation, loss_listing, verdicts
from curation.inspect.terminal.tables import table_of


def ablation_parts(result: Ablation) -> Iterator[RenderableType]:
    """The losses, and a sentence for each arm."""
    yield table_of(loss_listing(result))
    yield from map(Text, verdicts(result))
