"""The lock that keeps two runs out of one directory."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import orjson

from curation import store
from curation.errors import CurationError, InputError, RunError

HEARTBEAT_S = 10.0
STALE_S = 120.0


def member_lock(index: int, of: int) -> str:
    """The name of the lock of an array task (`--shards i/n`) in the run directory."""
    return f"run.{index}-of-{of}.lock"


class Lock:
    """One run per directory at a time: `run.lock` with owner and heartbeat. Array tasks of one run
    take member locks instead; `others` names the locks that must not be held beside this one.

    A lock whose process is gone, that has not beaten for two minutes, or that names nobody, is
    named and taken over. A run that slept meanwhile looks at the lock before each beat and before
    each file appears (`store.need_lock`), and stops. The window that remains: it may fall asleep
    between that look and the renaming of one file. In object storage a look holds for five seconds,
    and where puts can have no conditions (`store.has_conditions`), two runs that start in the same
    instant may both think they own it, until one of them looks again.
    """

    def __init__(
        self, out: str, say: Any, name: str = "run.lock", others: Sequence[str] = ()
    ) -> None:
        self._path = store.join(out, name)
        # Of a run that is refused no empty folder is left.
        self._new = "" if store.is_remote(out) or store.exists(out) else out
        self._others = [store.join(out, other) for other in others]
        self._token = secrets.token_hex(8)
        self._owner = {"host": socket.gethostname(), "pid": os.getpid(), "token": self._token}
        self._say = say
        # Of the lock in object storage: its tag as it was read, and as this run wrote it.
        self._seen, self._tag = "", ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Lock:
        while not self._claim():
            if (holder := self._holder()) is None:  # gone again
                continue
            who = "a run that left a damaged lock"
            if holder:
                who = f"a run on {holder['host']} (process {holder['pid']})"
                if not self._stale(holder):
                    raise RunError(
                        f"{self._path}: {who} is at work in this directory; wait for it, or stop "
                        "it, or name another --out (if it is not a run, delete that file)"
                    )
            self._say(f"taking over from {who} that ended without releasing it")
            if not store.has_conditions(self._path):
                store.delete(self._path)
            elif self._put(self._seen):
                break
        try:  # who claims later sees the earlier lock, so at least one of two gives way
            self._need_alone()
        except BaseException:
            store.delete(self._path)
            raise
        store.locks()[self._path] = self._token
        self._thread.start()
        return self

    def _need_alone(self) -> None:
        """Raise RunError where another lock is held that must not be."""
        for path in self._others:
            holder = self._holder(path) if store.exists(path) else None
            if holder and not self._stale(holder):
                raise RunError(
                    f"{path}: a job of this run is at work on {holder['host']} (process "
                    f"{holder['pid']}); wait for it, or stop it"
                )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        del store.locks()[self._path]
        if self._is_mine():
            store.delete(self._path)
        if kind and self._new:
            with contextlib.suppress(OSError):  # something was written
                os.rmdir(self._new)

    def _holder(self, path: str = "") -> dict[str, Any] | None:
        """Whose the lock is, or another one; empty where it is damaged, None where it is gone."""
        try:
            if path or not store.has_conditions(self._path):
                found = store.read_json(path or self._path)
            else:
                data, self._seen = store.read_tagged(self._path)
                found = orjson.loads(data)
            kinds = {"host": str, "pid": int, "token": str, "beat": float}
            return {name: kind(found[name]) for name, kind in kinds.items()}
        except InputError as error:
            if isinstance(error.__cause__, PermissionError):
                raise
            return None
        except (RunError, KeyError, TypeError, ValueError):  # no JSON is a ValueError
            return {}

    def _is_mine(self) -> bool:
        return (self._holder() or {}).get("token") == self._token

    def _record(self) -> dict[str, Any]:
        # Always of one length: object storage tells the size and the bytes in two answers, and a
        # record written between them would be read as half of one.
        return {**self._owner, "beat": f"{time.time():.6f}"}

    def _put(self, tag: str | None) -> bool:
        """Write the lock where the one there has this tag, or none is there (None); whether it is
        this run's now."""
        self._tag = store.put_json_if(self._path, self._record(), tag) or ""
        if not self._tag and self._is_mine():  # the answer to an earlier try was lost
            self._tag = self._seen
        return bool(self._tag)

    def _claim(self) -> bool:
        if store.has_conditions(self._path):
            return self._put(None)
        if store.is_remote(self._path):
            if store.exists(self._path):
                return False
            store.write_json(self._path, self._record())
            return self._is_mine()
        return store.create(self._path, self._record())

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            with contextlib.suppress(CurationError, OSError):  # a later beat may succeed
                if store.has_conditions(self._path):
                    if not self._put(self._tag):
                        return
                    continue
                if not self._is_mine():
                    return
                store.write_json(self._path, self._record())

    def _stale(self, holder: dict[str, Any]) -> bool:
        gone = holder["host"] == self._owner["host"] and not store.process_alive(holder["pid"])
        # Time decides too: a process number may be another process's by now.
        return gone or time.time() - holder["beat"] > STALE_S
