"""`check`: whether TimeBack can be reached, and what this app may do there."""

from collections.abc import AsyncIterator

import msgspec

from .._config import Config
from .._retry import RetryPolicy
from .._session import TimebackSession
from .._wire.http import CREATEPUT, READONLY, SCOPE_PREFIX
from ..errors import AuthError, ConnectError, ForbiddenError, TimebackError
from ._exit import EXIT, exit_with_async

__all__ = ["CheckResult", "check", "results"]

DRAFT = "An app in draft gets no roster scopes in production: ask for it to be approved."


def check() -> None:
    """Ask for a token per scope and try a harmless read: what works, what not, what to do."""
    exit_with_async(_check())


async def _check() -> int:
    from rich.markup import escape

    from ._screen import out

    config = Config.from_env()
    out.print(f"TimeBack at {config.base_url}")
    ok = True
    async for result in results(config):
        ok = ok and result.ok
        mark = "[green]ok[/]  " if result.ok else "[red]fail[/]"
        out.print(f"{mark} {result.what}: {escape(result.explanation)}", soft_wrap=True)
    return EXIT.OK if ok else EXIT.NOTHING_SENT


class CheckResult(msgspec.Struct, frozen=True):
    """One thing that was tried.

    Attributes:
        what: What was tried.
        ok: Whether it went well.
        explanation: How it went, and what to do where it did not.
    """

    what: str
    ok: bool
    explanation: str


async def results(config: Config) -> AsyncIterator[CheckResult]:
    """Yield results one by one: a token for each scope, then a read that changes nothing."""
    impatient = msgspec.structs.replace(config, retry=RetryPolicy(attempts=1), deadline=20.0)
    async with TimebackSession(impatient) as session:
        for scope in (READONLY, CREATEPUT):
            what = f"token for {scope.removeprefix(SCOPE_PREFIX)}"
            try:
                granted = (await session._tokens.get(scope)).granted  # noqa: SLF001 - our own
            except TimebackError as error:
                yield CheckResult(what, False, _explanation(error, config))
                if getattr(error, "code", "") != "invalid_scope":
                    return  # the rest would fail for the same reason
                continue
            if granted and scope not in granted.split():
                yield CheckResult(what, False, f"the token was issued without it. {DRAFT}")
            else:
                yield CheckResult(what, True, "granted")
        try:
            count = 0
            async for _ in session.list_orgs(page_size=1):
                count += 1
                break
        except TimebackError as error:
            yield CheckResult("read organisations", False, _explanation(error, config))
        else:
            words = "it works" if count else "it works, but there are none: is this the right app?"
            yield CheckResult("read organisations", True, words)


def _explanation(error: TimebackError, config: Config) -> str:
    connect = error.__cause__ if isinstance(error.__cause__, ConnectError) else error
    if isinstance(connect, ConnectError):
        if connect.unknown_host:
            return f"{connect.reason}: is the address right? ({config.base_url})"
        return f"{connect.reason}: is the address right, and may this machine reach it?"
    if isinstance(error, AuthError) and error.code == "invalid_scope":
        return f"the scope is not granted. {DRAFT}"
    if isinstance(error, AuthError) and error.code in ("invalid_client", "unauthorized_client"):
        return "the credentials are refused: check TIMEBACK_CLIENT_ID and TIMEBACK_CLIENT_SECRET"
    if isinstance(error, ForbiddenError):
        return f"not allowed. {DRAFT}"
    return str(error)
