"""One session for the life of a process, on an event loop and in a thread of its own.

So its window, tokens and connections outlive a partition, and neither reading a partition nor the
engine around it keeps the loop from its work.
"""

import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

from anyio.from_thread import start_blocking_portal

from .._config import Config
from .._session import TimebackSession

__all__ = ["AT_ONCE", "Lane", "lane_of"]

T = TypeVar("T")

# Partitions that one session sends at the same time: while the last records of one wait to be
# repeated, the other one uses what the server allows. More would cost more when a process dies.
AT_ONCE = 2


class Lane:
    """An open session that is used from other threads.

    Attributes:
        config: Its settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._places = threading.Semaphore(AT_ONCE)
        self._counting = threading.Lock()
        self._sending, self._lease = 0, ExitStack()
        with ExitStack() as opened:
            use_uvloop = find_spec("uvloop") is not None
            how = {"use_uvloop": use_uvloop}
            self._portal = opened.enter_context(start_blocking_portal("asyncio", how))
            session = TimebackSession(config)
            opened.enter_context(self._portal.wrap_async_context_manager(session))
            self._session, self._opened = session, opened.pop_all()

    @contextmanager
    def sending(self, lease: AbstractContextManager[Any]) -> Iterator[None]:
        """Wait until something may be sent, and hold a lease while anything is being sent.

        Args:
            lease: Of an engine that bounds how many processes send. One is enough for a process,
                however many partitions it sends at once.
        """
        with self._places:
            with self._counting:
                if not self._sending:
                    self._lease.enter_context(lease)
                self._sending += 1
            try:
                yield
            finally:
                with self._counting:
                    self._sending -= 1
                    if not self._sending:
                        self._lease.close()

    def call(self, function: Callable[[TimebackSession], Awaitable[T]]) -> T:
        """Run a coroutine function with the session, on its loop, and return its result."""
        return self._portal.call(function, self._session)

    def close(self) -> None:
        """Close the session, and end the thread."""
        self._opened.close()


_lanes: dict[Config, Lane] = {}
_opening = threading.Lock()


def lane_of(config: Config) -> Lane:
    """Return the lane of this process with these settings; it is opened when it is first needed."""
    with _opening:
        if config not in _lanes:
            _lanes[config] = Lane(config)
        return _lanes[config]


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    # The threads of a process are not in its copy.
    os.register_at_fork(after_in_child=_lanes.clear)
