"""Texts by rule: templates whose slots are filled from lists of words, the same on every machine.

`rules/*.toml` holds the lists. In a template `{name}` is one entry of the list `name`, itself filled
in the same way; `{=name}` is the same entry throughout a page, `{^name}` starts with a capital,
`{3-9}` is a number from 3 to 9. `{4 name}` is four different entries side by side, `{4, name}` with
commas, `{4- name}` as the lines of a list, `{4| name}` as rows of a table, `{4/ name}` as lines.
Choices depend on the page's key alone (a hash, no random numbers). Costs about a millisecond a page.
"""

from __future__ import annotations

import functools
import hashlib
import re
import tomllib
from pathlib import Path

from curation.errors import InputError

FOLDER = Path(__file__).parent / "rules"
_SLOT = re.compile(r"\{(\d+)-(\d+)\}|\{(?:(\d+)([-,|/]?) )?(\^?)(=?)([a-z0-9_]+)\}")
_JOINS = {"": " ", ",": ", ", "-": "\n", "|": "\n", "/": "\n"}


@functools.cache
def lists() -> dict[str, list[str]]:
    """Every list of words and templates: "product" of words.toml, "spam.page" and so on of the
    others."""
    read = {
        path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.toml"))
    }
    found = dict(read.pop("words"))
    for stem, entries in read.items():
        found |= {f"{stem}.{name}": entry for name, entry in entries.items()}
    return found


class Writer:
    """Fills templates for one page; two writers of one key write the same."""

    def __init__(self, key: str, rules: str) -> None:
        """`rules` names the file whose lists come before those of words.toml."""
        self._key, self._rules = key, rules
        self._drawn = 0
        self._fixed: dict[str, str] = {}

    def text(self, template: str) -> str:
        """The template with its slots filled.

        >>> Writer("a", "spam").text("{2-2} of {3-3}")
        '2 of 3'
        """
        return _SLOT.sub(self._slot, template)

    def entry(self, name: str) -> str:
        """One entry of a list, filled."""
        entries = self._list(name)
        return self.text(entries[self.below(len(entries))])

    def below(self, count: int) -> int:
        """The next number drawn, in [0, count)."""
        self._drawn += 1
        state = hashlib.blake2b(f"{self._key} {self._drawn}".encode(), digest_size=8)
        return int.from_bytes(state.digest(), "big") % count

    def _list(self, name: str) -> list[str]:
        found = lists().get(f"{self._rules}.{name}") or lists().get(name)
        if not found:
            raise InputError(
                f"rules/{self._rules}.toml: expected a list named {name!r} there or in words.toml, "
                "found none; add it"
            )
        return found

    def _slot(self, match: re.Match[str]) -> str:
        low, high, count, join, capital, fixed, name = match.groups()
        if low:
            return str(int(low) + self.below(int(high) - int(low) + 1))
        if count:
            lines = self._several(name, int(count))
            if join == "-":
                lines = [f"- {line}" for line in lines]
            return _JOINS[join].join(lines)
        if fixed:
            if name not in self._fixed:
                self._fixed[name] = self.entry(name)
            word = self._fixed[name]
        else:
            word = self.entry(name)
        return word[:1].upper() + word[1:] if capital else word

    def _several(self, name: str, count: int) -> list[str]:
        """That many entries, none twice before the list is through."""
        entries, left, lines = self._list(name), list[str](), list[str]()
        for _ in range(count):
            left = left or list(entries)
            lines.append(self.text(left.pop(self.below(len(left)))))
        return lines
