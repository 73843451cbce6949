"""What the commands that only look at TimeBack share: a session, and what may be shown."""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec
import typer

from .._retry import RetryPolicy
from .._session import TimebackSession
from ..models import AgentRecord, OrgRecord, UserRecord
from ._exit import EXIT
from ._screen import counted, err, out, print_table, printable
from ._settings import config_from_env

__all__ = [
    "PERSONAL",
    "Listing",
    "as_dict",
    "cell",
    "form_of",
    "link_as_dict",
    "looking",
    "print_links",
]

Form = Literal["table", "json", "jsonl"]

# Names and other values by which somebody can be known, besides the sourcedId; secrets never show.
PERSONAL = (
    "username", "givenName", "familyName", "middleName", "preferredFirstName",
    "preferredMiddleName", "preferredLastName", "pronouns", "email", "phone", "sms", "identifier",
    "userMasterIdentifier", "userIds", "demographics", "metadata",
)  # fmt: skip
SECRET = ("password", "userProfiles")
_is_secret = re.compile(r"passw|credential|secret|token", re.IGNORECASE).search
GAP = 2  # between columns


@asynccontextmanager
async def looking() -> AsyncIterator[TimebackSession]:
    """Open a session that is not as patient as others: somebody waits for its answer."""
    config = config_from_env(retry=RetryPolicy(attempts=3), deadline=30.0)
    async with TimebackSession(config) as session:
        yield session


def form_of(*, as_json: bool, as_lines: bool) -> Form:
    """Return the form of the output that two options ask for."""
    if as_json and as_lines:
        raise typer.BadParameter("--json and --jsonl are two forms: choose one")
    return "json" if as_json else "jsonl" if as_lines else "table"


# -- what of a record is shown


def as_dict(record: UserRecord | OrgRecord, *, is_personal_shown: bool) -> dict[str, Any]:
    """Return a record as JSON types: without secrets, and what is personal only on demand."""
    wire: dict[str, Any] = msgspec.to_builtins(record)
    wire |= wire.pop("extra")  # fields that TimeBack has added, or sends in an unknown form
    if isinstance(record, UserRecord):
        hidden = SECRET if is_personal_shown else (*SECRET, *PERSONAL, *record.extra)
        wire = {name: value for name, value in wire.items() if name not in hidden}
    shown: dict[str, Any] = _without_secrets(wire)
    return shown


def _without_secrets(value: Any) -> Any:
    """Return a value without members whose names say that they are secret, however deep."""
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _without_secrets(inner) for name, inner in value.items() if not _is_secret(name)}


def link_as_dict(record: AgentRecord) -> dict[str, str]:
    """Return a link as JSON types."""
    return {
        "userId": record.user.sourced_id if record.user else "",
        "relationshipType": record.relationship_type or "",
        "agentId": record.agent_id or "",
    }


def print_links(student_id: str, links: Sequence[Mapping[str, str]]) -> None:
    """Print the people linked to a student, as `link_as_dict` has them."""
    who = printable(student_id)
    if links:
        rows = [list(map(printable, link.values())) for link in links]
        print_table(f"Agents of {who}", ("user", "relationship", "agent id"), rows)
    else:
        text = f"Nobody is linked to {who}. TimeBack tells links by their student alone."
        out.print(text, markup=False, soft_wrap=True)


def cell(value: object) -> str:
    """Return a value of a record as the text of a cell."""
    match value:
        case None:
            return ""
        case {"role": role, "org": org}:
            return f"{cell(role)}@{cell(org)}"
        case {"sourcedId": sourced_id}:
            return cell(sourced_id)
        case list():
            return ", ".join(map(cell, value))
        case str():
            return printable(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


# -- many of them


class Listing:
    """Prints records as they come, some at once, so that memory does not grow with their number.

    Args:
        name: What they are.
        columns: The members that are shown in a table.
        form: A table; one JSON object at the end; or JSON Lines.
    """

    def __init__(self, name: str, columns: Sequence[str], form: Form) -> None:
        self._name, self._columns, self._form = name, columns, form
        self._widths: list[int] = []
        self.count = 0
        if form == "json":
            print(f'{{"{name}": [', end="")

    def add(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Print some records."""
        if self._form == "table":
            self._add_rows([[cell(each.get(name)) for name in self._columns] for each in records])
            self.count += len(records)
            return
        for record in records:
            text = json.dumps(record, ensure_ascii=False)
            if self._form == "jsonl":
                print(text)
            else:
                print(",\n" if self.count else "\n", text, sep="", end="")
            self.count += 1

    def _add_rows(self, rows: list[list[str]]) -> None:
        # The first of them decide the widths; a longer cell later on moves its own row alone.
        if not self._widths:
            every = [list(self._columns), *rows]
            self._widths = [max(map(len, column)) + GAP for column in zip(*every, strict=True)]
            rows = [list(self._columns), *rows]
        for row in rows:
            padded = [text.ljust(width) for text, width in zip(row, self._widths, strict=True)]
            self._print("".join(padded).rstrip())

    def _print(self, line: str) -> None:
        if out.quiet:
            return
        width = out.width if out.is_terminal else 0
        print(line if not 0 < width < len(line) else line[: width - 1] + "…")

    def end(self, error: str = "", code: int = EXIT.OK) -> None:
        """Print the end.

        Args:
            error: Why not all of them came, or "".
            code: The exit code.
        """
        if self._form == "json":
            more = {"ok": code == EXIT.OK, "error": error, "exit": code}
            print("\n], " + json.dumps(more, ensure_ascii=False).removeprefix("{"))
        elif self._form == "table" and code == EXIT.OK and not out.quiet:
            err.print(counted(self.count, self._name.removesuffix("s")))
