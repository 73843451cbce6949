"""Starlette: the session is part of the state that the lifespan yields."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from timeback_async import Config, TimebackSession

from ._student import student_of


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    async with TimebackSession(Config.from_env()) as timeback:
        yield {"timeback": timeback}


async def put_student(request: Request) -> Response:
    student = student_of(request.path_params["sourced_id"])
    await request.state.timeback.upsert_student(student, deadline=10)
    return Response(status_code=204)


app = Starlette(
    lifespan=lifespan, routes=[Route("/students/{sourced_id}", put_student, methods=["PUT"])]
)
