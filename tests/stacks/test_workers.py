"""Task queues: one session for each process of a worker."""

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from timeback_async.testing import MockServer

TASKS = 100


async def test_taskiq(server: MockServer) -> None:
    pytest.importorskip("taskiq", reason="taskiq is not installed")
    recipe: Any = importlib.import_module("tests.stacks.recipes.taskiq_worker")

    await recipe.broker.startup()
    try:
        tasks = [await recipe.save_student.kiq(f"s-{number}") for number in range(TASKS)]
        results = [await task.wait_result(timeout=30) for task in tasks]
    finally:
        await recipe.broker.shutdown()

    assert not [result.error for result in results if result.is_err]
    assert len(server.students) == TASKS
    assert server.token_requests == 1


@pytest.fixture
def worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: MockServer
) -> Iterator[subprocess.Popen[bytes]]:
    pytest.importorskip("celery", reason="Celery is not installed")
    monkeypatch.setenv("CELERY_FOLDER", str(tmp_path))
    command = ["-m", "celery", "-A", "tests.stacks.recipes.celery_worker", "worker"]
    options = [
        "--pool",
        "prefork",
        "-c",
        "1",
        "--without-gossip",
        "--without-mingle",
        "-l",
        "error",
    ]
    process = subprocess.Popen([sys.executable, *command, *options], env=dict(os.environ))
    yield process
    process.send_signal(signal.SIGTERM)
    process.wait(30)


async def test_celery(server: MockServer, worker: subprocess.Popen[bytes]) -> None:
    recipe: Any = importlib.import_module("tests.stacks.recipes.celery_worker")

    def send() -> None:
        tasks = [recipe.save_student.delay(f"s-{number}") for number in range(TASKS)]
        for task in tasks:
            task.get(timeout=60)

    await anyio.to_thread.run_sync(send)

    assert len(server.students) == TASKS
    assert server.token_requests == 1
    assert server.connections <= 2
