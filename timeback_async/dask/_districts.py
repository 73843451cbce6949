"""Sync many districts, each with a package and a state of its own, under one bound."""

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from distributed import Client, Future, get_worker
from msgspec.structs import replace

from ..errors import ConfigError
from ..fleet import DistrictReport, DistrictsReport
from ..fleet._district import sync_district
from ..fleet._folder import Folder
from ..sync import ReadOptions
from ._cluster import Cluster, lane_here, told
from ._fleet import Fleet

__all__ = ["sync_districts"]


def sync_districts(
    client: Client,
    fleet: Fleet,
    *,
    districts: Iterable[str | Path],
    states: str | Path,
    out: str | Path,
    options: ReadOptions | None = None,
    **comparing: Any,
) -> DistrictsReport:
    """Bring TimeBack up to date with many rosters, as `sync` does with one.

    A single roster needs no fleet: one process sends as fast as the server allows. The same call
    again continues from where this one ended, however it ended.

    Args:
        client: The cluster; a client that is not asynchronous.
        fleet: The settings.
        districts: The packages, each with its own people; the workers have to see the files.
        states: Folder with a state for each, on a disk of the workers that can lock files.
        out: Folder for the pages: one of each district, and `index.html` over all.
        options: How the packages are read.
        **comparing: Options of `timeback_async.sync.plan`.

    Raises:
        ConfigError: A setting is missing or wrong on a worker, a secret would travel unencrypted,
            or two districts have the same name, or one that is not UTF-8. Nothing was sent.
    """
    fleet.check(client)
    began, started = time.time(), time.monotonic()
    paths = [Path(each).absolute() for each in districts]
    by_name = {path.name: path for path in paths}
    if len(by_name) < len(paths):
        raise ConfigError("districts: two of them have the same name, which names their states")
    for name in by_name:
        if name != name.encode(errors="replace").decode():
            raise ConfigError(
                f"districts: the name {name!a} is not UTF-8, and a page has it; rename it"
            )
    if "index" in by_name:
        raise ConfigError("districts: one is called index, as the page over all of them is")
    folder, states = Folder(str(out)), Path(states).absolute()
    folder.make()
    states.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(client, fleet)

    def submitted(name: str) -> Future:
        state = states / f"{name}.db"
        where = folder.url if "://" in folder.url else str(Path(folder.url).absolute())
        return client.submit(
            partial(_sync, options or ReadOptions(), comparing),
            by_name[name], state, where, cluster.name, pure=False,
        )  # fmt: skip

    reports = {}
    for name, result in cluster.each(by_name, cluster.most, submitted):
        is_told = isinstance(result, DistrictReport)
        reports[name] = result if is_told else DistrictReport(name=name, stopped=told(result))
    found = [reports[name] for name in by_name]
    report = DistrictsReport(districts=found, began=began, elapsed=time.monotonic() - started)
    folder.write("index.html", report.as_html().encode())
    return report


def _sync(
    options: ReadOptions,
    comparing: dict[str, Any],
    path: Path,
    state: Path,
    out: str,
    fleet: str,
) -> DistrictReport:
    worker = get_worker().address
    try:
        lane, lease = lane_here(fleet)
        report = sync_district(path, state, lane, options, comparing, lease)
    except Exception as error:
        return DistrictReport(name=path.name, worker=worker, stopped=told(error))
    facts = DistrictReport.of(path.name, report, worker)
    try:
        Folder(out).write(f"{path.name}.html", report.as_html().encode())
    except Exception as error:
        why = f"its page cannot be written ({type(error).__name__})"
        facts = replace(facts, ok=False, stopped=facts.stopped or why)
    return facts
