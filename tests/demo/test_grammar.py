"""Templates are filled as the grammar says, the same for one key."""

from __future__ import annotations

import pytest

from curation.demo.grammar import Writer, lists
from curation.errors import InputError


def test_a_page_by_rule_depends_on_its_key_alone() -> None:
    first, again, other = (Writer(key, "spam") for key in ("a", "a", "b"))
    assert first.entry("stuffed_page") == again.entry("stuffed_page") != other.entry("stuffed_page")


def test_every_slot_of_the_rules_names_a_list() -> None:
    for name in lists():
        rules, _, _ = name.rpartition(".")
        Writer(name, rules or "plain").entry(name)


def test_slots_join_as_they_say() -> None:
    writer = Writer("k", "plain")
    assert writer.text("{2- sign}").count("\n- ") == 1
    assert len(set(writer.text("{12, sign}").split(", "))) == 12
    assert len(set(writer.text("{=town}/{=town}").split("/"))) == 1
    assert 3 <= int(writer.text("{3-9}")) <= 9


def test_a_missing_list_is_named() -> None:
    with pytest.raises(InputError, match=r"rules/plain.toml: expected a list named 'nowhere'"):
        Writer("k", "plain").text("{nowhere}")
