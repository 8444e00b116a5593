"""Addresses in a recipe are looked at when it is read."""

from __future__ import annotations

from collections.abc import Sequence

from curation.errors import InputError


def check_addresses(key: str, texts: Sequence[str]) -> None:
    """Raise InputError with the key where what is at an http(s) address could not be named."""
    from curation import store

    for text in filter(store.is_web, texts):
        try:
            store.address(text)
        except InputError as error:
            raise InputError(f"{key}: {error}") from error
