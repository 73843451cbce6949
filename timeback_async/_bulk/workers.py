"""A fixed number of places to work in, and workers who leave theirs while they wait.

A worker that waits, for a retry or for another record, gives its place up; another one works
there meanwhile. Whoever comes back gets a place before anybody begins something new.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["Crew"]

T = TypeVar("T")

# Workers that wait count too: beyond this many for each place, nothing new is begun.
MAX_WORKERS_PER_PLACE = 4


class Crew:
    """Workers that take one step after the other, as long as there is one to take.

    Args:
        places: How many may work at once.
        step: One piece of work; returns whether there was one.
    """

    def __init__(self, places: int, step: Callable[[], Awaitable[bool]]) -> None:
        self._places = places
        self._step = step
        self._taken = self._workers = self._away = 0
        self._returning: deque[asyncio.Future[None]] = deque()
        self._group: asyncio.TaskGroup

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin, with a worker in each place."""
        self._group = group
        for _ in range(self._places):
            self._hire()

    async def parked(self, waiting: Awaitable[T], hire: bool = False) -> T:
        """Wait for something without a place, then for a place again.

        Args:
            waiting: What is waited for.
            hire: Whether somebody else should work meanwhile.
        """
        self._away += hire
        is_free = not self._give_place()
        is_short = self._workers - self._away < self._places
        if hire and is_free and is_short and self._workers < self._places * MAX_WORKERS_PER_PLACE:
            self._hire()
        outcome = await waiting
        self._away -= hire
        if self._taken < self._places:
            self._taken += 1
        else:
            turn = asyncio.get_running_loop().create_future()
            self._returning.append(turn)
            await turn
        return outcome

    def _hire(self) -> None:
        self._workers += 1
        self._taken += 1
        self._group.create_task(self._work())

    async def _work(self) -> None:
        # Ends when workers who come back make this one too many.
        while self._workers - self._away <= self._places and await self._step():
            pass
        self._give_place()
        self._workers -= 1

    def _give_place(self) -> bool:
        """Hand this worker's place to one that comes back from waiting, if one does."""
        if self._returning:
            self._returning.popleft().set_result(None)
            return True
        self._taken -= 1
        return False
