"""The questions that somebody has who sees a run for the first time, answered from the pages alone.

Why did these documents leave? Which site gave most kept text? What would alpha 3 keep? How do two
runs differ? Only links of the pages are followed; each answer is compared with the tables.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import INSTALL, Browser, chromium
from click.testing import CliRunner

from curation import store
from curation.cli import main
from curation.inspect.evidence.sites import sites
from curation.kernels.pareto import pareto_draw
from curation.rundir.plan import read

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(chromium() is None, reason=INSTALL),
]
TEXT = "document.querySelector('main').innerText"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("browser"))
    opened.looks(1280, False)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def runs(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The tiny run, and the same stopped before dedup."""
    other = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("other") / "other"))
    for stage in ("dedup", "decontaminate", "tokens", "shards"):
        shutil.rmtree(other / stage)
    return tiny_run, other


@pytest.fixture(scope="module")
def site(runs: tuple[Path, Path]) -> Iterator[str]:
    """The first page of both runs."""
    command = [sys.executable, "-m", "curation", "browse", *map(str, runs), "--no-open", "--port",
               "0"]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    yield server.stdout.readline().strip()
    server.terminate()
    server.communicate()


def menu(browser: Browser, site: str, name: str) -> str:
    """Choose a page of the menu; its text when all of it is there."""
    browser.go(site)
    browser.value(
        f"[...document.querySelectorAll('nav a')].find(a => a.innerText === {name!r}).click()"
    )
    browser.wait(f"document.querySelector('nav [aria-current]').innerText === {name!r}")
    browser.wait("!document.querySelector('[aria-busy]')")
    return str(browser.wait(TEXT))


@pytest.mark.parametrize("reason", ["low_quality", "exact_duplicate", "duplicate"])
def test_why_a_document_left(
    browser: Browser, site: str, runs: tuple[Path, Path], reason: str
) -> None:
    browser.go(site)
    browser.value(
        f"[...document.querySelectorAll('svg.flow a')].find(a => "
        f"a.textContent.endsWith(' {reason}')).dispatchEvent(new MouseEvent('click', "
        "{bubbles: true, cancelable: true}))"
    )
    browser.wait("document.querySelectorAll('table.list tbody th a').length > 0")
    browser.click("table.list tbody th a")
    said = browser.wait("(document.querySelector('.verdict') || {}).innerText")
    id_ = browser.value("document.querySelector('h1').innerText")
    told = CliRunner().invoke(main, ["explain", str(runs[0]), id_]).output
    sentence = " ".join(said.split())
    assert sentence.startswith("removed removed by ")
    assert sentence.removeprefix("removed ").split(" (")[0] in " ".join(told.split())


def test_which_site_gave_most_kept_text(
    browser: Browser, site: str, runs: tuple[Path, Path]
) -> None:
    assert "those with most kept tokens first" in menu(browser, site, "Sites")
    first = browser.value("document.querySelector('main tbody th').innerText")
    assert first == sites(*read(str(runs[0]))).sites[0].host


def test_what_alpha_3_would_keep(browser: Browser, site: str, runs: tuple[Path, Path]) -> None:
    menu(browser, site, "Alpha")
    browser.value(
        "document.querySelector('#alpha').value = 3;"
        "document.querySelector('#alpha').dispatchEvent(new Event('input', {bubbles: true}))"
    )
    browser.wait("document.querySelector('.numbers').innerText.includes('at alpha 3')")
    said = browser.value("document.querySelector('.numbers strong').innerText")
    rundir, plan = read(str(runs[0]))
    (dataset,) = filter(rundir.recipe.classified, rundir.recipe.names())
    kept = 0
    for shard in plan.of(dataset):
        table = store.read_table(rundir.table("classify", shard, "evidence"), ["score", "u"])
        score, u = (table.column(name).to_numpy() for name in ("score", "u"))
        kept += int(np.sum(pareto_draw(u, 3.0) > 1.0 - score))
    assert said == f"{kept:,}"


def test_how_two_runs_differ(browser: Browser, site: str, runs: tuple[Path, Path]) -> None:
    menu(browser, site, "A and B")
    browser.wait("document.querySelector('#compared svg') !== null")
    numbers = browser.value(
        "[...document.querySelectorAll('#compared .numbers strong')].map(e => e.innerText)"
    )
    rows = browser.value(
        "[...document.querySelectorAll('#compared tr.stay')].map(r => r.innerText.split('\\t'))"
    )
    told = CliRunner().invoke(main, ["diff", *map(str, runs), "--json"]).output
    data = json.loads(told)
    assert numbers[:3] == [f"{n:,}" for n in data["kept"]]
    flows: dict[tuple[str, str], int] = {}
    for change in data["changes"]:
        if change["before"] != change["after"]:
            key = change["before"], change["after"]
            flows[key] = flows.get(key, 0) + change["documents"]
    assert {(a, b): int(n) for n, a, b in rows} == flows
