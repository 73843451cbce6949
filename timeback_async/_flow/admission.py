"""Decide which call gets the next slot of the window; the others wait in line.

Retries go first: a call that has been sent before gets a slot before one that has not.
"""

import asyncio
from collections import deque
from math import inf

from ..errors import DeadlineError, SessionError
from .call import Abandoned, Call
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
        self._retrying: deque[asyncio.Future[None]] = deque()
        self._new: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.is_closed = False

    @property
    def waiting(self) -> int:
        """The number of calls that wait for a slot."""
        return sum(not waiter.done() for waiter in (*self._retrying, *self._new))

    def admit(self, now: float) -> bool:
        """Take a slot if one is free and no call waits; return whether this was so."""
        return not (self._retrying or self._new or self._window.admit(now))

    async def wait(self, call: Call) -> None:
        """Wait in line for a slot.

        Raises:
            Abandoned: The call was given up.
            SessionError: The session was closed.
            DeadlineError: The time of the call ran out.
        """
        self.check(call)
        waiter = call.waiter = self._loop.create_future()
        (self._retrying if call.attempts else self._new).append(waiter)
        self._give_out()
        try:
            async with asyncio.timeout_at(call.expires):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release()  # the slot was given at the moment when the wait ended
            if isinstance(error, TimeoutError):
                raise out_of_time(call) from call.error
            raise

    def release(self) -> None:
        """Give a slot back, after the window has counted the result of the attempt."""
        self._window.release()
        if self._retrying or self._new:
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
        for waiter in (*self._retrying, *self._new):
            if not waiter.done():
                waiter.set_exception(SessionError("the session was closed"))

    def _give_out(self) -> None:
        """Give out all slots that are free; set a timer if the window names a time for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while line := self._retrying or self._new:
            if line[0].done():  # it stopped waiting
                line.popleft()
                continue
            wait = self._window.admit(self._loop.time())
            if wait:
                if wait != inf:
                    self._timer = self._loop.call_later(wait, self._give_out)
                return
            line.popleft().set_result(None)


def out_of_time(call: Call) -> DeadlineError:
    """Return the error of a call whose time is over; raise it from `call.error`."""
    last = f"; the last failure: {call.error}" if call.error else ""
    return DeadlineError(f"no success within {call.allowed:g} s{last}")
