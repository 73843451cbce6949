"""Send partitions of records, or sync many districts, from a Dask cluster under one bound.

    from dask.distributed import Client, LocalCluster
    from timeback_async.dask import Fleet, send_partitions

    with LocalCluster() as cluster, Client(cluster) as client:
        report = send_partitions(client, Fleet(), people=…, links=…, out="s3://bucket/2026-11-28/")
        report.raise_for_failures()

Each worker has one session as long as it lives. A lease bounds how many of them send at once.
Needs the extra `dask`.
"""

try:
    from ..fleet import DistrictReport, DistrictsReport, FleetReport, PartitionReport, send_one
    from ._districts import sync_districts
    from ._fleet import Fleet
    from ._partitions import send_partitions
except ModuleNotFoundError as error:
    raise ImportError(
        f"{error.name} is not installed: pip install 'timeback-async[dask]'", name=error.name
    ) from None

__all__ = [
    "DistrictReport",
    "DistrictsReport",
    "Fleet",
    "FleetReport",
    "PartitionReport",
    "send_one",
    "send_partitions",
    "sync_districts",
]
