"""Find the proxy for a server, as curl and requests do: in the variables of the environment.

Only proxies that are spoken to in HTTP are supported, over a plain connection or over TLS.
"""

import os
from contextlib import suppress
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from ..errors import ConfigError

__all__ = ["address_of", "named_proxy", "proxy_for"]

SCHEMES = ("http", "https")


def proxy_for(origin: str) -> URL | None:
    """Return the proxy through which an origin is to be reached, or None; see `named_proxy`."""
    found = named_proxy(origin)
    return found and found[0]


def named_proxy(origin: str) -> tuple[URL, str] | None:
    """Return the proxy through which an origin is to be reached, and the variable that names it.

    None for no proxy.

    `HTTPS_PROXY` (or `HTTP_PROXY`, by the scheme of the origin) comes before `ALL_PROXY`, the name
    in lower case before the one in capitals, and `NO_PROXY` before all; it may have networks, such
    as 10.0.0.0/8. An empty variable counts as not set. Where no variable is set, Windows and macOS
    have proxies among their settings. A value without a scheme is that of an HTTP proxy.

    Raises:
        ConfigError: The value is not the URL of such a proxy. The message names the variable, but
            not the value, which may contain a password.
    """
    parts = urlsplit(origin)
    proxies = getproxies()
    if proxy_bypass(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    if _is_in_network(parts.hostname or "", proxies.get("no", "")):
        return None
    for kind in (parts.scheme, "all"):
        if value := proxies.get(kind, "").strip():
            variable = _variable(kind)
            return _parsed(value, variable), variable
    return None


def _is_in_network(host: str, exceptions: str) -> bool:
    """Whether an address is in one of the networks among NO_PROXY, such as 10.0.0.0/8."""
    for each in exceptions.split(","):
        with suppress(ValueError):  # one of both is a name
            if "/" in each and ip_address(host) in ip_network(each.strip(), strict=False):
                return True
    return False


def address_of(proxy: URL) -> str:
    """Return the host and port of a proxy, for messages: its URL may contain a password."""
    return f"{proxy.host_subcomponent}:{proxy.port}"


def _variable(kind: str) -> str:
    """Return the name of the variable that `getproxies` has read, in the case that it has."""
    # Names in lower case come first there, too.
    for name in sorted(os.environ, reverse=True):
        if name.lower() == f"{kind}_proxy" and os.environ[name]:
            return name
    return "the proxy of the system"


def _parsed(value: str, variable: str) -> URL:
    scheme, has_scheme, _ = value.partition("://")
    if not has_scheme:
        value = "http://" + value.removeprefix("//")
    elif scheme.lower() not in SCHEMES:
        raise ConfigError(
            f"{variable}: only proxies of the form http://HOST:PORT and https://HOST:PORT are"
            " supported, not those for SOCKS or others"
        )
    try:
        proxy = URL(value)
        (proxy.host or "").encode("idna")
        f"{proxy.user}{proxy.password}".encode("latin-1")  # as aiohttp sends them
    except (ValueError, IndexError):  # yarl raises both
        proxy = URL()
    is_address = proxy.host and proxy.port and value.isprintable() and " " not in value
    # A "/", "?" or "#" in a password ends the host, which would be the user name then.
    if not is_address or proxy.raw_path_qs != "/" or proxy.fragment:
        raise ConfigError(
            f"{variable}: is not the URL of a proxy, such as http://proxy.example:3128; in a user"
            " name and password, special characters are percent-encoded"
        )
    return proxy
