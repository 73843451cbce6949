"""Which transport a configuration gets, what it refuses, and what a program sees of it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.config import config
from tests.support.tasks import steps
from timeback_async import Config, TimebackSession
from timeback_async._transport.aiohttp import AiohttpTransport
from timeback_async._transport.direct import DirectTransport
from timeback_async._transport.lanes import transport_for
from timeback_async.errors import ConfigError

KEYS = {"TIMEBACK_CLIENT_ID": "me", "TIMEBACK_CLIENT_SECRET": "x"}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, AiohttpTransport),
        ({"transport": "aiohttp"}, AiohttpTransport),
        ({"transport": "direct"}, DirectTransport),
    ],
)
async def test_the_configuration_names_the_transport(
    settings: dict[str, Any], kind: type[object]
) -> None:
    transport = transport_for(config(**settings), None)
    await transport.aclose()
    await steps(1)

    assert type(transport) is kind


@pytest.mark.parametrize("name", ["aiohttp", "direct"])
def test_the_environment_names_the_transport(name: str) -> None:
    assert Config.from_env(KEYS | {"TIMEBACK_TRANSPORT": name}).transport == name
    assert Config.from_env(KEYS | {"TIMEBACK_TRANSPORT": ""}).transport == "aiohttp"


def test_a_transport_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="TIMEBACK_TRANSPORT"):
        Config.from_env(KEYS | {"TIMEBACK_TRANSPORT": "other"})
    with pytest.raises(ConfigError, match="transport"):
        config(transport="other")


@pytest.mark.parametrize("library", ["httptools", "aiohappyeyeballs"])
async def test_a_library_that_is_not_installed_is_named_with_its_extra(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.startswith("timeback_async._transport.") and name.endswith(
            ("direct", "origin", "connection")
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(ConfigError) as caught:
        transport_for(config(transport="direct"), None)

    assert library in str(caught.value)
    assert 'pip install "timeback-async[fast]"' in str(caught.value)


async def test_traces_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="trace_configs"):
        TimebackSession(config(transport="direct"), trace_configs=[aiohttp.TraceConfig()])


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_a_proxy_is_refused_without_its_password(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://me:password-canary@proxy.test:3128")
    with pytest.raises(ConfigError, match="proxy") as caught:
        transport_for(config(transport="direct", trust_env=True), None)
    assert "canary" not in str(caught.value)

    for settings in ({"trust_env": False}, {"base_url": "https://exempt.test"}):
        monkeypatch.setenv("NO_PROXY", "exempt.test")
        await transport_for(config(transport="direct", **settings), None).aclose()


async def test_a_proxy_for_the_tokens_alone_is_refused_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "timeback.test")
    settings = {"transport": "direct", "token_url": "https://tokens.test/t", "trust_env": True}

    with pytest.raises(ConfigError, match="proxy"):
        transport_for(config(**settings), None)


DEVELOPING = """
import asyncio, sys, uvloop
sys.path.insert(0, {root!r})
from tests.support.config import config
from tests.support.raw import DROP, RawServer, Reply, reply
from timeback_async._transport.lanes import transport_for

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60.0  # a slow computer is no fault
    script = [reply(), DROP, Reply(), Reply(then="reset"), Reply(b"x"), reply()]
    async with RawServer(*script) as server:
        transport = transport_for(config(base_url=server.url, transport="direct"), None)
        for number in range(12):
            sending = transport.send("PUT", server.url + "/x", {{}}, b"{{}}", 0.02)
            request = asyncio.create_task(sending)
            if number % 4 == 3:
                await asyncio.sleep(0.001)
                request.cancel()
            await asyncio.wait([request])
            request.cancelled() or request.exception()
        await transport.aclose()

{run}(main())
"""


@pytest.mark.parametrize("run", ["asyncio.run", "uvloop.run"])
def test_a_program_in_development_mode_is_told_nothing(run: str) -> None:
    root = str(Path(__file__).parents[2])
    program = DEVELOPING.format(root=root, run=run)
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
