"""Journeys through `curation browse` in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import INSTALL, Browser, chromium

from curation.inspect.evidence.report import report as evidence
from curation.rundir.directory import RunDirectory
from curation.rundir.plan import Plan, read
from curation.web.app import VIEWS
from curation.web.cuts import write_cuts
from curation.web.report import page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(chromium() is None, reason=INSTALL),
]
PAGES = [path for path in VIEWS if "{" not in path and path not in ("/id", "/live")]


# Texts whose contrast to what is painted behind them is under 4.5 : 1 (WCAG 1.4.3), by text.
FAINT = """(() => {
  const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
    .getContext("2d", {willReadFrequently: true});
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const painted = colours => { pen.clearRect(0, 0, 1, 1);
    for (const c of colours) { pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); }
    return pen.getImageData(0, 0, 1, 1).data; };
  const faint = [], seen = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (seen.nextNode()) {
    const node = seen.currentNode.parentElement;
    if (!seen.currentNode.data.trim() || node.closest("svg, option, .hidden, .skip")) continue;
    const behind = [];
    for (let n = node; n; n = n.parentElement) behind.unshift(getComputedStyle(n).backgroundColor);
    const a = light(painted([...behind, getComputedStyle(node).color])), b = light(painted(behind));
    if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5)
      faint.push(seen.currentNode.data.trim().slice(0, 40));
  }
  return faint;
})()"""
# Names that two landmarks of a page have, and boxes that scroll but cannot be reached with a key.
UNCLEAR = """(() => {
  const marks = [...document.querySelectorAll("header, nav, main, [role=search], section")]
    .map(e => [e.tagName, e.ariaLabel || e.getAttribute("aria-labelledby")].join(" "));
  const twice = marks.filter((name, i) => marks.indexOf(name) !== i && !name.endsWith(" "));
  const stuck = [...document.querySelectorAll("main *")].filter(e =>
    (e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1)
    && /auto|scroll/.test(getComputedStyle(e).overflow) && e.tabIndex < 0
    && !e.querySelector("a, button, input, [tabindex]")).map(e => e.className);
  return [...twice, ...stuck];
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def site(tiny_run: Path) -> Iterator[str]:
    """The address of a server for the tiny run, beside itself."""
    command = [sys.executable, "-m", "curation", "browse", str(tiny_run), str(tiny_run), "--no-open",
               "--port", "0"]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    yield server.stdout.readline().strip().rstrip("/")
    server.terminate()
    server.communicate()


@pytest.mark.parametrize("width", [390, 800, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_no_page_scrolls_sideways_or_complains(
    browser: Browser, site: str, width: int, dark: bool
) -> None:
    browser.looks(width, dark)
    browser.complaints.clear()
    for path in (*PAGES, "/document/crawl/0/10?marks=words", "/compare"):
        browser.go(site + path)
        wide = browser.value("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (path, wide)
        assert browser.value(FAINT) == [], path
        assert browser.value(UNCLEAR) == [], path
    assert browser.complaints == []


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_pages_in_one_file_fit_the_window_and_keep_their_policy(
    browser: Browser, tiny_run: Path, tmp_path: Path, width: int
) -> None:
    opened = read(str(tiny_run))
    report, cuts = tmp_path / "report.html", tmp_path / "cuts.html"
    report.write_text(page(evidence(*opened)), "utf-8")
    write_cuts(*opened, str(cuts))
    browser.looks(width, width == 800)
    for path in (report, cuts):
        browser.complaints.clear()
        browser.go(f"file://{path}")
        assert browser.value("document.documentElement.scrollWidth - innerWidth") <= 0
        assert browser.value("getComputedStyle(document.querySelector('h1')).marginTop") != "0px"
        browser.value("for (const e of document.querySelectorAll('summary, bdi, dd, p.text, h3'))"
                      " e.textContent = 'http://a.example/' + 'x'.repeat(300)")  # fmt: skip
        assert browser.value("document.documentElement.scrollWidth - innerWidth") <= 0
        assert browser.complaints == []  # the policy refuses neither style nor script
    browser.go(f"file://{report}")
    for link in browser.value("[...document.querySelectorAll('nav a')].map(a => a.hash)"):
        assert browser.value(f"document.querySelector('{link}') !== null"), link


def test_colours_follow_the_reader(browser: Browser, site: str) -> None:
    papers = set()
    for dark in (False, True):
        browser.looks(800, dark)
        browser.go(site + "/")
        papers.add(browser.value("getComputedStyle(document.body).backgroundColor"))
    assert len(papers) == 2


def test_from_the_funnel_to_why_a_document_left(browser: Browser, site: str) -> None:
    browser.looks(1400, False)
    browser.go(site + "/")
    browser.click('svg.flow a[href*="dedup%3A+duplicate"]')
    browser.wait("location.search.includes('dedup')")
    browser.wait("document.querySelectorAll('table.list tbody a').length > 0")
    browser.click("table.list tbody th a")
    browser.wait("location.pathname.startsWith('/document/')")
    assert "removed by dedup: duplicate" in browser.wait(
        "document.querySelector('.verdict').innerText"
    )
    browser.click('a[href$="/duplicate"]')
    browser.wait("document.querySelectorAll('.two section').length === 2")


def test_words_are_searched(browser: Browser, site: str) -> None:
    browser.go(site + "/documents")
    browser.value("document.querySelector('#words').value = 'orla finch'")
    browser.value("document.querySelector('form.filters').requestSubmit()")
    browser.wait("location.search.includes('words=orla')")
    browser.wait("document.querySelector('#more').innerText.includes('these are all')")
    rows = browser.value("document.querySelectorAll('table.list tbody th a').length")
    assert rows == 4


def test_the_slider_decides_anew_and_its_address_can_be_sent(browser: Browser, site: str) -> None:
    browser.go(site + "/alpha")
    before = browser.value("document.querySelector('.numbers strong').innerText")
    browser.value(
        "document.querySelector('#alpha').value = 20;"
        "document.querySelector('#alpha').dispatchEvent(new Event('input', {bubbles: true}))"
    )
    browser.wait("document.querySelector('.numbers').innerText.includes('at alpha 20')")
    after = browser.value("document.querySelector('.numbers strong').innerText")
    assert int(after) < int(before)
    browser.wait("location.search === '?alpha=20'")
    browser.go(browser.value("location.href"))
    assert browser.value("document.querySelector('.numbers strong').innerText") == after


def test_back_leads_past_a_slider(browser: Browser, site: str) -> None:
    browser.go(site + "/documents")
    browser.go(site + "/alpha")
    for value in (3, 5):
        browser.value(
            f"document.querySelector('#alpha').value = {value};"
            "document.querySelector('#alpha').dispatchEvent(new Event('input', {bubbles: true}))"
        )
        browser.wait(f"location.search === '?alpha={value}'")
    browser.value("history.back()")
    browser.wait("location.pathname === '/documents'")
    assert browser.value("document.querySelector('nav') !== null")


def test_back_leads_to_the_place_in_the_list(browser: Browser, run_recipe: object) -> None:
    rows = [{"id": str(n), "text": f"The tide turns at noon. {n}"} for n in range(110)]
    made: tuple[RunDirectory, Plan] = run_recipe({"a": rows}, {"stages": ["extract"]})  # type: ignore[operator]
    command = [sys.executable, "-m", "curation", "browse", made[0].out, "--no-open", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    browser.looks(1280, False, 500)
    browser.go(server.stdout.readline().strip() + "documents?dataset=a")
    links = "document.querySelectorAll('table.list tbody th a').length"
    browser.wait(f"{links} === 50 && document.querySelector('#more a') !== null")
    # A key, as a person presses: a click by a script may replace the entry of the history.
    browser.value("document.querySelector('#more a').focus()")
    browser.key("Enter", 13, "\r")
    browser.wait(f"location.search.includes('after=') && {links} === 50")
    browser.value("scrollTo(0, 300)")
    browser.wait("scrollY === 300")
    browser.value("document.querySelector('table.list tbody th a').focus({preventScroll: true})")
    browser.key("Enter", 13, "\r")
    browser.wait("location.pathname.startsWith('/document/')")
    browser.value("history.back()")
    browser.wait(f"location.search.includes('after=') && {links} === 50 && scrollY === 300")
    browser.value("history.back()")
    browser.wait(f"location.search === '?dataset=a' && {links} === 50")
    server.terminate()
    server.communicate()


def test_a_threshold_is_slid_with_the_arrow_keys(browser: Browser, run_recipe: object) -> None:
    rows = [{"id": str(n), "text": "The tide turns at noon. " * n} for n in range(1, 25)]
    rule = {"name": "few", "drop": "words < 50"}
    table = {"stages": ["extract", "filter"], "filter": {"rule": [rule], "alarm": "warn"}}
    made: tuple[RunDirectory, Plan] = run_recipe({"crawl:a": rows}, table)  # type: ignore[operator]
    command = [sys.executable, "-m", "curation", "browse", made[0].out, "--no-open", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    browser.go(server.stdout.readline().strip() + "thresholds")
    assert "+0\nwould stay" in browser.value("document.querySelector('#trial').innerText")
    browser.value("document.querySelector('#t0').focus()")
    for _ in range(9):
        browser.key("ArrowLeft", 37)
    value = browser.value("document.querySelector('#t0').value")
    assert float(value) < 50
    browser.wait(f"document.querySelector('#trial').innerText.includes('words < {value}')")
    browser.wait(f"location.search.includes('t0={value}')")
    sent = browser.value("location.href")
    stays = browser.value("document.querySelectorAll('#trial .numbers strong')[2].innerText")
    browser.go(sent)
    again = browser.value("document.querySelectorAll('#trial .numbers strong')[2].innerText")
    assert again == stays != "+0"
    server.terminate()
    server.communicate()


def test_a_document_is_found_by_its_address_with_the_keyboard_alone(
    browser: Browser, site: str
) -> None:
    browser.go(site + "/")
    browser.key("Tab", 9)
    assert browser.value("document.activeElement.className") == "skip"
    assert browser.value("document.activeElement.getBoundingClientRect().left") >= 0
    for _ in range(8):
        browser.key("Tab", 9)
        if browser.value("document.activeElement.id") == "key":
            break
    browser.call("Input.insertText", text="http://site42.example/a?b=<42>&c")
    browser.key("Enter", 13, "\r")
    browser.wait("location.pathname === '/find'")
    assert "2 documents" in browser.wait("document.querySelector('main').innerText")


def test_a_key_labels_a_document_and_the_next_one_comes(browser: Browser, site: str) -> None:
    browser.go(site + "/label")
    first = browser.value("document.querySelector('input[name=id]').value")
    browser.key("s", 83, "s")
    browser.wait(f"document.querySelector('input[name=id]').value !== {first!r}")
    browser.key("b", 66, "b")
    browser.wait(f"document.querySelector('input[name=id]').value === {first!r}")


def test_two_runs_beside_each_other(browser: Browser, site: str) -> None:
    browser.go(site + "/compare")
    browser.wait("document.querySelector('#compared svg') !== null")
    browser.click("#compared table a")
    browser.wait("document.querySelector('#documents') !== null")
    browser.click('a[href^="/compare/document"]')
    browser.wait("location.pathname === '/compare/document'")
    assert "equal" in browser.wait("document.querySelector('main').innerText")


def test_a_large_run_asks_for_its_sections(
    browser: Browser, site: str, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import curation.web.opened as o; o.SMALL = 0; from curation.web.server import serve;"
        f"serve([{str(tiny_run)!r}], '127.0.0.1', 0, False, lambda s: print(s, flush=True))"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    browser.go(address + "classifier")
    browser.wait("document.querySelectorAll('main section').length >= 4 && "
                 "!document.querySelector('[aria-busy]')")  # fmt: skip
    browser.go(address)
    browser.wait("!document.querySelector('#hints[hx-get]')")
    server.terminate()
    server.communicate()


def test_text_of_strangers_does_nothing_in_a_browser(browser: Browser, run_recipe: object) -> None:
    evil = (
        "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
        "<style>body{display:none}</style><a hx-get='/' hx-trigger='load'>x</a>\u202e"
    )
    rows = [{"id": evil, "url": f"javascript:{evil}", "text": f"{evil} some words"}]
    made: tuple[RunDirectory, Plan] = run_recipe({"a": rows}, {"stages": ["extract"]})  # type: ignore[operator]
    command = [sys.executable, "-m", "curation", "browse", made[0].out, "--no-open", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    browser.complaints.clear()
    for path in ("", "documents", "document/a/0/0", "documents?words=some"):
        browser.go(address + path)
        assert browser.value("document.title") != "owned"
        assert browser.value("getComputedStyle(document.body).display") == "block"
        assert (
            browser.value("document.querySelectorAll('main script, main img, main style').length")
            == 0
        )
    shown = browser.value("document.body.innerText")
    assert re.search(r"<script>document\.title='owned'</script>", shown)
    assert browser.complaints == []
    server.terminate()
    server.communicate()
