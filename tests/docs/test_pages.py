"""What the documents promise about themselves: paths exist, links lead somewhere, lines are short."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = DOCS / "reference"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(DOCS.rglob("*.md")),
]
WRITTEN = [page for page in PAGES if GENERATED not in page.parents]
FOLDERS = ("curation", "docs", "jobs", "notebooks", "perf", "scripts", "tests")
LONGEST = 100
KNOWN = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchor(heading: str) -> str:
    """A heading's anchor, as the site makes it."""
    plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
    return re.sub(r"[\s-]+", "-", plain)


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=name)
def test_every_file_named_exists(page: Path) -> None:
    """`folder/file.py` from the root, and `file.py` alone where the sentence names its folder."""
    text = page.read_text(encoding="utf-8")
    for path in re.findall(rf"(?<![\w/.])(?:{'|'.join(FOLDERS)})/[\w./-]+\.\w+", text):
        assert (ROOT / path).exists(), path
    for file in re.findall(r"`([\w./-]+\.py)`", text):
        assert (ROOT / file).exists() if "/" in file else file in KNOWN, file


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        file, _, place = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), target
        if place:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.M)
            assert place in map(anchor, headings), target


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_lines_are_short(page: Path) -> None:
    """Tables, and what a program printed (```text), cannot be broken."""
    printed = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            printed = line == "```text"
        assert len(line) <= LONGEST or printed or line.startswith("|"), f"line {number}"


def test_every_page_is_in_the_site() -> None:
    def files(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [file for item in entry for part in item.values() for file in files(part)]

    nav = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    assert sorted(files(nav)) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


def test_the_reference_is_what_the_code_says() -> None:
    # In a process of its own: other tests of this one may have changed what help pages look like.
    script = "import make_reference; raise SystemExit(' '.join(make_reference.out_of_date()) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT / "scripts", capture_output=True, text=True
    )
    assert done.returncode == 0, f"run scripts/make_reference.py: {done.stderr}"


def test_every_table_schema_is_in_the_reference() -> None:
    import pyarrow as pa
    from make_reference import PLACES

    from curation.rundir import schema

    assert {n for n, value in vars(schema).items() if isinstance(value, pa.Schema)} == set(PLACES)
