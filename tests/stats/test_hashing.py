import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneteam.stats.hashing import SUBSCRIBER_KEY, siphash24

# Authors' reference implementation, vectors_sip64: key 00..0f, input 00..n-1, output as little-endian bytes.
REFERENCE = {
    0: "310e0edd47db6f72",
    1: "fd67dc93c539f874",
    2: "5a4fa9d909806c0d",
    3: "2d7efbd796666785",
    15: "e545be4961ca29a1",
}


def python_siphash(data: bytes, key: bytes) -> int:
    """The paper's definition, word by word."""
    mask = 2**64 - 1

    def rotl(x, b):
        return ((x << b) | (x >> (64 - b))) & mask

    def rounds(v, n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & mask
            v[1] = rotl(v[1], 13) ^ v[0]
            v[0] = rotl(v[0], 32)
            v[2] = (v[2] + v[3]) & mask
            v[3] = rotl(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & mask
            v[3] = rotl(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & mask
            v[1] = rotl(v[1], 17) ^ v[2]
            v[2] = rotl(v[2], 32)

    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [0x736F6D6570736575 ^ k0, 0x646F72616E646F6D ^ k1, 0x6C7967656E657261 ^ k0, 0x7465646279746573 ^ k1]
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) % 256])
    for at in range(0, len(padded), 8):
        m = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= m
        rounds(v, 2)
        v[0] ^= m
    v[2] ^= 0xFF
    rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


@pytest.mark.parametrize(("length", "expected"), REFERENCE.items())
def test_published_vectors(length, expected):
    hashed = siphash24(pa.array([bytes(range(length))]), key=bytes(range(16)))
    assert hashed.tobytes().hex() == expected


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.binary(max_size=70), min_size=1, max_size=20), st.binary(min_size=16, max_size=16))
def test_equals_the_definition_for_any_bytes(rows, key):
    got = siphash24(pa.array(rows, pa.binary()), key=key).view(np.uint64)
    assert got.tolist() == [python_siphash(row, key) for row in rows]


def test_type_and_slicing_do_not_matter():
    rows = [b"a", b"", b"subscriber-0001", b"\xea\xb9\x80"]
    whole = siphash24(pa.array(rows, pa.binary()))
    assert (siphash24(pa.array(rows, pa.large_binary())) == whole).all()
    assert (siphash24(pa.array([r.decode() for r in rows])) == whole).all()
    assert (siphash24(pa.array([b"x" * 9, *rows, b"y"], pa.binary()).slice(1, 4)) == whole).all()


def test_empty_array_and_nulls():
    assert len(siphash24(pa.array([], pa.binary()))) == 0
    assert siphash24(pa.array([None], pa.binary()))[0] == siphash24(pa.array([b""]))[0]


def test_the_subscriber_key_never_changes():
    # Stored datasets hold these numbers: changing the key or the hash would orphan them.
    assert SUBSCRIBER_KEY == b"oneteam/user_id/"
    value = siphash24(pa.array([b"user"]))[0]
    assert int(value) & (2**64 - 1) == python_siphash(b"user", SUBSCRIBER_KEY)


def test_a_key_has_sixteen_bytes():
    with pytest.raises(ValueError, match="16 bytes"):
        siphash24(pa.array([b"a"]), key=b"short")
