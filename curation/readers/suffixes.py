"""The public suffix list that ships with `tldextract`, as rules for `kernels.hosts`.

Only its file is read: importing the package costs more than reading it, and its own matcher knows
one address at a time. The part for ICANN's domains is used, as tldextract does by default: the
registered domain of "a.blogspot.com" is "blogspot.com". Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

from curation.errors import InputError
from curation.kernels.buffers import readonly
from curation.kernels.hosts import EXCEPTION, NORMAL, WILDCARD, SuffixRules, name_hash

_FILE = ".tld_set_snapshot"
_END = "===END ICANN DOMAINS==="


@lru_cache(maxsize=1)
def suffix_rules() -> SuffixRules:
    """The rules of the bundled list. Raises InputError where there is none."""
    kinds: dict[int, int] = {}
    for rule in _bundled_rules():
        kind = NORMAL
        if rule.startswith("*."):
            rule, kind = rule[2:], WILDCARD
        elif rule.startswith("!"):
            rule, kind = rule[1:], EXCEPTION
        name = ".".join(_ascii_label(label) for label in rule.split(".")).encode()
        key = int(name_hash(readonly(np.frombuffer(name, np.uint8)), 0, len(name)))
        kinds[key] = kinds.get(key, 0) | kind
    hashes = np.array(sorted(kinds), np.uint64)
    return SuffixRules(
        readonly(hashes), readonly(np.array([kinds[int(h)] for h in hashes], np.uint8))
    )


@lru_cache(maxsize=1)
def suffixes_digest() -> str:
    """Changes with the rules: another version of the list may cut other domains."""
    return hashlib.sha256("\n".join(_bundled_rules()).encode()).hexdigest()


@lru_cache(maxsize=1)
def _bundled_rules() -> tuple[str, ...]:
    found = importlib.util.find_spec("tldextract")
    folders = found.submodule_search_locations if found else None
    path = Path(folders[0], _FILE) if folders else None
    if path is None or not path.exists():
        raise InputError(
            f"expected the public suffix list in the package tldextract, got no {_FILE}; run "
            "pip install --force-reinstall tldextract"
        )
    text = path.read_text(encoding="utf-8").partition(_END)[0]
    lines = (line.strip() for line in text.splitlines())
    return tuple(line.split()[0] for line in lines if line and not line.startswith("//"))


def _ascii_label(label: str) -> str:
    return label if label.isascii() else "xn--" + label.encode("punycode").decode()
