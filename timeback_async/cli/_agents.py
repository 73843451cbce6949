"""`agents`: the people linked to a student."""

from typing import Annotated

import typer

from ._exit import EXIT, exit_with_async
from ._options import AsJson

__all__ = ["agents"]


def agents(
    user_id: Annotated[str, typer.Argument(help="sourcedId of a student.")], json: AsJson = False
) -> None:
    """List the ids of the people linked to a student.

    Example: timeback-async agents s-1 --json
    """
    exit_with_async(_agents(user_id, json))


async def _agents(user_id: str, json: bool) -> int:
    from ._looking import link_as_dict, looking, print_links
    from ._screen import print_json

    async with looking() as session:
        found = await session.get_user_agents(user_id)
    links = [link_as_dict(agent) for agent in found]
    if json:
        print_json({"ok": True, "agents": links, "error": "", "exit": EXIT.OK})
    else:
        print_links(user_id, links)
    return EXIT.OK
