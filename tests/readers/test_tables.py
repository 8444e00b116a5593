"""JSONL, Parquet and text files, good and bad."""

import bz2
import datetime
import decimal
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.readers import json_lines, tables
from curation.readers.records import Document, Reject
from curation.readers.tables import read_table_file
from curation.readers.texts import gutenberg_body, read_text_file

ROWS = [
    {"id": 7, "text": "one\nline", "url": "http://a/", "score": 0.5},
    {"id": "b", "text": "Grüße"},
    {"text": ""},
]
ZSTD = zstandard.ZstdCompressor(write_checksum=True)
PACKED = {"": bytes, ".gz": gzip.compress, ".zst": ZSTD.compress, ".bz2": bz2.compress}


def read(data: bytes, name: str = "a.jsonl", **columns: str) -> list[Document | Reject]:
    return list(read_table_file(io.BytesIO(data), name, **columns))


def lines(*rows: object) -> bytes:
    return b"".join(
        row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows
    )


@pytest.mark.parametrize("packing", PACKED)
def test_jsonl(packing):
    data = lines(*ROWS)
    found = read(PACKED[packing](data), "a.jsonl" + packing)
    assert found == [
        Document("one\nline", id="7", url="http://a/", offset=0, extra={"score": 0.5}),
        Document("Grüße", id="b", offset=data.index(b"\n") + 1),
        Document("", offset=data.rindex(b"{")),
    ]


def test_concatenated_packed_files():
    both = gzip.compress(lines(ROWS[0])) + gzip.compress(lines(ROWS[1]))
    assert [one.id for one in read(both)] == ["7", "b"]


def test_every_bad_line_is_one_reject_and_the_rest_goes_on():
    data = b"\xef\xbb\xbf" + lines(
        ROWS[0], b"{broken\n", b'{"text": "\xff"}\n', {"text": None}, {"text": 5}, {"other": 1}, b"\n", b"  \r\n",
        b"[1]\n", b'"text"\n', b'{"text": "\\ud800"}\n', b'{"text": "last, no line end"}',
    )  # fmt: skip
    found = read(data)
    assert [getattr(one, "reason", "ok") for one in found] == [
        "ok", "malformed", "undecodable", "missing_text", "missing_text", "missing_text", "malformed", "malformed",
        "malformed", "ok",
    ]  # fmt: skip
    assert data[found[1].offset :].startswith(b"{broken")
    assert found[-1].text == "last, no line end"


def test_own_columns():
    (one,) = read(
        lines({"body": "x", "key": 3, "link": "u", "text": "other"}),
        text_column="body",
        id_column="key",
        url_column="link",
    )
    assert one == Document("x", id="3", url="u", offset=0, extra={"text": "other"})


@pytest.mark.parametrize("count", [1, 500])
def test_a_text_column_that_is_nowhere(count):
    with pytest.raises(InputError, match=r"'body'.*'id', 'words'"):
        read(lines(*[{"id": 1, "words": "x"}] * count), text_column="body")


def test_a_json_array_is_explained():
    with pytest.raises(InputError, match="jq"):
        read(b'[\n{"text": "x"}]')


def test_a_line_too_long_costs_itself(monkeypatch):
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", 1000)
    data = lines({"text": "a"}, {"text": "x" * 3_000_000}, {"text": "b"})
    found = read(data)
    assert [getattr(one, "reason", None) for one in found] == [None, "too_large", None]
    assert data[found[2].offset :] == lines({"text": "b"})


@pytest.mark.parametrize("packing", [".gz", ".zst", ".bz2"])
def test_a_file_that_breaks_off(packing):
    rows = [
        {"text": f"{n} " + bytes(n % 256 for n in range(n, n + 500)).hex()} for n in range(2000)
    ]
    data = PACKED[packing](lines(*rows))
    found = read(data[: len(data) * 2 // 3])
    assert isinstance(found[-1], Reject)
    assert found[-1].reason == "truncated"
    assert [one.text for one in found[:-1]] == [row["text"] for row in rows[: len(found) - 1]]
    wrong = bytearray(data)
    wrong[len(data) // 2] ^= 255
    if packing == ".bz2":  # its first block is lost with the second
        with pytest.raises(InputError, match="nothing of it can be read"):
            read(bytes(wrong))
    else:
        assert read(bytes(wrong))[-1].reason in ("malformed", "truncated")


@pytest.mark.parametrize("packing", [".gz", ".zst", ".bz2"])
def test_a_file_of_which_nothing_can_be_read_is_no_bad_line(packing):
    data = PACKED[packing](lines({"text": "ab" * 1000}))
    for broken in (data[:11], data[:4] + b"\xff\xff\xff\xff" + data[8:14]):
        with pytest.raises(InputError, match=r"a\.jsonl: nothing of it can be read"):
            read(broken)


def test_a_window_is_read_as_large_as_the_frame_asks():
    rows = [{"text": f"text {n}"} for n in range(3)]
    for log in (28, 31):
        options = zstandard.ZstdCompressionParameters(window_log=log, compression_level=1)
        packer = zstandard.ZstdCompressor(compression_params=options).compressobj()
        data = packer.compress(lines(*rows)) + packer.flush()
        assert zstandard.get_frame_parameters(data).window_size == 1 << log
        assert [one.text for one in read(data)] == [row["text"] for row in rows]
    too_wide = data[:5] + bytes([21 << 3 | 1]) + data[6:]
    with pytest.raises(InputError, match=r"a window of 2415919104 bytes"):
        read(too_wide)


def test_floats_that_json_has_not_cost_their_value_alone():
    data = (
        b'{"text": "a NaN, \\"Infinity", "s": NaN, "d": {"x": [-Infinity, 1]}, "NaN": 1}\n'
        b'{"text": NaN}\n{"text": "b", "s": 1e400}\n{"text": "c", "s": NaNa}\n'
        b'{"text": "d \\ud800", "s": 1e400}\n'
    )
    found = read(data)
    assert found[0].text == 'a NaN, "Infinity'
    assert found[0].extra == {"s": None, "d": {"x": [None, 1]}, "NaN": 1}
    assert found[2].extra == {"s": None}
    reasons = [getattr(one, "reason", None) for one in found]
    assert reasons == [None, "missing_text", None, "malformed", "malformed"]


def test_ids_and_addresses_come_as_they_are():
    large = 123456789012345678901234567890
    rows = [
        {"text": "a", "id": large, "n": [large], "url": ["u", "v"]},
        {"text": "b", "id": {"$oid": "5f"}, "url": ""},
        {"text": "c", "id": True, "url": "http://c/"},
    ]
    found = read(lines(*rows[1:]) + json.dumps(rows[0]).encode())
    assert [one.id for one in found] == ['{"$oid":"5f"}', "true", str(large)]
    assert [one.url for one in found] == [None, "http://c/", None]
    assert [one.extra for one in found] == [None, None, {"n": [large], "url": ["u", "v"]}]
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"\0" * 15 + b"\7"], pa.binary(16)))
    found = read(parquet(pa.table({"id": ids, "text": ["a"], "other": ids})), "a.parquet")
    assert found[0].id == found[0].extra["other"] == "00000000-0000-0000-0000-000000000007"


def test_no_time_ends_the_reading():
    zone = pa.timestamp("ns", "Europe/Berlin")
    moment = 1_700_000_000_123_456_789
    table = pa.table(
        {
            "text": ["a", "b", "c"],
            "ns": pa.array([moment, -1, 1_700_000_000_000_000_000], pa.timestamp("ns")),
            "zone": pa.array([moment, 1, None], zone),
            "nested": pa.array([[{"t": moment}], None, []], pa.list_(pa.struct([("t", zone)]))),
            "s": pa.array([253402300800, 0, 10**15], pa.timestamp("s")),
            "utc": pa.array([253402300800000, 0, None], pa.timestamp("ms", "UTC")),
            "day": pa.array([3_000_000, 0, -1_000_000], pa.date32()),
            "time": pa.array([1, 1000, None], pa.time64("ns")),
            "span": pa.array([1, 1000, None], pa.duration("ns")),
        }
    )
    found = {one.text: one.extra for one in read(parquet(table, version="2.6"), "a.parquet")}
    assert found["a"] == {
        "ns": "2023-11-14T22:13:20.123456789",
        "zone": "2023-11-14T23:13:20.123456789+01:00",
        "nested": [{"t": "2023-11-14T23:13:20.123456789+01:00"}],
        "s": "10000-01-01T00:00:00",
        "utc": "10000-01-01T00:00:00+00:00",
        "day": "10183-09-21",
        "time": "00:00:00.000000001",
        "span": "0:00:00.000000001",  # pandas would say "0 days 00:00:00.000000001"
    }
    assert found["b"]["ns"] == "1969-12-31T23:59:59.999999999"
    assert found["b"]["zone"] == "1970-01-01T01:00:00.000000001+01:00"
    assert (found["b"]["time"], found["b"]["span"]) == ("00:00:00.000001", "0:00:00.000001")
    assert found["c"]["ns"] == "2023-11-14T22:13:20"
    assert (found["c"]["s"], found["c"]["day"]) == (str(10**18), "-0768-02-04")


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_any_lines(parts):
    data = lines({"text": "first"}, *(part + b"\n" for part in parts))
    found = read(data)
    wanted = 1 + sum(1 for line in data.split(b"\n")[1:] if line.strip())
    assert len(found) == wanted


@given(
    st.lists(
        st.fixed_dictionaries({"text": st.text(max_size=20), "id": st.text(max_size=5)}), max_size=5
    )
)
def test_round_trip(rows):
    assert [(one.text, one.id) for one in read(lines(*rows))] == [
        (row["text"], row["id"]) for row in rows
    ]


def parquet(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def test_parquet():
    table = pa.table(
        {
            "id": [1, 2, None],
            "text": ["a", None, "c"],
            "url": ["http://a/", None, ""],
            "when": [datetime.datetime(2020, 1, 2)] * 3,
            "price": [decimal.Decimal("1.50")] * 3,
            "tags": [["x"], [], None],
            "bad": [float("nan"), 1.0, None],
            "raw": [b"ok", b"\xff", None],
        }
    )
    found = read(parquet(table), "a.parquet")
    extra = {
        "when": "2020-01-02T00:00:00",
        "price": "1.50",
        "tags": ["x"],
        "bad": None,
        "raw": "ok",
    }
    assert found[0] == Document("a", id="1", url="http://a/", offset=0, extra=extra)
    assert (found[1].reason, found[1].offset) == ("missing_text", 1)
    assert found[2].id is None
    assert found[2].url is None
    json.dumps([one.extra for one in found if isinstance(one, Document)])


def test_parquet_in_batches_and_string_types():
    texts = [f"text {n}" for n in range(1000)]
    for kind in (
        pa.string(),
        pa.large_string(),
        pa.binary(),
        pa.dictionary(pa.int32(), pa.string()),
    ):
        found = read(
            parquet(pa.table({"text": pa.array(texts).cast(kind)}), row_group_size=300), "a.parquet"
        )
        assert [one.text for one in found] == texts
        assert [one.offset for one in found] == list(range(1000))


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int8(), pa.string())]
)
@pytest.mark.parametrize("column", ["text", "note"])
def test_parquet_strings_that_are_too_large_cost_their_row(kind, column, monkeypatch):
    monkeypatch.setattr(tables, "MAX_LINE_BYTES", 1000)
    table = pa.table({"text": ["a", "b", "c", "d"], "n": [1, 2, 3, 4]})
    values = pa.array(["x" * 1000, "y" * 1001, None, "\u00e9" * 501]).cast(kind)
    table = table.set_column(0, "text", values) if column == "text" else table.append_column(column, values)  # fmt: skip
    stream = io.BytesIO()
    pq.write_table(table, stream)
    found = list(read_table_file(stream, "x.parquet"))
    missing = "missing_text" if column == "text" else None
    assert [getattr(one, "reason", None) for one in found] == [None, "too_large", missing, "too_large"]  # fmt: skip
    assert [one.offset for one in found] == [0, 1, 2, 3]
    assert "more than 1000 bytes" in found[1].detail


def test_parquet_mistakes():
    data = parquet(pa.table({"words": ["a"]}))
    with pytest.raises(InputError, match=r"'text'.*'words'"):
        read(data, "a.parquet")
    for broken in (data[:-10], b"not parquet", b""):
        with pytest.raises(InputError, match=r"a\.parquet: not a whole Parquet file"):
            read(broken, "a.parquet")


BOOK = """\ufeffThe Project Gutenberg EBook of Emma, by Jane Austen

This eBook is for the use of anyone anywhere.

*** START OF THIS PROJECT GUTENBERG EBOOK EMMA ***

Emma Woodhouse, handsome, clever, and rich.
{middle}
End of the Project Gutenberg EBook of Emma

*** END OF THIS PROJECT GUTENBERG EBOOK EMMA ***

Updated editions will replace the previous one.
"""


def test_text_files():
    book = BOOK.replace("{middle}", "*** A break of stars ***").replace("\n", "\r\n")
    for packing, pack in PACKED.items():
        (one,) = read_text_file(io.BytesIO(pack(book.encode())), "emma.txt" + packing)
        assert one.text == "Emma Woodhouse, handsome, clever, and rich.\n*** A break of stars ***"
    (plain,) = read_text_file(io.BytesIO("Just a cafe\u0301.\r\n".encode()), "a.txt")
    assert plain == Document("Just a café.", offset=0)
    (latin,) = read_text_file(
        io.BytesIO("Il était une fois un café très agréable".encode("cp1252")), "a.txt"
    )
    assert latin.text == "Il était une fois un café très agréable"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"\0\1\2" * 100, "undecodable"),
        (gzip.compress(b"x" * 9999, mtime=0)[:20], "truncated"),
    ],
)
def test_text_files_without_text(data, reason):
    (one,) = read_text_file(io.BytesIO(data), "a.txt")
    assert one.reason == reason


def test_old_gutenberg_marks_and_other_texts():
    old = "Notice\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\nThe book.\nEnd of The Project Gutenberg Etext of X\n"
    assert gutenberg_body(old).strip() == "The book."
    assert (
        gutenberg_body("No marks here.\nEnd of the Project Gutenberg thing")
        == "No marks here.\nEnd of the Project Gutenberg thing"
    )


def test_gutenberg_credits_go_and_books_that_mention_it_stay():
    old = "Notice\n**END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.08.01*END**\n[Portions of this header are copyright]\n\n"
    new = "*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n\n\n\nProduced by A and\nB for Project Gutenberg.\n\n\n"
    for front in (old, new, new + "This etext was prepared by C.\n\n"):
        assert (
            gutenberg_body(
                front + "X\n\nProduced by magic.\n\nEnd of this Project Gutenberg Etext\n"
            ).strip()
            == "X\n\nProduced by magic."
        )


def test_real_gutenberg_editions(shared_data):
    rows = pq.read_table(shared_data / "nearduplicates/gutenberg_editions.parquet").to_pylist()
    for row in rows:
        (book,) = read_text_file(io.BytesIO(row["text"].encode()), "book.txt")
        assert "THE SMALL PRINT!" not in book.text.upper(), row["path"]
        assert "END OF THIS PROJECT" not in book.text.upper(), row["path"]
        if "readme" not in row["path"]:
            assert 10_000 < len(row["text"].replace("\r", "")) - len(book.text) < 21_000, row[
                "path"
            ]
