"""Give a body the form in which callers get it: decompressed, and of a bounded length.

No request asks for compression, but some gateways do it unasked.
"""

import zlib
from contextlib import suppress

from ..errors import ProtocolError

__all__ = ["MAX_ERROR_BYTES", "bounded"]

MAX_ERROR_BYTES = 64 * 1024
# The window bits that `zlib.decompressobj` takes for each form.
_GZIP, _ZLIB, _RAW = 31, 15, -15


def bounded(content: bytes, coding: str, status: int, max_bytes: int) -> bytes:
    """Return the body of an answer, decompressed; that of an error status may be cut off.

    Args:
        content: The body as it came.
        coding: Its Content-Encoding.
        status: The status of the answer.
        max_bytes: The greatest body that is accepted, as it came and decompressed.

    Raises:
        ProtocolError: It is longer, was cut off or damaged, or has an unknown coding.
    """
    is_error = status >= 300
    limit = min(max_bytes, MAX_ERROR_BYTES) if is_error else max_bytes
    if is_error or len(content) <= max_bytes:
        try:
            content = _decompressed(content[:max_bytes], coding.strip().lower(), limit)
        except ProtocolError:
            if not is_error:
                raise  # an error is known by its status
    if len(content) > limit and not is_error:
        raise ProtocolError(f"the answer is longer than {limit} bytes", retryable=False)
    return content[:limit]


def _decompressed(content: bytes, coding: str, limit: int) -> bytes:
    """Return a body decompressed, up to the first byte that is too much.

    Source: RFC 9110 section 8.4.1; "deflate" is sent with and without the head of zlib.
    """
    if not content or coding in ("", "identity"):
        return content
    if coding == "gzip":
        bits = _GZIP
    elif coding == "deflate":
        bits = _ZLIB if content and content[0] & 0x0F == zlib.DEFLATED else _RAW
    else:
        raise ProtocolError("the answer has an unknown Content-Encoding", retryable=False)
    decoder = zlib.decompressobj(bits)
    with suppress(zlib.error):
        plain = decoder.decompress(content, limit + 1)
        if len(plain) > limit or (decoder.eof and not decoder.unused_data):
            return plain
    raise ProtocolError("the body of the answer cannot be decompressed")
