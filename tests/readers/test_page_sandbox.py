"""A page on which the extractor hangs or dies costs itself: the others' texts come, in their
order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from curation.errors import CurationError
from curation.readers import page_sandbox
from curation.readers.html import Form, page_text
from curation.readers.language import languages
from curation.readers.records import Page, PageError

STORY = (
    "The whole story of the little mill by the river is told here, and it is a long one indeed. "
)


def page(body: str) -> Page:
    return Page(body.encode(), None, None, None, "text/html", 0)


PAGES = [page(f"<html><p>{STORY * n}</p>") for n in range(1, 6)]
HEAVY = page("<p>" + "<i>x</i> " * 180_000)  # a good part of a second


def texts(made: page_sandbox.PageSandbox, pages: list[Page]) -> list[str | PageError]:
    answers = made.read(pages)
    return [one if isinstance(one, PageError) else one.text for one in answers]


def reasons(found: list[str | PageError]) -> list[str | None]:
    return [one.reason if isinstance(one, PageError) else None for one in found]


def test_the_same_texts_as_in_this_process_and_pages_without_any() -> None:
    made = page_sandbox.PageSandbox("none", Form(), 30.0)
    found = texts(made, [*PAGES, page("  "), page("<div>" * 10_000)])
    assert found[:-2] == [page_text(one, "none") for one in PAGES]
    assert reasons(found[-2:]) == ["empty", "too_large"]
    assert texts(made, []) == []


def test_languages_are_those_that_this_process_finds() -> None:
    made = page_sandbox.PageSandbox("none", Form(), 30.0, languages=True)
    german = "Der Leuchtturm stand am Ende der Insel, und das Meer war still. " * 4
    found = made.read([PAGES[0], page("  "), page(f"<p>{german}</p>"), page("<p>12 345</p>")])
    read = [one for one in found if not isinstance(one, PageError)]
    expected = languages([one.text for one in read])
    assert [one.language for one in read] == expected[0] == ["en", "de", "und"]
    assert [one.language_score for one in read] == expected[1]


def test_a_page_that_takes_too_long_costs_itself() -> None:
    made = page_sandbox.PageSandbox("none", Form(), 0.05)
    found = texts(made, [*PAGES[:3], HEAVY, *PAGES[3:]])
    assert reasons(found) == [None, None, None, "too_slow", None, None]
    assert found[4:] == [page_text(one, "none") for one in PAGES[3:]]


def test_a_sleeping_page_ends_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child of a test sleeps where it should extract."""
    monkeypatch.setattr(page_sandbox, "COMMAND", "from tests_child import serve; serve({})")
    made = page_sandbox.PageSandbox("none", Form(), 0.02)
    assert reasons(texts(made, [PAGES[0], page("sleep"), PAGES[1]])) == [None, "too_slow", None]


def test_a_page_that_kills_the_extractor_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_sandbox, "COMMAND", "from tests_child import serve; serve({})")
    made = page_sandbox.PageSandbox("none", Form(), 5.0)
    found = texts(made, [PAGES[0], page("segfault"), page("raise"), PAGES[1]])
    assert reasons(found) == [None, "crashed", "crashed", None]
    assert isinstance(found[1], PageError)
    assert "SIGSEGV" in str(found[1].detail)


def test_a_child_killed_from_outside_costs_nothing() -> None:
    made = page_sandbox.PageSandbox("none", Form(), 30.0)
    expected = texts(made, PAGES)
    assert made._child is not None
    made._child.kill()
    assert texts(made, PAGES) == expected


def test_an_extractor_that_always_dies_is_no_matter_of_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_sandbox, "COMMAND", "from tests_child import serve; serve({})")
    monkeypatch.setattr(page_sandbox, "MAX_CRASHES", 3)
    made = page_sandbox.PageSandbox("none", Form(), 5.0)
    with pytest.raises(CurationError, match="3 pages in a row"):
        texts(made, [page("segfault")] * 4)
    monkeypatch.setattr(page_sandbox, "COMMAND", "raise SystemExit(7)  # {}")
    with pytest.raises(CurationError, match="did not start: it ended with code 7, and printed"):
        page_sandbox.PageSandbox("none", Form(), 5.0).read(PAGES)
    killed = "import os; os.kill(os.getpid(), 9)  # {}"
    monkeypatch.setattr(page_sandbox, "COMMAND", killed)
    with pytest.raises(CurationError, match="did not start: SIGKILL ended it; is memory short"):
        page_sandbox.PageSandbox("none", Form(), 5.0).read(PAGES)


def test_a_child_that_is_still_loading_ends_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads nothing from its line meanwhile, and must see that the line is closed."""
    load = "import time; page_sandbox.text_and_rights = lambda *_: time.sleep(600); "
    command = page_sandbox.COMMAND.replace("; ", "; " + load, 1)
    monkeypatch.setattr(page_sandbox, "COMMAND", command)
    owner = (
        f"from curation.readers import page_sandbox; page_sandbox.COMMAND = {command!r}; "
        "import os, threading; from curation.readers.html import Form; "
        "threading.Timer(3, os._exit, [0]).start(); "
        "page_sandbox.PageSandbox('none', Form(), 5.0).read([page_sandbox._TRIAL])"
    )
    # The child holds the other end of this pipe for as long as it lives.
    subprocess.run([sys.executable, "-c", owner], stdout=subprocess.PIPE, timeout=60, check=True)


def test_the_child_ends_with_its_owner() -> None:
    made = page_sandbox.PageSandbox("none", Form(), 30.0)
    texts(made, PAGES[:1])
    child = made._child
    assert isinstance(child, subprocess.Popen)
    del made
    assert child.poll() is not None
    code = (
        "from curation.readers.html import Form; from curation.readers.page_sandbox import PageSandbox, _TRIAL; import os\n"
        "w = PageSandbox('none', Form(), 30.0); w.read([_TRIAL]); print(w._child.pid, flush=True); os._exit(0)"
    )
    pid = int(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, text=True
        ).stdout
    )
    for _ in range(200):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            break
        time.sleep(0.02)
    else:
        pytest.fail("the child outlived its owner")


def test_a_page_that_takes_too_much_memory_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the extractor dies of it in silence, or goes on without."""
    monkeypatch.setattr(page_sandbox, "COMMAND", "from tests_child import serve; serve({})")
    monkeypatch.setattr(page_sandbox, "MAX_PAGE_MEMORY_BYTES", 100 << 20)
    made = page_sandbox.PageSandbox("none", Form(), 5.0)
    found = texts(made, [PAGES[0], page("heavy"), page("heavy, but goes on"), PAGES[1]])
    assert reasons(found) == [None, "too_heavy", "too_heavy", None]
    assert str(found[1]) == "too_heavy: more than 100 MB of none"


SWEEP = """
import os, resource
from curation.readers import page_sandbox
from curation.readers.html import Form, page_text
from curation.readers.records import Page

def text(page):
    return page_text(page, "blocks", Form())

text(page_sandbox._TRIAL)
page = Page(b"<p>x " * 55_000, None, None, None, None, 0)
expected = text(page)
for megabytes in (0, 1, 2, 4, 8, 12, 16, 20, 40):
    if not os.fork():
        os.close(2)
        limit = page_sandbox._memory("VmData") + (megabytes << 20)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        os._exit(0 if text(page) == expected else 99)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_with_less_memory_a_page_gives_the_same_text_or_none() -> None:
    """The page has so many blocks that another extractor is asked."""
    found = subprocess.run(
        [sys.executable, "-c", SWEEP], capture_output=True, check=True, text=True
    ).stdout.split()
    assert "0" in found
    assert set(found) - {"0"}
    assert "99" not in found
