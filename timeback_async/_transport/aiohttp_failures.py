"""Translate what aiohttp raises into our errors, most of them by what it found underneath.

Only our error is raised further, without a cause: the texts and arguments of aiohttp's exceptions
contain the bearer token, the password of a proxy, URLs, and pieces of the answer.
"""

import aiohttp
from aiohttp.http_exceptions import BadStatusLine, ContentEncodingError, LineTooLong
from yarl import URL

from ..errors import ConnectError, ProtocolError, TimedOutError, TransportError
from .connector import CONNECT_TIMEOUT, is_unsent
from .failures import CUT_OFF, NO_STATUS_LINE, broken, disconnected, unconnected
from .proxy import address_of

__all__ = ["refused_by_proxy", "translated"]


def translated(error: Exception, seconds: float, proxy: URL | None) -> TransportError:
    """Return our error for an exception that an attempt has raised.

    Args:
        error: An exception of aiohttp, or one of the operating system that it let through.
        seconds: The time limit of the attempt.
        proxy: The proxy through which the request went.
    """
    if is_unsent(error) or isinstance(error, aiohttp.ClientConnectorError):
        return _unconnected(error, seconds, proxy)
    return _unanswered(error, seconds)


def refused_by_proxy(proxy: URL, status: int) -> ConnectError:
    """Return the error for a proxy that did not pass a request on. 5xx may be over soon."""
    return ConnectError(f"the proxy {address_of(proxy)} refused: HTTP {status}", status >= 500)


def _unconnected(error: Exception, seconds: float, proxy: URL | None) -> ConnectError:
    """Return the error where nothing was sent. The order matters: some are subclasses.

    The cases, in the order of the code:
    - the name of the server or of the proxy is unknown, or no name
    - the TLS handshake failed
    - there was no TCP connection
    - time was over
    - the proxy answered with an error status, with something else than HTTP, or not at all
    - the transport was closed meanwhile
    """
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        is_proxy = proxy is not None and error.host == proxy.raw_host
        what = "unknown proxy host" if is_proxy else "unknown host"
        return ConnectError(f"{what} {error.host}", unknown_host=True)
    if isinstance(error, UnicodeError | aiohttp.InvalidURL):
        return unconnected(UnicodeError(), "", 0, seconds)
    if isinstance(error, aiohttp.ClientConnectorError):
        what = "the proxy " if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
        return unconnected(error.os_error, f"{what}{error.host}", error.port or 0, seconds)
    if isinstance(error, TimeoutError):
        limit = CONNECT_TIMEOUT if isinstance(error, aiohttp.ConnectionTimeoutError) else seconds
        return ConnectError(f"no connection within {limit:g} s")
    if proxy is not None and isinstance(error, aiohttp.ClientHttpProxyError):
        return refused_by_proxy(proxy, error.status)
    if proxy is not None and isinstance(error, aiohttp.ClientResponseError):
        problem = _broken(error)
        return ConnectError(f"the proxy {address_of(proxy)}: {problem}", problem.retryable)
    if proxy is not None and isinstance(error, OSError | aiohttp.ServerDisconnectedError):
        return ConnectError(f"the proxy {address_of(proxy)} closed the connection")
    return ConnectError(f"no connection ({type(error).__name__})")


def _unanswered(error: Exception, seconds: float) -> TransportError:
    """Return the error where the request may have arrived. The order matters as above."""
    if isinstance(error, aiohttp.ClientResponseError):
        return _broken(error)
    if isinstance(error, TimeoutError):
        return TimedOutError(f"no answer within {seconds:g} s")
    if isinstance(error, aiohttp.ServerDisconnectedError | OSError):
        return disconnected()
    if isinstance(error, aiohttp.ClientPayloadError):
        if isinstance(error.__cause__, ContentEncodingError):
            return ProtocolError("the body of the answer cannot be decompressed")
        return ProtocolError(CUT_OFF)
    return ProtocolError(f"no usable answer ({type(error).__name__})")


def _broken(error: aiohttp.ClientResponseError) -> ProtocolError:
    """Return the error for an answer that cannot be read."""
    cause: BaseException = error
    while cause.__cause__ is not None:  # the last one is what the parser raised
        cause = cause.__cause__
    words = error.message
    if isinstance(cause, LineTooLong):
        return ProtocolError(f"the answer has a line of more than {cause.args[1]} bytes", False)
    if "Too many" in words:
        return ProtocolError("the answer has too many header fields", False)
    if isinstance(cause, ContentEncodingError) and "install" in words:
        return ProtocolError("the answer has an unknown Content-Encoding", False)
    if isinstance(cause, ContentEncodingError):
        return ProtocolError("the body of the answer cannot be decompressed")
    if isinstance(cause, BadStatusLine):
        return ProtocolError(NO_STATUS_LINE)
    return broken(words)
