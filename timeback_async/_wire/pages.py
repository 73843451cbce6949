"""Read a list page by page: the request for a page, the records in its answer, and the end."""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from ..errors import ConfigError, ProtocolError
from ..models import OrgRecord, UserRecord
from .codec import ROOT
from .decode import decoded_object
from .http import READONLY, Request, Response, whole_number

__all__ = ["MAX_PAGE", "Progress", "Query", "page_of"]

MAX_PAGE = 100
ROUND = 5
KEPT = 10 * MAX_PAGE  # ids, against repeats
RECEIVED: dict[str, Any] = {"users": UserRecord, "orgs": OrgRecord}


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is asked for.

    Attributes:
        collection: "users" or "orgs".
        limit: Records on a page.
        filter: The filter, or None.
        sort: The field to sort by, or None.
        order_by: "ASC", "DESC" or None.
        fields: The fields to return, as a sequence or as text with commas; None for all.
    """

    collection: str
    limit: int
    filter: str | None = None
    sort: str | None = None
    order_by: str | None = None
    fields: str | Sequence[str] | None = None

    def page(self, offset: int) -> Request:
        """Return the request for the page that begins at `offset`.

        Raises:
            ConfigError: `limit` is not from 1 to 100, or `order_by` is neither ASC nor DESC.

        Source: OneRoster 1.2 REST binding (limit, offset, sort, orderBy, filter, fields).
        """
        limit, order_by, fields = self.limit, self.order_by, self.fields
        if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
            raise ConfigError(f"page_size: must be a whole number from 1 to {MAX_PAGE}")
        if order_by is not None and order_by.upper() not in ("ASC", "DESC"):
            raise ConfigError('order_by: must be "ASC" or "DESC"')
        query = {
            "limit": limit,
            "offset": offset,
            "filter": self.filter,
            "sort": self.sort,
            "orderBy": order_by and order_by.upper(),
            "fields": fields if fields is None or isinstance(fields, str) else ",".join(fields),
        }
        given = {name: value for name, value in query.items() if value is not None}
        path = f"{ROOT}/{self.collection}?{urlencode(given, quote_via=quote, safe='')}"
        return Request("GET", path, READONLY, None, self.collection)

    def __repr__(self) -> str:
        return f"Query({self.collection!r}, …)"  # a filter may name a person


class Page(NamedTuple):
    """One page of a list.

    Attributes:
        records: The records on it.
        total: The number of records on all pages, as the server counts them; None if unknown.
        identity: The same for two pages with the same records.
        has_ids: Whether each record has an id. Those without look alike.
    """

    records: list[Any]
    total: int | None
    identity: int
    has_ids: bool


def page_of(collection: str, response: Response) -> Page:
    """Return the page in an answer.

    Raises:
        ProtocolError: The answer is not JSON.

    Source: OneRoster 1.2 REST binding (the header X-Total-Count).
    """
    page = decoded_object(response.body)
    records = [RECEIVED[collection].from_wire(item) for item in page[collection] or ()]
    ids = [record.sourced_id for record in records]
    total = _count(page.get("total"))
    if total is None:
        total = _count(response.headers.get("X-Total-Count"))
    has_ids = all(ids)
    identity = hash(frozenset(ids) if has_ids else response.body)
    return Page(records, total, identity, has_ids)


def _count(value: object) -> int | None:
    count = whole_number(value)
    return None if count is None or count < 0 else count


class Progress:
    """Decides after each page of a list whether there is another one, and where it begins.

    Args:
        limit: The number of records on a full page.

    Attributes:
        offset: Where the next page begins.
        is_over: Whether the last page was received.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._largest = self._length = 0  # of all pages, of the last one
        self._seen: set[int] = set()
        self._total: int | None = None
        self._latest = deque[str](maxlen=KEPT)  # ids
        self._read = 0  # so many records, the first ones, are read for certain
        self._farthest = 0  # how many that were before it went back
        self._has_ids = True
        self.offset = 0
        self.is_over = False

    def add(self, page: Page) -> list[Any]:
        """Return the records of the next page that are new.

        The cases, in the order of the code:
        - the total has shrunk: records were deleted. If they were among those read, as many others
          have moved up to places that are read already. The list goes back there, and as far
          again: the next deletions may be on their way. From then on the lowest total counts, since
          replicas of one server may have two
        - it went back, to a page that was there before: it goes on
        - an empty page is the end
        - a page that was there before: see `_repeated`
        - the total is reached. That is believed after a short page alone, since some totals count
          one page, or stop at a round number; and not if it has shrunk, since some count what
          remains
        - there may be more, even after a short page: some servers send fewer than `limit`

        Raises:
            ProtocolError: The server ignores `offset`, so the rest cannot be read.
        """
        length, gone = len(page.records), self._gone(page)
        if self._is_in_vain(page, gone):
            return []
        self._has_ids = self._has_ids and page.has_ids
        if self._is_credible(page) and not (gone or self._farthest):
            self._total = page.total
        if not length:
            self.is_over = True
            return []
        if page.identity in self._seen:
            self._repeated(page)
            return []
        self._seen.add(page.identity)
        self._go_on(length, gone)
        self._length, self._largest = length, max(length, self._largest)
        self.is_over = self._is_counted and self._is_short and not self._farthest
        return self._new(page.records)

    def ended_by(self, error: Exception) -> bool:
        """Return whether an error in place of the next page says that there is none.

        The cases, in the order of the code:
        - the first page: no
        - the total is known: whether it was reached; then the error costs nothing
        - "not found": yes
        - "bad request": after a short page
        """
        if not self._read or self._total is not None:
            return self._read > 0 and self._is_counted
        status = getattr(error, "status", None)
        is_short = self._length < (self._limit if self._is_alone else self._largest)
        return status == 404 or (status in (400, 416, 422) and is_short)

    @property
    def _is_alone(self) -> bool:
        return self._length == self._read

    @property
    def _is_short(self) -> bool:
        """Whether the last page is shorter than the server may send.

        One that is alone may be as long as it sends at all, if its length is a round number.
        """
        if self._is_alone:
            return self._length != self._limit and self._length % ROUND > 0
        return self._length < self._largest

    def _gone(self, page: Page) -> int:
        """Return by how many records the total has shrunk."""
        if self._total is None or page.total is None or not page.has_ids:
            return 0
        return max(self._total - page.total, 0) if self._is_credible(page) else 0

    def _is_credible(self, page: Page) -> bool:
        """Whether a total is not less than what is there, so that it may be one of all records."""
        least = self.offset + len(page.records) if page.records else 1
        return page.total is not None and page.total >= least

    def _is_in_vain(self, page: Page, gone: int) -> bool:
        """Return whether a page brings the list no further, but says where to go on."""
        if gone:
            self._total, self._farthest = page.total, max(self._farthest, self._read)
            self._read = max(self._read - gone, 0)
        has_gap = self.offset > self._read
        is_again = self.offset < self._farthest and page.identity in self._seen
        if has_gap or is_again:
            self._go_on(0 if has_gap else len(page.records), gone)
        return has_gap or is_again

    def _go_on(self, length: int, gone: int) -> None:
        if length:
            self._read = max(self._read, self.offset + length)
        self.offset = max(self._read - gone, 0)

    def _new(self, records: list[Any]) -> list[Any]:
        """Return the records that are not among the latest ones: the list may have moved."""
        known = frozenset(self._latest)
        self._latest.extend(record.sourced_id for record in records if record.sourced_id)
        return [each for each in records if each.sourced_id not in known]

    @property
    def missing(self) -> int:
        """How many records the server has counted and not sent."""
        return max((self._total or 0) - self._read, 0)

    @property
    def is_whole(self) -> bool:
        """Whether there are as many records as the server has counted, each with an id."""
        return self._is_counted and self._has_ids

    @property
    def _is_counted(self) -> bool:
        """Whether there are as many records as the server has counted."""
        return self._total is not None and self._read >= self._total

    def _repeated(self, page: Page) -> None:
        """End the list, or raise when records are missing.

        Some servers send the last page again for each offset beyond it, or the first one. One that
        ignores `offset` has sent everything when its first page is not a full one.
        """
        worked_before = len(self._seen) > 1
        if self._total is None:
            is_whole = page.has_ids and (worked_before or self._length != self._limit)
        else:
            is_whole = self._is_counted
        if not is_whole:
            raise ProtocolError("the server sent the same page twice: it ignores `offset`")
        self.is_over = True
