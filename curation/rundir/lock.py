"""The lock that keeps two runs out of one directory."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from types import TracebackType
from typing import Any

from curation import store
from curation.errors import InputError, RunError

HEARTBEAT_S = 10.0
STALE_S = 120.0


class Lock:
    """One run per directory at a time: `run.lock` with owner and heartbeat.

    A lock whose process is gone, or that has not beaten for two minutes, is named and taken over.
    On object storage this is best effort: two runs that start in the same instant may both think
    they own it.
    """

    def __init__(self, out: str, say: Any) -> None:
        self._path = store.join(out, "run.lock")
        self._owner = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "token": secrets.token_hex(8),
        }
        self._say = say
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Lock:
        while not self._claim():
            try:
                holder = store.read_json(self._path)
            except (InputError, RunError):  # gone again, or still being written
                time.sleep(0.1)
                continue
            if not self._stale(holder):
                raise RunError(
                    f"{self._path}: a run on {holder['host']} (process {holder['pid']}) is at work "
                    "in this directory; "
                    "wait for it, or stop it, or name another --out (if it is not a run, delete "
                    "that file)"
                )
            self._say(
                f"taking over from a run on {holder['host']} (process {holder['pid']}) that ended "
                "without releasing it"
            )
            store.delete(self._path)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(InputError, RunError):  # gone, or taken over and being written
            if store.read_json(self._path)["token"] == self._owner["token"]:
                store.delete(self._path)

    def _record(self) -> dict[str, Any]:
        return {**self._owner, "beat": time.time()}

    def _claim(self) -> bool:
        if store.is_remote(self._path):
            if store.exists(self._path):
                return False
            store.write_json(self._path, self._record())
            return bool(store.read_json(self._path)["token"] == self._owner["token"])
        return store.create(self._path, self._record())

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            store.write_json(self._path, self._record())

    def _stale(self, holder: dict[str, Any]) -> bool:
        gone = holder["host"] == self._owner["host"] and not store.process_alive(holder["pid"])
        # Time decides too: a process number may be another process's by now.
        return gone or time.time() - float(holder["beat"]) > STALE_S
