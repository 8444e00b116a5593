"""Control characters are counted as the MIME Sniffing standard lists them."""

import pytest

from curation.kernels.controls import binary_bytes

BINARY = {*range(9), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)}


@pytest.mark.parametrize("repeats", [0, 1, 100])
def test_just_the_binary_data_bytes_but_nul(repeats):
    for byte in range(256):
        assert binary_bytes(bytes([byte]) * repeats) == repeats * (byte in BINARY and byte != 0)
