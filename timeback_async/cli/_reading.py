"""Read a roster beside the event loop, with a bar of its own."""

import asyncio
from pathlib import Path

from .._tasks import to_its_end
from ..sync import ReadOptions, Roster, State, read_roster
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

    A thread cannot be stopped: when the wait is cancelled, the roster is closed once it is read.
    """
    take = None if findings is None else findings.add
    with working(f"reading {printable(path.name)}", show):
        reading = asyncio.create_task(
            asyncio.to_thread(read_roster, path, options, on_finding=take, since=since)
        )
        try:
            await to_its_end(reading)
        except asyncio.CancelledError:
            if reading.exception() is None:
                reading.result().close()
            raise
        return reading.result()
