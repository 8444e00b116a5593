"""The card says what the run says; a push and hf:// addresses, against a stand-in of the Hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hub import TOKEN, Hub, hub

from curation.cli import main
from curation.errors import HubError, InputError
from curation.formats.export import export
from curation.inspect.evidence.flow import funnel
from curation.rundir.kept import kept_documents
from curation.rundir.plan import read

pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")
# The Hub's client uses a form of its own HTTP library that is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import constants

    with hub() as state:
        monkeypatch.setattr(constants, "ENDPOINT", state.address)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        # Tests of models that need no Hub, in the same process, tell its client to stay away.
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield state


def test_the_card_has_the_funnel_and_what_reads_it(tiny_run: Path, tmp_path: Path) -> None:
    export(tiny_run, "hf", tmp_path, license="odc-by")
    text = (tmp_path / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    assert 'license: "odc-by"' in front
    assert 'path: "data/*/train-*.parquet"' in front
    for flow in funnel(*read(str(tiny_run))):
        for line in flow.lines:
            assert line.outcome in ("in", "kept", "cut") or f"- `{line.outcome}`: " in body
            assert line.outcome == "cut" or f" {line.documents:,} |" in body
    assert '"alpha": 1.0' in body
    assert str(tiny_run.parent) not in text  # no path of this machine
    assert "`crawl.jsonl`" in body


def test_what_others_wrote_does_not_change_the_card(run_recipe: Any, tmp_path: Path) -> None:
    """A column's name is code in one line, whatever it holds."""
    rows = [{"id": "a", "text": "some words", "x`|\n# Heading\x1b[2J": 1}]
    rundir, _ = run_recipe({"a": rows}, {"stages": ["extract"]})
    export(rundir.out, "hf", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "\n# Heading" not in text
    assert "\x1b" not in text
    assert "- `x'\\|\\n# Heading\\x1b[2J`: " in text


def test_a_push_sends_the_folder_and_removes_what_it_no_longer_has(
    tiny_run: Path, tmp_path: Path, server: Hub
) -> None:
    made = export(tiny_run, "hf", tmp_path / "out", push="me/mine")
    assert made.address.endswith("/datasets/me/mine")
    sent = server.files["me/mine"]
    assert set(sent) == {*made.files, "_manifest.json"}
    assert all((tmp_path / "out" / name).read_bytes() == data for name, data in sent.items())
    assert server.objects  # large files by LFS
    sent["data/old/train-00000-000.parquet"] = b"of an earlier push"
    sent["notes.md"] = b"mine"
    assert export(tiny_run, "hf", tmp_path / "out", push="me/mine").address == made.address
    assert set(sent) == {*made.files, "_manifest.json", "notes.md"}


@pytest.mark.parametrize(
    ("repo", "change", "said"),
    [
        ("mine", {}, "OWNER/NAME expected, got 'mine'"),
        ("me/mine", {"HF_TOKEN": ""}, "the Hub needs a token"),
        ("me/mine", {"HF_TOKEN": "hf_wrong"}, "the Hub does not know the token"),
    ],
)
def test_what_is_known_before_stops_an_export_before_it_begins(
    tiny_run: Path,
    tmp_path: Path,
    server: Hub,
    monkeypatch: pytest.MonkeyPatch,
    repo: str,
    change: dict[str, str],
    said: str,
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((HubError, InputError), match=said):
        export(tiny_run, "hf", tmp_path / "out", push=repo)
    assert not (tmp_path / "out").exists()


def test_a_hub_without_space_or_right_is_one_sentence(
    tiny_run: Path, tmp_path: Path, server: Hub
) -> None:
    with pytest.raises(HubError, match=r"others/mine: the Hub does not let this token write"):
        export(tiny_run, "hf", tmp_path / "out", push="others/mine")
    assert (tmp_path / "out" / "_manifest.json").exists()
    server.full = True
    with pytest.raises(HubError, match="me/mine: the Hub has no space left") as raised:
        export(tiny_run, "hf", tmp_path / "out", push="me/mine")
    assert "\n" not in str(raised.value)
    server.full = False
    assert export(tiny_run, "hf", tmp_path / "out", push="me/mine").address


def test_a_hub_that_does_not_answer_is_one_sentence(
    tiny_run: Path, tmp_path: Path, server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="the Hub could not be asked"):
        export(tiny_run, "hf", tmp_path / "out", push="me/mine")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="curation")


def test_a_push_of_another_format_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    result = run(
        "export", str(tiny_run), "--format", "jsonl", "--out", str(tmp_path), "--push", "a/b"
    )
    assert result.exit_code == 1
    assert "a push goes with the format 'hf'" in " ".join(result.output.split())


def test_addresses_of_the_hub_are_inputs(tiny_run: Path, tmp_path: Path, server: Hub) -> None:
    """In processes of their own, as the address of the Hub is read when its client is imported."""
    made = export(tiny_run, "hf", tmp_path / "out", push="me/mine")
    server.files["me/lines"] = {
        "README.md": b"# about\n",
        "part/a.jsonl": b'{"id": "a", "text": "one text"}\n',
        "part/b.jsonl": b'{"id": "b", "text": "another text"}\n',
        "other/c.jsonl": b'{"id": "c", "text": "a third text"}\n',
    }
    environment = {**os.environ, "HF_ENDPOINT": server.address, "HF_TOKEN": TOKEN}
    environment["HF_HUB_DISABLE_XET"] = "1"

    out = str(tmp_path / "a")
    addresses = ["hf://datasets/me/mine", "hf://datasets/me/lines@main/part/*.jsonl"]
    command = [sys.executable, "-m", "curation", "extract", *addresses, "--out", out]
    done = subprocess.run(
        [*command, "--workers", "1"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    batches = kept_documents(*read(out), ["id", "text"])
    found = {row["id"]: row["text"] for batch in batches for row in batch.to_pylist()}
    expected = pq.read_table(tmp_path / "out" / "data").to_pylist()
    globbed = {"a": "one text", "b": "another text"}
    assert found == {row["id"]: row["text"] for row in expected} | globbed
    assert len(found) == made.documents + 2
    command = [sys.executable, "-m", "curation", "extract", "hf://datasets/me/none/a.jsonl"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "c")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "no such file or folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_folders_of_the_datasets_library_are_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    rows = [
        {"id": str(i), "text": f"text {i}", "meta": {"n": i, "tags": ["x"]}} for i in range(300)
    ]
    parts = {"train": rows[:250], "test": rows[250:]}
    saved = datasets.DatasetDict({k: datasets.Dataset.from_list(v) for k, v in parts.items()})
    saved.save_to_disk(str(tmp_path / "saved"))
    result = run("dedup", str(tmp_path / "saved"), "--out", str(tmp_path / "o"), "--workers", "1")
    assert result.exit_code == 0, result.output
    found = pq.read_table(tmp_path / "o" / "kept").to_pylist()
    assert {row["id"]: row["meta"] for row in found} == {row["id"]: row["meta"] for row in rows}
    assert json.loads((tmp_path / "saved" / "dataset_dict.json").read_text())
