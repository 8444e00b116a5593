"""The most memory that the processes of a measurement held at once; shared pages are counted by halves, thirds, ..."""

from __future__ import annotations

import threading

import psutil


class Memory:
    """Bytes at most, in `peak`, while the block runs: of all descendants of this process, and with
    `with_own` of it too; looked at four times a second."""

    def __init__(self, with_own: bool = True) -> None:
        self._with_own = with_own

    def __enter__(self) -> Memory:
        self.peak, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._ended.wait(0.25):
            held = 0
            for process in (*([own] if self._with_own else []), *own.children(recursive=True)):
                try:
                    held += process.memory_full_info().pss
                except psutil.Error:  # it ended meanwhile
                    continue
            self.peak = max(self.peak, held)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
