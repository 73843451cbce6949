"""One request on its way, and what has become of it so far.

Whoever makes the call owns it and reads it; only `RequestPool` writes it, but for `abandon`.
"""

import asyncio
from collections.abc import Mapping

from .._wire.http import Request
from .._wire.status import request_id_of

__all__ = ["Abandoned", "Call"]


class Abandoned(Exception):
    """A call's owner gave it up before its next attempt."""


class Call:
    """One request on its way, and what has become of it so far.

    Attributes:
        request: What is sent.
        allowed: Seconds it may take, from its first admission.
        outlasts_outages: Whether attempts that find nobody there, while nobody else does either,
            are no reason to give up.
        attempts: Requests sent.
        failures: Attempts that count against the retry policy.
        internal_errors: Those of them answered with 500.
        throttles: Attempts answered with "slow down".
        status: Status of the last answer, or None.
        sent_as: Our id of the last request, or "".
        unanswered: Whether something was sent whose answer was not seen, with no answer since.
        refused: Whether a token refused it that nothing has been accepted with.
        error: The last failure.
    """

    # On the class until they change: most calls succeed at once, and set hardly any of these.
    attempts = failures = internal_errors = throttles = 0
    status: int | None = None
    sent_as = ""
    answered: Mapping[str, str] | None = None  # the headers of the last answer
    unanswered = refused = abandoned = False
    error: Exception | None = None
    expires: float | None = None
    forgiven = False  # the one disconnect that is nobody's fault
    doubtful = False  # an earlier attempt may have done its work
    rejections = 0  # answers with 401
    other_id = ""  # the id in an answer that seemed to be another request's
    waiter: asyncio.Future[None] | None = None  # while it waits for a slot or a token

    def __init__(self, request: Request, allowed: float, outlasts_outages: bool = False) -> None:
        self.request, self.allowed = request, allowed
        self.outlasts_outages = outlasts_outages

    @property
    def request_id(self) -> str:
        """The server's id of the last request, or ours."""
        return (self.answered is not None and request_id_of(self.answered)) or self.sent_as

    def abandon(self) -> None:
        """Have no further attempt made; one that is under way is finished."""
        self.abandoned = True
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(Abandoned())
