"""S3 by obstore, where it is installed and the environment holds the keys: a small object comes in one
request, and a put can depend on what is there.

pyarrow asks for the size of each object before it reads it, and knows no conditions. What else it
does as well (puts, listings) stays its own.

Trap: obstore reads no profile files. Where the keys are elsewhere than in variables of the
environment or in the address, pyarrow finds them, so it is asked.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from typing import Any

from curation.store.storage import count_as_passing, retried

FIRST_BYTES = 1 << 20  # that the first request for an object asks for
# Any of these: the keys, or where obstore fetches them as pyarrow does.
_KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
# Of a table the end is asked for first: there its footer is.
_TABLE = ".parquet"


class Objects:
    """The objects of one bucket, as far as `ObjectReader` needs a file system."""

    def __init__(self, bucket: Any) -> None:
        self.bucket = bucket

    def open_input_file(self, path: str) -> _Object:
        """An object by its path in the file system, that of pyarrow: bucket/key."""
        return _Object(self.bucket, path.partition("/")[2])


class _Object:
    """An object of which the first or the last bytes are here, and the rest is asked for by
    ranges."""

    def __init__(self, bucket: Any, key: str) -> None:
        import obstore

        self._bucket, self._key, self._at = bucket, key, 0
        wanted: Any = {"suffix": FIRST_BYTES} if key.endswith(_TABLE) else (0, FIRST_BYTES)
        try:
            answer = obstore.get(bucket, key, options={"range": wanted})
        except FileNotFoundError as error:
            _need_bucket(error)
            raise
        except obstore.exceptions.PermissionDeniedError as error:
            raise PermissionError(str(error)) from error
        except obstore.exceptions.GenericError as error:  # no range of an empty object fits
            if "InvalidRange" not in str(error) and "NotPartial" not in str(error):
                raise
            answer = obstore.get(bucket, key)
        self._total = int(answer.meta["size"])
        self._start, self._end = answer.range
        self._here = bytes(answer.bytes())

    def size(self) -> int:
        return self._total

    def seek(self, position: int) -> None:
        self._at = position

    def read(self, size: int) -> bytes:
        import obstore

        start, end = self._at, min(self._at + size, self._total)
        self._at = end
        if self._start <= start and end <= self._end:
            return self._here[start - self._start : end - self._start]
        return bytes(obstore.get_range(self._bucket, self._key, start=start, end=end))


def _need_bucket(error: FileNotFoundError) -> None:
    """Raise what names the bucket, where it is that which is missing."""
    if "NoSuchBucket" in str(error):
        raise OSError(str(error).partition("\n")[0] + " NoSuchBucket") from error


def objects(bucket: str, region: str) -> Objects | None:
    """The objects of a bucket, named as in an address (KEY:SECRET@ may stand before it); None where
    obstore cannot be asked."""
    secret, _, name = bucket.rpartition("@")
    if not (secret or any(map(os.environ.get, _KEYS))):
        return None
    if importlib.util.find_spec("obstore") is None:
        return None
    return Objects(_connected(name, region, secret, os.environ.get("AWS_ENDPOINT_URL", "")))


@functools.lru_cache(maxsize=8)
def _connected(name: str, region: str, secret: str, endpoint: str) -> Any:
    import obstore
    from obstore.store import S3Store

    count_as_passing(obstore.exceptions.BaseError)
    settings: dict[str, Any] = {"region": region} if region else {}
    if endpoint:
        settings["endpoint"] = endpoint
    if secret:
        settings["access_key_id"], _, settings["secret_access_key"] = secret.partition(":")
    options: Any = {"allow_http": endpoint.startswith("http://")}
    return S3Store(name, client_options=options, retry_config={"max_retries": 0}, **settings)


def tagged(objects: Objects, key: str, path: str) -> tuple[bytes, str]:
    """An object's bytes and its tag, which changes with every put. Raises FileNotFoundError."""
    import obstore

    def get() -> tuple[bytes, str]:
        answer = obstore.get(objects.bucket, key)
        return bytes(answer.bytes()), str(answer.meta["e_tag"])

    return retried(get, path)


def put_if(objects: Objects, key: str, path: str, data: bytes, tag: str | None) -> str | None:
    """Put an object where the one that is there has this tag, or none is there (None); its tag. None
    where the condition does not hold: then nothing is changed.

    Trap: an answer that was lost makes the second try fail on what the first one did.
    """
    import obstore

    mode: Any = "create" if tag is None else {"e_tag": tag}

    def put() -> str | None:
        try:
            return str(obstore.put(objects.bucket, key, data, mode=mode)["e_tag"])
        except (obstore.exceptions.AlreadyExistsError, obstore.exceptions.PreconditionError):
            return None
        except FileNotFoundError as error:
            _need_bucket(error)
            return None

    return retried(put, path)
