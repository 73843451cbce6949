"""Celery, RQ, Dramatiq, Django under WSGI: synchronous workers, each with one session.

A portal runs an event loop in a thread of the worker's process. `asyncio.run` in each task would
ask for a token and make a connection each time.
"""

import os
from contextlib import ExitStack

from anyio.from_thread import BlockingPortal, start_blocking_portal
from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from timeback_async import Config, TimebackSession

from ._student import student_of

FOLDER = os.environ["CELERY_FOLDER"]
app = Celery(
    "timeback",
    broker="filesystem://",  # any other broker does as well
    backend=f"file://{FOLDER}",
    broker_transport_options={"data_folder_in": FOLDER, "data_folder_out": FOLDER},
)


class Worker:
    """What a process of the worker keeps open. It is opened after the fork, never before."""

    opened: ExitStack
    portal: BlockingPortal
    timeback: TimebackSession


@worker_process_init.connect
def open_session(**_: object) -> None:
    with ExitStack() as stack:
        Worker.portal = stack.enter_context(start_blocking_portal())
        session = TimebackSession(Config.from_env())
        Worker.timeback = stack.enter_context(Worker.portal.wrap_async_context_manager(session))
        Worker.opened = stack.pop_all()


@worker_process_shutdown.connect
def close_session(**_: object) -> None:
    Worker.opened.close()


@app.task
def save_student(sourced_id: str) -> None:
    Worker.portal.call(Worker.timeback.upsert_student, student_of(sourced_id))
