"""Read a list page by page: the request for one page, and the records in its answer."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from ..errors import ConfigError
from ..models import OrgRecord, UserRecord
from .codec import ROOT
from .decode import decoded_object
from .http import READONLY, Request

__all__ = ["MAX_PAGE", "page_of", "page_request"]

MAX_PAGE = 100
RECEIVED: dict[str, Any] = {"users": UserRecord, "orgs": OrgRecord}


def page_request(
    collection: str,
    *,
    limit: int,
    offset: int,
    filter: str | None,
    sort: str | None,
    order_by: str | None,
    fields: str | Sequence[str] | None,
) -> Request:
    """Return the request for one page of `users` or `orgs`.

    Raises:
        ConfigError: `limit` is not from 1 to 100, or `order_by` is neither ASC nor DESC.

    Source: OneRoster 1.2 REST binding (limit, offset, sort, orderBy, filter, fields).
    """
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise ConfigError(f"page_size: must be a whole number from 1 to {MAX_PAGE}")
    if order_by is not None and order_by.upper() not in ("ASC", "DESC"):
        raise ConfigError('order_by: must be "ASC" or "DESC"')
    query = {
        "limit": limit,
        "offset": offset,
        "filter": filter,
        "sort": sort,
        "orderBy": order_by and order_by.upper(),
        "fields": fields if fields is None or isinstance(fields, str) else ",".join(fields),
    }
    given = {name: value for name, value in query.items() if value is not None}
    path = f"{ROOT}/{collection}?{urlencode(given, quote_via=quote, safe='')}"
    return Request("GET", path, READONLY, None, collection)


def page_of(collection: str, body: bytes) -> tuple[list[Any], int | None]:
    """Return the records of one page, and the total of all pages or None."""
    page = decoded_object(body)
    found = [RECEIVED[collection].from_wire(item) for item in page[collection]]
    total = page.get("total")
    return found, total if isinstance(total, int) else None
