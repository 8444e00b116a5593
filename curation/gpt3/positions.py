"""Which windows, and so which tokens of which shards, each step of a model saw.

A step takes the next windows in visiting order (`data.py`), so its log line, which has the tokens
seen after it and its batch, says which. Nothing here imports torch: `curation explain MODEL` works
without it. The documents those tokens are of are known to the run that mixed the shards
(`inspect/evidence/placing.py`).

Cost: the log, and the order of the shards that are asked about.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.errors import MISSHAPEN, InputError, RunError
from curation.gpt3.data import Windows, open_shards, windows
from curation.kernels import vocabularies
from curation.shown import brief

NOTED = "shards_folder"  # the key of a checkpoint's config that says where the shards were


@dataclass(frozen=True)
class Span:
    """Tokens [start, end) of a shard."""

    shard: str
    start: int
    end: int


@dataclass(frozen=True)
class Steps:
    """The steps of a model and the windows they saw: step i those at ends[i - 1] .. ends[i] in
    visiting order; ends[0] is 0."""

    windows: Windows
    ends: NDArray[np.int64]

    @property
    def last(self) -> int:
        return len(self.ends) - 1

    def spans(self, step: int) -> list[Span]:
        """The tokens that a step read, window by window; a window over the end of a shard is more
        than one span. InputError for a step that the model does not have."""
        if not 1 <= step <= self.last:
            raise InputError(f"a step from 1 to {self.last:,} expected, got {step:,}")
        first, last = (int(end) for end in self.ends[step - 1 : step + 1])
        found = []
        for number in self.windows.visited(first, last - first).tolist():
            start = number * self.windows.context
            found += self._spans(start, start + self.windows.context + 1)
        return found

    def _spans(self, start: int, end: int) -> list[Span]:
        """Tokens [start, end) of the stream, by shard."""
        starts = self.windows.starts
        shard = int(np.searchsorted(starts, start, side="right")) - 1
        found = []
        while start < end:
            stop = min(end, starts[shard + 1])
            if start < stop:
                found.append(
                    Span(self.windows.names[shard], start - starts[shard], stop - starts[shard])
                )
            start, shard = stop, shard + 1
        return found

    def that_saw(self, span: Span) -> list[int]:
        """The steps that read a token of `span`, in their order; a token at the end of a window is
        the first of the next, so two windows may have it."""
        if span.start >= span.end:
            return []
        # Window k holds tokens k * context .. (k + 1) * context of the stream.
        start = self.windows.starts[self.windows.names.index(span.shard)]
        first = max(0, (start + span.start - 1) // self.windows.context)
        last = min((start + span.end - 1) // self.windows.context, len(self.windows) - 1)
        positions = self.windows.positions(np.arange(first, last + 1))
        steps = np.searchsorted(self.ends, positions, side="right")
        found: list[int] = np.unique(steps[steps <= self.last]).tolist()
        return found


def is_model(path: Path) -> bool:
    """Whether `path` is what `train` wrote into, or one of its checkpoints."""
    return (path / "state.json").is_file() or bool(_checkpoints(path))


def steps_of(path: Path, shards: Path | None = None) -> Steps:
    """The steps of the model in `path`, a folder that `train` wrote into or one of its checkpoints.

    `shards` is where its shards are now; without it, where they were. Raises InputError where the
    log is not there, and RunError where the shards are not those that it was trained on.
    """
    folder, state = _newest_state(path)
    try:
        config, steps = state["config"], int(state["step"])
        context, seed = int(config["size"]["context"]), int(config["seed"])
        digest, noted = str(config["shards_sha256"]), config.get(NOTED)
        encoding = str(config["encoding"])
    except MISSHAPEN as error:
        raise InputError(
            f"{folder / 'state.json'} is not a checkpoint's state ({brief(error)})"
        ) from error
    if shards is None and noted is None:
        raise InputError(f"{path} does not say where its shards are; give them with --run")
    where = shards or Path(noted)
    foreign = not any((folder / "shards.json").is_file() for folder in (where, where / "shards"))
    opened = open_shards(where, vocabulary_beside(folder, encoding) if foreign else None)
    if opened.digest() != digest:
        raise RunError(
            f"{path} was trained on other shards than those in {opened.folder} now; give the run "
            "that it was trained on with --run"
        )
    ends = _ends(folder.parent / "log.jsonl", steps, context)
    return Steps(windows(opened, opened.train, context, seed), ends)


def vocabulary_beside(folder: Path, encoding: str, noted: str | None = None) -> str:
    """What `bpe.encoding` loads for a checkpoint in `folder`: the name of its encoding, or the file
    of its vocabulary, which lies in it, beside it, or with the shards.

    Raises InputError where that file is in none of them.
    """
    if not vocabularies.is_file(encoding):
        return encoding
    places = [folder, folder.parent, *([Path(noted)] if noted else [])]
    for place in places:
        if (place / encoding).is_file():
            return str(place / encoding)
    raise InputError(
        f"{encoding} expected in {folder} or beside it, the vocabulary that the model was trained "
        "with; copy it there from its shards"
    )


def copy_vocabulary(folder: Path, encoding: str, noted: str | None, out: Path) -> None:
    """Put the file of a checkpoint's vocabulary, where it has one, beside those made from it."""
    file = vocabulary_beside(folder, encoding, noted)
    if file != encoding and not (out / encoding).exists():
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, out / encoding)


def _checkpoints(path: Path) -> list[Path]:
    return sorted(path.glob("step-*/state.json"), key=lambda file: (len(str(file)), file))


def _newest_state(path: Path) -> tuple[Path, dict[str, Any]]:
    """The folder and the state of a checkpoint, the newest one in a folder of several."""
    file = path / "state.json"
    if not file.is_file():
        files = _checkpoints(path)
        if not files:
            raise InputError(f"{path} holds no checkpoint; expected folders named step-... in it")
        file = files[-1]
    try:
        return file.parent, dict(json.loads(file.read_bytes()))
    except MISSHAPEN as error:
        raise InputError(f"{file} is not a checkpoint's state ({brief(error)})") from error


def _ends(log: Path, steps: int, context: int) -> NDArray[np.int64]:
    """How many windows were read after each step of the log, 0 before the first."""
    if not log.is_file():
        raise InputError(
            f"{log} expected, which says how many tokens each step read; put it back beside the "
            "checkpoints"
        )
    ends = np.full(steps + 1, -1, np.int64)
    ends[0] = 0
    with log.open() as lines:
        for line in lines:
            row = json.loads(line) if line.endswith("\n") else {}
            if "batch_tokens" in row and 1 <= row["step"] <= steps:
                ends[row["step"]] = row["tokens"] // context
    if (np.diff(ends) <= 0).any():
        missing = int(np.flatnonzero(np.diff(ends) <= 0)[0]) + 1
        raise InputError(
            f"{log}: a line for each of the {steps:,} steps expected, none for {missing:,}"
        )
    return ends
