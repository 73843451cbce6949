"""Records that break the server, records that come twice, ids that want to be something else."""

import asyncio
import json
import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, product
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from yarl import URL

from tests.support.amounts import amount
from tests.support.case import Case, case, private_student, private_students
from tests.support.clock import simulated
from tests.support.figures import figure
from tests.support.records import student, user
from tests.support.rig import storing
from tests.support.storing import DROPPED, LOST, STUCK, Answer, refusal
from timeback_async import (
    AgentKey,
    AgentLink,
    ItemResult,
    Outcome,
    Response,
    RetryPolicy,
    Student,
)
from timeback_async._bulk.delivery import Delivery
from timeback_async._bulk.order import Order
from timeback_async._bulk.run import Bulk
from timeback_async._flow.call import Call
from timeback_async._flow.pool import RequestPool
from timeback_async._wire.codec import Operation, delete, fetch_agents, fetch_user, upsert
from timeback_async.errors import RecordError
from timeback_async.models import ids
from timeback_async.testing import Faults
from timeback_async.testing._answers import Refusal

SAVED, FAILED, INVALID = Outcome.SAVED, Outcome.FAILED, Outcome.INVALID

# -- poison

CROWD = amount(400, long=2_000)


async def test_poison_records_are_given_up_and_cost_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with case(retry=RetryPolicy(initial=0.01)) as it:
        poison = {f"s-{n}" for n in range(50, CROWD, 100)}
        put_student = it.server._api._put_student

        def choke(body: bytes) -> tuple[int, object]:
            if json.loads(body)["student"]["sourcedId"] in poison:
                raise Refusal(500, "cannot be read")
            return put_student(body)

        monkeypatch.setattr(it.server._api, "_put_student", choke)

        report = await it.upsert(private_students(CROWD))

        failed = [result for result in it.results if result.outcome is FAILED]
        others = [result for result in it.results if result.outcome is not FAILED]
        assert {result.sourced_id for result in failed} == poison
        assert {result.attempts for result in failed} == {4}
        assert {(each.outcome, each.attempts) for each in others} == {(SAVED, 1)}
        assert report.saved == len(it.server.students) == CROWD - len(poison)
    figure("1 % poison: attempts for each poison record", max(each.attempts for each in failed))


# -- one id several times

LATE = [LOST, STUCK, DROPPED, refusal(503), refusal(429, Retry_After="2")]
late_answers = st.lists(
    st.sampled_from([*LATE, *(Answer(seconds=s, is_stored=True) for s in (0, 5, 25, 40))]),
    max_size=4,
)


@given(
    owns=st.lists(st.sampled_from("abc"), min_size=1, max_size=15),
    answers=st.dictionaries(st.sampled_from("abc"), late_answers),
    in_flight=st.integers(1, 6),
)
@settings(max_examples=100, deadline=None)
@simulated
async def test_versions_of_a_record_arrive_one_after_the_other(
    owns: list[str], answers: dict[str, list[Answer]], in_flight: int
) -> None:
    rig = storing(max_in_flight=8)
    rig.server.answers = {own: list(script) for own, script in answers.items()}
    records = [student(own, given_name=f"{n:02}") for n, own in enumerate(owns)]

    report = await rig.run(records, in_flight=in_flight)

    assert report.saved == len(records)
    assert rig.server.overlaps == set()
    arrived = list(zip(rig.server.seen, rig.server.versions, strict=True))
    for own in set(owns):
        given = [each.given_name for each in records if each.sourced_id == own]
        came = [version for who, version in arrived if who == own]
        assert list(dict.fromkeys(came)) == given
        assert came == sorted(came)
        assert rig.server.saved[own]["givenName"] == given[-1]


async def test_the_last_version_stays_though_answers_to_earlier_ones_are_lost() -> None:
    people = amount(25, long=100)
    records = [private_student(n % people, version=n // people) for n in range(10 * people)]
    faults = Faults(drop_after=0.2, truncate=0.1, statuses={503: 0.1}, latency=(0, 0.005))
    async with case(faults=faults, retry=RetryPolicy(attempts=30, initial=0.001)) as it:
        report = await it.upsert(records)

        assert report.saved == len(records)
        assert report.retries > people
    figure(f"{people} ids, 10 versions each, 3 in 10 answers lost: wrong last versions", 0)


# -- hostile ids

ROSTERING = "/rostering/1.0/"
HOSTILE = "./\\%?#@&;:+ \r\n\x00\x85\xa0\u2028\u200e\ufeff\ud800aZ09-_é日😀"
NASTY = [
    "..", ".", "/", "//", "%2e", "%2F", "%", "?", "#", "\\", " ", "\r\n", "\x00", "\ud800", "é",
    "users", "agents", "a", "x" * 100, "é" * 125, "😀" * 85, ";", "&", "=", '"', "\x1b",
]  # fmt: skip

Arrived = tuple[str, ...]
Make = Callable[[str], tuple[Operation, Arrived]]


def arrives_as_student(own: str) -> tuple[Operation, Arrived]:
    return upsert(student(own)), ("students", own)


def arrives_as_user(own: str) -> tuple[Operation, Arrived]:
    return upsert(user(own)), ("users", own, own)


def arrives_as_link(own: str) -> tuple[Operation, Arrived]:
    agent = AgentLink(own, own, "parent", own)
    return upsert(agent), ("students", own, "agents", own, own)


def arrives_as_deleted(own: str) -> tuple[Operation, Arrived]:
    return delete(AgentKey(own, own)), ("students", own, "agents", own)


def arrives_as_read(own: str) -> tuple[Operation, Arrived]:
    return fetch_user(own), ("users", own)


def arrives_as_list(own: str) -> tuple[Operation, Arrived]:
    return fetch_agents(own), ("users", own, "agents")


MAKES: list[Make] = [
    arrives_as_student,
    arrives_as_user,
    arrives_as_link,
    arrives_as_deleted,
    arrives_as_read,
    arrives_as_list,
]


def arrived(operation: Operation) -> Arrived:
    """Return what a server makes of a request: the segments of its path, and the id in its body."""
    request = operation.request
    url = URL("https://timeback.test" + request.path, encoded=True)  # as the transport does
    path, question, _ = url.raw_path_qs.partition("?")
    assert path.isascii() and path.isprintable() and " " not in path  # noqa: PT018
    assert not question
    # Somebody on the way may decode the path, and follow its dots.
    assert not {".", ".."} & set(unquote(path).split("/"))
    parts = [unquote(part) for part in path.removeprefix(ROSTERING).split("/")]
    if request.body is None:
        return tuple(parts)
    body = json.loads(request.body)
    inner = body[parts[0][:-1]] if len(parts) < 3 else body["user"]
    return (*parts, inner["sourcedId"])


def is_fit(own: str) -> bool:
    """Whether an id may be sent, as the rule says it in words."""
    return (
        1 <= len(own) <= 255
        and own == own.strip()
        and not {".", ".."} & set(own.split("/"))
        and not any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in own)
    )


def strays(owns: Iterable[str]) -> Iterator[str]:
    """Yield the ids that are neither refused nor arrive as what they are, tried in every way."""
    for own, make in zip(owns, cycle(MAKES), strict=False):
        try:
            operation, meant = make(own)
            is_right = arrived(operation) == meant and is_fit(own)
        except RecordError:
            is_right = not is_fit(own)
        except Exception:
            is_right = False
        if not is_right:
            yield own


fragments = st.lists(
    st.one_of(st.text(HOSTILE, max_size=4), st.text(max_size=6), st.sampled_from(NASTY)),
    min_size=14,
    max_size=14,
    unique=True,
)


def test_an_id_is_refused_or_reaches_the_server_as_it_is() -> None:
    tried: set[str] = set()
    examples = amount(15, long=55)

    @given(fragments)
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    def try_all(parts: list[str]) -> None:
        every = ("".join(some) for count in (1, 2, 3) for some in product(parts, repeat=count))
        owns = [own for own in dict.fromkeys(every) if own not in tried]
        assert list(strays(owns)) == []
        tried.update(owns)

    try_all()

    assert len(tried) > 1_800 * examples  # most of an example's are new
    taken = sum(map(is_fit, tried))
    figure("hostile ids tried; taken as they are; wrong", f"{len(tried):,}; {taken:,}; 0")


def some_ids(number: int) -> list[str]:
    rng = random.Random(8)
    parts = [*NASTY, *HOSTILE]
    found: dict[str, None] = {}
    while len(found) < number:
        found["".join(rng.choices(parts, k=rng.randint(1, 4)))] = None
    return list(found)


async def collect(it: Case, bulk: Bulk) -> list[ItemResult]:
    async with bulk:
        results = [result async for result in bulk]
    it.reports.append(bulk.report)
    it.results += [result for result in results if result.kind == "student"]
    return results


async def test_hostile_ids_are_refused_or_stored_as_they_are() -> None:
    owns = some_ids(amount(300, long=1_000))
    good = set(filter(is_fit, owns))
    students = [hostile_student(own) for own in owns]
    links = [AgentLink(own, own, "parent", own) for own in owns]
    async with case() as it:
        results = await collect(it, it.session.upsert_many(user(own) for own in owns))
        assert it.server.users.keys() == good  # until they become students, who have the same ids
        results += await collect(it, it.session.upsert_many([*it.noted(students), *links]))
        read = await collect(it, it.session.get_many_user_agents(owns))

        for result in results:
            assert result.outcome is (SAVED if result.sourced_id in good else INVALID)
        assert len(results) == 3 * len(owns)
        assert it.server.students.keys() == good
        assert it.server.agents.keys() == {(own, own) for own in good}
        agents = {
            result.sourced_id: [a.agent_id for a in result.value] for result in read if result.ok
        }
        assert agents == {own: [own] for own in good}

        deleted = await collect(it, it.session.delete_many(AgentKey(own, own) for own in owns))

        assert it.server.agents == {}
        assert (
            Counter(result.outcome for result in deleted)[Outcome.DELETED]
            == len(good)
            > len(owns) // 4
        )
    figure("hostile ids over sockets: ids; requests", f"{len(owns):,}; {it.watch.attempts:,}")


def hostile_student(own: str) -> Student:
    return replace(private_student(0), sourced_id=own)


# -- controls: the checks above find what they are for


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("quote", lambda own, **_: own),
        ("quote", lambda own, **_: quote(own)),
        ("_is_fit", lambda _: True),
    ],
    ids=["not-quoted", "slashes-not-quoted", "nothing-refused"],
)
def test_the_check_finds_ids_that_become_part_of_a_path(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., object]
) -> None:
    assert not list(strays(some_ids(1_000)))

    monkeypatch.setattr(ids, name, broken)

    assert list(strays(some_ids(1_000)))


ITEM = 7


def lost(self: Any, item: Any, *rest: Any, _finish: Any = Bulk._finish) -> None:
    if item.index == ITEM:
        del self._open[ITEM]
    else:
        _finish(self, item, *rest)


async def not_sent(self: Any, call: Call, pause: Any, _send: Any = RequestPool.send) -> Response:
    if call.request.sourced_id == "s-3":
        return Response(200, {}, b"")
    response: Response = await _send(self, call, pause)
    return response


async def sent_twice(self: Any, call: Call, pause: Any, _send: Any = RequestPool.send) -> Response:
    again = [Call(call.request, 60)] if call.request.sourced_id == "s-3" else []
    response: Response
    response, *_ = await asyncio.gather(*(_send(self, each, pause) for each in (call, *again)))
    return response


def told_twice(self: Any, result: ItemResult, _put: Any = Delivery.put) -> None:
    for _ in range(1 + (result.index == ITEM)):
        _put(self, result)


def not_waiting(self: Any, item: Any, operation: Operation) -> list[Any]:
    return []


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (Bulk, "_finish", lost),
        (RequestPool, "send", not_sent),
        (RequestPool, "send", sent_twice),
        (Delivery, "put", told_twice),
        (Order, "enter", not_waiting),
    ],
)
async def test_the_case_finds_a_run_that_loses_or_doubles_records(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, broken: Callable[..., object]
) -> None:
    async def run() -> None:
        async with case() as it:
            await it.upsert(private_student(n // 2, version=n % 2) for n in range(40))

    await run()

    monkeypatch.setattr(owner, name, broken)

    with pytest.raises((AssertionError, KeyError)):
        await run()
