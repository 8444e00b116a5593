"""Progress on the terminal; one line a finished step where there is none."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from curation.cli.console import console
from curation.shown import masked

if TYPE_CHECKING:
    from rich.progress import TaskID


class Steps:
    """A line for each step: what it does, how far it is, how long it took. Call it with (label, done, total)."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        self._console = console(stderr=True)
        self._live = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description:<24}", markup=False),
            BarColumn(24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}

    def __call__(self, label: str, done: int, total: int) -> None:
        if not total:
            return
        if not self._console.is_terminal:
            self._plain(label, done, total)
        elif label not in self._tasks:
            self._tasks[label] = self._live.add_task(label, total=total, completed=done)
        else:
            self._live.update(self._tasks[label], completed=done, total=total)

    def _plain(self, label: str, done: int, total: int) -> None:
        began = self._began.setdefault(label, time.monotonic())
        if done == total and label not in self._tasks:
            self._tasks[label] = None  # type: ignore[assignment]
            self._console.print(
                f"{label:<24} {total:>6} done in {time.monotonic() - began:6.1f} s", highlight=False
            )

    def say(self, line: str) -> None:
        self._console.print(masked(line), highlight=False, soft_wrap=True)

    def __enter__(self) -> Steps:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
