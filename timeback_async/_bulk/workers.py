"""A fixed number of slots to work in, and workers that leave theirs while they wait.

A worker that waits, for a retry or for another record, gives its slot up; another one works there
meanwhile. A worker that comes back gets a slot before anything new is begun.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["WorkerPool"]

T = TypeVar("T")

# Workers that wait count too: with more than this many for each slot, nothing new is begun.
MAX_WORKERS_PER_SLOT = 4


class WorkerPool:
    """Workers that take one step after the other, as long as there is one to take.

    Args:
        slots: How many may work at once.
        step: One piece of work; returns whether there was one.
    """

    def __init__(self, slots: int, step: Callable[[], Awaitable[bool]]) -> None:
        self._slots = slots
        self._step = step
        self._taken = self._workers = self._away = 0
        self._returning: deque[asyncio.Future[None]] = deque()
        self._group: asyncio.TaskGroup

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin, with a worker in each slot."""
        self._group = group
        for _ in range(self._slots):
            self._add_worker()

    async def without_slot(self, waiting: Awaitable[T], replace: bool = False) -> T:
        """Wait for something without a slot, then for a slot again.

        Args:
            waiting: What is waited for.
            replace: Whether another worker works meanwhile.
        """
        self._away += replace
        is_free = not self._give_slot()
        is_short = self._workers - self._away < self._slots
        has_room = self._workers < self._slots * MAX_WORKERS_PER_SLOT
        if replace and is_free and is_short and has_room:
            self._add_worker()
        outcome = await waiting
        self._away -= replace
        if self._taken < self._slots:
            self._taken += 1
        else:
            turn = asyncio.get_running_loop().create_future()
            self._returning.append(turn)
            await turn
        return outcome

    def _add_worker(self) -> None:
        self._workers += 1
        self._taken += 1
        self._group.create_task(self._work())

    async def _work(self) -> None:
        # Ends when workers that come back make this one too many.
        while self._workers - self._away <= self._slots and await self._step():
            pass
        self._give_slot()
        self._workers -= 1

    def _give_slot(self) -> bool:
        """Hand this worker's slot to one that comes back from waiting, if one does."""
        if self._returning:
            self._returning.popleft().set_result(None)
            return True
        self._taken -= 1
        return False
