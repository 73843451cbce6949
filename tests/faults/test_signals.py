"""Ctrl-C at bad moments: the command in a process of its own, against a server in this one."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.support.case import CANARY, Case, case, private_students
from tests.support.figures import figure
from timeback_async.testing import Faults, Throttle

RECORDS = 200


@asynccontextmanager
async def command(it: Case, path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `upsert` of the case's private_students; what it does not save goes to failures.jsonl."""
    lines = [msgspec.json.encode({"student": each}) for each in it.noted(private_students(RECORDS))]
    (path / "students.jsonl").write_bytes(b"\n".join(lines))
    config = it.server.config()
    settings = {
        "TIMEBACK_BASE_URL": config.base_url,
        "TIMEBACK_CLIENT_ID": config.client_id,
        "TIMEBACK_CLIENT_SECRET": config.client_secret,
    }
    files = path / "students.jsonl", "--failures", path / "failures.jsonl"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "timeback_async", "upsert", "--json", *files),
        env=os.environ | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()


async def until_stuck(it: Case, *, after: int, in_flight: int) -> None:
    """Wait for an answer of this status, then for the last request; so many have no answer."""
    server, seen = it.server, -1
    async with asyncio.timeout(60):
        while not server.statuses[after] or server.in_flight != in_flight or seen < server.requests:
            seen = server.requests
            await asyncio.sleep(0.05)


async def interrupt(child: asyncio.subprocess.Process) -> bytes:
    """Send the first Ctrl-C, and return what the command says to it."""
    assert child.stderr is not None
    os.kill(child.pid, signal.SIGINT)
    return await child.stderr.readline()


async def account(it: Case, child: asyncio.subprocess.Process, path: Path) -> dict[str, Any]:
    """Wait for the command's end, check that every record is accounted for, and return its own."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    out, err = await child.communicate()
    seconds = loop.time() - begin
    report: dict[str, Any] = msgspec.json.decode(out)
    lines = map(msgspec.json.decode, (path / "failures.jsonl").read_bytes().splitlines())
    kept = {line["student"]["sourcedId"]: line["_failure"]["outcome"] for line in lines}
    ended = Counter(kept.values())
    assert child.returncode == report["exit"] == 75
    assert report["planned"] == RECORDS
    outcomes = ("saved", "failed", "invalid", "not_sent", "unknown", "not_reached")
    assert sum(report[outcome] for outcome in outcomes) == RECORDS
    assert ended == Counter(
        failed=report["failed"],
        not_sent=report["not_sent"] + report["not_reached"],
        unknown=report["unknown"],
    )
    assert kept.keys() | it.server.students.keys() == it.versions.keys()
    assert len(kept) + report["saved"] == RECORDS
    assert report["requests"] >= it.server.requests
    assert report["saved"] + report["unknown"] >= len(it.server.students) >= report["saved"]
    for text in (out.decode(), err.decode()):
        assert "Traceback" not in text
        assert CANARY not in text
        assert not any(token in text for token in it.server._tokens.valid)
    return report | {"seconds": seconds}


async def test_a_second_ctrl_c_ends_a_run_behind_a_closed_gate_at_once(tmp_path: Path) -> None:
    faults = Faults(throttle=Throttle(rate=0.05, burst=8))  # Retry-After: 20 or so
    async with case(faults=faults, counts_match=False) as it, command(it, tmp_path) as child:
        await until_stuck(it, after=429, in_flight=0)
        said = await interrupt(child)
        os.kill(child.pid, signal.SIGINT)
        report = await account(it, child, tmp_path)

        assert b"Ctrl-C again" in said
        assert report["not_sent"] > 0
        assert report["seconds"] < 20
        figure("Ctrl-C twice in a closed gate: seconds to exit", round(report["seconds"], 2))


async def test_one_ctrl_c_ends_a_run_behind_a_closed_gate_at_once(tmp_path: Path) -> None:
    faults = Faults(throttle=Throttle(rate=0.05, burst=8))
    async with case(faults=faults, counts_match=False) as it, command(it, tmp_path) as child:
        await until_stuck(it, after=429, in_flight=0)
        await interrupt(child)
        report = await account(it, child, tmp_path)

        assert report["not_sent"] > 0
        assert report["seconds"] < 20
        figure("Ctrl-C once in a closed gate: seconds to exit", round(report["seconds"], 2))


@pytest.mark.parametrize("times", [1, 2])
async def test_ctrl_c_while_a_token_is_renewed_loses_sight_of_no_record(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(revoke_every=20)
    async with case(faults=faults, counts_match=False) as it, command(it, tmp_path) as child:
        is_well, grant = asyncio.Event(), it.server._grant

        async def slow_grant(request: web.BaseRequest) -> web.StreamResponse:
            if it.server.token_requests:
                await is_well.wait()
            return await grant(request)

        monkeypatch.setattr(it.server, "_grant", slow_grant)
        await until_stuck(it, after=401, in_flight=1)
        said = await interrupt(child)
        if times == 2:
            os.kill(child.pid, signal.SIGINT)
        report = await account(it, child, tmp_path)
        is_well.set()

        assert b"Ctrl-C again" in said
        assert report["not_reached"] > 0
        assert report["seconds"] < 20
        what = f"Ctrl-C {'once' if times == 1 else 'twice'} while a token is renewed"
        figure(f"{what}: seconds to exit", round(report["seconds"], 2))
