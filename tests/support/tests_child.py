"""The child process of `readers.page_sandbox` as tests want it: its page says what happens to it."""

from __future__ import annotations

import os
import signal
import time

from curation.readers import page_sandbox
from curation.readers.html import Form
from curation.readers.records import UNKNOWN_RIGHTS, Page, Rights


def extracted(page: Page, extractor: str, form: Form) -> tuple[str, Rights]:
    """The page's bytes as text, unless they are one of five words."""
    word = page.body.decode()
    if word == "sleep":
        time.sleep(3600)
    elif word == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif word == "raise":
        raise RuntimeError("as a parser with a bug does")
    elif word in ("heavy", "heavy, but goes on"):
        taken = []
        try:
            while True:
                taken.append(b"x" * (1 << 20))
        except MemoryError:
            if word == "heavy":  # as native code does
                os.kill(os.getpid(), signal.SIGSEGV)
    return word, UNKNOWN_RIGHTS


def serve(line_number: int) -> None:
    page_sandbox.text_and_rights = extracted
    page_sandbox.serve(line_number)
