"""One record of a bulk run, from its reading to its result."""

import asyncio

from .._flow.call import Call
from .._wire.codec import Operation

__all__ = ["Item"]


class Item:
    """One record, from its reading to its result.

    Attributes:
        index: Its position in the source, counted from 0.
        record: What the source returned.
        started: When it was read, in seconds of the loop's clock.
        operation: What to send; None until the record has been checked, and when it is invalid.
        call: Its call; None until it is sent.
        done: Resolved when it has its result; None while no other record waits for that.
    """

    # Defaults on the class, so that a new item sets only three attributes.
    operation: Operation | None = None
    call: Call | None = None
    done: asyncio.Future[None] | None = None

    def __init__(self, index: int, record: object, started: float) -> None:
        self.index, self.record, self.started = index, record, started
