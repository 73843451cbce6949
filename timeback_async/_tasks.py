"""Wait for the end of tasks, even when the wait is cancelled."""

import asyncio
from typing import Any

import anyio

__all__ = ["to_its_end"]


async def to_its_end(*tasks: asyncio.Task[Any]) -> None:
    """Wait until all tasks have ended. Their results and errors stay in them.

    Raises:
        CancelledError: The wait was cancelled. It is raised after all tasks have ended.
    """
    cancelled: asyncio.CancelledError | None = None
    # Shielded, since a cancelled scope of anyio cancels every further wait in it.
    with anyio.CancelScope(shield=True):
        while running := [task for task in tasks if not task.done()]:
            try:
                await asyncio.wait(running)
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
