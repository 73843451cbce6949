"""Run a task for each of many jobs on a Dask cluster: a session for each worker, one bound.

Tasks raise nothing: an engine logs the arguments of what failed.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import CancelledError
from contextlib import closing
from itertools import islice
from threading import Lock
from typing import Any

import anyio.to_thread
import dask
from dask.utils import parse_timedelta
from distributed import Client, Future, Semaphore, WorkerPlugin, as_completed, get_worker
from distributed.scheduler import KilledWorker

from .._config import Config
from ..errors import ConfigError, TimebackError
from ..fleet._lane import AT_ONCE, Lane
from ..fleet._partition import NotAPartitionError
from ._fleet import Fleet, config_of

__all__ = ["Cluster", "KilledWorker", "lane_here", "told"]

MOST_LANES = 8  # by default: one session does what the network allows
LOSSES = 10  # of records that were on their way to a worker that died
LEASE_TIMEOUT = "distributed.scheduler.locks.lease-timeout"
LEASE = 15.0  # s until the lane of a dead worker is free again; a live one renews it every 3 s


class Lanes(WorkerPlugin):  # type: ignore[misc] # distributed is typed in part
    """The session of a worker, opened when it is first needed, closed when the worker ends.

    Whoever registers it first decides: a second one would close the sessions of the first.

    Args:
        settings: Of all workers together.
        lanes: How many workers can send at once.
        name: Of the fleet, and of its leases.
        lease: Seconds after which a lease that was not renewed is free.

    Attributes:
        lease: What a worker holds while it sends.
    """

    idempotent = True

    def __init__(
        self, settings: Config | Mapping[str, Any], lanes: int, name: str, lease: float
    ) -> None:
        self._settings, self.lanes, self._name, self._seconds = settings, lanes, name, lease

    def setup(self, worker: Any) -> None:
        self._opening = Lock()
        self._lane: Lane | None = None
        # One that a task brings along renews nothing: it does not know its loop in time.
        with dask.config.set({LEASE_TIMEOUT: self._seconds}):
            self.lease = Semaphore(self.lanes, self._name, worker.scheduler, worker.loop)

    def config(self) -> Config:
        return config_of(self._settings).share(self.lanes)

    def lane(self) -> Lane:
        with self._opening:
            if self._lane is None:
                self._lane = Lane(self.config())
            return self._lane

    async def teardown(self, worker: Any) -> None:
        if self._lane is not None:
            await anyio.to_thread.run_sync(self._lane.close)


def lane_here(fleet: str) -> tuple[Lane, Semaphore]:
    """Return the session of this worker, and what it holds while it sends. For a task."""
    lanes: Lanes = get_worker().plugins[fleet]
    return lanes.lane(), lanes.lease


def told(error: BaseException) -> str:
    """Return an error in words that are not personal. Those of others may be."""
    if isinstance(error, KilledWorker):
        return f"given up by the cluster: {error.allowed_failures + 1} workers died with it"
    if isinstance(error, TimebackError | NotAPartitionError):
        return str(error)
    return f"failed on the cluster ({type(error).__name__})"


class Cluster:
    """The workers of a client, each with a session for a fleet.

    Attributes:
        client: The client.
        name: Under which name a task finds the session of its worker.
        lanes: How many workers can send at once.
        most: How many partitions to submit at once: those that can be sent, and one for each lane
            that is read meanwhile.
        threads: Number of threads of all workers.

    Raises:
        ConfigError: A setting is missing or wrong on a worker, or the client cannot be used.
    """

    def __init__(self, client: Client, fleet: Fleet) -> None:
        fleet.check(client)
        self.client = client
        workers = client.scheduler_info(n_workers=-1)["workers"]
        self.lanes = fleet.lanes or min(MOST_LANES, max(1, len(workers)))
        self.threads = max(1, sum(each["nthreads"] for each in workers.values()))
        self.name = fleet.name
        lease = min(parse_timedelta(dask.config.get(LEASE_TIMEOUT)), LEASE)
        checked = self._checked()
        if not checked or None in checked:  # a second call goes on with the sessions of the first
            lanes = Lanes(fleet.settings, self.lanes, self.name, lease)
            client.register_plugin(lanes, self.name)
        checked = self._checked()
        wrong = sorted({each for each in checked if isinstance(each, str)})
        if wrong:
            raise ConfigError(f"on a worker: {'; '.join(wrong)}")
        # An earlier call may have found another number of workers: one bound holds for both.
        self.lanes = max((each for each in checked if isinstance(each, int)), default=self.lanes)
        self.most = (AT_ONCE + 1) * self.lanes
        with dask.config.set({LEASE_TIMEOUT: lease}):  # before any worker registers it
            Semaphore(self.lanes, self.name).register()

    def _checked(self) -> list[str | int | None]:
        return list(self.client.run(_check, self.name, on_error="ignore").values())

    def each(
        self,
        names: Iterable[str],
        most: int,
        submit: Callable[[str], Future],
        is_begun: Callable[[str], bool] = lambda name: False,
        is_over: Callable[[], bool] = lambda: False,
    ) -> Generator[tuple[str, Any], None, None]:
        """Run a task for each job, and yield its result or error.

        Close it, where it may not be read to its end: then the tasks that are left are cancelled.

        The death of a worker counts against every task that it had. Tasks that are not submitted
        yet cannot suffer from it; those that were given up without having begun have another try,
        one at a time, so that one of them alone is to blame for the next death.

        Args:
            names: The jobs.
            most: How many to submit at once.
            submit: Submits the task of a job.
            is_begun: Whether a job has begun to do what should not be done twice.
            is_over: Whether no more is to be submitted.
        """
        killed = []
        with closing(self._at_once(names, most, submit, is_over)) as results:
            for name, result in results:
                if isinstance(result, KilledWorker) and most > 1 and not is_begun(name):
                    killed.append(name)
                else:
                    yield name, result
        if killed:
            yield from self.each(killed, 1, submit, is_begun, is_over)

    def _at_once(
        self,
        names: Iterable[str],
        most: int,
        submit: Callable[[str], Future],
        is_over: Callable[[], bool],
    ) -> Generator[tuple[str, Any], None, None]:
        waiting, running, losses = iter(names), {}, Counter[str]()
        completed = as_completed()

        closed: list[tuple[str, Exception]] = []

        def start(name: str) -> None:
            try:
                future = submit(name)
            except Exception as error:  # the client or its cluster was closed
                closed.append((name, error))
                return
            running[future] = name
            completed.add(future)

        for name in islice(waiting, most):
            start(name)
        try:
            for future in completed:
                name, result = running.pop(future), _result_of(future)
                if result is None and losses[name] < LOSSES:
                    losses[name] += 1
                    start(name)
                    continue
                yield name, result or TimebackError("its records were lost, as workers died")
                if not is_over():
                    for another in islice(waiting, 1):
                        start(another)
        finally:
            if running:
                self.client.cancel(list(running), force=True)
        yield from closed
        if closed:
            yield from ((name, closed[0][1]) for name in waiting)


def _check(fleet: str, dask_worker: Any) -> str | int | None:
    """Return what is wrong on a worker, else the number of lanes. None: it has no session yet."""
    if fleet not in dask_worker.plugins:
        return None
    lanes: Lanes = dask_worker.plugins[fleet]
    try:
        lanes.config()
    except ConfigError as error:
        return str(error)
    return lanes.lanes


def _result_of(future: Future) -> Any:
    """Return a result or an error; None if it died with records that only its worker had."""
    if future.status in ("finished", "error"):
        try:
            return future.result()
        except CancelledError:
            return None
        except Exception as error:
            return error
    return None
