"""One operation that a caller awaits, with all its attempts."""

import asyncio
from collections.abc import Mapping
from typing import Any

from .._wire.http import Request
from .._wire.status import request_id_of
from ..errors import AuthError
from .grant import Token

__all__ = ["Abandoned", "Call", "OutOfTime"]


class Abandoned(Exception):
    """The owner of a call gave it up before its next attempt."""


class OutOfTime(Exception):
    """The time of a call is over, or will be before its next attempt."""


class Call:
    """One operation that a caller awaits, with all its attempts so far.

    A call repeats one cycle until it ends: it waits for a token, waits for a slot, is sent, is
    answered or fails, and waits for its next attempt. Its owner (a method of the session, or a
    bulk run) creates it, reads it after its end, and may `abandon` it. Three classes write all
    other fields: `RequestPool` (pool), `Admission` (line) and `Retries`.

    ================  =========================================  ==============  =================
    field             meaning                                    set by          read by
    ================  =========================================  ==============  =================
    request           what is sent                               owner           pool
    allowed           seconds that the call may take             owner           pool, line
    is_bulk           whether it is a record of a bulk run: then owner           line, retries,
                      its time runs from its first admission,                    pool
                      it goes behind single calls, and
                      failures during an outage do not count
    expires           when its time is over; None before the     owner, pool     pool, line,
                      first admission of a record                                retries
    waiter            what it waits for: a slot or a token       line, pool      abandon
    attempts          number of requests sent                    pool            owner, line
    sent_at           when the last request was sent             pool            retries
    sent_as           our id of the last request, or ""          pool            request_id
    unanswered        whether an attempt was sent and not        pool            owner
                      answered, with no verdict on the record
                      since: 2xx, or 4xx that is not of the
                      moment
    status            status of the last answer, or None         pool            owner
    answered          headers of the last answer, or None        pool            request_id
    doubtful          whether an earlier attempt may have had    pool            pool
                      its effect (then a 404 to a DELETE is
                      success)
    other_id          the id in an answer that named another     pool            pool
                      record
    rejections        number of answers with 401 to a token      pool            pool, retries
                      that the server accepts from others
    rejection         the token that was rejected last, with     pool            pool
                      the error; or None
    refused           whether it was rejected with a token that  pool            owner, retries
                      was never accepted
    error             the last failure                           pool            owner, pool
    failures          number of failed attempts, without         retries         retries
                      throttled ones and the free disconnect
    blame             how many of them the call itself may be    retries         retries
                      the cause of
    internal_blame    those of them that were answered with 500  retries         retries
    seen              what the session had counted at the last   retries         retries
                      failure
    blamed_at         when a request was sent of whose failure   retries         retries
                      the call may be the cause; 0 for none
    throttles         number of throttled attempts               retries         owner, retries
    forgiven          whether the one free disconnect is used    retries         retries, pool
                      up
    abandoned         whether the owner gave it up               abandon         pool, line
    ================  =========================================  ==============  =================
    """

    # Defaults on the class for what most calls never touch. What every call sets or reads has none:
    # Python looks such a field up in the class first, which takes four times as long.
    waiter: asyncio.Future[Any] | None = None
    failures = rejections = 0
    blame = internal_blame = blamed_at = 0.0
    seen: tuple[int, int] | None = None
    other_id = ""
    doubtful = refused = forgiven = False
    error: Exception | None = None
    rejection: tuple[Token, AuthError] | None = None

    def __init__(self, request: Request, allowed: float, made_at: float | None = None) -> None:
        """Begin a call.

        Args:
            request: What is sent.
            allowed: Seconds that the call may take.
            made_at: When a single call was made: its time runs from then. None for a record of a
                bulk run.
        """
        self.request, self.allowed, self.is_bulk = request, allowed, made_at is None
        self.expires = None if made_at is None else made_at + allowed
        self.attempts = self.throttles = 0
        self.sent_at, self.sent_as = 0.0, ""
        self.status: int | None = None
        self.answered: Mapping[str, str] | None = None
        self.unanswered = self.abandoned = False

    @property
    def request_id(self) -> str:
        """The server's id of the last request, or ours; "" before the first request."""
        return (self.answered is not None and request_id_of(self.answered)) or self.sent_as

    def abandon(self) -> None:
        """Make no further attempt. An attempt that is under way is finished."""
        self.abandoned = True
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(Abandoned())
