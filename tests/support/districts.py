"""A school that is synced night after night: its files, the server, and the state between them."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from tests.support.rosters import child, folder, school
from timeback_async import Config, RetryPolicy, TimebackSession
from timeback_async.sync import ReadOptions, State, SyncRun, plan, read_roster, run
from timeback_async.testing import MockServer

Files = Mapping[str, str]
EVERYTHING: dict[str, Any] = {
    "deactivate_absent": True,
    "unlink_absent": True,
    "max_removals": "100%",
}
ONCE = RetryPolicy(attempts=1)


class District:
    """A school's files, the server, and the state between them."""

    def __init__(self, server: MockServer, path: Path) -> None:
        self.server, self.path, self.state_path = server, path, path / "state.db"
        self.ids: Any = "hashed"
        self.settings: dict[str, Any] = {}
        self.reading: dict[str, Any] = {}
        self._number = 0

    def config(self) -> Config:
        return self.server.config(**self.settings)

    async def sync(
        self,
        files: Files,
        *,
        during: Callable[[SyncRun], Any] | None = None,
        on_result: Any = None,
        today: date | None = None,
        **how: Any,
    ) -> SyncRun:
        """Sync files; `during` is told of the run before it is awaited, and may be async."""
        self._number += 1
        path = folder(self.path / str(self._number), files)
        with (
            State(self.state_path, self.config(), self.ids) as state,
            read_roster(path, ReadOptions(today=today, **self.reading)) as roster,
        ):
            async with TimebackSession(self.config()) as session:
                found = plan(roster, state, **how)
                running = run(session, found, on_result=on_result)
                if during is not None:
                    await during(running)
                else:
                    await running
        return running

    def outcomes(self) -> dict[tuple[str, str], int]:
        with State(self.state_path) as state:
            return state.count()

    def held(self) -> dict[str, int]:
        with State(self.state_path) as state:
            return state.held()

    def facts(self, name: str) -> Any:
        with State(self.state_path) as state:
            return state.meta(name)


def crowd(number: int, **cells: str) -> Files:
    return school(*(child(f"s-{n}", **cells) for n in range(number)))
