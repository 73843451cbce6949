"""`agents`: the people linked to a student."""

from typing import Annotated

import typer

from .._session import TimebackSession
from ._exit import EXIT, exit_with_async
from ._options import AsJson
from ._settings import config_from_env

__all__ = ["agents"]


def agents(
    user_id: Annotated[str, typer.Argument(help="sourcedId of a student.")], json: AsJson = False
) -> None:
    """List the ids of the people linked to a student.

    Example: timeback-async agents s-1 --json
    """
    exit_with_async(_agents(user_id, json))


async def _agents(user_id: str, json: bool) -> int:
    from ._screen import print_json, print_table

    async with TimebackSession(config_from_env()) as session:
        found = await session.get_user_agents(user_id)
    rows = [
        (agent.user.sourced_id if agent.user else "", agent.relationship_type or "",
         agent.agent_id or "")
        for agent in found
    ]  # fmt: skip
    if json:
        names = ("userId", "relationshipType", "agentId")
        people = [dict(zip(names, row, strict=True)) for row in rows]
        print_json({"ok": True, "agents": people, "exit": EXIT.OK})
    else:
        print_table(f"Agents of {user_id}", ("user", "relationship", "agent id"), rows)
    return EXIT.OK
