"""Single calls that return the whole answer, and not only the record in it."""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import msgspec

from ._flow.call import Call
from ._wire import codec
from ._wire.http import Response
from .models import (
    AgentKey,
    AgentLink,
    AgentRecord,
    Student,
    StudentRecord,
    User,
    UserRecord,
)

__all__ = ["Answer", "RawCalls"]

T = TypeVar("T")


class Answer(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """The answer to a single call.

    Attributes:
        value: What the call itself returns.
        response: The answer as it came: status, headers and body.
        request_id: The server's id of the request, or ours.
        attempts: Requests sent for the call.
    """

    value: T
    response: Response
    request_id: str
    attempts: int

    def __repr__(self) -> str:
        return f"Answer({self.response.status}, {self.request_id!r})"

    def __rich_repr__(self) -> Any:
        yield self.response.status
        yield self.request_id


class RawCalls:
    """The single calls of a session, each with its whole answer; see `TimebackSession`.

    Args:
        exchange: Makes a call: returns what it returns, the call and its answer.
    """

    def __init__(
        self, exchange: Callable[..., Coroutine[Any, Any, tuple[Any, Call, Response]]]
    ) -> None:
        self._exchange = exchange

    async def upsert_student(
        self, student: Student, *, deadline: float | None = None
    ) -> Answer[StudentRecord | None]:
        """Do what `TimebackSession.upsert_student` does."""
        return await self._answer(deadline, codec.upsert, student, "student")

    async def upsert_user(
        self, user: User, *, deadline: float | None = None
    ) -> Answer[UserRecord | None]:
        """Do what `TimebackSession.upsert_user` does."""
        return await self._answer(deadline, codec.upsert, user, "user")

    async def upsert_student_agent(
        self, link: AgentLink, *, deadline: float | None = None
    ) -> Answer[AgentRecord | None]:
        """Do what `TimebackSession.upsert_student_agent` does."""
        return await self._answer(deadline, codec.upsert, link, "agent")

    async def delete_student_agent(
        self, student_id: str, agent_id: str, *, deadline: float | None = None
    ) -> Answer[None]:
        """Do what `TimebackSession.delete_student_agent` does."""
        return await self._answer(deadline, codec.delete, AgentKey(student_id, agent_id))

    async def get_user_agents(
        self, user_id: str, *, deadline: float | None = None
    ) -> Answer[list[AgentRecord]]:
        """Do what `TimebackSession.get_user_agents` does."""
        return await self._answer(deadline, codec.fetch_agents, user_id)

    async def get_user(self, user_id: str, *, deadline: float | None = None) -> Answer[UserRecord]:
        """Do what `TimebackSession.get_user` does."""
        return await self._answer(deadline, codec.fetch_user, user_id)

    async def _answer(self, deadline: float | None, *operation: Any) -> Answer[Any]:
        value, call, response = await self._exchange(deadline, *operation)
        return Answer(
            value=value,
            response=response,
            request_id=call.request_id,
            attempts=call.attempts,
        )
