"""The formats of `curation export`: what each is for, and what it has of texts and of tokens.

Nothing here reads, writes or imports anything slow: the command line shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Texts = Literal["", "parquet", "rows", "dolma", "datatrove"]
Packing = Literal["", "gz", "zst"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    `texts`: how documents are written, in the folder `texts_folder`; empty where it has none.
    `packing`: of lines of JSON. `split`: whether documents are parted into train and validation.
    `tokens`: the ending of token files, in the folder `tokens_folder`; empty where it has none.
    `one_file`: a file for each split, whatever its size. `reader`: what reads it.
    """

    reader: str
    texts: Texts = ""
    texts_folder: str = ""
    packing: Packing = ""
    split: bool = False
    tokens: str = ""
    tokens_folder: str = ""
    one_file: bool = False


FORMATS = {
    "parquet": Format("anything that reads Parquet", "parquet"),
    "jsonl": Format("anything that reads JSON lines", "rows"),
    "jsonl.gz": Format("anything that reads JSON lines", "rows", packing="gz"),
    "jsonl.zst": Format("anything that reads JSON lines", "rows", packing="zst"),
    "hf": Format("`datasets.load_dataset`, the Hub", "parquet", "data", split=True),
    "dolma": Format("the Dolma toolkit", "dolma", "documents", "gz"),
    "datatrove": Format(
        "datatrove's `JsonlReader` and `DatatroveFolderDataset`",
        "datatrove",
        "documents",
        "gz",
        tokens=".ds",
        tokens_folder="tokens",
    ),
    "olmo": Format("OLMo-core's numpy datasets", tokens=".npy"),
    "llmc": Format("llm.c and modded-nanogpt", tokens=".bin"),
    "megatron": Format("Megatron's `IndexedDataset`", tokens=".bin"),
    "nanogpt": Format("nanoGPT's `train.py`", tokens=".bin", one_file=True),
}
SPLITS = ("train", "validation")
