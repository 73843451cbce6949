"""The open client: what it owns, and one short method for each operation."""

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from ._bulk.run import Bulk
from ._config import Config
from ._flow.call import Call
from ._flow.pool import RequestPool
from ._flow.token import TokenStore
from ._statistics import Statistics
from ._transport.aiohttp import AiohttpTransport
from ._transport.base import Transport
from ._wire import codec, pages
from ._wire.http import Response
from .errors import ConfigError, ProtocolError, SessionError
from .models import (
    AgentKey,
    AgentLink,
    AgentRecord,
    OrgRecord,
    Student,
    StudentRecord,
    User,
    UserRecord,
)

if TYPE_CHECKING:
    from aiohttp import TraceConfig

__all__ = ["TimebackSession"]

OrderBy = Literal["ASC", "DESC"]
# Invalid records become results, so any object is accepted.
Records = Iterable[object] | AsyncIterable[object]


class BulkOptions(TypedDict, total=False):
    """The options that every bulk run takes; see `TimebackSession.upsert_many`."""

    ordered: bool
    stop_after_failures: int | None
    dry_run: bool


class TimebackSession:
    """The TimeBack client. Open it once, use it from thousands of tasks, close it.

        async with TimebackSession(Config.from_env()) as timeback:
            await timeback.upsert_student(student)

    Frameworks with a lifespan of their own call `open()` and `aclose()`. A session belongs to the
    event loop it was opened on.

    Every call raises, beside what it says itself:
        SessionError: The session is not open, or belongs to another event loop.
        AuthError: Credentials or scope were refused, or no token was to be had.
        ApiError: The server refused the request; the subclass tells how.
        TransportError: No answer was seen, in any attempt.
        DeadlineError: `Config.deadline` ran out.

    Args:
        config: Where TimeBack is, and how to behave.
        ssl_context: Trust for https, such as a private CA; None for the system's.
        trace_configs: Handed to aiohttp, so that its instrumentation works.
        transport: Sends the requests, in place of aiohttp: a fake in a test, or a network of your
            own. The session closes it at its end. None for aiohttp.

    Raises:
        ConfigError: `transport` stands beside `ssl_context` or `trace_configs`, which only aiohttp
            would use.
    """

    def __init__(
        self,
        config: Config,
        *,
        ssl_context: ssl.SSLContext | None = None,
        trace_configs: "Sequence[TraceConfig]" = (),
        transport: Transport | None = None,
    ) -> None:
        if transport is not None and (ssl_context is not None or trace_configs):
            raise ConfigError(
                "transport: brings its own TLS and traces; leave out ssl_context and trace_configs"
            )
        self.config = config
        self._ssl_context = ssl_context
        self._trace_configs = trace_configs
        self._given = transport
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._transport: Transport
        self._tokens: TokenStore
        self._pool: RequestPool

    async def open(self) -> Self:
        """Open the session on the running event loop. Nothing is sent yet.

        Raises:
            SessionError: It is open, or was closed.
        """
        if self._loop is not None or self._closed:
            raise SessionError("a session is opened once; make a new one")
        self._transport = self._given or AiohttpTransport(
            self.config, self._ssl_context, self._trace_configs
        )
        self._tokens = TokenStore(self.config, self._transport)
        self._pool = RequestPool(self.config, self._transport, self._tokens)
        self._loop = asyncio.get_running_loop()
        return self

    async def aclose(self) -> None:
        """Close every connection and end every task. Whoever still waits gets a SessionError."""
        if self._loop is None or self._closed:
            self._closed = True
            return
        self._closed = True
        self._pool.close()
        await self._tokens.aclose()
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.aclose()

    # -- single calls

    async def upsert_student(self, student: Student) -> StudentRecord | None:
        """Create or update a student; return the server's record, None where it sent none.

        The id in the record may differ from the one sent, where the server chose another.

        Raises:
            RecordError: The student is not valid; the field is named and nothing was sent.
        """
        record: StudentRecord | None = await self._perform(codec.upsert(student, "student"))
        return record

    async def upsert_user(self, user: User) -> UserRecord | None:
        """Create or update a user; return the server's record, None where it sent none.

        Raises:
            RecordError: The user is not valid; the field is named and nothing was sent.
        """
        record: UserRecord | None = await self._perform(codec.upsert(user, "user"))
        return record

    async def upsert_student_agent(self, link: AgentLink) -> AgentRecord | None:
        """Link a parent, guardian or relative to a student. Both have to exist.

        Raises:
            RecordError: The link is not valid; the field is named and nothing was sent.
        """
        record: AgentRecord | None = await self._perform(codec.upsert(link, "agent"))
        return record

    async def delete_student_agent(self, student_id: str, agent_id: str) -> None:
        """Delete a link. `agent_id` is the id of the link, not of the user.

        Raises:
            RecordError: An id may not be sent.
        """
        await self._perform(codec.delete(AgentKey(student_id, agent_id)))

    async def get_user_agents(self, user_id: str) -> list[AgentRecord]:
        """Return the people linked to a student.

        Raises:
            RecordError: The id may not be sent.
        """
        agents: list[AgentRecord] = await self._perform(codec.fetch_agents(user_id))
        return agents

    async def get_user(self, user_id: str) -> UserRecord:
        """Return one user or student.

        Raises:
            RecordError: The id may not be sent.
            NotFoundError: There is no such user.
        """
        user: UserRecord = await self._perform(codec.fetch_user(user_id))
        return user

    def list_users(
        self,
        *,
        filter: str | None = None,
        sort: str | None = None,
        order_by: OrderBy | None = None,
        fields: str | Sequence[str] | None = None,
        page_size: int = pages.MAX_PAGE,
    ) -> AsyncIterator[UserRecord]:
        """Iterate over users, page after page.

        Args:
            filter: `field op 'value'`, with op one of = != ~ > >= < <=; at most two, joined by
                AND or OR. It is encoded here.
            sort: The field to sort by.
            order_by: "ASC" or "DESC".
            fields: The fields wanted, as a sequence or joined by commas.
            page_size: Records per request, 1 to 100.

        Raises:
            ConfigError: `page_size` or `order_by` is out of range.
        """
        return self._list("users", filter, sort, order_by, fields, page_size)

    def list_orgs(
        self,
        *,
        filter: str | None = None,
        sort: str | None = None,
        order_by: OrderBy | None = None,
        fields: str | Sequence[str] | None = None,
        page_size: int = pages.MAX_PAGE,
    ) -> AsyncIterator[OrgRecord]:
        """Iterate over organisations, page after page. Arguments as for `list_users`."""
        return self._list("orgs", filter, sort, order_by, fields, page_size)

    async def request(
        self, method: str, path: str, *, body: object = None, scope: str | None = None
    ) -> Response:
        """Make a call that has no method here, through the same token, window and retries.

        A method that is not idempotent (POST, PATCH) is repeated only where the server surely
        did nothing: not connected, 401, 429, 503 with Retry-After.

        Args:
            method: HTTP method.
            path: What follows the base URL, percent-encoded, such as `/rostering/1.0/classes`.
            body: Bytes sent as they are, or anything msgspec encodes as JSON.
            scope: OAuth 2.0 scope; None for `roster.readonly` to read and `roster.createput` else.

        Returns:
            The 2xx answer.

        Raises:
            RecordError: The path or the body cannot be sent.
        """
        return await self._send(Call(codec.raw(method, path, body, scope), self.config.deadline))

    async def check_token(self, scope: str) -> frozenset[str]:
        """Get a token for a scope; return the scopes that came with it, as far as the server says.

        Empty where it does not say: then the token may be good for all that was asked for.

        Args:
            scope: OAuth 2.0 scope, as a URL.

        Source: RFC 6749 section 5.1 (`scope` in the answer).
        """
        self._opened()
        return frozenset((await self._tokens.get(scope)).granted.split())

    def statistics(self) -> Statistics:
        """Return what the session has done so far, and what it is doing."""
        return self._opened().statistics()

    # -- many records

    def upsert_many(
        self,
        records: Records,
        *,
        in_flight: int | None = None,
        ordered: bool = False,
        stop_after_failures: int | None = None,
        dry_run: bool = False,
    ) -> Bulk:
        """Create or update students, users and agent links, in any mixture.

        A record that is not valid is a result, never an exception. Two records with one id are
        sent one after the other, in their order. A link waits for the student and the user it
        names while they are on their way; so put people before their links.

        Args:
            records: Structs, or mappings in wire form with their envelope, from any iterable or
                async iterable; read one per free slot. A `RecordError` in place of a record is
                an invalid result with that reason.
            in_flight: The most records at once; None for `Config.max_in_flight`.
            ordered: Results in the order of the source.
            stop_after_failures: Read no more after so many failed, invalid or unknown records.
            dry_run: Check and encode everything, send nothing.

        Raises:
            TypeError: `records` is not an iterable of records.
            ConfigError: A number is out of range.
        """
        return self._bulk(
            codec.upsert,
            records,
            in_flight,
            ordered=ordered,
            stop_after_failures=stop_after_failures,
            dry_run=dry_run,
        )

    def delete_many(
        self,
        keys: Records,
        *,
        in_flight: int | None = None,
        ordered: bool = False,
        stop_after_failures: int | None = None,
        dry_run: bool = False,
    ) -> Bulk:
        """Delete links, each named by an `AgentKey`. Arguments as for `upsert_many`."""
        return self._bulk(
            codec.delete,
            keys,
            in_flight,
            ordered=ordered,
            stop_after_failures=stop_after_failures,
            dry_run=dry_run,
        )

    def get_many_user_agents(
        self,
        user_ids: Records,
        *,
        in_flight: int | None = None,
        ordered: bool = False,
        stop_after_failures: int | None = None,
    ) -> Bulk:
        """Read the people linked to each of many students. Arguments as for `upsert_many`."""
        return self._bulk(
            codec.fetch_agents,
            user_ids,
            in_flight,
            ordered=ordered,
            stop_after_failures=stop_after_failures,
        )

    # -- shared

    def _opened(self) -> RequestPool:
        if self._closed:
            raise SessionError("the session is closed")
        if self._loop is None:
            raise SessionError("the session is not open: use `async with`, or await `open()`")
        if asyncio.get_running_loop() is not self._loop:
            raise SessionError("the session belongs to another event loop: open one on this loop")
        return self._pool

    async def _send(self, call: Call) -> Response:
        return await self._opened().send(call)

    async def _perform(self, operation: codec.Operation) -> Any:
        response = await self._send(Call(operation.request, self.config.deadline))
        return operation.decode(response.body)

    async def _list(
        self,
        collection: str,
        filter: str | None,
        sort: str | None,
        order_by: str | None,
        fields: str | Sequence[str] | None,
        page_size: int,
    ) -> AsyncIterator[Any]:
        offset, previous = 0, b""
        while True:
            request = pages.page_request(
                collection,
                limit=page_size,
                offset=offset,
                filter=filter,
                sort=sort,
                order_by=order_by,
                fields=fields,
            )
            response = await self._send(Call(request, self.config.deadline))
            records, total = pages.page_of(collection, response.body)
            if records and response.body == previous:
                raise ProtocolError("the server sent one page twice: it ignores `offset`")
            for record in records:
                yield record
            offset, previous = offset + len(records), response.body
            if not records or (total is not None and offset >= total):
                return

    def _bulk(
        self,
        prepare: Callable[[object], codec.Operation],
        records: Records,
        in_flight: int | None,
        **how: Unpack[BulkOptions],
    ) -> Bulk:
        return Bulk(
            self._opened(),
            prepare,
            records,
            in_flight=self.config.max_in_flight if in_flight is None else in_flight,
            # Long enough to wait out the longest Retry-After and still have its attempts.
            allowed=self.config.deadline + self.config.retry.patience,
            patience=self.config.retry.patience,
            **how,
        )
