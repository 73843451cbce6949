"""Wait for the end of tasks, whoever cancels the wait."""

import asyncio
from typing import Any

import anyio

__all__ = ["to_its_end"]


async def to_its_end(*tasks: asyncio.Task[Any]) -> None:
    """Wait until all tasks have ended, however they end; look at their results afterwards.

    Raises:
        CancelledError: The wait was cancelled; raised once all tasks have ended all the same.
    """
    cancelled: asyncio.CancelledError | None = None
    # The shield, since a scope of anyio that is cancelled cancels every single wait in it.
    with anyio.CancelScope(shield=True):
        while running := [task for task in tasks if not task.done()]:
            try:
                await asyncio.wait(running)
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
