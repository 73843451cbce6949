"""The work of `upsert`: read as `sync` does, compare with nothing, send everything."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from .._report import Report
from .._results import ItemResult, Outcome
from .._session import TimebackSession
from ..errors import TimebackError
from ..sync import Change, LeftOut, ReadOptions
from ._exit import EXIT
from ._findings_file import FindingsFile
from ._logs import LogFormat, logged
from ._options_words import named_by_flags
from ._output_files import Failures, Outcomes
from ._run import Run
from ._screen import err, out, print_error, print_failures, print_json, print_report
from ._settings import config_from_env
from ._signals import interruptible
from ._sync_screen import print_causes, print_read
from ._upsert_batch import Batch, read_batch

__all__ = ["Outputs", "run_upsert"]

_Run = Run[Change | LeftOut]

log = logging.getLogger("timeback_async.sync")


class Outputs(msgspec.Struct, frozen=True):
    """Where a run reports to, and whether it is a dry run."""

    failures: Path | None
    outcomes: Path | None
    findings: Path | None
    json: bool
    log_format: LogFormat | None
    dry_run: bool


async def run_upsert(
    paths: Sequence[Path], options: ReadOptions, settings: dict[str, Any], outputs: Outputs
) -> int:
    """Read, send and report; return the exit code.

    Raises:
        TimebackError: The run failed before anything was sent.
    """
    started = time.monotonic()
    if outputs.dry_run:  # a dry run needs no credentials
        settings = {"client_id": "dry-run", "client_secret": "dry-run", **settings}
    task = asyncio.current_task()
    assert task is not None
    runs: list[_Run] = []

    def stop() -> None:
        if runs:
            runs[0].stop()
        else:
            task.cancel()

    say = log.warning if outputs.log_format else err.print
    with ExitStack() as opened:
        opened.enter_context(logged(outputs.log_format))
        try:
            over = opened.enter_context(interruptible(stop, say))
            findings = opened.enter_context(FindingsFile.opened(outputs.findings))
            with named_by_flags():
                config = config_from_env(**settings)
                batch = await read_batch(opened, paths, options, findings)
            failures = opened.enter_context(Failures.opened(outputs.failures))
            rows = opened.enter_context(Outcomes.opened(outputs.outcomes))
            tally = _Tally(failures)
            async with TimebackSession(config) as session:
                run = Run(session, tally.take, *([] if rows is None else [rows.write]))
                runs.append(run)
                is_whole = outputs.dry_run or not batch.has_gaps
                records = batch.as_read() if is_whole else batch.completed(session)
                code = await run(
                    batch.places,
                    records,
                    total=batch.total,
                    visible=not outputs.json and outputs.log_format is None,
                    dry_run=outputs.dry_run,
                )
                over()
        except asyncio.CancelledError:  # interrupted before anything was sent
            _refused("interrupted", EXIT.INTERRUPTED, outputs)
            return EXIT.INTERRUPTED
        except TimebackError as error:
            _refused(str(error), EXIT.NOTHING_SENT, outputs)
            if outputs.log_format is None:
                raise
            return EXIT.NOTHING_SENT
        if run.error is None and not run.interrupted:
            # Of what the files leave out the findings decide: they may be accepted, and some are
            # of no row, such as a column that is missing.
            code = EXIT.PARTIAL if batch.unaccepted or tally.failed else EXIT.OK
        if rows is not None:
            rows.finish()
        is_whole = all(file.is_whole for file in (findings, failures, rows) if file)
        if code == EXIT.OK and not is_whole:
            code = EXIT.PARTIAL
        kept = outputs.failures if failures is None or failures.is_whole else None
        _report(run, batch, tally, code, kept, time.monotonic() - started, outputs)
    return code


class _Tally:
    """Keeps what was not saved, and counts it: records apart from what the files leave out.

    Attributes:
        failed: Number of records that were not saved.
        left_out: Number of rows left out, by outcome: `invalid`, or `not_sent` if the run ended
            before it came to them.
    """

    def __init__(self, failures: Failures | None) -> None:
        self._failures = failures
        self.failed = 0
        self.left_out: Counter[Outcome] = Counter()

    def take(self, place: Change | LeftOut, result: ItemResult) -> None:
        """Take a record, or a row, that was not saved."""
        if isinstance(place, LeftOut):
            self.left_out[result.outcome] += 1
            if self._failures is not None:  # with its own reason
                self._failures.write_left_out(place)
        else:
            self.failed += 1
            if self._failures is not None:
                self._failures.write(place, result)

    def of_records(self, report: Report) -> Report:
        """Return a report without the rows that the files leave out."""
        number = self.left_out[Outcome.INVALID]
        counts = report.counts | {Outcome.INVALID: report.invalid - number}
        return replace(report, submitted=report.submitted - number, counts=counts)


def _refused(reason: str, code: int, outputs: Outputs) -> None:
    """Tell a program and the log why nothing was sent."""
    fields = {"ok": False, "exit": code, "stopped": reason}
    if outputs.json:
        print_json(fields | {"error": reason})
    if outputs.log_format is not None:
        log.error("%s", reason, extra={"fields": fields})


def _report(
    run: _Run,
    batch: Batch,
    tally: _Tally,
    code: int,
    kept: Path | None,
    elapsed: float,
    outputs: Outputs,
) -> None:
    assert run.report is not None
    report = tally.of_records(run.report)
    not_reached = run.unread - tally.left_out[Outcome.NOT_SENT]
    figures = {
        "ok": code == EXIT.OK,
        "read": batch.read,
        "severities": batch.severities,
        "planned": sum(batch.actions.values()),
        "actions": batch.actions,
        "unchanged": 0,
        **{outcome.value: report.counts[outcome] for outcome in Outcome},
        "not_reached": not_reached,
        "requests": report.attempts,
        "retries": report.retries,
        "throttled": report.throttled,
        "token_requests": report.token_requests,
        "elapsed": round(elapsed, 3),
        "sending": round(report.elapsed, 3),
        "rate": round(report.rate, 1),
        "dry_run": report.dry_run,
        "stopped": report.stopped,
    }
    if outputs.json:
        print_json(
            figures
            | {
                "latency": msgspec.structs.asdict(report.latency),
                "failures": [row.as_dict() for row in run.failures.values()],
                "findings": [cause.as_dict() for cause in batch.causes],
                "error": str(run.error or ""),
                "exit": code,
            }
        )
    else:
        _print(run, report, batch, not_reached, kept, elapsed)
    if outputs.log_format is None:
        if run.error is not None and not outputs.json:
            print_error(run.error)
    elif run.error is not None:
        log.error("%s", run.error, extra={"fields": figures | {"exit": code}})
    else:
        log.info("exit code %d: %s", code, report, extra={"fields": figures | {"exit": code}})


def _print(
    run: _Run, report: Report, batch: Batch, not_reached: int, kept: Path | None, elapsed: float
) -> None:
    for roster in batch.rosters:
        print_read(f"{roster.name}, {roster.format}", roster.count._asdict())
    print_report(report, not_reached, elapsed)
    if batch.causes:
        print_causes(batch.causes)
    if run.failures:
        print_failures(run.failures.values(), run.failed - len(run.failures))
    if run.failed + run.unread > len(run.failures):
        out.print(
            f"{kept} holds all of them."
            if kept
            else "--failures OUT.jsonl writes all of them to a file."
        )
