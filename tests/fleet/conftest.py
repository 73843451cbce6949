"""A mock server and a cluster, whose workers are threads of this process."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.command import server
from timeback_async.testing import MockServer

__all__ = ["server"]


@pytest.fixture
def client(server: MockServer) -> Iterator[Any]:
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
