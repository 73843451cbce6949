"""Deleting and fetching, and runs of every kind over the wire."""

import asyncio
import ssl

import pytest
import trustme

from tests.support.bulk import FAILED, INVALID, NOT_SENT, collect, counts
from tests.support.clock import simulated
from tests.support.records import link, student, students, user
from tests.support.rig import storing
from timeback_async import AgentKey, Outcome, TimebackSession
from timeback_async._wire.codec import delete, fetch_agents
from timeback_async.errors import ConnectError
from timeback_async.testing import MockServer


async def test_everything_goes_over_the_wire(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    report = await timeback_session.upsert_many([*students(20), user("u-1"), link("s-3", "u-1")])

    assert report.ok
    assert report.submitted == report.attempts == timeback_server.requests == 22
    assert timeback_server.agents.keys() == {("s-3", link("s-3", "u-1").agent_id)}


async def test_many_links_are_deleted(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    links = [link(f"s-{n}", "u-1") for n in range(5)]
    await timeback_session.upsert_many([*students(5), user("u-1"), *links])
    keys: list[object] = [AgentKey(each.student_id, each.agent_id) for each in links]

    report = await timeback_session.delete_many([*keys, AgentKey("s-0", "nobody"), student()])

    assert counts(report) == {Outcome.DELETED: 5, FAILED: 1, INVALID: 1}
    assert timeback_server.agents == {}


async def test_the_agents_of_many_are_fetched(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    await timeback_session.upsert_many([*students(2), user("u-1"), link("s-0", "u-1")])
    bulk = timeback_session.get_many_user_agents(["s-0", "s-1", "s-0", "s-9", 3], ordered=True)

    results = await collect(bulk)

    assert [result.kind for result in results] == ["user"] * 4 + [""]
    assert [agent.user.sourced_id for agent in results[0].value] == ["u-1"]
    assert results[1].value == []
    assert [result.outcome for result in results[2:]] == [Outcome.FETCHED, FAILED, INVALID]


async def test_many_users_are_fetched(timeback_session: TimebackSession) -> None:
    await timeback_session.upsert_many([student("s-0"), user("u-1")])
    bulk = timeback_session.get_many_users(["s-0", "u-1", "gone", 3], ordered=True)

    results = await collect(bulk)

    assert [result.value.sourced_id for result in results[:2]] == ["s-0", "u-1"]
    assert [result.sourced_id for result in results] == ["s-0", "u-1", "gone", ""]
    assert [result.outcome for result in results[2:]] == [FAILED, INVALID]


@simulated
async def test_one_link_is_never_deleted_twice_at_a_time() -> None:
    rig = storing()
    rig.server.saved = {"s-1": {}, "a-1": {}}

    report = await rig.run([AgentKey("s-1", "a-1")] * 5, delete)

    assert report.deleted == 5
    assert rig.server.overlaps == set()


@simulated
async def test_reads_of_one_id_do_not_wait_for_each_other() -> None:
    rig = storing()

    report = await rig.run(["s-1"] * 4, fetch_agents)

    assert report.fetched == 4
    assert report.elapsed == pytest.approx(2)


async def test_an_unknown_authority_ends_the_run_at_the_token(timeback_server: MockServer) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    listener = await asyncio.start_server(_hang_up, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{listener.sockets[0].getsockname()[1]}"

    async with TimebackSession(timeback_server.config(base_url=url)) as session:
        bulk = session.upsert_many(students(100))
        with pytest.raises(ConnectError, match="TLS"):
            await bulk
    listener.close()
    await listener.wait_closed()

    assert counts(bulk.report) == {NOT_SENT: bulk.report.submitted}


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
