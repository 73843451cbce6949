"""The work of `sync`: read, plan, send."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from .._config import Config
from .._results import ItemResult
from .._session import TimebackSession
from ..sync import (
    PHASES,
    Change,
    Ids,
    Plan,
    PlanRefusedError,
    ReadOptions,
    Roster,
    State,
    SyncReport,
    plan,
    run,
)
from ..sync._planning.tables import Phase
from ._findings_file import FindingsFile
from ._job import Ended, Files, Job, Outputs
from ._options_words import named_by_flags
from ._progress import Meter, working
from ._reading import read_beside
from ._screen import printable
from ._settings import config_from_env

__all__ = ["Comparing", "Sync"]

log = logging.getLogger("timeback_async.sync")

SAMPLES_PER_PHASE = 3


class Comparing(msgspec.Struct, frozen=True):
    """Options for comparing files and state; see `timeback_async.sync.plan`."""

    deactivate_absent: bool
    unlink_absent: bool
    max_removals: str
    allow_new_ids: bool
    resend: bool


class Sync(Job):
    """One run of `sync`."""

    def __init__(
        self,
        path: Path,
        state_path: Path,
        ids: Ids | None,
        settings: dict[str, Any],
        options: ReadOptions,
        comparing: Comparing,
        outputs: Outputs,
    ) -> None:
        super().__init__(path.name, outputs)
        self._path, self._state_path, self._ids = path, state_path, ids
        self._settings, self._options, self._comparing = settings, options, comparing

    async def carried_out(self, files: Files, over: Callable[[], None]) -> Ended:
        """Read, plan and send; return how that ended."""
        dry_run, settings = self.outputs.dry_run, self._settings
        if dry_run:  # a dry run needs no credentials
            settings = {**settings, "client_id": "dry-run", "client_secret": "dry-run"}
        config = config_from_env(**settings)
        is_new = not self._state_path.exists()
        with _state(self._state_path, config, self._ids, dry_run) as state:
            try:
                roster = await self._read(state, files.findings)
            except BaseException:
                if is_new:  # there has to be a roster before there is a state
                    state.close()
                    self._state_path.unlink(missing_ok=True)
                raise
            with roster:
                changes, refusal = await self._planned(roster, state)
                if files.findings is not None:  # whatever happens to the run now
                    files.findings.finish()
                if files.plan is not None:
                    await asyncio.to_thread(files.plan.write, changes)
                files.write_left_out(roster.left_out())
                if dry_run or refusal is not None:
                    report = SyncReport.of(changes, dry_run=dry_run)
                    report.stopped = str(refusal or "")  # with the command's names of options
                    report.samples, has_hashes = _samples(changes)
                    ended = Ended(report, refusal, has_hashes)
                else:
                    ended = await self._carry_out(config, changes, files, over)
                if files.outcomes is not None and (dry_run or refusal or ended.report.not_reached):
                    why = ended.report.stopped
                    await asyncio.to_thread(files.outcomes.write_not_reached, changes, why)
                return ended

    async def _read(self, state: State, findings: FindingsFile | None) -> Roster:
        """Return the roster; what has not changed since the last run is not read again."""
        since = None if self._comparing.resend else state
        roster = await read_beside(self._path, self._options, findings, self.outputs.show, since)
        read = roster.count._asdict()
        log.info("read %s: %s", roster.format, read, extra={"fields": read})
        return roster

    async def _planned(self, roster: Roster, state: State) -> tuple[Plan, PlanRefusedError | None]:
        """Return the plan, and why it must not be carried out, if that is so."""
        refusal, how = None, msgspec.structs.asdict(self._comparing)
        try:
            with named_by_flags(), working("comparing", self.outputs.show):
                changes = await asyncio.to_thread(plan, roster, state, **how)
        except PlanRefusedError as error:
            changes, refusal = error.plan, error
        planned = {"planned": changes.total(), "unchanged": changes.unchanged}
        log.info(
            "planned %(planned)d changes, %(unchanged)d unchanged",
            planned,
            extra={"fields": planned},
        )
        return changes, refusal

    async def _carry_out(
        self, config: Config, changes: Plan, files: Files, over: Callable[[], None]
    ) -> Ended:
        planned: dict[str, int] = {phase: changes.total(phase) for phase in PHASES}
        async with (
            TimebackSession(config) as session,
            Meter.shown(planned, self.outputs.show, session) as meter,
        ):

            def take(change: Change, result: ItemResult) -> None:
                meter.count(change.phase, result)
                files.write(change, result)

            self.running = running = run(session, changes, on_result=take)
            with suppress(asyncio.CancelledError):  # a second Ctrl-C; the report shows it
                await running
            over()
        return Ended(running.report, running.error)


def _state(path: Path, config: Config, ids: Ids | None, dry_run: bool) -> State:
    """Open the state. A dry run creates no state and is bound to no client."""
    if dry_run:
        return State(path if path.exists() else None, None, ids)
    return State(path, config, ids)


def _samples(changes: Plan) -> tuple[dict[Phase, list[str]], bool]:
    """Return descriptions of the first 3 changes of each phase, and whether some name hashes."""
    samples: dict[Phase, list[str]] = {}
    has_hashes = False
    for phase in PHASES:
        for change in islice(changes.changes(phase), SAMPLES_PER_PHASE):
            is_hash = "id_hash" in changes.described(change)
            has_hashes = has_hashes or is_hash
            who = f"{'hashed id ' if is_hash else ''}{printable(change.who)}"
            samples.setdefault(phase, []).append(f"{change.action} {change.kind} {who}")
    return samples, has_hashes
