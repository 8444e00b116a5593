"""The report's pages, block by block: read again from their archives, or said not to be there."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from checked_html import parsed

from curation.blocks.extractor import Block
from curation.engine.inline import InlineEngine
from curation.inspect.evidence.extracted import extracted_pages
from curation.inspect.evidence.report import report
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.rundir.plan import read
from curation.web.report import page

STORY = "".join(
    f"<p>The keeper of mill {n} told a long story, which nobody in the village has forgotten.</p>"
    for n in range(9)
)


def archive(path: Path, pages: int, *, in_one: bool = False) -> None:
    """Pages with a menu and a story, each in its own compressed member, or all in one."""
    members = []
    for n in range(pages):
        html = f"<ul><li><a href=/>Home &lt;{n}&gt;</a></ul><div class=story><h1>Mill {n}</h1>{STORY}</div>".encode()
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + html
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{n}>\r\nWARC-Date: 2019-08-17T00:00:01Z\r\n"
            f"WARC-Target-URI: http://mill.example/{n}\r\nContent-Type: application/http; msgtype=response\r\n"
            f"Content-Length: {len(block)}\r\n\r\n"
        )
        members.append(head.encode() + block + b"\r\n\r\n")
    members = [b"".join(members)] if in_one else members
    path.write_bytes(b"".join(map(gzip.compress, members)))


@pytest.mark.parametrize("in_one", [False, True])
def test_pages_are_read_again_or_said_to_be_gone(
    tmp_path: Path, inline: InlineEngine, in_one: bool
) -> None:
    archive(tmp_path / "a.warc.gz", 5, in_one=in_one)
    told = {
        "stages": ["extract"],
        "dataset": [{"name": "crawl", "files": str(tmp_path / "a.warc.gz")}],
    }
    out = str(tmp_path / "run")
    pipeline.run(recipe.parse(told), out, inline, say=lambda _: None)
    rundir, plan = read(out)
    found = extracted_pages(rundir, plan)
    assert found is not None
    assert [shown.kept for shown in found] == [True] * 3
    for shown in found:
        assert shown.url is not None
        assert shown.blocks is not None
        first = replace(shown.blocks[0], score=0.0)
        assert first == Block(f"Home <{shown.url[-1]}>", 0.0, False, "li", 0.875)
        assert sum(block.kept for block in shown.blocks) >= 9
    assert found == extracted_pages(rundir, plan)
    text = parsed(page(report(rundir, plan))).text
    assert "Pages, block by block" in text
    assert f"Home <{(found[0].url or '')[-1]}>" in text
    shutil.move(tmp_path / "a.warc.gz", tmp_path / "gone.warc.gz")
    assert [shown.blocks for shown in extracted_pages(rundir, plan) or []] == [None] * 3
    assert "not found again in its archive" in parsed(page(report(rundir, plan))).text
