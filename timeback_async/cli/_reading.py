"""Read a roster beside the event loop, with a bar of its own."""

import asyncio
import threading
from pathlib import Path

from .._tasks import to_its_end
from ..sync import ReadOptions, Roster, State, read_roster
from ..sync._reading.files import IS_UNWANTED
from ._findings_file import FindingsFile
from ._progress import Show, working
from ._screen import printable

__all__ = ["read_beside"]


async def read_beside(
    path: Path,
    options: ReadOptions,
    findings: FindingsFile | None,
    show: Show,
    since: State | None = None,
) -> Roster:
    """Return the roster of a path; the arguments are those of `read_roster`.

    When the wait is cancelled, the thread that reads ends soon, too.
    """
    take = None if findings is None else findings.add
    is_cancelled = threading.Event()
    IS_UNWANTED.set(is_cancelled.is_set)
    with working(f"reading {printable(path.name)}", show):
        reading = asyncio.create_task(
            asyncio.to_thread(read_roster, path, options, on_finding=take, since=since)
        )
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            is_cancelled.set()
            await to_its_end(reading)
            if reading.exception() is None:
                reading.result().close()
            raise
