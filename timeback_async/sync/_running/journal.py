"""Write outcomes to the state as they come: in batches, in a thread, never before an answer."""

import asyncio
from contextlib import suppress

from .._planning.entry import Entry, line
from .._planning.state import State, StateError

__all__ = ["Journal"]

# Larger batches cost less, but after a kill more records are sent again.
ENTRIES_IN_BATCH = 1024
AT_LEAST_EVERY = 0.1  # s
MOST_WAITING = 4 * ENTRIES_IN_BATCH


class Journal:
    """Outcomes on their way to the state.

        async with asyncio.TaskGroup() as group:
            group.create_task(journal.write())
            ...
            journal.close()

    Attributes:
        error: Why nothing more can be written, or None.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        # As bytes: keeping thousands of entries alive costs a run more than writing them.
        self._waiting = bytearray()
        self._number = 0
        self._is_closed = self._is_over = False
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self.error: StateError | None = None

    def add(self, entry: Entry) -> None:
        """Add an outcome."""
        self._waiting += line(entry)
        self._number += 1
        if self._number >= ENTRIES_IN_BATCH:
            self._wake.set()

    async def room(self) -> None:
        """Wait while too many outcomes are unwritten."""
        while self._number >= MOST_WAITING and not self._is_over:
            self._written.clear()
            await self._written.wait()

    def close(self) -> None:
        """End `write` as soon as everything is written."""
        self._is_closed = True
        self._wake.set()

    async def write(self) -> None:
        """Write outcomes until the journal is closed or the disk fails."""
        try:
            while not (self._is_closed and not self._waiting):
                with suppress(TimeoutError):
                    async with asyncio.timeout(AT_LEAST_EVERY):
                        await self._wake.wait()
                self._wake.clear()
                batch, self._waiting, self._number = self._waiting, bytearray(), 0
                if batch:
                    await asyncio.to_thread(self._state.write, batch)
                self._written.set()
        except StateError as error:
            self.error = error
        finally:  # however it ended, `room` must not wait for it
            self._is_over = True
            self._written.set()
