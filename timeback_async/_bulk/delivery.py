"""Pass results to one consumer: as they come, or in the order of their records.

It holds a bounded number of results. While it is full, no more records should be sent: a consumer
that stops reading results so stops the sending.
"""

import asyncio
from collections import deque

from .._results import ItemResult

__all__ = ["Delivery"]


class Delivery:
    """The results between the workers and the consumer.

    Args:
        room: How many results it holds when it is full.
        ordered: Whether results come out in the order of their indexes.

    Attributes:
        has_room: Set while it is not full.
    """

    def __init__(self, room: int, ordered: bool) -> None:
        self._room = room
        self._ordered = ordered
        self._ready: deque[ItemResult] = deque()
        self._held: dict[int, ItemResult] = {}  # by index, while an earlier one is missing
        self._next_index = 0
        self._arrived = asyncio.Event()
        self._is_closed = False
        self.has_room = asyncio.Event()
        self.has_room.set()

    def put(self, result: ItemResult) -> None:
        """Add a result. It is accepted even when this is full."""
        if self._ordered:
            self._held[result.index] = result
            while self._next_index in self._held:
                self._ready.append(self._held.pop(self._next_index))
                self._next_index += 1
        else:
            self._ready.append(result)
        if len(self._ready) + len(self._held) >= self._room:
            self.has_room.clear()
        self._arrived.set()

    async def get(self) -> ItemResult | None:
        """Return the next result, or None when this is closed and empty."""
        while not self._ready:
            if self._is_closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        result = self._ready.popleft()
        if len(self._ready) + len(self._held) < self._room:
            self.has_room.set()
        return result

    def close(self) -> None:
        """End the iteration of the consumer, after the results that are here."""
        self._is_closed = True
        self._arrived.set()
