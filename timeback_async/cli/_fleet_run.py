"""The work of `fleet`: a cluster on this machine, for as long as the command."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict
from rich.markup import escape

from .._results import OK, Outcome
from ..errors import ConfigError
from ..sync import ReadOptions
from ._exit import EXIT
from ._options_words import named_by_flags
from ._progress import Show, working
from ._screen import (
    MAX_FAILURE_ROWS,
    FailureRow,
    counted,
    out,
    print_error,
    print_failures,
    print_json,
    print_table,
    printable,
)
from ._settings import config_from_env
from ._signals import sigterm_as_ctrl_c
from ._sync_run import Comparing

if TYPE_CHECKING:
    from ..dask import DistrictsReport, FleetReport

__all__ = ["run_fleet"]

CLUSTER = {
    # A worker that dies is replaced, however long that takes, and its lane is free again soon.
    "distributed.deploy.lost-worker-timeout": "1h",
    "distributed.scheduler.locks.lease-timeout": "5s",
    "distributed.scheduler.locks.lease-validation-interval": "1s",
    # Records do not go to the disk.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
}


def run_fleet(
    paths: Sequence[str],
    settings: dict[str, Any],
    options: ReadOptions,
    comparing: Comparing,
    *,
    workers: int,
    lanes: int | None,
    folder: str,
    states: Path,
    json: bool,
) -> int:
    """Send partitions or sync districts, print the report, and return the exit code.

    Raises:
        ConfigError: A setting or a path is wrong, or the extra `dask` is missing. Nothing was sent.
    """
    try:
        from ..dask import Fleet, send_partitions, sync_districts
    except ImportError as error:
        raise ConfigError(str(error)) from None
    people, links, districts = _by_kind(paths, (folder, str(states)))
    config = config_from_env(**settings)  # what is wrong is told before a cluster is started
    settings |= {"trust_env": config.trust_env, "transport": config.transport}
    what = counted(len(districts or people + links), "district" if districts else "partition")
    show = Show.of(json=json, log_format=None)
    report: DistrictsReport | FleetReport
    try:
        with (
            named_by_flags(),
            sigterm_as_ctrl_c(),
            working(f"sending {what}", show),
            _cluster(workers) as client,
        ):
            fleet = Fleet(settings, lanes=lanes)
            if districts:
                report = sync_districts(
                    client, fleet, districts=districts, states=states, out=folder,
                    options=options, **asdict(comparing),
                )  # fmt: skip
            else:
                report = send_partitions(client, fleet, people=people, links=links, out=folder)
    except KeyboardInterrupt:
        print_error("interrupted; the same command continues from what is finished")
        raise
    code = EXIT.OK if report.ok else EXIT.PARTIAL
    if json:
        print_json(report.as_dict() | {"error": "" if report.ok else str(report), "exit": code})
    else:
        _print(report)
        held = "a page of each district" if districts else "the outcomes"
        out.print(f"{escape(folder)} holds {held}.")
    return code


def _by_kind(
    paths: Sequence[str], outputs: Sequence[str]
) -> tuple[list[str], list[str], list[str]]:
    """Return the partitions of people, those of links, and the districts; and no output folder.

    Raises:
        ConfigError: There is neither, or there are both.
    """
    from ..fleet._files import columns_of, is_partition, is_same
    from ..fleet._tables import kind_of

    found = (each for path in paths for each in _entries(path))
    inside = [each for each in found if not any(is_same(each, output) for output in outputs)]
    files = [each for each in inside if is_partition(each)]
    if not inside or (files and len(files) < len(inside)):
        raise ConfigError("PATH: must be partitions or districts, not both and not neither")
    if not files:
        return [], [], inside
    people: list[str] = []
    links: list[str] = []
    for file in files:
        names = columns_of(file)
        is_link = kind_of(names) == "agent" or names == ["agent"]
        (links if is_link else people).append(file)
    return people, links, []


def _entries(path: str) -> list[str]:
    """Return what is in a folder of partitions or districts; anything else as it is."""
    from ..fleet._files import entries_of

    if any(Path(path).glob("*.csv")):  # a package is a folder, too
        return [path]
    found = entries_of(path)
    return [path] if found is None else found


@contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set(CLUSTER),
        # Three threads each: one reads the next partition while the others send.
        LocalCluster(
            n_workers=workers,
            threads_per_worker=3,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _print_failures(failures: Any) -> None:
    rows = [
        FailureRow(
            row["partition"], row["kind"], row["sourced_id"], Outcome(row["outcome"]), row["error"]
        )
        for row in failures.slice(0, MAX_FAILURE_ROWS).to_pylist()
    ]
    if rows:
        print_failures(rows, failures.num_rows - len(rows))


def _print(report: "DistrictsReport | FleetReport") -> None:
    from ..dask import FleetReport

    if isinstance(report, FleetReport):
        print_table(
            "Partitions",
            ("partition", "records", "saved", "tries", "s", ""),
            (
                (
                    each.name, f"{each.records:,}", f"{each.counts[Outcome.SAVED]:,}",
                    str(each.tries), f"{each.seconds:.1f}",
                    each.stopped or ("sent before" if each.is_earlier else ""),
                )
                for each in report.partitions
            ),
        )  # fmt: skip
        with suppress(OSError):  # the report says that the folder cannot be read
            _print_failures(report.failures())
    else:
        print_table(
            "Districts",
            ("district", "planned", "done", "unchanged", "left out", "s", ""),
            (
                (
                    printable(each.name), f"{each.planned:,}",
                    f"{sum(each.counts.get(o, 0) for o in OK):,}", f"{each.unchanged:,}",
                    f"{each.left_out:,}", f"{each.elapsed:.1f}", each.stopped,
                )
                for each in report.districts
            ),
        )  # fmt: skip
    out.print(escape(str(report)))
