"""What happens to bytes on their way, over real sockets."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.amounts import amount
from tests.support.case import Case, case, private_student, private_students, trying
from tests.support.figures import figure
from tests.support.lanes import ON_AIOHTTP
from tests.support.proxy import FAIR, Then, Weather
from timeback_async import Response, TimebackSession
from timeback_async._wire.http import CREATEPUT
from timeback_async.errors import ConnectError, TimedOutError
from timeback_async.testing import Faults, MockServer


@asynccontextmanager
async def storm(weather: Callable[[int], Weather], **how: Any) -> AsyncIterator[Case]:
    """Run a case whose weather begins, with connection number 0, once the token is there."""
    async with case(weather=lambda n: weather(n - 1) if n else FAIR, **how) as it:
        await it.session.check_token(CREATEPUT)
        await all_closed(it)
        yield it


async def all_closed(it: Case) -> None:
    """Have the proxy close every connection, and wait until the client has seen it."""
    assert it.proxy is not None
    for connection in it.proxy.open:
        connection.task.cancel()
    while it.proxy.open:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.005)


# -- connections that end early

IDLE = 0.1  # seconds


async def test_an_idle_connection_closed_by_the_server_costs_no_record() -> None:
    """The keep-alive race: requests go out while the server hangs up, one connection by another."""
    how = trying(50, keepalive=10.0, counts_match=False)
    async with case(weather=Weather(idle=IDLE), **how) as it:
        assert it.proxy is not None
        for number in range(5):
            await it.upsert([private_student(f"{number}-{n}") for n in range(64)])
            await asyncio.sleep(IDLE / 2)
            before = len(it.proxy.open)
            while before and len(it.proxy.open) == before:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0)

        failed = sum(report.submitted - report.saved for report in it.reports)
        races = it.session.statistics().retries
        assert failed == 0
        assert races > 0
        figure(f"keep-alive race at an idle timeout of {IDLE} s, {races} lost: failures", failed)


@pytest.mark.parametrize("cut_by", ["server", "proxy"])
async def test_a_request_dropped_after_it_was_read_is_one_request_an_attempt(cut_by: str) -> None:
    faults = Faults(drop_after=0.3) if cut_by == "server" else Faults()
    dropped = Weather(answer_bytes=0 if cut_by == "proxy" else None)
    async with storm(lambda n: dropped if n < 100 else FAIR, faults=faults, **trying(50)) as it:
        report = await it.upsert(private_students(250))

        assert report.saved == 250
        assert report.retries >= 50
        ratio = it.server.requests / report.attempts
        assert ratio == 1
        figure(f"dropped after read by the {cut_by}: requests an attempt", f"{ratio:.3f}")


@ON_AIOHTTP
async def test_the_check_finds_requests_that_the_http_library_repeats_by_itself() -> None:

    async def run() -> None:
        async with case(faults=Faults(drop_after=0.3), **trying(50)) as it:
            it.watch.transport._session._retry_connection = True
            await it.upsert(private_students(200))
            assert it.server.requests > it.watch.attempts

    with pytest.raises(AssertionError) as caught:
        await run()

    assert "server.requests == watch.attempts" in str(caught.traceback[-1].statement)


def length(response: Response) -> int:
    """Return how many bytes a 200 answer was on the wire."""
    fields = sum(len(f"{name}: {value}\r\n") for name, value in response.headers.items())
    return len("HTTP/1.1 200 OK\r\n\r\n") + fields + len(response.body)


STEP = amount(3, long=1)


@pytest.mark.parametrize(("then", "offset"), [("close", 0), ("reset", 1), ("half-close", 2)])
async def test_an_answer_cut_off_at_any_byte_saves_no_record(then: Then, offset: int) -> None:
    """Every connection but the last ones is cut, each after a few bytes more than the one before.

    The three ways of cutting share the bytes among them; in a long run each has all of them.
    """
    cuts = range(0)

    def weather(number: int) -> Weather:
        if 0 < number <= len(cuts):
            return Weather(answer_bytes=cuts[number - 1], then=then)
        return FAIR

    async with storm(weather, **trying(1)) as it:
        first = {"student": next(it.noted([private_student("0000")]))}
        whole = length(await it.session.request("PUT", "/rostering/1.0/students", body=first))
        cuts = range(offset % STEP, whole, STEP)
        await all_closed(it)
        report = await it.upsert([private_student(f"{n:04}") for n in range(1, len(cuts) + 100)])

        assert report.attempts > len(cuts)
        assert report.saved == report.attempts - len(cuts)
        assert report.saved + report.unknown == report.submitted
        wrong = sum(each.ok and each.value.sourced_id != each.sourced_id for each in it.results)
        assert wrong == 0
        figure(f"answers cut off by {then} at {len(cuts)} of {whole} bytes: wrong results", wrong)


# -- no connection


async def test_a_record_is_not_unknown_where_the_handshake_stalls_at_each_attempt() -> None:
    connections: list[asyncio.StreamWriter] = []
    mute = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    url = f"https://localhost:{mute.sockets[0].getsockname()[1]}"
    async with mute, MockServer() as server:
        config = server.config(
            base_url=url,
            token_url=server.config().token_endpoint,
            **trying(2, attempt_timeout=0.1),
        )
        async with TimebackSession(config) as session:
            report = await session.upsert_many(private_students(3))
        for writer in connections:
            writer.transport.abort()

    assert (report.failed, report.unknown) == (3, 0)
    assert all(isinstance(each.error, ConnectError) for each in report.failures)


# -- slow answers

TRICKLE = Weather(bandwidth=1, slice=1)


async def test_a_record_whose_answer_never_ends_is_unknown_and_the_next_one_is_saved() -> None:
    how = trying(2, attempt_timeout=0.2, counts_match=False)
    async with storm(lambda _: TRICKLE, **how) as it:
        assert it.proxy is not None
        stuck = await it.upsert(private_students(16))
        it.proxy.weather = lambda _: FAIR
        fair = await it.upsert(private_students(1))

        assert (stuck.unknown, stuck.attempts) == (16, 32)
        assert all(isinstance(each.error, TimedOutError) for each in stuck.failures)
        assert fair.saved == 1
        figure("answers at 1 B/s: results of 16 records", stuck.unknown)


async def test_a_run_goes_on_around_connections_that_answer_a_byte_a_second() -> None:
    def weather(number: int) -> Weather:
        return FAIR if number % 2 else TRICKLE

    async with storm(weather, **trying(50, attempt_timeout=0.2, counts_match=False)) as it:
        report = await it.upsert(private_students(100), in_flight=8)

        assert report.saved == 100
        assert report.retries >= 4


async def test_answers_that_come_byte_by_byte_are_read_whole() -> None:
    async with case(weather=Weather(slice=1)) as it:
        report = await it.upsert(private_students(30))

        assert report.saved == report.attempts == 30
        assert all(each.value.sourced_id == each.sourced_id for each in it.results)


# -- weather that clears up

CUTS: list[Then] = ["close", "reset", "silence", "half-close"]
WEATHERS = {
    **{f"{then}-at-once": Weather(before=then) for then in CUTS},
    **{
        f"{then}-after-{n}-bytes-of-a-request": Weather(request_bytes=n, then=then)
        for then in CUTS
        for n in (0, 10, 500)
    },
    **{
        f"{then}-after-{n}-bytes-of-an-answer": Weather(answer_bytes=n, then=then)
        for then in CUTS
        for n in (0, 10, 400)
    },
}


@pytest.mark.parametrize("name", WEATHERS)
async def test_everything_is_saved_once_the_weather_is_fair(name: str) -> None:
    weather = WEATHERS[name]
    is_hole = "silence" in (weather.then, weather.before)  # it is time that ends those attempts
    is_read = weather.answer_bytes is not None and not is_hole
    how = trying(50, attempt_timeout=0.3 if is_hole else 10.0, counts_match=is_read)
    async with storm(lambda n: weather if n < 20 else FAIR, **how) as it:
        report = await it.upsert(private_students(50), in_flight=20)

        assert report.saved == 50
        assert report.retries >= 20


async def test_thousands_of_records_survive_a_mixture_of_weathers() -> None:
    draw = random.Random(7)

    def mixed(number: int) -> Weather:
        """Return a weather in which every connection ends sooner or later."""
        if draw.random() < 0.6:
            return Weather(answer_bytes=draw.randrange(20_000), then=draw.choice(CUTS))
        return draw.choice([*WEATHERS.values()])

    async with storm(mixed, **trying(100, attempt_timeout=0.3, counts_match=False)) as it:
        report = await it.upsert(private_students(2000), in_flight=24)

        assert it.proxy is not None
        lost = report.submitted - report.saved
        assert lost == 0
        assert it.proxy.connections > 100
        figure(f"{it.proxy.connections} connections of mixed weather, 2,000 records: lost", lost)
