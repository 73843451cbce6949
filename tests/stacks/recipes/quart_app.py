"""Quart: `while_serving` is its lifespan."""

from collections.abc import AsyncIterator

from quart import Quart, current_app

from timeback_async import Config, TimebackSession

from ._student import student_of

app = Quart(__name__)


@app.while_serving
async def lifespan() -> AsyncIterator[None]:
    async with TimebackSession(Config.from_env()) as timeback:
        app.extensions["timeback"] = timeback
        yield


@app.put("/students/<sourced_id>")
async def put_student(sourced_id: str) -> tuple[str, int]:
    await current_app.extensions["timeback"].upsert_student(student_of(sourced_id), deadline=10)
    return "", 204
