"""MurmurHash3 in its slow, obvious form, and texts that are hard to split."""

from __future__ import annotations

from hypothesis import strategies as st

ODD = "aAb Σσς'.,-1\t\n\x0b\f\r\x1c\x85\u00a0İıßẞŉǅĲΑ\u0345\u0301é中ー😀\u200d\ufeff"
TEXTS = st.lists(
    st.text(st.one_of(st.sampled_from(ODD), st.characters(exclude_categories=["Cs"])), max_size=40)
)


def murmur_of(token: str) -> int:
    """murmur3_x86_32, seed 42, from Appleby's description: the slow, obvious form."""
    data, h = token.encode(), 42
    for k in range(0, len(data), 4):
        block = int.from_bytes(data[k : k + 4], "little") * 0xCC9E2D51 % 2**32
        block = (block << 15 | block >> 17) % 2**32 * 0x1B873593 % 2**32
        h ^= block
        if k + 4 <= len(data):
            h = ((h << 13 | h >> 19) % 2**32 * 5 + 0xE6546B64) % 2**32
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B % 2**32
    h = (h ^ h >> 13) * 0xC2B2AE35 % 2**32
    return h ^ h >> 16
