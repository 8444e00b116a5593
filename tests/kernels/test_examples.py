from __future__ import annotations

import pytest

from curation.errors import InputError
from curation.kernels.examples import ID_KEYS, benchmark_name, example_id, json_records


@pytest.mark.parametrize("key", ID_KEYS)
def test_every_key_of_an_id_counts_and_a_null_does_not(key: str) -> None:
    assert example_id({key: 12, "text": "a"}, 3) == "12"
    assert example_id({key: None, "text": "a"}, 3) == "3"


def test_lines_are_counted_with_the_blank_ones() -> None:
    records = list(json_records(b'\n{"a": NaN}\n \n{"a": 2}', "x"))
    assert records == [(1, {"a": None}), (3, {"a": 2})]
    with pytest.raises(InputError, match=r"x, line 2: not JSON"):
        list(json_records(b"{}\n{", "x"))
    with pytest.raises(InputError, match=r"x, line 1: a JSON object expected, got '\[\]'"):
        list(json_records(b"[]", "x"))


def test_a_benchmark_is_named_without_compression() -> None:
    assert [benchmark_name(f"a/b.test.{kind}") for kind in ("jsonl", "json.gz", "jsonl.zst")] == [
        "b.test"
    ] * 3
