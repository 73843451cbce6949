"""A school whose records have every field, synced and then tampered with at the mock server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.records import Json, wire_role, wire_student, wire_user
from timeback_async import TimebackSession
from timeback_async.models.ids import agent_id_of
from timeback_async.sync import (
    Change,
    Difference,
    ReadOptions,
    State,
    VerifyReport,
    plan,
    read_roster,
    run,
    verify,
)
from timeback_async.testing import MockServer

TEXTS: Json = {
    "email": "canary@example.com", "middleName": "Canary-K.", "preferredFirstName": "Canary-A",
    "preferredMiddleName": "Canary-B", "preferredLastName": "Canary-C", "pronouns": "they",
    "phone": "555", "sms": "556", "identifier": "i-1", "userMasterIdentifier": "m-1",
}  # fmt: skip
FULL: Json = TEXTS | {
    "demographics": {"birthDate": "2013-02-03"}, "metadata": {"house": "owl"},
    "password": "CanaryPassword",
}  # fmt: skip
TEACHING = [
    wire_role(role="teacher", beginDate="2026-09-01", endDate="2027-07-31", userProfile="p-1"),
    wire_role(role="parent", roleType="secondary"),
]
RECORDS: list[Json] = [
    {"student": wire_student("s-1", grades=["5", "6"], **FULL)},
    {"student": wire_student("s-2", username=None)},
    {"user": wire_user("u-1", grades=["7"], username="un", roles=TEACHING, **FULL)
     | {"primaryOrg": {"sourcedId": "org-1", "type": "org"}}},
    {"user": wire_user("u-2")},
    {"agent": {"studentId": "s-1", "userId": "u-1", "relationshipType": "parent"}},
    {"agent": {"studentId": "s-1", "userId": "u-2", "relationshipType": "guardian",
               "agentId": "own-id"}},
]  # fmt: skip
KEY = ("s-1", agent_id_of("s-1", "u-1"))

Told = tuple[str, str, str, tuple[str, ...]]


def told(difference: Difference) -> Told:
    return difference.what, difference.kind, difference.who, difference.fields


class School:
    """Records in a file, a server, and what became of both.

    Attributes:
        changes: What would mend each difference of the last comparison.
    """

    def __init__(self, server: MockServer, folder: Path) -> None:
        self.server, self.path = server, folder / "school.jsonl"
        self.settings: dict[str, Any] = {}
        self.changes: list[Change | None] = []

    def write(self, *records: Json) -> None:
        self.path.write_text("".join(json.dumps(each) + "\n" for each in records))

    async def sync(self) -> None:
        with (
            State(None, self.server.config()) as state,
            read_roster(self.path, ReadOptions(mode="bulk")) as roster,
        ):
            async with TimebackSession(self.server.config()) as session:
                report = await run(session, plan(roster, state))
        assert report.ok

    async def verify(
        self, *, mode: Any = "bulk", at: Callable[[Any], object] = lambda _: None, **how: Any
    ) -> VerifyReport:
        """Compare; `at` is told of the comparison before it is awaited."""
        self.changes.clear()

        def take(difference: Difference, change: Change | None) -> None:
            self.changes.append(change)

        with read_roster(self.path, ReadOptions(mode=mode)) as roster:
            async with TimebackSession(self.server.config(**self.settings)) as session:
                comparison = verify(session, roster, on_difference=take, **how)
                at(comparison)
                return await comparison
