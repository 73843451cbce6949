"""A fixed number of slots, and workers that give up their slots while they wait.

A worker that waits, for a retry or for another record, gives its slot back, and another worker can
use it meanwhile. A worker that returns from waiting gets a slot before anything new is begun.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["WorkerPool"]

T = TypeVar("T")

# The most workers per slot, those that wait included; with more, nothing new is begun.
MAX_WORKERS_PER_SLOT = 4


class WorkerPool:
    """Workers that repeat a step until there is nothing left to do.

    Args:
        slots: How many workers may work at once.
        step: Does one piece of work; returns whether there was one.
    """

    def __init__(self, slots: int, step: Callable[[], Awaitable[bool]]) -> None:
        self._slots = slots
        self._step = step
        self._taken = self._workers = self._away = 0
        self._returning: deque[asyncio.Future[None]] = deque()
        self._group: asyncio.TaskGroup

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start one worker per slot."""
        self._group = group
        for _ in range(self._slots):
            self._add_worker()

    async def without_slot(self, waiting: Awaitable[T], replace: bool = False) -> T:
        """Give the slot back, wait for something, and then wait for a slot again.

        Args:
            waiting: What to wait for; its value is returned.
            replace: Whether another worker may be started for the slot.
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
        task, step = asyncio.current_task(), self._step
        assert task is not None
        # It also ends when workers have come back, and there are more of them than slots; and when
        # something within the step has swallowed the cancellation of this task.
        while self._workers - self._away <= self._slots and await step():
            if task.cancelling():
                break
        self._give_slot()
        self._workers -= 1

    def _give_slot(self) -> bool:
        """Give this slot back; return whether a worker that comes back has got it."""
        while self._returning:
            turn = self._returning.popleft()
            if not turn.done():  # else its worker was cancelled
                turn.set_result(None)
                return True
        self._taken -= 1
        return False
