"""Pages -> texts, rights and languages in a child process, so that a page on which a parser hangs
or dies costs itself and nothing else.

No alarm interrupts native code, but a signal without a handler ends a process even there. So the
child sets a timer of processor time before each page. When it runs out the child ends, and its
owner starts another that goes on behind the page. Memory has a limit too: the child never catches
that it is out of it, since an extractor would go on and give another text. Costs six short system
calls a page, a copy of the page through a file in memory and of the text through a socket, and once
a worker a second and 200 MB for the child.
The languages of the texts are found there too, since the child has Numba loaded already: it would
take its owner another 100 MB.
The trap: an extractor that cannot start would reject every page as crashed, so the child first
extracts a page of its own. It answers in JSON: its owner unpickles nothing that a page could have
written.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import pickle
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import fields
from multiprocessing.connection import Connection, Pipe
from operator import attrgetter
from typing import IO, Any

import orjson

from curation.compiler import load_without_extras
from curation.errors import CurationError
from curation.readers import language
from curation.readers.html import Form, text_and_rights
from curation.readers.records import Page, PageError, PageText, Rights

CLOCK_FACTOR = 10  # seconds of the clock for each of the processor: a call that sleeps ends too
MAX_CRASHES = 25  # pages in a row
MAX_PAGE_MEMORY_BYTES = 1 << 30  # beyond what the child has after its first page
_WATCH_S, _PRINTED_BYTES = 0.01, 10_000
_HEAVY_SHARE = 0.9  # of that: so near the limit an extractor may have gone on without memory
# What Python, Rust, C++ and resiliparse's parser say when they are out of memory.
_NO_MEMORY = re.compile(rb"MemoryError|memory allocation of|bad_alloc|Failed to parse document")
COMMAND = "from curation.readers import page_sandbox; page_sandbox.serve({})"
_TRIAL = Page(
    b"<html><title>Mill</title><p>" + b"The miller wound the sluice at dawn. " * 9,
    None,
    None,
    None,
    None,
    0,
)
_, *_OTHERS = (field.name for field in fields(Page))
_besides_body = attrgetter(*_OTHERS)
# A text with the fields of its Rights, then its language and the language's probability, None where
# they were not asked for; or reason and detail as in PageError.
Rightful = tuple[str, str | None, str | None, str | None]
Refused = tuple[str, str | None]
Answer = tuple[str, str | None, str | None, str | None, str | None, float | None] | Refused


@functools.lru_cache(maxsize=1)
def page_sandbox(
    extractor: str, form: Form, max_page_s: float, languages: bool = False
) -> PageSandbox:
    """Return this process's child with these settings; it lives until the process ends or asks for
    other settings."""
    return PageSandbox(extractor, form, max_page_s, languages)


class PageSandbox:
    """`html.text_and_rights` of many pages, by a child process that starts with the first and is
    replaced when it dies. With `languages` it also says what language lid.176 finds in each text."""

    def __init__(
        self, extractor: str, form: Form, max_page_s: float, languages: bool = False
    ) -> None:
        self._settings = (extractor, form, max_page_s, languages)
        self._crashes = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        self._memory = self._peak = 0

    def read(self, pages: Sequence[Page]) -> list[PageText | PageError]:
        """Return the text of each page and what goes with it, or why it has no text: as `page_text`
        says, too_slow, too_heavy or crashed.

        too_slow: it took more than `max_page_s` seconds of processor time, or `CLOCK_FACTOR` times
        that by the clock. too_heavy: it took more than `MAX_PAGE_MEMORY_BYTES`. crashed: the child
        ended on it. All only after the page was tried by itself, in a fresh child. Raises
        CurationError where the child cannot start, or ends on 25 pages in a row.
        """
        answers = self._asked(pages)
        if answers is None:  # the child ended on one of them, or of something else
            self._exit()
            answers = [self._alone(page) for page in pages]
        return [
            PageError(*answer)
            if len(answer) == 2
            else PageText(answer[0], Rights(*answer[1:4]), *answer[4:])
            for answer in answers
        ]

    def _alone(self, page: Page) -> Answer:
        for _ in range(2):
            is_fresh = self._line is None
            if (answers := self._asked([page], is_alone=True)) is not None:
                self._crashes = 0
                return answers[0]
            reason = self._crash_reason()
            if is_fresh or reason[0] != "too_heavy":
                break
        return reason

    def _asked(self, pages: Sequence[Page], is_alone: bool = False) -> list[Answer] | None:
        """Return the child's answers; None where it ended.

        The memory of one that has a page to itself is watched.
        """
        if self._line is None:
            self._line = self._started()
        assert self._child is not None
        try:
            _write(self._bodies, pages)
            others = [(len(page.body), _besides_body(page)) for page in pages]
            self._line.send_bytes(pickle.dumps(others, pickle.HIGHEST_PROTOCOL))
            while is_alone and not self._line.poll(_WATCH_S):
                self._peak = max(self._peak, _memory("VmData", self._child.pid))
            answers: list[Answer] = orjson.loads(self._line.recv_bytes())
        except (EOFError, ConnectionError):
            return None
        return answers

    def _crash_reason(self) -> tuple[str, str]:
        """Wait for the child that ended on a page; return the reason and detail of the page."""
        extractor, _, max_page_s, _ = self._settings
        code, printed = self._exit()
        if code in (-signal.SIGPROF, -signal.SIGALRM):
            return "too_slow", f"more than {max_page_s:g} s of {extractor}"
        taken = self._peak - self._memory
        if _NO_MEMORY.search(printed) or taken > MAX_PAGE_MEMORY_BYTES / 2:
            return "too_heavy", f"more than {MAX_PAGE_MEMORY_BYTES >> 20} MB of {extractor}"
        self._crashes += 1
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if self._crashes >= MAX_CRASHES:
            raise CurationError(
                f"the extractor {extractor!r} died ({cause}) on {MAX_CRASHES} pages in a row; is "
                f"memory short? It printed {_last_line(printed)!r}. Set another `extractor` in "
                "[extract], or report that"
            )
        return "crashed", f"the extractor ended with {cause}: {_last_line(printed)[:200]}"

    def _exit(self) -> tuple[int, bytes]:
        """Wait until the child has ended; return its exit code and the end of what it printed."""
        assert self._child is not None
        assert self._line is not None
        self._line.close()
        code = self._child.wait()
        stderr = self._stderr
        stderr.seek(max(stderr.seek(0, os.SEEK_END) - _PRINTED_BYTES, 0))
        printed = stderr.read()
        stderr.close()
        self._bodies.close()
        self._child = self._line = None
        return code, printed

    def _started(self) -> Connection:
        ours, theirs = Pipe()
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        command = [sys.executable, "-P", "-c", COMMAND.format(theirs.fileno())]
        # Both live as long as the child.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._bodies = _memory_file()
        bodies = self._bodies.fileno()
        self._child = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=[theirs.fileno(), bodies],
            stdin=subprocess.DEVNULL,
            stderr=self._stderr,
        )
        weakref.finalize(self, _stop, ours, self._child, self._stderr, self._bodies)
        theirs.close()
        self._line = ours
        try:
            ours.send((*self._settings, MAX_PAGE_MEMORY_BYTES, bodies))
            problem = ours.recv_bytes().decode()
        except (EOFError, ConnectionError):
            code, printed = self._exit()
            problem = f"it ended with code {code}, and printed {_last_line(printed)!r}"
            if code < 0:
                problem = f"{signal.Signals(-code).name} ended it; is memory short?"
        if problem:
            raise CurationError(f"the process that extracts text did not start: {problem}")
        self._memory = self._peak = _memory("VmData", self._child.pid)
        return ours


def _last_line(printed: bytes) -> str:
    return printed.decode("utf-8", "replace").strip().rpartition("\n")[2]


def _stop(line: Connection, child: subprocess.Popen[bytes], *files: IO[bytes]) -> None:
    line.close()
    for file in files:
        file.close()
    child.kill()
    child.wait()


def _memory_file() -> IO[bytes]:
    """Return a file that no disk holds, where the system has such."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("pages"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _write(file: IO[bytes], pages: Sequence[Page]) -> None:
    """Write the bodies of the pages one after another, and nothing behind them."""
    at = 0
    for page in pages:
        rest = memoryview(page.body)
        while rest:
            written = os.pwrite(file.fileno(), rest, at)
            at, rest = at + written, rest[written:]
    os.ftruncate(file.fileno(), at)  # its memory is not that of the largest page ever


def _pages(others: Sequence[tuple[int, tuple[Any, ...]]], file: int) -> Iterator[Page]:
    """Return the pages whose bodies `_write` has written, each when it is asked for: so that its
    memory is that of the page before."""
    at = 0
    for size, besides_body in others:
        body = os.pread(file, size, at)
        while len(body) < size:  # the system reads no more than 2 GB at once
            more = os.pread(file, size - len(body), at + len(body))
            if not more:
                raise EOFError("a page is shorter than was said")
            body += more
        at += size
        yield Page(body, *besides_body)


def serve(line_number: int) -> None:
    """Run the child: read settings, then pages from a file and a socket, and answer with texts,
    until its owner ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is for the owner
    timers = {signal.SIGPROF, signal.SIGALRM}
    for number in timers:  # the owner may have set handlers
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, timers)
    load_without_extras(pandas=True)  # it loads no Arrow
    line = Connection(line_number)
    threading.Thread(target=_end_with_owner, args=(line_number,), daemon=True).start()
    try:
        extractor, form, max_page_s, languages, max_page_memory_bytes, bodies = line.recv()
        try:  # without a time limit: this loads the extractor and compiles what is not compiled yet
            with contextlib.suppress(PageError):
                text_and_rights(_TRIAL, extractor, form)
            if languages:
                language.load_kernel()
        except CurationError as error:
            line.send_bytes(str(error).encode())
            return
        line.send_bytes(b"")
        highest = _limit_memory(max_page_memory_bytes)
        while True:
            pages = _pages(pickle.loads(line.recv_bytes()), bodies)
            read = [_limited(page, extractor, form, max_page_s) for page in pages]
            answers = _with_languages(read, languages)
            if (peak := _memory("VmHWM")) > highest:
                raise MemoryError(f"a peak of {peak} bytes is too near the limit to trust a text")
            line.send_bytes(orjson.dumps(answers))
    except (EOFError, ConnectionError):
        return


def _end_with_owner(line_number: int) -> None:
    """End this process when its owner is gone, also while it loads the extractor."""
    poll = select.poll()
    poll.register(line_number, 0)  # nothing but its closing
    poll.poll()
    os._exit(1)


def _limit_memory(more_bytes: int) -> float:
    """Limit what this process may allocate from now on; return the peak of its memory above which
    a text is not trusted.

    Libraries differ in what they reserve, so the limit is relative to what is there.
    """
    if not (there := _memory("VmData")):
        return math.inf
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = there + more_bytes
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    return _memory("VmRSS") + _HEAVY_SHARE * more_bytes


def _memory(field: str, process: int | str = "self") -> int:
    """Return a field of a process's /proc/.../status in bytes, 0 where there is none."""
    try:
        with open(f"/proc/{process}/status") as stream:
            found = next((line for line in stream if line.startswith(field)), "- 0")
    except OSError:
        return 0
    return int(found.split()[1]) << 10


def _with_languages(read: list[Rightful | Refused], languages: bool) -> list[Answer]:
    texts = [answer[0] for answer in read if len(answer) == 4] if languages else []
    found = zip(*language.languages(texts), strict=True)
    return [
        answer if len(answer) == 2 else (*answer, *(next(found) if languages else (None, None)))
        for answer in read
    ]


def _limited(page: Page, extractor: str, form: Form, max_page_s: float) -> Rightful | Refused:
    signal.setitimer(signal.ITIMER_PROF, max_page_s)
    signal.setitimer(signal.ITIMER_REAL, CLOCK_FACTOR * max_page_s)
    try:
        text, rights = text_and_rights(page, extractor, form)
        return text, rights.robots, rights.license, rights.license_from
    except PageError as error:
        return error.reason, error.detail and error.detail.encode("utf-8", "replace").decode()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
