"""Send partitions of records: read all of them, then send people, then links."""

import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import dask
import msgspec
import pyarrow
from distributed import Client, Future, get_worker
from msgspec.structs import replace
from pyarrow import compute

from .._results import OK, Outcome
from ..errors import ConfigError, SourceError
from ..fleet import FleetReport, PartitionReport
from ..fleet._files import check_url, entries_of, is_same, reason
from ..fleet._folder import Folder, Held
from ..fleet._outcomes import OutcomeRow, counted, outcome_table, rows_of_all
from ..fleet._partition import Partition, Private, records_of
from ..fleet._sending import finish
from ._cluster import Cluster, KilledWorker, lane_here, told
from ._fleet import Fleet

__all__ = ["send_partitions"]

DELAYS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # s between the tries to reach a worker
UNREACHABLE = SourceError("no worker can be reached from here; pass paths instead of records")


def send_partitions(
    client: Client,
    fleet: Fleet,
    *,
    people: Any = (),
    links: Any = (),
    out: str | Path,
) -> FleetReport:
    """Send partitions of records from the workers of a cluster, people before links.

    First every partition is read, and nothing is sent: so it is known who is in several partitions,
    and whether `out` has outcomes of other records. So each partition is read, or computed, twice.

    The same call again, after a crash of this process too, sends what is missing. A partition is
    sent more than once only if its worker died while it was being sent, or if links of it waited
    for people; a finished one never is. When the client ends, its workers send nothing more.

    Args:
        client: The cluster; a client that is not asynchronous.
        fleet: The settings.
        people: Partitions of students and users: a dataframe or bag of Dask; or an iterable of
            futures, delayed values, paths or URLs of Parquet or Arrow files, or iterables of
            records. A path alone is one file, or a folder of them. Records of this process go to
            the workers directly, never by way of the scheduler.
        links: Partitions of links, in the same forms. They are sent when all people have been; a
            link of somebody who was not saved is not sent.
        out: A folder that all workers see, or the URL of an object store. Use one for each run.

    Returns:
        The report, however it went. The records of a partition that the cluster gave up are
        `unknown`. A partition that cannot be read counts as one record, since nobody knows how many
        it has; links of people whom no other partition has are not sent then.

    Raises:
        ConfigError: A setting is missing or wrong on a worker, a secret would travel unencrypted,
            or `out` has the outcomes of other records. Nothing was sent.
        TypeError: `people` or `links` are no partitions. Nothing was sent.
    """
    fleet.check(client)
    parts = {**_named("people", people, str(out)), **_named("links", links, str(out))}
    return _Run(Cluster(client, fleet), str(out), parts).done()


def _named(phase: str, given: Any, out: str) -> dict[str, Any]:
    """Return the partitions by name. Names are by position, so that they are the same next time."""
    if isinstance(given, str | Path):
        if is_same(str(given), out):
            raise ConfigError(f"out: must not be the folder of {phase}")
        files = entries_of(str(given))
        given = [given] if files is None else files
    if hasattr(given, "to_delayed"):
        given = given.to_delayed()
    if isinstance(given, msgspec.Struct | Mapping) or not isinstance(given, Iterable):
        raise TypeError(f"{phase}: must be an iterable of partitions, not a {type(given).__name__}")
    return {f"{phase}-{number:05}": _part(phase, part) for number, part in enumerate(given)}


def _part(phase: str, part: Any) -> Any:
    """Return a future, a delayed value or a path as it is, and records as a list."""
    if isinstance(part, Future) or dask.is_dask_collection(part):
        return part
    if isinstance(part, str | Path):
        check_url(str(part))
        return str(part) if "://" in str(part) else str(Path(part).absolute())
    try:
        return Private(records_of(part))
    except TypeError as error:
        raise TypeError(f"{phase}: {error}") from None


# -- what runs on a worker


class _Surveyed(msgspec.Struct, frozen=True):
    """What is in a partition, or why it cannot be read; and its report if it is finished."""

    fingerprint: str = ""
    records: int = 1
    finished: PartitionReport | None = None
    error: str = ""
    is_killed: bool = False


def _survey(part: Any, name: str, out: str) -> _Surveyed:
    try:
        folder, contents = Folder(out), Partition(part).contents
        folder.write_contents(name, contents)
        return _Surveyed(contents.fingerprint, contents.table.num_rows, folder.finished(name))
    except Exception as error:
        with suppress(Exception):  # what was finished before stays so, without its partition
            if (finished := Folder(out).finished(name)) is not None:
                return _Surveyed(finished.fingerprint, finished.records, finished)
        return _Surveyed(error=told(error))


def _send(
    part: Any, name: str, out: str, fingerprint: str, fleet: str
) -> tuple[PartitionReport, Any] | str:
    try:
        folder, (lane, lease), worker = Folder(out), lane_here(fleet), get_worker()
        key = worker.get_current_task()

        def is_wanted() -> bool:
            return key in worker.state.tasks and worker.state.tasks[key].state != "cancelled"

        return finish(
            name,
            Partition(part),
            folder,
            lane,
            held=folder.held(name.partition("-")[0]),
            expected=fingerprint,
            lease=lease,
            is_wanted=is_wanted,
            worker=worker.address,
        )
    except Exception as error:
        return told(error)


# -- what runs here


class _Run:
    """One call of `send_partitions`."""

    def __init__(self, cluster: Cluster, out: str, parts: dict[str, Any]) -> None:
        self._cluster, self._parts = cluster, parts
        self._out = out if "://" in out else str(Path(out).absolute())
        self._folder = Folder(self._out)
        self._known: dict[str, _Surveyed] = {}
        self._reports: dict[str, PartitionReport] = {}
        self._open_rows: dict[str, Any] = {}
        self._submitted: set[str] = set()
        self._stopped = ""

    def done(self) -> FleetReport:
        began = time.monotonic()
        self._folder.make()
        self._survey()
        try:
            for phase in ("people", "links"):
                names = self._readable(name for name in self._parts if name.startswith(phase))
                held = self._people_held() if phase == "links" else Held()
                held = replace(held, repeated=self._repeated(phase, names))
                self._folder.write_held(phase, held)
                self._send(names)
        except (pyarrow.ArrowException, OSError) as error:
            self._lose_folder(f"{self._out}: cannot be reached ({reason(error)})")
        reports = [self._reports[name] for name in self._parts]
        rows = list(self._open_rows.values())
        elapsed = time.monotonic() - began
        return FleetReport(self._folder, reports, rows, elapsed, self._stopped)

    # -- before anything is sent

    def _survey(self) -> None:
        for name, part in self._parts.items():
            if isinstance(part, Private):
                self._known[name] = _survey(part, name, self._out)
        others = [name for name in self._parts if name not in self._known]
        for name, result in self._cluster.each(
            others,
            2 * self._cluster.threads,
            lambda name: self._submit(_survey, name),
        ):
            if isinstance(result, _Surveyed):
                self._known[name] = result
            else:
                is_killed = isinstance(result, KilledWorker)
                self._known[name] = _Surveyed(error=told(result), is_killed=is_killed)
        changed = [
            name
            for name, each in self._known.items()
            if not each.error and each.finished and each.finished.fingerprint != each.fingerprint
        ]
        if changed:
            raise ConfigError(
                f"out: {self._out} has outcomes of other records for {', '.join(changed[:5])}; "
                "choose another folder"
            )

    def _readable(self, names: Iterable[str]) -> list[str]:
        """Return the partitions that can be read; one row stands for each of the others."""
        readable = []
        for name in names:
            known = self._known[name]
            if known.error:
                outcome = Outcome.UNKNOWN if known.is_killed else Outcome.NOT_SENT
                self._give_up(name, [OutcomeRow(0, "", "", outcome, error=known.error)])
            else:
                readable.append(name)
        return readable

    def _repeated(self, phase: str, names: list[str]) -> dict[str, str]:
        """Return the records that are in several partitions, by key, with the names of those."""
        tables = []
        for name in names:
            table = self._folder.contents(name)
            is_link = compute.equal(table["kind"], "agent")
            table = table.filter(is_link if phase == "links" else compute.invert(is_link))
            key = table["sourced_id"]
            if phase == "links":
                key = compute.binary_join_element_wise(table["student_id"], key, "\n")
            column = pyarrow.array([name] * table.num_rows, pyarrow.string())
            tables.append(pyarrow.table({"key": key, "partition": column}).drop_null())
        if not tables:
            return {}
        table = pyarrow.concat_tables(tables)
        groups = table.group_by("key").aggregate([("partition", "count_distinct")])
        several = groups.filter(compute.greater(groups["partition_count_distinct"], 1))["key"]
        found: dict[str, dict[str, None]] = {}
        for row in table.filter(compute.is_in(table["key"], several)).to_pylist():
            found.setdefault(row["key"], {})[row["partition"]] = None
        return {key: " and ".join(places) for key, places in found.items()}

    def _people_held(self) -> Held:
        """Return whose links are not sent. The last record of a person decides."""
        found: dict[str, bool] = {}
        is_open: dict[str, bool] = {}
        unread = [name for name in self._reports if self._known[name].error]
        for name, report in self._reports.items():
            if not report.ok or unread:
                has_open = name in self._open_rows
                rows = self._open_rows[name] if has_open else self._folder.outcomes(name)
                columns = (rows[column].to_pylist() for column in ("sourced_id", "outcome"))
                found |= {own: outcome in OK for own, outcome in zip(*columns, strict=True)}
                is_open |= dict.fromkeys(rows["sourced_id"].to_pylist(), has_open)
        for name in self._open_rows.keys() - set(unread):  # whatever it holds by now
            for own in self._folder.contents(name)["sourced_id"].to_pylist():
                found.setdefault(own, False)
                is_open.setdefault(own, True)
        lost = {own for own, is_ok in found.items() if own and not is_ok}
        waiting = {own for own in lost if is_open[own]}
        saved = {own for own, is_ok in found.items() if is_ok} if unread else set()
        return Held(lost=lost, waiting=waiting, unread=" and ".join(unread), saved=saved)

    # -- sending

    def _send(self, names: list[str]) -> None:
        waiting = []
        for name in names:
            finished = self._known[name].finished
            if finished is None:
                waiting.append(name)
            else:
                self._reports[name] = replace(finished, is_earlier=True)
        cluster, known = self._cluster, self._known

        def submitted(name: str) -> Future:
            self._submitted.add(name)
            return self._submit(_send, name, known[name].fingerprint, cluster.name)

        if not self._stopped:
            sent = cluster.each(
                waiting,
                cluster.most,
                submitted,
                is_begun=lambda name: self._folder.tries(name) > 0,
                is_over=lambda: bool(self._stopped),
            )
            with closing(sent):  # whatever ends it, no worker goes on
                for name, result in sent:
                    self._take(name, result)
        for name in waiting:
            if name not in self._reports:
                why = f"not reached: {self._stopped}"
                rows = rows_of_all(self._folder.contents(name), Outcome.NOT_SENT, why)
                self._give_up(name, rows)

    def _take(self, name: str, result: Any) -> None:
        """Take what became of a partition; end the run if no other partition could be sent."""
        finished = self._folder.finished(name)
        if isinstance(result, tuple):
            self._reports[name], rows = result
            if rows is not None:
                self._open_rows[name] = rows
                # One that was never begun says nothing about the others, nor one that waits.
                report = self._reports[name]
                if report.tries and not report.waiting:
                    self._stopped = self._stopped or report.stopped
        elif finished is not None:  # it was finished before its worker died
            self._reports[name] = finished
        else:
            why = result if isinstance(result, str) else told(result)
            outcome = Outcome.UNKNOWN if self._folder.tries(name) else Outcome.NOT_SENT
            self._give_up(name, rows_of_all(self._folder.contents(name), outcome, why))

    def _give_up(self, name: str, rows: list[OutcomeRow], tries: int | None = None) -> None:
        self._open_rows[name] = outcome_table(name, rows)
        tries = self._folder.tries(name) if tries is None else tries
        self._reports[name] = PartitionReport(
            name=name, records=len(rows), counts=counted(rows), tries=tries,
            stopped=rows[0].error or "" if rows else "",
        )  # fmt: skip

    def _lose_folder(self, why: str) -> None:
        """Report all other partitions without their folder, which has the ids of their records."""
        self._stopped = self._stopped or why
        for name in self._parts.keys() - self._reports.keys():
            known, is_begun = self._known[name], name in self._submitted
            if known.finished is not None:
                self._reports[name] = replace(known.finished, is_earlier=True)
                continue
            outcome = Outcome.UNKNOWN if is_begun or known.is_killed else Outcome.NOT_SENT
            told_why = known.error or why
            rows = [OutcomeRow(n, "", "", outcome, error=told_why) for n in range(known.records)]
            self._give_up(name, rows, tries=int(is_begun))

    def _submit(self, task: Any, name: str, *more: Any) -> Future:
        part = self._handle(self._parts[name])
        return self._cluster.client.submit(task, part, name, self._out, *more, pure=False)

    def _handle(self, part: Any) -> Any:
        """Return a partition as what a task takes."""
        if isinstance(part, Private):
            for delay in DELAYS:
                with suppress(Exception):  # the worker that was chosen has just died
                    return self._cluster.client.scatter(part, direct=True, hash=False)
                time.sleep(delay)
            return UNREACHABLE
        if isinstance(part, Future) or not dask.is_dask_collection(part):
            return part
        return self._cluster.client.compute(part)
