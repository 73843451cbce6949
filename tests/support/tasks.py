"""What the event loop is doing, and how to wait for it."""

import asyncio
from collections.abc import Callable
from typing import Any


def other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def steps(number: int) -> None:
    """Let the event loop turn so many times, while no time passes."""
    for _ in range(number):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the network brings about, where nothing else tells."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)
