"""Send partitions of records from many processes, without an engine.

`send_one` and `send_part` send one partition, in whatever process calls them;
`timeback_async.dask` runs them on a cluster. They need the extra `parquet`.
"""

from ._district import DistrictReport
from ._districts import DistrictsReport
from ._outcomes import PartitionReport
from ._report import FleetReport
from ._sending import send_one, send_part

__all__ = [
    "DistrictReport",
    "DistrictsReport",
    "FleetReport",
    "PartitionReport",
    "send_one",
    "send_part",
]
