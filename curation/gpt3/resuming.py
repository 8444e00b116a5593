"""Going on in a folder that holds checkpoints, or beginning in a new one: what the trainings of
`curation tune` share.

A command first reads and checks all that it was given, then asks `resumable`, which only reads, and
then calls `begin_in`, which is the first to write. So a refused command leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from curation.errors import RunError
from curation.gpt3 import checkpoint
from curation.shown import brief

Give = Callable[[Path], None]
# Keys of a config that are digests, by the argument of the command that they are of.
DIGESTS = {
    "start": "CHECKPOINT",
    "from": "CHECKPOINT",
    "train": "--train",
    "reward": "--reward",
    "demonstrations": "--demonstrations",
    "shards": "--pretrain",
}
DATA = {"sft": "--demonstrations", "reward": "--rankings", "ppo": "--prompts"}


def nothing(out: Path) -> None:
    """What a training without a vocabulary of its own puts into `out`."""


def resumable(out: Path, config: Mapping[str, Any]) -> checkpoint.State | None:
    """The newest state in `out`, None where there is none.

    Raises InputError where it is no folder to train into, RunError where it is of another training,
    with what differs.
    """
    checkpoint.need_own_folder(out)
    folders = checkpoint.steps(out)
    if not folders:
        return None
    state = checkpoint.read_state(folders[-1])
    there, here = (f"curation {_command(one)}" for one in (state.config, config))
    if there != here:
        raise RunError(
            f"{out} holds checkpoints of `{there}`, not of `{here}`; train into another folder"
        )
    if differences := list(_differences(state.config, config)):
        raise RunError(
            f"{out} holds checkpoints of another training ({'; '.join(differences)}); train into "
            "another folder, or repeat the options, files and models that it was started with"
        )
    return state


def begin_in(out: Path, give: Give = nothing) -> None:
    """Make `out`, remove what an interrupted training left unfinished in it, and give it what
    stands beside its checkpoints."""
    out.mkdir(parents=True, exist_ok=True)
    checkpoint.remove_unfinished(out)
    give(out)


def _command(config: Mapping[str, Any]) -> str:
    """The command that makes checkpoints of a config."""
    kind = config.get("kind")
    return f"tune {brief(kind)}".replace("'", "") if kind else "train"


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """What differs, in words: options by their names; the size only where no option explains it."""
    options = _of(there, "options"), _of(here, "options")
    names = [n for n in {**options[0], **options[1]} if options[0].get(n) != options[1].get(n)]
    for name in names:
        yield _said(f"--{name.replace('_', '-')}", options[0].get(name), options[1].get(name))
    for key in {**there, **here}:
        if key == "options" or there.get(key) == here.get(key):
            continue
        argument = DATA.get(str(here.get("kind"))) if key == "data" else DIGESTS.get(key)
        if argument and there.get(key) and here.get(key):
            yield f"{argument} was another one there"
        elif argument:
            yield f"{argument} was {'not ' if not there.get(key) else ''}given there"
        elif key == "task":
            yield _said("--task", there.get(key), here.get(key))
        elif key != "size":
            yield _said(key, there.get(key), here.get(key))
        else:
            sizes = _of(there, key), _of(here, key)
            fields = [n for n in {**sizes[0], **sizes[1]} if sizes[0].get(n) != sizes[1].get(n)]
            yield from (
                _said(n, sizes[0].get(n), sizes[1].get(n)) for n in fields if n not in names
            )


def _of(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    return found if isinstance(found, Mapping) else {}


def _said(name: str, there: object, here: object) -> str:
    return f"{name} is {brief(there)} there and {brief(here)} here"
