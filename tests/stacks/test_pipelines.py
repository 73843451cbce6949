"""Pipelines and orchestrators."""

import importlib
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.records import wire_student
from timeback_async.testing import MockServer

ROWS = [wire_student(f"s-{number}") for number in range(1200)]


async def test_dlt(server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.chdir(tmp_path)
    dlt: Any = pytest.importorskip("dlt", reason="dlt is not installed")
    recipe: Any = importlib.import_module("tests.stacks.recipes.dlt_destination")
    pipeline = dlt.pipeline(
        "roster", destination=recipe.timeback_destination(), pipelines_dir=str(tmp_path)
    )

    await anyio.to_thread.run_sync(lambda: pipeline.run(recipe.students(ROWS)))

    assert server.students == {row["sourcedId"]: row for row in ROWS}
    assert server.token_requests == 2  # a batch each


async def test_prefect(server: MockServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    pytest.importorskip("prefect", reason="Prefect is not installed")
    testing: Any = importlib.import_module("prefect.testing.utilities")
    recipe: Any = importlib.import_module("tests.stacks.recipes.prefect_flow")

    with testing.prefect_test_harness(server_startup_timeout=120):
        report = await recipe.nightly([{"student": row} for row in ROWS[:100]])

    assert report["saved"] == len(server.students) == 100
