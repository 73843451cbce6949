"""A pool with a fake server at its other end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from tests.support.clock import now
from tests.support.config import config
from tests.support.scripted import ScriptedServer, Step
from tests.support.storing import StoringServer
from timeback_async import Response
from timeback_async._bulk.run import Bulk
from timeback_async._flow.call import Call
from timeback_async._flow.pool import RequestPool
from timeback_async._flow.token import TokenStore
from timeback_async._transport.base import Transport
from timeback_async._wire.codec import Operation, upsert
from timeback_async._wire.http import CREATEPUT, Request

S = TypeVar("S", bound=Transport)


class Rig(Generic[S]):
    """A pool that sends to a server, with a window that stays as it is unless told."""

    def __init__(self, server: S, **settings: Any) -> None:
        self.server = server
        self.config = config(**{"adaptive": False, **settings})
        self.tokens = TokenStore(self.config, self.server)
        self.pool = RequestPool(self.config, self.server, self.tokens)
        self.started = now()

    def call(self, name: str = "x", method: str = "PUT", request: Request | None = None) -> Call:
        request = request or Request(method, f"/{name}", CREATEPUT, None, None)
        return Call(request, self.config.deadline, made_at=now())

    async def send(self, name: str = "x", method: str = "PUT") -> Response:
        return await self.pool.send(self.call(name, method))

    def start(self, name: str = "x", method: str = "PUT") -> asyncio.Task[Response]:
        return asyncio.create_task(self.send(name, method))

    async def settle(self, *calls: Awaitable[Any]) -> list[Any]:
        return await asyncio.gather(*calls, return_exceptions=True)

    def run(
        self, records: object, prepare: Callable[[Any], Operation] = upsert, **how: Any
    ) -> Bulk:
        """Return a bulk run over records, which begins when it is awaited."""
        patience = self.config.retry.patience
        how.setdefault("in_flight", self.config.max_in_flight)
        allowed = self.config.deadline + patience
        return Bulk(self.pool, prepare, records, allowed=allowed, patience=patience, **how)

    @property
    def times(self: "Rig[ScriptedServer]") -> list[float]:
        """When each request was sent."""
        return [sent.at - self.started for sent in self.server.sent]

    @property
    def names(self: "Rig[ScriptedServer]") -> str:
        return "".join(sent.name for sent in self.server.sent)


def scripted(
    *script: Step, latency: float = 0.0, grants: Sequence[Step] = (), **settings: Any
) -> Rig[ScriptedServer]:
    return Rig(ScriptedServer(*script, latency=latency, grants=grants), **settings)


def storing(**settings: Any) -> Rig[StoringServer]:
    """Return a rig that sends four requests at a time unless told."""
    return Rig(StoringServer(), **{"max_in_flight": 4, **settings})
