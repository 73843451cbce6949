"""The open client: what it owns, and one short method per operation.

It is long because it documents every operation; hardly any code is in it.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from msgspec.structs import replace

from ._answer import RawCalls
from ._bulk.run import Bulk, outcome_of
from ._config import Config
from ._flow.call import Call
from ._flow.pool import RequestPool
from ._flow.token import TokenStore
from ._frames import Hidden, without_frames
from ._hooks import Hook, Watched
from ._results import ItemResult, Outcome
from ._statistics import Statistics
from ._transport.base import Transport
from ._transport.lanes import transport_for
from ._wire import codec, pages
from ._wire.http import Request, Response
from .errors import ConfigError, RecordError, SessionError, TimebackError, TransportError
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

log = logging.getLogger("timeback_async.list")

OrderBy = Literal["ASC", "DESC"]
# Invalid records become results, so any object is accepted.
Records = Iterable[object] | AsyncIterable[object]


class BulkOptions(TypedDict, total=False):
    """The options that every bulk run takes; see `TimebackSession.upsert_many`."""

    ordered: bool
    stop_after_failures: int | None
    dry_run: bool


class TimebackSession:
    """Talk to TimeBack: open the session once, use it from thousands of tasks, close it.

        async with TimebackSession(Config.from_env()) as timeback:
            await timeback.upsert_student(student)

    A framework with its own lifespan calls `open()` and `aclose()`. A session belongs to the event
    loop on which it was opened.

    Every single call, and every iteration of a list, raises the errors that its docstring names,
    and these:
        SessionError: The session is not open, was closed, or belongs to another event loop.
        AuthError: The credentials or the token were rejected, or there was no way to get a token.
        ApiError: The server answered with an error status; each subclass is a kind of it.
        TransportError: The last attempt saw no usable answer.
        DeadlineError: The time of the call ran out: `deadline` seconds from the moment it is made;
            None for `Config.deadline`. It covers all waiting and all attempts.
        ConfigError: `deadline` is not greater than 0.

    Args:
        config: The settings.
        ssl_context: Whom to trust for https, such as a private CA; None for the system's CAs.
        trace_configs: Passed to aiohttp, for its instrumentation.
        hook: Sees every attempt and every result, for metrics and traces.
        transport: Sends the requests, such as a fake in a test. The session closes it when it is
            closed itself. None for the one that `config.transport` names.

    Raises:
        ConfigError: `transport` was given together with `ssl_context` or `trace_configs`, which it
            does not get; or there are `trace_configs`, and `config.transport` is not "aiohttp".
    """

    def __init__(
        self,
        config: Config,
        *,
        ssl_context: ssl.SSLContext | None = None,
        trace_configs: "Sequence[TraceConfig]" = (),
        hook: Hook | None = None,
        transport: Transport | None = None,
    ) -> None:
        if transport is not None and (ssl_context is not None or trace_configs):
            raise ConfigError(
                "transport: does not use ssl_context and trace_configs; leave them out"
            )
        if config.transport == "direct" and trace_configs:
            raise ConfigError('trace_configs: are of aiohttp; transport="direct" has none')
        self.config = config
        self._ssl_context = ssl_context
        self._trace_configs = trace_configs
        self._given = transport
        self._watched = None if hook is None else Watched(hook)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._transport: Transport
        self._tokens: TokenStore
        self._pool: RequestPool

    async def open(self) -> Self:
        """Open the session on the running event loop. Nothing is sent yet.

        Raises:
            SessionError: The session is open already, or was closed.
        """
        if self._loop is not None or self._closed:
            raise SessionError("a session is opened once; create a new one")
        self._transport = self._given or transport_for(
            self.config, self._ssl_context, self._trace_configs
        )
        self._tokens = TokenStore(self.config, self._transport)
        self._pool = RequestPool(self.config, self._transport, self._tokens, watched=self._watched)
        self._loop = asyncio.get_running_loop()
        if self._watched is not None:
            self._watched.opened(self._pool.statistics)
        return self

    async def aclose(self) -> None:
        """Close every connection and end every task. Calls that still wait get a SessionError."""
        if self._loop is None or self._closed:
            self._closed = True
            return
        self._closed = True
        self._pool.close()
        if self._watched is not None:
            self._watched.closed(self._pool.statistics)
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

    @property
    def with_raw_response(self) -> RawCalls:
        """The single calls, each of which returns an `Answer`: value, response and request id.

        answer = await timeback.with_raw_response.upsert_student(student)
        log.info("saved as request %s", answer.request_id)
        """
        return RawCalls(self._exchange)

    async def upsert_student(
        self, student: Student, *, deadline: float | None = None
    ) -> StudentRecord | None:
        """Create or update a student; return the record in the answer, None when it has none.

        The server may choose another sourcedId: the one in the record returned counts.

        Raises:
            RecordError: The student is not valid. The error names the field; nothing was sent.

        Source: TimeBack API reference (`PUT /rostering/1.0/students`).
        """
        record: StudentRecord | None = await self._perform(
            deadline, codec.upsert, student, "student"
        )
        return record

    async def upsert_user(self, user: User, *, deadline: float | None = None) -> UserRecord | None:
        """Create or update a user; return the record in the answer, None when it has none.

        Raises:
            RecordError: The user is not valid. The error names the field; nothing was sent.

        Source: TimeBack onboarding guide (upsertUser).
        """
        record: UserRecord | None = await self._perform(deadline, codec.upsert, user, "user")
        return record

    async def upsert_student_agent(
        self, link: AgentLink, *, deadline: float | None = None
    ) -> AgentRecord | None:
        """Link an agent to a student; return the link in the answer, None when it has none.

        The agent and the student have to exist.

        Raises:
            RecordError: The link is not valid. The error names the field; nothing was sent.

        Source: TimeBack onboarding guide (upsertStudentAgent).
        """
        record: AgentRecord | None = await self._perform(deadline, codec.upsert, link, "agent")
        return record

    async def delete_student_agent(
        self, student_id: str, agent_id: str, *, deadline: float | None = None
    ) -> None:
        """Delete a link.

        Args:
            student_id: The sourcedId of the student.
            agent_id: The id of the link, not the sourcedId of the agent.
            deadline: Seconds that the call may take; None for `Config.deadline`.

        Raises:
            RecordError: An id may not be sent.
            NotFoundError: There is no such link, and no attempt of this call can have deleted it.

        Source: TimeBack onboarding guide (deleteStudentAgent).
        """
        await self._perform(deadline, codec.delete, AgentKey(student_id, agent_id))

    async def get_user_agents(
        self, user_id: str, *, deadline: float | None = None
    ) -> list[AgentRecord]:
        """Return the agents of a student.

        Raises:
            RecordError: The id may not be sent.
            NotFoundError: There is no such user.

        Source: TimeBack onboarding guide (getUserAgents).
        """
        agents: list[AgentRecord] = await self._perform(deadline, codec.fetch_agents, user_id)
        return agents

    async def get_user(self, user_id: str, *, deadline: float | None = None) -> UserRecord:
        """Return one user or student.

        Raises:
            RecordError: The id may not be sent.
            NotFoundError: There is no such user.
        """
        user: UserRecord = await self._perform(deadline, codec.fetch_user, user_id)
        return user

    def list_users(
        self,
        *,
        filter: str | None = None,
        sort: str | None = None,
        order_by: OrderBy | None = None,
        fields: str | Sequence[str] | None = None,
        page_size: int = pages.MAX_PAGE,
        deadline: float | None = None,
    ) -> AsyncGenerator[UserRecord, None]:
        """Iterate over users. Each page is requested when the page before it is used up.

        Whoever may leave the loop early closes it: `async with aclosing(timeback.list_users())`.

        Args:
            filter: `field op 'value'`, where op is one of = != ~ > >= < <=. Two of them can be
                joined by AND or OR. It is encoded here.
            sort: The field to sort by.
            order_by: "ASC" or "DESC".
            fields: The fields to return, as a sequence, or as text with commas.
            page_size: Records per request, 1 to 100.
            deadline: Seconds for each request, with its retries.

        Raises (from the iteration, not from this call):
            ConfigError: `page_size` or `order_by` is wrong.
            ProtocolError: The server sent the same page twice, since it ignores `offset`.

        A list that ends before the total that the server counts is told by a warning in the log.

        Source: OneRoster 1.2 REST binding (limit, offset, sort, orderBy, filter, fields).
        """
        query = pages.Query(
            collection="users", limit=page_size, filter=filter, sort=sort, order_by=order_by,
            fields=fields,
        )  # fmt: skip
        return self._list(query, deadline)

    def list_orgs(
        self,
        *,
        filter: str | None = None,
        sort: str | None = None,
        order_by: OrderBy | None = None,
        fields: str | Sequence[str] | None = None,
        page_size: int = pages.MAX_PAGE,
        deadline: float | None = None,
    ) -> AsyncGenerator[OrgRecord, None]:
        """Iterate over organisations. Arguments and errors are those of `list_users`."""
        query = pages.Query(
            collection="orgs", limit=page_size, filter=filter, sort=sort, order_by=order_by,
            fields=fields,
        )  # fmt: skip
        return self._list(query, deadline)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        scope: str | None = None,
        deadline: float | None = None,
    ) -> Response:
        """Send a request that has no method here; return the 2xx answer, with its `request_id`.

        It uses the same tokens, window and retries as every call. A POST, a PATCH, or another
        method that is not idempotent, is repeated only where the server cannot have acted on it:
        - there was no connection
        - the answer was 401 or 429
        - the answer was 503 with `Retry-After`

        Args:
            method: HTTP method.
            path: Path and query, percent-encoded, such as `/rostering/1.0/classes`. It is appended
                to `Config.base_url`.
            body: Bytes, sent as they are, or a value that msgspec encodes as JSON; None for no
                body.
            scope: OAuth 2.0 scope. None for `roster.readonly` with GET and HEAD, and for
                `roster.createput` with other methods.
            deadline: Seconds that the call may take; None for `Config.deadline`.

        Raises:
            RecordError: The method, the path or the body cannot be sent.

        Source: RFC 9110 section 9.2.2 (idempotent methods).
        """
        body = Hidden(body)
        try:
            request = codec.raw(method, path, body.value, scope)
        except RecordError as error:
            raise without_frames(error) from None
        call = self._call(request, deadline)
        response = await self._send(call)
        return replace(response, request_id=call.request_id)

    async def check_token(self, scope: str) -> frozenset[str]:
        """Get a token for a scope, unless there is one already; return the scopes it was granted.

        The set is empty when the server did not name the scopes: then it granted all that were
        requested.

        Args:
            scope: OAuth 2.0 scope, as a URL. `Config.scopes` is requested instead, if it is set.

        Raises:
            SessionError: The session is not open, was closed, or belongs to another event loop.
            AuthError: The credentials or the scope were rejected, or there was no way to get a
                token.
            TransportError: The token endpoint failed in a way that is not `retryable`, such as TLS.

        Source: RFC 6749 section 5.1 (`scope` in the answer).
        """
        self._opened()
        return frozenset((await self._tokens.get(scope)).granted.split())

    def statistics(self) -> Statistics:
        """Return what the session has done so far, and what it is doing now.

        Raises:
            SessionError: The session is not open, was closed, or belongs to another event loop.
        """
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
        """Create or update students, users and links, in any mixture.

        A record that is not valid gives a result, never an exception. Two records with the same id
        are sent one after the other, in their order. A link waits for its student and its agent if
        they were read before it, so put people before their links.

        Args:
            records: An iterable or async iterable of structs, or of mappings in wire form with
                their envelope. A record is read when a slot is free. A `RecordError` instead of a
                record gives an invalid result with that error.
            in_flight: The most records at once; None for `Config.max_in_flight`.
            ordered: Whether results come in the order of the source.
            stop_after_failures: Read no more after this many failed, invalid or unknown records;
                None to read on.
            dry_run: Whether to check and encode the records without sending any.

        Raises:
            SessionError: The session is not open, was closed, or belongs to another event loop.
            TypeError: `records` is not an iterable of records.
            ConfigError: `in_flight` or `stop_after_failures` is not a whole number, 1 or more.
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
        """Delete links, each named by an `AgentKey`. The rest is as for `upsert_many`."""
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
        """Read the agents of many students: each result has them as `value`.

        `user_ids` are the sourcedIds of the students. The rest is as for `upsert_many`.
        """
        return self._bulk(
            codec.fetch_agents,
            user_ids,
            in_flight,
            ordered=ordered,
            stop_after_failures=stop_after_failures,
        )

    def get_many_users(
        self,
        user_ids: Records,
        *,
        in_flight: int | None = None,
        ordered: bool = False,
        stop_after_failures: int | None = None,
    ) -> Bulk:
        """Read many users or students by their ids: each result has a `UserRecord` as `value`.

        The rest is as for `upsert_many`.
        """
        return self._bulk(
            codec.fetch_user,
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
            raise SessionError("the session is not open: use `async with`, or await `open()` first")
        if asyncio.get_running_loop() is not self._loop:
            raise SessionError("the session belongs to another event loop: open one on this loop")
        return self._pool

    async def _perform(
        self, deadline: float | None, prepare: Callable[..., codec.Operation], *record: object
    ) -> Any:
        return (await self._exchange(deadline, prepare, *record))[0]

    async def _exchange(
        self, deadline: float | None, prepare: Callable[..., codec.Operation], *record: object
    ) -> tuple[Any, Call, Response]:
        """Make a single call; return what it returns, the call and its answer."""
        loop = asyncio.get_running_loop()
        started, operation, call = loop.time(), None, None
        try:
            operation = prepare(*record)
            call = self._call(operation.request, deadline)
            response = await self._send(call)
            value = operation.decode(response.body)
        except (TimebackError, asyncio.CancelledError) as error:
            if self._watched is not None:
                self._watched.result(_failed(record[0], operation, call, error, loop, started))
            raise without_frames(error) from error.__cause__
        if self._watched is not None:
            self._watched.result(
                ItemResult(
                    index=0,
                    kind=operation.kind,
                    sourced_id=operation.sourced_id,
                    outcome=operation.success,
                    status=response.status,
                    attempts=call.attempts,
                    elapsed=loop.time() - started,
                    request_id=call.request_id,
                    _body=response.body,
                    _decode=operation.decode,
                )
            )
        return value, call, response

    def _call(self, request: Request, deadline: float | None) -> Call:
        """Return a single call, whose time begins now."""
        self._opened()
        if deadline is None:
            deadline = self.config.deadline
        elif not 0 < deadline < inf:
            raise ConfigError("deadline: must be a number of seconds, greater than 0")
        return Call(request, deadline, made_at=asyncio.get_running_loop().time())

    async def _send(self, call: Call) -> Response:
        """Return the answer to a single call.

        No frame below this one stays in the traceback of an error: their variables are private.
        """
        try:
            return await self._opened().send(call)
        except (TimebackError, asyncio.CancelledError) as error:
            raise without_frames(error) from error.__cause__

    async def _list(
        self, query: pages.Query, deadline: float | None, patient: pages.Progress | None = None
    ) -> AsyncGenerator[Any, None]:
        progress = patient or pages.Progress(query.limit)
        while not progress.is_over:
            try:
                request = query.page(progress.offset)
                call = Call(request, self._allowed) if patient else self._call(request, deadline)
                response = await self._send(call)
                page = pages.page_of(query.collection, response)
            except TimebackError as error:
                if progress.ended_by(error):
                    return
                raise without_frames(error) from error.__cause__
            for record in progress.add(page):
                yield record
        if progress.missing:
            why = "the server counts %d %s more than it has listed"
            log.warning(why, progress.missing, query.collection)

    @property
    def _allowed(self) -> float:
        """Seconds of a call without a deadline: for the longest Retry-After and all attempts."""
        return self.config.deadline + self.config.retry.patience

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
            allowed=self._allowed,
            patience=self.config.retry.patience,
            **how,
        )


def everybody(
    session: TimebackSession, progress: pages.Progress, filter: str | None = None
) -> AsyncGenerator[UserRecord, None]:
    """Iterate over all users as a bulk run sends records: an outage is waited for.

    Args:
        session: The client, open.
        progress: A new one. In the end it says whether the list was whole.
        filter: Of whom alone; see `list_users`.
    """
    query = pages.Query(collection="users", limit=pages.MAX_PAGE, filter=filter)
    return session._list(query, None, progress)  # noqa: SLF001 - for whole runs of ours


def _failed(
    record: object,
    operation: codec.Operation | None,
    call: Call | None,
    error: BaseException,
    loop: asyncio.AbstractEventLoop,
    started: float,
) -> ItemResult:
    """Return the result of a single call that has failed or was cancelled, for the hook."""
    if operation is None:
        kind, sourced_id = codec.identify(record)
    else:
        kind, sourced_id = operation.kind, operation.sourced_id
    why = error if isinstance(error, Exception) else TransportError("cancelled")
    return ItemResult(
        index=0,
        kind=kind,
        sourced_id=sourced_id,
        outcome=(
            Outcome.INVALID
            if isinstance(error, RecordError)
            else outcome_of(call, ended=why is not error or call is None or not call.attempts)
        ),
        error=why,
        status=call.status if call else None,
        attempts=call.attempts if call else 0,
        elapsed=loop.time() - started,
        request_id=call.request_id if call else "",
    )
