"""The Hugging Face Hub as a file system: hf://datasets/OWNER/NAME/PATH, with @REVISION after the name.

Files are read where they lie, by ranges. The trap: the Hub's client raises what is no OSError where
a connection fails.
"""

from __future__ import annotations

import functools
from typing import Any

import pyarrow.fs as pafs

from curation.errors import MissingExtra
from curation.store.storage import count_as_passing, patient


@functools.lru_cache(maxsize=1)
def hub_filesystem() -> Any:
    """The Hub, once a process. Raises MissingExtra where its client is not installed."""
    try:
        from huggingface_hub import HfFileSystem
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise MissingExtra("an address that begins with hf://", "hub") from error
    # The first base is the root of all that its connections raise.
    count_as_passing(HfHubHTTPError.__bases__[0])
    return patient(pafs.PyFileSystem(pafs.FSSpecHandler(HfFileSystem())), "hf://")
