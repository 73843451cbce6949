"""A sync as part of somebody else's program: a plan looked at, a run in a web backend's task."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.support.districts import District
from tests.support.rosters import adult, child, folder, school
from timeback_async import ItemResult, Outcome, TimebackSession
from timeback_async.sync import (
    Change,
    PlanRefusedError,
    State,
    SyncReport,
    SyncRun,
    plan,
    read_roster,
    run,
)
from timeback_async.testing import Faults, MockServer

STUDENTS = 200
ROSTER = school(adult("u-1"), *(child(f"s-{n}", "u-1" if n < 5 else "") for n in range(STUDENTS)))


class Backend:
    """A web application that syncs in the background and tells how far it is.

    Attributes:
        done: Records by outcome, as they came.
        running: The sync, once it has begun.
        finished: Its task.
    """

    def __init__(self, roster: Path, server: MockServer) -> None:
        self._roster, self._server = roster, server
        self.done: dict[str, int] = {}
        self.running: SyncRun | None = None
        self.finished: asyncio.Task[None] | None = None

    def take(self, change: Change, result: ItemResult) -> None:
        self.done[result.outcome] = self.done.get(result.outcome, 0) + 1

    async def sync(self) -> None:
        config = self._server.config()
        with (
            await asyncio.to_thread(State, self._roster.with_suffix(".db"), config) as state,
            await asyncio.to_thread(read_roster, self._roster) as roster,
        ):
            changes = await asyncio.to_thread(plan, roster, state)
            async with TimebackSession(config) as session:
                self.running = run(session, changes, on_result=self.take)
                await self.running

    async def begin(self, request: web.Request) -> web.Response:
        self.finished = asyncio.create_task(self.sync())
        return web.json_response({"begun": True}, status=202)

    async def progress(self, request: web.Request) -> web.Response:
        return web.json_response(self.done)

    async def stop(self, request: web.Request) -> web.Response:
        assert self.running is not None
        self.running.stop()
        return web.Response(status=204)

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/sync", self.begin)
        application.router.add_get("/sync", self.progress)
        application.router.add_delete("/sync", self.stop)
        return application


@pytest.fixture
async def server() -> AsyncIterator[MockServer]:
    async with MockServer(faults=Faults(latency=0.01)) as running:
        yield running


async def test_a_callback_that_raises_costs_no_result_and_does_not_keep_the_state(
    server: MockServer, tmp_path: Path
) -> None:
    children = [child(f"s-{number}", "u-1") for number in range(5)]
    path = folder(tmp_path / "school", school(*children, adult("u-1")))
    alone = folder(tmp_path / "alone", school(*(child(f"s-{n}") for n in range(5)), adult("u-1")))

    def broken(change: object, result: object) -> None:
        raise ValueError("canary")

    with State(tmp_path / "state.db", server.config()) as state:
        async with TimebackSession(server.config()) as timeback:
            with read_roster(path) as roster:
                await run(timeback, plan(roster, state))
            server.agents.clear()
            with read_roster(alone) as roster:
                changes = plan(roster, state, unlink_absent=True, max_removals="100%")
                running = run(timeback, changes, on_result=broken)
                with pytest.raises(ValueError, match="canary"):
                    await running

        assert running.report.counts[Outcome.DELETED] == running.report.planned == 5
        assert not state.is_in_use


@pytest.fixture
async def backend(server: MockServer, tmp_path: Path) -> AsyncIterator[tuple[Backend, str]]:
    """A backend that listens, and where."""
    own = Backend(folder(tmp_path / "roster", ROSTER), server)
    runner = web.AppRunner(own.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield own, f"http://{host}:{port}/sync"
    await runner.cleanup()


async def until_some_are_done(client: ClientSession, url: str) -> Any:
    while True:
        async with client.get(url) as answer:
            if found := await answer.json():
                return found
        await asyncio.sleep(0.001)


async def test_a_web_backend_answers_at_once_and_tells_how_far_its_sync_is(
    backend: tuple[Backend, str], server: MockServer
) -> None:
    own, url = backend
    async with ClientSession() as client:
        async with client.post(url) as answer:
            begun, requests_then = answer.status, server.requests
        progress = await until_some_are_done(client, url)
        assert own.finished is not None
        await own.finished

    assert (begun, requests_then) == (202, 0)
    assert 0 < progress["saved"] <= STUDENTS + 6
    assert own.done == {"saved": STUDENTS + 6}
    assert own.running is not None
    assert own.running.report.ok
    assert len(server.students) == STUDENTS
    assert len(server.agents) == 5


async def test_a_web_backend_stops_its_sync_in_order_and_goes_on_later(
    backend: tuple[Backend, str], server: MockServer
) -> None:
    own, url = backend
    async with ClientSession() as client:
        for _ in range(2):
            await (await client.post(url)).read()
            await until_some_are_done(client, url)
            await (await client.delete(url)).read()
            assert own.finished is not None
            await own.finished
            assert own.running is not None
            assert own.running.report.stopped == "interrupted"
            own.done.clear()
    sent = server.requests

    await own.sync()

    assert own.running is not None
    assert own.running.report.ok
    assert own.running.report.unchanged == sent
    assert server.requests == STUDENTS + 6


async def test_a_plan_that_was_refused_is_looked_at_and_never_sent(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*(child(f"0{n}") for n in range(5))))
    sent = server.requests
    path = folder(district.path / "again", school(*(child(str(n)) for n in range(5))))

    with State(district.state_path, district.config()) as state, read_roster(path) as roster:
        with pytest.raises(PlanRefusedError) as refused:
            plan(roster, state)
        found = refused.value.plan
        async with TimebackSession(district.config()) as session:
            with pytest.raises(PlanRefusedError, match="lost their leading zeros"):
                run(session, found)
        looked_at = [found.described(change) for change in found]
        report = SyncReport.of(found)

    assert [(each["action"], each["id"]) for each in looked_at] == [
        ("create", str(n)) for n in range(5)
    ]
    assert (report.is_refused, report.planned, report.stopped) == (True, 5, str(refused.value))
    assert server.requests == sent


async def test_a_plan_is_looked_at_before_it_is_carried_out(
    server: MockServer, tmp_path: Path
) -> None:
    path = folder(tmp_path / "roster", ROSTER)
    with State(tmp_path / "state.db", server.config()) as state, read_roster(path) as roster:
        changes = await asyncio.to_thread(plan, roster, state)
        looked_at = [f"{each.action} {each.kind}" async for each in changes]
        sent_by_looking = server.requests
        async with TimebackSession(server.config()) as session:
            report = await run(session, changes)

    assert sent_by_looking == 0
    assert looked_at == [
        "create user",
        *["create student"] * STUDENTS,
        *["link agent"] * 5,
    ]
    assert report.done == len(looked_at)


async def test_the_event_loop_turns_while_a_run_writes_its_state(
    server: MockServer, tmp_path: Path
) -> None:
    path = folder(tmp_path / "roster", ROSTER)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    with State(tmp_path / "state.db", server.config()) as state, read_roster(path) as roster:
        async with TimebackSession(server.config()) as session:
            neighbour = asyncio.create_task(others())
            await run(session, plan(roster, state))
            neighbour.cancel()

    assert turns > 5
