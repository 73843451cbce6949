"""The examples of the fleet's guide, and what is said where the extra is missing."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import timeback_async
from timeback_async import TimebackSession
from timeback_async.testing import MockServer

GUIDE = (Path(timeback_async.__file__).parent / "fleet/README.md").read_text("utf-8")
EXAMPLES: list[str] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def test_every_example_compiles() -> None:
    assert len(EXAMPLES) == 3
    for code in EXAMPLES:
        compile(code, "README.md", "exec")


async def test_the_workers_of_a_web_server_share_the_limits(
    timeback_server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class App:
        state: Any = type("State", (), {})()

    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    for name in ("base_url", "client_id", "client_secret"):
        monkeypatch.setenv(f"TIMEBACK_{name.upper()}", getattr(timeback_server, name))
    (code,) = [each for each in EXAMPLES if "lifespan" in each]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own guide

    async with names["lifespan"](App):
        session: TimebackSession = App.state.timeback
        assert session.config.max_in_flight == 16


@pytest.mark.parametrize("missing", ["distributed", "dask", "pyarrow"])
def test_a_missing_extra_is_named(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import timeback_async.dask"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    told = done.stderr.splitlines()[-1]
    assert told.endswith("is not installed: pip install 'timeback-async[dask]'")


def test_the_package_does_not_need_an_engine() -> None:
    code = (
        "import sys; sys.modules['dask'] = sys.modules['pyarrow'] = None; "
        "import timeback_async, timeback_async.cli._app, timeback_async.sync"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
