"""Decisions of datatrove's quality filters: `PYTHON datatrove_filters.py TEXTS.parquet OUT.parquet`.

PYTHON is that of an environment of its own with `pip install datatrove spacy nltk pyarrow`.
TEXTS has a column text. OUT gets a row for each: for each filter, run on the text as it is, the
reason why it removes the text, or null; the text as C4's filter leaves it, with and without the
rule of terminal punctuation; and for the chain of FineWeb (repetition, Gopher, C4 without that
rule, FineWeb, each on the text that the one before left) the reason. The seconds that each took are
printed as JSON, the tokenizer loaded before.
"""

import json
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.text import split_into_parts, split_into_words

FILTERS = {
    "gopher": GopherQualityFilter(),
    "gopher_repetition": GopherRepetitionFilter(),
    "c4": C4QualityFilter(),
    "c4_any_ending": C4QualityFilter(filter_no_terminal_punct=False),
    "fineweb": FineWebQualityFilter(),
}
# The same without the number of sentences, and without what ends a document: the edited text alone.
EDITORS = {
    "c4": C4QualityFilter(
        min_num_sentences=-1, filter_lorem_ipsum=False, filter_curly_bracket=False
    ),
    "c4_any_ending": C4QualityFilter(
        min_num_sentences=-1,
        filter_lorem_ipsum=False,
        filter_curly_bracket=False,
        filter_no_terminal_punct=False,
    ),
}
CHAIN = ("gopher_repetition", "gopher", "c4_any_ending", "fineweb")


def reason(name: str, document: Document) -> str | None:
    result = FILTERS[name].filter(document)
    return None if result is True else result[1]


def edited(name: str, text: str) -> str:
    document = Document(text=text, id="")
    EDITORS[name].filter(document)
    return document.text


def main(source: str, out: str) -> None:
    texts = pq.read_table(source, columns=["text"]).column("text").to_pylist()
    split_into_words("Load the tokenizer.")
    columns: dict[str, list] = {}
    seconds: dict[str, float] = {}
    left = texts
    for name in FILTERS:
        split_into_parts.cache_clear()
        documents = [Document(text=text, id="") for text in texts]
        begun = time.process_time()
        columns[name] = [reason(name, document) for document in documents]
        seconds[name] = time.process_time() - begun
        if name == "c4_any_ending":
            left = [document.text for document in documents]
    # Only C4 edits; where the three before keep a document, the last reads what C4 left.
    columns["chain"] = []
    for k, text in enumerate(left):
        before = [f"{name}: {columns[name][k]}" for name in CHAIN[:3] if columns[name][k]]
        last = None if before else reason("fineweb", Document(text=text, id=""))
        columns["chain"].append(before[0] if before else last and f"fineweb: {last}")
    for name in EDITORS:
        columns[f"{name}_text"] = [edited(name, text) for text in texts]
    pq.write_table(pa.table({k: pa.array(v, pa.string()) for k, v in columns.items()}), out)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
