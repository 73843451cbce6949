"""Send one partition: look whether it is finished, send it, write what became of each record.

No engine is in here: Dask, Spark and a plain loop call the same functions.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from msgspec.structs import replace

from .._config import Config
from .._report import Report
from .._results import Outcome
from .._session import TimebackSession
from .._wire.codec import identify
from ..errors import RecordError, TimebackError
from ._folder import Folder, Held
from ._lane import Lane, lane_of
from ._outcomes import (
    OutcomeRow,
    PartitionReport,
    counted,
    outcome_table,
    rows_of_all,
)
from ._partition import Partition, records_of

__all__ = ["Sent", "link_key", "send_one", "send_part"]

WAITING = "some of its people are in partitions that are not finished; the same call again sends it"
UNWANTED = "nobody waits for it any more: its client has gone"
LOOK_AGAIN = 0.5  # s, until it is seen that nobody waits
# What each phase takes; the other one's records have no order with its own.
PHASES = {"people": ("student", "user"), "links": ("agent",)}


class Reason(NamedTuple):
    """Why a record is not sent, and whether the next call may send it."""

    outcome: Outcome
    why: str
    is_waiting: bool = False


class Sent:
    """What became of some records, in their order.

    Attributes:
        rows: A row for each record.
        report: The figures of the run.
        stopped: Why the run ended early, or "".
    """

    def __init__(self, rows: list[OutcomeRow], report: Report, stopped: str) -> None:
        self.rows, self.report, self.stopped = rows, report, stopped


def send_one(part: object, config: Config) -> Any:
    """Send one partition; return its outcomes as a table of pyarrow, a row for each record.

    The session of the process is used: its window, tokens and connections live on.

    Args:
        part: An iterable of records, a table, or the path or URL of a Parquet or Arrow file.
        config: The settings of this process. `Config.share` divides the limits among several.

    Raises:
        TypeError: `part` is something else.
        ConfigError: A file cannot be read.
    """
    records, lane = records_of(part), lane_of(config)
    with lane.sending(nullcontext()):
        return outcome_table("", _send(lane, records, [None] * len(records)).rows)


def send_part(name: str, part: object, out: str, config: Config) -> PartitionReport:
    """Send one partition, unless it is finished, and write its outcomes to a folder.

    Args:
        name: Its name, the same each time; "people-…" or "links-…".
        part: The partition; see `send_one`.
        out: The folder or the URL of an object store.
        config: The settings of this process; see `Config.share`.

    Raises:
        TypeError, ConfigError: As for `send_one`, or the folder cannot be made.
    """
    folder = Folder(out)
    folder.make()
    return finish(name, Partition(part), folder, lane_of(config))[0]


def finish(
    name: str,
    partition: Partition,
    folder: Folder,
    lane: Lane,
    *,
    held: Held | None = None,
    expected: str | None = None,
    lease: AbstractContextManager[Any] | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
    worker: str = f"{socket.gethostname()}:{os.getpid()}",
) -> tuple[PartitionReport, Any]:
    """Send a partition and write its outcomes, unless that is done.

    Args:
        name: Its name.
        partition: Its records.
        folder: Where the outcomes go.
        lane: The session.
        held: What is not sent.
        expected: The fingerprint that it has to have; None for any.
        lease: The engine's bound; see `Lane.sending`.
        is_wanted: Whether somebody waits for it. Once nobody does, nothing more is sent: whoever
            goes on in another process may have newer records.
        worker: Who sends it.

    Returns:
        Its report; and its outcomes if they could not be written, or it is not finished.
    """
    contents = partition.contents
    report = PartitionReport(
        name=name, records=contents.table.num_rows, counts=counted([]), worker=worker,
        fingerprint=contents.fingerprint,
    )  # fmt: skip
    if expected is not None and contents.fingerprint != expected:
        why = "its records are not those that were read before; make the partition the same again"
        return _unsent(report, contents.table, why)
    held = held or Held()
    with lane.sending(lease or nullcontext()):
        done = folder.finished(name)  # another try may have been quicker
        if done is not None:
            if done.fingerprint != contents.fingerprint:
                return _unsent(report, contents.table, "its outcomes are of other records")
            return replace(done, is_earlier=True), None
        tries, began = folder.begin(name), time.monotonic()
        reasons = list(_reasons(name.partition("-")[0], contents.table, held))
        waiting = sum(1 for reason in reasons if reason and reason.is_waiting)
        sent = _send(lane, partition.records, reasons, is_wanted)
        stopped = sent.stopped or (WAITING if waiting else "")
        report = replace(
            report,
            counts=counted(sent.rows),
            attempts=sent.report.attempts,
            retries=sent.report.retries,
            throttled=sent.report.throttled,
            token_requests=sent.report.token_requests,
            tries=tries,
            repeated=report.records if tries > 1 else 0,
            seconds=time.monotonic() - began,
            waiting=waiting,
            is_finished=not stopped,
            stopped=stopped,
        )
        outcomes = outcome_table(name, sent.rows)
        if stopped:
            return report, outcomes
        try:
            folder.finish(report, outcomes)
        except OSError as error:
            why = f"its outcomes cannot be written ({type(error).__name__})"
            return replace(report, is_finished=False, stopped=why), outcomes
    return report, None


def _unsent(report: PartitionReport, contents: Any, why: str) -> tuple[PartitionReport, Any]:
    rows = rows_of_all(contents, Outcome.NOT_SENT, why)
    report = replace(report, counts=counted(rows), stopped=why)
    return report, outcome_table(report.name, rows)


def link_key(student_id: str, agent_id: str) -> str:
    """Return the key of a link. No id contains a line feed."""
    return f"{student_id}\n{agent_id}"


def _reasons(phase: str, contents: Any, held: Held) -> Iterator[Reason | None]:
    """Yield why each record is not sent, or None for one that is.

    The cases, in this order:
        a link among people, or a person among links  -> invalid: it has no order there
        the same record in another partition          -> invalid: they have no order
        a link of somebody who was not saved, or may
        be in a partition that could not be read      -> not sent
    """
    columns = (contents[name].to_pylist() for name in contents.column_names[1:])
    for kind, sourced_id, student_id, user_id in zip(*columns, strict=True):
        key = sourced_id if kind != "agent" else student_id and link_key(student_id, sourced_id)
        people = [each for each in (student_id, user_id) if each is not None]
        lost = next((each for each in people if each in held.lost), None)
        doubtful = [each for each in people if held.unread and each not in held.saved]
        if kind and phase in PHASES and kind not in PHASES[phase]:
            other = "people" if phase == "links" else "links"
            yield Reason(Outcome.INVALID, f"a {kind} must be in a partition of {other}")
        elif key in held.repeated:
            why = f"is in several partitions: {held.repeated[key]}; keep one"
            yield Reason(Outcome.INVALID, why)
        elif lost is not None:
            field = "studentId" if lost == student_id else "userId"
            why = str(RecordError(field, f"{lost!r} was not saved in this run"))
            yield Reason(Outcome.NOT_SENT, why, not held.waiting.isdisjoint(people))
        elif doubtful:
            why = f"{doubtful[0]!r} may be in {held.unread}, which could not be read"
            yield Reason(Outcome.NOT_SENT, why, is_waiting=True)
        else:
            yield None


def _send(
    lane: Lane,
    records: list[Any],
    reasons: list[Reason | None],
    is_wanted: Callable[[], bool] = lambda: True,
) -> Sent:
    """Send the records that have no reason not to be."""
    rows: list[OutcomeRow | None] = [None] * len(records)
    sendable = []
    for index, (record, reason) in enumerate(zip(records, reasons, strict=True)):
        if reason is None:
            sendable.append(index)
        else:
            rows[index] = OutcomeRow(index, *identify(record), reason.outcome, error=reason.why)

    async def sending(session: TimebackSession) -> tuple[Report, str]:
        stopped = ""
        bulk = session.upsert_many(records[index] for index in sendable)

        async def watch() -> None:
            nonlocal stopped
            while is_wanted():  # noqa: ASYNC110 - an engine sends no event
                await asyncio.sleep(LOOK_AGAIN)
            stopped = UNWANTED
            bulk.stop(UNWANTED)

        watching = asyncio.create_task(watch())
        try:
            async with bulk:
                async for result in bulk:
                    index = sendable[result.index]
                    why = None if result.error is None else str(result.error)
                    rows[index] = OutcomeRow(
                        index, result.kind, result.sourced_id, result.outcome, result.status,
                        result.attempts, why,
                    )  # fmt: skip
        except TimebackError as error:
            stopped = str(error)
        finally:
            watching.cancel()
        return bulk.report, stopped

    report, stopped = lane.call(sending)
    for index, row in enumerate(rows):
        if row is None:  # it was not reached
            kind, sourced_id = identify(records[index])
            rows[index] = OutcomeRow(index, kind, sourced_id, Outcome.NOT_SENT, error=stopped)
    return Sent([row for row in rows if row is not None], report, stopped)
