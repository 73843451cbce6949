"""The work of `upsert`: read as `sync` does, compare with nothing, send everything."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from .._config import Config
from .._results import ItemResult
from .._session import TimebackSession
from .._wire.codec import Encoded
from ..errors import RecordError
from ..sync import Change, LeftOut, Plan, ReadOptions, Roster, State, plan, read_roster
from ..sync._running.completion import as_read, completed
from ._exit import EXIT
from ._options_words import named_by_flags
from ._output_files import Failures
from ._run import Run
from ._screen import err, out, print_error, print_failures, print_json, print_report
from ._signals import interruptible
from ._sync_screen import print_causes

__all__ = ["run_upsert"]

Pair = tuple[Change | LeftOut, object]


async def run_upsert(
    paths: Sequence[Path],
    options: ReadOptions,
    settings: dict[str, Any],
    dry_run: bool,
    failures_path: Path | None,
    json: bool,
) -> int:
    """Read, send and report; return the exit code.

    Raises:
        TimebackError: The run failed before anything was sent.
    """
    if dry_run:  # a dry run needs no credentials
        settings = {"client_id": "dry-run", "client_secret": "dry-run", **settings}
    task = asyncio.current_task()
    assert task is not None
    runs: list[Run[Change | LeftOut]] = []

    def stop() -> None:
        if runs:
            runs[0].stop()
        else:
            task.cancel()

    with ExitStack() as opened:
        try:
            over = opened.enter_context(interruptible(stop, err.print))
            with named_by_flags():
                config = Config.from_env(**settings)
                batch = await _read(opened, paths, options)
            failures = opened.enter_context(Failures.opened(failures_path))

            def keep(failed: Change | LeftOut, result: ItemResult) -> None:
                if failures is None:
                    return
                if isinstance(failed, LeftOut):  # even where the run did not come to it
                    failures.write_left_out(failed)
                else:
                    failures.write(failed, result)

            async with TimebackSession(config) as session:
                run = Run(session, keep)
                runs.append(run)
                is_whole = dry_run or not batch.has_gaps
                records = batch.as_read() if is_whole else batch.completed(session)
                code = await run(
                    batch.places, records, total=batch.total, visible=not json, dry_run=dry_run
                )
                over()
        except asyncio.CancelledError:  # interrupted before anything was sent
            return EXIT.INTERRUPTED
        if code == EXIT.OK and batch.errors:  # such as a column that is missing
            code = EXIT.PARTIAL
        _report(run, batch, code, failures_path, json)
    return code


async def _read(opened: ExitStack, paths: Sequence[Path], options: ReadOptions) -> "_Batch":
    """Read all files, and compare them with nothing: so they are planned as a first `sync`."""
    rosters = [
        opened.enter_context(await asyncio.to_thread(read_roster, path, options)) for path in paths
    ]
    empty = opened.enter_context(State(None, ids="plain"))
    return _Batch(rosters, [await asyncio.to_thread(plan, roster, empty) for roster in rosters])


class _Batch:
    """What is sent: of all files the rows that are left out, then people, links and the deleted.

    Attributes:
        total: How many there are.
        errors: How many findings left something out.
        has_gaps: Whether the files leave something open that TimeBack may know.
    """

    def __init__(self, rosters: Sequence[Roster], plans: Sequence[Plan]) -> None:
        self.rosters, self._plans = rosters, plans
        self.total = sum(1 for _ in self._left_out()) + sum(each.total() for each in plans)
        self.has_gaps = any(each.has_gaps for each in plans)
        self.errors = sum(roster.findings.errors for roster in rosters)

    def places(self) -> Iterator[Change | LeftOut]:
        """Yield where each of them stands."""
        return chain(self._left_out(), self._changes())

    def as_read(self) -> Iterator[Pair]:
        """Yield each with its record as it is in the files."""
        yield from self._refused()
        for change, record in as_read(self._changes()):
            if change.kind == "person":  # in a dry run: only TimeBack knows whether it is a student
                record = Encoded("user", change.sourced_id, b"")
            yield change, record

    async def completed(self, session: TimebackSession) -> AsyncIterator[Pair]:
        """Yield each with its record, what the files leave open looked up."""
        for pair in self._refused():
            yield pair
        async for change, record in completed(session, self._changes()):
            yield change, record

    def _refused(self) -> Iterator[Pair]:
        return ((row, RecordError(row.field, row.reason)) for row in self._left_out())

    def _left_out(self) -> Iterator[LeftOut]:
        return chain.from_iterable(roster.left_out() for roster in self.rosters)

    def _changes(self) -> Iterator[Change]:
        # A later file has the last word on a person, also on one that an earlier file deletes.
        for each in self._plans:
            yield from each.changes("people")
            yield from each.changes("deactivations")
        for each in self._plans:
            yield from each.changes("links")


def _report(
    run: "Run[Change | LeftOut]", batch: _Batch, code: int, kept: Path | None, json: bool
) -> None:
    assert run.report is not None
    causes = [cause for roster in batch.rosters for cause in roster.findings.causes]
    if json:
        facts = {
            "unread": run.unread,
            "failures": [row.as_dict() for row in run.failures.values()],
            "findings": [cause.as_dict() for cause in causes],
            "left_out": batch.errors,
            "error": str(run.error) if run.error else "",
            "exit": code,
            "ok": code == EXIT.OK,
        }
        print_json(run.report.as_dict() | facts)
        return
    print_report(run.report, run.unread)
    if causes:
        print_causes(causes)
    if run.failures:
        print_failures(run.failures.values(), run.failed - len(run.failures))
    if run.failed + run.unread > len(run.failures):
        out.print(
            f"{kept} holds all of them."
            if kept
            else "--failures OUT.jsonl writes all of them to a file."
        )
    if run.error is not None:
        print_error(run.error)
