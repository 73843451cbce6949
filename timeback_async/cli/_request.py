"""`request`: any request to TimeBack, with our token."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from .._wire.codec import ROOT
from ..errors import ConfigError
from ._exit import EXIT, exit_with_async

__all__ = ["request"]

# A path that names its API, such as /rostering/1.0/users; any other one is of the rostering API.
_names_its_api = re.compile(r"/[a-z-]+/\d+\.\d+(/|$)").match


def request(
    method: Annotated[str, typer.Argument(help="Such as GET.")],
    path: Annotated[
        str,
        typer.Argument(
            help="Path and query, percent-encoded, such as /users?limit=1 or /rostering/1.0/users."
        ),
    ],
    body: Annotated[
        str | None, typer.Option(help="JSON to send; @FILE for that of a file.")
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(help="OAuth 2.0 scope.  [default: roster.readonly to read, else createput]"),
    ] = None,
) -> None:
    """Send one request with a token, and print the answer as it is, whatever is in it.

    For what has no command. The status goes to stderr. Exit code 1 for "not found".
    """
    exit_with_async(_request(method, path, body, scope))


async def _request(method: str, path: str, body: str | None, scope: str | None) -> int:
    from ._looking import looking
    from ._screen import err

    content = None if body is None else _content(body)
    whole = path if _names_its_api(path) or not path.startswith("/") else ROOT + path
    async with looking() as session:
        answer = await session.request(method, whole, body=content, scope=scope)
    err.print(f"HTTP {answer.status}")
    sys.stdout.write(answer.body.decode(errors="replace"))
    if answer.body and not answer.body.endswith(b"\n"):
        sys.stdout.write("\n")
    return EXIT.OK


def _content(body: str) -> bytes:
    """Return what is sent for the option `--body`."""
    if not body.startswith("@"):
        return body.encode(errors="surrogateescape")
    path = Path(body[1:])
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--body: {path}: {error.strerror}") from None
