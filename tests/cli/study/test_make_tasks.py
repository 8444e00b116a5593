from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from curation.cli.study.make_tasks import make_tasks


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(make_tasks, list(arguments))
    return result.exit_code, result.output


def test_the_files_of_a_kind_are_written(tmp_path: Path) -> None:
    code, output = run("arithmetic", "--out", str(tmp_path / "a"), "--count", "5", "--seed", "2")
    assert code == 0, output
    assert len(list((tmp_path / "a").glob("gpt3_*.jsonl"))) == 13
    assert output.count("5 questions") == 13
    words = tmp_path / "words.txt"
    words.write_text("defeat\nvictory\n")
    code, output = run("words", "--out", str(tmp_path / "w"), "--words", str(words))
    assert code == 0, output
    reversed_ = (tmp_path / "w" / "gpt3_reversed_words.jsonl").read_text()
    assert reversed_.splitlines()[1] == '{"context":"\\nyrotciv =","completion":" victory"}'


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        assert run("words", "--out", str(tmp_path / name), "--count", "50", "--seed", "7")[0] == 0
    first, second = (sorted((tmp_path / name).iterdir()) for name in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_words_are_not_for_sums(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("defeat")
    code, output = run("arithmetic", "--out", str(tmp_path), "--words", str(words))
    assert (code, "only with `make-tasks words`" in output) == (2, True)


def test_help_has_an_example() -> None:
    assert "Example:\n    curation study make-tasks " in run("--help")[1]
