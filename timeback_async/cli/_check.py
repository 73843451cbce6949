"""`check`: whether TimeBack can be reached, and what this app may do there."""

from collections.abc import AsyncIterator

import msgspec

from .._config import Config
from .._retry import RetryPolicy
from .._session import TimebackSession
from .._wire.http import CREATEPUT, READONLY, SCOPE_PREFIX
from ..errors import AuthError, ConnectError, ForbiddenError, TimebackError
from ._exit import EXIT, exit_with_async
from ._options import AsJson
from ._options_words import SSL_CONTEXT, as_flags
from ._settings import config_from_env, proxies_of

__all__ = ["CheckResult", "check", "results"]

DRAFT = "An app in draft gets no roster scopes in production: ask TimeBack to approve it."


def check(json: AsJson = False) -> None:
    """Check the address, the credentials and the scopes.

    Requests one token per scope and reads organisations. Nothing is changed at TimeBack.

    Example: timeback-async check
    """
    exit_with_async(_check(json))


async def _check(json: bool) -> int:
    from rich.markup import escape

    from ._screen import out, print_json

    config = config_from_env()
    proxies = proxies_of(config)
    out.print(f"TimeBack at {config.base_url}", soft_wrap=True)
    for proxy, variable in proxies.items():
        out.print(f"through the proxy {proxy} ({variable})", soft_wrap=True)
    found = []
    async for result in results(config):
        found.append(result)
        mark = "[green]ok[/]  " if result.ok else "[red]fail[/]"
        out.print(f"{mark} {result.what}: {escape(result.explanation)}", soft_wrap=True)
    ok = all(each.ok for each in found)
    code = EXIT.OK if ok else EXIT.NOTHING_SENT
    if json:
        error = next((each.explanation for each in found if not each.ok), "")
        checks = [msgspec.structs.asdict(each) for each in found]
        print_json(
            {"ok": ok, "checks": checks, "proxies": list(proxies), "error": error, "exit": code}
        )
    return code


class CheckResult(msgspec.Struct, frozen=True):
    """The result of one check.

    Attributes:
        what: The name of the check.
        ok: Whether it succeeded.
        explanation: How it ended, and after a failure what to do.
    """

    what: str
    ok: bool
    explanation: str


async def results(config: Config) -> AsyncIterator[CheckResult]:
    """Yield each result as it is known: a token for each scope, then a harmless read."""
    impatient = msgspec.structs.replace(config, retry=RetryPolicy(attempts=1), deadline=20.0)
    async with TimebackSession(impatient) as session:
        for scope in (READONLY, CREATEPUT):
            what = f"token for {scope.removeprefix(SCOPE_PREFIX)}"
            try:
                granted = await session.check_token(scope)
            except TimebackError as error:
                yield CheckResult(what, False, _explanation(error, config))
                if getattr(error, "code", "") != "invalid_scope":
                    return  # the other checks would fail for the same reason
                continue
            if granted and scope not in granted:
                yield CheckResult(what, False, f"the token was issued without this scope. {DRAFT}")
            else:
                yield CheckResult(what, True, "granted")
        try:
            count = 0
            async for _ in session.list_orgs(page_size=1):
                count += 1
                break
        except TimebackError as error:
            yield CheckResult(
                "read organisations", False, _explanation(error, config, has_token=True)
            )
        else:
            words = "works" if count else "works, but there are none: is this the right app?"
            yield CheckResult("read organisations", True, words)


def _explanation(error: TimebackError, config: Config, *, has_token: bool = False) -> str:
    connect = error.__cause__ if isinstance(error.__cause__, ConnectError) else error
    if isinstance(connect, ConnectError):
        variables = ", ".join(dict.fromkeys(proxies_of(config).values()))
        if variables and "proxy" in connect.reason:
            return (
                f"{connect.reason}: check {variables}; a proxy's user name and password are part "
                "of it (http://USER:PASSWORD@HOST:PORT), and NO_PROXY names hosts to reach without"
            )
        if SSL_CONTEXT in connect.reason:
            return as_flags(connect.reason)
        if connect.unknown_host:
            behind = "" if variables else "; behind a proxy, set HTTPS_PROXY"
            return f"{connect.reason}: check the address ({config.base_url}){behind}"
        return f"{connect.reason}: check the address, and whether this machine may reach it"
    if isinstance(error, AuthError) and error.code == "invalid_scope":
        return f"the scope is not granted. {DRAFT}"
    if isinstance(error, ForbiddenError):
        return f"not allowed. {DRAFT}"
    if isinstance(error, AuthError) and error.status == 401 and has_token:
        return f"the new token is not accepted there: check the address ({config.base_url})"
    return as_flags(str(error))
