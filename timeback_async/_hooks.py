"""See every attempt and every result of a session: what metrics, traces and alerts are built on."""

import logging
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

import msgspec

from ._report import Report
from ._results import ItemResult
from ._statistics import Statistics

__all__ = ["Attempt", "Hook", "Watched"]

log = logging.getLogger("timeback_async.hook")


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One request that was sent for a call, once it has ended. Token requests are not among them.

    Attributes:
        method: The HTTP method.
        number: Which attempt of its call it was, counted from 1: greater than 1 for a retry.
        status: The HTTP status of the answer, or None if there was no usable answer.
        error: Why it was no success, or None. It is None as well for one that was cancelled, which
            has no `status` either.
        seconds: From its sending to its end.
        request_id: The `X-Request-ID` that it was sent with.
        is_bulk: Whether it was for a record of a bulk run, and not for a single call.
    """

    method: str
    number: int
    status: int | None
    error: Exception | None
    seconds: float
    request_id: str
    is_bulk: bool


class Hook:
    """The base of a hook: override what you need, and pass it as `TimebackSession(…, hook=…)`.

    The methods are called on the event loop of the session, while a request waits for them, so
    they have to be quick. What they raise is logged once for each method, and changes nothing.
    """

    def opened(self, statistics: Callable[[], Statistics]) -> None:
        """Take note that a session was opened.

        Args:
            statistics: Returns its statistics, from any thread.
        """

    def closed(self, statistics: Callable[[], Statistics]) -> None:
        """Take note that the session with these statistics was closed."""

    def attempt(self, attempt: Attempt) -> None:
        """See one attempt that has ended."""

    def result(self, result: ItemResult) -> None:
        """See what became of a record of a bulk run, or of the record of a single call.

        The results of single calls have the `index` 0. Lists and `request` have no records. In a
        run that is awaited, the `request_id` of a success is always ours.
        """

    def run(self) -> Callable[[Report], None] | None:
        """See that a bulk run begins; return what is to be called with its report at its end.

        It is called in the context (`contextvars`) of the run, so what it sets there is set for
        all attempts of the run.
        """


# A hook awaits nothing, so a CancelledError of it is its own, and does not cancel the task.
FOR_THE_PROCESS = (KeyboardInterrupt, SystemExit)


class Watched:
    """Calls a hook, so that nothing it raises gets out.

    Args:
        hook: The hook.
    """

    def __init__(self, hook: Hook) -> None:
        self._hook = hook
        self._attempt, self._result = hook.attempt, hook.result
        self._is_known: set[str] = set()

    def attempt(self, attempt: Attempt) -> None:
        """See an attempt."""
        try:
            self._attempt(attempt)
        except BaseException as raised:
            self._note("attempt", raised)

    def result(self, result: ItemResult) -> None:
        """See a result."""
        try:
            self._result(result)
        except BaseException as raised:
            self._note("result", raised)

    def opened(self, statistics: Callable[[], Statistics]) -> None:
        """See that the session was opened."""
        self._call("opened", self._hook.opened, statistics)

    def closed(self, statistics: Callable[[], Statistics]) -> None:
        """See that the session was closed."""
        self._call("closed", self._hook.closed, statistics)

    def run(self) -> tuple[Context, Callable[[Report], None]]:
        """Return the context in which a bulk run has to run, and what to call at its end."""
        context = copy_context()
        ended = context.run(self._call, "run", self._hook.run)

        def end(report: Report) -> None:
            if ended is not None:
                self._call("run", ended, report)

        return context, end

    def _call(self, name: str, method: Callable[..., Any], *arguments: object) -> Any:
        try:
            return method(*arguments)
        except BaseException as raised:
            self._note(name, raised)

    def _note(self, name: str, raised: BaseException) -> None:
        if isinstance(raised, FOR_THE_PROCESS):
            raise raised
        # Its type alone: its text, and the variables of its frames, may be personal.
        if name not in self._is_known:
            self._is_known.add(name)
            log.warning("the hook's %s raised %s; this is logged once", name, type(raised).__name__)
