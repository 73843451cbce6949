"""The work of `sync`: read, plan, send, report."""

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
from ..errors import TimebackError
from ..sync import (
    PHASES,
    Change,
    Ids,
    Plan,
    PlanRefusedError,
    ReadOptions,
    Roster,
    State,
    StateError,
    SyncReport,
    SyncRun,
    plan,
    read_roster,
    run,
)
from ._exit import EXIT
from ._findings_file import FindingsFile
from ._logs import LogFormat, logged
from ._options_words import as_flags, named_by_flags
from ._output_files import Failures, Outcomes, PlanFile, ReportFile
from ._progress import PhaseMeter
from ._screen import err, print_error, print_json, printable
from ._settings import config_from_env
from ._signals import interruptible
from ._sync_screen import print_sync_report

__all__ = ["Comparing", "Outputs", "run_sync"]

log = logging.getLogger("timeback_async.sync")

SAMPLES_PER_PHASE = 3


class Comparing(msgspec.Struct, frozen=True):
    """Options for comparing files and state; see `timeback_async.sync.plan`."""

    deactivate_absent: bool
    unlink_absent: bool
    max_removals: str
    allow_new_ids: bool
    resend: bool


class Outputs(msgspec.Struct, frozen=True):
    """Where a run reports to, and whether it is a dry run."""

    failures: Path | None
    outcomes: Path | None
    findings: Path | None
    plan: Path | None
    report: Path | None
    json: bool
    log_format: LogFormat | None
    dry_run: bool


class Ended(msgspec.Struct, frozen=True):
    """How a run ended.

    Attributes:
        report: Its figures.
        error: What ended it early or refused it, or None.
        samples: Descriptions of some changes of each phase, if they were not sent.
        kept: The file that holds all failures, or None if none does.
    """

    report: SyncReport
    error: TimebackError | None = None
    samples: dict[str, list[str]] = {}
    kept: Path | None = None


async def run_sync(
    path: Path,
    state_path: Path,
    ids: Ids | None,
    settings: dict[str, Any],
    options: ReadOptions,
    comparing: Comparing,
    outputs: Outputs,
) -> int:
    """Read, plan, send and report; return the exit code.

    Raises:
        TimebackError: An output file cannot be written.
    """
    job = _Job(path, state_path, ids, settings, options, comparing, outputs)
    say = log.warning if outputs.log_format else err.print
    with logged(outputs.log_format), interruptible(job.stop, say) as over:
        try:
            return await job.done(over)
        except TimebackError as error:
            if outputs.log_format is None:
                raise
            log.error("%s", error)  # noqa: TRY400 - a traceback would not help
            return EXIT.NOTHING_SENT


class _Job:
    """One run of `sync`, which can be stopped at any time."""

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
        self._path, self._state_path, self._ids = path, state_path, ids
        self._settings, self._options = settings, options
        self._comparing, self._outputs = comparing, outputs
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._running: SyncRun | None = None
        self._over: Callable[[], None]

    def stop(self) -> None:
        """Finish the requests in flight and end; end at once if nothing has been sent."""
        if self._running is not None:
            self._running.stop()
        else:
            self._task.cancel()

    async def done(self, over: Callable[[], None]) -> int:
        """Run, report, and return the exit code.

        Args:
            over: Called when the run is over, and the report comes.

        Raises:
            TimebackError: An output file cannot be written.
        """
        outputs, self._over = self._outputs, over
        with (
            ReportFile.opened(outputs.report) as page,
            FindingsFile.opened(outputs.findings) as findings,
            PlanFile.opened(outputs.plan) as plan_file,
            Failures.opened(outputs.failures) as failures,
            Outcomes.opened(outputs.outcomes) as outcomes,
        ):
            try:
                with named_by_flags():
                    ended = await self._carried_out(findings, plan_file, failures, outcomes)
            except TimebackError as refusal:
                ended = Ended(SyncReport.refused(self._path.name, str(refusal)), refusal)
            except asyncio.CancelledError:  # interrupted before anything was sent
                ended = Ended(SyncReport.refused(self._path.name, "interrupted"))
                ended.report.is_refused = False
            code = _exit_code(ended)
            if page is not None:
                page.write(ended.report.as_html(as_flags))
            if outcomes is not None:
                outcomes.finish()
            files = page, findings, plan_file, failures, outcomes
            is_whole = all(file.is_whole for file in files if file is not None)
        if code == EXIT.OK and not is_whole:
            code = EXIT.PARTIAL
        _print(ended, outputs, code)
        return code

    async def _carried_out(
        self,
        findings: FindingsFile | None,
        plan_file: PlanFile | None,
        failures: Failures | None,
        outcomes: Outcomes | None,
    ) -> Ended:
        dry_run, settings = self._outputs.dry_run, self._settings
        if dry_run:  # a dry run needs no credentials
            settings = {"client_id": "dry-run", "client_secret": "dry-run"}
        config = config_from_env(**settings)
        is_new = not self._state_path.exists()
        with _state(self._state_path, config, self._ids, dry_run) as state:
            try:
                roster = await self._read(state, findings)
            except BaseException:
                if is_new:  # there has to be a roster before there is a state
                    state.close()
                    self._state_path.unlink(missing_ok=True)
                raise
            with roster:
                changes, refusal = await self._planned(roster, state)
                if findings is not None:  # whatever happens to the run now
                    findings.finish()
                if plan_file is not None:
                    await asyncio.to_thread(plan_file.write, changes)
                if failures is not None:
                    for row in roster.left_out():
                        failures.write_left_out(row)
                if outcomes is not None:
                    for row in roster.left_out():
                        outcomes.write_left_out(row)
                if dry_run or refusal is not None:
                    report = SyncReport.of(changes, dry_run=dry_run)
                    report.stopped = str(refusal or "")  # with the command's names of options
                    ended = Ended(report, refusal, _samples(changes))
                else:
                    ended = await self._carry_out(config, changes, failures, outcomes)
                if outcomes is not None and (dry_run or refusal or ended.report.not_reached):
                    why = ended.report.stopped
                    await asyncio.to_thread(outcomes.write_not_reached, changes, why)
                return ended

    async def _read(self, state: State, findings: FindingsFile | None) -> Roster:
        """Return the roster; what has not changed since the last run is not read again."""
        take = None if findings is None else findings.add
        since = None if self._comparing.resend else state
        roster = await asyncio.to_thread(
            read_roster, self._path, self._options, on_finding=take, since=since
        )
        read = roster.count._asdict()
        log.info("read %s: %s", roster.format, read, extra={"fields": read})
        return roster

    async def _planned(self, roster: Roster, state: State) -> tuple[Plan, PlanRefusedError | None]:
        """Return the plan, and why it must not be carried out, if that is so."""
        refusal, how = None, msgspec.structs.asdict(self._comparing)
        try:
            with named_by_flags():
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
        self, config: Config, changes: Plan, failures: Failures | None, outcomes: Outcomes | None
    ) -> Ended:
        visible = not self._outputs.json and self._outputs.log_format is None
        planned: dict[str, int] = {phase: changes.total(phase) for phase in PHASES}
        async with (
            TimebackSession(config) as session,
            PhaseMeter.shown(planned, visible, session.statistics) as meter,
        ):

            def take(change: Change, result: ItemResult) -> None:
                meter.count(change.phase)
                if failures is not None and result.error is not None:
                    failures.write(change, result)
                if outcomes is not None:
                    outcomes.write(change, result)

            self._running = running = run(session, changes, on_result=take)
            with suppress(asyncio.CancelledError):  # a second Ctrl-C; the report shows it
                await running
            self._over()
        kept = self._outputs.failures if failures is None or failures.is_whole else None
        return Ended(running.report, running.error, kept=kept)


def _state(path: Path, config: Config, ids: Ids | None, dry_run: bool) -> State:
    """Open the state. A dry run creates no state and is bound to no client."""
    if dry_run:
        return State(path if path.exists() else None, None, ids)
    return State(path, config, ids)


def _exit_code(ended: Ended) -> int:
    report, error = ended.report, ended.error
    if isinstance(error, StateError):
        return EXIT.INTERRUPTED
    if error is not None:
        return EXIT.PARTIAL if report.requests else EXIT.NOTHING_SENT
    if report.stopped:
        return EXIT.INTERRUPTED
    return EXIT.OK if report.ok else EXIT.PARTIAL


def _print(ended: Ended, outputs: Outputs, code: int) -> None:
    report, error, samples = ended.report, ended.error, ended.samples
    has_plan = bool(report.format)  # otherwise it was refused before there was one
    if outputs.json:
        told = str(error) if error else ""
        print_json(report.as_dict() | {"samples": samples, "error": told, "exit": code})
    elif has_plan:
        print_sync_report(report, samples, ended.kept)
    if outputs.log_format is None:
        if error is not None:
            print_error(error)
        return
    fields = report.figures() | {"exit": code}
    if error is not None:
        log.error("%s", error, extra={"fields": fields})
    else:
        log.info("exit code %d: %s", code, report, extra={"fields": fields})


def _samples(changes: Plan) -> dict[str, list[str]]:
    """Return descriptions of the first 3 changes of each phase; hashed ids are marked."""
    is_hashed = changes.state.ids == "hashed"

    def described(change: Change) -> str:
        secret = "hashed id " if is_hashed and change.content is None else ""
        return f"{change.action} {change.kind} {secret}{printable(change.who)}"

    return {
        phase: [described(change) for change in islice(changes.changes(phase), SAMPLES_PER_PHASE)]
        for phase in PHASES
        if changes.total(phase)
    }
