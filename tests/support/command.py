"""The commands as an operator runs them, against a mock server that runs beside them."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from anyio.from_thread import start_blocking_portal
from typer.main import get_command
from typer.testing import CliRunner, Result

from tests.support.rosters import FAMILY, folder, school
from timeback_async.cli._app import app
from timeback_async.testing import Faults, MockServer

# `CliRunner` would build every command anew for each run, which takes longer than most runs.
typer.testing._get_command = cache(get_command)  # type: ignore[attr-defined]

REFUSING = Faults(statuses={422: 1.0})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockServer]:
    """Run a mock server in a thread of its own, and point the environment to it."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(MockServer()) as server,
    ):
        monkeypatch.setenv("TIMEBACK_BASE_URL", server.base_url)
        monkeypatch.setenv("TIMEBACK_CLIENT_ID", server.client_id)
        monkeypatch.setenv("TIMEBACK_CLIENT_SECRET", server.client_secret)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.delenv("no_proxy", raising=False)
        yield server


def run(*arguments: object, **environ: str) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environ)


def when(condition: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    """Act from another thread as soon as something holds."""

    def wait() -> None:
        while not condition():
            time.sleep(0.001)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def family(*people: Mapping[str, str], name: str = "family", **more: Any) -> Path:
    """Write a package with two children and a parent, or with other people."""
    path = Path(name)
    return folder(path, school(*(people or FAMILY), **more))


def sync(*arguments: object, **environ: str) -> Result:
    """Run `sync`; whatever it prints or writes but failures holds nothing personal."""
    done = run("sync", *arguments, **environ)
    told = [done.output, *(path.read_bytes().decode("latin-1") for path in written())]
    assert not [text for text in told if "canary" in text.lower()]
    assert isinstance(done.exception, SystemExit | None)  # and no traceback
    assert "Traceback" not in done.output
    return done


def written() -> list[Path]:
    """Return the state with its companions, and every page."""
    return [path for path in Path().iterdir() if ".db" in path.name or path.suffix == ".html"]


def figures(*arguments: object, **environ: str) -> dict[str, Any]:
    """Run `sync --json` and return what it printed: JSON, and nothing else."""
    report: dict[str, Any] = json.loads(sync(*arguments, "--json", **environ).stdout)
    return report


def words(text: str) -> str:
    """Return a text as it was before it was fitted into a screen."""
    return " ".join(text.split())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
