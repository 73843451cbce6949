"""One record of a bulk run, between its reading and its result."""

import asyncio

from .._flow.call import Call
from .._wire.codec import Operation

__all__ = ["Item"]


class Item:
    """One record between reading and result.

    Attributes:
        index: Its position in the source, from 0.
        record: What the source gave.
        started: When it was read, in the loop's seconds.
        operation: What is to be sent; None until the record is checked, and where it is invalid.
        call: Its request; None until it is sent.
        done: Resolved with its result; None where nobody waits for that.
    """

    # On the class until they are there.
    operation: Operation | None = None
    call: Call | None = None
    done: asyncio.Future[None] | None = None

    def __init__(self, index: int, record: object, started: float) -> None:
        self.index, self.record, self.started = index, record, started
