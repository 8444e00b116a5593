"""Exports read by the programs they are for, which are installed beside and are no dependencies.

`pip install ai2-olmo-core megatron-core dolma` where they are to run. nanoGPT, llm.c and
modded-nanogpt are on no package index: `test_tokens.py` reads their files by the published layout.
`test_export.py` has the readers of datatrove and datasets, which are in `dev`.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.formats.export import export
from curation.rundir.kept import kept_documents
from curation.rundir.plan import read

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs
END, VOCABULARY = 50256, 50257


def shards(folder: Path, ending: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"*{ending}") if path.stat().st_size)


def test_olmo_core_reads_the_tokens(tiny_run: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("olmo_core.data", reason="ai2-olmo-core is not installed")
    export(tiny_run, "olmo", tmp_path / "out")
    paths = shards(tmp_path / "out", ".npy")
    assert len(paths) > 2
    length = 64
    dataset = datasets.NumpyFSLDataset(
        *paths, sequence_length=length, pad_token_id=END, eos_token_id=END, vocab_size=VOCABULARY,
        dtype=np.uint16,
    )  # fmt: skip
    dataset.prepare()
    ours = [np.fromfile(path, "<u2") for path in paths]
    windows = [t[i : i + length] for t in ours for i in range(0, len(t) - length + 1, length)]
    assert len(dataset) == len(windows) > 20
    for found, window in zip(dataset, windows, strict=False):
        assert found["input_ids"].tolist() == window.tolist()


def test_olmo_core_finds_the_documents(tiny_run: Path, tmp_path: Path) -> None:
    """Their bounds by the `.csv.gz` beside the tokens, and by the end-of-text tokens."""
    utils = pytest.importorskip("olmo_core.data.utils", reason="ai2-olmo-core is not installed")
    export(tiny_run, "olmo", tmp_path / "out", tokens_from="documents", validation=0)
    for path in shards(tmp_path / "out", ".npy"):
        told = list(utils.iter_document_indices(path, use_array_if_local=False))
        seen = list(utils.iter_document_indices(path, eos_token_id=END, dtype=np.uint16))
        assert told == seen
        assert told[-1][1] == len(np.fromfile(path, "<u2"))


@pytest.mark.slow
def test_megatron_reads_the_export(tiny_run: Path, tmp_path: Path) -> None:
    reader: Any = pytest.importorskip(
        "megatron.core.datasets.indexed_dataset", reason="megatron-core is not installed"
    )
    export(tiny_run, "megatron", tmp_path / "out", tokens_from="documents", validation=0)
    found = [
        sequence.tolist()
        for path in shards(tmp_path / "out", ".bin")
        for sequence in reader.IndexedDataset(str(path.with_suffix("")))
    ]
    documents = [r for b in kept_documents(*read(str(tiny_run)), ["id"]) for r in b.to_pylist()]
    # A document from which benchmark text was cut is several texts, and several sequences.
    assert len(found) == len(documents) > 20
    assert all(sequence[-1] == END and END not in sequence[:-1] for sequence in found)


def test_dolma_decodes_the_documents(tiny_run: Path, tmp_path: Path) -> None:
    """By its own type of a document; what else the toolkit imports is not needed for that."""
    msgspec = pytest.importorskip("msgspec", reason="dolma is not installed")
    if (there := importlib.util.find_spec("dolma")) is None or there.origin is None:
        pytest.skip("dolma is not installed")
    path = Path(there.origin).parent / "core" / "data_types.py"
    spec = importlib.util.spec_from_file_location("dolma_data_types", path)
    assert spec is not None
    assert spec.loader is not None
    types = sys.modules["dolma_data_types"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(types)
    export(tiny_run, "dolma", tmp_path / "out")
    decoder = msgspec.json.Decoder(types.InputSpecWithMetadata)
    lines = [
        line
        for file in sorted((tmp_path / "out" / "documents").glob("*.jsonl.gz"))
        for line in gzip.decompress(file.read_bytes()).splitlines()
    ]
    assert len(lines) > 20
    for line in lines:
        document, row = decoder.decode(line), json.loads(line)
        assert (document.id, document.text, document.source) == (
            row["id"], row["text"], row["source"],
        )  # fmt: skip
        assert document.metadata == row["metadata"]
