"""A source of records that is looked at while it is read."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator


class Source:
    """An iterable, sync or async, that counts what was read and can raise at its end."""

    def __init__(self, records: Iterable[object], error: BaseException | None = None) -> None:
        self.reads = 0
        self._records = records
        self._error = error

    def __iter__(self) -> Iterator[object]:
        for record in self._records:
            self.reads += 1
            yield record
        if self._error is not None:
            raise self._error

    async def stream(self, seconds: float = 0) -> AsyncIterator[object]:
        """Iterate, with so many seconds before each record."""
        for record in self._records:
            await asyncio.sleep(seconds)
            self.reads += 1
            yield record
        if self._error is not None:
            raise self._error

    def open(self, is_async: bool) -> object:
        return self.stream() if is_async else iter(self)
