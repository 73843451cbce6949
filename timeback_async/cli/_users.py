"""`user`, `users` and `orgs`: what TimeBack says of one person, of many, and of organisations."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._session import TimebackSession
from ..errors import BadRequestError, NotFoundError, RecordError, TimebackError
from ._exit import EXIT, exit_code_of, exit_with_async
from ._options import AsJson, Panel
from ._options_words import as_flags

if TYPE_CHECKING:
    from ..models import OrgRecord, UserRecord
    from ._looking import Form

__all__ = ["orgs", "user", "users"]

USER_COLUMNS = ("sourcedId", "status", "enabledUser", "primaryOrg", "roles", "grades")
PERSONAL_COLUMNS = ("username", "givenName", "familyName", "email")
ORG_COLUMNS = ("sourcedId", "type", "status", "name", "parent")
AT_ONCE = 100  # as many as a page has

AsLines = Annotated[
    bool,
    typer.Option(
        "--jsonl", help="Print JSON Lines, a record on each.", rich_help_panel=Panel.OUTPUT
    ),
]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="TEXT",
        help="Such as \"status='active'\"; two can be joined by AND or OR.",
    ),
]
ShowPersonal = Annotated[
    bool,
    typer.Option(
        "--show-personal",
        help="Show names and other personal values, too.",
        rich_help_panel=Panel.OUTPUT,
    ),
]


def user(
    user_id: Annotated[str, typer.Argument(help="sourcedId of a student or another user.")],
    show_personal: ShowPersonal = False,
    json: AsJson = False,
) -> None:
    """Show what TimeBack has of one person, and the people linked to them.

    Exit code 1 if there is no such person.

    Example: timeback-async user s-1
    """
    exit_with_async(_user(user_id, show_personal, json))


def users(
    filter: Filter = None,
    fields: Annotated[
        str | None, typer.Option(metavar="NAMES", help="The fields to ask for, with commas.")
    ] = None,
    show_personal: ShowPersonal = False,
    json: AsJson = False,
    jsonl: AsLines = False,
) -> None:
    """List students and other users: ids, roles and status, as they come.

    Example: timeback-async users --filter "status='active'" --jsonl
    """
    from ._looking import PERSONAL, form_of

    named = [name.strip() for name in (fields or "").split(",") if name.strip()]
    hidden = [name for name in named if name in PERSONAL]
    if hidden and not show_personal:
        raise typer.BadParameter(f"{', '.join(hidden)}: personal; add --show-personal")
    columns = USER_COLUMNS + (PERSONAL_COLUMNS if show_personal else ())
    if named:
        columns = ("sourcedId", *(name for name in named if name != "sourcedId"))
    asked = partial(TimebackSession.list_users, filter=filter, fields=named or None)
    form = form_of(as_json=json, as_lines=jsonl)
    exit_with_async(_listed("users", asked, columns, form, show_personal))


def orgs(filter: Filter = None, json: AsJson = False, jsonl: AsLines = False) -> None:
    """List organisations: ids, types and names, as they come.

    Example: timeback-async orgs --json
    """
    from ._looking import form_of

    asked = partial(TimebackSession.list_orgs, filter=filter)
    form = form_of(as_json=json, as_lines=jsonl)
    exit_with_async(_listed("orgs", asked, ORG_COLUMNS, form, True))


async def _user(user_id: str, show_personal: bool, as_json: bool) -> int:
    from ._looking import as_dict, cell, link_as_dict, looking, print_links
    from ._screen import out, print_error, print_json

    async with looking() as session:
        record = await session.get_user(user_id)
        links, why = [], ""
        try:
            links = [link_as_dict(each) for each in await session.get_user_agents(user_id)]
        except (NotFoundError, BadRequestError) as error:
            # Of somebody who is no student, a server may say by an error that there are none.
            why = f"the links could not be read: {error}" if _may_learn(record) else ""
    person = as_dict(record, is_personal_shown=show_personal)
    code = EXIT.PARTIAL if why else EXIT.OK
    if as_json:
        print_json({"ok": not why, "user": person, "agents": links, "error": why, "exit": code})
        return code
    width = max(map(len, person))
    for name, value in person.items():
        out.print(f"{name:<{width}}  {cell(value)}", markup=False, soft_wrap=True)
    if why:
        print_error(why)
    else:
        print_links(user_id, links)
    return code


def _may_learn(record: "UserRecord") -> bool:
    from ..sync._reading.terms import learns

    with suppress(RecordError):
        return learns(record, datetime.date.today())  # noqa: DTZ011 - the school's own day
    return True


async def _listed(
    name: str,
    asked: "Callable[[TimebackSession], AsyncIterator[UserRecord] | AsyncIterator[OrgRecord]]",
    columns: Sequence[str],
    form: "Form",
    show_personal: bool,
) -> int:
    """Print records as they come; what came before an error, or before Ctrl-C, is printed."""
    from ._looking import Listing, as_dict, looking
    from ._screen import print_error

    listing = Listing(name, columns, form)
    some: list[dict[str, Any]] = []
    try:
        async with looking() as session:
            async for record in asked(session):
                some.append(as_dict(record, is_personal_shown=show_personal))
                if len(some) == AT_ONCE:
                    listing.add(some)
                    some.clear()
    except (TimebackError, asyncio.CancelledError) as error:
        if some:
            listing.add(some)
        is_over = isinstance(error, asyncio.CancelledError)
        code = EXIT.INTERRUPTED if is_over else exit_code_of(error)
        words = "interrupted" if is_over else as_flags(str(error))
        listing.end(words, code)
        if not is_over:
            print_error(words)
        return code
    listing.add(some)
    listing.end()
    return EXIT.OK
