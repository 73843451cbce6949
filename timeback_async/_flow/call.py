"""One operation that a caller awaits, with all its attempts."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from .._wire.http import Request
from .._wire.status import request_id_of

__all__ = ["Abandoned", "Call", "Seen"]


class Abandoned(Exception):
    """The owner of a call gave it up before its next attempt."""


class Seen(NamedTuple):
    """What had been counted when a call failed last. See `Retries`."""

    served: int
    setbacks: int
    failures: int
    witnesses: int
    own: int  # those of the witnesses that were this call, since something last came through


class Call:
    """One operation that a caller awaits, with all its attempts so far.

    A call repeats one cycle until it ends: it waits for a slot, waits for a token, is sent, is
    answered or fails, and waits for its next attempt. Its owner (a method of the session, or a
    bulk run) creates it, reads it after its end, and may `abandon` it. Three classes write all
    other fields: `RequestPool` (pool), `Admission` (line) and `Retries`.

    ================  =========================================  ==============  =================
    field             meaning                                    set by          read by
    ================  =========================================  ==============  =================
    request           what is sent                               owner           pool
    allowed           seconds that the call may take, from its   owner           pool
                      first admission
    outlasts_outages  whether failures during an outage do not   owner           retries
                      count
    expires           when its time is over; None before the     pool            pool, line,
                      first admission                                            retries
    waiter            what it waits for: a slot or a token       line, pool      abandon
    attempts          number of requests sent                    pool            owner, line
    sent_at           when the last request was sent             pool            retries
    sent_as           our id of the last request, or ""          pool            request_id
    unanswered        whether an attempt was sent and not        pool            owner
                      answered, with no answer since
    status            status of the last answer, or None         pool            owner
    answered          headers of the last answer, or None        pool            request_id
    doubtful          whether an earlier attempt may have had    pool            pool
                      its effect (then a 404 to a DELETE is
                      success)
    other_id          the id in an answer that named another     pool            pool
                      record
    rejections        number of answers with 401                 pool            pool, retries
    refused           whether it was rejected with a token that  pool            owner, retries
                      was never accepted
    error             the last failure                           pool            owner, pool
    failures          number of failed attempts, without         retries         retries
                      throttled ones
    excused           those of them that show nothing about      retries         retries
                      the record
    internal_errors   the others that were answered with 500     retries         retries
    seen              what had been counted at the last failure  retries         retries
    first_sent_at     when the first request was sent that       retries         retries
                      failed
    throttles         number of throttled attempts               retries         owner, retries
    forgiven          whether the one free disconnect is used    retries         retries, pool
                      up
    abandoned         whether the owner gave it up               abandon         pool, line
    ================  =========================================  ==============  =================
    """

    # Defaults on the class: most calls succeed at once, and set hardly any of these.
    expires: float | None = None
    waiter: asyncio.Future[None] | None = None
    attempts = failures = excused = internal_errors = throttles = rejections = 0
    sent_at = first_sent_at = 0.0
    seen: Seen | None = None
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
        """The server's id of the last request, or ours; "" before the first request."""
        return (self.answered is not None and request_id_of(self.answered)) or self.sent_as

    def abandon(self) -> None:
        """Make no further attempt. An attempt that is under way is finished."""
        self.abandoned = True
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(Abandoned())
