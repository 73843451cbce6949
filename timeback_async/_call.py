"""One request on its way, and what has become of it so far.

Whoever makes the call owns it and reads it; only `RequestPool` writes it, but for `abandon`.
"""

import asyncio

from ._http import Request

__all__ = ["Abandoned", "Call"]


class Abandoned(Exception):
    """A call's owner gave it up before its next attempt."""


class Call:
    """One request on its way, and what has become of it so far.

    Attributes:
        request: What is sent.
        allowed: Seconds it may take, from its first admission.
        attempts: Requests sent.
        failures: Attempts that count against the retry policy.
        throttles: Attempts answered with "slow down".
        status: Status of the last answer, or None.
        request_id: The server's id of the last request, or ours.
        unanswered: Whether something was sent whose answer was not seen, with no answer since.
        refused: Whether a token refused it that nothing has been accepted with.
        error: The last failure.
    """

    # On the class until they change: most calls succeed at once, and set hardly any of these.
    attempts = failures = throttles = 0
    status: int | None = None
    request_id = ""
    unanswered = refused = abandoned = False
    error: Exception | None = None
    expires: float | None = None
    forgiven = False  # the one disconnect that is nobody's fault
    doubtful = False  # an earlier attempt may have done its work
    rejections = 0  # answers with 401
    other_id = ""  # the id in an answer that seemed to be another request's
    waiter: asyncio.Future[None] | None = None  # its turn, while it waits for a slot

    def __init__(self, request: Request, allowed: float) -> None:
        self.request, self.allowed = request, allowed

    def abandon(self) -> None:
        """Have no further attempt made; one that is under way is finished."""
        self.abandoned = True
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(Abandoned())
