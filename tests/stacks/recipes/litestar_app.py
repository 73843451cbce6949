"""Litestar: a lifespan of the application; handlers get its state."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from litestar import Litestar, put
from litestar.datastructures import State
from litestar.params import PathParameter

from timeback_async import Config, TimebackSession

from ._student import student_of


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    async with TimebackSession(Config.from_env()) as app.state.timeback:
        yield


@put("/students/{sourced_id:str}", status_code=204)
async def put_student(sourced_id: Annotated[str, PathParameter()], state: State) -> None:
    await state.timeback.upsert_student(student_of(sourced_id), deadline=10)


app = Litestar([put_student], lifespan=[lifespan])
