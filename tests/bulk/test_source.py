import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.records import student
from tests.support.source import Source
from tests.support.tasks import steps
from timeback_async._bulk.source import END, AsyncSource, SyncSource, open_source

both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@asynccontextmanager
async def started(records: object) -> AsyncIterator[SyncSource | AsyncSource]:
    source = open_source(records)
    source.start()
    try:
        yield source
    finally:
        await source.aclose()


async def read(source: SyncSource | AsyncSource) -> object:
    return await source.read() if isinstance(source, AsyncSource) else source.read()


async def read_all(source: SyncSource | AsyncSource) -> list[object]:
    records = []
    while (record := await read(source)) is not END:
        records.append(record)
    return records


class Gated:
    """An async source whose every record has to be let go; `asked` counts the asking."""

    def __init__(self) -> None:
        self.asked = 0
        self.at_once = 0
        self.peak = 0
        self.gate = asyncio.Semaphore(0)

    def __aiter__(self) -> "Gated":
        return self

    async def __anext__(self) -> int:
        self.asked += 1
        self.at_once += 1
        self.peak = max(self.peak, self.at_once)
        try:
            await self.gate.acquire()
        finally:
            self.at_once -= 1
        return self.asked


class BrokenIter:
    def __iter__(self) -> Iterator[object]:
        raise OSError("no such file")


class BrokenAiter:
    def __aiter__(self) -> AsyncIterator[object]:
        raise OSError("no such file")


class Both(Source):
    def __aiter__(self) -> AsyncIterator[object]:
        return self.stream()


@both
async def test_records_come_in_their_order_and_then_the_end(is_async: bool) -> None:
    async with started(Source(range(200)).open(is_async)) as source:
        records = await read_all(source)

        assert records == list(range(200))
        assert source.error is None


@both
async def test_after_the_last_record_every_read_gives_the_end(is_async: bool) -> None:
    async with started(Source([]).open(is_async)) as source:
        assert [await read(source) for _ in range(3)] == [END, END, END]


@both
async def test_a_record_is_read_only_when_somebody_asks(is_async: bool) -> None:
    counted = Source(range(100))

    async with started(counted.open(is_async)) as source:
        await steps(20)
        before = counted.reads
        await read(source)
        await read(source)
        await steps(20)

        assert (before, counted.reads) == (0, 2)


@both
async def test_nothing_is_read_after_a_stop(is_async: bool) -> None:
    counted = Source(range(100))

    async with started(counted.open(is_async)) as source:
        await read(source)
        source.stop()

        assert await read(source) is END
        assert counted.reads == 1


@both
@pytest.mark.parametrize("number", [0, 3], ids=["at-once", "in-the-middle"])
async def test_what_the_source_raises_is_kept_and_ends_it(is_async: bool, number: int) -> None:
    error = ValueError("row 4 is broken")

    async with started(Source(range(number), error).open(is_async)) as source:
        records = await read_all(source)

        assert records == list(range(number))
        assert source.error is error
        assert await read(source) is END


class Odd(BaseException):
    """No Exception."""


@both
@pytest.mark.parametrize("error", [GeneratorExit(), Odd(), asyncio.CancelledError()], ids=repr)
async def test_what_is_no_exception_ends_the_source_as_well(
    is_async: bool, error: BaseException
) -> None:
    async with started(Source(range(3), error).open(is_async)) as source:
        assert await read_all(source) == [0, 1, 2]
        assert source.error is error


@both
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
async def test_what_ends_the_program_passes(is_async: bool, error: BaseException) -> None:
    source = open_source(Source([], error).open(is_async))
    if isinstance(source, AsyncSource):
        source._asking.append(asyncio.get_running_loop().create_future())

    with pytest.raises(type(error)):
        await (source._feed() if isinstance(source, AsyncSource) else read(source))

    assert source.error is error
    assert source.ended


async def test_a_reading_task_that_somebody_else_cancels_has_not_ended_well() -> None:
    async with started(Source(range(3)).stream(1)) as source:
        assert isinstance(source, AsyncSource)
        reading = asyncio.create_task(read(source))
        await steps(5)
        assert source._feeder is not None
        source._feeder.cancel()

        assert await reading is END
        assert isinstance(source.error, asyncio.CancelledError)


@pytest.mark.parametrize("records", [BrokenIter(), BrokenAiter()])
async def test_an_iterable_that_cannot_be_iterated_ends_at_once(records: object) -> None:
    async with started(records) as source:
        assert await read(source) is END
        assert isinstance(source.error, OSError)


async def test_a_source_that_is_cancelled_from_within_has_not_ended_well() -> None:
    records = Source(range(3), asyncio.CancelledError()).stream()

    async with started(records) as source:
        await read_all(source)

        assert source.error is not None


async def test_a_stop_ends_an_async_read_that_is_under_way() -> None:
    gated = Gated()

    async with started(gated) as source:
        reading = asyncio.create_task(read(source))
        await steps(5)
        source.stop()

        assert await reading is END
        assert (gated.asked, gated.at_once) == (1, 0)


async def test_a_stop_before_the_start_is_harmless() -> None:
    source = open_source(Gated())

    source.stop()

    assert isinstance(source, AsyncSource)


async def test_readers_are_answered_in_the_order_of_their_asking() -> None:
    async with started(Source(range(50)).stream()) as source:
        records = await asyncio.gather(*(read(source) for _ in range(60)))

        assert records == [*range(50), *[END] * 10]


async def test_an_async_source_is_never_asked_twice_at_a_time() -> None:
    gated = Gated()

    async with started(gated) as source:
        readers = [asyncio.create_task(read(source)) for _ in range(5)]
        for _ in range(5):
            await steps(5)
            gated.gate.release()
        records = await asyncio.gather(*readers)

        assert sorted(map(str, records)) == ["1", "2", "3", "4", "5"]
        assert gated.peak == 1


async def test_a_record_handed_to_a_reader_that_was_just_cancelled_is_unclaimed() -> None:
    gated = Gated()

    async with started(gated) as source:
        reader = asyncio.create_task(read(source))
        await steps(5)
        gated.gate.release()
        await steps(1)  # the record has been handed over, the reader has not run yet
        reader.cancel()
        await asyncio.wait([reader])

        assert reader.cancelled()
        assert source.unclaimed == [1]


async def test_a_record_that_comes_after_its_reader_was_cancelled_is_unclaimed() -> None:
    gated = Gated()

    async with started(gated) as source:
        reader = asyncio.create_task(read(source))
        await steps(5)
        reader.cancel()
        await asyncio.wait([reader])
        gated.gate.release()
        await steps(5)

        assert source.unclaimed == [1]


async def test_a_record_goes_to_the_next_reader_when_the_first_was_cancelled() -> None:
    gated = Gated()

    async with started(gated) as source:
        first, second = (asyncio.create_task(read(source)) for _ in range(2))
        await steps(5)
        first.cancel()
        await steps(2)
        gated.gate.release()

        assert await second == 1
        assert source.unclaimed == []


async def test_the_end_is_not_an_unclaimed_record() -> None:
    gated = Gated()

    async with started(gated) as source:
        reader = asyncio.create_task(read(source))
        await steps(5)
        source.stop()
        await steps(1)
        reader.cancel()
        await asyncio.wait([reader])

        assert reader.cancelled()
        assert source.unclaimed == []


@pytest.mark.parametrize(
    ("records", "kind"),
    [
        ([], SyncSource),
        (set(), SyncSource),
        (iter(()), SyncSource),
        (Gated, AsyncSource),
        (lambda: Both([]), AsyncSource),
    ],
)
async def test_any_iterable_will_do_and_async_wins(records: Any, kind: type) -> None:
    assert type(open_source(records() if callable(records) else records)) is kind


@pytest.mark.parametrize("records", ["s-1", b"s-1", {"student": {}}, student(), None, 3])
async def test_a_single_record_is_not_a_source(records: object) -> None:
    with pytest.raises(TypeError, match=f"not a {type(records).__name__}; wrap a single"):
        open_source(records)
