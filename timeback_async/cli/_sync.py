"""`sync`: a roster into TimeBack; and what an operator does with the state it keeps."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.markup import escape
from rich.progress import Progress, TaskID, TextColumn
from rich.table import Table

from .._config import Config
from .._results import ItemResult
from .._session import TimebackSession
from ..errors import ConfigError, TimebackError
from ..sync import (
    CODES,
    PHASES,
    Cause,
    Change,
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
from ..sync._page import page
from ..sync._state import Ids
from ._chart import print_chart
from ._failures import Failures
from ._input import Entry
from ._run import EXIT, interruptible
from ._screen import COLOURS, REDRAW, columns, err, facts_of, out, print_json, printable

__all__ = ["Outputs", "Removals", "state_export", "state_forget", "state_show", "sync"]

log = logging.getLogger("timeback_async.sync")

SEVERITIES = {
    "error": "[red]left out:[/]",
    "warning": "[yellow]look at:[/]",
    "note": "[dim]note:[/]",
}
KINDS = {"student": "students", "user": "users", "agent": "links"}
SAMPLES = 3
SHOWN = 20


class Removals(msgspec.Struct, frozen=True):
    """What may be removed because it is absent; see `timeback_async.sync.plan`."""

    deactivate_absent: bool
    unlink_absent: bool
    max_removals: str


class Outputs(msgspec.Struct, frozen=True):
    """Where a run tells what it did."""

    failures: Path | None
    report: Path | None
    json: bool
    log_format: Literal["text", "json"] | None
    dry_run: bool


async def sync(
    path: Path,
    state_path: Path,
    ids: Ids | None,
    settings: dict[str, Any],
    options: ReadOptions,
    removals: Removals,
    outputs: Outputs,
) -> int:
    """Read, compare, send, report; return the exit code.

    Raises:
        TimebackError: Nothing was sent.
    """
    job = _Job(path, state_path, ids, settings, options, removals, outputs)
    say = log.warning if outputs.log_format else err.print
    try:
        with _logged(outputs.log_format), interruptible(job.stop, say):
            return await job.done()
    except TimebackError as error:
        if outputs.log_format is None:
            raise
        with _logged(outputs.log_format):
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
        removals: Removals,
        outputs: Outputs,
    ) -> None:
        self._path, self._state_path, self._ids = path, state_path, ids
        self._settings, self._options = settings, options
        self._removals, self._outputs = removals, outputs
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
        outputs, settings = self._outputs, self._settings
        if outputs.dry_run:  # which needs no credentials
            settings = {"client_id": "dry-run", "client_secret": "dry-run"}
        config = Config.from_env(**settings)
        with await asyncio.to_thread(read_roster, self._path, self._options) as roster:
            log.info("read %s: %s", roster.format, roster.count._asdict())
            with _state(self._state_path, config, self._ids, outputs.dry_run) as state:
                changes = await asyncio.to_thread(
                    plan,
                    roster,
                    state,
                    deactivate_absent=self._removals.deactivate_absent,
                    unlink_absent=self._removals.unlink_absent,
                    max_removals=self._removals.max_removals,
                )
                log.info("planned %d changes, %d unchanged", changes.total(), changes.unchanged)
                with _report_file(outputs.report) as report_file:
                    if outputs.dry_run:
                        report, error = SyncReport.of(changes, dry_run=True), None
                        samples = _samples(changes)
                    else:
                        report, error = await self._carry_out(config, changes)
                        samples = {}
                    is_kept = _keep(report, report_file, outputs.report)
        code = _exit_code(report, error)
        if code == EXIT.OK and not is_kept:
            code = EXIT.PARTIAL
        _tell(report, error, samples, outputs, code)
        return code

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
                with suppress(asyncio.CancelledError):  # the second Ctrl-C: the report tells
                    await running
                bars.draw()
        return running.report, running.error


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
    rest = page(report).encode(errors="replace")
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        err.print(f"[red]error:[/] {escape(str(path))}: {error.strerror}", soft_wrap=True)
        return False
    return True


def _wire(change: Change) -> dict[str, Any] | None:
    """Return a record as it can be sent again; None for what is to be deleted."""
    if change.record is None or change.phase == "unlinks":
        return None
    return {change.kind: msgspec.to_builtins(change.record)}


class _Bars:
    """A progress bar for each phase that has something to do."""

    def __init__(self, progress: Progress, changes: Plan, session: TimebackSession) -> None:
        self._progress, self._statistics = progress, session.statistics
        self._tasks: dict[str, TaskID] = {
            phase: progress.add_task(phase, total=total, facts="", start=False)
            for phase in PHASES
            if (total := changes.total(phase))
        }
        self._done = dict.fromkeys(self._tasks, 0)
        self._drawn_at = 0.0

    def count(self, change: Change) -> None:
        self._done[change.phase] += 1
        if time.monotonic() - self._drawn_at > REDRAW:
            self.draw()

    def draw(self) -> None:
        self._drawn_at = time.monotonic()
        statistics = self._statistics()
        for phase, task in self._tasks.items():
            if self._done[phase]:
                self._progress.start_task(task)
                rate = self._progress.tasks[task].speed or 0.0
                facts = facts_of(rate, statistics)
                self._progress.update(task, completed=self._done[phase], facts=facts)


def _exit_code(report: SyncReport, error: TimebackError | None) -> int:
    if isinstance(error, StateError):
        return EXIT.INTERRUPTED
    if error is not None:
        return EXIT.PARTIAL if report.requests else EXIT.NOTHING_SENT
    if report.stopped:
        return EXIT.INTERRUPTED
    return EXIT.OK if report.ok else EXIT.PARTIAL


# -- what is told


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
        ended = str(error) if error else ""
        print_json(report.as_dict() | {"samples": samples, "error": ended, "exit": code})
        return
    _print_report(report, samples)
    if report.causes:
        _print_causes(report.causes)
    if report.failures:
        _print_failures(report, outputs.failures)
    if not report.dry_run:
        print_chart(report.trace)
    left_alone = {kind: n for kind, n in report.absent.items() if not _is_removed(kind, report)}
    if left_alone:
        gone = ", ".join(f"{left_alone[kind]:,} {KINDS[kind]}" for kind in sorted(left_alone))
        out.print(f"No longer in the files: {gone}. They are left alone, unless you ask for more.")
    if report.dry_run:
        out.print("Dry run: everything was read and compared, nothing was sent.")
    if report.stopped:
        out.print(
            f"[yellow]Stopped before the end:[/] {escape(report.stopped)}. Run the same command "
            "again: it goes on where this ended."
        )
    if error is not None and outputs.log_format is None:
        err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)


def _is_removed(kind: str, report: SyncReport) -> bool:
    return bool(report.phases["unlinks" if kind == "agent" else "deactivations"].planned)


def _print_failures(report: SyncReport, kept: Path | None) -> None:
    table = Table(title="Not done", title_justify="left")
    for heading in ("where", "kind", "id", "outcome", "reason"):
        table.add_column(heading, overflow="fold")
    for each in report.failures[:SHOWN]:
        cells = each.where, each.kind, printable(each.sourced_id), each.outcome.value, each.reason
        table.add_row(*map(escape, cells))
    out.print(table)
    more = report.planned - report.done - len(report.failures[:SHOWN])
    if more > 0:
        out.print(f"… and {more:,} more.")
    if kept is None:
        out.print("--failures OUT.jsonl keeps them all; the next run sends them again anyway.")


def _print_report(report: SyncReport, samples: dict[str, list[str]]) -> None:
    read = (f"{number:,} {what.replace('_', ' ')}" for what, number in report.read.items())
    out.print(f"[bold]{escape(report.format)}:[/] {', '.join(read)}")
    table = Table()
    table.add_column("phase")
    table.add_column("planned", justify="right")
    table.add_column("became" if not report.dry_run else "such as", overflow="fold")
    for name, phase in report.phases.items():
        ended = ", ".join(
            f"[{COLOURS[outcome]}]{number:,} {outcome.value.replace('_', ' ')}[/]"
            for outcome, number in phase.counts.items()
            if number
        )
        table.add_row(name, f"{phase.planned:,}", ended or escape(", ".join(samples.get(name, []))))
    table.add_row("unchanged", f"{report.unchanged:,}", "not sent")
    out.print(table)
    if not report.dry_run:
        out.print(
            f"{report.requests:,} requests ({report.retries:,} retries, {report.throttled:,} "
            f"throttled), {report.token_requests} for tokens, {report.elapsed:.1f} s"
        )


def _print_causes(causes: Iterable[Cause]) -> None:
    out.print("[bold]Found in the files, causes first[/]")
    for cause in causes:
        first = cause.examples[0]
        where = f"{first.file}:{first.line}" if first.line else first.file
        detail = f"({printable(first.detail)})" if first.detail else ""
        place = " ".join(filter(None, (where, detail)))
        out.print(
            f"{SEVERITIES[cause.severity]} {cause.count:,} times {escape(str(cause))}; first: "
            f"{escape(place) or 'the package'}. To do: {escape(CODES[cause.code].advice)}."
        )


def _samples(changes: Plan) -> dict[str, list[str]]:
    """Return the ids of the first few of each phase; of what only the state knows, its key."""
    return {
        phase: [
            f"{change.action} {change.kind} {printable(change.sourced_id)}"
            for change in islice(changes.changes(phase), SAMPLES)
        ]
        for phase in PHASES
        if changes.total(phase)
    }


# -- logs, for containers


class _JsonFormatter(logging.Formatter):
    """One JSON object to a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": record.getMessage(),
            }
        )


@contextmanager
def _logged(form: Literal["text", "json"] | None) -> Iterator[None]:
    """Log to stderr while the block runs; None not to."""
    if form is None:
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(_JsonFormatter() if form == "json" else text)
    logger = logging.getLogger("timeback_async")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


# -- the state


def state_show(path: Path, as_json: bool) -> int:
    """Print what a state holds, in numbers."""
    with State(path, create=False) as state:
        facts = {
            "endpoint": state.meta("endpoint"),
            "ids": state.ids,
            "created": _when(state.meta("created")),
            "last_run": _when(state.meta("last_run")),
        }
        counts = state.count()
    if as_json:
        found = [{"kind": k, "outcome": o, "count": n} for (k, o), n in counts.items()]
        print_json(facts | {"records": found})
        return EXIT.OK
    table = Table("kind", "outcome", "records", title=escape(str(path)), title_justify="left")
    for (kind, outcome), number in sorted(counts.items()):
        table.add_row(kind, outcome, f"{number:,}")
    for name, value in facts.items():
        out.print(f"{name.replace('_', ' ')}: {escape(str(value or 'never'))}")
    out.print(table)
    return EXIT.OK


def state_forget(path: Path, sourced_ids: list[str]) -> int:
    """Delete what is known of people and of their links."""
    with State(path, create=False) as state:
        count = state.forget(sourced_ids)
    out.print(f"Forgotten: {count:,} rows. At TimeBack nothing was changed.")
    return EXIT.OK if count else EXIT.PARTIAL


def state_export(path: Path) -> int:
    """Print what is known of every record, as JSON Lines."""
    with State(path, create=False) as state:
        for entry in state.entries():
            row = {name: value for name, value in entry._asdict().items() if name != "hash"}
            print_json(row | {"time": _when(entry.time)})
    return EXIT.OK


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
