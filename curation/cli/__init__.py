"""The command line. Each command is one short function in a module of this folder, loaded when it is used.

Exit codes: 0 well, 1 with one clear sentence, 2 for a command line that cannot be understood, 128 and the signal's number
where it was interrupted: 130 for ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

import click

from curation.cli.console import KEPT, say
from curation.cli.lazy import LazyGroup, Sections
from curation.errors import CurationError, system_sentence
from curation.interrupts import task_runs
from curation.shown import masked, printable
from curation.version import __version__

# The commands by the heading of the help page that they stand under, in its order: where each is, and
# what it does in a line, so that the page imports none of them.
SECTIONS: Sections = {
    "The line": {
        "init": ("run:init", "Write a commented recipe, to fill in."),
        "plan": ("plan:plan", "What a recipe will take: hours, memory, disk, dollars."),
        "run": ("run:run", "Run a recipe into a run directory, or go on with it."),
        "submit": ("submit:submit", "Run a recipe as jobs of a scheduler."),
        "try": ("try_:try_", "What the line makes of the first pages of your files."),
        "export": ("export:export", "What a run keeps, in the format of another program."),
    },
    "One step on your own files": {
        "extract": ("extract:extract", "Text of archives, dumps, tables and pages."),
        "filter": ("filter:filter_", "Rules on measured signals, and masks."),
        "classify": ("steps:classify", "GPT-3's quality filter, with our model or yours."),
        "dedup": ("steps:dedup", "Remove near duplicates."),
        "decontaminate": ("steps:decontaminate", "Cut out what overlaps with benchmarks."),
        "tokenize": ("steps:tokenize", "Byte-pair tokens of every document."),
        "mix": ("mix:mix", "Token shards of several runs, by weight."),
    },
    "Look at a run": {
        "status": ("inspect:status", "How far a run is, and what it has cost so far."),
        "report": ("inspect:report", "One HTML page about a run, and the same as JSON."),
        "browse": ("browse:browse", "Look at a run in a browser."),
        "explain": ("inspect:explain", "What became of a document, with the evidence."),
        "sample": ("inspect:sample", "Random documents that were kept, or removed and why."),
        "clusters": ("inspect:clusters", "The largest clusters of duplicates."),
        "contamination": (
            "inspect:contamination",
            "Benchmark examples in the text, before and after cuts.",
        ),
        "diff": ("inspect:diff", "Two runs compared."),
        "check": ("inspect:check", "Check that a run is whole."),
        "reasons": ("inspect:reasons", "What the reasons of removed documents mean."),
    },
    "Label and fit": {
        "label": ("label:label", "Label documents, and see how good the quality filter is."),
        "model": ("quality:model", "What a quality model learned, and how well it does."),
        "alpha": ("quality:alpha", "What each alpha of the quality filter would keep."),
        "train-extractor": (
            "extractor:train_extractor",
            "Train the extractor from pages with their text.",
        ),
    },
    "Train and measure": {
        "train": ("train:train", "Train GPT-3 on token shards."),
        "generate": ("train:generate", "Write text with a trained model."),
        "evaluate": ("evaluate:evaluate", "Score a trained model on benchmarks."),
        "ablate": ("ablate:ablate", "Train on curated and on raw text, and compare."),
        "tune": ("tune:tune", "Train a model further, as GPT-1 and InstructGPT were."),
        "study": ("study:study", "Experiments on a trained model."),
    },
    "Tools": {
        "webtext-urls": (
            "webtext:webtext_urls",
            "Links of Reddit submissions, as GPT-2 took them.",
        ),
        "completion": ("completion:completion", "The script for TAB in bash, zsh or fish."),
    },
}
COMMANDS = [name for rows in SECTIONS.values() for name in rows]


FINISHED_KEPT = "What finished is kept: run the same command to go on."
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLEANING_S = 3.0
IMPORTING_S = 2.0


class _Interrupt:
    """ctrl-C, a scheduler's SIGTERM and a closed terminal end a command alike.

    What comes while it cleans up is ignored. A later one counts: a library that calls Python may
    have swallowed the first. Inside an import it waits for its end, two seconds at most: there, what
    is raised can end the process, or become another error.
    """

    def __init__(self) -> None:
        self._raised = -CLEANING_S
        self._asked: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._raised < CLEANING_S:
            return
        self._asked = self._asked or now
        if now - self._asked < IMPORTING_S and _is_importing(frame):
            again = threading.Timer(0.05, _send_to_main, [number])
            again.daemon = True
            again.start()
            return
        self._raised, self._asked = now, None
        raise KeyboardInterrupt(number)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a frame is inside an import, or inside Numba's loading of a compiled function."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib") or "llvmlite" in file:
            return True
        frame = frame.f_back
    return False


def _send_to_main(number: int) -> None:
    """Send a signal to the main thread, which it wakes where that waits."""
    signal.pthread_kill(threading.main_thread().ident or 0, number)


def _interrupt_of(error: BaseException | None) -> int | None:
    """The number of the signal that an error comes from, if any. Where it is raised in the midst of
    a library or a class, Python makes another error of it."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return error.args[0] if error.args else signal.SIGINT
        error = error.__cause__ or error.__context__
    return None


def _say_interrupted(ctx: click.Context) -> None:
    """Say what is kept. Signals that come from now on are ignored."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # the terminal may be gone
        say(f"\nInterrupted. {ctx.meta.get(KEPT, lambda: FINISHED_KEPT)()}", err=True)


def _close_stdout() -> None:
    """Let nothing more go to a pipe that nobody reads, also when Python ends and writes the rest."""
    with contextlib.suppress(OSError, ValueError):  # a captured output is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


class Commands(LazyGroup):
    """The commands of `curation`: turns what goes wrong into one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        before = {number: signal.getsignal(number) for number in INTERRUPTS}
        interrupt = _Interrupt()
        for number, handler in before.items():
            if handler in (signal.SIG_DFL, signal.default_int_handler):  # nohup ignores one
                signal.signal(number, interrupt)
        try:
            return self._in_sentences(ctx)
        except BrokenPipeError:  # `curation ... | head`: who read it has enough
            _close_stdout()
            before = {}
            ctx.exit(128 + signal.SIGPIPE)
        except BaseException as error:
            if (interrupted := _interrupt_of(error)) is None:
                raise
            before = {}
            _say_interrupted(ctx)
            if task_runs():
                os._exit(128 + interrupted)
            ctx.exit(128 + interrupted)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _in_sentences(self, ctx: click.Context) -> Any:
        """Run the command. What it raises for the person who called it is one sentence."""
        try:
            return super().invoke(ctx)
        except CurationError as error:
            raise click.ClickException(str(error)) from error
        except click.ClickException as error:  # what was typed stands in it
            shown = printable(masked(error.message), keep="\n")
            error.message = shown  # type: ignore[misc]  # final in click's own words
            raise
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(printable(masked(system_sentence(error)))) from error
        except Exception as error:
            if not type(error).__module__.startswith(("pyarrow", "duckdb", "_duckdb")):
                raise
            first = printable(masked(str(error).partition("\n")[0]))
            raise click.ClickException(
                f"{first}. If a file of a run is damaged, `curation check RUN` names it"
            ) from error


@click.group(
    cls=Commands,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="curation")
def main() -> None:
    """Common Crawl to token shards for a language model, by GPT-3's procedure.

    \b
      curation init recipe.toml; curation run recipe.toml --out RUN    the whole line
      curation dedup articles.jsonl.gz --out RUN                       one step
    """
