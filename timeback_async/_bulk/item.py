"""One record of a bulk run, from its reading to its result."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType

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
        is_ok: Whether its result is one without an error.
        earlier: Records read before it that have to end before it is sent.
        people: For a link, by id: the record that decides whether the person is there, or None
            where that record has failed already. A person who is not in it hinders nothing.
    """

    # The default for most items. What every item sets or reads has none: Python looks such a field
    # up in the class first, which takes four times as long.
    people: "Mapping[str, Item | None]" = MappingProxyType({})

    def __init__(self, index: int, record: object, started: float) -> None:
        self.index, self.record, self.started = index, record, started
        self.operation: Operation | None = None
        self.call: Call | None = None
        self.done: asyncio.Future[None] | None = None
        self.is_ok = False
        self.earlier: Sequence[Item] = ()
