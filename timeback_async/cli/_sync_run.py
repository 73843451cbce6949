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
    ReadOptions,
    State,
    StateError,
    SyncReport,
    SyncRun,
    plan,
    read_roster,
    run,
)
from ._exit import EXIT
from ._logs import LogFormat, logged
from ._options_words import as_flags, named_by_flags
from ._output_files import Failures, ReportFile
from ._progress import PhaseMeter
from ._screen import err, print_error, print_json, printable
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
    resend: bool


class Outputs(msgspec.Struct, frozen=True):
    """Where a run reports to, and whether it is a dry run."""

    failures: Path | None
    report: Path | None
    json: bool
    log_format: LogFormat | None
    dry_run: bool


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
        TimebackError: The run failed before anything was sent.
    """
    job = _Job(path, state_path, ids, settings, options, comparing, outputs)
    say = log.warning if outputs.log_format else err.print
    try:
        with logged(outputs.log_format), interruptible(job.stop, say) as over:
            return await job.done(over)
    except TimebackError as error:
        if outputs.log_format is None:
            raise
        with logged(outputs.log_format):
            log.error("%s", error)  # noqa: TRY400 - a traceback would not help
        return EXIT.NOTHING_SENT
    except asyncio.CancelledError:  # interrupted before anything was sent
        return EXIT.INTERRUPTED


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
        """
        outputs, self._over = self._outputs, over
        with ReportFile.opened(outputs.report) as report_file:
            try:
                with named_by_flags():
                    report, error, samples = await self._carried_out()
            except (TimebackError, asyncio.CancelledError) as refusal:
                report = SyncReport.refused(self._path.name, str(refusal) or "interrupted")
                _keep(report, report_file)
                if outputs.json:
                    code = EXIT.NOTHING_SENT if str(refusal) else EXIT.INTERRUPTED
                    _print_json(report, refusal, {}, code)
                raise
            is_kept = _keep(report, report_file)
        code = _exit_code(report, error)
        if code == EXIT.OK and not is_kept:
            code = EXIT.PARTIAL
        _print(report, error, samples, outputs, code)
        return code

    async def _carried_out(
        self,
    ) -> tuple[SyncReport, TimebackError | None, dict[str, list[str]]]:
        """Return the report, the error that ended the run early, and samples of a dry run."""
        dry_run, settings = self._outputs.dry_run, self._settings
        if dry_run:  # a dry run needs no credentials
            settings = {"client_id": "dry-run", "client_secret": "dry-run"}
        config = Config.from_env(**settings)
        with await asyncio.to_thread(read_roster, self._path, self._options) as roster:
            read = roster.count._asdict()
            log.info("read %s: %s", roster.format, read, extra={"fields": read})
            with _state(self._state_path, config, self._ids, dry_run) as state:
                changes = await asyncio.to_thread(
                    plan,
                    roster,
                    state,
                    **msgspec.structs.asdict(self._comparing),
                )
                planned = {"planned": changes.total(), "unchanged": changes.unchanged}
                log.info(
                    "planned %(planned)d changes, %(unchanged)d unchanged",
                    planned,
                    extra={"fields": planned},
                )
                if dry_run:
                    return SyncReport.of(changes, dry_run=True), None, _samples(changes)
                return *await self._carry_out(config, changes), {}

    async def _carry_out(
        self, config: Config, changes: Plan
    ) -> tuple[SyncReport, TimebackError | None]:
        visible = not self._outputs.json and self._outputs.log_format is None
        planned: dict[str, int] = {phase: changes.total(phase) for phase in PHASES}
        async with TimebackSession(config) as session:
            with Failures.opened(self._outputs.failures) as failures:
                if failures is not None:
                    for row in changes.roster.left_out():
                        failures.write_left_out(row)
                async with PhaseMeter.shown(planned, visible, session.statistics) as meter:

                    def take(change: Change, result: ItemResult) -> None:
                        meter.count(change.phase)
                        if failures is not None and result.error is not None:
                            failures.write(change, result)

                    self._running = running = run(session, changes, on_result=take)
                    with suppress(asyncio.CancelledError):  # a second Ctrl-C; the report shows it
                        await running
                    self._over()
        return running.report, running.error


def _state(path: Path, config: Config, ids: Ids | None, dry_run: bool) -> State:
    """Open the state. A dry run creates no state and is bound to no client."""
    if dry_run:
        return State(path if path.exists() else None, None, ids)
    return State(path, config, ids)


def _keep(report: SyncReport, file: ReportFile | None) -> bool:
    """Write the page of the report, if there is a file for it; return False if that failed."""
    return file is None or file.write(report.as_html(as_flags))


def _exit_code(report: SyncReport, error: TimebackError | None) -> int:
    if isinstance(error, StateError):
        return EXIT.INTERRUPTED
    if error is not None:
        return EXIT.PARTIAL if report.requests else EXIT.NOTHING_SENT
    if report.stopped:
        return EXIT.INTERRUPTED
    return EXIT.OK if report.ok else EXIT.PARTIAL


def _print(
    report: SyncReport,
    error: TimebackError | None,
    samples: dict[str, list[str]],
    outputs: Outputs,
    code: int,
) -> None:
    if error is not None and outputs.log_format is not None:
        log.error("%s", error)
    if outputs.json:
        _print_json(report, error, samples, code)
        return
    print_sync_report(report, samples, outputs.failures)
    if error is not None and outputs.log_format is None:
        print_error(error)


def _print_json(
    report: SyncReport, error: BaseException | None, samples: dict[str, list[str]], code: int
) -> None:
    ended = str(error) if error else ""
    print_json(report.as_dict() | {"samples": samples, "error": ended, "exit": code})


def _samples(changes: Plan) -> dict[str, list[str]]:
    """Return descriptions of the first 3 changes of each phase; hashed ids are marked."""
    is_hashed = changes.state.ids == "hashed"

    def described(change: Change) -> str:
        secret = "hashed id " if is_hashed and change.record is None else ""
        return f"{change.action} {change.kind} {secret}{printable(change.who)}"

    return {
        phase: [described(change) for change in islice(changes.changes(phase), SAMPLES_PER_PHASE)]
        for phase in PHASES
        if changes.total(phase)
    }
