"""Find out whether what the server has not found is gone.

A 404 may come from a gateway, or from a server that has other paths: then everything is still
there. So TimeBack is asked in another way.

Source: RFC 9110 section 15.5.5 (404); OneRoster 1.2 REST binding (filter).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress

from ..._bulk.run import Bulk
from ..._session import TimebackSession, everybody
from ..._wire.pages import MAX_PAGE, Progress
from ...errors import NotFoundError, TimebackError
from ...models import AgentKey

__all__ = ["gone_links", "is_gone"]


async def gone_links(
    session: TimebackSession, keys: Iterable[AgentKey], begin: Callable[[Bulk], None]
) -> set[AgentKey]:
    """Return the links that TimeBack does not list any more. The others may be there.

    It takes a request for each student.

    Args:
        session: The client, open.
        keys: Links of which a 404 was the answer.
        begin: Called with the bulk run that asks, which may be stopped.
    """
    wanted: dict[str, list[AgentKey]] = defaultdict(list)
    for key in keys:
        wanted[key.student_id].append(key)
    gone: set[AgentKey] = set()
    with suppress(TimebackError):  # what was not answered is not known
        bulk = session.get_many_user_agents(list(wanted))
        begin(bulk)
        async with bulk as results:
            async for result in results:
                listed: set[str | None] = {None}
                if result.ok:
                    listed = {record.agent_id or None for record in result.value}
                elif isinstance(result.error, NotFoundError):
                    listed -= {None} if await is_gone(session, result.sourced_id) else set()
                if None not in listed:  # whose id is not shown may be any of them
                    of_student = wanted[result.sourced_id]
                    gone.update(key for key in of_student if key.agent_id not in listed)
    return gone


async def is_gone(session: TimebackSession, sourced_id: str) -> bool:
    """Return whether TimeBack, which has not found somebody, lists nobody of that id either.

    False if that is not known.
    """
    if "'" in sourced_id:  # no filter can name it
        return False
    progress = Progress(MAX_PAGE)
    with suppress(TimebackError):
        async with aclosing(everybody(session, progress, f"sourcedId='{sourced_id}'")) as people:
            return await anext(people, None) is None and not progress.missing
    return False
