"""Progress on the terminal: a line for each step of a small command, one line for a whole run.

Where there is no terminal: a line for each step that ended; of a run a line for each stage, and one a
minute between them.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from curation.cli.console import console
from curation.shown import masked

if TYPE_CHECKING:
    from rich.live import Live
    from rich.progress import TaskID

MINUTE_S = 60.0  # between two lines in a log
FIRST_S = 3.0  # before the first one: kernels may be compiled for most of a minute


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


class RunLine:
    """The one line of a run, or of a training: `show` gets it anew whenever something happened. Called
    with (label, done, total) by what is before the stages: downloads."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._live: Live | None = None
        self._shown = time.monotonic() - MINUTE_S + FIRST_S
        self._has_begun = False

    def __call__(self, label: str, done: int, total: int) -> None:
        if not self._has_begun and total:
            self._put(f"{label}, {done:,} of {total:,}", False)

    def tell(self, line: str) -> None:
        """Put a line in place of the last one."""
        self.show(line, False)

    def show(self, line: str, keep: bool) -> None:
        """Put a line in place of the last one; one to keep stays above it."""
        self._has_begun = True
        self._put(line, keep)

    def _put(self, line: str, keep: bool) -> None:
        from rich.text import Text

        text = Text(masked(line), no_wrap=True, overflow="ellipsis")
        if keep:
            self._console.print(text)
        elif self._live is not None:
            self._live.update(text)
        elif time.monotonic() - self._shown >= MINUTE_S:
            self._shown = time.monotonic()
            self._console.print(text)

    def say(self, line: str) -> None:
        self._console.print(masked(line), highlight=False, soft_wrap=True)

    def __enter__(self) -> RunLine:
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live("", console=self._console, transient=True, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
