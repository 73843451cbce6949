"""One request on its way, and what has become of it so far."""

import asyncio
from collections.abc import Mapping

from .._wire.http import Request
from .._wire.status import request_id_of

__all__ = ["Abandoned", "Call"]


class Abandoned(Exception):
    """A call's owner gave it up before its next attempt."""


class Call:
    """One request on its way, and what has become of it so far.

    A call goes round one cycle until it ends: waiting for a slot, waiting for a token, sent,
    answered or failed, waiting for its next attempt. The owner (a session's method, or a bulk
    run) makes it, reads it after its end and may `abandon` it; everything else is written by the
    three classes that carry it round: `RequestPool` (pool), `Admission` (line), `Retries`.

    ================  =========================================  ==============  =================
    field             what it says                               set by          read by
    ================  =========================================  ==============  =================
    request           what is sent                               owner           pool
    allowed           seconds it may take, from its first        owner           pool
                      admission
    outlasts_outages  whether failures that everybody meets       owner           retries
                      are no reason to give up
    expires           when its time is over; None before the     pool            pool, line,
                      first admission                                            retries
    waiter            what it waits for, a slot or a token       line, pool      abandon
    attempts          requests sent                              pool            owner, line
    sent_as           our id of the last request, or ""          pool            request_id
    unanswered        whether something was sent whose answer    pool            owner
                      was not seen, with no answer since
    status            status of the last answer, or None         pool            owner
    answered          headers of the last answer, or None        pool            request_id
    doubtful          whether an attempt before may have done    pool            pool
                      its work (a 404 to a DELETE is success)
    other_id          the id in an answer that seemed to be      pool            pool
                      another request's
    rejections        answers with 401                           pool            pool, retries
    refused           whether a token rejected it that nothing   pool            owner, retries
                      has been accepted with
    error             the last failure                           pool            owner, pool
    failures          attempts that count against the policy     retries         retries
    internal_errors   those of them answered with 500            retries         retries
    throttles         attempts answered with "slow down"         retries         owner, retries
    forgiven          whether the one disconnect that nobody     retries         retries, pool
                      is to blame for is used up
    abandoned         whether the owner gave it up               abandon         pool, line
    ================  =========================================  ==============  =================
    """

    # On the class until they change: most calls succeed at once, and set hardly any of these.
    expires: float | None = None
    waiter: asyncio.Future[None] | None = None
    attempts = failures = internal_errors = throttles = rejections = 0
    sent_as = other_id = ""
    status: int | None = None
    answered: Mapping[str, str] | None = None
    unanswered = doubtful = refused = forgiven = abandoned = False
    error: Exception | None = None

    def __init__(self, request: Request, allowed: float, outlasts_outages: bool = False) -> None:
        self.request, self.allowed = request, allowed
        self.outlasts_outages = outlasts_outages

    @property
    def request_id(self) -> str:
        """The server's id of the last request, or ours; "" before the first."""
        return (self.answered is not None and request_id_of(self.answered)) or self.sent_as

    def abandon(self) -> None:
        """Make no further attempt; one that is under way is finished."""
        self.abandoned = True
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(Abandoned())
