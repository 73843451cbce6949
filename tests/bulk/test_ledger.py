import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from tests.support.clock import simulated
from tests.support.records import student
from tests.support.rig import storing
from timeback_async import ItemResult, Outcome
from timeback_async._bulk.ledger import Ledger
from timeback_async.errors import SessionError, SourceError

Entries = list[tuple[str, object]]


def entries(number: int) -> Entries:
    return [(f"line {n}", student(f"s-{n}")) for n in range(number)]


class Taken:
    """What a ledger has given out: each entry with the outcome of its record."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, Outcome]] = []

    def __call__(self, entry: str, result: ItemResult) -> None:
        self.outcomes.append((entry, result.outcome))

    @property
    def entries(self) -> list[str]:
        return sorted(entry for entry, _ in self.outcomes)


@simulated
async def test_each_entry_gets_the_result_of_its_own_record() -> None:
    rig, taken = storing(), Taken()
    ledger = Ledger(taken)

    await ledger.settle(rig.run(ledger.records([*entries(9), ("line 9", "not a record")])))

    assert taken.entries == [f"line {n}" for n in range(10)]
    assert dict(taken.outcomes)["line 9"] is Outcome.INVALID
    assert dict(taken.outcomes)["line 0"] is Outcome.SAVED


@simulated
async def test_records_that_are_made_in_their_own_time_keep_their_entries() -> None:
    rig, taken = storing(), Taken()
    ledger = Ledger(taken)

    async def slowly() -> AsyncIterator[tuple[str, object]]:
        for entry in entries(9):
            await asyncio.sleep(0.5)
            yield entry

    await ledger.settle(rig.run(ledger.records(slowly())))

    assert taken.entries == [f"line {n}" for n in range(9)]


@simulated
async def test_what_is_awaited_after_each_result_slows_the_run() -> None:
    rig, taken, seen = storing(), Taken(), []
    ledger = Ledger(taken)

    async def after_each() -> None:
        seen.append(len(taken.outcomes))

    await ledger.settle(rig.run(ledger.records(entries(5))), after_each)

    assert seen == [1, 2, 3, 4, 5]


@simulated
async def test_what_a_cancelled_run_cuts_off_is_taken_once_as_unknown() -> None:
    rig, taken = storing(), Taken()
    ledger = Ledger(taken)
    run = asyncio.create_task(ledger.settle(rig.run(ledger.records(entries(9)))))
    await asyncio.sleep(2.25)  # the token and four records are there, the next four on their way

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert taken.entries == [f"line {n}" for n in range(8)]
    assert [outcome for _, outcome in taken.outcomes].count(Outcome.UNKNOWN) == 4


@simulated
async def test_a_source_that_breaks_leaves_no_entry_without_a_result() -> None:
    rig, taken = storing(), Taken()
    ledger = Ledger(taken)

    def broken() -> Iterable[tuple[str, object]]:
        yield from entries(3)
        raise OSError

    with pytest.raises(SourceError):
        await ledger.settle(rig.run(ledger.records(broken())))

    assert taken.entries == ["line 0", "line 1", "line 2"]


@simulated
async def test_a_callback_that_raises_does_not_lose_the_entries_on_their_way() -> None:
    rig, taken = storing(), Taken()
    ledger = Ledger(taken)

    async def after_each() -> None:
        raise SessionError("of the caller")

    with pytest.raises(SessionError, match="of the caller"):
        await ledger.settle(rig.run(ledger.records(entries(9))), after_each)

    assert taken.entries == [f"line {n}" for n in range(len(taken.entries))]
    assert len(taken.outcomes) > 1


@simulated
async def test_a_run_that_cannot_begin_takes_nothing() -> None:
    rig, taken = storing(), Taken()
    ledger = Ledger(taken)
    bulk = rig.run(ledger.records(entries(1)))
    await bulk

    with pytest.raises(SessionError):
        await Ledger(taken).settle(bulk)

    assert taken.outcomes == []
