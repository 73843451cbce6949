"""The errors of a connection that was not made, or that brought no usable answer.

No text here holds anything of the request or the answer: both can contain tokens and names.
"""

import os
import ssl
from socket import gaierror

from ..errors import ConnectError, ProtocolError

__all__ = ["CUT_OFF", "NO_STATUS_LINE", "broken", "disconnected", "unconnected"]

CUT_OFF = "the answer was cut off"
NO_STATUS_LINE = "the answer is not HTTP: it has no valid status line"
# TLS failures of a busy server that closes the connection; all others are final.
_TRANSIENT_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
# Results of the check of a certificate. Source: OpenSSL, x509_vfy.h (X509_V_ERR_…).
_NOT_YET_VALID = 9
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21, 27)
# What OpenSSL calls it when the other side sends something else than TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_NO_COMMON_VERSION = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE")


def unconnected(error: Exception, host: str, port: int, seconds: float) -> ConnectError:
    """Return the error where there was no connection. The order matters: some are subclasses.

    The cases, in the order of the code:
    - the name of the server is unknown, or no name
    - the TLS handshake failed
    - time was over
    - there was no TCP connection
    """
    if isinstance(error, gaierror):
        return ConnectError(f"unknown host {host}", unknown_host=True)
    if isinstance(error, UnicodeError):
        return ConnectError("the host is neither a valid name nor an address", retryable=False)
    if isinstance(error, ssl.SSLError):
        transient = isinstance(error, _TRANSIENT_TLS)
        return ConnectError(f"TLS with {host} failed: {_tls_reason(error, port)}", transient)
    if isinstance(error, TimeoutError) and error.errno is None:
        return ConnectError(f"no connection within {seconds:g} s")
    number = getattr(error, "errno", None)  # the text shows addresses as Python tuples
    if number:
        why = os.strerror(number)
    elif isinstance(error, ConnectionError):
        why = "it closed the connection in the TLS handshake"
    else:
        why = "none of its addresses answers"
    return ConnectError(f"cannot connect to {host}:{port}: {why}")


def _tls_reason(error: ssl.SSLError, port: int) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        if error.verify_code in _UNKNOWN_AUTHORITY:
            return f"{reason}; for a private authority, pass an ssl_context that trusts it"
        if error.verify_code == _NOT_YET_VALID:
            return f"{reason}; is the clock of this computer right?"
        return reason
    reason = getattr(error, "reason", None) or type(error).__name__
    if reason in _NO_TLS:
        return f"the server does not speak TLS on port {port}"
    if reason.endswith(_NO_COMMON_VERSION):
        return "client and server have no version of TLS in common"
    return reason


def disconnected() -> ProtocolError:
    """Return the error for a connection that ended before an answer began."""
    return ProtocolError("the connection closed before the answer", disconnected=True)


def broken(words: str) -> ProtocolError:
    """Return the error for an answer that is not HTTP, by the words of the parser (llhttp).

    What the server does each time is not worth a repetition. Anything else may be damage on the
    way, or bytes of somebody in between.
    """
    if "Duplicate" in words or "can't be present" in words:
        return ProtocolError("the answer states its length or its form twice", False)
    if "Expected HTTP/" in words or "status" in words:
        return ProtocolError(NO_STATUS_LINE)
    if "chunk" in words:
        return ProtocolError(f"{CUT_OFF}: a chunk of it has no valid length")
    return ProtocolError("the answer is not HTTP: a header field of it is not valid")
