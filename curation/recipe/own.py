"""How a recipe names a user's own signal: `signals.py:digits`, or `package.module:digits`."""

from __future__ import annotations

import os
import re

from curation.shown import brief

_NAME = re.compile(
    r"(?P<where>[^:]+[.]py|.*/[^/]+[.]py|[^\W\d]\w*(?:[.][^\W\d]\w*)*):(?P<function>[^\W\d]\w*)"
)


def is_own(text: str) -> bool:
    """Whether an entry of `signals` means a user's function, and no group of ours.

    >>> is_own("signals.py:digits"), is_own("gopher")
    (True, False)
    """
    return ":" in text


def split_own(text: str) -> tuple[str, str]:
    """The file or module of a user's signal, and its function. Raises ValueError for another form.

    >>> split_own("mine/signals.py:digits"), split_own("package.module:digits")
    (('mine/signals.py', 'digits'), ('package.module', 'digits'))
    """
    match = _NAME.fullmatch(text)
    if match is None:
        raise ValueError(
            f"signals: 'file.py:function' or 'module:function' expected, got {brief(text)}"
        )
    return match["where"], match["function"]


def resolve_own(text: str, folder: str) -> str:
    """The name with its file's whole path: files are looked for in the recipe's folder.

    `signals:digits` is that of signals.py where the folder has one, else that of an installed module.
    """
    from curation import store

    where, function = split_own(text)
    file = where if where.endswith(".py") else f"{where.replace('.', '/')}.py"
    path = file if store.is_remote(file) else store.join(folder, file)
    if not store.is_remote(path):
        path = os.path.normpath(path)
    if not where.endswith(".py") and not store.exists(path):
        return text
    return f"{path}:{function}"
