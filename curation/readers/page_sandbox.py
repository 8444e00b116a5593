"""Pages -> texts in a child process, so that a page on which a parser hangs or dies costs itself
and nothing else.

No alarm interrupts native code, but a signal without a handler ends a process even there. So the
child sets a timer of processor time before each page. When it runs out the child ends, and its
owner starts another that goes on behind the page. Costs two system calls a page, a copy of page and
text through a socket, and once a worker a second and 200 MB for the child. The trap: an extractor
that cannot start would reject every page as crashed, so the child first extracts a page of its own.
It answers in JSON: its owner unpickles nothing that a page could have written.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe

import orjson

from curation.errors import CurationError
from curation.readers.html import Form, page_text
from curation.readers.records import Page, PageError

CLOCK_FACTOR = 10  # seconds of the clock for each of the processor: a call that sleeps ends too
MAX_CRASHES = 25  # pages in a row
COMMAND = "from curation.readers import page_sandbox; page_sandbox.serve({})"
_TRIAL = Page(
    b"<html><title>Mill</title><p>" + b"The miller wound the sluice at dawn. " * 9,
    None,
    None,
    None,
    None,
    0,
)
Answer = str | tuple[str, str | None]  # a text, or reason and detail as in PageError


@functools.lru_cache(maxsize=1)
def page_sandbox(extractor: str, form: Form, max_page_s: float) -> PageSandbox:
    """Return this process's child with these settings; it lives until the process ends or asks for
    other settings."""
    return PageSandbox(extractor, form, max_page_s)


class PageSandbox:
    """`html.page_text` of many pages, by a child process that starts with the first and is replaced
    when it dies."""

    def __init__(self, extractor: str, form: Form, max_page_s: float) -> None:
        self._settings = (extractor, form, max_page_s)
        self._crashes = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None

    def texts(self, pages: Sequence[Page]) -> list[str | PageError]:
        """Return the text of each page, or why it has none: as `page_text` says, too_slow, or
        crashed.

        too_slow: it took more than `max_page_s` seconds of processor time, or `CLOCK_FACTOR` times
        that by the clock. crashed: the child ended on it. Both only after the page was tried by
        itself, in a child of its own. Raises CurationError where the child cannot start, or ends on
        25 pages in a row.
        """
        answers = self._asked(pages)
        if answers is None:  # the child ended on one of them, or of something else
            self._exit_code()
            answers = [self._alone(page) for page in pages]
        return [answer if isinstance(answer, str) else PageError(*answer) for answer in answers]

    def _alone(self, page: Page) -> Answer:
        answers = self._asked([page])
        if answers is None:
            return self._crash_reason()
        self._crashes = 0
        return answers[0]

    def _asked(self, pages: Sequence[Page]) -> list[Answer] | None:
        """Return the child's answers; None where it ended."""
        if self._line is None:
            self._line = self._started()
        try:
            self._line.send_bytes(pickle.dumps(pages, pickle.HIGHEST_PROTOCOL))
            answers: list[Answer] = orjson.loads(self._line.recv_bytes())
        except (EOFError, ConnectionError):
            return None
        return answers

    def _crash_reason(self) -> Answer:
        """Wait for the child that ended on a page; return the reason and detail of the page."""
        code = self._exit_code()
        if code in (-signal.SIGPROF, -signal.SIGALRM):
            return "too_slow", f"more than {self._settings[2]:g} s of {self._settings[0]}"
        self._crashes += 1
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if self._crashes >= MAX_CRASHES:
            raise CurationError(
                f"the extractor {self._settings[0]!r} died ({cause}) on {MAX_CRASHES} pages in a row; is memory short? "
                "Look at what it printed, or set another `extractor` in [extract]"
            )
        return "crashed", f"the extractor ended with {cause}"

    def _exit_code(self) -> int:
        assert self._child is not None
        assert self._line is not None
        self._line.close()
        code = self._child.wait()
        self._child = self._line = None
        return code

    def _started(self) -> Connection:
        ours, theirs = Pipe()
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        command = [sys.executable, "-P", "-c", COMMAND.format(theirs.fileno())]
        self._child = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        weakref.finalize(self, _stop, ours, self._child)
        theirs.close()
        self._line = ours
        try:
            ours.send(self._settings)
            problem = ours.recv_bytes().decode()
        except (EOFError, ConnectionError):
            code = self._exit_code()
            problem = f"it ended with code {code}; what it printed says why"
            if code < 0:
                problem = f"{signal.Signals(-code).name} ended it; is memory short?"
        if problem:
            raise CurationError(f"the process that extracts text did not start: {problem}")
        return ours


def _stop(line: Connection, child: subprocess.Popen[bytes]) -> None:
    line.close()
    child.kill()
    child.wait()


def serve(line_number: int) -> None:
    """Run the child: read settings, then pages from a socket and answer with texts, until its owner
    ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is for the owner
    timers = {signal.SIGPROF, signal.SIGALRM}
    for number in timers:  # the owner may have set handlers
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, timers)
    line = Connection(line_number)
    threading.Thread(target=_end_with_owner, args=(line_number,), daemon=True).start()
    try:
        extractor, form, max_page_s = line.recv()
        try:  # without a time limit, since this loads the extractor and compiles what is not compiled yet
            with contextlib.suppress(PageError):
                page_text(_TRIAL, extractor, form)
        except CurationError as error:
            line.send_bytes(str(error).encode())
            return
        line.send_bytes(b"")
        while True:
            pages = pickle.loads(line.recv_bytes())
            answers = [_limited(page, extractor, form, max_page_s) for page in pages]
            line.send_bytes(orjson.dumps(answers))
    except (EOFError, ConnectionError):
        return


def _end_with_owner(line_number: int) -> None:
    """End this process when its owner is gone, also while it loads the extractor."""
    poll = select.poll()
    poll.register(line_number, 0)  # nothing but its closing
    poll.poll()
    os._exit(1)


def _limited(page: Page, extractor: str, form: Form, max_page_s: float) -> Answer:
    signal.setitimer(signal.ITIMER_PROF, max_page_s)
    signal.setitimer(signal.ITIMER_REAL, CLOCK_FACTOR * max_page_s)
    try:
        return page_text(page, extractor, form)
    except PageError as error:
        return error.reason, error.detail and error.detail.encode("utf-8", "replace").decode()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
