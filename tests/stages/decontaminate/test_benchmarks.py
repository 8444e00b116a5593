from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import store
from curation.errors import InputError, RecipeError, RunError
from curation.kernels.examples import is_benchmark_of
from curation.stages.decontaminate.benchmarks import Layout, read_benchmarks, read_catalogue


def fields(
    folder: Path, name: str, record: dict[str, Any], catalogue: str = ""
) -> list[tuple[str, ...]]:
    path = folder / f"{name}.jsonl"
    path.write_text(json.dumps(record) + "\n")
    return [example.fields for example in read_benchmarks((str(path),), catalogue)]


@pytest.mark.parametrize(
    ("name", "record", "expected"),
    [
        ("lambada_openai.test", {"context": "a b", "continuation": " c"}, ("a b c",)),
        (
            "gpt3_sum_of_digits",
            {"context": "\n\nQ: What is 2?\n\nA:", "completion": " 2"},
            ("What is 2?\n", " 2"),
        ),
        ("anli_r1.dev", {"context": "c", "statement": "s", "reason": "no", "uid": "u"}, ("c", "s")),
        (
            "copa.val.llmfoundry",
            {"query": "so", "choices": ["x", "y"], "gold": 1},
            ("so x", "so y"),
        ),
        (
            "boolq.val.llmfoundry",
            {"query": "Passage: It is.\nQuestion: is it?\n", "choices": ["no", "yes"]},
            ("It is.", "is it?\n"),
        ),
        (
            "winogrande.dev",
            {"sentence": "A or B so _ won.", "option1": "A", "qID": "1"},
            ("A or B so ", " won."),
        ),
        (
            "squad_v2",
            {
                "paragraphs": [
                    {
                        "context": "c",
                        "qas": [{"question": "q", "answers": [{"text": "t", "answer_start": 1}]}],
                    }
                ]
            },
            ("c", "q", "t"),
        ),
        (
            "truthfulqa.mc",
            {"question": "q?", "mc1_targets": {"an answer": 1, "another": 0}},
            ("q?", "an answer", "another"),
        ),
        (
            "storycloze_2016",
            {f"InputSentence{i}": f"s{i}." for i in (1, 2, 3, 4)}
            | {"RandomFifthSentenceQuiz1": "e1"},
            ("s1. s2. s3. s4.", "e1"),
        ),
        (
            "my_own",
            {"id": "x", "q": "one", "label": "no", "more": {"a": ["two", {"url": "no"}]}},
            ("one", "two"),
        ),
        (
            "scores_as_values",
            {"targets": {"a whole answer": 1, "another one": 0}},
            ("a whole answer", "another one"),
        ),
    ],
)
def test_the_catalogue_knows_which_fields_count(
    tmp_path: Path, name: str, record: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert fields(tmp_path, name, record) == [expected]


def test_a_users_catalogue_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[[benchmark]]\nnames = ["lambada*"]\nfields = ["question"]\nsynthetic = true\nid = "key"\n'
    )
    (tmp_path / "lambada.jsonl").write_text('{"question": "q", "context": "c", "key": 7}\n')
    (example,) = read_benchmarks((str(tmp_path / "lambada.jsonl"),), str(path))
    assert (example.fields, example.synthetic, example.id) == (("q",), True, "7")
    path.write_text('[[benchmark]]\nnmes = ["x"]\n')
    with pytest.raises(RecipeError, match=r"own\.toml: no key 'nmes'; did you mean 'names'"):
        read_catalogue(str(path))


def test_a_file_without_the_catalogues_fields_is_named(tmp_path: Path) -> None:
    path = tmp_path / "anli_new.jsonl"
    path.write_text('{"premise": "p"}\n' * 100)
    with pytest.raises(
        InputError,
        match=r"anli_new\.jsonl: 100 records in a row hold no text under context, statement",
    ):
        list(read_benchmarks((str(path),)))


def test_every_real_benchmark_has_texts_under_a_table_of_the_catalogue(shared_data: Path) -> None:
    from fnmatch import fnmatchcase

    layouts = read_catalogue()
    for path in sorted((shared_data / "benchmarks").glob("*.jsonl")):
        assert any(fnmatchcase(path.stem, name) for layout in layouts for name in layout.names), (
            path.stem
        )
        examples = list(read_benchmarks((str(path),)))
        assert sum(bool(example.fields) for example in examples) >= 0.999 * len(examples), path.stem


def test_arrays_are_mapped_and_read_only(tmp_path: Path) -> None:
    for array in (np.arange(5, dtype=np.uint64), np.zeros(0, np.int32)):
        store.write_array(str(tmp_path / "a.npy"), array)
        found = store.read_array(str(tmp_path / "a.npy"))
        assert found.tolist() == array.tolist()
        assert found.dtype == array.dtype
        assert not found.flags.writeable
        assert type(found) is np.ndarray
    (tmp_path / "a.npy").write_bytes(b"nothing")
    for path in (tmp_path / "a.npy", tmp_path / "b.npy"):
        with pytest.raises(RunError, match="missing or damaged"):
            store.read_array(str(path))
    assert Layout().names == ("*",)


def test_packed_benchmarks_are_read_and_other_files_are_not_left_out_silently(
    tmp_path: Path,
) -> None:
    import gzip

    import zstandard

    line = b'{"q": "some words"}\n'
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line))
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(line))
    (tmp_path / "notes.md").write_text("left out of a folder")
    assert [(e.benchmark, e.fields) for e in read_benchmarks([str(tmp_path)])] == [
        ("a", ("some words",)),
        ("b", ("some words",)),
    ]
    with pytest.raises(InputError, match=r"notes\.md: a benchmark in \.jsonl"):
        list(read_benchmarks([str(tmp_path / "notes.md")]))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(line)[:-9])
    with pytest.raises(InputError, match=r"c\.jsonl\.gz: cannot be unpacked"):
        list(read_benchmarks([str(tmp_path / "c.jsonl.gz")]))


def test_two_files_are_two_benchmarks_and_one_file_is_one(tmp_path: Path) -> None:
    for folder in ("x/a", "y/a", "z"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "test.jsonl").write_text(json.dumps({"q": folder}) + "\n")
    (tmp_path / "z" / "lambada.jsonl").write_text(
        '{"context": "c", "continuation": " d", "other": "o"}\n'
    )
    names = {"x/a/test": "x/a", "y/a/test": "y/a", "z/test": "z"}
    patterns = [str(tmp_path), str(tmp_path / "z" / "test.jsonl"), str(tmp_path / "*" / "*.jsonl")]
    examples = list(read_benchmarks(patterns))
    assert {e.benchmark: e.fields for e in examples if e.benchmark != "lambada"} == {
        name: (text,) for name, text in names.items()
    }
    assert [e.fields for e in examples if e.benchmark == "lambada"] == [("c d",)]
    assert len(examples) == 4
    for name, folder in names.items():
        found = [n for n in names if is_benchmark_of(n, str(tmp_path / folder / "test.jsonl"))]
        assert found == [name]


def test_parquet_benchmarks_are_read(tmp_path: Path) -> None:
    long_ago = pa.array([-(2**60), None], pa.timestamp("us"))
    table = pa.table(
        {
            "id": [7, None],
            "question": ["one two", "three"],
            "choices": [[{"text": "x", "label": "A"}], []],
            "made": long_ago,
            "embedding": [[0.5], [1.5]],
        }
    )
    pq.write_table(table, tmp_path / "quiz.parquet")
    assert [(e.benchmark, e.id, e.fields) for e in read_benchmarks([str(tmp_path)])] == [
        ("quiz", "7", ("one two", "x")),
        ("quiz", "1", ("three",)),
    ]
    (tmp_path / "quiz.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"quiz\.parquet: not a Parquet file"):
        list(read_benchmarks([str(tmp_path)]))
