"""dlt: TimeBack as a destination. The rows are students in wire form."""

import asyncio
from typing import Any

import dlt

from timeback_async import Config, TimebackSession


@dlt.destination(
    name="timeback",
    batch_size=1000,
    naming_convention="direct",  # keeps `givenName`
    max_table_nesting=0,  # keeps lists and objects in their row
    skip_dlt_columns_and_tables=True,
)
def timeback_destination(items: list[dict[str, Any]], table: dict[str, Any]) -> None:
    async def send() -> None:
        async with TimebackSession(Config.from_env()) as timeback:
            report = await timeback.upsert_many({"student": item} for item in items)
        report.raise_for_failures()

    asyncio.run(send())


@dlt.resource(
    name="students",
    columns={"primaryOrg": {"data_type": "json"}, "grades": {"data_type": "json"}},
)
def students(rows: list[dict[str, Any]]) -> Any:
    yield from rows
