"""The command line as a person meets it: what it prints, what it exits with, and that nothing is lost when it refuses."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from curation import store
from curation.cli import COMMANDS, _Interrupt, _interrupt_of, main, progress

RECIPE = 'stages = ["extract", "dedup"]\n[[dataset]]\nname = "a"\nfiles = "in.jsonl"\n'


def call(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="curation")


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "in.jsonl").write_text(
        '{"id": "1", "text": "one two three"}\n{"id": "2", "text": "four five six"}\n'
    )
    (tmp_path / "r.toml").write_text(RECIPE)
    return str(tmp_path / "r.toml")


def test_help_imports_nothing_heavy() -> None:
    """What makes `curation --help` answer at once."""
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom curation.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'numpy', 'pyarrow', 'duckdb', 'numba', 'torch', 'pyspark', 'rich', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"curation {command}" in result.output.split("Example", 1)[1]


def test_a_run_shows_its_funnel_and_leaves_its_ledger(recipe: str, tmp_path: Path) -> None:
    result = call("run", recipe, "--out", str(tmp_path / "run"), "--workers", "1")
    assert result.exit_code == 0, result.output
    assert "kept" in result.output
    assert (tmp_path / "run" / "ledger.json").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--set", "dedup.min_jacard=0.5"], "did you mean 'min_jaccard'?"),
        (["--set", "dedup.min_jaccard=7"], "a number in (0, 1] expected, got 7"),
        (["--until", "mix"], "no stage 'mix' in this recipe; it has extract, dedup"),
        (["--set", 'dataset=[{name="a",files="nowhere"}]'], "nowhere: no such file or folder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_1(
    recipe: str, tmp_path: Path, change: list[str], expected: str
) -> None:
    result = call("run", recipe, "--out", str(tmp_path / "run"), *change)
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert expected in line
    assert "Traceback" not in result.output


def test_usage_is_exit_code_2(recipe: str) -> None:
    assert call("run", recipe).exit_code == 2
    assert call("run", recipe, "--out", "x", "--master", "local[2]").exit_code == 2
    assert call("no-such-command").exit_code == 2


def test_another_recipe_is_never_written_over_silently(recipe: str, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    assert call("run", recipe, "--out", out).exit_code == 0
    before = {f: f.read_bytes() for f in (tmp_path / "run").rglob("*.parquet")}
    result = call("run", recipe, "--out", out, "--set", "dedup.bands=4")
    assert result.exit_code == 1
    assert "dedup.bands: 20 -> 4" in result.output
    assert {f: f.read_bytes() for f in (tmp_path / "run").rglob("*.parquet")} == before
    assert call("run", recipe, "--out", out, "--set", "dedup.bands=4", "--update").exit_code == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the files hold no records"),
        (bytes(range(128, 250)), "of 1 records 1 undecodable; look at"),
    ],
)
def test_an_input_without_documents_is_one_sentence(
    recipe: str, tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "in.jsonl").write_bytes(content)
    result = call("run", recipe, "--out", str(tmp_path / "run"))
    assert result.exit_code == 1
    assert f"no documents in a: {expected}" in result.output


@pytest.mark.parametrize(
    "arguments", [["--from", "extract"], ["--from", "extract", "--update"], []]
)
def test_nothing_is_removed_from_a_directory_that_is_no_run(
    recipe: str, tmp_path: Path, arguments: list[str]
) -> None:
    home = tmp_path / "home"
    (home / "documents").mkdir(parents=True)
    (home / "documents" / "thesis.txt").write_text("years of work")
    (home / "x.tmp-y").write_text("somebody's")
    result = call("run", recipe, "--out", str(home), *arguments)
    assert result.exit_code == 1
    assert "not a run directory" in result.output
    assert sorted(f.name for f in home.rglob("*.*")) == ["thesis.txt", "x.tmp-y"]


def test_a_refused_recipe_removes_nothing(recipe: str, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    assert call("run", recipe, "--out", out).exit_code == 0
    before = sorted((tmp_path / "run").rglob("*"))
    for refused in (
        ["--from", "extract", "--set", "seed=5"],
        ["--from", "dedup", "--until", "extract"],
    ):
        assert call("run", recipe, "--out", out, *refused).exit_code == 1
        assert sorted((tmp_path / "run").rglob("*")) == before


def test_the_same_recipe_is_the_same_from_any_folder(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "run")
    assert call("run", recipe, "--out", out).exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert call("run", "r.toml", "--out", out).exit_code == 0
    assert call("run", "./r.toml", "--out", "run").exit_code == 0


def test_a_directory_that_is_no_run(tmp_path: Path) -> None:
    for command in (["report"], ["explain", "x"], ["check"], ["sample"]):
        result = call(command[0], str(tmp_path), *command[1:])
        assert result.exit_code == 1
        assert "not a run directory" in result.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(recipe: str, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    result = call("run", recipe, "--out", str(tmp_path / "locked" / "run"))
    assert result.exit_code == 1
    assert "permission denied" in result.output


def test_a_full_disk_is_said_and_loses_nothing(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from curation import store

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "run" / "plan.json"))

    monkeypatch.setattr(store, "write_json", full)
    result = call("run", recipe, "--out", str(tmp_path / "run"))
    assert result.exit_code == 1
    assert "the disk is full" in result.output
    monkeypatch.undo()
    assert call("run", recipe, "--out", str(tmp_path / "run")).exit_code == 0


@pytest.mark.parametrize(
    ("number", "times", "code", "engine"),
    [
        (signal.SIGINT, 6, 130, "local"),
        (signal.SIGINT, 6, 130, "inline"),
        (signal.SIGTERM, 1, 143, "local"),
        (signal.SIGHUP, 2, 129, "local"),
        pytest.param(signal.SIGINT, 3, 130, "spark", marks=[pytest.mark.slow, pytest.mark.spark]),
    ],
)
def test_an_interrupt_says_so_and_leaves_nothing(
    sample_folder: Path,
    tmp_path: Path,
    number: signal.Signals,
    times: int,
    code: int,
    engine: str,
) -> None:
    """Sent to all processes of the run, as a terminal does."""
    out = tmp_path / "run"
    temporary = Path(tempfile.mkdtemp())  # not below tmp_path: its name may be too long for sockets
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "curation",
            "run",
            f"{sample_folder}/recipe.toml",
            f"--out={out}",
            *(["--workers=1"] if engine == "inline" else [f"--engine={engine}"]),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
        # A suite in the background ignores these signals, and hands that on.
        preexec_fn=lambda: [signal.signal(n, signal.SIG_DFL) for n in (number, signal.SIGINT)],
    )
    while not (out / "documents").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)  # into the tasks
    for _ in range(times):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        time.sleep(0.1)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "run the same command to go on" in said
    assert not re.search("Traceback|leaked|resource_tracker", said)
    assert not (out / "run.lock").exists()
    if engine != "spark":  # Spark's workers may still end
        assert not list(out.rglob(f"*{store.TEMPORARY}*"))
        assert os.listdir(temporary) == []


@pytest.mark.parametrize(
    "seconds", [0.4, 1.2, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.8, 1.6))]
)
def test_ctrl_c_while_it_starts_says_so_and_nothing_else(
    sample_folder: Path, tmp_path: Path, seconds: float
) -> None:
    """A terminal sends it to the whole process group: workers, and what they are forked from, must not answer."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "curation",
            "run",
            str(sample_folder / "recipe.toml"),
            "--out",
            str(tmp_path / "run"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    if process.returncode == 130:  # a slow machine may still be starting Python itself
        assert "run the same command to go on" in said
        assert "Traceback" not in said
        assert "ForkServerProcess" not in said
    else:
        assert process.returncode == -signal.SIGINT, said


def test_an_interrupt_in_an_import_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_import.py").write_text(
        "import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(0.2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.signal(signal.SIGINT, _Interrupt())
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            importlib.import_module("slow_to_import")
            time.sleep(5)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "slow_to_import" in sys.modules


def test_an_interrupt_is_known_in_the_error_that_a_library_makes_of_it() -> None:
    for cause in (KeyboardInterrupt(signal.SIGTERM), KeyboardInterrupt()):
        error = RuntimeError("Query interrupted")
        error.__cause__ = cause
        assert _interrupt_of(error) == (cause.args or (signal.SIGINT,))[0]
    assert _interrupt_of(RuntimeError()) is None


def test_init_writes_a_recipe_that_loads_and_never_over_another(tmp_path: Path) -> None:
    from curation.recipe import reading as recipes

    path = str(tmp_path / "recipe.toml")
    assert call("init", path).exit_code == 0
    assert recipes.load(path).dataset
    result = call("init", path)
    assert result.exit_code == 1
    assert "already" in result.output


EVIL = "q[/x] [bold]\x1b]0;title\x07\x9b2J\u202e"


def test_names_of_files_are_neither_markup_nor_obeyed(tmp_path: Path) -> None:
    """A warning that quotes one ends no finished run, and moves no cursor."""
    folder = tmp_path / "q[/x] [bold]\x1b]0;title\x07"
    folder.mkdir(parents=True)
    (folder / "in.jsonl").write_text('{"id": "1", "text": "one two three"}\n{"id": "2"}\n')
    bench = tmp_path / "q[/x] [red]b\x1b[2J.jsonl"
    bench.write_text('{"question": "too short"}\n')
    result = call(
        "decontaminate", str(folder / "in.jsonl"), "--benchmarks", str(bench),
        "--out", str(folder / "run"), "--workers", "1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert r"x] [red]b\x1b[2J" in "".join(result.output.splitlines())
    assert r"Run directory: " + str(folder).replace("\x1b", r"\x1b").replace("\x07", r"\x07") in (
        result.output
    )
    for command in (
        ["report"],
        ["contamination"],
        ["sample"],
        ["check"],
        ["explain", EVIL],
        [EVIL],
    ):
        result = call(command[0], str(folder / "run"), *command[1:])
        assert result.output.replace("\n", "").isprintable(), command
        assert not isinstance(result.exception, UnicodeError | ValueError), command
    for wrong in (
        ["run", EVIL, "--out", "x"],
        ["run", "--" + EVIL],
        ["reasons", EVIL],
        ["--" + EVIL],
    ):
        result = call(*wrong)
        assert result.exit_code in (1, 2)
        assert result.output.replace("\n", "").isprintable(), wrong


def test_the_console_escapes_controls_of_tables_and_panels_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    from curation.cli.console import console

    table = Table(title=Text(EVIL))
    table.add_column(EVIL)
    table.add_row(Text(EVIL), EVIL)
    for part in (table, Panel(Text(EVIL), title=Text(EVIL)), EVIL, Text(EVIL)):
        console().print(part)
    said = capsys.readouterr().out
    assert said.replace("\n", "").isprintable()
    assert said.count("q[/x]") == 8


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_a_log_hears_soon_that_something_is_done(
    seconds: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compiling takes most of a minute; after the first line there is one a minute."""
    monkeypatch.setattr(progress, "FIRST_S", seconds)
    with progress.RunLine() as line:
        line("compile kernels", 0, 9)
        line("compile kernels", 1, 9)
    assert capsys.readouterr().err == ("" if seconds else "compile kernels, 0 of 9\n")
