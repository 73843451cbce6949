"""`request`: any request to TimeBack, with our token."""

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from .._wire.codec import ROOT
from .._wire.http import NOT_JSON
from ..errors import ApiError, ConfigError
from ._exit import EXIT, exit_code_of, exit_with_async
from ._options import AsJson

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
    json: AsJson = False,
) -> None:
    """Send one request with a token, and print the answer as it is, whatever is in it.

    For what has no command. The status goes to stderr, and of an error what the server said to
    stdout, which may be personal. Exit code 1 for "not found".

    Example: timeback-async request GET "/users?limit=1"
    """
    exit_with_async(_request(method, path, body, scope, json))


async def _request(
    method: str, path: str, body: str | None, scope: str | None, as_json: bool
) -> int:
    from ._looking import looking
    from ._screen import err, out, print_error, print_json

    content = None if body is None else _content(body)
    whole = path if _names_its_api(path) or not path.startswith("/") else ROOT + path
    try:
        async with looking() as session:
            answer = await session.request(method, whole, body=content, scope=scope)
    except ApiError as error:
        code = exit_code_of(error)
        if as_json:
            facts = {"ok": False, "status": error.status, "body": error.words}
            print_json(facts | {"error": str(error), "exit": code})
        else:
            sys.stdout.write(error.words and f"{error.words}\n")
        print_error(error)
        return code
    if as_json:
        facts = {"ok": True, "status": answer.status, "body": _in_json(answer.body)}
        print_json(facts | {"error": "", "exit": EXIT.OK})
        return EXIT.OK
    if not out.quiet:
        err.print(f"HTTP {answer.status}")
    sys.stdout.write(answer.body.decode(errors="replace"))
    if answer.body and not answer.body.endswith(b"\n"):
        sys.stdout.write("\n")
    return EXIT.OK


def _in_json(body: bytes) -> Any:
    """Return an answer as JSON types; as text where it is no JSON."""
    with suppress(*NOT_JSON):
        return msgspec.json.decode(body)
    return body.decode(errors="replace")


def _content(body: str) -> bytes:
    """Return what is sent for the option `--body`.

    Raises:
        ConfigError: The file cannot be read, or it is no JSON.
    """
    content = body.encode(errors="surrogateescape")
    if body.startswith("@"):
        try:
            content = Path(body[1:]).read_bytes()
        except OSError as error:
            raise ConfigError(f"--body: {body[1:]}: {error.strerror}") from None
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except NOT_JSON:
        raise ConfigError("--body: is no JSON") from None
    return content
