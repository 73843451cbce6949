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
        is_full: Whether it holds as many results as it has room for.
        has_room: Set while it is not full, for those who wait.
    """

    def __init__(self, room: int, ordered: bool) -> None:
        self._room = room
        self._ordered = ordered
        self._ready: deque[ItemResult] = deque()
        self._held: dict[int, ItemResult] = {}  # by index, while an earlier one is missing
        self._next_index = 0
        self._arrived = asyncio.Event()  # set when `take` may find something
        self._is_closed = False
        self.is_full = False
        self.has_room = asyncio.Event()

    def put(self, result: ItemResult) -> None:
        """Add a result. It is accepted even when this is full."""
        if not self._ready:
            self._arrived.set()
        if self._ordered:
            self._held[result.index] = result
            while self._next_index in self._held:
                self._ready.append(self._held.pop(self._next_index))
                self._next_index += 1
        else:
            self._ready.append(result)
        if len(self._ready) + len(self._held) >= self._room:
            self.is_full = True
            self.has_room.clear()

    def take(self) -> ItemResult | None:
        """Return the next result, or None when it is not here yet."""
        if not self._ready:
            self._arrived.clear()
            return None
        result = self._ready.popleft()
        if self.is_full and len(self._ready) + len(self._held) < self._room:
            self.is_full = False
            self.has_room.set()
        return result

    async def wait(self) -> bool:
        """Wait until `take` may find a result; return False when this is closed and empty."""
        if not self._is_closed:
            await self._arrived.wait()
        return bool(self._ready) or not self._is_closed

    def close(self) -> None:
        """End the iteration of the consumer, after the results that are here."""
        self._is_closed = True
        self._arrived.set()
