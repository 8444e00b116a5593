"""Token files by the layouts that trainers publish: the tokens of the mixture, in its order."""

from __future__ import annotations

import csv
import gzip
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import store
from curation.formats.export import export
from curation.formats.tokens import ends_in_front, llmc_header
from curation.kernels import indexed
from curation.kernels.bpe import encoding
from curation.rundir.kept import kept_documents
from curation.rundir.plan import read

END = 50256


def mixture(run: Path, split: str) -> dict[str, np.ndarray[Any, Any]]:
    """The shards of a run that have tokens, in the order of its manifest."""
    names = store.read_table(str(run / "shards" / "manifest.parquet"), ["name"]).column(0)
    chosen = [name for name in names.to_pylist() if name.startswith(split)]
    shards = {name: np.fromfile(run / "shards" / f"{name}.bin", "<u2") for name in chosen}
    return {name: tokens for name, tokens in shards.items() if len(tokens)}


def lengths(run: Path, name: str) -> list[int]:
    return list(indexed.read_index((run / "shards" / f"{name}.idx").read_bytes())[0])


def llmc_tokens(path: Path) -> np.ndarray[Any, Any]:
    """As modded-nanogpt and llm.c read a shard: 256 integers, then 16-bit tokens."""
    data = path.read_bytes()
    magic, version, count = struct.unpack_from("<3i", data)
    assert (magic, version) == (20240520, 1)
    tokens = np.frombuffer(data, "<u2", offset=1024)
    assert len(tokens) == count
    return tokens


def documents(tokens: np.ndarray[Any, Any], in_front: bool = False) -> Iterator[tuple[int, ...]]:
    """Sequences between end-of-text tokens, without them."""
    text = " ".join("|" if t == END else str(t) for t in tokens.tolist())
    for part in text.strip("| ").split("|"):
        yield tuple(map(int, part.split()))


def test_olmo_memmaps_the_mixture_and_knows_its_documents(tiny_run: Path, tmp_path: Path) -> None:
    """OLMo-core: a memmap of token ids; `start,end,...` a line in the .csv.gz beside it."""
    export(tiny_run, "olmo", tmp_path)
    for name, tokens in {**mixture(tiny_run, "train"), **mixture(tiny_run, "validation")}.items():
        found = np.memmap(tmp_path / f"{name}-000.npy", np.uint16, "r")
        assert np.array_equal(found, tokens)
        with gzip.open(tmp_path / f"{name}-000.csv.gz", "rt") as file:
            rows = [(int(row[0]), int(row[1])) for row in csv.reader(file)]
        ends = np.cumsum(lengths(tiny_run, name)).tolist()
        assert rows == list(zip([0, *ends], ends, strict=False))


def test_olmo_of_documents_names_them(tiny_run: Path, tmp_path: Path) -> None:
    export(tiny_run, "olmo", tmp_path, tokens_from="documents", validation=0)
    rundir, plan = read(str(tiny_run))
    texts = [r for b in kept_documents(rundir, plan, ["id", "text"]) for r in b.to_pylist()]
    found = []
    for dataset in ("wiki", "books", "crawl"):
        stem = f"train-{dataset}-00000-000"
        tokens = np.fromfile(tmp_path / f"{stem}.npy", "<u2").tolist()
        with gzip.open(tmp_path / f"{stem}.csv.gz", "rt") as file:
            for start, end, id_, source, _ in csv.reader(file):
                assert source == f"{dataset}-00000"
                assert tokens[int(end) - 1] == END
                text = encoding("gpt2").decode(tokens[int(start) : int(end) - 1])
                found.append((id_, text))
    assert found == [(row["id"].partition("/")[0], row["text"]) for row in texts]


def test_llmc_has_the_end_of_text_before_each_document(tiny_run: Path, tmp_path: Path) -> None:
    export(tiny_run, "llmc", tmp_path)
    for name, tokens in mixture(tiny_run, "train").items():
        found = llmc_tokens(tmp_path / f"{name}-000.bin")
        assert found[0] == END
        assert list(documents(found)) == list(documents(tokens))
    assert sorted(p.name for p in tmp_path.glob("validation-*.bin"))


def test_megatron_files_are_those_of_the_run(tiny_run: Path, tmp_path: Path) -> None:
    export(tiny_run, "megatron", tmp_path)
    for name in [*mixture(tiny_run, "train"), *mixture(tiny_run, "validation")]:
        for ending in (".bin", ".idx"):
            original = (tiny_run / "shards" / (name + ending)).read_bytes()
            assert (tmp_path / f"{name}-000{ending}").read_bytes() == original


def test_nanogpt_has_one_file_a_split(tiny_run: Path, tmp_path: Path) -> None:
    """As train.py reads them: memmaps of uint16."""
    made = export(tiny_run, "nanogpt", tmp_path, max_file_mb=1)
    assert made.files == ("train.bin", "val.bin")
    for split, name in (("train", "train.bin"), ("validation", "val.bin")):
        found = np.memmap(tmp_path / name, np.uint16, "r")
        assert np.array_equal(found, np.concatenate(list(mixture(tiny_run, split).values())))


def test_datatrove_has_the_ends_of_documents(tiny_run: Path, tmp_path: Path) -> None:
    """`.ds` of tokens, `.ds.index` of 64-bit ends, `.ds.metadata` with tokenizer and token size."""
    export(tiny_run, "datatrove", tmp_path)
    for name, tokens in mixture(tiny_run, "train").items():
        path = tmp_path / "tokens" / f"{name}-000.ds"
        assert np.array_equal(np.fromfile(path, "<u2"), tokens)
        ends = np.fromfile(f"{path}.index", "<u8").tolist()
        assert ends == np.cumsum(lengths(tiny_run, name)).tolist()
        told = Path(f"{path}.metadata").read_text().splitlines()
        assert told[:2] == ["gpt2|2", str(len(tokens))]


def test_a_mixture_of_other_runs_has_tokens_and_no_texts(mixed_run: Path, tmp_path: Path) -> None:
    made = export(mixed_run, "datatrove", tmp_path / "out")
    assert made.documents == 0
    assert made.tokens == sum(map(len, mixture(mixed_run, "").values()))


def test_a_vocabulary_of_32_bits_has_the_header_of_those() -> None:
    assert struct.unpack_from("<3i", llmc_header(7, "uint32")) == (20240801, 1, 7)
    assert len(llmc_header(7, "uint32")) == 1024


@given(st.lists(st.tuples(st.lists(st.integers(1, 9), max_size=4), st.booleans()), min_size=1))
def test_ends_move_to_the_front(drawn: list[tuple[list[int], bool]]) -> None:
    """Against the plain form, sequence by sequence."""
    sequences = [[*body, 0] if ended or not body else body for body, ended in drawn]
    tokens = np.array([t for s in sequences for t in s], np.uint16)
    expected = [t for s in sequences for t in ([0, *s[:-1]] if s[-1] == 0 else [0, *s])]
    found = ends_in_front(tokens, np.array([len(s) for s in sequences]), 0)
    assert found.tolist() == expected


def test_blocks_do_not_matter(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation.formats import tokens

    export(tiny_run, "llmc", tmp_path / "a")
    monkeypatch.setattr(tokens, "BLOCK_BYTES", 100)
    made = export(tiny_run, "llmc", tmp_path / "b")
    for name in made.files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
