"""A run of a command that sends files: its output files, Ctrl-C, and what is told at its end."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from .._results import ItemResult
from ..errors import TimebackError
from ..sync import Change, LeftOut, StateError, SyncReport
from ._exit import EXIT
from ._findings_file import FindingsFile
from ._logs import LogFormat
from ._options_words import as_flags, named_by_flags
from ._output_files import Failures, Outcomes, PlanFile, ReportFile
from ._progress import Show
from ._report_screen import print_sync_report
from ._screen import err, out, print_error, print_json
from ._signals import interruptible

__all__ = ["Ended", "Files", "Job", "Outputs", "Stoppable"]

log = logging.getLogger("timeback_async.sync")


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run reports to, and whether it is a dry run."""

    failures: Path | None
    outcomes: Path | None
    findings: Path | None
    plan: Path | None = None
    report: Path | None
    json: bool
    log_format: LogFormat | None
    dry_run: bool

    @property
    def show(self) -> Show:
        """Where progress is shown."""
        return Show.of(json=self.json, log_format=self.log_format)


class Files(NamedTuple):
    """The open files of a run; None for one that is not wanted."""

    findings: FindingsFile | None
    plan: PlanFile | None
    failures: Failures | None
    outcomes: Outcomes | None

    def write_left_out(self, rows: Iterable[LeftOut]) -> None:
        """Write the rows of a roster that are left out to the files of failures and outcomes."""
        wanted = [file for file in (self.failures, self.outcomes) if file is not None]
        for row in rows if wanted else ():
            for file in wanted:
                file.write_left_out(row)

    def write(self, change: Change, result: ItemResult) -> None:
        """Write what became of a change to the files that want it."""
        if self.failures is not None and result.error is not None:
            self.failures.write(change, result)
        if self.outcomes is not None:
            self.outcomes.write(change, result)


class Ended(msgspec.Struct, frozen=True):
    """How a run ended.

    Attributes:
        report: Its figures.
        error: What ended it early or refused it, or None.
        has_hashes: Whether samples name people by hashes of their ids.
    """

    report: SyncReport
    error: TimebackError | None = None
    has_hashes: bool = False


class Stoppable(Protocol):
    """A run that is on."""

    def stop(self) -> object:
        """Begin nothing new, and finish what is in flight."""


class Job(ABC):
    """One run of a command. It can be stopped at any time, and always reports.

    Args:
        name: What is read, in any form.
        outputs: Where it reports to.

    Attributes:
        running: What sends, once something does.
    """

    def __init__(self, name: str, outputs: Outputs) -> None:
        self._name, self.outputs = name, outputs
        self.running: Stoppable | None = None
        self.is_resumable = True

    @abstractmethod
    async def carried_out(self, files: Files, over: Callable[[], None]) -> Ended:
        """Read, plan and send; return how that ended.

        Args:
            files: Where to write.
            over: To be called when everything is sent: no later signal can cost the report.

        Raises:
            TimebackError: Nothing was sent.
        """

    async def __call__(self) -> int:
        """Run, report, and return the exit code.

        Raises:
            TimebackError: An output file cannot be written.
        """
        say = log.warning if self.outputs.log_format else err.print
        with interruptible(self._stopper(), say) as over:
            return await self._done(over)

    def _stopper(self) -> Callable[[], bool]:
        task = asyncio.current_task()
        assert task is not None

        def stop() -> bool:
            if self.running is not None:
                self.running.stop()
            else:
                task.cancel()
            return self.running is not None

        return stop

    async def _done(self, over: Callable[[], None]) -> int:
        outputs = self.outputs
        with (
            ReportFile.opened(outputs.report) as page,
            FindingsFile.opened(outputs.findings) as findings,
            PlanFile.opened(outputs.plan) as plan,
            Failures.opened(outputs.failures) as failures,
            Outcomes.opened(outputs.outcomes) as outcomes,
        ):
            files = Files(findings, plan, failures, outcomes)
            try:
                with named_by_flags():
                    ended = await self.carried_out(files, over)
            except TimebackError as refusal:
                ended = Ended(SyncReport.refused(self._name, str(refusal)), refusal)
            except asyncio.CancelledError:  # interrupted before anything was sent
                ended = Ended(SyncReport.interrupted(self._name))
            report = ended.report
            report.is_resumable, report.stopped = self.is_resumable, as_flags(report.stopped)
            code = _exit_code(ended)
            if page is not None:
                page.write(report.as_html(as_flags))
            if outcomes is not None:
                outcomes.finish()
            is_whole = all(file.is_whole for file in (page, *files) if file is not None)
        if code == EXIT.OK and not is_whole:
            code = EXIT.PARTIAL
        kept = outputs.failures if failures is None or failures.is_whole else None
        _tell(ended, outputs, kept, code)
        return code


def _exit_code(ended: Ended) -> int:
    report, error = ended.report, ended.error
    if isinstance(error, StateError):
        return EXIT.INTERRUPTED
    if error is not None:
        return EXIT.PARTIAL if report.requests else EXIT.NOTHING_SENT
    if report.stopped:
        return EXIT.INTERRUPTED
    return EXIT.OK if report.ok else EXIT.PARTIAL


def _tell(ended: Ended, outputs: Outputs, kept: Path | None, code: int) -> None:
    """Print the report, and log its figures as the last line.

    A run that sent nothing, and was not refused for its plan, is one line.
    """
    report = ended.report
    error = "" if ended.error is None else as_flags(str(ended.error))
    if outputs.json:
        print_json(report.as_dict() | {"error": error or report.stopped, "exit": code})
    elif report.format and (code != EXIT.NOTHING_SENT or report.is_refused):
        print_sync_report(report, kept)
        if ended.has_hashes:
            out.print(
                "A hashed id is that of somebody absent: `state find ID…` prints the hash of an "
                "id, so look up those of an earlier file."
            )
    elif not report.format and ended.error is None:
        out.print("Interrupted before anything was sent: run the same command again.")
    elif kept is not None and report.planned and not report.is_resumable:
        out.print(f"{kept} holds all that was not sent.", markup=False, soft_wrap=True)
    if outputs.log_format is not None:
        fields = report.figures() | {"exit": code}
        if error:
            log.error("%s", error, extra={"fields": fields})
        else:
            log.info("exit code %d: %s", code, report, extra={"fields": fields})
    elif error:
        said = report.requests or "Nothing was sent." in error
        print_error(error if said else f"{error.rstrip('.')}. Nothing was sent.")
    elif out.quiet and code == EXIT.PARTIAL and not outputs.json:
        print_error(report)
