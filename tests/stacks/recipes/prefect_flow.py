"""Prefect: one task sends everything, since a session knows best how much at once."""

from typing import Any

from prefect import flow, task

from timeback_async import Config, TimebackSession


@task(retries=2, retry_delay_seconds=1)
async def send(records: list[dict[str, Any]]) -> dict[str, Any]:
    async with TimebackSession(Config.from_env()) as timeback:
        report = await timeback.upsert_many(records)
    report.raise_for_failures()  # a repeated upsert leaves the same records
    return report.as_dict()


@flow
async def nightly(records: list[dict[str, Any]]) -> dict[str, Any]:
    return await send(records)
