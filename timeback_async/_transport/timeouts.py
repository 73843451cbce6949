"""Limit the time of many blocks of code, with one timer for all of them.

`asyncio.timeout` sets a timer for each block and cancels it a moment later, which costs a tenth of
a request. Nearly all blocks end in time. So one timer is enough: it looks for those that have not.
"""

import asyncio
from math import inf
from types import TracebackType
from typing import Protocol

__all__ = ["Timeouts"]


class Expiring(Protocol):
    """What has a time limit: `expire` is called once at `ends_at`, on the loop's clock."""

    ends_at: float

    def expire(self) -> None: ...


class Timeouts:
    """The time limits of one event loop.

    Attributes:
        running: What has begun and not ended.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.running: set[Expiring] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = inf

    def within(self, seconds: float) -> "_Timeout":
        """Return a context manager that ends its block by a TimeoutError after `seconds`."""
        return _Timeout(self, self._loop.time() + seconds)

    def close(self) -> None:
        """Cancel the timer, unless something is running."""
        if self._timer is not None and not self.running:
            self._timer.cancel()
            self._wake_at(inf)

    def begin(self, timeout: Expiring) -> None:
        """Add what has begun, and set the timer for the end of its time."""
        self.running.add(timeout)
        if timeout.ends_at < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wake_at(timeout.ends_at)

    def _wake_at(self, when: float) -> None:
        self._wakes_at = when
        self._timer = None if when == inf else self._loop.call_at(when, self._look)

    def _look(self) -> None:
        now = max(self._loop.time(), self._wakes_at)
        for timeout in [t for t in self.running if t.ends_at <= now]:
            timeout.expire()
            self.running.discard(timeout)
        self._wake_at(min((t.ends_at for t in self.running), default=inf))


class _Timeout:
    """The time limit of one block, in the task that entered it."""

    __slots__ = ("_cancelled_before", "_is_over", "_owner", "_task", "ends_at")

    def __init__(self, owner: Timeouts, ends_at: float) -> None:
        self._owner, self.ends_at = owner, ends_at
        self._is_over = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelled_before = task, task.cancelling()
        self._owner.begin(self)

    def expire(self) -> None:
        self._is_over = True
        self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._owner.running.discard(self)
        # As in asyncio.timeout: a cancellation from elsewhere in the meantime comes first.
        if (
            self._is_over
            and self._task.uncancel() <= self._cancelled_before
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error
