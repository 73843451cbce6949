"""Decide which call gets the next slot of the window; the others wait in line.

Somebody waits for the answer to a single call, so it goes before the records of bulk runs. Among
each, a call that has been sent before goes before one that has not.
"""

import asyncio
from collections import deque
from math import inf

from ..errors import SessionError
from .call import Abandoned, Call, OutOfTime
from .window import Window

__all__ = ["Admission"]


class Admission:
    """Gives the slots of a window to calls, in their order.

    Args:
        window: Decides whether one more request may be sent now.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._loop = asyncio.get_running_loop()
        # Single calls, then records; of each, those that were sent before, then the new ones.
        self._lines: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque(), deque(), deque())
        self._is_empty = True
        self._timer: asyncio.TimerHandle | None = None
        self.is_closed = False

    @property
    def waiting(self) -> int:
        """The number of calls that wait for a slot."""
        return sum(not waiter.done() for line in self._lines for waiter in line)

    def admit(self, now: float) -> bool:
        """Take a slot if one is free and no call waits; return whether this was so."""
        return self._is_empty and not self._window.admit(now)

    async def wait(self, call: Call) -> None:
        """Wait in line for a slot.

        Raises:
            Abandoned: The call was given up.
            SessionError: The session was closed.
            OutOfTime: The time of the call is over, or will be before the gate opens.
        """
        self.check(call)
        if call.expires is not None and self._window.gate >= call.expires:
            raise OutOfTime
        waiter = call.waiter = self._loop.create_future()
        self._lines[2 * call.is_bulk + (not call.attempts)].append(waiter)
        self._is_empty = False
        self._give_out()
        try:
            async with asyncio.timeout_at(call.expires):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release()  # the slot was given at the moment when the wait ended
            if isinstance(error, TimeoutError):
                raise OutOfTime from None
            raise

    def release(self) -> None:
        """Give a slot back, after the window has counted the result of the attempt."""
        self._window.release()
        if not self._is_empty:
            self._give_out()

    def check(self, call: Call) -> None:
        """Raise an error if the session is closed or the call was given up.

        Raises:
            Abandoned: The call was given up.
            SessionError: The session was closed.
        """
        if self.is_closed:
            raise SessionError("the session is closed")
        if call.abandoned:
            raise Abandoned

    def close(self) -> None:
        """End the wait of every call that is in line now or comes later."""
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for line in self._lines:
            for waiter in line:
                if not waiter.done():
                    waiter.set_exception(SessionError("the session was closed"))

    def _give_out(self) -> None:
        """Give out all slots that are free; set a timer if the window names a time for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for line in self._lines:
            while line:
                if line[0].done():  # it stopped waiting
                    line.popleft()
                    continue
                wait = self._window.admit(self._loop.time())
                if wait:
                    if wait != inf:
                        self._timer = self._loop.call_later(wait, self._give_out)
                    return
                line.popleft().set_result(None)
        self._is_empty = True
