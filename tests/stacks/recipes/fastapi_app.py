"""FastAPI: the session opens and closes with the application, and all requests share it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from timeback_async import Config, TimebackSession
from timeback_async.errors import RecordError, TimebackError

from ._student import student_of


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with TimebackSession(Config.from_env()) as app.state.timeback:
        yield


app = FastAPI(lifespan=lifespan)


@app.put("/students/{sourced_id}", status_code=204)
async def put_student(sourced_id: str, request: Request) -> None:
    # Less time than the client waits, so that there is an answer in any case.
    await request.app.state.timeback.upsert_student(student_of(sourced_id), deadline=10)


@app.exception_handler(TimebackError)
async def not_saved(request: Request, error: TimebackError) -> JSONResponse:
    status = 422 if isinstance(error, RecordError) else 503 if error.retryable else 502
    return JSONResponse({"detail": str(error)}, status)
