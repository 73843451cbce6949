"""What becomes of records that cannot be sent."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from tests.support.bulk import INVALID, NOT_SENT, SAVED, both_forms, collect, counts, finish
from tests.support.clock import simulated
from tests.support.records import link, student, user
from tests.support.rig import storing
from timeback_async import Outcome
from timeback_async._wire.codec import Gone, identify
from timeback_async.errors import RecordError


class Hostile(Mapping[Any, Any]):
    """A mapping one method of which raises."""

    def __init__(self, method: str, error: BaseException | None = None) -> None:
        self.method, self.error = method, error or ZeroDivisionError("hostile")

    def _check(self, method: str) -> None:
        if method == self.method:
            raise self.error

    def __len__(self) -> int:
        self._check("len")
        return 1

    def __iter__(self) -> Iterator[str]:
        self._check("iter")
        return iter(["student"])

    def __getitem__(self, key: Any) -> Any:
        self._check("getitem")
        return Hostile("get", self.error)

    def get(self, key: Any, default: Any = None) -> Any:
        self._check("get")
        return default

    def items(self) -> Any:
        self._check("items")
        return super().items()


class Odd(BaseException):
    """No Exception."""


class Unhashable(Mapping[Any, Any]):
    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return iter([[]])

    def __getitem__(self, key: Any) -> Any:
        return {}


class HostileClass:
    @property
    def __class__(self) -> Any:
        raise ZeroDivisionError("hostile")

    @__class__.setter
    def __class__(self, value: Any) -> None:
        """Nothing: it is settable because it is on `object`."""


NONSENSE: dict[str, Callable[[], object]] = {
    "none": lambda: None,
    "number": lambda: 3,
    "text": lambda: "s-1",
    "bytes": lambda: b"s-1",
    "empty mapping": dict,
    "no envelope": lambda: {"sourcedId": "s-1"},
    "two envelopes": lambda: {"student": {}, "user": {}},
    "no mapping inside": lambda: {"student": 3},
    "error": lambda: ValueError("not a record"),
    "hostile len": lambda: Hostile("len"),
    "hostile iter": lambda: Hostile("iter"),
    "hostile getitem": lambda: Hostile("getitem"),
    "hostile items": lambda: Hostile("items"),
    "hostile inner get": lambda: Hostile("none"),
    "unhashable key": Unhashable,
    "hostile class": HostileClass,
}
for odd in asyncio.CancelledError(), GeneratorExit(), Odd():
    for method in "len", "iter", "getitem", "items", "none":
        NONSENSE[f"{type(odd).__name__} from {method}"] = partial(Hostile, method, odd)


@pytest.mark.parametrize("what", NONSENSE)
@simulated
async def test_what_is_not_a_record_is_an_invalid_result(what: str) -> None:
    rig = storing()

    results = await collect(rig.run([student("s-0"), NONSENSE[what](), student("s-2")]))

    found = {result.index: result for result in results}
    assert [found[index].outcome for index in range(3)] == [SAVED, INVALID, SAVED]
    assert isinstance(found[1].error, RecordError)
    assert found[1].attempts == 0
    assert rig.server.seen == ["s-0", "s-2"]


@both_forms
@simulated
async def test_a_record_that_raises_a_cancellation_is_named_by_it(is_streamed: bool) -> None:
    bulk = storing().run([student("s-0"), Hostile("getitem", asyncio.CancelledError())])

    report = await finish(bulk, is_streamed)

    assert counts(report) == {SAVED: 1, INVALID: 1}
    assert str(report.failures[0].error) == "cannot be read (CancelledError)"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
@simulated
async def test_what_ends_the_program_is_not_the_fault_of_a_record(error: BaseException) -> None:
    record = Hostile("len", error)
    bulk = storing().run([record])

    with pytest.raises(type(error)):
        bulk._entered(record)
    with pytest.raises(type(error)):
        identify(record)

    record.error = ValueError()
    bulk.stop()
    assert counts(await bulk) == {NOT_SENT: 1}


@simulated
async def test_who_is_gone_already_counts_as_deleted_and_is_not_sent() -> None:
    rig = storing()
    bulk = rig.run([student("s-0"), Gone("sourcedId", "is not there")])

    results = {result.index: result for result in await collect(bulk)}

    assert (results[1].outcome, results[1].error) == (Outcome.DELETED, None)
    assert bulk.report.ok
    assert rig.server.seen == ["s-0"]


@pytest.mark.parametrize(
    ("record", "kind", "sourced_id", "field"),
    [
        (student("s-1", given_name=7), "student", "s-1", "givenName"),
        ({"user": {"sourcedId": "u-1"}}, "user", "u-1", "givenName"),
        (student(".."), "student", "..", "sourcedId"),
        (link("s-1", "a/../b"), "agent", link("s-1", "a/../b").agent_id, "userId"),
    ],
)
@simulated
async def test_an_invalid_record_names_itself_and_its_field(
    record: object, kind: str, sourced_id: str, field: str
) -> None:
    rig = storing()

    (result,) = await collect(rig.run([record]))

    assert (result.kind, result.sourced_id, result.outcome) == (kind, sourced_id, INVALID)
    assert isinstance(result.error, RecordError)
    assert result.error.field == field
    assert rig.server.seen == []


@both_forms
@simulated
async def test_a_dry_run_checks_everything_and_sends_nothing(is_streamed: bool) -> None:
    rig = storing()
    bad = student("s-2", grades="5")

    report = await finish(rig.run([student(), bad, link(), 7], dry_run=True), is_streamed)

    assert counts(report) == {NOT_SENT: 2, INVALID: 2}
    assert (report.dry_run, report.ok, report.attempts) == (True, False, 0)
    assert (rig.server.seen, rig.server.token_requests) == ([], 0)


@simulated
async def test_a_dry_run_without_findings_is_ok() -> None:
    report = await storing().run([student(), user(), link()], dry_run=True)

    assert report.ok
    assert report.failures == []
