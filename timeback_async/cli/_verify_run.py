"""The work of `verify`: read as `sync` does, compare with TimeBack, report."""

import asyncio
import logging
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from .._results import ItemResult, Outcome
from .._session import TimebackSession
from ..errors import TimebackError
from ..sync import Change, Difference, ReadOptions, Verification, VerifyReport, verify
from ._exit import EXIT, say_in_json
from ._findings_file import FindingsFile
from ._logs import LogFormat
from ._options_words import as_flags
from ._output_files import Failures, ReportFile
from ._progress import Meter, Show
from ._reading import read_beside
from ._screen import err, out, print_error, print_json
from ._settings import config_from_env
from ._signals import interruptible
from ._verify_screen import print_verify_report

__all__ = ["Outputs", "run_verify"]

log = logging.getLogger("timeback_async.sync")

COMPARED = ItemResult(index=0, kind="", sourced_id="", outcome=Outcome.FETCHED)


class Outputs(msgspec.Struct, frozen=True):
    """Where a comparison reports to, and whether it is a dry run."""

    failures: Path | None
    findings: Path | None
    report: Path | None
    json: bool
    log_format: LogFormat | None
    dry_run: bool


async def run_verify(
    path: Path,
    options: ReadOptions,
    settings: dict[str, Any],
    outputs: Outputs,
    *,
    one_way: bool,
    sample: int | None,
) -> int:
    """Read, compare and report; return the exit code.

    Raises:
        TimebackError: Nothing could be compared.
    """
    if outputs.dry_run:  # a dry run needs no credentials
        settings = {**settings, "client_id": "dry-run", "client_secret": "dry-run"}
    task = asyncio.current_task()
    assert task is not None
    running: list[Verification] = []

    def stop() -> bool:  # to compare needs no orderly end
        if running:
            running[0].stop()
        else:
            task.cancel()
        return False

    say = log.warning if outputs.log_format else err.print
    show = Show.of(json=outputs.json, log_format=outputs.log_format)
    with ExitStack() as opened:
        try:
            over = opened.enter_context(interruptible(stop, say))
            page = opened.enter_context(ReportFile.opened(outputs.report))
            findings = opened.enter_context(FindingsFile.opened(outputs.findings))
            failures = opened.enter_context(Failures.opened(outputs.failures))
            config = config_from_env(**settings)
            roster = opened.enter_context(await read_beside(path, options, findings, show))
            if findings is not None:  # whatever happens now
                findings.finish()
            async with TimebackSession(config) as session:
                comparison = verify(
                    session,
                    roster,
                    one_way=one_way,
                    sample=sample,
                    dry_run=outputs.dry_run,
                    on_difference=_writer(failures),
                    on_compared=lambda what: meter.count(what, COMPARED),
                )
                running.append(comparison)
                planned = await asyncio.to_thread(comparison.prepare)
                people = planned["people"] or roster.count.students + roster.count.users
                bars = {"people": people, "links": planned["students"]}
                where = Show.NOWHERE if outputs.dry_run else show
                async with Meter.shown(bars, where, session) as meter:
                    with suppress(asyncio.CancelledError):  # a second Ctrl-C
                        await comparison
                over()
        except asyncio.CancelledError:  # interrupted before anything was sent
            if outputs.json:
                say_in_json("interrupted", EXIT.INTERRUPTED)
            if outputs.log_format is not None:
                fields = {"ok": False, "exit": EXIT.INTERRUPTED, "stopped": "interrupted"}
                log.error("interrupted", extra={"fields": fields})  # noqa: TRY400 - no defect
            out.print("Interrupted before anything was compared.")
            return EXIT.INTERRUPTED
        if page is not None:
            page.write(comparison.report.as_html(as_flags))
        files = [file for file in (page, findings, failures) if file is not None]
        code = _exit_code(comparison, is_whole=all(file.is_whole for file in files))
        kept = outputs.failures if failures is None or failures.is_whole else None
        _report(comparison, code, kept, outputs)
    return code


def _writer(failures: Failures | None) -> Any:
    """Return what takes each difference, and writes down what mends it."""
    if failures is None:
        return None

    def write(difference: Difference, change: Change | None) -> None:
        if change is not None:
            reason = f"{difference.what} at TimeBack" + (difference.why and f": {difference.why}")
            result = ItemResult(
                index=0, kind=difference.kind, sourced_id=difference.sourced_id,
                outcome=Outcome.NOT_SENT, error=TimebackError(reason),
            )  # fmt: skip
            failures.write(change, result)

    return write


def _exit_code(comparison: Verification, *, is_whole: bool) -> int:
    report = comparison.report
    if comparison.error is not None:
        return EXIT.PARTIAL if report.requests else EXIT.NOTHING_SENT
    if report.stopped:
        return EXIT.INTERRUPTED
    is_ok = report.ok and not report.unaccepted and is_whole
    return EXIT.OK if is_ok else EXIT.PARTIAL


def _report(comparison: Verification, code: int, kept: Path | None, outputs: Outputs) -> None:
    report: VerifyReport = comparison.report
    error = comparison.error
    if outputs.json:
        print_json(report.as_dict() | {"error": as_flags(report.stopped), "exit": code})
    elif error is None or report.requests:  # otherwise there is nothing but the error
        print_verify_report(report, kept)
    if outputs.log_format is None:
        if error is not None:
            print_error(as_flags(str(error)))
        elif out.quiet and code == EXIT.PARTIAL and not outputs.json:
            print_error(report)
        return
    fields = report.figures() | {"exit": code}
    if error is not None:
        log.error("%s", error, extra={"fields": fields})
    else:
        log.info("exit code %d: %s", code, report, extra={"fields": fields})
