"""Every table of a run directory: its columns with their meaning and unit.

A document's number `doc` is shard ordinal * 2**32 + row in the survivors table: small enough for
SQL, known without a join.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from curation.recipe.reasons import REASONS as REASONS


def _field(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"meaning": meaning})


DOCUMENTS = pa.schema(
    [
        _field(
            "id",
            pa.string(),
            "the user's id; for archives xxh3-128 (hex) of dataset, archive name, offset and place",
        ),
        _field("record_id", pa.string(), "WARC-Record-ID or its like; not unique in real crawls"),
        _field("url", pa.string(), "address of the page"),
        _field(
            "text", pa.string(), "the extracted text: NFC, \\n line ends, no control characters"
        ),
        _field("content", pa.binary(16), "xxh3-128 of the text"),
        _field("date", pa.string(), "capture date, ISO 8601, as written by the crawler"),
        _field(
            "language",
            pa.string(),
            "most likely language: a label of the model (fastText lid.176: ISO 639); und: no words",
        ),
        _field("language_score", pa.float32(), "its probability"),
        _field(
            "crawl_language",
            pa.string(),
            "first language that the crawl itself names for the page, ISO 639-3; null where it "
            "names none",
        ),
        _field(
            "crawl_language_share",
            pa.float32(),
            "share of the page's text in it by the crawl's own count, 0 to 1",
        ),
        _field(
            "crawl_language_reliable",
            pa.bool_(),
            "whether the crawl calls its finding reliable",
        ),
        _field(
            "robots",
            pa.string(),
            "what the page and its HTTP headers forbid to crawlers: directives in small letters, "
            "sorted, joined by commas; empty where both were read and forbid nothing; null where "
            "that is unknown (docs/reading.md)",
        ),
        _field(
            "license",
            pa.string(),
            "the licence that the page states for itself: an SPDX identifier of a known one, else "
            "its address; null where it states none, or several that differ",
        ),
        _field(
            "license_from",
            pa.string(),
            "where it is stated: rel (a link), meta, json-ld, or dump (a field of the dump)",
        ),
        _field("archive", pa.string(), "the input file, relative to the dataset's folder"),
        _field(
            "offset",
            pa.int64(),
            "byte offset in the archive of the record, or of the compressed member that it begins "
            "in; or row number in a table",
        ),
        _field(
            "place",
            pa.int64(),
            "bytes before the record in the unpacked member, several of which may share one; null "
            "for a table",
        ),
    ]
)
ROW = _field("row", pa.int64(), "row of the document in documents/<dataset>/<shard>.parquet")

_MASK = pa.struct(
    [
        pa.field("start", pa.int64()),
        pa.field("end", pa.int64()),
        pa.field("replacement", pa.string()),
    ]
)
MASKS = _field(
    "masks",
    pa.list_(_MASK),
    "spans (code points of the text, half-open) and what stands for them in the text that leaves the "
    "line; null where nothing is masked",
)

REJECTS = pa.schema(
    [
        _field("url", pa.string(), "address of the page, where known"),
        _field("archive", pa.string(), "the input file, relative to the dataset's folder"),
        _field("offset", pa.int64(), "byte offset of the record, or row number"),
        _field("reason", pa.string(), "why it never became a document"),
        _field("detail", pa.string(), "what exactly was wrong"),
    ]
)

WANTED = pa.schema(
    [
        _field("url", pa.string(), "an address of the list, as it stands there"),
        _field(
            "key",
            pa.string(),
            "its sort key, as the index has it in url_surtkey; empty where it is no http address",
        ),
    ]
)
CAPTURES = pa.schema(
    [
        _field("url", pa.string(), "the address that was asked for"),
        _field(
            "repeated",
            pa.bool_(),
            "whether another address of the list has the same key and is taken instead",
        ),
        _field(
            "filename",
            pa.string(),
            "archive, relative to base_url; empty where there is no capture",
        ),
        _field("start", pa.int64(), "byte offset of the record in the archive"),
        _field("size", pa.int64(), "stored bytes of the record"),
    ]
)
SELECTED = pa.schema(
    [
        _field("url", pa.string(), "the address of the page, as the index has it"),
        _field("filename", pa.string(), "archive, relative to base_url"),
        _field("start", pa.int64(), "byte offset of the record in the archive"),
        _field("size", pa.int64(), "stored bytes of the record"),
        _field("digest", pa.string(), "SHA-1 of the page in base 32, as the index has it"),
    ]
)

KEEP = _field("keep", pa.bool_(), "true, false, or null where an earlier stage already said no")
REASON = _field("reason", pa.string(), "null unless keep is false")

FILTERED = pa.schema(
    [
        KEEP,
        REASON,
        _field("fired", pa.list_(pa.int16()), "places of the rules that are true, in the recipe"),
        _field("undecided", pa.list_(pa.int16()), "places of the rules that are null"),
    ]
)
QUALITY = pa.schema(
    [
        _field("score", pa.float64(), "probability of being like the trusted corpora"),
        _field("u", pa.float64(), "uniform(seed, 'pareto', content)"),
        _field(
            "fold",
            pa.int16(),
            "the fold of its site: the model that scored it has not seen that fold; null where the "
            "model of all folds did",
        ),
    ]
)
CLASSIFIED = pa.schema(
    [KEEP, REASON, _field("pareto_draw", pa.float64(), "kept iff this is above 1 - score")]
)
FEATURES = pa.schema(
    [
        _field("content", pa.binary(16), "xxh3-128 of the text"),
        _field("id", pa.string(), "document id"),
        _field(
            "window",
            pa.int32(),
            "number of the window in its document; 0 where documents are not cut",
        ),
        _field("site", pa.string(), "host of the url; null where there is none"),
        _field("indices", pa.list_(pa.int32()), "HashingTF indices, ascending"),
        _field("counts", pa.list_(pa.int32()), "term counts"),
        _field("chars", pa.int64(), "code points of the text or window"),
        _field("signals", pa.list_(pa.float64()), "the signals of `classify.signals`, in order"),
    ]
)

DEDUP_DOCUMENTS = pa.schema(
    [
        _field("doc", pa.int64(), "document number, over the runs of an index and this one"),
        _field("id", pa.string(), "document id"),
        _field("dataset", pa.int64(), "place of the dataset in the recipe, from 0"),
        _field("content", pa.binary(), "xxh3-128 of the text"),
        _field(
            "priority",
            pa.int64(),
            "ascending: run (those of an index first), dataset, batch, longer text",
        ),
        _field("tie", pa.int64(), "the first 8 bytes of content, which break ties of priority"),
        _field("chars", pa.int64(), "code points of the text"),
        _field("features", pa.int64(), "size of the feature set"),
        _field(
            "least", pa.int64(), "least image of its features by a permutation that no band uses"
        ),
        _field(
            "repeated_lines",
            pa.float64(),
            "share of its characters in lines that occurred before in it",
        ),
        _field("repeated_paragraphs", pa.float64(), "the same of paragraphs"),
        _field(
            "repetitive",
            pa.int64(),
            "1 where these are more than allowed: it leaves, and takes no part",
        ),
        _field(
            "sketch",
            pa.int64(),
            "four 16-bit pieces of further MinHash values; null, as keys, without features and "
            "where repetitive",
        ),
        _field(
            "keys",
            pa.list_(pa.int64()),
            "64-bit hash of each band of the MinHash signature, in order",
        ),
    ]
)
PAIRS = pa.schema(
    [
        _field("a", pa.int64(), "the document of higher priority"),
        _field("b", pa.int64(), "the other"),
        _field("priority_a", pa.int64(), "priority of a"),
        _field("tie_a", pa.int64(), "tie of a"),
        _field("priority_b", pa.int64(), "priority of b"),
        _field("tie_b", pa.int64(), "tie of b"),
        _field("shared", pa.int64(), "size of the intersection of the feature sets"),
        _field("total", pa.int64(), "size of their union: Jaccard = shared / total"),
    ]
)
DEDUPED = pa.schema(
    [
        KEEP,
        REASON,
        _field(
            "cluster_size",
            pa.int64(),
            "documents of this run that it stands for, itself and those removed as duplicates of "
            "it; null unless it stays",
        ),
        _field("kept_id", pa.string(), "id of the document that stays"),
        _field("kept_dataset", pa.string(), "its dataset"),
        _field("jaccard", pa.float64(), "measured similarity of the two feature sets"),
    ]
)

HITS = pa.schema(
    [
        _field("row", pa.int64(), "row in the survivors table"),
        _field("chars", pa.int64(), "code points in the document"),
        _field("start", pa.int64(), "first code point of the gram"),
        _field("end", pa.int64(), "one past its last code point"),
        _field("gram", pa.int64(), "number of the gram in decontaminate/benchmarks"),
        _field("content", pa.int64(), "the first 8 bytes of the hash of the document's text"),
    ]
)
SPAN = pa.struct([pa.field("start", pa.int64()), pa.field("end", pa.int64())])
DECONTAMINATED = pa.schema(
    [
        KEEP,
        REASON,
        _field(
            "cuts",
            pa.list_(SPAN),
            "spans removed, code points of the text, half-open; null where none",
        ),
        _field("pieces", pa.list_(SPAN), "spans that stay; null where the whole text stays"),
    ]
)

TOKENS = pa.schema(
    [
        KEEP,
        REASON,
        _field("id", pa.string(), "document id"),
        _field("content", pa.binary(16), "xxh3-128 of the whole text"),
        _field("counts", pa.list_(pa.int32()), "tokens per piece, the end-of-text token included"),
        _field(
            "tokens",
            pa.list_(pa.binary()),
            "each piece's tokens, little-endian, dtype in tokens/encoding.json",
        ),
    ]
)
# Only where the recipe weighs by a column (`[mix] by`).
GROUPED_TOKENS = TOKENS.append(
    _field(
        "group",
        pa.string(),
        "the value of `mix.by` that the mixture weighs the document by; empty where it has none, "
        "null where it was removed",
    )
)
CHUNKS = pa.schema(
    [
        _field(
            "part", pa.int64(), "token shard number; validation shards follow the training shards"
        ),
        _field("key", pa.int64(), "floor(position * 2**63)"),
        _field("content", pa.binary(), "xxh3-128 of the document's text"),
        _field("dataset", pa.int64(), "place of the dataset in the recipe"),
        _field("id", pa.string(), "document id"),
        _field("chunk", pa.int64(), "number of the chunk in its document"),
        _field("epoch", pa.int64(), "which copy"),
        _field("tokens", pa.binary(), "the chunk's tokens"),
    ]
)
SHARDS = pa.schema(
    [
        _field("name", pa.string(), "file name without .bin or .idx"),
        _field("split", pa.string(), "train or validation"),
        _field("tokens", pa.int64(), "tokens in the shard"),
        _field("sequences", pa.int64(), "chunks placed"),
        _field("ends", pa.int64(), "end-of-text tokens: pieces that end here"),
        _field(
            "dataset_tokens", pa.list_(pa.int64()), "tokens of each dataset, in the recipe's order"
        ),
        _field("sha256", pa.string(), "of the .bin file"),
    ]
)


def packed(dtype: str) -> pa.Schema:
    """A token shard as a table: one row a chunk, in the order of the shard; `dtype` is uint16 or
    uint32."""
    return pa.schema(
        [
            _field("dataset", pa.string(), "where the document is from"),
            _field(
                "id",
                pa.string(),
                "document id: `curation explain RUN id` tells its URL and its fate",
            ),
            _field("chunk", pa.int64(), "number of the chunk in its document"),
            _field("epoch", pa.int64(), "which copy"),
            _field(
                "tokens",
                pa.list_(pa.uint16() if dtype == "uint16" else pa.uint32()),
                "the chunk's tokens",
            ),
        ]
    )


def with_replacements(masks: pa.Array, replacements: Sequence[str]) -> pa.Array:
    """A column of `MASKS`, of one of `kernels.masks.MASKS` and what its numbers stand for; null where
    a row has none."""
    flat = masks.flatten()
    texts = pa.array(replacements, pa.string()).take(flat.field("mask"))
    spans = [flat.field("start"), flat.field("end"), texts]
    values = pa.StructArray.from_arrays(spans, fields=list(_MASK))
    empty = pc.equal(masks.value_lengths(), 0)
    return pa.ListArray.from_arrays(masks.offsets, values, type=MASKS.type, mask=empty)


def with_extra(extra: pa.DataType | None) -> pa.Schema:
    """DOCUMENTS, and the struct of the user's other columns where there are any."""
    if extra is None:
        return DOCUMENTS
    return DOCUMENTS.append(_field("extra", extra, "the user's other columns"))
