"""Packed bodies, without a server."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import amount
from tests.support.raw import bomb
from timeback_async._transport.coding import MAX_ERROR_BYTES, bounded
from timeback_async.errors import ProtocolError

LIMIT = 1000
some = settings(max_examples=amount(30, long=300))


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


FORMS = [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]


@pytest.mark.parametrize(("coding", "pack"), FORMS)
@some
@given(body=st.binary(min_size=1, max_size=200))
def test_a_packed_body_is_unpacked(
    coding: str, pack: Callable[[bytes], bytes], body: bytes
) -> None:
    assert bounded(pack(body), coding, 200, LIMIT) == body
    assert bounded(pack(body), f" {coding.upper()} ", 200, LIMIT) == body


@pytest.mark.parametrize("coding", ["", "identity", "gzip", "deflate", "br"])
def test_an_empty_body_is_empty_in_each_coding(coding: str) -> None:
    assert bounded(b"", coding, 200, LIMIT) == b""


@pytest.mark.parametrize(("coding", "pack"), FORMS)
def test_a_packed_body_that_was_cut_off_is_an_error(
    coding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(b'{"a": 1}' * 20)

    for length in range(1, len(packed)):
        with pytest.raises(ProtocolError, match="cannot be decompressed"):
            bounded(packed[:length], coding, 200, LIMIT)


@pytest.mark.parametrize(("coding", "pack"), FORMS)
def test_a_packed_body_with_more_after_it_is_an_error(
    coding: str, pack: Callable[[bytes], bytes]
) -> None:
    for more in (b"x", pack(b"another")):
        with pytest.raises(ProtocolError, match="cannot be decompressed"):
            bounded(pack(b"{}") + more, coding, 200, LIMIT)


@pytest.mark.parametrize(("coding", "pack"), FORMS)
@some
@given(data=st.data())
def test_a_damaged_packed_body_is_an_error_or_still_bounded(
    coding: str, pack: Callable[[bytes], bytes], data: st.DataObject
) -> None:
    packed = bytearray(pack(b"x" * 500))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        body = bounded(bytes(packed), coding, 200, LIMIT)
    except ProtocolError:
        return

    assert len(body) <= LIMIT
    assert coding != "gzip" or body == b"x" * 500  # it has a checksum


@pytest.mark.parametrize(("coding", "pack"), FORMS)
def test_the_bound_is_that_of_the_unpacked_body(
    coding: str, pack: Callable[[bytes], bytes]
) -> None:
    assert len(bounded(pack(b"x" * LIMIT), coding, 200, LIMIT)) == LIMIT
    with pytest.raises(ProtocolError, match="longer than 1000 bytes"):
        bounded(pack(b"x" * (LIMIT + 1)), coding, 200, LIMIT)


def test_a_bomb_does_not_unfold() -> None:
    packed = bomb(64)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="longer"):
            bounded(packed, "gzip", 200, 1 << 20)
        assert len(bounded(packed, "gzip", 500, 1 << 20)) == MAX_ERROR_BYTES
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20


@pytest.mark.parametrize(
    ("content", "coding"), [(b"no", "br"), (b"no", "gzip"), (b"no", ""), (b"no", "gzip, gzip")]
)
def test_the_body_of_an_error_is_given_as_it_came_where_it_cannot_be_unpacked(
    content: bytes, coding: str
) -> None:
    assert bounded(content, coding, 404, LIMIT) == content
