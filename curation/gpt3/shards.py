"""Token shards: a folder, what its `shards.json` says of it, and shards of other programs.

A folder of token shards holds `shards.json` and, for each name in it, `NAME.bin` (little-endian
tokens, nothing else) and mostly `NAME.idx` (Megatron's indexed dataset layout, read here only to
see whether the `.bin` is whole, and of which type). Shards of nanoGPT and Megatron have no
`shards.json`: their encoding is named instead.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation import store
from curation.errors import InputError
from curation.kernels import vocabularies
from curation.kernels.indexed import read_index

HELD_OUT = ("val", "dev", "test")  # how names of shards begin that are not trained on
DTYPES: dict[str, np.dtype[Any]] = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}


@dataclass(frozen=True)
class Shards:
    """A folder of token shards, as its `shards.json` describes it; names are without the `.bin`."""

    folder: Path
    encoding: str
    vocabulary: int
    end_of_text: int
    dtype: np.dtype[Any]
    train: tuple[str, ...]
    validation: dict[str, tuple[str, ...]]
    # Shard -> its tokens at which an epoch begins, where shards.json has them.
    epochs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    # Where the encoding is a vocabulary in a file: that file.
    vocabulary_path: Path | None = None

    @property
    def encoding_path(self) -> str:
        """What `bpe.encoding` loads: the name, or the path of the vocabulary's file."""
        return self.encoding if self.vocabulary_path is None else str(self.vocabulary_path)

    def tokens(self, name: str) -> int:
        """How many tokens the shard holds, judged by the size of its file."""
        return self.path(name).stat().st_size // self.dtype.itemsize

    @property
    def names(self) -> tuple[str, ...]:
        """All shards, those for training first."""
        return *self.train, *(name for names in self.validation.values() for name in names)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.bin"

    def digest(self) -> str:
        """sha256 of what a position in the train shards depends on: the shards themselves.

        That is encoding, token type, and the name, length, content and epochs of each, in their
        order.
        """
        noted = _noted_sha256(self.folder)
        parts = [
            [
                *(name, self.tokens(name), noted.get(name) or store.sha256(str(self.path(name)))),
                *([list(self.epochs[name])] if self.epochs.get(name) else ()),
            ]
            for name in self.train
        ]
        text = json.dumps([self.encoding, self.vocabulary, self.dtype.str, parts])
        return hashlib.sha256(text.encode()).hexdigest()


def _noted_sha256(folder: Path) -> dict[str, str]:
    """Shard -> sha256 of its `.bin`, from the manifest that `mix` writes last.

    A shard that is newer than the manifest is left out, and so are all where the manifest cannot be
    read: their content must be.
    """
    manifest = folder / "manifest.parquet"
    if not manifest.is_file():
        return {}
    try:
        rows = store.read_table(str(manifest), ["name", "sha256"]).to_pylist()
    except (pa.ArrowInvalid, KeyError):
        return {}
    written = manifest.stat().st_mtime_ns
    files = ((row, folder / f"{row['name']}.bin") for row in rows)
    return {
        row["name"]: row["sha256"]
        for row, file in files
        if file.is_file() and file.stat().st_mtime_ns <= written
    }


def open_shards(path: Path, encoding: str | None = None) -> Shards:
    """The token shards in `path`, a folder with `shards.json` or a run directory with `shards/` in
    it; or, where their `encoding` is named, shards of another program (`foreign.py`).

    Raises InputError when a file is missing, of another size than its index says, or not what was
    announced.
    """
    folder = next((f for f in (path, path / "shards") if (f / "shards.json").is_file()), None)
    if folder is None and encoding is not None:
        shards = foreign_shards(path, encoding)
        for name in shards.names:
            _check_shard(shards, name)
        return shards
    if folder is None:
        raise InputError(
            f"{path} holds no token shards (no shards.json in it nor in its folder shards/); "
            "give a run directory after `curation mix`, or the folder itself, or shards of nanoGPT "
            "or Megatron with --encoding"
        )
    listing = folder / "shards.json"
    try:
        raw = json.loads(listing.read_bytes())
        dtype = str(raw["dtype"])
        if dtype not in DTYPES:
            raise InputError(f"{listing}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        shards = Shards(
            folder=folder,
            encoding=str(raw["encoding"]),
            vocabulary=int(raw["vocabulary"]),
            end_of_text=int(raw["end_of_text"]),
            dtype=DTYPES[dtype],
            train=tuple(raw["train"]),
            validation={str(name): tuple(parts) for name, parts in raw["validation"].items()},
            epochs={
                str(name): tuple(map(int, places)) for name, places in raw.get("epochs", {}).items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{listing} is not a list of token shards ({type(error).__name__}: {error}); run "
            "`curation mix` again"
        ) from error
    shards = _with_vocabulary(shards, encoding)
    for name in shards.names:
        _check_shard(shards, name)
    tokens = sum(shards.tokens(name) for name in shards.train)
    if raw.get("tokens", tokens) != tokens:
        raise InputError(
            f"{listing} announces {raw['tokens']:,} training tokens, but its files hold {tokens:,} "
            f"of {dtype}: they are of another dtype, or cut short; run `curation mix` again"
        )
    return shards


def _with_vocabulary(shards: Shards, asked: str | None) -> Shards:
    """The shards with their vocabulary's file; refuses another encoding than theirs."""
    if not vocabularies.is_file(shards.encoding):
        if asked not in (None, shards.encoding):
            raise InputError(f"{shards.folder} is of encoding {shards.encoding!r}, not {asked!r}")
        return shards
    path = shards.folder / shards.encoding
    data = vocabularies.read(str(path))
    if vocabularies.stored_name(data, shards.encoding) != shards.encoding:
        raise InputError(
            f"{path} is not the file that the shards were encoded with; mix them again"
        )
    return replace(shards, vocabulary_path=path)


def foreign_shards(path: Path, encoding: str) -> Shards:
    """Shards of another program in a folder: nanoGPT's `train.bin` and `val.bin`, or Megatron's
    `NAME.bin` with `NAME.idx`, whose `encoding` is a name, or the path of a vocabulary.

    Names that begin with val, dev or test are held out. Without an index tokens have 16 bits, or 32
    where the vocabulary is larger. No epochs are known.
    """
    from curation.kernels import bpe

    names = sorted(file.stem for file in path.glob("*.bin"))
    held_out = tuple(name for name in names if name.startswith(HELD_OUT))
    train = tuple(name for name in names if name not in held_out)
    if not train:
        raise InputError(
            f"{path} holds no token shards: no shards.json, and no .bin file for training in it; "
            "give a folder with train.bin of nanoGPT's, or .bin and .idx of Megatron's"
        )
    coder, name, file = bpe.encoding(encoding), encoding, None
    if vocabularies.is_file(encoding):
        file = Path(encoding)
        name = vocabularies.stored_name(vocabularies.read(encoding), encoding)
    return Shards(
        folder=path,
        encoding=name,
        vocabulary=coder.n_vocab,
        end_of_text=coder.eot_token,
        dtype=_foreign_dtype(path, names, coder.n_vocab),
        train=train,
        validation={"validation": held_out} if held_out else {},
        vocabulary_path=file,
    )


def _foreign_dtype(path: Path, names: list[str], vocabulary: int) -> np.dtype[Any]:
    """The token type of the indexes, or the one that a vocabulary needs."""
    dtypes = {}
    for name in names:
        index = path / f"{name}.idx"
        dtypes[name] = DTYPES["uint16" if vocabulary <= 1 << 16 else "uint32"]
        if index.is_file():
            try:
                dtypes[name] = read_index(index.read_bytes())[1].newbyteorder("<")
            except ValueError as error:
                raise InputError(f"{index}: {error}; write it again") from error
    kinds = {str(dtype): name for name, dtype in dtypes.items()}
    if len(kinds) > 1:
        raise InputError(f"{path}: tokens of one type expected, got {', '.join(kinds)}")
    kind = np.dtype(next(iter(kinds)))
    if kind == np.dtype("<i4"):  # Megatron has no unsigned 32 bits
        kind = DTYPES["uint32"]
    if kind not in DTYPES.values():
        raise InputError(f"{path}: tokens of 16 or 32 bits expected, got {kind.name}")
    return kind


def _check_shard(shards: Shards, name: str) -> None:
    path = shards.path(name)
    if not path.is_file():
        raise InputError(
            f"{path} is listed in shards.json but is not there; run `curation mix` again"
        )
    size, width = path.stat().st_size, shards.dtype.itemsize
    if size % width:
        raise InputError(
            f"{path} has {size:,} bytes, not a multiple of {width} as {shards.dtype.name} tokens "
            "need: it is cut short or of another dtype; run `curation mix` again"
        )
    announced = _index_tokens(path.with_suffix(".idx"))
    if announced is not None and announced * width != size:
        raise InputError(
            f"{path} has {size:,} bytes, but its .idx announces {announced:,} tokens of {width} "
            f"bytes ({announced * width:,} bytes): it is cut short or of another dtype; run "
            "`curation mix` again"
        )


def _index_tokens(path: Path) -> int | None:
    """The number of tokens a Megatron index announces; None where there is no index."""
    if not path.is_file():
        return None
    try:
        lengths, _ = read_index(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path}: {error}; run `curation mix` again") from error
    return int(lengths.sum())


def keep_vocabulary(shards: Shards, out: Path) -> None:
    """Copy the vocabulary's file, without which a model has no words, beside its checkpoints."""
    if shards.vocabulary_path is not None and not (out / shards.encoding).exists():
        shutil.copyfile(shards.vocabulary_path, out / shards.encoding)
