"""`sync`: a roster into TimeBack."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from rich.markup import escape
from rich.progress import Progress, TextColumn

from .._config import Config
from .._results import ItemResult
from .._session import TimebackSession
from ..errors import ConfigError, TimebackError
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
from ._failures import Failures
from ._input import Entry
from ._logs import LogFormat, logged
from ._options_words import as_flags
from ._run import EXIT, interruptible
from ._screen import REDRAW, columns, err, facts_of, print_json, printable
from ._sync_screen import print_sync_report

__all__ = ["Comparing", "Outputs", "sync"]

log = logging.getLogger("timeback_async.sync")

SAMPLES = 3
LOG_EVERY = 10.0  # s, how often the log tells how far a run has come


class Comparing(msgspec.Struct, frozen=True):
    """How the files are compared with the state; see `timeback_async.sync.plan`."""

    deactivate_absent: bool
    unlink_absent: bool
    max_removals: str
    resend: bool


class Outputs(msgspec.Struct, frozen=True):
    """Where a run tells what it did."""

    failures: Path | None
    report: Path | None
    json: bool
    log_format: LogFormat | None
    dry_run: bool


async def sync(
    path: Path,
    state_path: Path,
    ids: Ids | None,
    settings: dict[str, Any],
    options: ReadOptions,
    comparing: Comparing,
    outputs: Outputs,
) -> int:
    """Read, compare, send, report; return the exit code.

    Raises:
        TimebackError: Nothing was sent.
    """
    job = _Job(path, state_path, ids, settings, options, comparing, outputs)
    say = log.warning if outputs.log_format else err.print
    try:
        with logged(outputs.log_format), interruptible(job.stop, say):
            return await job.done()
    except TimebackError as error:
        if outputs.log_format is None:
            raise
        with logged(outputs.log_format):
            log.error("%s", error)  # noqa: TRY400 - the message says it all, a traceback more
        return EXIT.NOTHING_SENT
    except asyncio.CancelledError:  # interrupted before anything was sent
        return EXIT.INTERRUPTED


class _Job:
    """One `sync`, which can be stopped in whatever it is doing."""

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

    def stop(self) -> None:
        """Finish what is in flight and end; at once, where nothing has been sent yet."""
        if self._running is not None:
            self._running.stop()
        else:
            self._task.cancel()

    async def done(self) -> int:
        """Do it all, and return the exit code."""
        outputs = self._outputs
        with _report_file(outputs.report) as file:
            try:
                with _named_by_flags():
                    report, error, samples = await self._carried_out()
            except (TimebackError, asyncio.CancelledError) as refusal:
                report = SyncReport.refused(self._path.name, str(refusal) or "interrupted")
                _keep(report, file, outputs.report)
                if outputs.json:
                    code = EXIT.NOTHING_SENT if str(refusal) else EXIT.INTERRUPTED
                    _print_json(report, refusal, {}, code)
                raise
            is_kept = _keep(report, file, outputs.report)
        code = _exit_code(report, error)
        if code == EXIT.OK and not is_kept:
            code = EXIT.PARTIAL
        _tell(report, error, samples, outputs, code)
        return code

    async def _carried_out(
        self,
    ) -> tuple[SyncReport, TimebackError | None, dict[str, list[str]]]:
        """Return the report, what ended the run before its plan did, and samples of a dry one."""
        dry_run, settings = self._outputs.dry_run, self._settings
        if dry_run:  # which needs no credentials
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
        async with TimebackSession(config) as session:
            with (
                Failures.opened(self._outputs.failures) as failures,
                Progress(
                    TextColumn("{task.description}"), *columns(), console=err, disable=not visible
                ) as progress,
            ):
                bars = _Bars(progress, changes, session)

                def take(change: Change, result: ItemResult) -> None:
                    bars.count(change)
                    wire = _wire(change)
                    if failures is not None and result.error is not None and wire is not None:
                        failures.write(Entry(wire, change.file, change.line), result)

                self._running = running = run(session, changes, on_result=take)
                telling = asyncio.create_task(bars.keep_telling())
                try:
                    with suppress(asyncio.CancelledError):  # the second Ctrl-C: the report tells
                        await running
                finally:
                    telling.cancel()
                bars.draw()
        return running.report, running.error


@contextmanager
def _named_by_flags() -> Iterator[None]:
    """Name options in errors as the command does."""
    try:
        yield
    except ConfigError as error:
        raise type(error)(as_flags(str(error))) from None


def _state(path: Path, config: Config, ids: Ids | None, dry_run: bool) -> State:
    """Open the state. A dry run makes none, and is nobody's."""
    if dry_run:
        return State(path if path.exists() else None, None, ids)
    return State(path, config, ids)


@contextmanager
def _report_file(path: Path | None) -> Iterator[RawIOBase | None]:
    """Open the file for the report before anything is sent."""
    if path is None:
        yield None
        return
    try:
        file = path.open("wb", buffering=0)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    with file:
        yield file


def _keep(report: SyncReport, file: RawIOBase | None, path: Path | None) -> bool:
    """Write the report's page; return whether that worked."""
    if file is None:
        return True
    rest = report.as_html(as_flags).encode(errors="replace")
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        err.print(f"[red]error:[/] {escape(str(path))}: {error.strerror}", soft_wrap=True)
        return False
    return True


def _wire(change: Change) -> dict[str, Any] | None:
    """Return a record as it can be sent again, {} where none could be made; None for a removal."""
    if change.record is None:
        return {} if change.file else None
    if change.phase == "unlinks":
        return None
    return {change.kind: msgspec.to_builtins(change.record)}


class _Bars:
    """How far each phase that has something to do has come: in bars, and in the log."""

    def __init__(self, progress: Progress, changes: Plan, session: TimebackSession) -> None:
        self._progress, self._statistics = progress, session.statistics
        self._planned = {phase: total for phase in PHASES if (total := changes.total(phase))}
        self._tasks = {
            phase: progress.add_task(phase, total=total, facts="", start=False)
            for phase, total in self._planned.items()
        }
        self._done = dict.fromkeys(self._planned, 0)
        self._logged, self._logged_at = self._done.copy(), time.monotonic()

    def count(self, change: Change) -> None:
        self._done[change.phase] += 1

    async def keep_telling(self) -> None:
        """Draw and log until it is cancelled: while no answer comes, too."""
        while True:
            await asyncio.sleep(REDRAW)
            self.draw()
            if time.monotonic() - self._logged_at > LOG_EVERY:
                self._log()

    def draw(self) -> None:
        statistics = self._statistics()
        for phase, task in self._tasks.items():
            if self._done[phase]:
                self._progress.start_task(task)
                facts = facts_of(self._progress.tasks[task].speed or 0.0, statistics)
                self._progress.update(task, completed=self._done[phase], facts=facts)

    def _log(self) -> None:
        """Tell of the phases on their way, with the rate since the last time."""
        statistics, now = self._statistics(), time.monotonic()
        unfinished = [phase for phase in self._planned if self._done[phase] < self._planned[phase]]
        for phase in unfinished:
            done, planned = self._done[phase], self._planned[phase]
            if not done and phase != unfinished[0]:
                continue
            rate = (done - self._logged[phase]) / (now - self._logged_at)
            fields = {
                "phase": phase,
                "done": done,
                "planned": planned,
                "per_second": round(rate, 1),
                "seconds_left": round((planned - done) / rate) if rate else None,
                "retries": statistics.retries,
                "throttled": statistics.throttled,
                "window": round(statistics.window, 1),
            }
            said = f"{done:,} of {planned:,} · {facts_of(rate, statistics)}"
            log.info("%s: %s", phase, said, extra={"fields": fields})
        self._logged, self._logged_at = self._done.copy(), now


def _exit_code(report: SyncReport, error: TimebackError | None) -> int:
    if isinstance(error, StateError):
        return EXIT.INTERRUPTED
    if error is not None:
        return EXIT.PARTIAL if report.requests else EXIT.NOTHING_SENT
    if report.stopped:
        return EXIT.INTERRUPTED
    return EXIT.OK if report.ok else EXIT.PARTIAL


def _tell(
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
        err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)


def _print_json(
    report: SyncReport, error: BaseException | None, samples: dict[str, list[str]], code: int
) -> None:
    ended = str(error) if error else ""
    print_json(report.as_dict() | {"samples": samples, "error": ended, "exit": code})


def _samples(changes: Plan) -> dict[str, list[str]]:
    """Return who the first few of each phase are; of what only the state knows, its key."""
    is_hashed = changes.state.ids == "hashed"

    def said(change: Change) -> str:
        secret = "hashed id " if is_hashed and change.record is None else ""
        return f"{change.action} {change.kind} {secret}{printable(change.who)}"

    return {
        phase: [said(change) for change in islice(changes.changes(phase), SAMPLES)]
        for phase in PHASES
        if changes.total(phase)
    }
