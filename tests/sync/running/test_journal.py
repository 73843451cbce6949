"""How outcomes come into the state: together, soon, in a thread, and never by waiting for ever."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.tasks import until
from timeback_async.sync import Entry, State, StateError
from timeback_async.sync._running.journal import (
    AT_LEAST_EVERY,
    ENTRIES_IN_BATCH,
    MOST_WAITING,
    Journal,
)


class FakeState(State):
    """A state in memory that can be held up, or fail."""

    def __init__(self) -> None:
        super().__init__(None)
        self.may_write = threading.Event()
        self.may_write.set()
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.fails_at: int | None = None

    def write(self, batch: bytes | bytearray) -> None:
        self.may_write.wait(5)  # never for ever, were a test to fail meanwhile
        self.threads.add(threading.get_ident())
        if self.fails_at == len(self.batches):
            raise StateError("the disk is full")
        super().write(batch)
        self.batches.append(batch.count(b"\n"))

    def saved(self) -> int:
        self.settle()
        return sum(self.count().values())


@pytest.fixture
def state() -> Any:
    with FakeState() as opened:
        yield opened


def outcome(state: State, number: int) -> Entry:
    return Entry(state.id_of(f"s-{number}"), "student", b"hash", "saved", 200, 1, 1.0, "users")


@asynccontextmanager
async def writing(state: State) -> AsyncIterator[Journal]:
    journal = Journal(state)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(journal.write())
        try:
            yield journal
        finally:
            journal.close()


def add(journal: Journal, state: State, number: int) -> None:
    for each in range(number):
        journal.add(outcome(state, each))


async def test_everything_is_written_when_it_is_closed(state: FakeState) -> None:
    async with writing(state) as journal:
        add(journal, state, 10)

    assert state.saved() == 10
    assert state.batches == [10]
    assert state.threads.isdisjoint({threading.get_ident()})


async def test_nothing_is_written_where_nothing_came(state: FakeState) -> None:
    async with writing(state):
        pass

    assert state.batches == []


async def test_a_full_batch_is_written_at_once(state: FakeState) -> None:
    async with writing(state) as journal:
        began = asyncio.get_running_loop().time()
        add(journal, state, ENTRIES_IN_BATCH)
        await until(lambda: state.batches)

        assert asyncio.get_running_loop().time() - began < AT_LEAST_EVERY
        assert state.batches == [ENTRIES_IN_BATCH]


async def test_a_single_outcome_does_not_wait_for_others(state: FakeState) -> None:
    async with writing(state) as journal:
        add(journal, state, 1)
        await until(lambda: state.batches)

        assert state.saved() == 1


async def test_there_is_room_as_long_as_writing_keeps_up(state: FakeState) -> None:
    async with writing(state) as journal:
        add(journal, state, MOST_WAITING - 1)

        await asyncio.wait_for(journal.room(), 1)


async def test_where_writing_cannot_keep_up_outcomes_wait(state: FakeState) -> None:
    state.may_write.clear()
    async with writing(state) as journal:
        add(journal, state, ENTRIES_IN_BATCH)
        await asyncio.sleep(AT_LEAST_EVERY)  # the writer is held up with these
        add(journal, state, MOST_WAITING)
        waiting = asyncio.create_task(journal.room())
        await asyncio.sleep(0.01)
        assert not waiting.done()

        state.may_write.set()
        await waiting

    assert sum(state.batches) == ENTRIES_IN_BATCH + MOST_WAITING


async def test_a_disk_that_fails_ends_the_writing_and_keeps_nobody_waiting(
    state: FakeState,
) -> None:
    state.fails_at = 1
    async with writing(state) as journal:
        add(journal, state, ENTRIES_IN_BATCH)
        await until(lambda: state.batches)
        assert journal.error is None
        state.may_write.clear()
        add(journal, state, ENTRIES_IN_BATCH)
        await asyncio.sleep(AT_LEAST_EVERY)
        add(journal, state, MOST_WAITING)
        waiting = asyncio.create_task(journal.room())
        await asyncio.sleep(0.01)

        state.may_write.set()
        await waiting

        assert str(journal.error) == "the disk is full"
    assert state.batches == [ENTRIES_IN_BATCH]
