"""TLS for the servers and the clients of tests."""

import ssl
from typing import Any

import trustme


def certified(authority: trustme.CA, name: str = "localhost", **times: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name, **times).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
