"""A hook sees every attempt and every result, and whatever it raises changes nothing."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

import pytest

from tests.support.bulk import both_forms, finish
from tests.support.records import link, student, students, user
from tests.support.tasks import until
from timeback_async import (
    Attempt,
    Hook,
    ItemResult,
    Outcome,
    Report,
    Statistics,
    TimebackSession,
)
from timeback_async._hooks import Watched
from timeback_async.errors import BadRequestError, ConnectError, NotFoundError, RecordError
from timeback_async.testing import Faults, MockServer


class Seen(Hook):
    """Keeps everything that it sees."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.results: list[ItemResult] = []
        self.runs: list[Report | None] = []
        self.statistics: list[Callable[[], Statistics]] = []

    def opened(self, statistics: Callable[[], Statistics]) -> None:
        self.statistics.append(statistics)

    def closed(self, statistics: Callable[[], Statistics]) -> None:
        self.statistics.remove(statistics)

    def attempt(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def result(self, result: ItemResult) -> None:
        self.results.append(result)

    def run(self) -> Callable[[Report], None]:
        self.runs.append(None)
        return self._end

    def _end(self, report: Report) -> None:
        self.runs[-1] = report

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(result.outcome for result in self.results)


@both_forms
async def test_every_record_of_a_run_and_every_attempt_is_seen(is_streamed: bool) -> None:
    seen = Seen()
    faults = Faults(statuses={503: 0.2}, drop_after=0.1, seed=3)
    records = [*students(40), user("p-1"), link("s-1", "p-1"), student("s-99", given_name=None)]
    async with (
        MockServer(faults=faults) as server,
        TimebackSession(server.config(), hook=seen) as timeback,
    ):
        report = await finish(timeback.upsert_many(records), is_streamed)

    assert seen.outcomes == {outcome: n for outcome, n in report.counts.items() if n}
    assert sorted(result.index for result in seen.results) == list(range(43))
    assert len(seen.attempts) == report.attempts == server.requests
    assert sum(attempt.number > 1 for attempt in seen.attempts) == report.retries > 0
    statuses = Counter(attempt.status for attempt in seen.attempts)
    assert statuses[503] == server.statuses[503] > 0
    assert statuses[None] == server.statuses[499] > 0
    assert all(attempt.is_bulk and attempt.seconds > 0 for attempt in seen.attempts)
    assert len({attempt.request_id for attempt in seen.attempts}) == report.attempts
    assert seen.runs == [report]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda t: t.upsert_student(student("s-1")), ("student", "s-1", Outcome.SAVED, 1)),
        (lambda t: t.get_user("p-1"), ("user", "p-1", Outcome.FETCHED, 1)),
        (lambda t: t.get_user("p-9"), ("user", "p-9", Outcome.FAILED, 1)),
        (
            lambda t: t.upsert_student(student("s-1", given_name=None)),
            ("student", "s-1", Outcome.INVALID, 0),
        ),
        (lambda t: t.delete_student_agent("s-1", "a-1"), ("agent", "a-1", Outcome.FAILED, 1)),
    ],
    ids=["saved", "fetched", "not found", "invalid", "not deleted"],
)
async def test_a_single_call_has_a_result(call: Any, expected: tuple[Any, ...]) -> None:
    seen = Seen()
    async with MockServer() as server, TimebackSession(server.config(), hook=seen) as timeback:
        server.users["p-1"] = {"sourcedId": "p-1"}
        value: Any = None
        found: Exception | None = None
        try:
            value = await call(timeback)
        except (NotFoundError, RecordError) as error:
            found = error

    (result,) = seen.results
    assert (result.kind, result.sourced_id, result.outcome, result.attempts) == expected
    assert (result.value, result.error) == (value, found)
    assert result.elapsed > 0
    assert not any(attempt.is_bulk for attempt in seen.attempts)


async def test_a_call_that_is_cancelled_is_unknown_and_so_is_its_attempt() -> None:
    seen = Seen()
    async with (
        MockServer(faults=Faults(latency=60)) as server,
        TimebackSession(server.config(), hook=seen) as timeback,
    ):
        server.faults = Faults()
        await timeback.check_token("https://purl.imsglobal.org/spec/or/v1p2/scope/roster.createput")
        server.faults = Faults(latency=60)
        task = asyncio.create_task(timeback.upsert_student(student()))
        await until(lambda: server.requests == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert seen.outcomes == {Outcome.UNKNOWN: 1}
    (attempt,) = seen.attempts
    assert (attempt.status, attempt.error) == (None, None)


async def test_a_call_that_never_began_is_not_sent() -> None:
    seen = Seen()
    timeback = TimebackSession((await _config()), hook=seen)
    await timeback.open()
    task = asyncio.create_task(timeback.get_user("s-1"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    task = asyncio.create_task(timeback.get_user("s-1", deadline=0.2))
    await asyncio.gather(task, return_exceptions=True)
    await timeback.aclose()

    assert seen.outcomes == {Outcome.NOT_SENT: 1}


async def _config() -> Any:
    async with MockServer() as server:
        return server.config()


async def test_an_attempt_without_a_connection_has_its_error() -> None:
    seen = Seen()
    async with MockServer() as server:
        timeback = TimebackSession(server.config(deadline=1.0), hook=seen)
        await timeback.open()
        await timeback.upsert_student(student())
    with pytest.raises(Exception, match="no success within"):
        await timeback.upsert_student(student())
    await timeback.aclose()

    assert isinstance(seen.attempts[-1].error, ConnectError)
    assert seen.results[-1].error is not None


class Broken(Hook):
    def opened(self, statistics: object) -> None:
        raise ValueError("canary")

    def closed(self, statistics: object) -> None:
        raise ValueError("canary")

    def attempt(self, attempt: Attempt) -> None:
        raise ValueError("canary")

    def result(self, result: ItemResult) -> None:
        raise ValueError("canary")

    def run(self) -> Callable[[Report], None]:
        raise ValueError("canary")


class BrokenAtTheEnd(Broken):
    def run(self) -> Callable[[Report], None]:
        return self.opened


class Cancelling(Hook):
    def attempt(self, attempt: Attempt) -> None:
        raise asyncio.CancelledError

    def result(self, result: ItemResult) -> None:
        raise asyncio.CancelledError


async def test_a_hook_that_cancels_itself_cancels_nothing_else() -> None:
    async with (
        MockServer() as server,
        TimebackSession(server.config(), hook=Cancelling()) as timeback,
    ):
        report = await timeback.upsert_many(students(5))
        await timeback.upsert_student(student("s-99"))

    assert report.saved == 5
    assert len(server.students) == 6


class Interrupted(Hook):
    def opened(self, statistics: object) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_in_a_hook_is_for_the_process() -> None:
    with pytest.raises(KeyboardInterrupt):
        Watched(Interrupted()).opened(cast("Any", None))


@pytest.mark.parametrize("hook", [Broken(), BrokenAtTheEnd()])
async def test_what_a_hook_raises_is_logged_once_and_changes_nothing(
    hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with MockServer() as server, TimebackSession(server.config(), hook=hook) as timeback:
        report = await timeback.upsert_many(students(20))
        await timeback.upsert_student(student("s-99"))
        server.faults = Faults(statuses={400: 1.0})
        with pytest.raises(BadRequestError):
            await timeback.upsert_student(student("s-98"))

    assert report.saved == 20
    told = [record.getMessage() for record in caplog.records]
    assert sorted(told) == [
        f"the hook's {name} raised ValueError; this is logged once"
        for name in ("attempt", "closed", "opened", "result", "run")
    ]


async def test_a_hook_that_overrides_nothing_sees_nothing_and_costs_no_error() -> None:
    async with MockServer() as server, TimebackSession(server.config(), hook=Hook()) as timeback:
        assert (await timeback.upsert_many(students(3))).saved == 3


async def test_a_session_is_shown_while_it_is_open() -> None:
    seen = Seen()
    async with MockServer() as server, TimebackSession(server.config(), hook=seen) as timeback:
        await timeback.upsert_student(student())
        (statistics,) = seen.statistics
        assert (await asyncio.to_thread(statistics)).attempts == 1

    assert seen.statistics == []


NAME: ContextVar[str] = ContextVar("NAME", default="")


class Context(Seen):
    def run(self) -> Callable[[Report], None]:
        NAME.set("run")
        return super().run()

    def attempt(self, attempt: Attempt) -> None:
        self.names = {*getattr(self, "names", ()), NAME.get()}


async def test_what_a_hook_sets_for_a_run_is_set_for_its_attempts_alone() -> None:
    hook = Context()
    async with MockServer() as server, TimebackSession(server.config(), hook=hook) as timeback:
        await timeback.upsert_many(students(5))
        during = set(hook.names)
        await timeback.upsert_student(student())

    assert during == {"run"}
    assert hook.names == {"run", ""}
    assert NAME.get() == ""
