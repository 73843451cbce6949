"""taskiq: the session is part of the worker's state.

Tasks run in the worker, so its events alone open a session, and not those of the client: a broker
in memory fires both.
"""

from typing import Annotated

from taskiq import Context, InMemoryBroker, TaskiqDepends, TaskiqEvents, TaskiqState

from timeback_async import Config, TimebackSession

from ._student import student_of

broker = InMemoryBroker()


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_session(state: TaskiqState) -> None:
    state.timeback = await TimebackSession(Config.from_env()).open()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_session(state: TaskiqState) -> None:
    await state.timeback.aclose()


@broker.task
async def save_student(sourced_id: str, context: Annotated[Context, TaskiqDepends()]) -> None:
    await context.state.timeback.upsert_student(student_of(sourced_id))
